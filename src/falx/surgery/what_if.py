"""What a page needs to score an edited plan by the planner's own rules, as plain arrays.

The page counts the ablative rate of Mo et al. 2025 on the planner's own voxels.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid, apply_affine
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = ["FIELD_UNIT_MM", "what_if_arrays", "what_if_plan", "what_if_scene"]

FIELD_UNIT_MM = 0.08
"""Distances are passed on as bytes in this unit, up to 20.4 mm; half of it is their error."""


def what_if_arrays(scene: Scene, fields: Fields) -> dict[str, npt.NDArray[Any]]:
    """Return voxels of the targets, entries and sinuses, shape (N, 3), and fields (X, Y, Z).

    Voxels are uint16 indices of the scene's grid, so that the page counts the very points
    that the planner counts. Their kinds are bits: signature in the hippocampus, in the
    amygdala, either structure.
    """
    inside = scene.targets
    kinds = (
        (scene.signature & scene.hippocampus)[inside].astype(np.uint8)
        | (scene.signature & scene.amygdala)[inside].astype(np.uint8) << 1
        | np.uint8(4)
    )
    return {
        "voxels": np.argwhere(inside).astype(np.uint16),
        "kinds": kinds.astype(np.uint8),
        "entries": scene.entries_mm.astype(np.float32),
        "outward": scene.outward.astype(np.float32),
        "sinus": _border_mm(scene),
        "clearance": _bytes(fields.clearance_mm),
        "protected": _bytes(fields.protected_mm),
        "exempt": fields.exempt.astype(np.uint8),
    }


def what_if_scene(scene: Scene, fields: Fields, limits: Limits) -> dict[str, object]:
    """Return grids, limits and whole counts."""
    parts = scene.signature[scene.hippocampus], scene.signature[scene.amygdala]
    return {
        "whole": [int(np.count_nonzero(part)) for part in parts],
        "limits": asdict(limits),
        "grid": {**_grid(scene.grid), "voxelMm3": scene.grid.voxel_volume_mm3},
        "fields": {**_grid(fields.grid), "unitMm": FIELD_UNIT_MM},
    }


def what_if_plan(plan: LaserPlan) -> dict[str, object]:
    """Return a plan in the words of the page, rounded as a plan file is."""
    track = plan.trajectory
    return {
        "entry": [round(v, 3) for v in track.entry_mm],
        "target": [round(v, 3) for v in track.target_mm],
        "burns": [
            {"radius": b.radius_mm, "pullBack": b.pull_back_mm, "tipOffset": b.tip_offset_mm}
            for b in plan.burns
        ],
    }


def _grid(grid: Grid) -> dict[str, object]:
    return {
        "shape": list(grid.shape),
        "toWorld": grid.affine.tolist(),
        "toVoxel": np.linalg.inv(grid.affine).tolist(),
    }


def _bytes(distance_mm: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.asarray(np.minimum(np.rint(distance_mm / FIELD_UNIT_MM), 255), dtype=np.uint8)


def _border_mm(scene: Scene) -> npt.NDArray[np.float32]:
    """Outermost voxel centres of the sinuses: the nearest one is always among them."""
    if scene.sinus is None:
        return np.empty((0, 3), np.float32)
    border = scene.sinus & ~ndimage.binary_erosion(scene.sinus)
    return apply_affine(scene.grid.affine, np.argwhere(border)).astype(np.float32)
