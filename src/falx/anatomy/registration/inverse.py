"""Inversion and Jacobian determinants of coordinate maps.

Newton's method on the map between its nodes; the determinant is the change of volume of
Ashburner & Friston 2000 (NeuroImage 11:805).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import locate
from falx.core.grid import Grid
from falx.images.warp import CoordinateMap

__all__ = ["inverse_map", "jacobian_determinants"]

Floats = npt.NDArray[np.float32]

NEWTON_STEPS = 20
TOLERANCE_MM = 5e-3


def jacobian_determinants(mapping: CoordinateMap) -> npt.NDArray[np.float64]:
    """Change of volume by a map at every node: above one where it expands.

    Parameters
    ----------
    mapping
        Sampled on a grid of shape (X, Y, Z), each at least 2.

    Returns
    -------
    ndarray
        Shape (X, Y, Z): det of the derivative of the mapped coordinate by the coordinate,
        from central differences inside and one-sided ones on the border.
    """
    by_voxel = _determinants(np.ascontiguousarray(mapping.coordinates_mm))
    return np.asarray(by_voxel / np.linalg.det(mapping.affine[:3, :3]))


def inverse_map(
    mapping: CoordinateMap, start: npt.NDArray[np.float64], grid: Grid
) -> CoordinateMap:
    """Invert a map onto a grid of its target space by Newton steps.

    Parameters
    ----------
    mapping
        From native mm to template mm.
    start
        4×4, an affine approximation of `mapping`.
    grid
        Grid in the template space, shape (X, Y, Z).

    Returns
    -------
    CoordinateMap
        Native mm for every voxel of `grid`. Beyond the native field of view the displacement
        of the border holds.
    """
    native = np.linalg.inv(start)
    result = _newton(
        grid.shape,
        np.array(grid.affine),
        native,
        mapping.coordinates_mm,
        mapping.affine,
        np.linalg.inv(mapping.affine),
    )
    return CoordinateMap(result, grid.affine)


@numba.njit(cache=True, parallel=True)
def _determinants(mapped):  # type: ignore[no-untyped-def]
    """Take the determinant of the differences of `mapped` (X, Y, Z, 3) around every node."""
    nx, ny, nz, _ = mapped.shape
    out = np.empty((nx, ny, nz))
    for i in numba.prange(nx):
        d = np.empty((3, 3))
        a, b = max(i - 1, 0), min(i + 1, nx - 1)
        for j in range(ny):
            p, q = max(j - 1, 0), min(j + 1, ny - 1)
            for k in range(nz):
                s, t = max(k - 1, 0), min(k + 1, nz - 1)
                for c in range(3):
                    d[0, c] = (float(mapped[b, j, k, c]) - mapped[a, j, k, c]) / (b - a)
                    d[1, c] = (float(mapped[i, q, k, c]) - mapped[i, p, k, c]) / (q - p)
                    d[2, c] = (float(mapped[i, j, t, c]) - mapped[i, j, s, c]) / (t - s)
                first = d[1, 1] * d[2, 2] - d[1, 2] * d[2, 1]
                second = d[1, 0] * d[2, 2] - d[1, 2] * d[2, 0]
                third = d[1, 0] * d[2, 1] - d[1, 1] * d[2, 0]
                out[i, j, k] = d[0, 0] * first - d[0, 1] * second + d[0, 2] * third
    return out


@numba.njit(cache=True, parallel=True)
def _newton(shape, to_mm, native, field, affine, to_node):  # type: ignore[no-untyped-def]
    """Solve map(x) = y at every voxel y, with the affine part's inverse as Jacobian.

    Along a column every voxel starts with the deviation from affine of the one before it.
    """
    nx, ny, nz = shape
    out = np.empty((nx, ny, nz, 3), np.float32)
    for i in numba.prange(nx):
        x, y = np.empty(3), np.empty(3)
        first, mapped, node = np.empty(3), np.empty(3), np.empty(3)
        deviation = np.zeros(3)
        for j in range(ny):
            deviation[:] = 0.0
            for k in range(nz):
                for a in range(3):
                    y[a] = to_mm[a, 0] * i + to_mm[a, 1] * j + to_mm[a, 2] * k + to_mm[a, 3]
                for a in range(3):
                    first[a] = native[a, 3]
                    for b in range(3):
                        first[a] += native[a, b] * y[b]
                    x[a] = first[a] + deviation[a]
                for _ in range(NEWTON_STEPS):
                    _map_at(field, affine, to_node, x, node, mapped)
                    worst = 0.0
                    for a in range(3):
                        mapped[a] = y[a] - mapped[a]
                        worst = max(worst, abs(mapped[a]))
                        for b in range(3):
                            x[b] += native[b, a] * mapped[a]
                    if worst < TOLERANCE_MM:
                        break
                for a in range(3):
                    out[i, j, k, a] = x[a]
                    deviation[a] = x[a] - first[a]
    return out


@numba.njit(cache=True)
def _map_at(field, affine, to_node, point, node, out):  # type: ignore[no-untyped-def]
    """Trilinear map of a point; beyond the grid the border's displacement holds."""
    for a in range(3):
        node[a] = to_node[a, 3]
        for b in range(3):
            node[a] += to_node[a, b] * point[b]
    i, u, _ = locate(node[0], field.shape[0])
    j, v, _ = locate(node[1], field.shape[1])
    k, w, _ = locate(node[2], field.shape[2])
    held = (i + u, j + v, k + w)
    for c in range(3):
        total = 0.0
        for di in range(2):
            for dj in range(2):
                for dk in range(2):
                    weight = (u if di else 1 - u) * (v if dj else 1 - v) * (w if dk else 1 - w)
                    total += weight * field[i + di, j + dj, k + dk, c]
        on_border = affine[c, 3]
        for b in range(3):
            on_border += affine[c, b] * held[b]
        out[c] = total + (point[c] - on_border)
