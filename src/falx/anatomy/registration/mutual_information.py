"""Normalised mutual information of two images under a linear map, with its gradient.

NMI = (H(A) + H(B)) / H(A, B) (Studholme, Hill & Hawkes 1999, Pattern Recognition 32:71, eq. 7)
from a joint histogram with linear Parzen windows that is smoothed by a Gaussian. The gradient
with respect to the entries of the matrix is analytic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["BINS", "Evaluation", "nmi", "nmi_of_histogram"]

BINS = 64
HISTOGRAM_SIGMA = 0.75
"""Smoothing of the histogram in bins; SPM12's 7 of 256 bins FWHM is the same width."""

CHUNKS = 32
"""Samples are summed in this many chunks whatever the thread count, so that the sum is the
same for every thread count."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """NMI at one matrix.

    Parameters
    ----------
    value
        NMI, 1 (independent) to 2 (identical).
    gradient
        Shape (3, 4), derivative with respect to the upper rows of the voxel matrix.
    overlap
        Share of the samples that fall inside the moving image.
    """

    value: float
    gradient: npt.NDArray[np.float64]
    overlap: float


def nmi(
    points: npt.NDArray[np.float64],
    fixed_bins: npt.NDArray[np.float32],
    moving_bins: npt.NDArray[np.float32],
    to_voxel: npt.NDArray[np.float64],
) -> Evaluation:
    """NMI of samples of the fixed image with the moving image at mapped points.

    Parameters
    ----------
    points
        Shape (N, 3), sample positions in any frame.
    fixed_bins
        Shape (N,), intensity of the fixed image there, in histogram bins 0…BINS-1.
    moving_bins
        Shape (X, Y, Z), the moving image in histogram bins.
    to_voxel
        4×4, from the frame of the points to voxels of the moving image.
    """
    n = len(points)
    position = np.empty(n, np.float32)
    slope = np.empty((n, 3), np.float32)
    weight = np.empty(n, np.float32)
    face = np.zeros(n, np.int8)
    counts = np.zeros((CHUNKS, BINS, BINS))
    _fill(points, fixed_bins, moving_bins, to_voxel, position, slope, weight, face, counts)
    histogram = counts.sum(axis=0)
    overlap = float(histogram.sum() / max(n, 1))
    if overlap <= 0:
        return Evaluation(1.0, np.zeros((3, 4)), 0.0)
    value, sensitivity = nmi_of_histogram(histogram)
    gradients = np.zeros((CHUNKS, 3, 4))
    _back(points, fixed_bins, position, slope, weight, face, sensitivity, gradients)
    return Evaluation(value, gradients.sum(axis=0), overlap)


def nmi_of_histogram(
    histogram: npt.NDArray[np.float64],
) -> tuple[float, npt.NDArray[np.float64]]:
    """NMI of a joint histogram after smoothing, and its derivative by every count.

    Examples
    --------
    >>> round(nmi_of_histogram(np.ones((BINS, BINS)))[0], 6)
    1.0
    """
    smooth = _smoothed(histogram)
    total = smooth.sum()
    joint = smooth / total
    log_joint = _log(joint)
    log_fixed = _log(joint.sum(axis=1))
    log_moving = _log(joint.sum(axis=0))
    h_joint = -float((joint * log_joint).sum())
    h_sum = -float((joint * (log_fixed[:, None] + log_moving[None, :])).sum())
    if h_joint <= 0:
        return 1.0, np.zeros_like(histogram)
    by_probability = (h_sum / h_joint) * (log_joint + 1.0) / h_joint
    by_probability -= (log_fixed[:, None] + log_moving[None, :] + 2.0) / h_joint
    by_count = (by_probability - (joint * by_probability).sum()) / total
    # Gaussian smoothing with reflecting borders is its own adjoint.
    return h_sum / h_joint, _smoothed(by_count)


def _smoothed(histogram: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(histogram, HISTOGRAM_SIGMA, mode="reflect"))


def _log(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.log(np.maximum(probability, 1e-12)))


@numba.njit(inline="always")
def _fade(x: float, last: float) -> tuple[float, int]:
    """Weight of a position along an axis and its slope: full inside, fading over a voxel."""
    if x < 1.0:
        return x, 1
    if x > last - 1.0:
        return last - x, -1
    return 1.0, 0


@numba.njit(parallel=True, cache=True, nogil=True)
def _fill(
    points: Any,
    fixed: Any,
    moving: Any,
    m: Any,
    position: Any,
    slope: Any,
    weight: Any,
    face: Any,
    counts: Any,
) -> None:
    """Sample the moving image and its gradient; add every sample to its chunk's histogram."""
    nx, ny, nz = moving.shape
    n = points.shape[0]
    chunks = counts.shape[0]
    for c in numba.prange(chunks):
        for s in range(c * n // chunks, (c + 1) * n // chunks):
            p, q, r = points[s, 0], points[s, 1], points[s, 2]
            x = m[0, 0] * p + m[0, 1] * q + m[0, 2] * r + m[0, 3]
            y = m[1, 0] * p + m[1, 1] * q + m[1, 2] * r + m[1, 3]
            z = m[2, 0] * p + m[2, 1] * q + m[2, 2] * r + m[2, 3]
            w, sign = _fade(x, nx - 1.0)
            side = 1 * sign
            wy, sign = _fade(y, ny - 1.0)
            if wy < w:
                w, side = wy, 2 * sign
            wz, sign = _fade(z, nz - 1.0)
            if wz < w:
                w, side = wz, 3 * sign
            if not w > 0.0:
                weight[s] = 0.0
                continue
            weight[s] = w
            face[s] = side
            i, j, k = int(x), int(y), int(z)
            u, v, t = x - i, y - j, z - k
            a000, a100 = moving[i, j, k], moving[i + 1, j, k]
            a010, a110 = moving[i, j + 1, k], moving[i + 1, j + 1, k]
            a001, a101 = moving[i, j, k + 1], moving[i + 1, j, k + 1]
            a011, a111 = moving[i, j + 1, k + 1], moving[i + 1, j + 1, k + 1]
            b00, b10 = a000 + u * (a100 - a000), a010 + u * (a110 - a010)
            b01, b11 = a001 + u * (a101 - a001), a011 + u * (a111 - a011)
            c0, c1 = b00 + v * (b10 - b00), b01 + v * (b11 - b01)
            value = c0 + t * (c1 - c0)
            low = (1 - v) * (a100 - a000) + v * (a110 - a010)
            high = (1 - v) * (a101 - a001) + v * (a111 - a011)
            slope[s, 0] = (1 - t) * low + t * high
            slope[s, 1] = (1 - t) * (b10 - b00) + t * (b11 - b01)
            slope[s, 2] = c1 - c0
            position[s] = value
            f = fixed[s]
            g, h = min(int(f), BINS - 2), min(int(value), BINS - 2)
            e, d = f - g, value - h
            counts[c, g, h] += w * (1 - e) * (1 - d)
            counts[c, g, h + 1] += w * (1 - e) * d
            counts[c, g + 1, h] += w * e * (1 - d)
            counts[c, g + 1, h + 1] += w * e * d


@numba.njit(parallel=True, cache=True, nogil=True)
def _back(
    points: Any,
    fixed: Any,
    position: Any,
    slope: Any,
    weight: Any,
    face: Any,
    by: Any,
    gradients: Any,
) -> None:
    """Carry the derivative by histogram count back to the entries of the voxel matrix."""
    n = points.shape[0]
    chunks = gradients.shape[0]
    step = np.empty((chunks, 3))
    for c in numba.prange(chunks):
        for s in range(c * n // chunks, (c + 1) * n // chunks):
            w = weight[s]
            if w == 0.0:
                continue
            f, value = fixed[s], position[s]
            g, h = min(int(f), BINS - 2), min(int(value), BINS - 2)
            e, d = f - g, value - h
            low = by[g, h] + e * (by[g + 1, h] - by[g, h])
            high = by[g, h + 1] + e * (by[g + 1, h + 1] - by[g, h + 1])
            push = w * (high - low)
            for axis in range(3):
                step[c, axis] = push * slope[s, axis]
            if face[s] != 0:
                axis = abs(face[s]) - 1
                step[c, axis] += np.sign(face[s]) * (low + d * (high - low))
            for axis in range(3):
                gradients[c, axis, 0] += step[c, axis] * points[s, 0]
                gradients[c, axis, 1] += step[c, axis] * points[s, 1]
                gradients[c, axis, 2] += step[c, axis] * points[s, 2]
                gradients[c, axis, 3] += step[c, axis]
