"""The linear model at every voxel: t, z, F and effect sizes (Hedges 1981, J Educ Stat 6:107)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from falx.core.errors import InputError
from falx.maps.design import Design, effect_space, partition
from falx.maps.unequal import welch
from falx.maps.welch_f import welch_f

__all__ = [
    "ContrastFit",
    "FFit",
    "check_data",
    "critical_t",
    "fit_contrast",
    "fit_f",
    "standardised_residuals",
    "t_to_z",
    "two_tailed",
]

_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class ContrastFit:
    """Least-squares fit of one contrast at every voxel; arrays of shape (V,).

    Parameters
    ----------
    estimate
        The contrast of the coefficients, in units of the data.
    t, z
        Student's t, or Welch's, and the normal quantile of equal probability.
    hedges_g
        Estimate over residual standard deviation, with the small-sample factor
        ``1 - 3 / (4 df - 1)``; Hedges' g where the contrast is a difference of means.
    p
        Probability of t, one-tailed, in the direction of its sign.
    dof
        Residual degrees of freedom; of Welch's t the median of Satterthwaite's over voxels.
    """

    estimate: npt.NDArray[np.float64]
    t: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]
    hedges_g: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    dof: float


@dataclass(frozen=True, eq=False)
class FFit:
    """F at every voxel with its probability, shape (V,) each, and its degrees of freedom.

    Parameters
    ----------
    dof_error
        Residual degrees of freedom; of Welch's F the median over voxels.
    """

    f: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    dof_effect: int
    dof_error: float


def fit_contrast(
    data: npt.NDArray[np.floating],
    design: Design,
    contrast: npt.NDArray[np.floating],
    groups: Sequence[str] | None = None,
) -> ContrastFit:
    """Fit one contrast by least squares.

    Parameters
    ----------
    data
        Shape (n, V).
    groups
        Group of every image, each with a variance of its own; one variance if None.

    Examples
    --------
    >>> from falx.maps.design import two_sample_design
    >>> design = two_sample_design(["a", "a", "a", "b", "b", "b"], "a", "b")
    >>> fit = fit_contrast(np.array([[1.0], [2], [3], [2], [3], [4]]), design, np.array([1, 0]))
    >>> round(float(fit.t[0]), 4), fit.dof
    (-1.2247, 4)
    """
    check_data(data, design)
    parts = partition(design, contrast)
    estimate, error = np.empty(data.shape[1]), np.empty(data.shape[1])
    length2 = float(parts.effect @ parts.effect)
    for start in range(0, data.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        rest = parts.residualise(data[:, block])
        estimate[block] = parts.effect @ rest / length2
        rest -= np.outer(parts.effect, estimate[block])
        error[block] = np.einsum("nv,nv->v", rest, rest)
    sd = np.sqrt(error / parts.dof)
    _check_spread(sd, data)
    t, dof = estimate * np.sqrt(length2) / sd, np.full(len(sd), float(parts.dof))
    if groups is not None:
        t, dof = welch(data, design, contrast, groups)
    small_sample = 1.0 - 3.0 / (4.0 * parts.dof - 1.0)
    p = np.asarray(special.stdtr(dof, -np.abs(t)))
    found_dof = parts.dof if groups is None else float(np.median(dof))
    return ContrastFit(estimate, t, t_to_z(t, dof), small_sample * estimate / sd, p, found_dof)


def fit_f(
    data: npt.NDArray[np.floating],
    design: Design,
    contrasts: npt.NDArray[np.floating],
    groups: Sequence[str] | None = None,
) -> FFit:
    """F test that all rows of `contrasts`, shape (q, p), are zero.

    Parameters
    ----------
    data
        Shape (n, V).
    groups
        Group of every image, each with a variance of its own (Welch's F); one variance if None.
    """
    check_data(data, design)
    effect, whole = effect_space(design, contrasts)
    dof_effect, dof_error = effect.shape[1], len(data) - whole.shape[1]
    wide = np.asarray(data, dtype=np.float64)
    wide = wide - wide.mean(axis=0) if _spans_constant(whole) else wide
    explained = ((effect.T @ wide) ** 2).sum(axis=0)
    error = (wide**2).sum(axis=0) - ((whole.T @ wide) ** 2).sum(axis=0)
    _check_spread(error, data)
    if groups is not None:
        f, dof = welch_f(wide, design, contrasts, groups)
        return FFit(
            f, np.asarray(special.fdtrc(dof_effect, dof, f)), dof_effect, float(np.median(dof))
        )
    f = (explained / dof_effect) / (error / dof_error)
    return FFit(f, np.asarray(special.fdtrc(dof_effect, dof_error, f)), dof_effect, dof_error)


def standardised_residuals(
    data: npt.NDArray[np.floating], design: Design
) -> npt.NDArray[np.float32]:
    """Residuals over their standard deviation, shape (n, V), for smoothness estimation."""
    check_data(data, design)
    u, s, _ = np.linalg.svd(design.matrix, full_matrices=False)
    basis = u[:, s > 1e-10 * s[0]]
    out = np.empty(data.shape, np.float32)
    for start in range(0, data.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        wide = np.asarray(data[:, block], dtype=np.float64)
        rest = wide - basis @ (basis.T @ wide)
        sd = np.sqrt((rest**2).sum(axis=0) / (len(data) - basis.shape[1]))
        _check_spread(sd, wide)
        out[:, block] = rest / sd
    return out


def t_to_z(t: npt.ArrayLike, dof: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn t, in any shape, into the z of equal tail probability, by the survival function.

    Examples
    --------
    >>> round(float(t_to_z(2.9521, 45)), 3)
    2.807
    """
    values = np.asarray(t, dtype=np.float64)
    tail = np.maximum(special.stdtr(dof, -np.abs(values)), 1e-300)
    return np.asarray(np.sign(values) * -special.ndtri(tail))


def two_tailed(t: npt.NDArray[np.floating], dof: float) -> npt.NDArray[np.float64]:
    """Two-tailed probability of t, in any shape.

    Examples
    --------
    >>> round(float(two_tailed(np.array(-2.9521), 45)), 4)
    0.005
    """
    return np.asarray(2.0 * special.stdtr(dof, -np.abs(t)))


def critical_t(p: float, dof: float, *, two_tailed: bool = True) -> float:
    """Threshold of t for a voxel probability.

    Examples
    --------
    >>> round(critical_t(0.005, 45), 4)
    2.9521
    """
    return float(scipy.stats.t.isf(p / 2 if two_tailed else p, dof))


def check_data(data: npt.NDArray[np.floating], design: Design) -> None:
    """Raise unless data of shape (n, V) have one row for every row of the design."""
    if data.ndim != 2 or data.shape[0] != len(design.matrix) or data.shape[1] == 0:
        raise InputError(
            "the data do not fit the design",
            found=f"data of shape {data.shape}, {len(design.matrix)} rows in the design",
        )


def _check_spread(sd: npt.NDArray[np.float64], data: npt.NDArray[np.floating]) -> None:
    largest = np.abs(data).max()
    if not np.isfinite(largest):  # of the others, so that only voxels with a hole are counted
        largest = np.abs(data[np.isfinite(data)]).max(initial=0.0)
    flat = ~((sd > 1e-12 * np.maximum(largest, 1e-30)) & np.isfinite(sd))
    if flat.any():
        raise InputError(
            "some voxels do not vary or are not finite over the images",
            found=f"{np.count_nonzero(flat)} of {flat.size}",
            do="restrict the mask to voxels that every image covers",
        )


def _spans_constant(basis: npt.NDArray[np.float64]) -> bool:
    one = np.ones(len(basis)) / np.sqrt(len(basis))
    return bool(np.linalg.norm(one - basis @ (basis.T @ one)) < 1e-9)
