"""A map to genes, terms, modules and one report: what ``falx genes`` and the studies run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.core.errors import collect_notices
from falx.core.files import write_json, write_text
from falx.core.grid import Side
from falx.genes.association_study import (
    AssociationStudy,
    GeneLists,
    SetStudy,
    Settings,
    gene_lists,
    study_map,
    study_sets,
)
from falx.genes.network.analysis import annotate_modules, edge_enrichment, graphml, sif
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module, find_modules
from falx.genes.sets.library import GeneSetLibrary
from falx.genes.tables import Expression, RegionTable, join
from falx.report.page import Section, Text, render
from falx.studies.genes.blood_overlap import BloodGenes, overlap_section
from falx.studies.genes.page import (
    association_sections,
    limits_section,
    network_section,
    set_sections,
)
from falx.studies.genes.writing import components_json, genes_tsv, left_out_tsv, terms_tsv

__all__ = [
    "GenesFindings",
    "GenesResult",
    "Sources",
    "analyse",
    "file_name",
    "relate",
]


@dataclass(frozen=True, eq=False)
class Sources:
    """Knowledge that a map's genes are compared with; `aliases` lead to present symbols."""

    libraries: tuple[GeneSetLibrary, ...] = ()
    network: Network | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    blood: BloodGenes | None = None


@dataclass(frozen=True, eq=False)
class GenesFindings:
    """What was found, before anything is written.

    Attributes
    ----------
    network
        Interactions among the genes of the list, and their modules; ``None`` without a
        network or where fewer than three of them interact.
    page
        The report as HTML.
    """

    study: AssociationStudy
    lists: GeneLists
    sets: tuple[SetStudy, ...]
    network: tuple[Network, tuple[Module, ...]] | None
    page: str
    notices: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class GenesResult:
    """What was found, and where it was written."""

    study: AssociationStudy
    lists: GeneLists
    sets: tuple[SetStudy, ...]
    report: Path
    notices: tuple[str, ...] = field(default=())


def relate(
    table: RegionTable,
    expression: Expression,
    *,
    settings: Settings | None = None,
    sources: Sources | None = None,
    side: Side | None = None,
    blocks: Sequence[str] | None = None,
) -> GenesFindings:
    """Relate a map to genes, gene sets and networks."""
    known = sources or Sources()
    with collect_notices() as notices:
        data = join(table, expression, side=side, blocks=blocks)
        study = study_map(data, settings)
        lists = gene_lists(study)
        sets = tuple(
            study_sets(study, library, aliases=known.aliases) for library in known.libraries
        )
        sections = association_sections(study, lists)
        for one in sets:
            sections += set_sections(one)
        network = None
        if known.network is not None:
            network, section = _network(study, lists, sets, known.network)
            sections.append(section)
        if known.blood is not None:
            sections.append(overlap_section(study, lists, sets, known.blood))
    told = (*table.notes, *notices)
    sections.append(limits_section(told))
    page = render("Genes behind a map", sections, subtitle=table.name)
    return GenesFindings(study, lists, sets, network, page, told)


def analyse(
    table: RegionTable,
    expression: Expression,
    out: Path,
    *,
    settings: Settings | None = None,
    sources: Sources | None = None,
    side: Side | None = None,
    blocks: Sequence[str] | None = None,
) -> GenesResult:
    """Relate a map to genes and write tables and one report into a folder."""
    found = relate(table, expression, settings=settings, sources=sources, side=side, blocks=blocks)
    write_text(out / "genes.tsv", genes_tsv(found.study, found.lists))
    write_text(out / "left_out.tsv", left_out_tsv(found.study.data.left_out))
    write_json(out / "components.json", components_json(found.study))
    for one in found.sets:
        write_text(out / f"terms_{file_name(one.library.name)}.tsv", terms_tsv(one))
    if found.network is not None:
        part, modules = found.network
        write_text(out / "network.graphml", graphml(part, modules))
        write_text(out / "network.sif", sif(part))
    report = out / "report.html"
    write_text(report, found.page)
    return GenesResult(found.study, found.lists, found.sets, report, found.notices)


def file_name(title: str) -> str:
    """Turn a title into a file name.

    Examples
    --------
    >>> file_name("GO BP: all")
    'GO-BP-all'
    """
    words = "".join(c if c.isalnum() or c in "._" else " " for c in title).split()
    return "-".join(words)


def _network(
    study: AssociationStudy,
    lists: GeneLists,
    sets: Sequence[SetStudy],
    network: Network,
) -> tuple[tuple[Network, tuple[Module, ...]] | None, Section]:
    """Network of the positive list, its modules, and their section of the report."""
    genes = lists.positive or lists.negative
    part = network.induced(genes)
    if len(part.neighbours) < 3:
        return None, Section("Network", [Text("Fewer than three genes of the list interact.")])
    modules = find_modules(part.neighbours)
    annotated = annotate_modules(modules, sets[0].sets if sets else None)
    tested = network.induced(study.data.genes, keep_isolated=True)
    rng = np.random.default_rng(study.settings.seed)
    chance = edge_enrichment(tested, genes, rng)
    return (part, tuple(modules)), network_section(part, annotated, chance)
