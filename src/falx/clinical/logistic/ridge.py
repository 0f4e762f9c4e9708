"""Logistic regression with normal priors of the slopes, for predictions from few patients.

The mode of the posterior under slopes ~ N(0, sd²) per standard deviation (le Cessie and van
Houwelingen 1992); the intercept is free. Firth's penalty takes off the bias of the slopes, not
their spread, so that probabilities from two slopes and thirty patients are said too far apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from falx.core.checks import Floats, binary_outcome, design_matrix

__all__ = ["SLOPE_SD", "ridge_log_odds"]

SLOPE_SD = 0.75
"""Of slopes per standard deviation: an odds ratio of .23 to 4.3. Of 1, .75 and .5 the one whose
predictions err least over true odds ratios of 1 to 3.3 in cohorts of thirty."""


def ridge_log_odds(
    predictors: ArrayLike, outcome: ArrayLike, new: ArrayLike, *, slope_sd: float = SLOPE_SD
) -> Floats:
    """Log odds (m,) that a fit to predictors (n, p) and outcomes (n,) foretells at new (m, p).

    Raises
    ------
    InputError
        If a predictor is the same in everybody.

    Examples
    --------
    >>> low, high = ridge_log_odds([1, 2, 3, 4], [0, 0, 1, 1], [1, 4])  # separated: finite
    >>> bool(-2 < low < 0 < high < 2)
    True
    """
    event = binary_outcome(outcome)
    x = design_matrix(predictors, len(event))
    centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    precision = np.diag([0.0, *(slope_sd**-2 for _ in scale)])
    at = np.zeros(design.shape[1])
    for _ in range(100):
        p = expit(design @ at)
        gradient = design.T @ (event - p) - precision @ at
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + precision
        step = np.linalg.solve(curvature, gradient)
        at = at + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            break
    standard = (np.asarray(new, dtype=np.float64).reshape(-1, x.shape[1]) - centre) / scale
    return np.asarray(at[0] + standard @ at[1:])
