"""The hull of a labelled brain: its sulci, and the inner skull around it with its normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid, apply_affine
from falx.surgery.tracks.scene import PLACES, Mask, distance_mm

__all__ = ["SKULL_GAP_MM", "Surface", "brain_hull", "brain_of_labels", "skull_surface", "sulci"]

NOT_BRAIN = (0, 24, 165, 257, 258, 259)
HIGHEST_BRAIN_LABEL = 255

CLOSING_MM = 4.0
SULCUS_DEPTH_MM = 3.0
SKULL_GAP_MM = 5.0
NORMAL_SIGMA_MM = 3.0


@dataclass(frozen=True, eq=False)
class Surface:
    """Points on the skull and their outward unit normals, both of shape (N, 3), mm."""

    points_mm: npt.NDArray[np.float64]
    outward: npt.NDArray[np.float64]


def brain_of_labels(values: npt.NDArray[np.integer]) -> Mask:
    """Voxels of the brain and its ventricles in FreeSurfer numbers of shape (X, Y, Z)."""
    cortex = (values >= 1000) & (values < 3000)
    low = (values <= HIGHEST_BRAIN_LABEL) & ~np.isin(values, NOT_BRAIN)
    return np.asarray(low | cortex)


def brain_hull(brain: Mask, grid: Grid, *, closing_mm: float = CLOSING_MM) -> Mask:
    """Brain with its sulci filled: a morphological closing by a ball."""
    grown = distance_mm(brain, grid) <= closing_mm
    return np.asarray(distance_mm(~grown, grid) > closing_mm)


def sulci(brain: Mask, hull: Mask, grid: Grid, *, depth_mm: float = SULCUS_DEPTH_MM) -> Mask:
    """Return what the hull fills between gyri, deeper than `depth_mm` below its surface.

    The shallower part is the space over the gyri, which every track must cross.
    """
    return np.asarray(hull & ~brain & (distance_mm(~hull, grid) > depth_mm))


def skull_surface(hull: Mask, grid: Grid, *, gap_mm: float = SKULL_GAP_MM) -> Surface:
    """Inner skull taken as the hull grown by `gap_mm`; normals from its smoothed distance."""
    distance = distance_mm(hull, grid)
    step_mm = float(grid.voxel_sizes_mm.max())
    shell = np.argwhere((distance > gap_mm - step_mm) & (distance <= gap_mm))
    smooth = ndimage.gaussian_filter(
        distance, NORMAL_SIGMA_MM / grid.voxel_sizes_mm, mode="nearest", truncate=3.0
    )
    # The gradient in voxels becomes one in mm by the inverse transpose of the axes.
    slope = np.stack([np.asarray(part)[tuple(shell.T)] for part in np.gradient(smooth)], axis=1)
    outward = slope @ np.linalg.inv(grid.affine[:3, :3])
    length = np.linalg.norm(outward, axis=1)
    steep = length > 1e-6
    points = np.round(apply_affine(grid.affine, shell[steep]), PLACES)
    return Surface(points, outward[steep] / length[steep, None])
