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
BRIGHT_PERCENTILE = 90.0

NOISY = 0.085
"""Noise, as a share of the bright tissue's intensity, above which the fit sees a denoised copy.
With 3 % noise the borders alone give .064 at 1.25 mm; a real head of 0.88 mm has .040, and 9 %
noise .11."""

FLAT_NOISY = 0.06
"""The same where the image is flat: coarse voxels are all border, and 3 % noise looks like 10 % at
2.5 mm. Two heads with 3 % noise have .029 to .047 at 1 to 2.5 mm, with 9 % .083 to .117."""

FLAT_SHARE = 1.0
"""Per cent of the brighter half that counts as flat. More gives the same, .031 and .088 to .101
with 3 and 9 % noise at 1.5 mm, unless air is as bright as tissue, as in MP2RAGE: it is nine tenths
of what is bright, and with a tenth of that as flat 3 % of noise looked like 28 %."""

THICK = 2.0
"""Voxels that are longer than this times their shortest edge have no neighbours along that edge:
slices of 6 mm, whose noise is 2 %, looked like 11 %, and like 16 % where they are flat."""

ISOTROPIC = (1.0, 1.0, 1.0)


def noise_level(
    data: Floats, mask: npt.NDArray[np.bool_], voxel_sizes_mm: npt.ArrayLike = ISOTROPIC
) -> tuple[float, float]:
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
    voxel_sizes_mm
        Shape (3,); across slices that are much thicker there are no neighbours.
    """
    thinned = data[::2, :, :]
    rest = _residual(data, voxel_sizes_mm)[::2]
    chosen = _brighter_half(thinned, mask[::2])
    if not chosen.any():
        return 0.0, 0.0
    spread = float(np.median(np.abs(rest[chosen]))) / MAD_PER_SD
    bright = float(np.percentile(thinned[chosen], BRIGHT_PERCENTILE))
    return spread, bright


def flat_noise(
    data: Floats, mask: npt.NDArray[np.bool_], voxel_sizes_mm: npt.ArrayLike = ISOTROPIC
) -> float:
    """Estimate the standard deviation of the noise from where the image is flattest.

    As :func:`noise_level`, from the hundredth of the brighter half in which the image, smoothed by
    one voxel, is least steep. The smooth slope is nearly independent of the residual, so that
    choosing by it does not choose little noise.

    Parameters
    ----------
    data
        Shape (X, Y, Z).
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    voxel_sizes_mm
        Shape (3,), as in :func:`noise_level`.
    """
    chosen = _brighter_half(data, mask)
    if not chosen.any():
        return 0.0
    smooth = ndimage.gaussian_filter(data, 1.0)
    steepness = np.zeros_like(smooth)
    for axis in range(3):
        steepness += np.gradient(smooth, axis=axis) ** 2
    flat = chosen & (steepness <= np.percentile(steepness[chosen], FLAT_SHARE))
    return float(np.median(np.abs(_residual(data, voxel_sizes_mm)[flat]))) / MAD_PER_SD


def _brighter_half(data: Floats, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels of more than half the intensity of the brightest that were measured."""
    if not mask.any():
        return mask
    return np.asarray(mask & (data > 0.5 * float(np.percentile(data[mask], 99.0))))


def _residual(data: Floats, voxel_sizes_mm: npt.ArrayLike) -> Floats:
    """Every voxel less the mean of its neighbours, scaled to the variance of the noise."""
    sizes = np.asarray(voxel_sizes_mm, dtype=np.float64)
    axes = np.flatnonzero(sizes <= THICK * sizes.min())
    count = 2 * len(axes)
    kernel = np.zeros((3, 3, 3), dtype=np.float32)
    for axis in axes:
        for place in (0, 2):
            kernel[tuple(np.where(np.arange(3) == axis, place, 1))] = 1.0 / count
    rest = data - ndimage.convolve(data, kernel, mode="nearest")
    return np.asarray(rest * np.float32(np.sqrt(count / (count + 1.0))))
