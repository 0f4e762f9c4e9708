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
from falx.surgery.burns.misplaced import Draws
from falx.surgery.frames import Floats, ToTemplate, acpc_of
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Fields, Scene, distance_mm

__all__ = [
    "FIELD_UNIT_MM",
    "what_if_arrays",
    "what_if_draws",
    "what_if_frames",
    "what_if_plan",
    "what_if_scene",
]

JUDGES, PICKS = 1000, 300
"""Misplaced copies that the page counts for an edited plan, and those that it picks plans by: the
first of those that judged the plans of the page, and the first of those that picked them."""

TEMPLATE_STEP_MM = 8.0
"""Between the points at which the page knows the template's millimetres."""

FIELD_UNIT_MM = 0.08
"""Distances are passed on as bytes in this unit, up to 20.4 mm; half of it is their error."""


def what_if_arrays(scene: Scene, fields: Fields) -> dict[str, npt.NDArray[Any]]:
    """Return voxels of the targets, entries and sinuses, shape (N, 3), and fields (X, Y, Z).

    Voxels are uint16 indices of the scene's grid, so that the page counts the very points
    that the planner counts. Their kinds are bits: signature in the hippocampus, in the
    amygdala, either structure; or the focus, nothing, the focus.
    """
    inside = scene.targets
    vessels = {} if scene.vessels is None else {"vessel": _vessel_bytes(scene, fields)}
    kinds = (
        scene.wanted[inside].astype(np.uint8)
        | scene.second[inside].astype(np.uint8) << 1
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
        **vessels,
    }


def what_if_draws(few: Draws, many: Draws) -> dict[str, npt.NDArray[np.float32]]:
    """Return the draws that the page counts with, float32: ends (D, 10), radii (D, 4)."""
    judges, picks = many.first(JUDGES), few.first(PICKS)
    return {
        "ends": judges.ends.astype(np.float32),
        "radii": judges.radii.astype(np.float32),
        "pickEnds": picks.ends.astype(np.float32),
        "pickRadii": picks.radii.astype(np.float32),
    }


def what_if_frames(
    fields: Fields, to_template: ToTemplate, near_mm: Floats
) -> tuple[dict[str, object], npt.NDArray[np.float32]]:
    """Return the frames beside the scanner's: AC–PC as a matrix, the template on a coarse grid.

    Parameters
    ----------
    near_mm
        Native points all over the head, shape (M, 3).

    Returns
    -------
    tuple
        Plain values (``acpc``, ``templateGrid``), and template mm at the points of that grid,
        float32 (X, Y, Z, 3), NaN beyond the map.
    """
    grid, scale = fields.grid, TEMPLATE_STEP_MM / fields.grid.voxel_sizes_mm
    shape = [int(np.ceil(n / s)) + 1 for n, s in zip(grid.shape, scale, strict=True)]
    affine = grid.affine @ np.diag([*scale, 1.0])
    coarse = Grid((shape[0], shape[1], shape[2]), affine)
    there = np.asarray(to_template(coarse.centres_mm().reshape(-1, 3)), dtype=np.float32)
    matrix = acpc_of(to_template, near_mm)
    plain = {
        "acpc": None if matrix is None else matrix.tolist(),
        "templateGrid": _grid(coarse),
    }
    return plain, there.reshape(*coarse.shape, 3)


def what_if_scene(scene: Scene, fields: Fields, limits: Limits) -> dict[str, object]:
    """Return grids, limits and whole counts."""
    second = None if scene.target.focus is not None else "rate, amygdala"
    return {
        "whole": [int(np.count_nonzero(part)) for part in (scene.wanted, scene.second)],
        "names": {
            "rate": f"rate, {scene.target.rated.removeprefix('the ')}",
            "second": second,
            "outside": "heated outside both" if second else f"heated outside {scene.target.whole}",
        },
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


def _vessel_bytes(scene: Scene, fields: Fields) -> npt.NDArray[np.uint8]:
    """Distance to the nearest vessel on the window of the fields, as bytes of their shape."""
    assert scene.vessels is not None
    to_scene = np.linalg.inv(scene.grid.affine) @ fields.grid.affine
    low = np.rint(to_scene[:3, 3]).astype(int)
    window = tuple(slice(a, a + n) for a, n in zip(low, fields.grid.shape, strict=True))
    return _bytes(distance_mm(scene.vessels, scene.grid)[window])


def _border_mm(scene: Scene) -> npt.NDArray[np.float32]:
    """Outermost voxel centres of the sinuses: the nearest one is always among them."""
    if scene.sinus is None:
        return np.empty((0, 3), np.float32)
    border = scene.sinus & ~ndimage.binary_erosion(scene.sinus)
    return apply_affine(scene.grid.affine, np.argwhere(border)).astype(np.float32)
