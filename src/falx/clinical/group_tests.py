"""Two groups, one number: Student and Welch t, Mann-Whitney, Levene, and summaries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.core.checks import Floats, vector
from falx.core.errors import InputError, check_option

__all__ = [
    "LeveneTest",
    "RankTest",
    "Summary",
    "TTest",
    "levene",
    "mann_whitney",
    "student_t",
    "summarise",
    "welch_t",
]


@dataclass(frozen=True)
class TTest:
    """A two-sample t test of mean(a) - mean(b), with its 95 % interval."""

    t: float
    df: float
    p: float
    difference: float
    ci_low: float
    ci_high: float
    equal_variances: bool


@dataclass(frozen=True)
class RankTest:
    """A Mann-Whitney test.

    `u` counts the pairs in which a exceeds b (ties half). `effect` = u / (n_a n_b) is the
    probability that a random a exceeds a random b. `z_from_p` = -abs(normal quantile(p / 2))
    is what some papers print as "U".
    """

    u: float
    p: float
    effect: float
    z_from_p: float
    exact: bool


@dataclass(frozen=True)
class LeveneTest:
    """Levene's test of equal spread about the group medians (Brown and Forsythe)."""

    f: float
    p: float
    sd_a: float
    sd_b: float


@dataclass(frozen=True)
class Summary:
    """Mean and SD (n - 1), median and quartiles (quantile type 7)."""

    n: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float


def summarise(values: ArrayLike) -> Summary:
    """Summarise one group.

    Examples
    --------
    >>> summarise([1, 2, 3, 4, 5]).q1
    2.0
    """
    x = vector(values, "the group")
    q1, median, q3 = (float(q) for q in np.quantile(x, [0.25, 0.5, 0.75]))
    sd = float(x.std(ddof=1)) if len(x) > 1 else math.nan
    return Summary(len(x), float(x.mean()), sd, median, q1, q3)


def _two_groups(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    return vector(a, "the first group", at_least=2), vector(b, "the second group", at_least=2)


def _t_test(a: Floats, b: Floats, variance: float, df: float, *, equal: bool) -> TTest:
    if variance <= 0:
        raise InputError(
            "both groups are constant, so a t test has no error to compare with",
            found=f"means {a.mean():g} and {b.mean():g}",
            do="look at the values",
        )
    difference, se = float(a.mean() - b.mean()), math.sqrt(variance)
    half = float(scipy.stats.t.ppf(0.975, df)) * se
    p = float(2 * scipy.stats.t.sf(abs(difference / se), df))
    return TTest(difference / se, df, p, difference, difference - half, difference + half, equal)


def student_t(a: ArrayLike, b: ArrayLike) -> TTest:
    """Two-sample t test with a pooled variance, two-sided.

    Examples
    --------
    >>> round(student_t([1, 2, 3], [3, 4, 5]).t, 3)
    -2.449
    """
    x, y = _two_groups(a, b)
    df = len(x) + len(y) - 2
    pooled = ((len(x) - 1) * x.var(ddof=1) + (len(y) - 1) * y.var(ddof=1)) / df
    return _t_test(x, y, float(pooled * (1 / len(x) + 1 / len(y))), df, equal=True)


def welch_t(a: ArrayLike, b: ArrayLike) -> TTest:
    """Two-sample t test without the assumption of equal variances (Satterthwaite df)."""
    x, y = _two_groups(a, b)
    parts = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    variance = float(sum(parts))
    if variance == 0:
        return _t_test(x, y, 0.0, 1.0, equal=False)
    df = variance**2 / float(parts[0] ** 2 / (len(x) - 1) + parts[1] ** 2 / (len(y) - 1))
    return _t_test(x, y, variance, df, equal=False)


def mann_whitney(a: ArrayLike, b: ArrayLike, *, method: str = "auto") -> RankTest:
    """Mann-Whitney (Wilcoxon rank-sum) test, two-sided.

    Parameters
    ----------
    a, b
        The two groups.
    method
        ``"exact"`` (no ties allowed), ``"normal"`` (continuity and tie correction), or
        ``"auto"``: exact when both groups have fewer than 50 values and there are no ties.

    Examples
    --------
    >>> mann_whitney([1, 2], [3, 4]).p
    0.3333333333333333
    """
    x, y = vector(a, "the first group"), vector(b, "the second group")
    check_option("method", method, ["auto", "exact", "normal"])
    pooled = np.concatenate([x, y])
    tied = len(np.unique(pooled)) < len(pooled)
    if method == "exact" and tied:
        raise InputError(
            "the exact rank test needs distinct values",
            found=f"{len(pooled) - len(np.unique(pooled))} ties",
            do="use method='normal'",
        )
    u = float(scipy.stats.rankdata(pooled)[: len(x)].sum() - len(x) * (len(x) + 1) / 2)
    exact = method == "exact" or (method == "auto" and max(len(x), len(y)) < 50 and not tied)
    if exact:
        p = float(scipy.stats.mannwhitneyu(x, y, method="exact").pvalue)
    else:
        p = _normal_p(u, len(x), len(y), pooled)
    z_from_p = -abs(float(scipy.stats.norm.ppf(min(p, 1.0) / 2)))
    return RankTest(u, p, u / (len(x) * len(y)), z_from_p, exact)


def _normal_p(u: float, n_a: int, n_b: int, pooled: Floats) -> float:
    """Two-sided P with tie-corrected variance and a continuity correction of one half."""
    n = n_a + n_b
    ties = np.unique(pooled, return_counts=True)[1].astype(float)
    variance = n_a * n_b / 12 * (n + 1 - float(np.sum(ties**3 - ties)) / (n * (n - 1)))
    if variance <= 0:
        raise InputError(
            "all values are equal, so ranks say nothing",
            found=f"{pooled[0]:g}",
            do="leave this variable out",
        )
    excess = max(abs(u - n_a * n_b / 2) - 0.5, 0.0)
    return float(min(1.0, 2 * scipy.stats.norm.sf(excess / math.sqrt(variance))))


def levene(a: ArrayLike, b: ArrayLike) -> LeveneTest:
    """Levene's test of equal variances, with deviations from the group medians."""
    x, y = _two_groups(a, b)
    if all(np.ptp(np.abs(part - np.median(part))) == 0 for part in (x, y)):
        raise InputError(
            "every value is as far from the median of its group as the others, so that Levene's "
            "test has no error to compare with",
            found=f"groups of {len(x)} and {len(y)}",
            do="compare the spread by eye",
        )
    test = scipy.stats.levene(x, y, center="median")
    return LeveneTest(
        float(test.statistic), float(test.pvalue), float(x.std(ddof=1)), float(y.std(ddof=1))
    )
