"""Cyclic boosting of stumps, compiled; :mod:`falx.clinical.additive` is its public face.

Boosting of residuals is Friedman 2001, the visit of every predictor in turn Lou 2012.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from falx.core.checks import Bools, Floats

__all__ = ["boost"]

Integers = NDArray[np.int64]


@numba.njit(cache=True)
def _best_split(
    residual: Floats, order: Integers, values: Floats, m: int
) -> tuple[int, float, float]:
    """Split position with the largest gain (first on ties; 0: none) and the two means.

    Gain of a split into s and m - s rows: (Σ left)² / s + (Σ right)² / (m - s), the drop of the
    squared error but for a constant.
    """
    total = 0.0
    for i in range(m):
        total += residual[order[i]]
    best_gain, best, best_sum, running = -1.0, 0, 0.0, 0.0
    for s in range(1, m):
        running += residual[order[s - 1]]
        if values[s - 1] < values[s]:
            rest = total - running
            gain = running * running / s + rest * rest / (m - s)
            if gain > best_gain:
                best_gain, best, best_sum = gain, s, running
    if best == 0:
        return 0, 0.0, 0.0
    return best, best_sum / best, (total - best_sum) / (m - best)


@numba.njit(cache=True)
def _training_order(
    x: Floats, train: Bools, order: Integers, own: Integers, values: Floats
) -> None:
    """Keep the training rows of each predictor's sorted order."""
    for j in range(x.shape[1]):
        k = 0
        for i in order[j]:
            if train[i]:
                own[j, k] = i
                values[j, k] = x[i, j]
                k += 1


@numba.njit(cache=True)
def _boost_rounds(
    residual: Floats,
    own: Integers,
    values: Floats,
    rounds: int,
    rate: float,
    base: Floats,
    jumps: Floats,
) -> None:
    """Visit the predictors in turn; each adds its best stump and lowers the residuals."""
    p, m = own.shape
    for _ in range(rounds):
        for j in range(p):
            s, left, right = _best_split(residual, own[j], values[j], m)
            if s == 0:
                continue
            left *= rate
            right *= rate
            base[j] += left
            jumps[j, s] += right - left
            for i in range(m):
                residual[own[j, i]] -= left if i < s else right


@numba.njit(cache=True)
def _step_functions(
    base: Floats, jumps: Floats, values: Floats, evaluate: Floats, out: Floats
) -> None:
    """Write f_j(x_j): steps lie midway between neighbouring training values."""
    for j in range(len(base)):
        for row in range(evaluate.shape[0]):
            total = base[j]
            for s in range(1, values.shape[1]):
                if jumps[j, s] != 0.0:
                    middle = (values[j, s - 1] + values[j, s]) / 2
                    if middle < evaluate[row, j]:
                        total += jumps[j, s]
            out[row, j] = total


@numba.njit(cache=True)
def _fit_all(
    x: Floats,
    y: Floats,
    trains: Bools,
    order: Integers,
    evaluate: Floats,
    rounds: int,
    rate: float,
    out: Floats,
    means: Floats,
) -> None:
    """Fit mean + Σ_j f_j(x_j) for each training set, f_j a sum of `rounds` stumps."""
    p = x.shape[1]
    for fit in range(trains.shape[0]):
        train, response = trains[fit], y[fit % y.shape[0]]
        m = train.sum()
        means[fit] = (response * train).sum() / m
        own, values = np.empty((p, m), dtype=np.int64), np.empty((p, m))
        _training_order(x, train, order, own, values)
        base, jumps = np.zeros(p), np.zeros((p, m))
        _boost_rounds(response - means[fit], own, values, rounds, rate, base, jumps)
        _step_functions(base, jumps, values, evaluate, out[fit])


def boost(
    predictors: Floats,
    responses: Floats,
    trains: Bools,
    evaluate: Floats,
    *,
    rounds: int,
    learning_rate: float,
) -> tuple[Floats, Floats]:
    """Fit one additive model per training set.

    Parameters
    ----------
    predictors
        (n, p).
    responses
        (r, n); fit i uses response i mod r.
    trains
        (fits, n), which rows each fit may see.
    evaluate
        (rows, p), where the shape functions are wanted.
    rounds, learning_rate
        Of the boosting.

    Returns
    -------
    contributions, means
        (fits, rows, p) shape functions f_j(x_j), and (fits,) training means.
    """
    order = np.ascontiguousarray(np.argsort(predictors, axis=0, kind="stable").T)
    out = np.empty((len(trains), *evaluate.shape))
    means = np.empty(len(trains))
    _fit_all(
        np.ascontiguousarray(predictors),
        np.ascontiguousarray(responses),
        trains,
        order,
        np.ascontiguousarray(evaluate),
        rounds,
        learning_rate,
        out,
        means,
    )
    return out, means
