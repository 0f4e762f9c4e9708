"""Gaussian smoothing in millimetres.

Inside a mask the normalised convolution of Knutsson & Westin 1993 (Proc. CVPR, 515).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import check_range

__all__ = ["FWHM_PER_SIGMA", "smooth"]

FWHM_PER_SIGMA = float(np.sqrt(8.0 * np.log(2.0)))


def smooth(
    data: npt.NDArray[np.floating],
    voxel_sizes_mm: npt.ArrayLike,
    fwhm_mm: float | npt.ArrayLike,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float32]:
    """Convolve with a Gaussian of the given full width at half maximum.

    Parameters
    ----------
    data
        Shape (X, Y, Z).
    voxel_sizes_mm
        Shape (3,), mm.
    fwhm_mm
        One width, or one per axis, mm. Zero leaves the image unchanged.
    mask
        With a mask, values are averaged inside it only, ``G*(m I) / G*m``, and are zero
        outside; without one, the image is taken as zero beyond its border, so that the sum
        is kept away from it.
    """
    widths = np.broadcast_to(np.asarray(fwhm_mm, dtype=np.float64), (3,))
    for width in widths:
        check_range("fwhm_mm", float(width), 0.0, 100.0, unit="mm")
    sigma = widths / FWHM_PER_SIGMA / np.asarray(voxel_sizes_mm, dtype=np.float64)
    values = np.asarray(data, dtype=np.float32)
    if mask is None:
        return np.asarray(_gaussian(values, sigma))
    inside = mask.astype(np.float32)
    weight = _gaussian(inside, sigma)
    total = _gaussian(np.where(mask, values, np.float32(0)), sigma)
    return np.asarray(np.where(mask, total / np.maximum(weight, 1e-6), 0.0), dtype=np.float32)


def _gaussian(
    data: npt.NDArray[np.float32], sigma: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    return np.asarray(
        ndimage.gaussian_filter(data, sigma, mode="constant", truncate=4.0), dtype=np.float32
    )
