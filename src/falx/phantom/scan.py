"""Scanners: where the head lies in them, and the grid of their own that they measure on.

No published source: rigid motion and sampling.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image

__all__ = ["rescan", "rigid", "scanner_grid"]


def rigid(
    rng: np.random.Generator, *, shift_mm: float = 15.0, turn_degrees: float = 10.0
) -> npt.NDArray[np.float64]:
    """Random rigid matrix about the origin, shape (4, 4).

    The shift is at most `shift_mm` long, and so is the turn at most `turn_degrees` about a
    random axis.
    """
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    angle = np.deg2rad(turn_degrees) * rng.uniform(-1, 1)
    cross = np.cross(np.eye(3), axis)
    direction = rng.standard_normal(3)
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix[:3, 3] = shift_mm * rng.uniform(0, 1) * direction / np.linalg.norm(direction)
    return matrix


def scanner_grid(head: Grid, matrix: npt.NDArray[np.floating], voxel_mm: npt.ArrayLike) -> Grid:
    """Axis-aligned grid in scanner mm, centred on the head's field of view and of its size.

    Parameters
    ----------
    matrix
        4×4, head mm to scanner mm.
    voxel_mm
        Voxel edges, mm; shape (3,).
    """
    voxel = np.asarray(voxel_mm, dtype=np.float64)
    shape = np.ceil(np.array(head.shape) * head.voxel_sizes_mm / voxel).astype(int)
    centre = apply_affine(head.affine, 0.5 * (np.array(head.shape) - 1))
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = apply_affine(matrix, centre) - 0.5 * (shape - 1) * voxel
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def rescan(
    values: npt.NDArray[np.generic],
    grid: Grid,
    matrix: npt.NDArray[np.floating],
    voxel_mm: npt.ArrayLike,
) -> Image:
    """Sample a head image on a scanner's own grid; masks and labels by nearest neighbour.

    Parameters
    ----------
    values
        Shape (X, Y, Z), on `grid` (head mm). Floats are interpolated by cubic splines.
    matrix
        4×4, head mm to scanner mm.
    """
    own = scanner_grid(grid, matrix, voxel_mm)
    to_voxel = np.linalg.inv(grid.affine) @ np.linalg.inv(matrix)
    points = np.moveaxis(apply_affine(to_voxel, own.centres_mm()), -1, 0)
    if np.issubdtype(values.dtype, np.floating):
        return Image(ndimage.map_coordinates(values, points, order=3), own.affine)
    sampled = ndimage.map_coordinates(values.astype(np.float32), points, order=0)
    return Image(sampled.astype(values.dtype), own.affine)
