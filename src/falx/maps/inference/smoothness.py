"""How smooth a map's noise is: full width at half maximum, resels, roughness.

Two estimators are in use and disagree by a few percent; a cluster probability is only what it
claims to be with the one it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from falx.core.errors import InputError, check_range
from falx.images.smooth import FWHM_PER_SIGMA

__all__ = [
    "FslSmoothness",
    "SpmSmoothness",
    "fsl_smoothness",
    "resel_counts",
    "roughness_correction",
    "spm_smoothness",
]

_FOUR_LOG2 = 4.0 * np.log(2.0)
_LARGEST_CORRELATION = 0.99999999


@dataclass(frozen=True, eq=False)
class SpmSmoothness:
    """Smoothness from the derivatives of residuals.

    Parameters
    ----------
    fwhm_voxels
        Shape (3,).
    resels_per_voxel
        Shape (X, Y, Z): local roughness, for non-stationary extents; zero where a forward
        neighbour is missing.
    """

    fwhm_voxels: npt.NDArray[np.float64]
    resels_per_voxel: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FslSmoothness:
    """Smoothness from the correlation of neighbouring voxels.

    Parameters
    ----------
    fwhm_voxels
        Shape (3,).
    dlh
        Square root of the determinant of the roughness matrix, per voxel.
    n_voxels
        Voxels of the mask.
    """

    fwhm_voxels: npt.NDArray[np.float64]
    dlh: float
    n_voxels: int


def spm_smoothness(
    residuals: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], dof: int
) -> SpmSmoothness:
    """Smoothness of standardised residuals by forward differences.

    Parameters
    ----------
    residuals
        Shape (n, V): residual over its standard deviation, for the V voxels of `mask`.
    dof
        Residual degrees of freedom; the roughness is scaled by n / dof.

    References
    ----------
    Kiebel et al. 1999, NeuroImage 10:756; Worsley 1996 for the geometry of resels.
    """
    _check(residuals, mask)
    inner = np.zeros_like(mask)
    inner[:-1, :-1, :-1] = (
        mask[:-1, :-1, :-1] & mask[1:, :-1, :-1] & mask[:-1, 1:, :-1] & mask[:-1, :-1, 1:]
    )
    _require_inner(inner)
    volume = np.zeros(mask.shape)
    roughness = np.zeros((6, np.count_nonzero(inner)))
    for values in residuals:
        volume[mask] = values
        d = [(np.roll(volume, -1, axis) - volume)[inner] for axis in range(3)]
        for k, (i, j) in enumerate(_PAIRS):
            roughness[k] += d[i] * d[j]
    roughness /= dof
    xx, yy, zz, xy, xz, yz = roughness
    determinant = xx * (yy * zz - yz**2) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    per_voxel = np.sqrt(np.maximum(determinant, 0.0) / _FOUR_LOG2**3)
    widths = np.sqrt(np.stack([xx, yy, zz]) / _FOUR_LOG2).mean(axis=1)
    inverse = per_voxel.mean() ** (1 / 3) * widths / np.prod(widths) ** (1 / 3)
    local = np.zeros(mask.shape)
    local[inner] = per_voxel
    return SpmSmoothness(1.0 / inverse, local)


_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def fsl_smoothness(
    images: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], dof: float | None = None
) -> FslSmoothness:
    """Smoothness from lag-one correlations, as FSL and DPABI estimate it.

    Parameters
    ----------
    images
        Shape (n, V): residuals, or one z map with n = 1, for the V voxels of `mask`.
    dof
        Residual degrees of freedom of residuals; their heavier tails then raise the
        roughness by sqrt(lambda), see :func:`roughness_correction`. None for a z map.

    References
    ----------
    Flitney and Jenkinson 2000, FMRIB technical report TR00DF1.
    """
    _check(images, mask)
    inner = np.zeros_like(mask)
    inner[1:, 1:, 1:] = (
        mask[1:, 1:, 1:] & mask[:-1, 1:, 1:] & mask[1:, :-1, 1:] & mask[1:, 1:, :-1]
    )
    _require_inner(inner)
    values = np.asarray(images, dtype=np.float64)
    if dof is not None:
        values = values - values.mean(axis=0)
        values /= values.std(axis=0, ddof=1)
    volume = np.zeros(mask.shape)
    product, square = np.zeros(3), np.zeros(3)
    for row in values:
        volume[mask] = row
        here = volume[inner]
        for axis in range(3):
            lower = np.roll(volume, 1, axis)[inner]
            product[axis] += here @ lower
            square[axis] += 0.5 * (here @ here + lower @ lower)
    correlation = np.minimum(np.abs(product / square), _LARGEST_CORRELATION)
    variance = -1.0 / (4.0 * np.log(correlation))
    dlh = float(np.prod(variance) ** -0.5 / np.sqrt(8.0))
    if dof is not None:
        dlh *= float(np.sqrt(roughness_correction(dof)))
    return FslSmoothness(FWHM_PER_SIGMA * np.sqrt(variance), dlh, int(np.count_nonzero(mask)))


@lru_cache(maxsize=64)
def roughness_correction(dof: float) -> float:
    """Return lambda, the excess roughness of a t field turned into z, by integration.

    Notes
    -----
    ``∫ (t² + v - 1)² / ((v - 1)(v - 2)) ψ(t)³ / φ(z(t))² dt`` with the t density ψ and the
    normal density φ at the quantile of equal probability (Kiebel et al. 1999, equation 16).
    Computed in logarithms, with t = sinh(s) to reach far tails at few degrees of freedom.

    Examples
    --------
    >>> round(roughness_correction(20), 7)
    1.0632924
    """
    v = check_range("degrees of freedom", dof, 4.0, 1e7)
    constant = special.gammaln((v + 1) / 2) - special.gammaln(v / 2) - 0.5 * np.log(v * np.pi)

    def integrand(s: float) -> float:
        t = np.sinh(s)
        log_density = constant - (v + 1) / 2 * np.log1p(t * t / v)
        z = special.ndtri_exp(_log_t_tail(t, v))
        log_normal = -0.5 * z * z - 0.5 * np.log(2 * np.pi)
        weight = 2 * np.log(t * t + v - 1) - np.log((v - 1) * (v - 2))
        return float(np.exp(weight + 3 * log_density - 2 * log_normal) * np.cosh(s))

    half, _ = scipy.integrate.quad(integrand, 0.0, np.arcsinh(_reach(v)), epsabs=1e-12, limit=400)
    return float(2.0 * half)


def _log_t_tail(t: float, v: float) -> float:
    """Logarithm of P(T > t), by the incomplete beta function."""
    tail = 0.5 * float(special.betainc(v / 2, 0.5, v / (v + t * t)))
    return float(np.log(tail)) if tail > 0 else -np.inf


def _reach(v: float) -> float:
    """Largest |t| that matters: the tails are heavy at few degrees of freedom."""
    return 1e5 if v < 7 else 60.0


def resel_counts(
    mask: npt.NDArray[np.bool_], fwhm_voxels: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Resel counts R0 to R3 of a search volume.

    Parameters
    ----------
    mask
        Shape (X, Y, Z).
    fwhm_voxels
        One width, or one per axis.

    References
    ----------
    Worsley et al. 1996, Hum Brain Mapp 4:58, table 2.

    Examples
    --------
    >>> resel_counts(np.ones((2, 2, 2), bool), 2.0)
    array([1.   , 1.5  , 0.75 , 0.125])
    """
    r = 1.0 / np.broadcast_to(np.asarray(fwhm_voxels, dtype=np.float64), (3,))

    def both(field: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        return np.asarray(field[tuple(ahead)] & field[tuple(behind)])

    points = int(mask.sum())
    edges = [int(both(mask, i).sum()) for i in range(3)]
    pairs = ((1, 2), (0, 2), (0, 1))
    squares = [int(both(both(mask, i), j).sum()) for i, j in pairs]
    cubes = int(both(both(both(mask, 0), 1), 2).sum())
    r0 = points - sum(edges) + sum(squares) - cubes
    r1 = sum(
        (edges[i] - sum(squares[j] for j in range(3) if j != i) + cubes) * r[i] for i in range(3)
    )
    r2 = sum((squares[k] - cubes) * r[i] * r[j] for k, (i, j) in enumerate(pairs))
    return np.array([r0, r1, r2, cubes * np.prod(r)], dtype=np.float64)


def _check(images: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]) -> None:
    if images.ndim != 2 or images.shape[1] != np.count_nonzero(mask):
        raise InputError(
            "the images do not match the mask",
            found=f"shape {images.shape} and {np.count_nonzero(mask)} mask voxels",
            do="give images and mask on one grid",
        )


def _require_inner(inner: npt.NDArray[np.bool_]) -> None:
    if not inner.any():
        raise InputError(
            "the mask is too thin to estimate smoothness",
            found="no voxel with neighbours along all three axes",
            do="give a mask of at least three voxels along every axis",
        )
