"""Normalised mutual information of two images under a linear map, with its gradient.

NMI = (H(A) + H(B)) / H(A, B) (Studholme, Hill & Hawkes 1999, Pattern Recognition 32:71, eq. 7)
from a joint histogram with linear Parzen windows that is smoothed by a Gaussian. The gradient
with respect to the entries of the matrix is analytic.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """Weight of a position along an axis and its slope: min(1, x, last - x)."""
    if x < 1.0:
        return x, 1
    if x > last - 1.0:
        return last - x, -1
    return 1.0, 0


@numba.njit(parallel=True, cache=True, nogil=True)
def _fill(points, fixed, moving, m, position, slope, weight, face, counts):  # type: ignore[no-untyped-def]
    """Sample the moving image and its gradient; add every sample to its chunk's histogram.

    With voxel position x = M p, fractions (fx, fy, fz) within the cell and its eight corners,
    value(x) = Σ corner · Π (f or 1 - f), and slope = d value / d x. A sample of weight w adds
    w (1 - |a - A|) (1 - |b - B|) to the count of the four bins (A, B) around its intensities
    (a, b) (Maes et al. 1997, IEEE TMI 16:187, with linear windows in intensity).
    """
    nx, ny, nz = moving.shape
    n = points.shape[0]
    chunks = counts.shape[0]
    for c in numba.prange(chunks):
        for s in range(c * n // chunks, (c + 1) * n // chunks):
            px, py, pz = points[s, 0], points[s, 1], points[s, 2]
            x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
            y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
            z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
            # The nearest face of the image decides how far a sample has faded.
            w, sign = _fade(x, nx - 1.0)
            side = 1 * sign
            along_y, sign = _fade(y, ny - 1.0)
            if along_y < w:
                w, side = along_y, 2 * sign
            along_z, sign = _fade(z, nz - 1.0)
            if along_z < w:
                w, side = along_z, 3 * sign
            if not w > 0.0:
                weight[s] = 0.0
                continue
            weight[s] = w
            face[s] = side
            i, j, k = int(x), int(y), int(z)
            fx, fy, fz = x - i, y - j, z - k
            # Corners, named by their place along x, y, z: 0 the lower neighbour, 1 the upper.
            at_000, at_100 = moving[i, j, k], moving[i + 1, j, k]
            at_010, at_110 = moving[i, j + 1, k], moving[i + 1, j + 1, k]
            at_001, at_101 = moving[i, j, k + 1], moving[i + 1, j, k + 1]
            at_011, at_111 = moving[i, j + 1, k + 1], moving[i + 1, j + 1, k + 1]
            # Interpolated along x: the four edges by (y, z); along y: lower and upper plane.
            edge_00, edge_10 = at_000 + fx * (at_100 - at_000), at_010 + fx * (at_110 - at_010)
            edge_01, edge_11 = at_001 + fx * (at_101 - at_001), at_011 + fx * (at_111 - at_011)
            plane_0 = edge_00 + fy * (edge_10 - edge_00)
            plane_1 = edge_01 + fy * (edge_11 - edge_01)
            value = plane_0 + fz * (plane_1 - plane_0)
            along_x_0 = (1 - fy) * (at_100 - at_000) + fy * (at_110 - at_010)
            along_x_1 = (1 - fy) * (at_101 - at_001) + fy * (at_111 - at_011)
            slope[s, 0] = (1 - fz) * along_x_0 + fz * along_x_1
            slope[s, 1] = (1 - fz) * (edge_10 - edge_00) + fz * (edge_11 - edge_01)
            slope[s, 2] = plane_1 - plane_0
            position[s] = value
            row, column = min(int(fixed[s]), BINS - 2), min(int(value), BINS - 2)
            f_row, f_column = fixed[s] - row, value - column
            counts[c, row, column] += w * (1 - f_row) * (1 - f_column)
            counts[c, row, column + 1] += w * (1 - f_row) * f_column
            counts[c, row + 1, column] += w * f_row * (1 - f_column)
            counts[c, row + 1, column + 1] += w * f_row * f_column


@numba.njit(parallel=True, cache=True, nogil=True)
def _back(points, fixed, position, slope, weight, face, by, gradients):  # type: ignore[no-untyped-def]
    """Carry the derivative by histogram count back to the entries of the voxel matrix.

    The adjoint of :func:`_fill`, sample by sample, with S = d NMI / d count:
    d NMI / d M = Σ [w (d/db) S(a, b) d value/d x + S(a, b) d w/d x] pᵀ, p = (px, py, pz, 1),
    where S(a, b) is interpolated between the four bins as the counts were shared out
    (Thévenaz and Unser 2000, IEEE TIP 9:2083, for Parzen windows).
    """
    n = points.shape[0]
    chunks = gradients.shape[0]
    step = np.empty((chunks, 3))
    for c in numba.prange(chunks):
        for s in range(c * n // chunks, (c + 1) * n // chunks):
            w = weight[s]
            if w == 0.0:
                continue
            value = position[s]
            row, column = min(int(fixed[s]), BINS - 2), min(int(value), BINS - 2)
            f_row, f_column = fixed[s] - row, value - column
            left = by[row, column] + f_row * (by[row + 1, column] - by[row, column])
            right = by[row, column + 1] + f_row * (by[row + 1, column + 1] - by[row, column + 1])
            by_value = w * (right - left)
            for axis in range(3):
                step[c, axis] = by_value * slope[s, axis]
            if face[s] != 0:
                axis = abs(face[s]) - 1
                step[c, axis] += np.sign(face[s]) * (left + f_column * (right - left))
            for axis in range(3):
                gradients[c, axis, 0] += step[c, axis] * points[s, 0]
                gradients[c, axis, 1] += step[c, axis] * points[s, 1]
                gradients[c, axis, 2] += step[c, axis] * points[s, 2]
                gradients[c, axis, 3] += step[c, axis]
