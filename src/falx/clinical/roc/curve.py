"""Receiver operating characteristic: the curve, its area, DeLong's interval and test, Youden.

"Positive" is the event of the outcome (seizure free). `higher_is_positive` says, always
explicitly, whether high values speak for it.

scikit-learn has the area but neither DeLong's variance (1988) nor the paired test, and would be
a dependency of 51 MB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from falx.clinical.logistic.fit import Z95
from falx.core.checks import Bools, Floats, Probabilities, binary_outcome, vector
from falx.core.errors import InputError
from falx.core.possible import Amount, Probability

__all__ = [
    "Auc",
    "DelongTest",
    "RocCurve",
    "YoudenCut",
    "auc",
    "delong_test",
    "roc_curve",
    "youden_cut",
]


@dataclass(frozen=True)
class RocCurve:
    """Operating points of the rule "positive beyond the threshold", thresholds ascending.

    Thresholds are midpoints of neighbouring distinct values, and minus and plus infinity.
    """

    thresholds: Floats
    sensitivity: Probabilities
    specificity: Probabilities
    higher_is_positive: bool


@dataclass(frozen=True)
class Auc:
    """Area under the curve with DeLong's intervals, clipped plain and on the logit scale.

    `note` says why an interval is missing (None) or degenerate.
    """

    auc: Probability
    variance: Amount | None
    ci_low: Probability | None
    ci_high: Probability | None
    logit_low: Probability | None
    logit_high: Probability | None
    note: str = ""


@dataclass(frozen=True)
class DelongTest:
    """Paired comparison of two areas on the same patients."""

    difference: float
    z: float
    p: Probability


@dataclass(frozen=True)
class YoudenCut:
    """The cut with the largest J = sensitivity + specificity - 1.

    Of tied optima `threshold` is the lowest; `tied` lists all. The rule is "value beyond the
    midpoint threshold".
    """

    threshold: float
    sensitivity: Probability
    specificity: Probability
    youden: float
    tied: tuple[float, ...]
    higher_is_positive: bool


def scored(
    score: ArrayLike, outcome: ArrayLike, *, higher_is_positive: bool
) -> tuple[Floats, Bools]:
    """Return checked values (n,), turned so that high means positive, and the outcome (n,)."""
    event = binary_outcome(outcome)
    values = vector(score, "the score", at_least=2)
    if len(values) != len(event):
        raise InputError(
            "score and outcome differ in length",
            found=f"{len(values)} and {len(event)}",
            do="pass one value per patient in both",
        )
    return (values if higher_is_positive else -values), event


def roc_curve(
    score: ArrayLike, outcome: ArrayLike, *, higher_is_positive: bool = True
) -> RocCurve:
    """Sensitivity and specificity at every possible cut of a score (n,).

    Examples
    --------
    >>> roc_curve([1, 2, 3], [0, 1, 1]).thresholds.tolist()
    [-inf, 1.5, 2.5, inf]
    """
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    distinct = np.unique(values)
    cuts = np.concatenate([[-np.inf], (distinct[1:] + distinct[:-1]) / 2, [np.inf]])
    above = values[None, :] > cuts[:, None]
    sensitivity = above[:, event].mean(axis=1)
    specificity = 1 - above[:, ~event].mean(axis=1)
    if not higher_is_positive:
        cuts, sensitivity, specificity = -cuts[::-1], sensitivity[::-1], specificity[::-1]
    return RocCurve(cuts, sensitivity, specificity, higher_is_positive)


def _placements(values: Floats, event: Bools) -> tuple[float, Floats, Floats]:
    """Area, and DeLong's placement values of positives (V10) and negatives (V01)."""
    wins = np.sign(values[event][:, None] - values[~event][None, :]) / 2 + 0.5
    return float(wins.mean()), wins.mean(axis=1), wins.mean(axis=0)


def auc(score: ArrayLike, outcome: ArrayLike, *, higher_is_positive: bool = True) -> Auc:
    """Area under the curve (ties half) with DeLong's 95 % interval (DeLong 1988).

    Examples
    --------
    >>> auc([1, 2, 3, 4], [0, 1, 0, 1]).auc
    0.75
    """
    values, event = scored(score, outcome, higher_is_positive=higher_is_positive)
    area, v10, v01 = _placements(values, event)
    if min(len(v10), len(v01)) < 2:
        return Auc(
            area,
            None,
            None,
            None,
            None,
            None,
            "no interval: DeLong's variance needs two patients of each outcome",
        )
    variance = float(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))
    half = Z95 * math.sqrt(variance)
    low, high = max(0.0, area - half), min(1.0, area + half)
    if variance == 0 or area in (0.0, 1.0):
        note = "degenerate interval: the scores part or tie the outcomes completely"
        return Auc(area, variance, low, high, None, None, note)
    wide = half / (area * (1 - area))
    return Auc(
        area,
        variance,
        low,
        high,
        float(expit(logit(area) - wide)),
        float(expit(logit(area) + wide)),
    )


def delong_test(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    *,
    higher_is_positive: tuple[bool, bool] = (True, True),
) -> DelongTest:
    """Compare two areas on the same patients (n,) through the covariance of their placements."""
    parts = [
        _placements(*scored(s, outcome, higher_is_positive=up))
        for s, up in zip((first, second), higher_is_positive, strict=True)
    ]
    (area_1, a10, a01), (area_2, b10, b01) = parts
    if min(len(a10), len(a01)) < 2:
        raise InputError(
            "DeLong's test needs two patients of each outcome",
            found=f"{len(a10)} positive, {len(a01)} negative",
            do="use a larger cohort",
        )
    # The variance of a difference of means contains the covariance already.
    variance = (a10 - b10).var(ddof=1) / len(a10) + (a01 - b01).var(ddof=1) / len(a01)
    difference = area_1 - area_2
    if variance == 0:
        return DelongTest(difference, 0.0, 1.0)
    z = difference / math.sqrt(float(variance))
    return DelongTest(difference, z, float(2 * scipy.stats.norm.sf(abs(z))))


def youden_cut(
    score: ArrayLike, outcome: ArrayLike, *, higher_is_positive: bool = True
) -> YoudenCut:
    """Return the cut with the largest Youden index, and every cut that ties with it.

    Raises
    ------
    InputError
        When no cut is better than chance (a constant score, for instance).

    Examples
    --------
    >>> youden_cut([1, 2, 3, 4], [0, 0, 1, 1]).threshold
    2.5
    """
    curve = roc_curve(score, outcome, higher_is_positive=higher_is_positive)
    index = curve.sensitivity + curve.specificity - 1
    best = float(index.max())
    if best <= 1e-12:
        raise InputError(
            "no cut of the score tells the outcomes apart",
            found=f"best Youden index {best:g}",
            do="check the score's direction, or leave it out",
        )
    tied = np.flatnonzero(index >= best - 1e-12)
    at = int(tied[0])
    return YoudenCut(
        threshold=float(curve.thresholds[at]),
        sensitivity=float(curve.sensitivity[at]),
        specificity=float(curve.specificity[at]),
        youden=best,
        tied=tuple(float(curve.thresholds[i]) for i in tied),
        higher_is_positive=higher_is_positive,
    )
