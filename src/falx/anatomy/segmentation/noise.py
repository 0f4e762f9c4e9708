"""How noisy an image is.

Gasser, Sroka & Jennen-Steinmetz 1986 (Biometrika 73:625); in three dimensions Coupé et al. 2008
(IEEE Trans Med Imaging 27:425).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["FLAT_NOISY", "NOISY", "flat_noise", "noise_level"]

Floats = npt.NDArray[np.float32]

MAD_PER_SD = 0.6745
NEIGHBOURS = 6
RESIDUAL = float(np.sqrt(NEIGHBOURS / (NEIGHBOURS + 1.0)))
BRIGHT_PERCENTILE = 90.0

NOISY = 0.085
"""Noise, as a share of the bright tissue's intensity, above which the fit sees a denoised copy.
With 3 % noise the borders alone give .064 at 1.25 mm; a real head of 0.88 mm has .040, and 9 %
noise .11."""

FLAT_NOISY = 0.06
"""The same where the image is flat: coarse voxels are all border, and 3 % noise looks like 10 % at
2.5 mm. Two heads with 3 % noise have .029 to .047 at 1 to 2.5 mm, with 9 % .083 to .117."""

FLAT_SHARE = 10.0
"""Per cent of the brighter half that counts as flat."""


def noise_level(data: Floats, mask: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Estimate the standard deviation of the noise, and the intensity of bright tissue.

    The pseudo-residual √(6/7) (y - mean of the six neighbours) has the variance of the noise
    where the image is flat (Gasser, Sroka & Jennen-Steinmetz 1986, Biometrika 73:625; in three
    dimensions Coupé et al. 2008). Its median absolute deviation is taken over the brighter half
    of what was measured, where borders are few and Rician noise is nearly Gaussian.

    Parameters
    ----------
    data
        Shape (X, Y, Z).
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    """
    thinned = data[::2, :, :]
    rest = _residual(data)[::2]
    chosen = _brighter_half(thinned, mask[::2])
    if not chosen.any():
        return 0.0, 0.0
    spread = float(np.median(np.abs(rest[chosen]))) / MAD_PER_SD
    bright = float(np.percentile(thinned[chosen], BRIGHT_PERCENTILE))
    return spread * RESIDUAL, bright


def flat_noise(data: Floats, mask: npt.NDArray[np.bool_]) -> float:
    """Estimate the standard deviation of the noise from where the image is flattest.

    As :func:`noise_level`, from the tenth of the brighter half in which the image, smoothed by one
    voxel, is least steep. The smooth slope is nearly independent of the residual, so that choosing
    by it does not choose little noise.

    Parameters
    ----------
    data
        Shape (X, Y, Z).
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    """
    chosen = _brighter_half(data, mask)
    if not chosen.any():
        return 0.0
    smooth = ndimage.gaussian_filter(data, 1.0)
    steepness = np.zeros_like(smooth)
    for axis in range(3):
        steepness += np.gradient(smooth, axis=axis) ** 2
    flat = chosen & (steepness <= np.percentile(steepness[chosen], FLAT_SHARE))
    return float(np.median(np.abs(_residual(data)[flat]))) / MAD_PER_SD * RESIDUAL


def _brighter_half(data: Floats, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels of more than half the intensity of the brightest that were measured."""
    if not mask.any():
        return mask
    return np.asarray(mask & (data > 0.5 * float(np.percentile(data[mask], 99.0))))


def _residual(data: Floats) -> Floats:
    """Return every voxel less the mean of its six neighbours."""
    kernel = np.zeros((3, 3, 3), dtype=np.float32)
    kernel[[0, 2, 1, 1, 1, 1], [1, 1, 0, 2, 1, 1], [1, 1, 1, 1, 0, 2]] = 1.0 / NEIGHBOURS
    return np.asarray(data - ndimage.convolve(data, kernel, mode="nearest"))
