"""Correlation of every gene with a map, judged against null maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt
from scipy import stats

from falx.errors import InputError, check_option
from falx.genes.multiplicity import TIE, benjamini_hochberg

__all__ = ["CORRELATIONS", "Correlation", "GeneCorrelations", "correlate", "gene_correlations"]

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
    p: Array
    q: Array
    p_max: Array
    n_maps: int
    correlation: Correlation


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


def correlate(
    expression: npt.ArrayLike, maps: npt.ArrayLike, *, correlation: Correlation = "pearson"
) -> Array:
    """Correlation of each gene with each map, shape (p, B) for maps of shape (B, n)."""
    X = _unit_columns(np.asarray(expression, dtype=np.float64), correlation)
    Y = _unit_columns(np.atleast_2d(np.asarray(maps, dtype=np.float64)).T, correlation)
    return np.asarray(X.T @ Y)


def gene_correlations(
    expression: npt.ArrayLike,
    values: npt.ArrayLike,
    null_maps: npt.ArrayLike,
    *,
    correlation: Correlation = "pearson",
) -> GeneCorrelations:
    """Correlate every gene with a map and with its null maps.

    Spearman ranks expression, map **and** null maps (mid-ranks for ties). Memory stays flat:
    blocks of genes × null maps are counted and dropped.

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
    if nulls.ndim != 2 or len(nulls) == 0:
        raise InputError("no null maps were given", found=f"shape {nulls.shape}")
    X = _unit_columns(np.asarray(expression, dtype=np.float64), correlation)
    genes_first = np.ascontiguousarray(X.T)
    y = _unit_columns(np.asarray(values, dtype=np.float64)[:, None], correlation)[:, 0]
    Y = _unit_columns(nulls.T, correlation)
    r = np.asarray(genes_first @ y, dtype=np.float64)
    reached = np.zeros(len(r), dtype=np.int64)
    largest = np.zeros(Y.shape[1])
    floor = np.abs(r) - TIE
    for column in range(0, Y.shape[1], MAP_BLOCK):
        maps = slice(column, column + MAP_BLOCK)
        block_maps = np.ascontiguousarray(Y[:, maps])
        for row in range(0, len(r), GENE_BLOCK):
            genes = slice(row, row + GENE_BLOCK)
            block = genes_first[genes] @ block_maps
            _count_block(block, floor[genes], reached[genes], largest[maps])
    p = np.asarray((1.0 + reached) / (1.0 + len(nulls)))
    above = len(nulls) - np.searchsorted(np.sort(largest), floor, side="left")
    p_max = np.asarray((1.0 + above) / (1.0 + len(nulls)))
    return GeneCorrelations(r, reached, p, benjamini_hochberg(p), p_max, len(nulls), correlation)


def _unit_columns(table: Array, correlation: Correlation) -> Array:
    """Centred columns of unit length, of ranks for Spearman."""
    if not np.isfinite(table).all():
        raise InputError("values are missing", do="leave those regions or genes out")
    if correlation == "spearman":
        table = stats.rankdata(table, axis=0)
    centred = table - table.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", centred, centred))
    if np.any(length == 0):
        raise InputError("a gene or a map is constant over regions", do="remove it")
    return np.asarray(centred / length)
