"""Logistic models with one restricted cubic spline: tests, odds-ratio curve, turning points.

Harrell 2001, sections 2.4.5 and 9; the score test is Rao's of 1948.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import ArrayLike

from falx.clinical.logistic.fit import (
    Z95,
    ChiSquareTest,
    LogisticFit,
    fit_logistic,
    likelihood_ratio,
    wald_test,
)
from falx.clinical.logistic.likelihood import information, score
from falx.clinical.logistic.splines import place_knots, spline_basis, spline_derivative
from falx.core.checks import Bools, Floats, binary_outcome, vector
from falx.core.errors import InputError

__all__ = [
    "OddsRatioCurve",
    "SplineFit",
    "TurningPoint",
    "fit_spline",
    "odds_ratio_curve",
    "runs_away",
    "turning_points",
]


@dataclass(frozen=True)
class SplineFit:
    """A spline model beside the linear model with the same covariates.

    `overall` tests all spline coefficients, the three `nonlinear` tests the curvature alone.
    `knot_rule` names how the knots were placed.
    """

    name: str
    knots: Floats
    knot_rule: str
    model: LogisticFit
    linear: LogisticFit
    overall: ChiSquareTest
    overall_ratio: ChiSquareTest
    nonlinear_wald: ChiSquareTest
    nonlinear_ratio: ChiSquareTest
    nonlinear_score: ChiSquareTest
    low: float
    high: float
    median: float

    @property
    def spline_columns(self) -> slice:
        """Coefficients of the spline inside the model."""
        return slice(1, len(self.knots))


@dataclass(frozen=True)
class OddsRatioCurve:
    """Odds ratio at x against a reference value, with its pointwise 95 % band."""

    x: Floats
    odds_ratio: Floats
    ci_low: Floats
    ci_high: Floats
    reference: float


@dataclass(frozen=True)
class TurningPoint:
    """Where the fitted curve changes direction; `kind` is that of the event's probability."""

    x: float
    kind: str


def fit_spline(
    predictor: ArrayLike,
    outcome: ArrayLike,
    *,
    name: str = "x",
    n_knots: int = 3,
    rule: str = "quantile",
    knots: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
) -> SplineFit:
    """Fit a restricted cubic spline and the linear model it is compared with.

    Parameters
    ----------
    predictor, outcome
        (n,) and (n,) of 0 and 1.
    name
        For tables.
    n_knots, rule
        See :func:`falx.clinical.logistic.splines.place_knots`.
    knots
        Explicit knots instead.
    covariates
        (n, c), adjusted for linearly.
    """
    event = binary_outcome(outcome)
    x = vector(predictor, name, at_least=len(event))
    if min(event.sum(), np.sum(~event)) < 2:
        raise InputError(
            "a spline needs at least two patients of each outcome",
            where=name,
            found=f"{int(event.sum())} events among {len(event)}",
            do="report the data without a model",
        )
    at = place_knots(x, n_knots, rule) if knots is None else vector(knots, "knots", at_least=3)
    extra = np.empty((len(x), 0)) if covariates is None else np.asarray(covariates, dtype=float)
    extra = extra.reshape(len(x), -1)
    basis = spline_basis(x, at)
    names = [name + "'" * j for j in range(len(at) - 1)]
    more = [f"covariate {j + 1}" for j in range(extra.shape[1])]
    model = fit_logistic(np.column_stack([basis, extra]), event, names + more)
    linear = fit_logistic(np.column_stack([x, extra]), event, [name, *more])
    curved = list(range(2, len(at)))
    return SplineFit(
        name=name,
        knots=at,
        knot_rule=rule if knots is None else "explicit",
        model=model,
        linear=linear,
        overall=wald_test(model, [1, *curved]),
        overall_ratio=likelihood_ratio(model, _without(extra, event)),
        nonlinear_wald=wald_test(model, curved),
        nonlinear_ratio=likelihood_ratio(model, linear),
        nonlinear_score=_score_test(basis, extra, event, linear),
        low=float(x.min()),
        high=float(x.max()),
        median=float(np.median(x)),
    )


