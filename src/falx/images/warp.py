"""Deformations as plain coordinate maps: for every voxel, where its point lies elsewhere.

Deformations as maps of coordinates, which compose by sampling one at the other: Ashburner 2007,
NeuroImage 38:95.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image, load, save
from falx.images.resample import sample

__all__ = ["CoordinateMap", "load_map", "save_map"]


@dataclass(frozen=True, eq=False)
class CoordinateMap:
    """A map between two spaces, sampled on a grid of the first.

    Parameters
    ----------
    coordinates_mm
        Shape (X, Y, Z, 3): for every voxel of the grid, the world coordinate of the same
        anatomical point in the other space, RAS+ mm.
    affine
        4×4, of the grid on which the map is sampled.

    Notes
    -----
    Between samples the coordinates are interpolated linearly; beyond the grid the nearest
    displacement holds, so a map never wraps and never ends.
    """

    coordinates_mm: npt.NDArray[np.float32]
    affine: npt.NDArray[np.float64]

    @property
    def grid(self) -> Grid:
        """Grid on which the map is sampled."""
        x, y, z = self.coordinates_mm.shape[:3]
        return Grid((x, y, z), self.affine)

    def at(self, points_mm: npt.ArrayLike, *, threads: int = 1) -> npt.NDArray[np.float32]:
        """Map world points of shape (..., 3), mm."""
        points = np.asarray(points_mm, dtype=np.float64)
        inverse = np.linalg.inv(self.affine)
        voxels = apply_affine(inverse, points)
        for axis, n in enumerate(self.grid.shape):
            np.clip(voxels[..., axis], 0, n - 1, out=voxels[..., axis])
        held = apply_affine(self.affine, voxels)
        mapped = np.empty(points.shape, dtype=np.float32)
        for axis in range(3):
            component = Image(self.coordinates_mm[..., axis], self.affine)
            mapped[..., axis] = sample(component, held, threads=threads)
        return np.asarray(mapped + (points - held).astype(np.float32))

    def on(self, grid: Grid, *, threads: int = 1) -> npt.NDArray[np.float32]:
        """Sample the map at every voxel centre of another grid, shape (X, Y, Z, 3)."""
        return self.at(grid.centres_mm(), threads=threads)


def save_map(path: Path | str, mapping: CoordinateMap) -> None:
    """Write a map as a 4D NIfTI image whose last axis holds x, y, z in mm."""
    save(path, mapping.coordinates_mm, mapping.affine)


def load_map(path: Path | str) -> CoordinateMap:
    """Read a map written by :func:`save_map`."""
    image = load(path, ndim=4)
    if image.data.shape[3] != 3:
        raise InputError(
            "a coordinate map has three values a voxel",
            where=Path(path).name,
            found=f"{image.data.shape[3]}",
        )
    return CoordinateMap(image.data, image.affine)
