"""Files of the study `genes`: maps and expression in; tables and pages out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from falx.atlas.atlas import Atlas
from falx.atlas.files import load_atlas, load_group_atlas
from falx.core.errors import InputError, collect_notices
from falx.core.files import write_json, write_table, write_text
from falx.core.possible import check_possible
from falx.genes.association_study import Settings
from falx.genes.files import (
    Knowledge,
    Surface,
    read_known,
    source_text,
)
from falx.genes.tables import (
    Expression,
    RegionTable,
    named_places,
    one_table,
    placed,
    read_expression,
    read_region_table,
    renamed,
    table_of_map,
    with_symbols,
)
from falx.images.nifti import load
from falx.studies.genes.configuration import (
    ExpressionSource,
    GenesConfiguration,
)
from falx.studies.genes.enigma import enigma_table
from falx.studies.genes.expression_files import make_expression
from falx.studies.genes.output_tables import (
    components_json,
    genes_tsv,
    left_out_tsv,
    regulators_tsv,
    terms_tsv,
)
from falx.studies.genes.profile_files import inside_map, on_surface, read_blood
from falx.studies.genes.study import GenesFindings, relate
from falx.studies.genes.written import file_name, write_methods, write_network
from falx.studies.methods.study_text import (
    call_text,
    link_section,
    methods_section,
)

__all__ = [
    "GenesFiles",
    "MapFiles",
    "genes_stage",
    "relate_map",
    "write_findings",
]

EXAMPLE = "enigma:"


@dataclass(frozen=True)
class GenesFiles:
    """Files of the gene stage of a group map.

    Parameters
    ----------
    profile
        Input: TSV of :func:`falx.maps.files.group_map_stage`, columns ``label``, ``name``,
        ``mean_t``, ``n_voxels``; regions outside the map hold no value.
    atlas, atlas_labels
        Inputs: label volume of the profile and its table, which place the regions; the shipped
        structures if absent.
    ready_expression, made_expression
        Inputs: region × gene matrix (CSV), the user's own or the one made from an Allen
        download; the user's own goes first.
    degs, made_degs
        Inputs, optional: genes changed in blood, the user's table or the study's own.
    report, genes, terms, components, left_out
        Outputs: the page; genes with weights and P, terms of every library, components (JSON),
        and the regions that were left out.
    """

    profile: Path
    atlas: Path | None
    atlas_labels: Path | None
    ready_expression: Path | None
    made_expression: Path | None
    degs: Path | None
    made_degs: Path | None
    report: Path
    genes: Path
    terms: Path
    components: Path
    left_out: Path


def genes_stage(
    files: GenesFiles, knowledge: Knowledge, surface: Surface, settings: Settings
) -> None:
    """Relate the regional profile of a group map to gene expression."""
    expression = files.ready_expression or files.made_expression
    if expression is None:
        raise InputError("gene expression is missing", do="give a region × gene table")
    profile = read_region_table(source_text(files.profile), column="mean_t")
    kept = np.isfinite(profile.values)
    atlas = load_group_atlas(files.atlas, files.atlas_labels)
    with collect_notices() as notices:
        known = read_known(knowledge)
        matrix = with_symbols(read_expression(source_text(expression)), known.aliases)[0]
    table = on_surface(inside_map(placed(profile, atlas), kept), surface)
    told = replace(table, notes=(*table.notes, *notices))
    found = relate(
        told, matrix, settings, known, read_blood(files.degs or files.made_degs), [link_section()]
    )
    check_possible(found)
    write_text(files.report, found.page)
    write_text(files.genes, genes_tsv(found.study, found.lists))
    write_text(files.left_out, left_out_tsv(found.study.data.left_out))
    write_json(files.components, components_json(found.study))
    write_text(files.terms, _joined(found))


def _joined(found: GenesFindings) -> str:
    """Join the term tables of several libraries under one header."""
    lines: list[str] = []
    for one in found.sets:
        header, *rows = terms_tsv(one).splitlines()
        lines += [f"library\t{header}"] if not lines else []
        lines += [f"{one.library.name}\t{row}" for row in rows]
    return "\n".join(lines or ["library"]) + "\n"


@dataclass(frozen=True)
class MapFiles:
    """What ``falx genes`` reads beside its configuration.

    Parameters
    ----------
    source
        NIfTI map, regional table, or ``enigma:SYNDROME``.
    atlas, labels
        Label volume and its table, needed for a map; they place the regions of a table too.
    column
        Column of values in a table.
    more
        Further tables, of other regions.
    """

    source: str
    atlas: Path | None = None
    labels: Path | None = None
    column: str | None = None
    more: tuple[str, ...] = ()


def relate_map(files: MapFiles, configuration: GenesConfiguration, out: Path) -> GenesFindings:
    """Relate a map, a regional table or an example to genes; write tables and a page."""
    atlas = None if files.atlas is None else load_atlas(files.atlas, files.labels)
    with collect_notices() as notices:
        table = on_surface(_region_table(files, atlas), configuration)
        expression = _expression(configuration, atlas, out)
        known, blood = read_known(configuration), read_blood(configuration.degs)
        expression, account = with_symbols(expression, known.aliases)
    table = renamed(table, expression)
    told = replace(table, notes=(*table.notes, *notices))
    text = call_text("relate_map", [configuration])
    found = relate(told, expression, configuration, known, blood, [methods_section(text)])
    write_findings(found, out)
    write_methods(text, out)
    if account:
        write_table(out / "identifiers.tsv", ("given", "symbol", "what"), account)
    return found


def _region_table(files: MapFiles, atlas: Atlas | None) -> RegionTable:
    name = files.source
    if name.startswith(EXAMPLE):
        return enigma_table(name.removeprefix(EXAMPLE))
    if name.endswith((".nii", ".nii.gz")):
        if atlas is None:
            raise InputError("a map needs an atlas", where=name, do="give --atlas and --labels")
        return table_of_map(load(name), atlas, name=Path(name).name)
    texts = [source_text(path) for path in (name, *files.more)]
    table = one_table([read_region_table(text, column=files.column) for text in texts])
    return named_places(table) if atlas is None else placed(table, atlas)


def _expression(given: ExpressionSource, atlas: Atlas | None, out: Path) -> Expression:
    """Read a ready matrix, or make one from an Allen download and keep it with its losses."""
    if given.expression is not None:
        return read_expression(source_text(given.expression))
    if not given.ahba:
        raise InputError(
            "gene expression is missing",
            do="give --expression FILE (falx fetch enigma-expression) or --ahba FOLDER",
        )
    if atlas is None:
        raise InputError("an Allen download needs an atlas", where=given.ahba, do="give --atlas")
    made = make_expression(
        Path(given.ahba).expanduser(),
        atlas,
        mode=given.mode,
        reannotation=given.reannotation,
        coordinates=given.coordinates,
    )
    write_text(out / "expression.csv", made.csv())
    write_text(out / "expression_losses.tsv", made.losses)
    return made.expression


def write_findings(found: GenesFindings, out: Path) -> None:
    """Write tables and one report into a folder."""
    check_possible(found)
    write_text(out / "genes.tsv", genes_tsv(found.study, found.lists))
    write_text(out / "left_out.tsv", left_out_tsv(found.study.data.left_out))
    write_json(out / "components.json", components_json(found.study))
    for one in found.sets:
        write_text(out / f"terms_{file_name(one.library.name)}.tsv", terms_tsv(one))
    if found.regulators is not None:
        write_text(out / "regulators.tsv", regulators_tsv(found.regulators))
    write_network(found.network, out)
    write_text(out / "report.html", found.page)
