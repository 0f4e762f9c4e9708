"""Sampling images at world coordinates: one interpolation from source to target.

Kernels as in the survey of Lehmann, Gönner & Spitzer 1999 (IEEE TMI 18:1049): nearest, linear,
and the cubic B-spline with prefilter.
"""

from __future__ import annotations

from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid, apply_affine
from falx.core.threads import kernel_threads
from falx.images.nifti import Image

__all__ = ["Interpolation", "pull", "resample", "sample"]

Interpolation = Literal["nearest", "linear", "cubic"]


def sample(
    image: Image,
    points_mm: npt.ArrayLike,
    *,
    how: Interpolation = "linear",
    outside: float = 0.0,
    threads: int = 1,
) -> npt.NDArray[Any]:
    """Values of an image at world coordinates.

    Parameters
    ----------
    image
        Shape (X, Y, Z).
    points_mm
        Shape (..., 3), RAS+ mm.
    how
        ``nearest`` for labels (keeps the type), ``linear`` for PET and probabilities,
        ``cubic`` (B-spline) for anatomical images.
    outside
        Value of points outside the field of view (beyond half a voxel from its border).
    threads
        Used by ``linear`` only; the result does not depend on it.

    Returns
    -------
    ndarray
        Shape (...), float32 unless `how` is ``nearest``.
    """
    points = np.asarray(points_mm)
    flat = points.reshape(-1, 3)
    to_voxel = np.linalg.inv(image.affine)
    if how == "linear":
        data = np.ascontiguousarray(image.data, dtype=np.float32)
        with kernel_threads(threads):
            values = _trilinear(data, np.ascontiguousarray(flat), to_voxel, np.float32(outside))
        return np.asarray(values.reshape(points.shape[:-1]))
    voxels = apply_affine(to_voxel, flat)
    inside = np.all((voxels >= -0.5) & (voxels <= np.array(image.data.shape) - 0.5), axis=1)
    if how == "nearest":
        index = np.rint(voxels).astype(np.int64)
        index = np.clip(index, 0, np.array(image.data.shape) - 1)
        values = image.data[index[:, 0], index[:, 1], index[:, 2]]
        values = np.where(inside, values, image.data.dtype.type(outside))
    else:
        values = ndimage.map_coordinates(
            np.asarray(image.data, dtype=np.float32), voxels.T, order=3, mode="nearest"
        )
        values = np.where(inside, values, np.float32(outside))
    return np.asarray(values.reshape(points.shape[:-1]))


def pull(
    image: Image,
    map_mm: npt.NDArray[np.floating],
    *,
    matrix: npt.NDArray[np.floating] | None = None,
    how: Interpolation = "linear",
    outside: float = 0.0,
    threads: int = 1,
) -> npt.NDArray[Any]:
    """Bring an image through a deformation with one interpolation.

    Parameters
    ----------
    map_mm
        Shape (X, Y, Z, 3): for every voxel of the target, the world coordinate in the space
        of the deformation's source (for example native T1w mm for every template voxel).
    matrix
        4×4, from that space to the image's own world space (for example T1w mm to PET mm);
        identity if absent.
    """
    points = map_mm if matrix is None else apply_affine(matrix, map_mm)
    return sample(image, points, how=how, outside=outside, threads=threads)


def resample(
    image: Image,
    grid: Grid,
    *,
    matrix: npt.NDArray[np.floating] | None = None,
    how: Interpolation = "linear",
    outside: float = 0.0,
    threads: int = 1,
) -> npt.NDArray[Any]:
    """Bring an image onto a grid (X, Y, Z), through `matrix` (4×4, grid's mm to image's mm)."""
    return pull(image, grid.centres_mm(), matrix=matrix, how=how, outside=outside, threads=threads)


@numba.njit(parallel=True, cache=True, nogil=True)
def _trilinear(data, points, to_voxel, outside):  # type: ignore[no-untyped-def]
    """Trilinear values; a point within half a voxel beyond the border takes the border's."""
    nx, ny, nz = data.shape
    out = np.empty(points.shape[0], np.float32)
    for n in numba.prange(points.shape[0]):
        p, q, r = points[n, 0], points[n, 1], points[n, 2]
        x = to_voxel[0, 0] * p + to_voxel[0, 1] * q + to_voxel[0, 2] * r + to_voxel[0, 3]
        y = to_voxel[1, 0] * p + to_voxel[1, 1] * q + to_voxel[1, 2] * r + to_voxel[1, 3]
        z = to_voxel[2, 0] * p + to_voxel[2, 1] * q + to_voxel[2, 2] * r + to_voxel[2, 3]
        if not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5):
            out[n] = outside
            continue
        x = min(max(x, 0.0), nx - 1.0)
        y = min(max(y, 0.0), ny - 1.0)
        z = min(max(z, 0.0), nz - 1.0)
        i, j, k = int(x), int(y), int(z)
        u, v, w = x - i, y - j, z - k
        i1, j1, k1 = min(i + 1, nx - 1), min(j + 1, ny - 1), min(k + 1, nz - 1)
        low = (1 - u) * (1 - v) * data[i, j, k] + u * (1 - v) * data[i1, j, k]
        low += (1 - u) * v * data[i, j1, k] + u * v * data[i1, j1, k]
        high = (1 - u) * (1 - v) * data[i, j, k1] + u * (1 - v) * data[i1, j, k1]
        high += (1 - u) * v * data[i, j1, k1] + u * v * data[i1, j1, k1]
        out[n] = (1 - w) * low + w * high
    return out
