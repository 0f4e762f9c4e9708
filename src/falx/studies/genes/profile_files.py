"""Regional profiles of group maps: their regions, their blood."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from falx.core.files import read_table
from falx.genes.files import Surface, read_hemispheres
from falx.genes.nulls.surface import sphere_points
from falx.genes.tables import RegionTable
from falx.studies.genes.blood_overlap import BloodGenes, blood_genes

__all__ = ["inside_map", "on_surface", "read_blood"]


def inside_map(table: RegionTable, kept: np.ndarray) -> RegionTable:
    """Drop the regions that lie outside a group map, and say how many."""
    rows = np.flatnonzero(kept)
    lost = len(kept) - len(rows)
    notes = (f"{lost} regions lie outside the map.",) if lost else ()
    return replace(table.take(rows), notes=(*table.notes, *notes))


def on_surface(table: RegionTable, surface: Surface) -> RegionTable:
    """Give the regions their places on the cortical sphere, if surfaces are named."""
    if not surface.spheres and not surface.surface_labels:
        return table
    return replace(
        table, sphere=sphere_points(table.regions, table.sides, read_hemispheres(surface))
    )


def read_blood(path: Path | None) -> BloodGenes | None:
    """Read the genes changed in blood, if there is a table of them."""
    return None if path is None else blood_genes(read_table(path, unique=False))
