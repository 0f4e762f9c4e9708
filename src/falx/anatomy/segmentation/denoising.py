"""A less noisy copy of an image whose noise would decide the fit.

Two steps, each by what the other lacks (Manjón et al. 2012, Med Image Anal 16:18). Cosines of
overlapping blocks, small coefficients set to zero (Guleryuz 2007, IEEE Trans Image Process
16:3020), follow thin sheets such as the cortex but leave ripples. A mean over similar neighbours
(non-local means: Buades, Coll & Morel 2005, CVPR 2:60) leaves none, if what is similar is read
from that first copy and not from the noise. Noise raises dark magnitudes (Gudbjartsson & Patz
1995, Magn Reson Med 34:910): the expectation of the square is the signal's and twice the
variance, which is taken off.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import i0e, i1e

__all__ = ["denoised", "mean_magnitude"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]

EDGE = 4
"""Voxels along the edge of a block of cosines."""

LEAST = 2.0
"""Coefficients below this, in standard deviations of the noise, are set to zero."""

REACH = 2
"""Neighbours up to this many voxels away along each axis are averaged."""

ALIKE = 0.3
"""Difference in the first copy at which a neighbour counts less, in SD of the noise."""

AIR = 1.6
"""Mean of 3 × 3 × 3 voxels, in SD of the noise, up to which they are air: air has 1.25 ± .13."""

AROUND = 2 * EDGE - 1
"""Edge, in voxels, of the surroundings from which what was not measured is filled."""

HALF = np.float32(0.5)
LONG, SHORT = (np.float32(f(np.pi / 8.0) / np.sqrt(2.0)) for f in (np.cos, np.sin))
"""Values of the four cosines (DCT-II, orthonormal) of a row of four."""


def denoised(data: Floats, mask: Mask, noise: float) -> Floats:
    """Image with most of its noise taken and its borders kept.

    Parameters
    ----------
    data
        Shape (X, Y, Z), magnitudes.
    mask
        Shape (X, Y, Z); other voxels stay and do not count.
    noise
        Standard deviation of the noise in each channel.

    Notes
    -----
    Every voxel becomes the root mean square of its neighbours, less the noise's share, with the
    weights exp(-(d² + 3 m²) / 8 h²): d and m are differences, in the first copy, of the voxels and
    of their surroundings' means, h is 0.3 of the noise. Air stays.
    """
    if noise <= 0.0:
        return data
    known = _filled(data, mask)
    chosen = mask & (ndimage.uniform_filter(known, 3) > AIR * noise)
    guide = _signal(_by_cosines(known, chosen, LEAST * noise), noise)
    pad = [(REACH, REACH)] * 3
    squares = _mean_square(
        np.pad(data, pad),
        np.pad(guide, pad),
        np.pad(ndimage.uniform_filter(guide, 3), pad),
        np.pad(mask, pad),
        chosen,
        np.float32(1.0 / (8.0 * (ALIKE * noise) ** 2)),
    )
    signal = np.sqrt(np.maximum(squares - np.float32(2.0 * noise**2), np.float32(0.0)))
    return np.asarray(np.where(chosen, signal, data), dtype=np.float32)


def _filled(data: Floats, mask: Mask) -> Floats:
    """Image whose voxels that were not measured have the mean of those around that were."""
    if mask.all():
        return data
    inside = np.where(mask, data, np.float32(0.0))
    share = ndimage.uniform_filter(mask.astype(np.float32), AROUND)
    around = ndimage.uniform_filter(inside, AROUND) / np.maximum(share, np.float32(1e-3))
    return np.asarray(np.where(mask, data, around), dtype=np.float32)


def mean_magnitude(signal: Vector, noise: float) -> Vector:
    """Mean of the noisy magnitudes of signals of any shape, after Rice (see the module)."""
    power = (np.asarray(signal, dtype=np.float64) / noise) ** 2 / 2.0
    bent = (1.0 + power) * i0e(power / 2.0) + power * i1e(power / 2.0)
    return np.asarray(noise * np.sqrt(np.pi / 2.0) * bent)


def _signal(means: Floats, noise: float) -> Floats:
    """Signals whose expected magnitudes these are; above ten times the noise by its square."""
    table = np.linspace(0.0, 10.0 * noise, 1001)
    high = np.sqrt(np.maximum(means**2 - np.float32(noise**2), np.float32(0.0)))
    low = np.interp(means, mean_magnitude(table, noise), table)
    return np.asarray(np.where(means > table[-1], high, low), dtype=np.float32)


def _by_cosines(data: Floats, chosen: Mask, least: float) -> Floats:
    """Mean, over all blocks that hold a voxel, of the blocks without their small coefficients.

    Blocks without any `chosen` voxel are left out; what no block holds stays.
    """
    pad = [(EDGE, EDGE)] * 3
    padded = np.pad(data, pad, mode="reflect")
    sums, weights = _without_small(padded, np.pad(chosen, pad), np.float32(least))
    inside = (slice(EDGE, -EDGE),) * 3
    smooth = sums[inside] / np.maximum(weights[inside], np.float32(1e-9))
    return np.asarray(np.where(weights[inside] > 0.0, smooth, data))


@numba.njit(cache=True)
def _first_of_row(axis, n):  # type: ignore[no-untyped-def]
    """Where row n of 16 along an axis begins in a flat block of 4 × 4 × 4, and its step."""
    if axis == 0:
        return n, 16
    if axis == 1:
        return n // 4 * 16 + n % 4, 4
    return 4 * n, 1


@numba.njit(cache=True)
def _to_cosines(block):  # type: ignore[no-untyped-def]
    """Cosine transform of a flat block of 4 × 4 × 4, in place."""
    for axis in range(3):
        for n in range(16):
            a, step = _first_of_row(axis, n)
            b, c, d = a + step, a + 2 * step, a + 3 * step
            outer, inner = block[a] + block[d], block[b] + block[c]
            wide, narrow = block[a] - block[d], block[b] - block[c]
            block[a], block[c] = HALF * (outer + inner), HALF * (outer - inner)
            block[b], block[d] = LONG * wide + SHORT * narrow, SHORT * wide - LONG * narrow


@numba.njit(cache=True)
def _from_cosines(block):  # type: ignore[no-untyped-def]
    """Inverse of :func:`_to_cosines`, in place."""
    for axis in range(3):
        for n in range(16):
            a, step = _first_of_row(axis, n)
            b, c, d = a + step, a + 2 * step, a + 3 * step
            outer, inner = HALF * (block[a] + block[c]), HALF * (block[a] - block[c])
            wide = LONG * block[b] + SHORT * block[d]
            narrow = SHORT * block[b] - LONG * block[d]
            block[a], block[d] = outer + wide, outer - wide
            block[b], block[c] = inner + narrow, inner - narrow


@numba.njit(cache=True)
def _read(image, chosen, x, y, z, block):  # type: ignore[no-untyped-def]
    """Copy the block at (x, y, z) to a flat one, and tell whether any voxel is chosen."""
    wanted = False
    for n in range(64):
        i, j, k = x + n // 16, y + n // 4 % 4, z + n % 4
        block[n] = image[i, j, k]
        wanted |= chosen[i, j, k]
    return wanted


@numba.njit(cache=True)
def _without_small_ones(block, least):  # type: ignore[no-untyped-def]
    """Set small coefficients but the mean to zero; the weight is larger the fewer are left."""
    left = np.float32(2.0)
    for n in range(1, 64):
        if abs(block[n]) < least:
            block[n] = np.float32(0.0)
        else:
            left += np.float32(1.0)
    return np.float32(1.0) / left


@numba.njit(cache=True, parallel=True)
def _without_small(image, chosen, least):  # type: ignore[no-untyped-def]
    """Weighted sums of the thresholded blocks at every voxel, and sums of their weights.

    Blocks of one of the 64 offsets do not overlap: the sums' order does not know of threads.
    """
    sums, weights = np.zeros_like(image), np.zeros_like(image)
    nx, ny, nz = image.shape
    for offset in range(64):
        a, b, c = offset // 16, offset // 4 % 4, offset % 4
        for row in numba.prange((nx - a) // 4):
            block = np.empty(64, np.float32)
            for column in range((ny - b) // 4):
                for place in range((nz - c) // 4):
                    x, y, z = a + 4 * row, b + 4 * column, c + 4 * place
                    if not _read(image, chosen, x, y, z, block):
                        continue
                    _to_cosines(block)
                    weight = _without_small_ones(block, least)
                    _from_cosines(block)
                    for n in range(64):
                        i, j, k = x + n // 16, y + n // 4 % 4, z + n % 4
                        sums[i, j, k] += weight * block[n]
                        weights[i, j, k] += weight
    return sums, weights


@numba.njit(cache=True, parallel=True)
def _mean_square(image, guide, means, known, chosen, sharpness):  # type: ignore[no-untyped-def]
    """Mean square of each chosen voxel's similar neighbours; images but `chosen` are padded."""
    nx, ny, nz = chosen.shape
    out = np.zeros((nx, ny, nz), np.float32)
    wide = 2 * REACH + 1
    for i in numba.prange(nx):
        for j in range(ny):
            for k in range(nz):
                if not chosen[i, j, k]:
                    continue
                own = guide[i + REACH, j + REACH, k + REACH]
                mean = means[i + REACH, j + REACH, k + REACH]
                total, weights = np.float32(0.0), np.float32(0.0)
                for p in range(i, i + wide):
                    for q in range(j, j + wide):
                        for r in range(k, k + wide):
                            apart, about = guide[p, q, r] - own, means[p, q, r] - mean
                            unlike = (apart * apart + np.float32(3.0) * about * about) * sharpness
                            if unlike < np.float32(8.0) and known[p, q, r]:
                                weight = np.exp(-unlike)
                                total += weight * image[p, q, r] * image[p, q, r]
                                weights += weight
                out[i, j, k] = total / weights
    return out
