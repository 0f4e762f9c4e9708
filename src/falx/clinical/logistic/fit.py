"""Logistic regression: maximum likelihood, Wald, likelihood-ratio and profile inference.

McCullagh and Nelder 1989; Venzon and Moolgavkar 1988 for the profile interval. Own code, because
statsmodels returns numbers for separated outcomes, has no profile interval, and takes 1.7 s of
CPU to import; tests hold both against each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.special import ndtri

from falx.clinical.logistic.likelihood import maximise
from falx.clinical.logistic.separation import check_not_separated
from falx.core.checks import Bools, Floats, binary_outcome, design_matrix
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = [
    "Z95",
    "ChiSquareTest",
    "LogisticFit",
    "StandardDesign",
    "fit_logistic",
    "fitted",
    "likelihood_ratio",
    "profile_interval",
    "standard_design",
    "wald_test",
]

Z95 = float(ndtri(0.975))


@dataclass(frozen=True)
class ChiSquareTest:
    """A chi-square test of one or several coefficients."""

    statistic: float
    df: int
    p: Probability


@dataclass(frozen=True)
class LogisticFit:
    """A fitted logistic model on the predictors' own scale.

    `coefficients[0]` is the intercept; `covariance` belongs to all coefficients. `penalised`
    marks a Firth fit, whose `log_likelihood` includes the penalty.
    """

    names: tuple[str, ...]
    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    null_log_likelihood: float
    n: int
    events: int
    penalised: bool = False

    @property
    def se(self) -> Floats:
        """Standard errors, shape (p + 1,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def bic(self) -> float:
        """Bayesian information criterion; the intercept counts as a parameter."""
        return -2 * self.log_likelihood + math.log(self.n) * len(self.coefficients)


@dataclass(frozen=True)
class StandardDesign:
    """Predictors centred and scaled behind an intercept, and the way back.

    Raw clinical columns (voxels of 1e4 beside indices of 0.05) are near-singular for Newton
    steps; standardised ones are not.
    """

    matrix: Floats
    back: Floats
    scale: Floats


def standard_design(predictors: Floats) -> StandardDesign:
    """Standardise columns (n, p); `back` (p + 1, p + 1) maps coefficients to the raw scale."""
    centre, scale = predictors.mean(axis=0), predictors.std(axis=0)
    matrix = np.column_stack([np.ones(len(predictors)), (predictors - centre) / scale])
    back = np.diag(np.concatenate([[1.0], 1 / scale]))
    back[0, 1:] = -centre / scale
    return StandardDesign(matrix, back, scale)


def null_log_likelihood(event: Bools) -> float:
    """Log likelihood of the model with an intercept only; `event` has shape (n,)."""
    n, k = len(event), int(event.sum())
    return k * math.log(k / n) + (n - k) * math.log(1 - k / n)


def term_names(predictors: Floats, names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of all coefficients of predictors (n, p), the intercept first."""
    given = tuple(names) if names else tuple(f"x{i + 1}" for i in range(predictors.shape[1]))
    if len(given) != predictors.shape[1]:
        raise InputError(
            "names and predictors differ in number",
            found=f"{len(given)} names for {predictors.shape[1]} columns",
            do="pass one name per column",
        )
    return ("Intercept", *given)


def fit_logistic(
    predictors: ArrayLike, outcome: ArrayLike, names: Sequence[str] | None = None
) -> LogisticFit:
    """Fit by maximum likelihood; raises :class:`SeparatedError` where no finite fit exists.

    Parameters
    ----------
    predictors
        (n,) or (n, p), without an intercept column.
    outcome
        (n,) of 0 and 1.
    names
        One per column.

    Examples
    --------
    >>> fit = fit_logistic([0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 1, 1], ["exposed"])
    >>> round(float(np.exp(fit.coefficients[1])), 6)
    4.0
    """
    event = binary_outcome(outcome)
    matrix = design_matrix(predictors, len(event))
    labels = term_names(matrix, names)
    check_not_separated(matrix, event, ", ".join(labels[1:]))
    return fitted(matrix, event, labels)


def fitted(
    predictors: Floats, event: Bools, names: tuple[str, ...], *, penalised: bool = False
) -> LogisticFit:
    """Fit checked values (n, p) and (n,), by Firth's penalised likelihood or the plain one."""
    design = standard_design(predictors)
    top = maximise(design.matrix, event, penalised=penalised)
    return LogisticFit(
        names=names,
        coefficients=design.back @ top.coefficients,
        covariance=design.back @ np.linalg.inv(top.information) @ design.back.T,
        log_likelihood=top.value,
        null_log_likelihood=null_log_likelihood(event),
        n=len(event),
        events=int(event.sum()),
        penalised=penalised,
    )


def wald_test(fit: LogisticFit, indices: Sequence[int]) -> ChiSquareTest:
    """Wald chi-square b' V^-1 b of the named coefficients."""
    rows = np.asarray(indices)
    b = fit.coefficients[rows]
    statistic = float(b @ np.linalg.solve(fit.covariance[np.ix_(rows, rows)], b))
    return ChiSquareTest(statistic, len(rows), float(scipy.stats.chi2.sf(statistic, len(rows))))


def likelihood_ratio(larger: LogisticFit, smaller: LogisticFit | None = None) -> ChiSquareTest:
    """Likelihood-ratio test of nested fits; without `smaller`, against the intercept alone."""
    if smaller is None:
        base, df = larger.null_log_likelihood, len(larger.coefficients) - 1
    else:
        base = smaller.log_likelihood
        df = len(larger.coefficients) - len(smaller.coefficients)
    statistic = max(0.0, 2 * (larger.log_likelihood - base))
    return ChiSquareTest(statistic, df, float(scipy.stats.chi2.sf(statistic, df)))


def profile_interval(
    predictors: ArrayLike, outcome: ArrayLike, column: int = 0, *, penalised: bool = False
) -> tuple[float, float]:
    """95 % profile-likelihood interval of one slope (of the penalised likelihood on request).

    The limits are where twice the drop of the profile from its maximum is 3.84. A limit that
    is not reached within 60 standard errors, or before the likelihood becomes flat, is
    returned as infinite.
    """
    event = binary_outcome(outcome)
    matrix = design_matrix(predictors, len(event))
    if not penalised:
        check_not_separated(matrix, event, "the predictor")
    design = standard_design(matrix)
    index = column + 1
    top = maximise(design.matrix, event, penalised=penalised)
    peak = float(top.coefficients[index])
    se = math.sqrt(float(np.linalg.inv(top.information)[index, index]))
    target = float(scipy.stats.chi2.ppf(0.95, 1))

    def excess(value: float) -> float:
        start = top.coefficients.copy()
        start[index] = value
        held = maximise(design.matrix, event, penalised=penalised, start=start, fixed=index)
        return 2 * (top.value - held.value) - target

    low, high = (_crossing(excess, peak, side * se) for side in (-1, 1))
    scale = float(design.scale[column])
    return low / scale, high / scale


def _crossing(excess: Callable[[float], float], peak: float, step: float) -> float:
    for multiple in (1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0):
        try:
            passed = excess(peak + multiple * step) > 0
        except InputError:
            break
        if passed:
            return float(scipy.optimize.brentq(excess, peak, peak + multiple * step, xtol=1e-10))
    return math.copysign(math.inf, step)
