"""Separation: outcomes that predictors tell apart without error, so that odds ratios explode."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from falx.core.checks import binary_outcome, design_matrix
from falx.core.errors import InputError

__all__ = ["SeparatedError", "check_not_separated", "is_separated"]


class SeparatedError(InputError):
    """Maximum likelihood has no finite answer because the classes are separated."""


def is_separated(predictors: ArrayLike, outcome: ArrayLike) -> bool:
    """Whether some combination of the predictors parts the outcomes (completely or quasi).

    A linear program looks for b with (2 y - 1) x'b >= 0 for every patient and > 0 for one
    (Konis 2007; Albert and Anderson 1984). A positive optimum means separation.

    Examples
    --------
    >>> is_separated([1, 2, 3, 4], [0, 0, 1, 1])
    True
    >>> is_separated([1, 2, 3, 4], [0, 1, 0, 1])
    False
    """
    from scipy.optimize import linprog

    y = binary_outcome(outcome)
    matrix = design_matrix(predictors, len(y))
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    signed = np.where(y, 1.0, -1.0)[:, None] * np.column_stack([np.ones(len(y)), scaled])
    solution = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(y)),
        bounds=[(-1, 1)] * signed.shape[1],
        method="highs",
    )
    return bool(-solution.fun > 1e-7)


def check_not_separated(predictors: ArrayLike, outcome: ArrayLike, name: str) -> None:
    """Raise if predictors (n, p) separate the outcomes (n,), naming the remedy."""
    if is_separated(predictors, outcome):
        raise SeparatedError(
            f"{name} separates the outcomes, so no maximum-likelihood odds ratio exists",
            found="a combination of predictors without overlap between the classes",
            do="read Firth's penalised estimate instead",
        )
