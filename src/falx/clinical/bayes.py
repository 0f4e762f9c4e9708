"""Bayesian logistic regression with one predictor, on an exact grid of intercept and slope.

ln(p / (1 - p)) = a + b z, z = (x - centre) / scale, with normal priors of a and b. The posterior
is summed on a grid laid along the axes of Laplace's approximation, eight standard deviations to
each side; no chain has to converge. Priors are weakly informative (Gelman 2008) or take the
seizure freedom after laser ablation from Kerezoudis 2023. Checks: prior and posterior predictive
draws (Gelman 1996) and simulation-based calibration (Talts 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from falx.clinical.counts import areas
from falx.core.checks import Bools, Floats, binary_outcome, vector
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = [
    "LITERATURE",
    "WEAK",
    "Chance",
    "Posterior",
    "PredictiveCheck",
    "Prior",
    "chances",
    "draws_of",
    "posterior",
    "predictive_checks",
    "simulated_ranks",
]

REACH_SD = 8.0
N_GRID = 161


@dataclass(frozen=True)
class Prior:
    """Normal priors: log odds at the cohort's mean, and slope per standard deviation."""

    name: str
    intercept_mean: float
    intercept_sd: float
    slope_mean: float
    slope_sd: float
    source: str


WEAK = Prior(
    "weak", 0.0, 1.5, 0.0, 1.0,
    "by judgement: a share free of 5 to 95 %, an odds ratio per standard deviation of 0.14 to 7",
)  # fmt: skip
LITERATURE = Prior(
    "literature", float(logit(0.58)), 0.5, 0.0, 0.5,
    "58 % of 551 patients in 13 studies free of seizures after laser ablation, without a relation "
    "to the ablated part of the hippocampus, P = .67 (Kerezoudis 2023); the spreads by "
    "judgement: centres from 34 to 79 %, an odds ratio of 0.38 to 2.7",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Posterior:
    """Intercepts and slopes, (G,), with their weights, (G,), which sum to 1."""

    prior: Prior
    centre: float
    scale: float
    intercept: Floats
    slope: Floats
    weight: Floats

    @property
    def mean(self) -> tuple[float, float]:
        """Posterior means of intercept and slope."""
        return (
            float(np.sum(self.weight * self.intercept)),
            float(np.sum(self.weight * self.slope)),
        )


@dataclass(frozen=True)
class Chance:
    """Probability of the event at one value: posterior mean and 95 % credible limits."""

    mean: Probability
    low: Probability
    high: Probability


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


def posterior(
    predictor: ArrayLike,
    outcome: ArrayLike,
    prior: Prior = WEAK,
    *,
    n_grid: int = N_GRID,
) -> Posterior:
    """Posterior of a predictor (n,) and an outcome (n,) of 0 and 1.

    Raises
    ------
    InputError
        If the predictor is the same in everybody, or only one outcome occurs.

    Examples
    --------
    >>> found = posterior([1, 2, 3, 4], [0, 0, 1, 1])  # separated: the prior keeps it finite
    >>> bool(0.3 < found.mean[1] < 2)
    True
    """
    event = binary_outcome(outcome)
    x = vector(predictor, "the predictor", at_least=len(event))
    if np.ptp(x) == 0:
        raise InputError("the same value in every patient, so it predicts nothing")
    centre, scale = float(x.mean()), float(x.std(ddof=1))
    return _on_grid((x - centre) / scale, event, prior, centre, scale, n_grid)


def _on_grid(
    z: Floats, event: Bools, prior: Prior, centre: float, scale: float, n_grid: int
) -> Posterior:
    top, covariance = _laplace(z, event, prior)
    steps = np.linspace(-REACH_SD, REACH_SD, n_grid)
    first, second = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    lower = np.linalg.cholesky(covariance)
    a = top[0] + lower[0, 0] * first
    b = top[1] + lower[1, 0] * first + lower[1, 1] * second
    logs = _log_prior(a, b, prior)
    for value, free in zip(z, event, strict=True):
        eta = a + b * value
        logs += (eta if free else 0.0) - np.logaddexp(0.0, eta)
    weight = np.exp(logs - logs.max())
    return Posterior(prior, centre, scale, a, b, weight / weight.sum())


def _log_prior(a: Floats, b: Floats, prior: Prior) -> Floats:
    """Log density of intercepts and slopes of one shape, up to a constant."""
    far = ((a - prior.intercept_mean) / prior.intercept_sd) ** 2
    return np.asarray(-0.5 * (far + ((b - prior.slope_mean) / prior.slope_sd) ** 2))


def _laplace(z: Floats, event: Bools, prior: Prior) -> tuple[Floats, Floats]:
    """Mode (2,) and inverse curvature (2, 2), by Newton steps: the log posterior is concave."""
    design = np.column_stack([np.ones_like(z), z])
    mean = np.array([prior.intercept_mean, prior.slope_mean])
    precision = np.diag([prior.intercept_sd**-2, prior.slope_sd**-2])
    at = mean.copy()
    for _ in range(50):
        p = expit(design @ at)
        gradient = design.T @ (event - p) - precision @ (at - mean)
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + precision
        step = np.linalg.solve(curvature, gradient)
        at = at + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return at, np.linalg.inv(curvature)


def chances(found: Posterior, values: ArrayLike) -> tuple[Chance, ...]:
    """Chance of the event at values (m,) of the predictor.

    Examples
    --------
    >>> found = posterior([1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1])
    >>> low, high = chances(found, [1, 6])
    >>> low.mean < high.mean
    True
    """
    told = []
    for value in np.atleast_1d(np.asarray(values, dtype=np.float64)):
        p = expit(found.intercept + found.slope * (value - found.centre) / found.scale)
        order = np.argsort(p, kind="stable")
        share = np.cumsum(found.weight[order]) - found.weight[order] / 2
        low, high = np.interp([0.025, 0.975], share, p[order])
        told.append(Chance(float(np.sum(found.weight * p)), float(low), float(high)))
    return tuple(told)


def draws_of(found: Posterior, n: int, rng: np.random.Generator) -> Floats:
    """Draws (n, 2) of intercept and slope, each once in n equal parts of the weight."""
    at = (np.arange(n) + rng.random(n)) / n
    chosen = np.minimum(np.searchsorted(np.cumsum(found.weight), at), len(found.weight) - 1)
    return np.column_stack([found.intercept[chosen], found.slope[chosen]])


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
        "prior": np.column_stack(
            [
                rng.normal(prior.intercept_mean, prior.intercept_sd, n),
                rng.normal(prior.slope_mean, prior.slope_sd, n),
            ]
        ),
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
        a = rng.normal(prior.intercept_mean, prior.intercept_sd)
        b = rng.normal(prior.slope_mean, prior.slope_sd)
        event = rng.random(len(x)) < expit(a + b * z)
        found = _on_grid(z, event, prior, centre, scale, n_grid)
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
