"""Deformations as plain coordinate maps: for every voxel, where its point lies elsewhere.

Deformations as maps of coordinates, which compose by sampling one at the other: Ashburner 2007,
NeuroImage 38:95.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.core.threads import kernel_threads
from falx.images.nifti import load, save

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
        flat = np.ascontiguousarray(points.reshape(-1, 3))
        coordinates = np.ascontiguousarray(self.coordinates_mm, dtype=np.float32)
        affine = np.asarray(self.affine, dtype=np.float64)
        with kernel_threads(threads):
            mapped = _mapped(coordinates, flat, affine, np.linalg.inv(affine))
        return np.asarray(mapped.reshape(points.shape))

    def on(self, grid: Grid, *, threads: int = 1) -> npt.NDArray[np.float32]:
        """Sample the map at every voxel centre of another grid, shape (X, Y, Z, 3)."""
        return self.at(grid.centres_mm(), threads=threads)


@numba.njit(parallel=True, cache=True, nogil=True)
def _mapped(coordinates, points, affine, inverse):  # type: ignore[no-untyped-def]
    """Trilinear coordinates at the nearest place on the grid, and from there on to each point.

    In one go and in this order of sums: a product of matrices rounds as the processor likes.
    """
    nx, ny, nz = coordinates.shape[:3]
    out = np.empty(points.shape, np.float32)
    for n in numba.prange(points.shape[0]):
        p, q, r = points[n, 0], points[n, 1], points[n, 2]
        x = inverse[0, 0] * p + inverse[0, 1] * q + inverse[0, 2] * r + inverse[0, 3]
        y = inverse[1, 0] * p + inverse[1, 1] * q + inverse[1, 2] * r + inverse[1, 3]
        z = inverse[2, 0] * p + inverse[2, 1] * q + inverse[2, 2] * r + inverse[2, 3]
        if np.isnan(x) or np.isnan(y) or np.isnan(z):
            out[n] = np.nan
            continue
        x = min(max(x, 0.0), nx - 1.0)
        y = min(max(y, 0.0), ny - 1.0)
        z = min(max(z, 0.0), nz - 1.0)
        i, j, k = int(x), int(y), int(z)
        u, v, w = x - i, y - j, z - k
        i1, j1, k1 = min(i + 1, nx - 1), min(j + 1, ny - 1), min(k + 1, nz - 1)
        a, b, d, e = (1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v
        for c in range(3):
            low = a * coordinates[i, j, k, c] + b * coordinates[i1, j, k, c]
            low += d * coordinates[i, j1, k, c] + e * coordinates[i1, j1, k, c]
            high = a * coordinates[i, j, k1, c] + b * coordinates[i1, j, k1, c]
            high += d * coordinates[i, j1, k1, c] + e * coordinates[i1, j1, k1, c]
            held = affine[c, 0] * x + affine[c, 1] * y + affine[c, 2] * z + affine[c, 3]
            out[n, c] = np.float32((1 - w) * low + w * high) + np.float32(points[n, c] - held)
    return out


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
            do="give the map as falx writes it, x, y and z in mm along the last axis",
        )
    return CoordinateMap(image.data, image.affine)
