"""Resamples as rows of counts.

A bootstrap resample, a training fold and a permutation are all "how often does each patient
count". With patients sorted by score, the area and the Youden cut of thousands of resamples
are cumulative sums along one axis (Efron 1979 for the bootstrap, Youden 1950 for the cut).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from falx.core.checks import Bools, Floats

__all__ = ["ManyCuts", "areas", "bootstrap_counts", "bootstrap_rows", "fold_labels", "many_cuts"]

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ManyCuts:
    """Youden cut and its J per resample; `usable` marks those with both outcomes."""

    cut: Floats
    youden: Floats
    usable: Bools


def bootstrap_rows(
    event: Bools, n_resamples: int, rng: np.random.Generator, *, stratified: bool = False
) -> Integers:
    """Row indices (B, n) drawn with replacement, within each outcome when stratified."""
    n = len(event)
    if not stratified:
        return rng.integers(0, n, size=(n_resamples, n))
    parts = [np.flatnonzero(event == side) for side in (False, True)]
    drawn = [part[rng.integers(0, len(part), size=(n_resamples, len(part)))] for part in parts]
    return np.concatenate(drawn, axis=1)


def bootstrap_counts(rows: Integers, n: int) -> Integers:
    """How often each of n patients occurs in each resample, (B, n)."""
    counts = np.zeros((len(rows), n), dtype=np.int64)
    np.add.at(counts, (np.arange(len(rows))[:, None], rows), 1)
    return counts


def fold_labels(event: Bools, n_folds: int, n_repeats: int, rng: np.random.Generator) -> Integers:
    """Stratified fold of each patient for each repeat, (n_repeats, n).

    The second outcome is dealt starting where the first one ended, so fold sizes differ by at
    most one.
    """
    labels = np.empty((n_repeats, len(event)), dtype=np.int64)
    groups = [np.flatnonzero(event), np.flatnonzero(~event)]
    for repeat in range(n_repeats):
        order = np.concatenate([rng.permutation(group) for group in groups])
        labels[repeat, order] = np.arange(len(event)) % n_folds
    return labels


def _distinct(
    values: Floats, event: NDArray[np.bool_], counts: NDArray[np.integer]
) -> tuple[Floats, Floats, Floats]:
    """Distinct values ascending, and positives and negatives counted at each, (B, d)."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ranked) > 0]))
    weights, positive = counts[:, order].astype(np.float64), event[..., order]
    ones = np.add.reduceat(weights * positive, starts, axis=1)
    zeros = np.add.reduceat(weights * ~positive, starts, axis=1)
    return ranked[starts], ones, zeros


def areas(values: Floats, event: NDArray[np.bool_], counts: NDArray[np.integer]) -> Floats:
    """Area under the curve of every resample; NaN where only one outcome was drawn.

    `event` is (n,), or (B, n) when outcomes are permuted.
    """
    _, ones, zeros = _distinct(values, event, counts)
    below = np.cumsum(zeros, axis=1) - zeros
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    wins = np.sum(ones * (below + zeros / 2), axis=1)
    ratio: Floats = np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
    return ratio


def many_cuts(values: Floats, event: NDArray[np.bool_], counts: NDArray[np.integer]) -> ManyCuts:
    """Youden cut (lowest of ties, midpoints of the values drawn) of every resample."""
    distinct, ones, zeros = _distinct(values, event, counts)
    n_ones, n_zeros = ones.sum(axis=1), zeros.sum(axis=1)
    usable = (n_ones > 0) & (n_zeros > 0)
    safe_ones, safe_zeros = np.maximum(n_ones, 1)[:, None], np.maximum(n_zeros, 1)[:, None]
    # J of the cut just above distinct value i: share of zeros at or below it minus ones.
    index = np.cumsum(zeros, axis=1) / safe_zeros - np.cumsum(ones, axis=1) / safe_ones
    youden = index.max(axis=1)
    # Rounding must not decide between ties, or the lowest cut would depend on it.
    first = np.argmax(index >= youden[:, None] - 1e-12, axis=1)
    drawn = (ones + zeros) > 0
    later = drawn & (np.arange(len(distinct))[None, :] > first[:, None])
    following = np.argmax(later, axis=1)
    cut = (distinct[first] + distinct[following]) / 2
    useless = ~usable | (youden <= 1e-12)
    return ManyCuts(np.where(useless, -np.inf, cut), np.maximum(youden, 0.0), usable)
