"""Many tests at once: adjusted P values, P values from null draws, and their combination.

Holm 1979; Benjamini and Hochberg 1995 (from scipy); Phipson and Smyth 2010; Liu and Xie 2020.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.core.checks import Floats, vector
from falx.core.errors import InputError

__all__ = [
    "TIE",
    "benjamini_hochberg",
    "cauchy_combination",
    "holm",
    "monte_carlo_p",
    "two_sided_normal_p",
]

TIE = 1e-12
"""Null values this close below the observed one count as reaching it (rounding)."""


def _p_values(p: ArrayLike) -> Floats:
    """P values as a vector; of no tests there is nothing to correct."""
    values = vector(p, "P values", at_least=0)
    if np.any((values < 0) | (values > 1)):
        raise InputError(
            "P values lie between 0 and 1",
            found=f"{values.min():g} to {values.max():g}",
            do="pass P values, not statistics",
        )
    return values


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted P, shape (n,), of P values (n,).

    Controls the family-wise error and is never worse than Bonferroni. The i-th smallest P
    becomes max over j ≤ i of (n - j + 1) P_(j), at most 1 (Holm 1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini-Hochberg adjusted P, shape (n,): controls the false discovery rate (1995).

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    return np.asarray(scipy.stats.false_discovery_control(_p_values(p)))


def monte_carlo_p(observed: ArrayLike, null: ArrayLike, *, two_sided: bool) -> Floats:
    """Return (1 + #{null ≥ observed}) / (1 + B), which is never 0 (Phipson and Smyth 2010).

    Two-sided compares absolute values.

    Parameters
    ----------
    observed
        Statistics, any shape (...).
    null
        Draws of each, shape (..., B).

    Examples
    --------
    >>> monte_carlo_p(2.0, [1.0, -3.0, 0.5], two_sided=True)
    array(0.5)
    """
    value, draws = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if draws.shape[-1] == 0:
        raise InputError("there are no null values", do="ask for at least one null map")
    if two_sided:
        value, draws = np.abs(value), np.abs(draws)
    reached = (draws >= value[..., None] - TIE).sum(axis=-1)
    return np.asarray((1.0 + reached) / (1.0 + draws.shape[-1]))


def cauchy_combination(p: ArrayLike) -> Floats:
    """Combine P values (..., n) along the last axis, valid under dependence: shape (...).

    P = 1/2 - arctan(mean tan((1/2 - P_i) π)) / π (Liu and Xie 2020).

    Examples
    --------
    >>> cauchy_combination([0.03, 0.03, 0.03]).round(12)
    np.float64(0.03)
    """
    values = np.clip(np.asarray(p, dtype=np.float64), 1e-300, 1 - 1e-16)
    # tan((1/2 - p)π) = 1/tan(pπ); the second form keeps its digits for tiny p.
    mean = np.mean(1.0 / np.tan(values * np.pi), axis=-1)
    # 1/2 - arctan(x)/π = arctan(1/x)/π for x > 0, again for the sake of digits.
    large = np.arctan(1.0 / np.where(mean > 0, mean, 1.0)) / np.pi
    return np.asarray(np.where(mean > 0, large, 0.5 - np.arctan(mean) / np.pi))


def two_sided_normal_p(z: ArrayLike) -> Floats:
    """P = 2 (1 - Φ(|z|)) of z scores of any shape.

    Examples
    --------
    >>> two_sided_normal_p(1.959964).round(6)
    np.float64(0.05)
    """
    return np.asarray(2.0 * scipy.stats.norm.sf(np.abs(np.asarray(z, dtype=np.float64))))
