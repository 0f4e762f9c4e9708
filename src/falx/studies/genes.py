"""A map to genes, terms, modules and one report: what ``falx genes`` and the studies run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.atlas import Atlas
from falx.errors import InputError, check_option, collect_notices
from falx.genes.ahba.abagen import AbagenOptions, abagen_expression
from falx.genes.ahba.bmhlab import BmhlabOptions, bmhlab_expression
from falx.genes.ahba.files import find_ahba, read_coordinates, read_reannotation
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
from falx.genes.tables import Expression, RegionTable, join, read_expression
from falx.genes.writing import components_json, genes_tsv, left_out_tsv, terms_tsv
from falx.grid import Side
from falx.images.nifti import write_json, write_text
from falx.report.genes import (
    association_sections,
    limits_section,
    network_section,
    set_sections,
)
from falx.report.page import Section, Text, render

__all__ = [
    "GenesFindings",
    "GenesResult",
    "Sources",
    "analyse",
    "expression_from",
    "file_name",
    "relate",
]

EXPRESSION_MODES = ("abagen", "bmhlab")


@dataclass(frozen=True, eq=False)
class Sources:
    """Knowledge that a map's genes are compared with."""

    libraries: tuple[GeneSetLibrary, ...] = ()
    network: Network | None = None


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


def expression_from(
    path: Path,
    *,
    atlas: Atlas | None = None,
    mode: str = "abagen",
    reannotation: Path | None = None,
    coordinates: Path | None = None,
    out: Path | None = None,
) -> Expression:
    """Read a ready matrix, or make one from an Allen download and an atlas.

    Parameters
    ----------
    path
        A CSV or TSV matrix, or the folder of a download.
    out
        Where the matrix and its losses are kept, when it is made.
    """
    if path.is_file():
        return read_expression(path)
    if atlas is None:
        raise InputError("an Allen download needs an atlas", where=path, do="give --atlas")
    check_option("expression mode", mode, EXPRESSION_MODES)
    folder = find_ahba(path)
    table = read_reannotation(_beside(reannotation, path, "reannotated.csv.gz"))
    places = read_coordinates(_beside(coordinates, path, "corrected_mni_coordinates.csv.gz"))
    if mode == "abagen":
        # Classes of the atlas only count when the table names them as the ontology does.
        known = all(r.structure for r in atlas.regions)
        made = abagen_expression(
            folder,
            atlas,
            reannotation=table,
            coordinates=places,
            options=AbagenOptions(use_atlas_info=known),
        )
    else:
        made = bmhlab_expression(
            folder, atlas, reannotation=table, coordinates=places, options=BmhlabOptions()
        )
    expression = Expression(f"AHBA, {mode}", made.regions, made.genes, made.values)
    if out is not None:
        lines = ["region," + ",".join(made.genes)]
        lines += [
            f"{name}," + ",".join("" if np.isnan(v) else f"{v:.10g}" for v in row)
            for name, row in zip(made.regions, made.values, strict=True)
        ]
        write_text(out / "expression.csv", "\n".join(lines) + "\n")
        write_text(out / "expression_losses.tsv", made.ledger.tsv())
    return expression


def _beside(path: Path | None, folder: Path, name: str) -> Path:
    """Path that was given, or the table beside the download."""
    if path is not None:
        return path
    places = [folder / name, folder.parent / name]
    return next((p for p in places if p.exists()), places[0])


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
        sets = tuple(study_sets(study, library) for library in known.libraries)
        sections = association_sections(study, lists)
        for one in sets:
            sections += set_sections(one)
        network = None
        if known.network is not None:
            network, section = _network(study, lists, sets, known.network)
            sections.append(section)
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
