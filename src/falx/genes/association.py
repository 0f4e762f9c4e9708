"""Correlation of every gene with a map, judged against null maps.

P counts null maps (Phipson and Smyth 2010); the maximum over genes controls the familywise error
(Westfall and Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt
import scipy

from falx.core.checks import Probabilities
from falx.core.errors import InputError, check_option
from falx.core.multiplicity import TIE, benjamini_hochberg

__all__ = [
    "CORRELATIONS",
    "Correlation",
    "GeneCorrelations",
    "Tally",
    "correlate",
    "gene_correlations",
    "tally",
    "unit_columns",
]

Array = npt.NDArray[np.float64]
Correlation = Literal["pearson", "spearman"]
CORRELATIONS: tuple[Correlation, Correlation] = ("pearson", "spearman")
GENE_BLOCK = 512
MAP_BLOCK = 5000


@dataclass(frozen=True, eq=False)
class GeneCorrelations:
    """Per-gene correlation with a map and its spatial probabilities, each of shape (p,).

    Attributes
    ----------
    r
        Correlation.
    reached
        In how many null maps |r| was reached.
    p
        (1 + reached) / (1 + B), two-sided.
    q
        Benjamini–Hochberg over genes.
    p_max
        Two-sided P against the largest |r| of any gene in each null map: controls the chance
        of a single false gene.
    """

    r: Array
    reached: npt.NDArray[np.int64]
    p: Probabilities
    q: Probabilities
    p_max: Probabilities
    n_maps: int
    correlation: Correlation


@dataclass(frozen=True, eq=False)
class Tally:
    """How often profiles reached their observed product on null maps, each of shape (g,)."""

    reached: npt.NDArray[np.int64]
    p: Probabilities
    p_max: Probabilities


@numba.njit(cache=True)
def _count_block(
    r: Array, floor: Array, reached: npt.NDArray[np.int64], largest: Array
) -> None:  # pragma: no cover - compiled
    # Without branches, so that the loop runs on vector registers.
    for g in range(r.shape[0]):
        threshold = floor[g]
        k = 0
        for b in range(r.shape[1]):
            value = abs(r[g, b])
            k += value >= threshold
            largest[b] = max(largest[b], value)
        reached[g] += k


def tally(profiles: Array, maps: Array, observed: Array) -> Tally:
    """Count, for each profile, the maps whose |product| reaches the observed one.

    Memory stays flat: blocks of profiles × maps are counted and dropped.

    Parameters
    ----------
    profiles
        Shape (g, n).
    maps
        Shape (n, B).
    observed
        Shape (g,).
    """
    n_maps = maps.shape[1]
    if n_maps == 0:
        raise InputError("no null maps were given")
    reached = np.zeros(len(profiles), dtype=np.int64)
    largest = np.zeros(n_maps)
    floor = np.abs(observed) - TIE
    for column in range(0, n_maps, MAP_BLOCK):
        part = slice(column, column + MAP_BLOCK)
        block_maps = np.ascontiguousarray(maps[:, part])
        for row in range(0, len(profiles), GENE_BLOCK):
            rows = slice(row, row + GENE_BLOCK)
            _count_block(profiles[rows] @ block_maps, floor[rows], reached[rows], largest[part])
    above = n_maps - np.searchsorted(np.sort(largest), floor, side="left")
    p = np.asarray((1.0 + reached) / (1.0 + n_maps))
    return Tally(reached, p, np.asarray((1.0 + above) / (1.0 + n_maps)))


def correlate(
    expression: npt.ArrayLike, maps: npt.ArrayLike, *, correlation: Correlation = "pearson"
) -> Array:
    """Correlation of each gene with each map, shape (p, B) for maps of shape (B, n)."""
    X = unit_columns(np.asarray(expression, dtype=np.float64), correlation)
    Y = unit_columns(np.atleast_2d(np.asarray(maps, dtype=np.float64)).T, correlation)
    return np.asarray(X.T @ Y)


def gene_correlations(
    expression: npt.ArrayLike,
    values: npt.ArrayLike,
    null_maps: npt.ArrayLike,
    *,
    correlation: Correlation = "pearson",
) -> GeneCorrelations:
    """Correlate every gene with a map and with its null maps.

    Spearman ranks expression, map **and** null maps (mid-ranks for ties).

    Parameters
    ----------
    expression
        Shape (n, p).
    values
        The map, shape (n,).
    null_maps
        Shape (B, n).
    """
    check_option("correlation", correlation, CORRELATIONS)
    nulls = np.asarray(null_maps, dtype=np.float64)
    if nulls.ndim != 2:
        raise InputError("null maps need one row a map", found=f"shape {nulls.shape}")
    profiles = np.ascontiguousarray(
        unit_columns(np.asarray(expression, dtype=np.float64), correlation).T
    )
    y = unit_columns(np.asarray(values, dtype=np.float64)[:, None], correlation)[:, 0]
    r = np.asarray(profiles @ y, dtype=np.float64)
    counted = tally(profiles, unit_columns(nulls.T, correlation), r)
    return GeneCorrelations(
        r,
        counted.reached,
        counted.p,
        benjamini_hochberg(counted.p),
        counted.p_max,
        len(nulls),
        correlation,
    )


def unit_columns(table: Array, correlation: Correlation) -> Array:
    """Centre columns of shape (n, p) and give them unit length, ranked first for Spearman."""
    if not np.isfinite(table).all():
        raise InputError("values are missing", do="leave those regions or genes out")
    if correlation == "spearman":
        table = scipy.stats.rankdata(table, axis=0)
    centred = table - table.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    if np.any(length == 0):
        raise InputError("a gene or a map is constant over regions", do="remove it")
    return np.asarray(centred / length)
