"""Is a model worth using, and is the cohort large enough? Decision curves and sample size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from falx.core.checks import Floats, binary_outcome, vector
from falx.core.errors import InputError

__all__ = ["DecisionCurve", "SampleSize", "decision_curve", "sample_size"]


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit per patient at threshold probabilities (Vickers and Elkin 2006)."""

    threshold: Floats
    model: Floats
    treat_all: Floats
    treat_none: Floats


@dataclass(frozen=True)
class SampleSize:
    """Riley's criteria (2020) for `parameters` model parameters, in patients.

    `shrinkage_n`: expected shrinkage of at least 0.9. `optimism_n`: apparent and adjusted
    Nagelkerke R2 within 0.05. `prevalence_n`: prevalence known to 0.05.
    `expected_shrinkage` is the heuristic (LR - p) / LR, None when the model does not fit.
    """

    parameters: int
    r2_cox_snell: float
    shrinkage_n: float
    optimism_n: float
    prevalence_n: float
    events_per_parameter: float
    expected_shrinkage: float | None

    @property
    def needed(self) -> int:
        """The largest of the three, in whole patients."""
        return math.ceil(max(self.shrinkage_n, self.optimism_n, self.prevalence_n))


def decision_curve(
    probability: ArrayLike, outcome: ArrayLike, thresholds: ArrayLike | None = None
) -> DecisionCurve:
    """Net benefit of acting when the (held-out) probability exceeds each threshold.

    Examples
    --------
    >>> decision_curve([0.9, 0.8, 0.2], [1, 1, 0], [0.5]).model.round(3).tolist()
    [0.667]
    """
    event = binary_outcome(outcome)
    p = vector(probability, "the probabilities", at_least=len(event))
    at = np.linspace(0.05, 0.95, 91) if thresholds is None else vector(thresholds, "thresholds")
    if np.any((at <= 0) | (at >= 1)):
        raise InputError(
            "threshold probabilities lie between 0 and 1",
            found=f"{at.min():g} to {at.max():g}",
            do="pass shares, not per cent",
        )
    odds, acts = at / (1 - at), p[None, :] >= at[:, None]
    n = len(event)
    model = (acts & event).sum(axis=1) / n - (acts & ~event).sum(axis=1) / n * odds
    treat_all = event.mean() - (1 - event.mean()) * odds
    return DecisionCurve(at, model, treat_all, np.zeros_like(at))


def sample_size(n: int, events: int, ratio_chi_square: float, parameters: int) -> SampleSize:
    """Return how many patients a model with this fit would need.

    Parameters
    ----------
    n, events
        Of the cohort.
    ratio_chi_square
        Likelihood-ratio chi-square of the model against the intercept.
    parameters
        Of the model (or of all models tried), without the intercept.

    Examples
    --------
    >>> round(sample_size(30, 21, 6.06, 1).shrinkage_n)
    44
    """
    share = events / n
    if not 0 < share < 1 or ratio_chi_square <= 0 or parameters < 1:
        raise InputError(
            "the sample size needs both outcomes and a model that fits better than none",
            found=f"{events} of {n} events, chi-square {ratio_chi_square:g}",
            do="leave the criterion out",
        )
    r2 = 1 - math.exp(-ratio_chi_square / n)
    most = 1 - (share**share * (1 - share) ** (1 - share)) ** 2

    def patients(shrinkage: float) -> float:
        return parameters / ((shrinkage - 1) * math.log(1 - r2 / shrinkage))

    excess = (ratio_chi_square - parameters) / ratio_chi_square
    return SampleSize(
        parameters=parameters,
        r2_cox_snell=r2,
        shrinkage_n=patients(0.9),
        optimism_n=patients(r2 / (r2 + 0.05 * most)),
        prevalence_n=(1.96 / 0.05) ** 2 * share * (1 - share),
        events_per_parameter=min(events, n - events) / parameters,
        expected_shrinkage=excess if excess > 0 else None,
    )
