"""The group stage that relates a regional profile to genes: tables and a page out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from falx.core.errors import InputError, check_option
from falx.core.files import write_json, write_text
from falx.core.grid import SIDES, Side
from falx.genes.association_study import Settings
from falx.genes.network.interactions import read_network
from falx.genes.nulls.generate import NULL_METHODS
from falx.genes.sets.library import GeneSetLibrary, read_gmt
from falx.genes.sets.regulators import read_trrust, regulator_sets
from falx.genes.tables import RegionTable, block_of, read_expression, read_region_table
from falx.studies.genes.expression import group_atlas
from falx.studies.genes.study import Sources, relate
from falx.studies.genes.writing import components_json, genes_tsv, left_out_tsv, terms_tsv

__all__ = ["genes_stage"]


def genes_stage(
    *,
    profile: Path,
    atlas: Path | None,
    atlas_labels: Path | None,
    ready_expression: Path | None,
    made_expression: Path | None,
    gene_sets: Path | None,
    regulators: Path | None,
    network: Path | None,
    report: Path,
    genes: Path,
    terms: Path,
    components: Path,
    left_out: Path,
    side: str,
    blocks: Sequence[str],
    null: str,
    n_maps: int,
    n_list: int,
    seed: int,
) -> None:
    """Relate the regional profile of a group map to gene expression.

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
    gene_sets, regulators, network
        Inputs, optional: GMT file, TRRUST table, protein interactions.
    report
        Output: the page.
    genes, terms, components, left_out
        Outputs: genes with weights and P, terms of every library, components (JSON), and the
        regions and genes that were left out.
    side
        ``"left"``, ``"right"`` or ``"both"``.
    blocks
        Blocks to keep, such as ``cortex``; empty: all.
    null
        One of :data:`falx.genes.nulls.generate.NULL_METHODS`.
    n_maps, n_list, seed
        Null maps, genes in a list, and seed of every draw.
    """
    check_option("side", side, (*SIDES, "both"))
    check_option("null", null, NULL_METHODS)
    expression = ready_expression or made_expression
    if expression is None:
        raise InputError("gene expression is missing", do="give a region × gene table")
    found = relate(
        _placed(read_region_table(profile, column="mean_t"), atlas, atlas_labels),
        read_expression(expression),
        settings=Settings(
            null=next(method for method in NULL_METHODS if method == null),
            n_maps=n_maps,
            n_list=n_list,
            seed=seed,
        ),
        sources=Sources(
            tuple(_libraries(gene_sets, regulators)),
            read_network([network]) if network is not None else None,
        ),
        side=None if side == "both" else cast("Side", side),
        blocks=tuple(blocks) or None,
    )
    write_text(report, found.page)
    write_text(genes, genes_tsv(found.study, found.lists))
    write_text(left_out, left_out_tsv(found.study.data.left_out))
    write_json(components, components_json(found.study))
    tables = {one.library.name: terms_tsv(one) for one in found.sets}
    write_text(terms, _joined(tables))


def _placed(table: RegionTable, atlas: Path | None, labels: Path | None) -> RegionTable:
    """Give every region of a profile its place, block and side; drop those without a value."""
    regions = {region.name: region for region in group_atlas(atlas, labels).regions}
    unknown = [name for name in table.regions if name not in regions]
    if unknown:
        raise InputError(
            "the profile has regions that the atlas does not know",
            where=table.name,
            found=", ".join(unknown[:5]),
            do="give the atlas that the profile was made with",
        )
    kept = np.flatnonzero(np.isfinite(table.values))
    places = [regions[table.regions[i]] for i in kept]
    lost = len(table.regions) - len(kept)
    notes = (f"{lost} regions lie outside the map.",) if lost else ()
    return replace(
        table,
        regions=tuple(place.name for place in places),
        values=table.values[kept],
        centroids_mm=np.array([place.centroid_mm for place in places]),
        blocks=tuple(block_of(place.structure) for place in places),
        sides=tuple(place.side for place in places),
        notes=(*table.notes, *notes),
    )


def _libraries(gene_sets: Path | None, regulators: Path | None) -> list[GeneSetLibrary]:
    found = [] if gene_sets is None else [read_gmt(gene_sets)]
    if regulators is not None:
        found.append(regulator_sets(*read_trrust(regulators)))
    return found


def _joined(tables: dict[str, str]) -> str:
    """Join the term tables of several libraries under one header."""
    lines: list[str] = []
    for name, text in tables.items():
        header, *rows = text.splitlines()
        lines += [f"library\t{header}"] if not lines else []
        lines += [f"{name}\t{row}" for row in rows]
    return "\n".join(lines or ["library"]) + "\n"
