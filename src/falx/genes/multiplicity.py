"""Probabilities from null maps, and their combination; corrections: falx.core.multiplicity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError

__all__ = [
    "cauchy_combination",
    "gaussian_tail_p",
    "monte_carlo_p",
    "two_sided_normal_p",
]

TIE = 1e-12
"""Null values this close below the observed one count as reaching it (rounding)."""


def monte_carlo_p(
    observed: npt.ArrayLike, null: npt.ArrayLike, *, two_sided: bool
) -> npt.NDArray[np.float64]:
    """Return (1 + #{null >= observed}) / (1 + B) over the last axis of `null`; never 0.

    Two-sided compares absolute values (Phipson and Smyth 2010).

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


def cauchy_combination(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Combine P values along the last axis, valid under dependence (Liu and Xie 2020).

    P = 1/2 - arctan(mean tan((1/2 - P_i) π)) / π.

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


def two_sided_normal_p(z: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """P = 2 (1 - Φ(|z|)).

    Examples
    --------
    >>> two_sided_normal_p(1.959964).round(6)
    np.float64(0.05)
    """
    return np.asarray(2.0 * scipy.stats.norm.sf(np.abs(np.asarray(z, dtype=np.float64))))


def gaussian_tail_p(observed: npt.ArrayLike, null: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Two-sided P of `observed` under a normal law fitted to the nulls on the last axis."""
    draws = np.asarray(null, dtype=np.float64)
    spread = draws.std(axis=-1, ddof=1)
    if np.any(spread == 0):
        raise InputError("the null values do not vary", do="use more regions or another null")
    return two_sided_normal_p((np.asarray(observed) - draws.mean(axis=-1)) / spread)
