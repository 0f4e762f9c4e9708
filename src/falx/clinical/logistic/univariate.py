"""One predictor, one outcome: the odds ratio, or a plain sentence why there is none.

Maximum likelihood and Firth's estimate (1993) side by side, as Heinze and Schemper 2002 advise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from falx.clinical.logistic.firth import firth_ratio_test, fit_firth
from falx.clinical.logistic.fit import (
    Z95,
    fit_logistic,
    likelihood_ratio,
    profile_interval,
    wald_test,
)
from falx.clinical.logistic.separation import SeparatedError
from falx.core.checks import Bools, Floats, complete_cases
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = ["OddsRatio", "UnivariateModel", "univariate_logistic"]

FEW_EVENTS = 5


@dataclass(frozen=True)
class OddsRatio:
    """A slope and its odds ratio per unit; `ci` is Wald, `profile` from the likelihood."""

    slope: float
    se: float
    odds_ratio: float
    ci_low: float
    ci_high: float
    p_wald: Probability
    p_ratio: Probability
    profile_low: float
    profile_high: float


@dataclass(frozen=True)
class UnivariateModel:
    """A univariate logistic model with its status.

    Parameters
    ----------
    name, unit
        The predictor and what one unit of it is.
    status
        ``"fitted"``; ``"separated"`` (only `firth` is given); ``"refused"`` (neither is).
    message
        Empty, or the reason or warning in one sentence.
    n, events, n_missing
        Complete cases, events among them, and rows left out.
    sd, iqr
        Spread of the predictor, for odds ratios per SD and per interquartile range.
    likelihood, firth
        The maximum-likelihood and the penalised estimates.
    """

    name: str
    unit: str
    status: str
    message: str
    n: int
    events: int
    n_missing: int
    sd: float
    iqr: float
    likelihood: OddsRatio | None = None
    firth: OddsRatio | None = None

    @property
    def best(self) -> OddsRatio | None:
        """The maximum-likelihood estimate where it exists, else Firth's."""
        return self.likelihood or self.firth

    def odds_ratio_per(self, amount: float) -> tuple[float, float, float] | None:
        """Odds ratio and Wald interval per `amount` units, e.g. per SD."""
        if self.best is None:
            return None
        b, half = self.best.slope * amount, Z95 * self.best.se * abs(amount)
        low, middle, high = (_exp(v) for v in (b - half, b, b + half))
        return middle, low, high


def _exp(value: float) -> float:
    return math.exp(value) if value < 709 else math.inf


def univariate_logistic(
    predictor: ArrayLike, outcome: ArrayLike, name: str, *, unit: str = "unit"
) -> UnivariateModel:
    """Fit one predictor on its complete cases.

    Parameters
    ----------
    predictor
        (n,), missing values as NaN.
    outcome
        (n,) of 0 and 1, missing values as NaN.
    name, unit
        For tables: the odds ratio is per one `unit`.

    Examples
    --------
    >>> univariate_logistic([1, 2, 3, 4], [0, 0, 1, 1], "age").status
    'separated'
    """
    x, y = np.asarray(predictor, dtype=float), np.asarray(outcome, dtype=float)
    keep = complete_cases(x, y)
    x, y, missing = x[keep], y[keep], int(np.sum(~keep))
    events = int(np.sum(y == 1))
    sd = float(x.std(ddof=1)) if len(x) > 1 else 0.0
    iqr = float(np.subtract(*np.quantile(x, [0.75, 0.25]))) if len(x) else 0.0

    def model(
        status: str, message: str, ml: OddsRatio | None = None, firth: OddsRatio | None = None
    ) -> UnivariateModel:
        return UnivariateModel(
            name, unit, status, message, len(x), events, missing, sd, iqr, ml, firth
        )

    try:
        firth = _firth(x, y == 1)
        ml = _likelihood(x, y == 1, name)
    except SeparatedError as reason:
        return model("separated", str(reason), firth=firth)
    except InputError as reason:
        return model("refused", str(reason))
    few = min(events, len(x) - events)
    warning = (
        f"{name}: only {few} patient(s) in the smaller outcome group; the odds ratio is not "
        "to be trusted."
        if few < FEW_EVENTS
        else ""
    )
    return model("fitted", warning, ml, firth)


def _likelihood(x: Floats, event: Bools, name: str) -> OddsRatio:
    fit = fit_logistic(x, event, [name])
    low, high = profile_interval(x, event)
    p_wald, p_ratio = wald_test(fit, [1]).p, likelihood_ratio(fit).p
    return _odds_ratio(float(fit.coefficients[1]), float(fit.se[1]), p_wald, p_ratio, low, high)


def _firth(x: Floats, event: Bools) -> OddsRatio:
    fit = fit_firth(x, event)
    low, high = profile_interval(x, event, penalised=True)
    p_wald, p_ratio = wald_test(fit, [1]).p, firth_ratio_test(x, event).p
    return _odds_ratio(float(fit.coefficients[1]), float(fit.se[1]), p_wald, p_ratio, low, high)


def _odds_ratio(
    b: float, se: float, p_wald: float, p_ratio: float, low: float, high: float
) -> OddsRatio:
    return OddsRatio(
        slope=b,
        se=se,
        odds_ratio=_exp(b),
        ci_low=_exp(b - Z95 * se),
        ci_high=_exp(b + Z95 * se),
        p_wald=p_wald,
        p_ratio=p_ratio,
        profile_low=_exp(low),
        profile_high=_exp(high),
    )
