"""How series go together: degree centrality, mirror connectivity, connectivity of a seed.

Buckner et al. 2009, J Neurosci 29:1860, and Zuo et al. 2012, Cereb Cortex 22:1862 (degree); Zuo et
al. 2010, J Neurosci 30:15034 (voxel-mirrored homotopic connectivity); Biswal et al. 1995, Magn
Reson Med 34:537 (seed). Correlations r are turned into atanh(r) (Fisher 1921, Metron 1:3).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_range
from falx.core.grid import Grid
from falx.core.threads import blas_threads, over_blocks

__all__ = ["LARGEST_R", "degree", "mirrored", "seeded", "unit_series"]

LARGEST_R = 1.0 - 1e-7
"""Correlations are cut off here, so that a voxel of the seed has a finite z."""

_ROWS = 256


def unit_series(
    series: npt.NDArray[np.floating], kept: npt.NDArray[np.floating] | None = None
) -> npt.NDArray[np.float32]:
    """Series of shape (V, T) with mean zero and length one, in as few numbers as they need.

    Parameters
    ----------
    kept
        Shape (T, r): orthonormal basis in which the series lie, such as
        :attr:`falx.bold.cleaning.CleaningBasis.kept`; products of their r coefficients are
        those of the series. None takes the series as they are.

    Returns
    -------
    ndarray
        Shape (V, r) or (V, T); zero for a series that is constant.
    """
    wide = np.asarray(series, dtype=np.float64)
    wide = wide - wide.mean(axis=1, keepdims=True)
    if kept is not None:
        with blas_threads(1):
            wide = wide @ kept
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1e-12, wide / np.maximum(length, 1e-12), 0), np.float32)


def degree(
    unit: npt.NDArray[np.float32], *, least_r: float = 0.25, threads: int = 1
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Sum and number of correlations above a threshold, with every other voxel.

    Parameters
    ----------
    unit
        Shape (V, r) from :func:`unit_series`.

    Returns
    -------
    weighted, binary
        Shape (V,) each.

    Examples
    --------
    >>> series = np.array([[1.0, -1, 0], [2, -2, 0], [-1, 1, 0]])
    >>> weighted, binary = degree(unit_series(series))
    >>> weighted.round(4), binary
    (array([1., 1., 0.]), array([1, 1, 0]))
    """
    check_range("least correlation", least_r, 0.0, 1.0)
    weighted, binary = np.empty(len(unit)), np.empty(len(unit), np.int64)
    across = np.ascontiguousarray(unit.T)

    def add(rows: slice) -> None:
        _above(unit[rows] @ across, least_r, rows.start, weighted[rows], binary[rows])

    with blas_threads(1):
        over_blocks(add, len(unit), block=_ROWS, threads=threads)
    return weighted, binary


@numba.njit(cache=True, nogil=True)
def _above(r, least, first, weighted, binary):  # type: ignore[no-untyped-def]
    """Add up what exceeds the threshold in every row, but for the voxel itself."""
    for i in range(r.shape[0]):
        total, count = 0.0, 0
        for j in range(r.shape[1]):
            if r[i, j] > least and j != first + i:
                total += r[i, j]
                count += 1
        weighted[i], binary[i] = total, count


def mirrored(
    unit: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], grid: Grid
) -> npt.NDArray[np.float64]:
    """Correlate every voxel with the one at (-x, y, z), as atanh(r), shape (V,).

    NaN in the plane x = 0 and where the mirrored voxel lies outside the mask. Both sides hold
    the same value: the measure has no side.

    Parameters
    ----------
    unit
        Shape (V, r): the voxels of `mask`.
    mask
        Shape (X, Y, Z), on `grid`, whose first axis runs along x and is centred at x = 0.
    """
    x_mm = grid.affine[0, 0] * np.arange(mask.shape[0]) + grid.affine[0, 3]
    along_x = np.count_nonzero(grid.affine[0, :3]) == 1 and not grid.affine[1:3, 0].any()
    if not along_x or not np.allclose(x_mm, -x_mm[::-1], atol=1e-3):
        raise InputError(
            "the grid is not symmetric about x = 0 mm",
            found=f"x from {x_mm[0]:g} to {x_mm[-1]:g} mm",
            do="sample the run on the template's own grid",
        )
    rows = np.full(mask.shape, -1)
    rows[mask] = np.arange(len(unit))
    other = rows[::-1][mask]
    r = np.einsum("vr,vr->v", unit, unit[other], dtype=np.float64)
    off_middle = np.broadcast_to((np.abs(x_mm) > 1e-3)[:, None, None], mask.shape)[mask]
    return np.where(
        (other >= 0) & off_middle, np.arctanh(np.clip(r, -LARGEST_R, LARGEST_R)), np.nan
    )


def seeded(
    series: npt.NDArray[np.floating],
    unit: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    kept: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.float64]:
    """Correlate every voxel with the mean series of a seed, as atanh(r), shape (V,).

    Parameters
    ----------
    series, unit
        Shapes (V, T) and (V, r), from :func:`unit_series` with the same `kept`.
    inside
        Shape (V,): voxels of the seed.

    Raises
    ------
    InputError
        If no voxel lies in the seed.
    """
    if not inside.any():
        raise InputError(
            "no voxel of the run lies in the seed",
            do="move the seed into the covered brain, or widen it",
        )
    mean = unit_series(series[inside].mean(axis=0, dtype=np.float64)[None], kept)[0]
    r = np.einsum("vr,r->v", unit, mean, dtype=np.float64)
    return np.asarray(np.arctanh(np.clip(r, -LARGEST_R, LARGEST_R)))
