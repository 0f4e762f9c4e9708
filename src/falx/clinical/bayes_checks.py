"""How far a Bayesian prognosis can be trusted: against its data, its prior, and fixed truths.

Predictive checks draw cohorts from prior and posterior (Gelman 1996). Simulation-based
calibration draws the truth from the prior, so it holds on average over the prior by construction
(Talts 2018). What a fixed relation makes of interval and calibration slope is another question,
and a cohort of thirty cannot have all answers right: without a relation every estimate is too
steep, so its calibration slope is 0, and so, nearly, is that of a weak relation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from falx.clinical.bayes import WEAK, Posterior, Prior, chances, draws_of, on_grid
from falx.clinical.counts import areas
from falx.core.checks import Bools, Floats, binary_outcome, vector
from falx.core.possible import Probability

__all__ = ["FixedTruth", "PredictiveCheck", "fixed_truths", "predictive_checks", "simulated_ranks"]

LEAST = 5
"""Patients of the rarer outcome below which a cohort has no model."""


@dataclass(frozen=True)
class PredictiveCheck:
    """One statistic of the data beside its 95 % range in cohorts that the model makes.

    `p` is the share of drawn cohorts that reach the observed value; near 0 or 1 the model does
    not make data like these.
    """

    draws: str
    statistic: str
    observed: float
    low: float
    high: float
    p: Probability


@dataclass(frozen=True)
class FixedTruth:
    """What a model is worth in cohorts that all have one relation to the outcome.

    Parameters
    ----------
    odds_ratio
        True odds ratio per standard deviation.
    covered
        Share of the 95 % intervals of new patients that hold their true chance.
    slope
        Calibration slope of all new patients together: below 1, chances are said too far apart.
    cohorts
        Simulated ones, each with at least five patients of either outcome.
    """

    odds_ratio: float
    covered: Probability
    slope: float
    cohorts: int


def predictive_checks(
    found: Posterior, predictor: ArrayLike, outcome: ArrayLike, rng: np.random.Generator
) -> tuple[PredictiveCheck, ...]:
    """Statistics of the data beside 2000 cohorts drawn from prior and from posterior.

    Number of events, area under the curve, and events in the lower and in the upper half of the
    predictor (n,); the last two show what a straight line on the log-odds scale cannot make.
    """
    event = binary_outcome(outcome)
    x = vector(predictor, "the predictor", at_least=len(event))
    z, prior, n = (x - found.centre) / found.scale, found.prior, 2000
    lines = {
        "prior": prior.draw(n, rng),
        "posterior": draws_of(found, n, rng),
    }
    upper = x > np.median(x)
    checks = []
    for name, line in lines.items():
        made = rng.random((n, len(x))) < expit(line[:, :1] + line[:, 1:] * z)
        observed, drawn = _statistics(event[None, :], x, upper), _statistics(made, x, upper)
        for statistic, values in drawn.items():
            known = values[np.isfinite(values)]
            low, high = np.quantile(known, [0.025, 0.975])
            seen = float(observed[statistic][0])
            reached = float(np.mean(known > seen) + np.mean(known == seen) / 2)
            checks.append(PredictiveCheck(name, statistic, seen, float(low), float(high), reached))
    return tuple(checks)


def _statistics(made: Bools, x: Floats, upper: Bools) -> dict[str, Floats]:
    """Statistics of cohorts (B, n), each (B,)."""
    return {
        "seizure-free patients": made.sum(axis=1).astype(np.float64),
        "area under the curve": areas(x, made, np.ones(made.shape, dtype=np.int64)),
        "seizure free, lower half": made[:, ~upper].sum(axis=1).astype(np.float64),
        "seizure free, upper half": made[:, upper].sum(axis=1).astype(np.float64),
    }


def simulated_ranks(
    predictor: ArrayLike,
    prior: Prior,
    rng: np.random.Generator,
    *,
    n_cohorts: int = 500,
    n_grid: int = 61,
) -> tuple[Floats, Floats]:
    """Simulation-based calibration: posterior shares (m, 2) below the true line, and its chances.

    In each cohort a line is drawn from the prior, outcomes from the line, and the posterior is
    found; the shares below the true intercept and slope must be uniform. Cohorts of one outcome
    have a posterior as well and belong to the calibration.

    Parameters
    ----------
    predictor
        (n,), the same in every cohort.

    Returns
    -------
    tuple
        Shares (m, 2), and (m, 3): true chance at the median, and its 95 % limits.
    """
    x = vector(predictor, "the predictor", at_least=2)
    centre, scale = float(x.mean()), float(x.std(ddof=1))
    z, middle = (x - centre) / scale, float(np.median(x))
    shares, held = np.empty((n_cohorts, 2)), np.empty((n_cohorts, 3))
    for i in range(n_cohorts):
        a, b = prior.draw(1, rng)[0]
        event = rng.random(len(x)) < expit(a + b * z)
        found = on_grid(z, event, prior, centre, scale, n_grid)
        shares[i] = [_share_below(found.intercept, found.weight, a),
                     _share_below(found.slope, found.weight, b)]  # fmt: skip
        (chance,) = chances(found, [middle])
        held[i] = expit(a + b * (middle - centre) / scale), chance.low, chance.high
    return shares, held


def _share_below(values: Floats, weight: Floats, at: float) -> float:
    """Posterior weight below a value, linear between the midpoints of nodes (G,)."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order]) - weight[order] / 2
    return float(np.interp(at, values[order], share))


