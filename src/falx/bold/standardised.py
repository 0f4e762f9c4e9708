"""Maps of regional homogeneity that can be compared between people: z and share of the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.bold.reho import RehoMap
from falx.errors import InputError
from falx.images.smooth import smooth

__all__ = ["mreho", "relative", "standardise", "zreho"]

_Volume = npt.NDArray[np.float64]
_Scale = Callable[[_Volume, npt.NDArray[np.bool_]], _Volume]


def standardise(
    values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return z = (value - mean) / sd within the mask, sd with n - 1; zero outside.

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
        )
    out = np.zeros(values.shape)
    out[mask] = (inside - inside.mean()) / spread
    return out


def relative(
    values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return value / mean within the mask; zero outside.

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
        )
    out = np.zeros(values.shape)
    out[mask] = inside / mean
    return out


def zreho(
    reho: RehoMap,
    voxel_sizes_mm: npt.ArrayLike,
    *,
    fwhm_mm: float = 6.0,
    standardise_first: bool = True,
    within_mask: bool = False,
) -> npt.NDArray[np.float64]:
    """Standardise and smooth a ReHo map; zero outside its mask.

    Parameters
    ----------
    standardise_first
        DPABI standardises first and smooths the result (its szReHo), the default.
    within_mask
        Average inside the mask only, so that values do not fade towards its border.
    """
    smoothed = _Smoothing(voxel_sizes_mm, fwhm_mm, within_mask)
    return smoothed.around(standardise, reho, scale_first=standardise_first)


def mreho(
    reho: RehoMap,
    voxel_sizes_mm: npt.ArrayLike,
    *,
    fwhm_mm: float = 6.0,
    standardise_first: bool = True,
    within_mask: bool = False,
) -> npt.NDArray[np.float64]:
    """Divide a ReHo map by its mean and smooth it (DPABI's smReHo); zero outside its mask.

    Parameters are those of :func:`zreho`.
    """
    smoothed = _Smoothing(voxel_sizes_mm, fwhm_mm, within_mask)
    return smoothed.around(relative, reho, scale_first=standardise_first)


@dataclass(frozen=True, eq=False)
class _Smoothing:
    """Smoothing of a map that is scaled before or after."""

    voxel_sizes_mm: npt.ArrayLike
    fwhm_mm: float
    within_mask: bool

    def around(self, scale: _Scale, reho: RehoMap, *, scale_first: bool) -> _Volume:
        mask = reho.computed
        if scale_first:
            return self._smooth(scale(reho.w, mask), mask)
        return scale(self._smooth(reho.w, mask), mask)

    def _smooth(self, values: _Volume, mask: npt.NDArray[np.bool_]) -> _Volume:
        only = mask if self.within_mask else None
        result = smooth(values, self.voxel_sizes_mm, self.fwhm_mm, mask=only)
        return np.where(mask, result, 0.0).astype(np.float64)
