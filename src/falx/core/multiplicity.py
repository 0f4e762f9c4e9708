"""Many tests at once: Holm, Bonferroni and Benjamini-Hochberg adjusted P values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from falx.core.checks import Floats, vector
from falx.core.errors import InputError

__all__ = ["benjamini_hochberg", "bonferroni", "holm"]


def _p_values(p: ArrayLike) -> Floats:
    """P values as a vector; of no tests there is nothing to correct."""
    values = vector(p, "P values", at_least=0)
    if np.any((values < 0) | (values > 1)):
        raise InputError(
            "P values lie between 0 and 1",
            found=f"{values.min():g} to {values.max():g}",
            do="pass P values, not statistics",
        )
    return values


def bonferroni(p: ArrayLike) -> Floats:
    """Multiply each P by the number of tests."""
    values = _p_values(p)
    return np.minimum(values * len(values), 1.0)


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted P: controls the family-wise error, never worse than Bonferroni.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini-Hochberg adjusted P: controls the false discovery rate.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    values = _p_values(p)
    order = np.argsort(values, kind="stable")[::-1]
    steps = values[order] * len(values) / np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return adjusted
