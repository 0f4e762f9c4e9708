"""The assignment of least total cost, fast for many small problems.

Jonker and Volgenant 1987, Computing 38:325: columns are reduced, rows that are left try their two
cheapest columns in turn, and what is still free is joined along shortest augmenting paths.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["least_cost"]

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@numba.njit(cache=True)
def _reduce_columns(
    cost: Array, price: Array, column_of: Indices, row_of: Indices
) -> None:  # pragma: no cover - compiled
    """Price every column at its least cost, and give it to that row if the row is free."""
    n = len(price)
    for j in range(n - 1, -1, -1):
        best = 0
        for i in range(1, n):
            if cost[i, j] < cost[best, j]:
                best = i
        price[j] = cost[best, j]
        if column_of[best] < 0:
            column_of[best] = j
            row_of[j] = best


@numba.njit(cache=True)
def _two_cheapest(cost: Array, price: Array, i: int) -> tuple[int, int, float, float]:
    # pragma: no cover - compiled
    first, second, least, next_least = 0, -1, cost[i, 0] - price[0], np.inf
    for j in range(1, len(price)):
        reduced = cost[i, j] - price[j]
        if reduced < least:
            first, second, least, next_least = j, first, reduced, least
        elif reduced < next_least:
            second, next_least = j, reduced
    return first, second, least, next_least


@numba.njit(cache=True)
def _reduce_rows(
    cost: Array, price: Array, column_of: Indices, row_of: Indices
) -> None:  # pragma: no cover - compiled
    """Let free rows take their cheapest column, whose price falls to the row's second choice."""
    n = len(price)
    for _ in range(2):
        free = np.flatnonzero(column_of < 0)
        for one in free:
            i = one
            for _turn in range(n):  # a row that was put out tries at once
                first, second, least, next_least = _two_cheapest(cost, price, i)
                j = first
                if least < next_least:
                    price[j] -= next_least - least
                elif row_of[j] >= 0 and second >= 0:
                    j = second
                out = row_of[j]
                column_of[i] = j
                row_of[j] = i
                if out < 0:
                    break
                column_of[out] = -1
                if least >= next_least:
                    break
                i = out


@numba.njit(cache=True)
def _augment(
    cost: Array, price: Array, column_of: Indices, row_of: Indices, start: int
) -> None:  # pragma: no cover - compiled
    """Join a free row along the shortest path to a free column (Dijkstra over reduced costs)."""
    n = len(price)
    length = cost[start] - price
    before = np.full(n, start)
    left = np.arange(n)  # columns not yet reached: the first m
    m, nearest, at = n, -1, -1
    least = np.inf
    for k in range(n):
        if length[k] < least:
            nearest, least, at = k, length[k], k
    while row_of[nearest] >= 0:
        m -= 1
        left[at], left[m] = left[m], left[at]
        i = row_of[nearest]
        row, base = cost[i], cost[i, nearest] - price[nearest] - least
        least = np.inf
        for k in range(m):
            j = left[k]
            through = row[j] - price[j] - base
            if through < length[j]:
                length[j] = through
                before[j] = i
            if length[j] < least:
                nearest, least, at = j, length[j], k
    for k in range(m, n):
        price[left[k]] += length[left[k]] - least
    end = nearest
    while True:
        i = before[end]
        row_of[end] = i
        end, column_of[i] = column_of[i], end
        if i == start:
            break


@numba.njit(cache=True)
def least_cost(cost: Array) -> Indices:  # pragma: no cover - compiled
    """Return the column of every row in the assignment of least total cost.

    Parameters
    ----------
    cost
        Finite, shape (n, n).

    Returns
    -------
    array
        Shape (n,), a permutation.
    """
    n = cost.shape[0]
    price = np.zeros(n)
    column_of = np.full(n, -1)
    row_of = np.full(n, -1)
    _reduce_columns(cost, price, column_of, row_of)
    _reduce_rows(cost, price, column_of, row_of)
    for i in np.flatnonzero(column_of < 0):
        _augment(cost, price, column_of, row_of, i)
    return column_of
