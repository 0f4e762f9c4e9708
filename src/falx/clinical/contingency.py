"""Counts in tables: Pearson's chi-square (1900), and Fisher's exact test (1922).

Fisher's test is written out because that of scipy draws tables at random beyond 2 × 2: three
calls on [[3, 5, 2], [6, 1, 7]] gave 0.095, 0.1045 and 0.094, where the exact P is 0.09839. The
rule of which tables count, and its allowance of 1e-7, is that of Freeman and Halton 1951.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from falx.core.checks import Floats
from falx.core.errors import InputError
from falx.core.possible import Probability

__all__ = [
    "ChiSquare",
    "FisherTest",
    "association",
    "chi_square",
    "cross_table",
    "fisher_exact",
]

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ChiSquare:
    """A chi-square test of independence; `method` names the statistic."""

    statistic: float
    df: int
    p: Probability
    smallest_expected: float
    method: str


@dataclass(frozen=True)
class FisherTest:
    """Fisher's exact test; `standard_error` is that of a sampled P, None when enumerated."""

    p: Probability
    tables: int
    standard_error: float | None = None

    @property
    def method(self) -> str:
        """Name of the method, for tables."""
        return "Fisher exact" if self.standard_error is None else "Fisher, Monte Carlo"


def cross_table(rows: ArrayLike, columns: ArrayLike) -> Counts:
    """Count the pairs of two label vectors (n,) in a table (r, c), levels in sorted order."""
    first, second = np.asarray(rows), np.asarray(columns)
    _, i = np.unique(first, return_inverse=True)
    _, j = np.unique(second, return_inverse=True)
    table = np.zeros((int(i.max()) + 1, int(j.max()) + 1), dtype=np.int64)
    np.add.at(table, (i, j), 1)
    return table


def _counts(table: ArrayLike) -> Counts:
    array = np.asarray(table)
    if array.ndim != 2 or np.any(array < 0) or np.any(array != np.floor(array)):
        raise InputError(
            "a contingency table holds counts in rows and columns",
            found=f"shape {array.shape}",
            do="pass a matrix of whole numbers",
        )
    array = array.astype(np.int64)
    array = array[array.sum(axis=1) > 0][:, array.sum(axis=0) > 0]
    if min(array.shape) < 2:
        raise InputError(
            "a test of independence needs two rows and two columns that are not empty",
            found=f"{array.shape[0]} × {array.shape[1]}",
            do="leave this variable out",
        )
    return np.asarray(array, dtype=np.int64)


def chi_square(table: ArrayLike, *, yates: bool = False) -> ChiSquare:
    """Pearson's chi-square of counts (r, c); Yates' correction is for 2 × 2 only.

    Examples
    --------
    >>> round(chi_square([[5, 1], [4, 20]]).statistic, 4)
    10.1587
    """
    counts = _counts(table)
    corrected = yates and counts.shape == (2, 2)
    test = scipy.stats.chi2_contingency(counts, correction=corrected)
    return ChiSquare(
        float(test.statistic),
        int(test.dof),
        float(test.pvalue),
        float(test.expected_freq.min()),
        "Pearson chi-square" + (", Yates" if corrected else ""),
    )


def fisher_exact(
    table: ArrayLike,
    *,
    max_tables: int = 2_000_000,
    samples: int = 100_000,
    rng: np.random.Generator | None = None,
) -> FisherTest:
    """Fisher's exact test of an r × c table, two-sided.

    Every table with the observed margins is enumerated; P is the probability of those that
    are no more likely than the observed one.

    Parameters
    ----------
    table
        Counts, (r, c).
    max_tables
        Above this many partial tables the P is sampled instead.
    samples, rng
        Size and generator of that sample.

    Examples
    --------
    >>> round(fisher_exact([[3, 5, 2], [6, 1, 7]]).p, 8)
    0.09839205
    """
    counts = _counts(table)
    observed = _log_probability(counts[None])[0]
    log_p = _enumerate(counts, max_tables)
    limit = observed + math.log1p(1e-7)
    if log_p is not None:
        return FisherTest(float(min(1.0, np.exp(log_p[log_p <= limit]).sum())), len(log_p))
    if rng is None:
        raise InputError(
            "the table has too many arrangements to list, and sampling needs a generator",
            found=f"more than {max_tables}",
            do="pass rng=numpy.random.default_rng(seed)",
        )
    drawn = scipy.stats.random_table(counts.sum(axis=1), counts.sum(axis=0)).rvs(
        size=samples, random_state=rng
    )
    hits = int(np.sum(_log_probability(drawn) <= limit))
    p = (hits + 1) / (samples + 1)
    return FisherTest(p, samples, math.sqrt(p * (1 - p) / samples))


def _log_probability(tables: NDArray[np.integer]) -> Floats:
    """Log hypergeometric probability of tables (m, r, c) that share their margins."""
    rows, columns = tables[0].sum(axis=1), tables[0].sum(axis=0)
    margins = gammaln(rows + 1).sum() + gammaln(columns + 1).sum() - gammaln(rows.sum() + 1)
    cells: Floats = gammaln(tables + 1.0).sum(axis=(1, 2))
    return np.asarray(margins - cells, dtype=np.float64)


def _enumerate(table: Counts, max_tables: int) -> Floats | None:
    """Log probability of every table with these margins, or None when there are too many."""
    if table.shape[1] > table.shape[0]:
        table = table.T
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    left = columns[None, :]
    cells = np.zeros(1)
    for total in rows[:-1]:
        ways = _compositions(int(total), len(columns))
        if len(left) * len(ways) > 20 * max_tables:
            return None
        after = left[:, None, :] - ways[None, :, :]
        possible = (after >= 0).all(axis=2)
        cells = (cells[:, None] + gammaln(ways + 1.0).sum(axis=1)[None, :])[possible]
        left = after[possible]
        if len(left) > max_tables:
            return None
    cells = cells + gammaln(left + 1.0).sum(axis=1)
    margins = gammaln(rows + 1.0).sum() + gammaln(columns + 1.0).sum()
    return np.asarray(margins - gammaln(rows.sum() + 1.0) - cells, dtype=np.float64)


def _compositions(total: int, parts: int) -> Counts:
    """All ways to write `total` as an ordered sum of `parts` counts (stars and bars)."""
    if math.comb(total + parts - 1, parts - 1) > 5_000_000:
        return np.zeros((10**8, 0), dtype=np.int64)
    bars = np.array(list(combinations(range(total + parts - 1), parts - 1)), dtype=np.int64)
    bars = bars.reshape(-1, parts - 1)
    ends = np.full((len(bars), 1), total + parts - 1)
    edges = np.hstack([np.full((len(bars), 1), -1), bars, ends])
    return np.diff(edges, axis=1) - 1


def association(
    table: ArrayLike, *, rng: np.random.Generator | None = None
) -> ChiSquare | FisherTest:
    """Fisher's exact test of counts (r, c) if any expected one is below 5, else chi-square."""
    pearson = chi_square(table)
    return fisher_exact(table, rng=rng) if pearson.smallest_expected < 5 else pearson
