"""Ranked enrichment: the running-sum statistic of GSEA, judged on spatial null maps.

Subramanian et al. 2005 (PNAS 102:15545) walk down the ranked genes, add |statistic| at genes of
the set and subtract a constant elsewhere; the enrichment score is the largest deviation. The
usual null shuffles genes, which breaks their co-expression. Here the genes are ranked anew by
their correlation with each null map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.checks import Probabilities
from falx.core.errors import InputError
from falx.core.multiplicity import benjamini_hochberg
from falx.genes.sets.library import TestedSets

__all__ = ["RankedResult", "enrichment_scores", "ranked_enrichment"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankedResult:
    """One row per tested set.

    Attributes
    ----------
    score
        Enrichment score in [-1, 1]; positive: the set gathers at the top.
    normalised
        Score over the mean null score of its sign.
    p
        Among null scores of the same sign, (1 + k)/(1 + B of that sign).
    """

    library: str
    names: tuple[str, ...]
    score: Array
    normalised: Array
    p: Probabilities
    q: Probabilities


@numba.njit(cache=True)
def _walk(
    order: npt.NDArray[np.int64],
    weight: Array,
    set_start: npt.NDArray[np.int64],
    set_of: npt.NDArray[np.int64],
    total: Array,
    size: npt.NDArray[np.int64],
    out: Array,
) -> None:  # pragma: no cover - compiled
    """Enrichment score of every set in one pass over the ranked genes."""
    m, n = size.size, order.size
    hit = np.zeros(m)
    count = np.zeros(m, np.int64)
    high = np.zeros(m)
    low = np.zeros(m)
    for rank in range(n):
        gene = order[rank]
        for j in range(set_start[gene], set_start[gene + 1]):
            s = set_of[j]
            miss = (rank - count[s]) / max(n - size[s], 1)  # a set may hold every gene
            low[s] = min(low[s], hit[s] - miss)
            hit[s] += weight[gene] / total[s]
            count[s] += 1
            high[s] = max(high[s], hit[s] - miss)
    for s in range(m):
        out[s] = high[s] if high[s] >= -low[s] else low[s]


def enrichment_scores(statistic: npt.ArrayLike, sets: TestedSets) -> Array:
    """Enrichment score of every set, shape (m,), for one ranking of the universe, weight 1.

    Genes are ranked from the largest statistic; ties keep the order of the universe.
    """
    value = np.asarray(statistic, dtype=np.float64)
    if len(value) != len(sets.universe):
        raise InputError("statistic and gene sets differ in genes")
    columns = sets.membership.tocsc()
    return _scores(value, sets, columns.indptr.astype(np.int64), columns.indices.astype(np.int64))


def _scores(
    value: Array, sets: TestedSets, start: npt.NDArray[np.int64], set_of: npt.NDArray[np.int64]
) -> Array:
    order = np.argsort(-value, kind="stable").astype(np.int64)
    weight = np.abs(value)
    total = np.asarray(sets.membership @ weight)
    if np.any(total == 0):
        raise InputError("every gene of a set has the statistic 0", do="leave the set out")
    out = np.empty(len(sets.names))
    _walk(order, weight, start, set_of, total, sets.sizes, out)
    return out


def ranked_enrichment(
    statistic: npt.ArrayLike, null_statistics: npt.ArrayLike, sets: TestedSets
) -> RankedResult:
    """Ranked enrichment against null rankings.

    Parameters
    ----------
    statistic
        Of each gene, shape (N,), such as its correlation with the map.
    null_statistics
        The same on null maps, shape (N, B), from :func:`falx.genes.association.correlate`.
    """
    nulls = np.asarray(null_statistics, dtype=np.float64)
    columns = sets.membership.tocsc()
    start, set_of = columns.indptr.astype(np.int64), columns.indices.astype(np.int64)
    score = enrichment_scores(statistic, sets)
    null = np.stack(
        [
            _scores(np.ascontiguousarray(nulls[:, b]), sets, start, set_of)
            for b in range(nulls.shape[1])
        ],
        axis=1,
    )
    same = np.sign(null) == np.where(score >= 0, 1.0, -1.0)[:, None]
    n_same = same.sum(axis=1)
    reached = (same & (np.abs(null) >= np.abs(score)[:, None] - 1e-12)).sum(axis=1)
    mean_same = np.abs(np.where(same, null, 0.0)).sum(axis=1) / np.maximum(n_same, 1)
    normalised = np.divide(score, mean_same, out=np.zeros_like(score), where=mean_same > 0)
    p = (1.0 + reached) / (1.0 + n_same)
    return RankedResult(sets.library, sets.names, score, normalised, p, benjamini_hochberg(p))
