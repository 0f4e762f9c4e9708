"""Normalisation of expression along one axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from falx.core.errors import check_option

__all__ = ["NORMALISATIONS", "normalise", "scaled_robust_sigmoid"]

Array = npt.NDArray[np.float64]
ROBUST_SD = {"linear": 1.3489795003921634, "hazen": 1.35}
"""IQR over SD of a normal law as abagen (linear quartiles) and MATLAB users round it."""


def scaled_robust_sigmoid(values: npt.ArrayLike, *, quartiles: str = "linear") -> Array:
    """1 / (1 + exp(-(x - median) / s)), stretched to [0, 1] along axis 0; s = IQR / (2 Φ⁻¹(¾)).

    Values have the shape (n, columns). Columns whose quartiles coincide become NaN: they have no
    robust scale (Fulcher et al. 2013, J. R. Soc. Interface 10:20130048).

    Parameters
    ----------
    quartiles
        ``linear`` with s = IQR/1.34898 (abagen) or ``hazen``, plotting positions (i - ½)/n with
        s = IQR/1.35 (MATLAB and the published pipeline).

    Examples
    --------
    >>> scaled_robust_sigmoid([1, 2, 4, 7, 11, 16]).round(4)
    array([0.    , 0.0706, 0.2229, 0.4621, 0.7509, 1.    ])
    """
    return _stretched(_robust_sigmoid(np.asarray(values, dtype=np.float64), quartiles))


def _robust_sigmoid(x: Array, quartiles: str = "linear") -> Array:
    check_option("quartiles", quartiles, ROBUST_SD)
    # With missing values allowed, numpy goes through the columns one by one.
    percentile = np.nanpercentile if np.isnan(x).any() else np.percentile
    low, median, high = percentile(x, [25, 50, 75], axis=0, method=quartiles)  # type: ignore[call-overload]
    scale = (high - low) / ROBUST_SD[quartiles]
    return _sigmoid(x, median, scale)


def _sigmoid(x: Array, centre: Array, scale: Array) -> Array:
    flat = scale == 0
    z = (x - centre) / np.where(flat, 1.0, scale)
    return np.asarray(np.where(flat, np.nan, 1.0 / (1.0 + np.exp(np.clip(-z, None, 700.0)))))


def _stretched(x: Array) -> Array:
    low, high = x.min(axis=0), x.max(axis=0)
    span = high - low
    return np.asarray(np.where(span == 0, np.nan, (x - low) / np.where(span == 0, 1.0, span)))


def _center(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=0))


def _zscore(x: Array) -> Array:
    spread = x.std(axis=0, ddof=1)
    return np.asarray(
        np.where(spread == 0, np.nan, _center(x) / np.where(spread == 0, 1.0, spread))
    )


def _plain_sigmoid(x: Array) -> Array:
    return _sigmoid(x, x.mean(axis=0), x.std(axis=0, ddof=1))


def _mixed_sigmoid(x: Array) -> Array:
    """Robust where the quartiles differ, plain where they coincide; then stretched."""
    robust = _robust_sigmoid(x)
    return _stretched(np.where(np.isnan(robust), _plain_sigmoid(x), robust))


NORMALISATIONS: dict[str, Callable[[Array], Array]] = {
    "none": lambda x: x,
    "center": _center,
    "zscore": _zscore,
    "minmax": _stretched,
    "sigmoid": _plain_sigmoid,
    "scaled_sigmoid": lambda x: _stretched(_plain_sigmoid(x)),
    "robust_sigmoid": _robust_sigmoid,
    "srs": scaled_robust_sigmoid,
    "srs_hazen": lambda x: scaled_robust_sigmoid(x, quartiles="hazen"),
    "mixed_sigmoid": _mixed_sigmoid,
}


def normalise(
    expression: npt.NDArray[np.float64],
    *,
    across: str,
    method: str,
    groups: tuple[str, ...] | None = None,
) -> Array:
    """Normalise expression (genes × samples).

    Parameters
    ----------
    across
        ``genes``: within each sample; ``samples``: within each gene.
    method
        A key of :data:`NORMALISATIONS`.
    groups
        Class of each sample; genes are then normalised within each class apart.
    """
    run = NORMALISATIONS[check_option("normalisation", method, NORMALISATIONS)]
    if method == "none":
        return expression
    if check_option("across", across, ("genes", "samples")) == "genes":
        return run(expression)
    if groups is None:
        return run(expression.T).T
    out = np.empty_like(expression)
    for group in dict.fromkeys(groups):
        rows = np.flatnonzero(np.array(groups) == group)
        out[:, rows] = run(expression[:, rows].T).T
    return out
