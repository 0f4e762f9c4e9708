"""The samples to which the model is fitted: a coarse grid over the native image.

A few per cent of the voxels determine the model (Ashburner & Friston 2005, NeuroImage 26:839).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt

from falx.core.grid import Grid
from falx.images.nifti import Image

__all__ = ["Samples", "block_means", "take_samples"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Voxels on a regular sub-grid of an image.

    Parameters
    ----------
    values
        Shape (n,), intensities.
    nodes
        Shape (n, 3), int32, position of every sample on `grid`.
    grid
        The sub-grid. Its axes are the image's, its spacing is an integer multiple.
    stride
        Image voxels per node along each axis.
    """

    values: npt.NDArray[np.float32]
    nodes: npt.NDArray[np.int32]
    grid: Grid
    stride: tuple[int, int, int]

    @property
    def mm3_each(self) -> float:
        """Volume of head that a sample stands for, mm³."""
        return self.grid.voxel_volume_mm3

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """Place of every sample in a raveled array of the grid's shape, shape (n,)."""
        return np.asarray(np.ravel_multi_index(tuple(self.nodes.T), self.grid.shape))

    def of(self, volume: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Values (n,) of a volume of the grid's shape at every sample."""
        return np.asarray(volume.ravel().take(self.places))


def take_samples(
    image: Image, sampling_mm: float, *, mask: npt.NDArray[np.bool_] | None = None
) -> Samples:
    """Take every voxel that is about `sampling_mm` from the last, inside `mask` (X, Y, Z).

    The values are those of single voxels: averaging would narrow the noise and blur the
    tissue classes.
    """
    stride = _stride(image.grid, sampling_mm)
    corner = tuple(slice(None, None, n) for n in stride)
    values = np.asarray(image.data[corner], dtype=np.float32)
    chosen = np.ones(values.shape, dtype=bool) if mask is None else mask[corner]
    nodes = np.argwhere(chosen).astype(np.int32)
    grid = _subgrid(image.grid, values.shape, stride, offset=0.0)
    return Samples(np.ascontiguousarray(values[chosen]), nodes, grid, stride)


def block_means(image: Image, sampling_mm: float) -> Samples:
    """Average blocks of about `sampling_mm`; every voxel counts."""
    stride = _stride(image.grid, sampling_mm)
    shape = [n // s for n, s in zip(image.grid.shape, stride, strict=True)]
    data = np.asarray(image.data, dtype=np.float32)
    values = _means(data, stride, (shape[0], shape[1], shape[2]))
    nodes = np.argwhere(np.ones(values.shape, dtype=bool)).astype(np.int32)
    grid = _subgrid(image.grid, values.shape, stride, offset=0.5)
    return Samples(values.ravel(), nodes, grid, stride)


@numba.njit(cache=True, parallel=True)
def _means(data, stride, shape):  # type: ignore[no-untyped-def]
    """Mean of every block of `stride` voxels, shape `shape`, added along z, then y, then x."""
    nx, ny, nz = shape
    p, q, r = stride
    means = np.empty((nx, ny, nz), np.float32)
    for i in numba.prange(nx):
        row = np.empty(nz)
        for j in range(ny):
            row[:] = 0.0
            for a in range(i * p, (i + 1) * p):
                for b in range(j * q, (j + 1) * q):
                    for k in range(nz):
                        for c in range(k * r, (k + 1) * r):
                            row[k] += data[a, b, c]
            for k in range(nz):
                means[i, j, k] = row[k] / (p * q * r)
    return means


def _stride(grid: Grid, sampling_mm: float) -> tuple[int, int, int]:
    x, y, z = np.maximum(1, np.rint(sampling_mm / grid.voxel_sizes_mm)).astype(int)
    return int(x), int(y), int(z)


def _subgrid(
    grid: Grid, shape: tuple[int, ...], stride: tuple[int, int, int], *, offset: float
) -> Grid:
    steps = np.array(stride, dtype=np.float64)
    to_voxel = np.diag([*steps, 1.0])
    to_voxel[:3, 3] = offset * (steps - 1.0)
    x, y, z = shape
    return Grid((x, y, z), grid.affine @ to_voxel)
