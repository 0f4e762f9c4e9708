"""Firth's penalised logistic regression, which stays finite under separation.

Firth (1993) maximises logL + 0.5 ln det I(b); Heinze and Schemper (2002) give the
penalised-likelihood test and interval used here.
"""

from __future__ import annotations

from collections.abc import Sequence

import scipy
from numpy.typing import ArrayLike

from falx.clinical.logistic.fit import (
    ChiSquareTest,
    LogisticFit,
    fitted,
    standard_design,
    term_names,
)
from falx.clinical.logistic.likelihood import maximise
from falx.core.checks import binary_outcome, design_matrix

__all__ = ["firth_ratio_test", "fit_firth"]


def fit_firth(
    predictors: ArrayLike, outcome: ArrayLike, names: Sequence[str] | None = None
) -> LogisticFit:
    """Fit by penalised likelihood; standard errors from the information at the solution.

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
    >>> fit = fit_firth([1, 2, 3, 4], [0, 0, 1, 1])  # separated: still finite
    >>> bool(0 < fit.coefficients[1] < 3)
    True
    """
    event = binary_outcome(outcome)
    matrix = design_matrix(predictors, len(event))
    return fitted(matrix, event, term_names(matrix, names), penalised=True)


def firth_ratio_test(predictors: ArrayLike, outcome: ArrayLike, column: int = 0) -> ChiSquareTest:
    """Penalised-likelihood ratio test of one slope of predictors (n, p).

    The restricted fit holds the slope at zero but keeps the penalty of the full design.
    """
    event = binary_outcome(outcome)
    design = standard_design(design_matrix(predictors, len(event)))
    top = maximise(design.matrix, event, penalised=True)
    held = maximise(design.matrix, event, penalised=True, fixed=column + 1)
    statistic = max(0.0, 2 * (top.value - held.value))
    return ChiSquareTest(statistic, 1, float(scipy.stats.chi2.sf(statistic, 1)))
