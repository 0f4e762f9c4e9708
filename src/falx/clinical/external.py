"""A model's probabilities held against patients of another centre.

Calibration in the large is the intercept of a logistic model whose offset is the predicted log
odds; the calibration slope is that of the log odds as a predictor (Cox 1958; Steyerberg 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from falx.clinical.logistic.firth import fit_firth
from falx.clinical.logistic.fit import Z95, fit_logistic
from falx.clinical.logistic.separation import SeparatedError
from falx.clinical.roc.curve import Auc, auc
from falx.clinical.roc.decision import DecisionCurve, decision_curve
from falx.core.checks import Bools, Floats, binary_outcome, vector
from falx.core.errors import InputError

__all__ = ["Estimate", "ExternalValidation", "validate_probabilities"]

LEAST = 5
"""Patients of the rarer outcome below which no calibration is estimated."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its standard error and 95 % Wald limits."""

    value: float
    se: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ExternalValidation:
    """What a model is worth on patients it has not seen.

    Parameters
    ----------
    n, events
        Patients and those with the event.
    area
        Discrimination.
    expected
        Mean predicted probability, beside events / n.
    intercept, slope
        Calibration in the large (0 is perfect) and calibration slope (1 is perfect).
    penalised
        Whether outcomes are separated, so that the slope is Firth's.
    recalibrated
        Intercept and slope that turn the predicted log odds into those of these patients.
    brier, brier_null
        Mean squared error of the probabilities, and of always saying the share here.
    decision
        Net benefit of the model as it comes.
    """

    n: int
    events: int
    area: Auc
    expected: float
    intercept: Estimate
    slope: Estimate
    penalised: bool
    recalibrated: tuple[float, float]
    brier: float
    brier_null: float
    decision: DecisionCurve


def validate_probabilities(probability: ArrayLike, outcome: ArrayLike) -> ExternalValidation:
    """Hold predicted probabilities (n,) against outcomes (n,) of 0 and 1.

    Raises
    ------
    InputError
        With fewer than five patients of either outcome, or one probability for everybody.

    Examples
    --------
    >>> p = [0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.6, 0.7, 0.8, 0.9, 0.5, 0.4]
    >>> y = [0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0]
    >>> found = validate_probabilities(p, y)
    >>> round(found.area.auc, 2), found.expected < found.events / found.n
    (0.83, False)
    """
    event = binary_outcome(outcome)
    p = vector(probability, "the probabilities", at_least=len(event))
    fewer = int(min(event.sum(), np.sum(~event)))
    if fewer < LEAST:
        raise InputError(
            "a model is validated on at least five patients of each outcome",
            found=f"{fewer} of the rarer outcome among {len(event)}",
            do="pool centres, or wait for more patients",
        )
    if np.ptp(p) == 0:
        raise InputError(
            "the model gives every patient the same probability",
            do="check that the table holds the model's predictors in their units",
        )
    eta = logit(np.clip(p, 1e-9, 1 - 1e-9))
    try:
        fit, penalised = fit_logistic(eta, event), False
    except SeparatedError:
        fit, penalised = fit_firth(eta, event), True
    return ExternalValidation(
        n=len(event),
        events=int(event.sum()),
        area=auc(p, event),
        expected=float(p.mean()),
        intercept=_in_the_large(eta, event),
        slope=_estimate(float(fit.coefficients[1]), float(fit.se[1])),
        penalised=penalised,
        recalibrated=(float(fit.coefficients[0]), float(fit.coefficients[1])),
        brier=float(np.mean((p - event) ** 2)),
        brier_null=float(event.mean() * (1 - event.mean())),
        decision=decision_curve(p, event),
    )


def _in_the_large(eta: Floats, event: Bools) -> Estimate:
    """Intercept beside the offset eta (n,); both outcomes occur, so it is finite."""
    at = 0.0
    for _ in range(100):
        p = expit(eta + at)
        step = float((event - p).sum() / (p * (1 - p)).sum())
        at += max(-1.0, min(1.0, step))
        if abs(step) < 1e-12:
            break
    p = expit(eta + at)
    return _estimate(at, 1 / math.sqrt(float((p * (1 - p)).sum())))


def _estimate(value: float, se: float) -> Estimate:
    return Estimate(value, se, value - Z95 * se, value + Z95 * se)
