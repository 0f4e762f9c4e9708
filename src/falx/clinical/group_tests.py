"""Two groups, one number: Student and Welch t, Mann-Whitney, Levene, and summaries.

The tests are scipy's; here are the refusals, in sentences, of data that they cannot judge.
Student 1908; Welch 1947; Mann and Whitney 1947; Brown and Forsythe 1974.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.core.checks import Floats, vector
from falx.core.errors import InputError, check_option
from falx.core.possible import Probability

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
    p: Probability
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
    p: Probability
    effect: float
    z_from_p: float
    exact: bool


@dataclass(frozen=True)
class LeveneTest:
    """Levene's test of equal spread about the group medians (Brown and Forsythe)."""

    f: float
    p: Probability
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
    """Summarise one group (n,).

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


def _t_test(a: ArrayLike, b: ArrayLike, *, equal: bool) -> TTest:
    x, y = _two_groups(a, b)
    if np.ptp(x) == 0 and np.ptp(y) == 0:
        raise InputError(
            "both groups are constant, so a t test has no error to compare with",
            found=f"means {x.mean():g} and {y.mean():g}",
            do="look at the values",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of groups that hardly vary
        test = scipy.stats.ttest_ind(x, y, equal_var=equal)
    interval = test.confidence_interval(0.95)
    return TTest(
        t=float(test.statistic),
        df=float(test.df),
        p=float(test.pvalue),
        difference=float(x.mean() - y.mean()),
        ci_low=float(interval.low),
        ci_high=float(interval.high),
        equal_variances=equal,
    )


def student_t(a: ArrayLike, b: ArrayLike) -> TTest:
    """Two-sample t test of groups (n_a,) and (n_b,) with a pooled variance, two-sided.

    Examples
    --------
    >>> round(student_t([1, 2, 3], [3, 4, 5]).t, 3)
    -2.449
    """
    return _t_test(a, b, equal=True)


def welch_t(a: ArrayLike, b: ArrayLike) -> TTest:
    """Two-sample t test of groups (n_a,) and (n_b,) that may differ in variance (Welch 1947)."""
    return _t_test(a, b, equal=False)


def mann_whitney(a: ArrayLike, b: ArrayLike, *, method: str = "auto") -> RankTest:
    """Mann-Whitney (Wilcoxon rank-sum) test, two-sided.

    Parameters
    ----------
    a, b
        The two groups, (n_a,) and (n_b,).
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
    if np.ptp(pooled) == 0:
        raise InputError(
            "all values are equal, so ranks say nothing",
            found=f"{pooled[0]:g}",
            do="leave this variable out",
        )
    exact = method == "exact" or (method == "auto" and max(len(x), len(y)) < 50 and not tied)
    test = scipy.stats.mannwhitneyu(x, y, method="exact" if exact else "asymptotic")
    u, p = float(test.statistic), float(test.pvalue)
    z_from_p = -abs(float(scipy.stats.norm.ppf(p / 2)))
    return RankTest(u, p, u / (len(x) * len(y)), z_from_p, exact)


def levene(a: ArrayLike, b: ArrayLike) -> LeveneTest:
    """Levene's test of equal variances of (n_a,) and (n_b,), about the group medians."""
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
