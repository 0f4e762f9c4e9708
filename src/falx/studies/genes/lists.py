"""Gene lists and blood counts to one report: what ``falx enrich`` and ``falx degs`` run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from falx.core.errors import InputError, collect_notices
from falx.core.files import write_text
from falx.genes.blood.differential import DifferentialExpression, Selection, select_genes
from falx.genes.blood.overlap import direction_agreement, overlap
from falx.genes.network.analysis import annotate_modules, edge_enrichment, graphml, sif
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import find_modules
from falx.genes.sets.library import GeneSetLibrary, restrict, text_of
from falx.genes.sets.ora import OraResult, over_representation
from falx.genes.sets.themes import ListComparison, compare_lists
from falx.genes.symbols import check_gene_list, match_symbols
from falx.report.page import Figure, Notice, Section, Table, Text, render
from falx.studies.genes.figures import heat_map, volcano
from falx.studies.genes.page import limits_section, list_section, network_section
from falx.studies.genes.study import file_name
from falx.studies.genes.writing import degs_tsv, tsv

__all__ = ["ImagingGenes", "blood_report", "enrich_lists", "read_gene_list", "read_imaging_genes"]


class ImagingGenes(dict[str, str]):
    """Gene to ``positive``, ``negative`` or empty, as ``falx genes`` wrote them."""

    def of(self, member: str) -> tuple[str, ...]:
        """Genes of one list."""
        return tuple(gene for gene, where in self.items() if where == member)


def read_gene_list(path: Path | str) -> tuple[str, ...]:
    """Read symbols: the column ``gene`` of a table, or the first word of each line."""
    lines = [line for line in text_of(path)[0].splitlines() if line.strip()]
    if not lines:
        raise InputError("the gene list is empty", where=Path(path).name)
    delimiter = "\t" if "\t" in lines[0] else ","
    header = [cell.strip().lower() for cell in lines[0].split(delimiter)]
    if "gene" in header or "symbol" in header:
        column = header.index("gene" if "gene" in header else "symbol")
        rows = csv.reader(lines[1:], delimiter=delimiter)
        return tuple(row[column].strip() for row in rows if len(row) > column)
    return tuple(line.split(delimiter)[0].strip() for line in lines if not line.startswith("#"))


def read_imaging_genes(path: Path | str) -> ImagingGenes:
    """Read ``genes.tsv`` of ``falx genes``."""
    rows = list(csv.DictReader(text_of(path)[0].splitlines(), delimiter="\t"))
    if not rows or not {"gene", "list"} <= set(rows[0]):
        raise InputError("the table is not genes.tsv of falx genes", where=Path(path).name)
    return ImagingGenes((row["gene"], row["list"]) for row in rows)


def enrich_lists(
    lists: Mapping[str, Sequence[str]],
    universe: Sequence[str],
    libraries: Sequence[GeneSetLibrary],
    out: Path,
    *,
    network: Network | None = None,
    aliases: Mapping[str, str] | None = None,
    notices: Sequence[str] = (),
    seed: int = 1,
) -> Path:
    """Test gene lists against libraries and a network; write tables and one report.

    Parameters
    ----------
    notices
        What was noticed while the inputs were read; the report repeats it.
    """
    sections: list[Section] = []
    with collect_notices() as own:
        met = {name: match_symbols(g, universe, aliases=aliases) for name, g in lists.items()}
        found = {name: check_gene_list(match, where=name).found for name, match in met.items()}
        for library in libraries:
            sets = restrict(library, universe, aliases=aliases)
            results = {name: over_representation(genes, sets) for name, genes in found.items()}
            sections += [list_section(name, result) for name, result in results.items()]
            if len(found) > 1:
                sections.append(_comparison_section(compare_lists(found, sets)))
            path = out / f"terms_{file_name(library.name)}.tsv"
            write_text(path, _terms(results))
        if network is not None:
            genes = tuple(dict.fromkeys(g for chosen in found.values() for g in chosen))
            sections.append(_network_section(genes, universe, network, libraries, out, seed))
    sections.append(limits_section([*notices, *own]))
    report = out / "report.html"
    write_text(report, render("Gene lists", sections, subtitle=", ".join(lists)))
    return report


def _terms(results: Mapping[str, OraResult]) -> str:
    columns = ("list", "library", "term", "overlap", "size", "factor", "p", "q")
    rows = [
        (name, r.library, r.names[i], r.overlap[i], r.set_size[i], r.factor[i], r.p[i], r.q[i])
        for name, r in results.items()
        for i in r.order()
    ]
    return tsv(columns, rows)


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


def _network_section(
    genes: Sequence[str],
    universe: Sequence[str],
    network: Network,
    libraries: Sequence[GeneSetLibrary],
    out: Path,
    seed: int,
) -> Section:
    part = network.induced(genes)
    if len(part.neighbours) < 3:
        return Section("Network", [Text("Fewer than three genes of the lists interact.")])
    modules = find_modules(part.neighbours)
    sets = restrict(libraries[0], universe) if libraries else None
    tested = network.induced(universe, keep_isolated=True)
    chance = edge_enrichment(tested, genes, np.random.default_rng(seed))
    write_text(out / "network.graphml", graphml(part, modules))
    write_text(out / "network.sif", sif(part))
    return network_section(part, annotate_modules(modules, sets), chance)


def blood_report(
    result: DifferentialExpression,
    out: Path,
    *,
    imaging: ImagingGenes | None = None,
    notices: Sequence[str] = (),
) -> Path:
    """Write differential expression under both rules, and its overlap with imaging genes."""
    published = select_genes(result, rule="as_published")
    corrected = select_genes(result)
    write_text(out / "degs.tsv", degs_tsv(result, published.genes, corrected.genes))
    with collect_notices() as own:
        sections = [_blood_section(result, published, corrected)]
        if imaging is not None:
            chosen = (published, corrected)
            sections.append(_overlap_section(result.genes, chosen, imaging))
    sections.append(limits_section([*notices, *own]))
    report = out / "report.html"
    subtitle = f"{result.contrast[0]} against {result.contrast[1]}, {len(result.samples)} samples"
    write_text(report, render("Blood RNA-seq", sections, subtitle=subtitle))
    return report


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