def fixed_truths(
    predictor: ArrayLike,
    share: float,
    prior: Prior,
    odds_ratios: Sequence[float],
    rng: np.random.Generator,
    *,
    n_cohorts: int = 400,
) -> tuple[FixedTruth, ...]:
    """Make cohorts of a fixed relation, model each, and hold the models against new patients.

    Parameters
    ----------
    predictor
        (n,), the same in every cohort; new patients have these values as well.
    share
        Chance of the event at its mean.
    odds_ratios
        True ones per standard deviation.

    Examples
    --------
    >>> x, rng = np.arange(60.0), np.random.default_rng(1)
    >>> none, strong = fixed_truths(x, 0.5, WEAK, [1, 4], rng, n_cohorts=50)
    >>> abs(none.slope) < 0.3, strong.slope > 0.7
    (True, True)
    """
    x = vector(predictor, "the predictor", at_least=2)
    z = (x - x.mean()) / x.std(ddof=1)
    return tuple(_fixed(z, float(logit(share)), one, prior, rng, n_cohorts) for one in odds_ratios)


def _fixed(
    z: Floats, a: float, odds_ratio: float, prior: Prior, rng: np.random.Generator, n_cohorts: int
) -> FixedTruth:
    """One relation through z (n,); all cohorts share the grid, for they share the predictor."""
    true = expit(a + np.log(odds_ratio) * z)
    event = rng.random((n_cohorts, len(z))) < true
    fewer = np.minimum(event.sum(axis=1), (~event).sum(axis=1))
    event = event[fewer >= LEAST]
    if not len(event):
        return FixedTruth(odds_ratio, float("nan"), float("nan"), 0)
    intercept, slope = _grid_about(a, float(np.log(odds_ratio)), z, true)
    eta = intercept[:, None] + slope[:, None] * z
    logs = event @ eta.T - np.logaddexp(0.0, eta).sum(axis=1)
    logs += np.add(*prior.log_densities(intercept, slope))
    weight = np.exp(logs - logs.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    below = weight @ (eta < logit(true)) + 0.5 * (weight @ (eta == logit(true)))
    covered = np.mean((below >= 0.025) & (below <= 0.975))
    said = logit(weight @ expit(eta))
    return FixedTruth(odds_ratio, float(covered), _slope(said, true), len(event))


def _grid_about(a: float, b: float, z: Floats, true: Floats) -> tuple[Floats, Floats]:
    """Return intercepts and slopes (G,), nine standard errors about a line."""
    design = np.column_stack([np.ones_like(z), z])
    weak = np.diag([WEAK.intercept_sd**-2, WEAK.slope_sd**-2])
    spread = np.linalg.inv(design.T @ (design * (true * (1 - true))[:, None]) + weak)
    lower = np.linalg.cholesky(spread)
    steps = np.linspace(-9.0, 9.0, 73)
    first, second = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    return a + lower[0, 0] * first, b + lower[1, 0] * first + lower[1, 1] * second


def _slope(said: Floats, true: Floats) -> float:
    """Calibration slope of log odds (K, n), fitted to the chances (n,) that they foretell."""
    design = np.column_stack([np.ones(said.size), said.ravel()])
    target, at = np.tile(true, len(said)), np.zeros(2)
    for _ in range(50):
        p = expit(design @ at)
        curvature = design.T @ (design * (p * (1 - p))[:, None])
        step = np.linalg.solve(curvature, design.T @ (target - p))
        at = at + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return float(at[1])
