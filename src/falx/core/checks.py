"""What every clinical statistic asks of its input: finite numbers, two outcomes, no gaps."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from falx.core.errors import InputError
from falx.core.possible import Possible

__all__ = [
    "Bools",
    "Floats",
    "Probabilities",
    "binary_outcome",
    "complete_cases",
    "design_matrix",
    "vector",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Probabilities = Annotated[Floats, Possible(0, 1)]
"""P or Q, any shape."""


def vector(values: ArrayLike, name: str, *, at_least: int = 1) -> Floats:
    """Return `values` as a finite vector (n,), or raise with the number of missing values.

    Examples
    --------
    >>> vector([1, 2, 3], "age")
    array([1., 2., 3.])
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < at_least:
        raise InputError(
            f"{name} needs at least {at_least} values in one column",
            found=f"{array.shape[0]} values" if array.ndim == 1 else f"{array.ndim} dimensions",
            do="pass one number per patient",
        )
    missing = int(np.sum(~np.isfinite(array)))
    if missing:
        raise InputError(
            f"{name} has missing values",
            found=f"{missing} of {len(array)}",
            do="keep the complete cases first",
        )
    return array


def binary_outcome(outcome: ArrayLike, name: str = "the outcome") -> Bools:
    """Return an outcome (n,) of zeros and ones as booleans; both classes must occur."""
    array = vector(outcome, name, at_least=2)
    if not np.all((array == 0) | (array == 1)):
        raise InputError(
            f"{name} must be coded 0 and 1",
            found=f"values {np.unique(array)[:5].tolist()}",
            do="recode it, 1 for the event (seizure free)",
        )
    events = int(array.sum())
    if events in (0, len(array)):
        raise InputError(
            f"{name} has only one class, so nothing can be compared",
            found=f"{events} of {len(array)} are 1",
            do="use a cohort with both outcomes",
        )
    return np.asarray(array == 1, dtype=np.bool_)


def complete_cases(*columns: ArrayLike) -> Bools:
    """Return the mask of rows without a missing value in any column.

    Examples
    --------
    >>> complete_cases([1.0, float("nan"), 3.0], [0, 1, 1]).tolist()
    [True, False, True]
    """
    arrays: list[NDArray[Any]] = [np.asarray(column, dtype=np.float64) for column in columns]
    if len({len(array) for array in arrays}) != 1:
        raise InputError(
            "the columns differ in length",
            found=[len(array) for array in arrays],
            do="pass one value per patient in every column",
        )
    finite = [np.isfinite(a) if a.ndim == 1 else np.isfinite(a).all(axis=1) for a in arrays]
    return np.asarray(np.logical_and.reduce(finite), dtype=np.bool_)


def design_matrix(predictors: ArrayLike, n_rows: int, name: str = "the predictors") -> Floats:
    """Return predictors as a finite (n, p) matrix whose columns vary and are not collinear."""
    matrix = np.asarray(predictors, dtype=np.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or len(matrix) != n_rows:
        raise InputError(
            f"{name} and the outcome differ in length",
            found=f"shape {matrix.shape} for {n_rows} patients",
            do="pass one row per patient",
        )
    if not np.isfinite(matrix).all():
        missing = int(np.sum(~np.isfinite(matrix).all(axis=1)))
        raise InputError(
            f"{name} have missing values",
            found=f"{missing} of {n_rows} rows",
            do="keep the complete cases first (falx.core.checks.complete_cases)",
        )
    spread = np.ptp(matrix, axis=0)
    if np.any(spread == 0):
        raise InputError(
            f"{name} contain a constant column, which cannot explain anything",
            found=f"column {int(np.argmin(spread)) + 1}",
            do="leave it out",
        )
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    rank = int(np.linalg.matrix_rank(np.column_stack([np.ones(n_rows), scaled])))
    if rank <= matrix.shape[1]:
        raise InputError(
            f"{name} are collinear or too many for the number of patients",
            found=f"{matrix.shape[1]} columns of joint rank {rank - 1}",
            do="leave out columns that follow from the others",
        )
    return matrix
