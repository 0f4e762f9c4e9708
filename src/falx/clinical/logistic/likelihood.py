"""The binomial log likelihood, plain and penalised, climbed by Newton steps with halving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from falx.core.checks import Bools, Floats
from falx.core.errors import InputError

__all__ = ["Maximum", "information", "log_likelihood", "maximise", "score"]


@dataclass(frozen=True)
class Maximum:
    """Where a climb ended: coefficients, the function's value, and the information there."""

    coefficients: Floats
    value: float
    information: Floats


def log_likelihood(design: Floats, event: Bools, coefficients: Floats) -> float:
    """Sum of y eta - ln(1 + exp(eta)), eta = X b."""
    eta = design @ coefficients
    return float(np.sum(np.where(event, eta, 0.0) - np.logaddexp(0.0, eta)))


def information(design: Floats, coefficients: Floats) -> Floats:
    """Fisher information X' diag(p (1 - p)) X, (k, k), of a design (n, k)."""
    p = expit(design @ coefficients)
    return np.asarray(design.T @ (design * (p * (1 - p))[:, None]), dtype=np.float64)


def score(design: Floats, event: Bools, coefficients: Floats) -> Floats:
    """Gradient of the log likelihood, X' (y - p), (k,), of a design (n, k)."""
    return np.asarray(design.T @ (event - expit(design @ coefficients)), dtype=np.float64)


def _penalised(design: Floats, event: Bools, b: Floats) -> tuple[float, Floats, Floats]:
    """Firth's value, score and information; h are the leverages of the weighted design."""
    p = expit(design @ b)
    weighted = design * np.sqrt(p * (1 - p))[:, None]
    info = weighted.T @ weighted
    sign, log_det = np.linalg.slogdet(info)
    if sign <= 0:
        return -np.inf, np.zeros_like(b), info
    leverage = np.sum(weighted * np.linalg.solve(info, weighted.T).T, axis=1)
    gradient = design.T @ (event - p + leverage * (0.5 - p))
    return log_likelihood(design, event, b) + 0.5 * float(log_det), gradient, info


def _plain(design: Floats, event: Bools, b: Floats) -> tuple[float, Floats, Floats]:
    value = log_likelihood(design, event, b)
    return value, score(design, event, b), information(design, b)


def maximise(
    design: Floats,
    event: Bools,
    *,
    penalised: bool = False,
    start: Floats | None = None,
    fixed: int | None = None,
    max_steps: int = 500,
) -> Maximum:
    """Maximise the (penalised) log likelihood.

    Parameters
    ----------
    design
        (n, k) with the intercept column; columns of similar scale.
    event
        (n,) outcomes.
    penalised
        Add half the log determinant of the information of the *full* design (Firth 1993).
    start
        Coefficients to start from.
    fixed
        Index of a coefficient that keeps its start value (profiling).
    max_steps
        Newton steps before giving up.
    """
    function = _penalised if penalised else _plain
    b = np.zeros(design.shape[1]) if start is None else start.astype(np.float64).copy()
    free = np.arange(design.shape[1]) != (-1 if fixed is None else fixed)
    value, gradient, info = function(design, event, b)
    for _ in range(max_steps):
        if np.abs(gradient[free]).max(initial=0.0) < 1e-10:
            return Maximum(b, value, info)
        step = np.zeros_like(b)
        try:
            step[free] = np.linalg.solve(info[np.ix_(free, free)], gradient[free])
        except np.linalg.LinAlgError:
            raise InputError(
                "the likelihood is flat, so the logistic model has no best fit",
                do="check the predictors for near-separation or use fewer of them",
            ) from None
        trial = function(design, event, b + step)
        halvings = 0
        while trial[0] < value - 1e-13 and halvings < 40:
            step /= 2
            halvings += 1
            trial = function(design, event, b + step)
        b, (value, gradient, info) = b + step, trial
        if np.abs(step).max() < 1e-12:
            return Maximum(b, value, info)
    raise InputError(
        "the logistic model did not converge",
        found=f"{max_steps} steps",
        do="check the predictors for near-separation or use fewer of them",
    )
