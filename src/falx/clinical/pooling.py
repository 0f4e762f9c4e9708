"""Estimates of several centres as one: random-effects meta-analysis without patients.

Between-centre variance by Paule and Mandel 1982; interval of Hartung and Knapp 2001, never
narrower than the classical one (Röver 2015); prediction interval for a further centre (Higgins
2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.core.checks import Floats, vector
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = ["Pooled", "pool"]


@dataclass(frozen=True)
class Pooled:
    """A pooled estimate.

    Parameters
    ----------
    centres
        How many.
    value, se, low, high
        Mean over centres, its standard error, and 95 % limits (t with k - 1 degrees).
    between_sd
        Standard deviation of the true values between centres.
    heterogeneity_p
        Of Cochran's Q.
    new_low, new_high
        Where the true value of a further centre lies in 95 %; None with fewer than three.
    """

    centres: int
    value: float
    se: float
    low: float
    high: float
    between_sd: float
    heterogeneity_p: Probability
    new_low: float | None
    new_high: float | None


def pool(estimates: ArrayLike, errors: ArrayLike) -> Pooled:
    """Pool estimates (k,) with their standard errors (k,).

    Examples
    --------
    >>> found = pool([0.5, 0.7, 0.6], [0.1, 0.1, 0.1])
    >>> round(found.value, 3), round(found.between_sd, 3)
    (0.6, 0.0)
    """
    y = vector(estimates, "the estimates", at_least=1)
    variance = vector(errors, "the standard errors", at_least=1) ** 2
    k = len(y)
    if k < 2 or len(variance) != k:
        raise InputError(
            "a meta-analysis needs the results of at least two centres",
            found=f"{k}",
            do="give the results of another centre",
        )
    if np.any(variance <= 0):
        raise InputError(
            "a standard error must be above zero",
            found=f"{np.sqrt(variance)}",
            do="leave the centre out, or give its standard error",
        )
    between = _paule_mandel(y, variance)
    weight = 1 / (variance + between)
    mean = float(weight @ y / weight.sum())
    spread = max(1.0, float(weight @ (y - mean) ** 2) / (k - 1))
    se = math.sqrt(spread / float(weight.sum()))
    t = float(scipy.stats.t.ppf(0.975, k - 1))
    new: tuple[float, float] | tuple[None, None] = (None, None)
    if k > 2:
        reach = float(scipy.stats.t.ppf(0.975, k - 2)) * math.sqrt(between + se**2)
        new = mean - reach, mean + reach
    p = float(scipy.stats.chi2.sf(_q(y, variance, 0.0), k - 1))
    return Pooled(k, mean, se, mean - t * se, mean + t * se, math.sqrt(between), p, *new)


def _q(y: Floats, variance: Floats, between: float) -> float:
    """Weighted sum of squares about the weighted mean of estimates (k,)."""
    weight = 1 / (variance + between)
    return float(weight @ (y - weight @ y / weight.sum()) ** 2)


def _paule_mandel(y: Floats, variance: Floats) -> float:
    """Variance between centres at which Q equals its expectation k - 1; 0 if Q is below it."""
    degrees = len(y) - 1
    if _q(y, variance, 0.0) <= degrees:
        return 0.0
    high = float(np.var(y, ddof=1) + variance.max())
    while _q(y, variance, high) > degrees:
        high *= 2
    found = scipy.optimize.brentq(lambda b: _q(y, variance, b) - degrees, 0.0, high, xtol=1e-14)
    return float(found)