def _without(covariates: Floats, event: Bools) -> LogisticFit | None:
    return fit_logistic(covariates, event) if covariates.shape[1] else None


def _score_test(
    basis: Floats, covariates: Floats, event: Bools, linear: LogisticFit
) -> ChiSquareTest:
    """Rao's test of curvature: U' I^-1 U at the linear fit, with the full design."""
    design = np.column_stack([np.ones(len(event)), basis, covariates])
    n_curved = basis.shape[1] - 1
    b = np.concatenate([linear.coefficients[:2], np.zeros(n_curved), linear.coefficients[2:]])
    # Columns of very different size make the information matrix ill-conditioned.
    scale = np.abs(design).max(axis=0)
    gradient = score(design / scale, event, b * scale)
    statistic = float(gradient @ np.linalg.solve(information(design / scale, b * scale), gradient))
    return ChiSquareTest(statistic, n_curved, float(scipy.stats.chi2.sf(statistic, n_curved)))


def odds_ratio_curve(
    fit: SplineFit, x: ArrayLike | None = None, *, reference: float | None = None
) -> OddsRatioCurve:
    """Odds ratio at x against the reference (default: the median); covariates cancel.

    Parameters
    ----------
    fit
        The model.
    x
        Where, (m,); default 200 points over the observed range.
    reference
        Predictor value with odds ratio 1.
    """
    grid = np.linspace(fit.low, fit.high, 200) if x is None else vector(x, "x")
    at = fit.median if reference is None else float(reference)
    columns = fit.spline_columns
    difference = spline_basis(grid, fit.knots) - spline_basis(np.array([at]), fit.knots)
    b, v = fit.model.coefficients[columns], fit.model.covariance[columns, columns]
    log_or = difference @ b
    se = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", difference, v, difference), 0))
    with np.errstate(over="ignore"):
        band = np.exp(log_or - Z95 * se), np.exp(log_or + Z95 * se)
        return OddsRatioCurve(grid, np.exp(log_or), *band, at)


def runs_away(fit: SplineFit, *, most: float = 1e6) -> bool:
    """Whether the curve against its median exceeds `most`, or 1 / `most`, in the observed range.

    Few patients and many knots make such odds ratios, finite in print only: hardly separated
    outcomes leave a maximum of the likelihood that the data do not determine.
    """
    at = odds_ratio_curve(fit).odds_ratio
    return not bool(np.all((at <= most) & (at >= 1 / most)))


def turning_points(fit: SplineFit) -> tuple[TurningPoint, ...]:
    """Zeros of the derivative inside the observed range; empty when the curve is monotone.

    Between two knots the derivative is a parabola, so its zeros are exact.
    """
    b = fit.model.coefficients[fit.spline_columns]
    edges = np.unique(np.clip([fit.low, *fit.knots, fit.high], fit.low, fit.high))
    points: list[TurningPoint] = []
    for left, right in pairwise(edges):
        x = np.array([left, (left + right) / 2, right])
        slope = spline_derivative(x, fit.knots) @ b
        points.extend(
            TurningPoint(float(left + t * (right - left)), "maximum" if falling else "minimum")
            for t, falling in _sign_changes(slope)
        )
    return tuple(points)


def _sign_changes(slope: Floats) -> list[tuple[float, bool]]:
    """Zeros in (0, 1] of the parabola through slope at 0, 1/2, 1, where the sign changes."""
    a = 2 * slope[0] - 4 * slope[1] + 2 * slope[2]
    b = -3 * slope[0] + 4 * slope[1] - slope[2]
    roots = (
        np.roots([a, b, slope[0]])
        if abs(a) > 1e-12 * np.abs(slope).max()
        else (np.array([-slope[0] / b]) if b else np.array([]))
    )
    found = []
    for t in np.sort(roots[np.isreal(roots)].real):
        gradient = 2 * a * t + b
        if 0 < t <= 1 and gradient != 0:
            found.append((float(t), bool(gradient < 0)))
    return found
