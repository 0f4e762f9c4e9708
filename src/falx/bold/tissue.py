"""Signals of white matter and CSF, which hold little that is neural: means or components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.bold.confounds import polynomial_trends
from falx.core.errors import InputError, check_range, notify
from falx.core.threads import blas_threads

__all__ = ["MOST_COMPONENTS", "TissueSignals", "tissue_signals", "tissue_voxels"]

LEAST_TISSUE_VOXELS = 20
MOST_COMPONENTS = 50
FLAT = 1e-7
"""What is left of a series beside its trend counts as rounding below this share of it."""

RANK_TOLERANCE = 1e-10
"""Components with less than this share of the first one's variance are rounding."""

_BLOCK = 2048


@dataclass(frozen=True, eq=False)
class TissueSignals:
    """What one tissue adds to the nuisance signals.

    Parameters
    ----------
    columns
        Shape (T, P): the mean series, or principal components of unit norm.
    voxels
        How many series were used.
    explained_percent
        Share of the tissue's variance in each component; empty for the mean.
    """

    columns: npt.NDArray[np.float64]
    voxels: int
    explained_percent: tuple[float, ...] = ()


def tissue_voxels(
    fraction: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    *,
    threshold: float,
    name: str,
) -> npt.NDArray[np.bool_]:
    """Voxels of a tissue away from its borders, as rows of the series of `mask`, shape (V,).

    Parameters
    ----------
    fraction
        Shape (X, Y, Z): tissue fraction on the grid of `mask`.
    threshold
        Least fraction; the voxels are then eroded by one, unless hardly anything is left.
    """
    inside = (fraction > threshold) & mask
    eroded = ndimage.binary_erosion(inside)
    if np.count_nonzero(eroded) >= LEAST_TISSUE_VOXELS:
        inside = eroded
    elif np.count_nonzero(inside) >= LEAST_TISSUE_VOXELS:
        notify(
            f"the {name} mask is too thin to erode and is used whole",
            found=f"{np.count_nonzero(inside)} voxels",
        )
    else:
        raise InputError(
            f"there is too little {name} for a nuisance signal",
            found=f"{np.count_nonzero(inside)} voxels above {threshold:g}",
            do="lower the threshold or check the segmentation",
        )
    return np.asarray(inside[mask])


def tissue_signals(
    series: npt.NDArray[np.floating],
    *,
    n_components: int = 0,
    trend_order: int = 1,
    name: str = "tissue",
) -> TissueSignals:
    """Mean series of a tissue, or its first principal components (CompCor).

    Parameters
    ----------
    series
        Shape (V, T), of the voxels of the tissue.
    n_components
        Zero for the mean.
    trend_order
        Order of the polynomial that is taken out of every series before its components.

    Notes
    -----
    Mean and trend are taken out of every voxel's series, which is then scaled to unit norm,
    so that no voxel counts more than another. Of two opposite components that with the
    positive largest entry is meant. Sums run in one fixed order, on one thread.

    References
    ----------
    Behzadi et al. 2007, NeuroImage 37:90, with components of white matter and CSF apart.

    Examples
    --------
    >>> wave = np.sin(np.arange(40.0))
    >>> found = tissue_signals(np.outer([1.0, -2.0, 3.0], wave) + 100.0, n_components=1)
    >>> round(found.explained_percent[0], 6)
    100.0
    """
    check_range("compcor_components", n_components, 0, MOST_COMPONENTS)
    if n_components == 0:
        return TissueSignals(series.mean(axis=0, dtype=np.float64)[:, None], len(series))
    with blas_threads(1):
        covariance, used = _covariance(series, trend_order)
        variance, vectors = np.linalg.eigh(covariance)
    rank = int(np.count_nonzero(variance > RANK_TOLERANCE * variance[-1])) if used else 0
    if rank < n_components:
        raise InputError(
            f"the {name} has fewer independent signals than components are asked for",
            found=f"{rank} of {n_components} in {len(series)} voxels",
            do="lower compcor_components",
        )
    columns = vectors[:, : -n_components - 1 : -1]
    largest = columns[np.abs(columns).argmax(axis=0), np.arange(n_components)]
    share = 100.0 * variance[: -n_components - 1 : -1] / used
    return TissueSignals(columns * np.sign(largest), used, tuple(share.tolist()))


def _covariance(
    series: npt.NDArray[np.floating], trend_order: int
) -> tuple[npt.NDArray[np.float64], int]:
    """Sum over voxels of r r', r the series without trend and of norm one, and their number."""
    n = series.shape[1]
    trend, _ = np.linalg.qr(polynomial_trends(n, trend_order))
    total, used = np.zeros((n, n)), 0
    for start in range(0, len(series), _BLOCK):
        block = np.asarray(series[start : start + _BLOCK], dtype=np.float64)
        rest = block - (block @ trend) @ trend.T
        norm = np.linalg.norm(rest, axis=1)
        varies = norm > FLAT * np.linalg.norm(block, axis=1)
        rest = rest[varies] / norm[varies, None]
        total += rest.T @ rest
        used += len(rest)
    return total, used
