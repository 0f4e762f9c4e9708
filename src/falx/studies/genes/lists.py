"""Gene lists and blood counts to one report: what ``falx enrich`` and ``falx degs`` run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from falx.core.errors import InputError, collect_notices, notify
from falx.core.tables import Table as CoreTable
from falx.core.tables import parse_table
from falx.genes.blood.differential import (
    RULES,
    DifferentialExpression,
    Selection,
    select_genes,
)
from falx.genes.blood.overlap import direction_agreement, overlap
from falx.genes.files import Known
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module
from falx.genes.sets.library import SourceText, restrict
from falx.genes.sets.ora import OraResult, over_representation
from falx.genes.sets.themes import ListComparison, compare_lists
from falx.genes.symbols import check_gene_list, match_symbols
from falx.report.page import Figure, Notice, Section, Table, Text, render
from falx.studies.genes.figures import heat_map, volcano
from falx.studies.genes.network import study_network
from falx.studies.genes.page import WHOLE_IN_PRINT, limits_section, list_section

__all__ = [
    "BloodFindings",
    "EnrichedLists",
    "GivenLists",
    "ImagingGenes",
    "blood_report",
    "enrich_lists",
    "imaging_genes",
    "read_gene_list",
    "read_lists",
    "tested_genes",
]


class ImagingGenes(dict[str, str]):
    """Gene to ``positive``, ``negative`` or empty, as ``falx genes`` wrote them."""

    def of(self, member: str) -> tuple[str, ...]:
        """Genes of one list."""
        return tuple(gene for gene, where in self.items() if where == member)


@dataclass(frozen=True, eq=False)
class EnrichedLists:
    """What was found for gene lists, before anything is written.

    Attributes
    ----------
    terms
        Library to the result of each list.
    network
        Interactions among all genes of the lists, and their modules; ``None`` without a network
        or where fewer than three of them interact.
    page
        The report as HTML.
    """

    terms: Mapping[str, Mapping[str, OraResult]]
    network: tuple[Network, tuple[Module, ...]] | None
    page: str


@dataclass(frozen=True, eq=False)
class BloodFindings:
    """Differential expression under both rules, and its page."""

    published: Selection
    corrected: Selection
    page: str


def read_gene_list(source: SourceText) -> tuple[str, ...]:
    """Read symbols: the column ``gene`` of a table, or the first word of each line."""
    lines = [line for line in source.text.splitlines() if line.strip()]
    if not lines:
        raise InputError(
            "the gene list is empty", where=source.name, do="give one gene symbol a line"
        )
    delimiter = "\t" if "\t" in lines[0] else ","
    header = {cell.strip().lower() for cell in lines[0].split(delimiter)}
    if header & {"gene", "symbol"}:
        table = parse_table(source.text, where=source.name, pad=True, unique=False)
        return table.texts(table.need("gene", "symbol"))
    return tuple(line.split(delimiter)[0].strip() for line in lines if not line.startswith("#"))


@dataclass(frozen=True)
class GivenLists:
    """Gene lists of one file, and the genes that were tested, where it says so."""

    lists: Mapping[str, tuple[str, ...]]
    tested: tuple[str, ...] | None = None


def read_lists(source: SourceText, name: str) -> GivenLists:
    """Read one list, or those of a table that Falx wrote.

    ``genes.tsv`` of ``falx genes`` holds a positive and a negative list, ``degs.tsv`` of
    ``falx degs`` the genes of the corrected rule that rise and fall; both hold every tested
    gene. Lists without a gene are left out, with a notice.

    Parameters
    ----------
    name
        Of the list; those of a table are called ``name, positive`` and so on.
    """
    first = next((line for line in source.text.splitlines() if line.strip()), "")
    header = {cell.strip() for cell in first.split("\t")}
    if not ({"gene", "list", "q_spatial"} <= header or {"gene", *RULES} <= header):
        return GivenLists({name: read_gene_list(source)})
    table = parse_table(source.text, where=source.name, unique=False)
    if "list" in header:
        imaging = imaging_genes(table)
        found = {member: imaging.of(member) for member in ("positive", "negative")}
        tested = tuple(imaging)
    else:
        tested = table.texts("gene")
        up = table.numbers("log2FoldChange") > 0
        taken = [cell == "true" for cell in table.texts("corrected")]
        chosen = list(zip(tested, taken, up, strict=True))
        found = {
            "up": tuple(gene for gene, in_rule, rises in chosen if in_rule and rises),
            "down": tuple(gene for gene, in_rule, rises in chosen if in_rule and not rises),
        }
    empty = [member for member, genes in found.items() if not genes]
    if empty:
        notify("a list holds no gene, so nothing is tested for it", where=source.name, found=empty)
    lists = {f"{name}, {member}": genes for member, genes in found.items() if genes}
    return GivenLists(lists, tested)


def tested_genes(given: Sequence[GivenLists]) -> tuple[str, ...]:
    """Genes that every table tested, in the order of the first.

    Raises
    ------
    InputError
        If a list does not come from a table that holds the tested genes, or none is shared.
    """
    if any(one.tested is None for one in given):
        raise InputError(
            "it is not known which genes were tested",
            where=", ".join(name for one in given if one.tested is None for name in one.lists),
            do="give --universe FILE; the whole genome would make brain genes look enriched",
        )
    shared = set.intersection(*(set(one.tested or ()) for one in given))
    universe = tuple(gene for gene in dict.fromkeys(given[0].tested or ()) if gene in shared)
    if not universe:
        raise InputError("no gene was tested in every table", do="check that all use gene symbols")
    notify("the tested genes are those that every table holds", found=f"{len(universe)} genes")
    return universe


def imaging_genes(table: CoreTable) -> ImagingGenes:
    """Take the lists of ``genes.tsv`` of ``falx genes``."""
    if not {"gene", "list"} <= set(table.header):
        raise InputError(
            "the table is not genes.tsv of falx genes",
            where=table.where,
            do="give the genes.tsv that falx genes wrote",
        )
    return ImagingGenes(zip(table.texts("gene"), table.texts("list"), strict=True))


def enrich_lists(
    lists: Mapping[str, Sequence[str]],
    universe: Sequence[str],
    known: Known,
    *,
    notices: Sequence[str] = (),
    seed: int = 1,
    more: Sequence[Section] = (),
) -> EnrichedLists:
    """Test gene lists against gene sets and a network.

    Parameters
    ----------
    notices
        What was noticed while the inputs were read; the report repeats it.
    more
        Sections for the end of the page.
    """
    sections: list[Section] = []
    terms: dict[str, Mapping[str, OraResult]] = {}
    aliases = known.aliases
    part = None
    with collect_notices() as own:
        met = {name: match_symbols(g, universe, aliases=aliases) for name, g in lists.items()}
        found = {name: check_gene_list(match, where=name).found for name, match in met.items()}
        for library in known.libraries:
            sets = restrict(library, universe, aliases=aliases)
            results = {name: over_representation(genes, sets) for name, genes in found.items()}
            sections += [list_section(name, result) for name, result in results.items()]
            if len(found) > 1:
                sections.append(_comparison_section(compare_lists(found, sets)))
            terms[library.name] = results
        if known.network is not None:
            genes = tuple(dict.fromkeys(g for chosen in found.values() for g in chosen))
            annotated = restrict(known.libraries[0], universe) if known.libraries else None
            part, section = study_network(genes, universe, known.network, annotated, seed)
            sections.append(section)
    sections += [limits_section([*notices, *own]), *more]
    return EnrichedLists(
        terms,
        part,
        render("Gene lists", sections, subtitle=", ".join(lists), style=WHOLE_IN_PRINT),
    )


def _comparison_section(both: ListComparison) -> Section:
    order = np.argsort(both.p_combined, kind="stable")[:25]
    names = both.results["union"].names
    rows = [
        (names[i], *(float(both.results[n].p[i]) for n in both.lists), float(both.p_combined[i]),
         float(both.q_combined[i]), float(both.p_best[i]))
        for i in order
    ]  # fmt: skip
    shared = [
        (a, b, float(both.gene_overlap[i, j]), float(both.term_overlap[i, j]))
        for i, a in enumerate(both.lists)
        for j, b in enumerate(both.lists)
        if i < j
    ]
    columns = ("term", *(f"P, {n}" for n in both.lists), "P, combined", "q, combined", "P, best")
    return Section(
        f"Lists together: {both.results['union'].library}",
        [
            Text(
                "The combined P (Cauchy) holds when lists share genes. The best P over lists is "
                "what is customary; it does not count that the best was chosen."
            ),
            Table(columns, rows, "Terms over lists."),
            Table(("list", "list", "shared genes", "shared terms"), shared, "Jaccard indices."),
        ],
    )


def blood_report(
    result: DifferentialExpression,
    *,
    imaging: ImagingGenes | None = None,
    notices: Sequence[str] = (),
    more: Sequence[Section] = (),
) -> BloodFindings:
    """Take the changed genes under both rules, and their overlap with imaging genes.

    Parameters
    ----------
    more
        Sections for the end of the page.
    """
    published = select_genes(result, rule="as_published")
    corrected = select_genes(result)
    with collect_notices() as own:
        sections = [_blood_section(result, published, corrected)]
        if imaging is not None:
            chosen = (published, corrected)
            sections.append(_overlap_section(result.genes, chosen, imaging))
    sections += [limits_section([*notices, *own]), *more]
    subtitle = f"{result.contrast[0]} against {result.contrast[1]}, {len(result.samples)} samples"
    page = render("Blood RNA-seq", sections, subtitle=subtitle, style=WHOLE_IN_PRINT)
    return BloodFindings(published, corrected, page)


def _blood_section(
    result: DifferentialExpression, published: Selection, corrected: Selection
) -> Section:
    rows = [
        (rule, len(s.up), len(s.down))
        for rule, s in (
            ("as published: |log2 fold change| ≥ 1 and raw P < 0.05", published),
            ("corrected: adjusted P < 0.05", corrected),
        )
    ]
    return Section(
        "Differential expression",
        [
            Table(("rule", "up", "down"), rows, "Genes that each rule takes."),
            Notice(("The published rule has no error control.",)),
            Figure(volcano(result, corrected), "Every gene; in colour: adjusted P < 0.05."),
            Figure(
                heat_map(result), "Genes of smallest P, log counts as SD from the gene's mean."
            ),
        ],
    )


def _overlap_section(
    tested: Sequence[str], rules: Sequence[Selection], imaging: ImagingGenes
) -> Section:
    """Overlap over the genes tested on both sides, and direction."""
    universe = tuple(sorted(match_symbols(tested, tuple(imaging)).found))
    positive, negative = imaging.of("positive"), imaging.of("negative")
    rows = []
    for rule in rules:
        both = overlap(positive + negative, rule.genes, universe)
        agree = direction_agreement(positive, negative, rule.up, rule.down)
        rows.append(
            (rule.rule, both.n_first, both.n_second, len(both.common), both.expected, both.p,
             both.odds_ratio, agree.agree, ", ".join(both.common[:10]))
        )  # fmt: skip
    columns = ("rule", "imaging", "blood", "shared", "expected", "P", "odds ratio",
               "same direction", "genes")  # fmt: skip
    return Section(
        "Overlap with imaging genes",
        [
            Text(
                f"{len(universe)} genes were tested on both sides. P is hypergeometric and "
                "ignores co-expression; falx genes --degs tests against null maps as well."
            ),
            Table(columns, rows),
        ],
    )
