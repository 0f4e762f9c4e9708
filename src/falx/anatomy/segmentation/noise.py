"""How noisy an image is, and a less noisy copy where the noise would decide the fit.

The fit takes one voxel in every few, so that noise of a tenth of white matter leaves too little
in the likelihood to move the priors of an atrophic head as far as they must go. A mean over
similar neighbours (non-local means: Buades, Coll & Morel 2005, CVPR 2:60; blockwise in three
dimensions: Coupé et al. 2008, IEEE Trans Med Imaging 27:425) keeps borders and takes the noise.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["FLAT_NOISY", "NOISY", "denoised", "flat_noise", "noise_level"]

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


def denoised(data: Floats, mask: npt.NDArray[np.bool_], noise: float) -> Floats:
    """Mean of every voxel and its 26 neighbours, weighted by how alike their surroundings are.

    Parameters
    ----------
    data
        Shape (X, Y, Z).
    mask
        Shape (X, Y, Z); other voxels stay and do not count.
    noise
        Standard deviation of the noise.

    Notes
    -----
    Weights are exp(-max(d² - 2 s², 0) / s²), d² the mean squared difference of the two
    surroundings of 3 × 3 × 3 voxels and s the noise; the voxel itself has the largest of the
    others' weights. Voxels below three times the noise, which is air, stay.
    """
    if noise <= 0.0:
        return data
    padded = np.pad(data, 2, mode="edge")
    chosen = mask & (data > 3.0 * noise)
    return np.asarray(_similar_mean(padded, np.pad(mask, 2), chosen, np.float32(noise**2)))


@numba.njit(cache=True)
def _apart(image, a, b, c, p, q, r):  # type: ignore[no-untyped-def]
    """Mean squared difference of the 3 × 3 × 3 voxels around (a, b, c) and (p, q, r)."""
    total = np.float32(0.0)
    for u in range(-1, 2):
        for v in range(-1, 2):
            for w in range(-1, 2):
                d = image[a + u, b + v, c + w] - image[p + u, q + v, r + w]
                total += d * d
    return total / np.float32(27.0)


@numba.njit(cache=True, parallel=True)
def _similar_mean(image, known, chosen, variance):  # type: ignore[no-untyped-def]
    """Non-local means of the chosen voxels; `image` and `known` are two voxels wider a side."""
    nx, ny, nz = chosen.shape
    out = np.empty((nx, ny, nz), np.float32)
    for i in numba.prange(nx):
        for j in range(ny):
            for k in range(nz):
                a, b, c = i + 2, j + 2, k + 2
                own = image[a, b, c]
                out[i, j, k] = own
                if not chosen[i, j, k]:
                    continue
                total, weights, most = np.float32(0.0), np.float32(0.0), np.float32(0.0)
                for n in range(27):
                    p, q, r = a + n // 9 - 1, b + n // 3 % 3 - 1, c + n % 3 - 1
                    if n == 13 or not known[p, q, r]:
                        continue
                    beyond = _apart(image, a, b, c, p, q, r) - np.float32(2.0) * variance
                    weight = np.exp(-max(beyond, np.float32(0.0)) / variance)
                    total += weight * image[p, q, r]
                    weights += weight
                    most = max(most, weight)
                if weights > 0.0:
                    out[i, j, k] = (total + most * own) / (weights + most)
    return out
