"""Cubic B-splines: coefficients by one small matrix an axis, values at any voxel position.

Unser 1999, IEEE Signal Process Mag 16(6):22, with mirrored ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.images.smooth import FWHM_PER_SIGMA

__all__ = [
    "axis_operators",
    "cubic_weights",
    "sample_spline",
    "spline_coefficients",
    "spline_value",
]


def axis_operators(
    shape: Sequence[int], fwhm_voxels: Sequence[float] = (0.0, 0.0, 0.0)
) -> tuple[npt.NDArray[np.float32], ...]:
    """Matrices that smooth along an axis and turn samples into spline coefficients.

    Returns
    -------
    tuple of ndarray
        Shape (n + 2, n) for every axis: the coefficients have a mirrored margin of one.
    """
    operators = []
    for n, fwhm in zip(shape, fwhm_voxels, strict=True):
        operator = np.eye(n)
        if fwhm > 0:
            sigma = fwhm / FWHM_PER_SIGMA
            operator = ndimage.gaussian_filter1d(operator, sigma, axis=0, mode="mirror")
        operator = ndimage.spline_filter1d(operator, order=3, axis=0, mode="mirror")
        margins = [operator[1:2], operator, operator[-2:-1]]
        operators.append(np.vstack(margins).astype(np.float32))
    return tuple(operators)


def spline_coefficients(
    volume: npt.NDArray[np.floating], operators: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Coefficients of a volume, shape (X + 2, Y + 2, Z + 2)."""
    out = np.asarray(volume, dtype=np.float32)
    for operator in operators:
        # Each turn filters the first axis and moves it to the end: three turns restore order.
        out = np.tensordot(out, operator, axes=(0, 1))
    return np.ascontiguousarray(out)


def sample_spline(
    coefficients: npt.NDArray[np.float32],
    voxels: npt.NDArray[np.float32],
    *,
    outside: float = np.nan,
) -> npt.NDArray[np.float32]:
    """Values at voxel positions of shape (N, 3); `outside` beyond the outermost centres.

    Examples
    --------
    >>> ramp = np.arange(5.0)[:, None, None] * np.ones((5, 5, 5))
    >>> c = spline_coefficients(ramp, axis_operators((5, 5, 5)))
    >>> sample_spline(c, np.array([[2.0, 1.5, 3.0]], np.float32)).round(4)
    array([2.], dtype=float32)
    """
    out = np.empty(len(voxels), np.float32)
    points = np.ascontiguousarray(voxels, dtype=np.float32)
    _sample(coefficients, points, np.float32(outside), out)
    return out


@numba.njit(cache=True, nogil=True, inline="always")
def cubic_weights(u, w):  # type: ignore[no-untyped-def]
    """Write the weights of the four samples around a point at fraction `u` into `w`."""
    v = 1 - u
    w[0] = v * v * v / 6
    w[1] = (4 - 3 * u * u * (2 - u)) / 6
    w[2] = (4 - 3 * v * v * (2 - v)) / 6
    w[3] = u * u * u / 6


@numba.njit(cache=True, nogil=True, inline="always")
def spline_value(coefficients, i, j, k, wx, wy, wz):  # type: ignore[no-untyped-def]
    """Weighted sum of the 4×4×4 coefficients from (i, j, k) on."""
    value = np.float32(0)
    for m in range(4):
        plane = np.float32(0)
        for n in range(4):
            row = coefficients[i + m, j + n]
            line = row[k] * wz[0] + row[k + 1] * wz[1]
            line += row[k + 2] * wz[2] + row[k + 3] * wz[3]
            plane += wy[n] * line
        value += wx[m] * plane
    return value


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})
def _sample(coefficients, voxels, outside, out):  # type: ignore[no-untyped-def]
    """Σ c[i + m, j + n, k + o] β(x - i - m) β(y - j - n) β(z - k - o), m, n, o = 0…3."""
    nx, ny, nz = coefficients.shape
    wx, wy, wz = np.empty(4, np.float32), np.empty(4, np.float32), np.empty(4, np.float32)
    for p in range(voxels.shape[0]):
        x, y, z = voxels[p, 0], voxels[p, 1], voxels[p, 2]
        if not (0 <= x <= nx - 3 and 0 <= y <= ny - 3 and 0 <= z <= nz - 3):
            out[p] = outside
            continue
        i, j, k = min(int(x), nx - 4), min(int(y), ny - 4), min(int(z), nz - 4)
        cubic_weights(x - np.float32(i), wx)
        cubic_weights(y - np.float32(j), wy)
        cubic_weights(z - np.float32(k), wz)
        out[p] = spline_value(coefficients, i, j, k, wx, wy, wz)
