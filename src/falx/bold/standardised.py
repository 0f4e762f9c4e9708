"""Maps of a measure that can be compared between people: z and share of the mean.

Zang et al. 2004, NeuroImage 22:394, divide by the mean; the z map is that of DPABI.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.images.smooth import smooth

__all__ = ["as_it_is", "comparable", "relative", "standardise"]

Scale = Callable[[npt.NDArray[np.floating], npt.NDArray[np.bool_]], npt.NDArray[np.float64]]


def standardise(
    values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return z = (value - mean) / sd within the mask, sd with n - 1, in its shape; zero outside.

    Examples
    --------
    >>> standardise(np.array([1.0, 2.0, 3.0, 9.0]), np.array([True, True, True, False]))
    array([-1.,  0.,  1.,  0.])
    """
    inside = values[mask].astype(np.float64)
    spread = float(inside.std(ddof=1)) if inside.size > 1 else 0.0
    if spread <= 0.0:
        raise InputError(
            "a map that is constant inside its mask cannot be standardised",
            found=f"{inside.size} voxels, standard deviation {spread:g}",
            do="check the map and its mask, or choose no standardising",
        )
    out = np.zeros(values.shape)
    out[mask] = (inside - inside.mean()) / spread
    return out


def relative(
    values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return value / mean within the mask, in its shape; zero outside.

    Examples
    --------
    >>> relative(np.array([1.0, 2.0, 3.0, 9.0]), np.array([True, True, True, False]))
    array([0.5, 1. , 1.5, 0. ])
    """
    inside = values[mask].astype(np.float64)
    mean = float(inside.mean()) if inside.size else 0.0
    if mean <= 0.0:
        raise InputError(
            "a map without a positive mean inside its mask cannot be divided by it",
            found=f"{inside.size} voxels, mean {mean:g}",
            do="check the map and its mask, or choose another standardising",
        )
    out = np.zeros(values.shape)
    out[mask] = inside / mean
    return out


def as_it_is(
    values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return values within the mask, in their shape; zero outside. Correlations need no scale."""
    return np.where(mask, values, 0.0).astype(np.float64)


def comparable(
    values: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    voxel_sizes_mm: npt.ArrayLike,
    scale: Scale = standardise,
    *,
    fwhm_mm: float = 6.0,
    scale_first: bool = True,
    within_mask: bool = False,
) -> npt.NDArray[np.float64]:
    """Scale and smooth a map of a measure, shape (X, Y, Z); zero outside its mask.

    Parameters
    ----------
    scale
        :func:`standardise` (DPABI's szReHo), :func:`relative` (its smReHo) or :func:`as_it_is`.
    scale_first
        DPABI scales first and smooths the result, the default.
    within_mask
        Average inside the mask only, so that values do not fade towards its border.
    """

    def smoothed(some: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        only = mask if within_mask else None
        result = smooth(some, voxel_sizes_mm, fwhm_mm, mask=only)
        return np.where(mask, result, 0.0).astype(np.float64)

    return smoothed(scale(values, mask)) if scale_first else scale(smoothed(values), mask)
