"""Does a score say more of the outcome than anatomy does? One score beside one measure.

The score's slope is tested in the model that already holds the measure, by the likelihood ratio
and by Firth's penalised one, which stays finite where the outcomes are separated and keeps its
level in small cohorts (Heinze and Schemper 2002). Areas are compared pairwise (DeLong 1988) and by
a stratified bootstrap; decision curves (Vickers and Elkin 2006) rest on probabilities from the
other patients. Net reclassification is left out on purpose: it rises for scores of pure noise
(Hilden and Gerds 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.special import expit

from falx.clinical.counts import areas, bootstrap_counts, bootstrap_rows
from falx.clinical.logistic.firth import firth_ratio_test, fit_firth
from falx.clinical.logistic.fit import fit_logistic, likelihood_ratio, profile_interval
from falx.clinical.logistic.ridge import ridge_log_odds
from falx.clinical.logistic.separation import SeparatedError
from falx.clinical.roc.curve import DelongTest, auc, delong_test
from falx.clinical.roc.decision import DecisionCurve, decision_curve
from falx.core.checks import Bools, Floats, binary_outcome, vector
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = ["AreaDifference", "Increment", "Slope", "area_difference", "increment", "slope_test"]

LEAST = 5
"""Patients of the rarer outcome below which two slopes are not fitted."""


@dataclass(frozen=True)
class Slope:
    """One slope of a logistic model: tests, and the odds ratio per unit of the predictor.

    `odds_ratio` is exp(b) of maximum likelihood, `ci` its profile interval, `p` the
    likelihood-ratio test; where the outcomes are separated `penalised_only` holds, `p` is None
    and the odds ratio is Firth's, as `p_penalised` always is.
    """

    odds_ratio: float
    ci_low: float
    ci_high: float
    p: Probability | None
    p_penalised: Probability
    penalised_only: bool


@dataclass(frozen=True)
class AreaDifference:
    """Area of the score minus area of the measure: DeLong's test and bootstrap limits."""

    score: float
    measure: float
    delong: DelongTest
    ci_low: float
    ci_high: float
    resamples: int


@dataclass(frozen=True, eq=False)
class Increment:
    """A score beside a measure of anatomy on the same patients.

    `alone` is the score by itself, `adjusted` beside the measure; `measure_alone` and
    `measure_adjusted` the other way round. `r`, `p_r` is Pearson's correlation of the two. The
    XX
    """

    n: int
    events: int
    r: float
    p_r: Probability
    alone: Slope
    adjusted: Slope
    measure_alone: Slope
    measure_adjusted: Slope
    area: AreaDifference
    decision_score: DecisionCurve
    decision_measure: DecisionCurve
    decision_both: DecisionCurve


def slope_test(predictors: ArrayLike, outcome: ArrayLike, column: int = 0) -> Slope:
    """Test one slope of predictors (n,) or (n, p) in the presence of the others.

    Twice the gain in log likelihood from adding the column is chi-square with one degree of
    freedom; the penalised test keeps the penalty of the full design.

    Examples
    --------
    >>> slope_test([1, 2, 3, 4], [0, 0, 1, 1]).penalised_only
    True
    """
    event = binary_outcome(outcome)
    x = np.asarray(predictors, dtype=np.float64).reshape(len(event), -1)
    penalised = firth_ratio_test(x, event, column).p
    try:
        fit = fit_logistic(x, event)
    except SeparatedError:
        fit = fit_firth(x, event)
        p, separated = None, True
    else:
        others = np.delete(x, column, axis=1)
        smaller = fit_logistic(others, event) if others.shape[1] else None
        p, separated = likelihood_ratio(fit, smaller).p, False
    low, high = profile_interval(x, event, column, penalised=separated)
    ratio, low, high = (_exp(b) for b in (float(fit.coefficients[column + 1]), low, high))
    return Slope(ratio, low, high, p, penalised, separated)


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 else math.inf


def area_difference(
    score: ArrayLike,
    measure: ArrayLike,
    outcome: ArrayLike,
    *,
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> AreaDifference:
    """Compare the areas of two scores (n,) of which high values speak for the event.

    The bootstrap draws patients within each outcome, the same ones for both scores; limits are
    percentiles of the difference.
    """
    event = binary_outcome(outcome)
    first = vector(score, "the score", at_least=len(event))
    second = vector(measure, "the measure", at_least=len(event))
    rows = bootstrap_rows(event, n_resamples, rng, stratified=True)
    counts = bootstrap_counts(rows, len(event))
    drawn = areas(first, event, counts) - areas(second, event, counts)
    low, high = (float(q) for q in np.quantile(drawn, [0.025, 0.975]))
    paired = delong_test(first, second, event)
    return AreaDifference(
        auc(first, event).auc, auc(second, event).auc, paired, low, high, n_resamples
    )


def increment(
    score: ArrayLike,
    measure: ArrayLike,
    outcome: ArrayLike,
    *,
    n_resamples: int = 2000,
    rng: np.random.Generator,
) -> Increment:
    """Ask what a score (n,) adds to a measure (n,) about an outcome (n,) of 0 and 1.

    Raises
    ------
    InputError
        With fewer than five patients of either outcome: two slopes cannot be told apart then;
        and where score and measure are one number, or one of them does not vary.
    """
    event = binary_outcome(outcome)
    first = vector(score, "the score", at_least=len(event))
    second = vector(measure, "the measure", at_least=len(event))
    _check(first, second, event)
    both = np.column_stack([first, second])
    r, p_r = scipy.stats.pearsonr(first, second)
    return Increment(
        n=len(event),
        events=int(event.sum()),
        r=float(r),
        p_r=float(p_r),
        alone=slope_test(first, event),
        adjusted=slope_test(both, event, 0),
        measure_alone=slope_test(second, event),
        measure_adjusted=slope_test(both, event, 1),
        area=area_difference(first, second, event, n_resamples=n_resamples, rng=rng),
        decision_score=_decision(first[:, None], event),
        decision_measure=_decision(second[:, None], event),
        decision_both=_decision(both, event),
    )


def _check(first: Floats, second: Floats, event: Bools) -> None:
    fewer = int(min(event.sum(), np.sum(~event)))
    if fewer < LEAST:
        raise InputError(
            "what one number adds to another needs at least five patients of each outcome",
            found=f"{fewer} of the rarer outcome among {len(event)}",
            do="report each number by itself",
        )
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise InputError("the same value in every patient, so there is nothing to compare")
    if abs(np.corrcoef(first, second)[0, 1]) > 1 - 1e-9:
        raise InputError("one number follows from the other, so it adds nothing by definition")


def _decision(predictors: Floats, event: Bools) -> DecisionCurve:
    """Decision curve from the ridge fits to predictors (n, p) that lack each patient."""
    n = len(event)
    probability = np.empty(n)
    for i in range(n):
        kept = np.arange(n) != i
        probability[i] = expit(ridge_log_odds(predictors[kept], event[kept], predictors[i])[0])
    return decision_curve(probability, event)
