"""One probe per gene: which of a gene's probes stands for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError, check_option
from falx.genes.ahba.files import RnaSeq
from falx.genes.ahba.samples import Samples

__all__ = [
    "SELECTIONS",
    "Microarray",
    "choose_probes",
    "differential_stability",
    "rank_correlation",
    "rnaseq_by_structure",
    "rnaseq_by_well",
]

Array = npt.NDArray[np.float64]
SELECTIONS = (
    "average",
    "max_intensity",
    "max_variance",
    "pc_loading",
    "corr_variance",
    "corr_intensity",
    "diff_stability",
    "rnaseq",
)


@dataclass(frozen=True, eq=False)
class Microarray:
    """Expression of one donor, shape (probes, samples), with its samples."""

    expression: Array
    samples: Samples


def rank_correlation(a: Array, b: Array) -> Array:
    """Spearman correlation of matching rows, shape (rows,); NaN where a row is constant."""
    ranks = [_ranks(x) for x in (a, b)]
    centred = [r - r.mean(axis=1, keepdims=True) for r in ranks]
    length = [np.sqrt((c**2).sum(axis=1)) for c in centred]
    flat = (length[0] == 0) | (length[1] == 0)
    product = (centred[0] * centred[1]).sum(axis=1)
    return np.asarray(np.where(flat, np.nan, product / np.where(flat, 1.0, length[0] * length[1])))


def _ranks(values: Array) -> Array:
    """Ranks within each row, means for ties; rows without ties, nearly all, need one sort."""
    order = np.argsort(values, axis=1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, values.shape[1] + 1)[None, :], axis=1)
    ascending = np.take_along_axis(values, order, axis=1)
    tied = (np.diff(ascending, axis=1) == 0).any(axis=1)
    ranks[tied] = scipy.stats.rankdata(values[tied], axis=1)
    return ranks


def _group_means(
    values: Array, groups: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], Array]:
    """Mean of columns by group, groups ascending."""
    order = np.argsort(groups, kind="stable")
    keys, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    return keys, np.add.reduceat(values[:, order], starts, axis=1) / counts


def differential_stability(donors: Sequence[Microarray]) -> Array:
    """Mean rank correlation of each probe's structure profile over donor pairs, shape (probes,).

    Structures shared by a pair count (Hawrylycz et al. 2015). A probe without a correlation
    in any pair is NaN.
    """
    if len(donors) < 2:
        raise InputError(
            "differential stability needs at least two donors",
            found=len(donors),
            do="choose another probe selection",
        )
    means = [_group_means(d.expression, d.samples.structure_id) for d in donors]
    total = np.zeros(donors[0].expression.shape[0])
    for (keys_a, a), (keys_b, b) in combinations(means, 2):
        _, in_a, in_b = np.intersect1d(keys_a, keys_b, return_indices=True)
        total = total + rank_correlation(a[:, in_a], b[:, in_b])
    return np.asarray(total / (len(donors) * (len(donors) - 1) / 2))


def _sequenced(donor: Microarray, rna: RnaSeq, by: str) -> tuple[Array, Array]:
    """Means of microarray and TPM over the places that both have."""
    place = getattr(donor.samples, by)
    keys_a, a = _group_means(donor.expression, place)
    keys_b, b = _group_means(rna.tpm, getattr(rna, by))
    _, in_a, in_b = np.intersect1d(keys_a, keys_b, return_indices=True)
    return a[:, in_a], b[:, in_b]


def _rnaseq(
    donors: Sequence[Microarray],
    rnas: Sequence[RnaSeq],
    keys: Sequence[object],
    by: str,
    key_of: Callable[[RnaSeq, str], object],
) -> Array:
    """Rank correlation with RNA-seq, shape (donors, probes); NaN where there is none."""
    out = np.full((len(donors), len(keys)), np.nan)
    for row, (donor, rna) in enumerate(zip(donors, rnas, strict=True)):
        a, b = _sequenced(donor, rna, by)
        where = {key_of(rna, symbol): i for i, symbol in reversed(list(enumerate(rna.symbols)))}
        known = np.array([key in where for key in keys])
        match = [where[key] for key in keys if key in where]
        out[row, known] = rank_correlation(a[known], b[match])
    return out


def rnaseq_by_structure(
    donors: Sequence[Microarray], rnas: Sequence[RnaSeq], symbols: Sequence[str]
) -> Array:
    """Rank correlation over structures, mean of the donors that have one, shape (probes,)."""
    r = _rnaseq(donors, rnas, symbols, "structure_id", lambda _, symbol: symbol)
    n = np.isfinite(r).sum(axis=0)
    return np.asarray(np.where(n > 0, np.nansum(r, axis=0) / np.maximum(n, 1), np.nan))


def rnaseq_by_well(
    donors: Sequence[Microarray], rnas: Sequence[RnaSeq], entrez: npt.NDArray[np.int64]
) -> Array:
    """Rank correlation over shared wells, plain mean of donors, shape (probes,); NaN if one lacks.

    Genes are met by Entrez id (Arnatkeviciute et al. 2019).
    """
    keys = [int(e) for e in entrez]
    r = _rnaseq(donors, rnas, keys, "well_id", lambda rna, symbol: rna.entrez.get(symbol, symbol))
    return np.asarray(r.mean(axis=0))


def choose_probes(
    method: str,
    donors: Sequence[Microarray],
    genes: npt.NDArray[np.intp],
    score: Array | None = None,
) -> npt.NDArray[np.intp]:
    """Row of the chosen probe of each gene, genes ascending; genes without a score are left out.

    Parameters
    ----------
    genes
        Gene number of each probe, shape (probes,).
    score
        For ``rnaseq``: from one of the two functions above.
    """
    check_option("probe selection", method, SELECTIONS)
    if method == "diff_stability":
        score = differential_stability(donors)
    elif method != "rnaseq":
        # A second copy of all samples, which the two methods above do without.
        data = np.concatenate([d.expression for d in donors], axis=1)
        score = _pooled_score(method, data, genes)
    if score is None:
        raise InputError(f"probe selection {method} needs a score")
    return _best(score, genes)


def _pooled_score(method: str, data: Array, genes: npt.NDArray[np.intp]) -> Array | None:
    """Score of each probe over the samples of all donors."""
    if method == "max_intensity":
        return np.asarray(data.mean(axis=1))
    if method == "max_variance":
        return np.asarray(data.std(axis=1, ddof=1))
    if method in {"corr_variance", "corr_intensity"}:
        return _by_gene(data, genes, _mutual_score(method))
    return _by_gene(data, genes, _loading) if method == "pc_loading" else None


def _best(score: Array, genes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """First row of the highest score of each gene."""
    rows = np.flatnonzero(np.isfinite(score))
    order = rows[np.lexsort((rows, -score[rows], genes[rows]))]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.diff(genes[order]) != 0
    return np.asarray(order[first], dtype=np.intp)


def _by_gene(data: Array, genes: npt.NDArray[np.intp], score: Callable[[Array], Array]) -> Array:
    out = np.zeros(len(genes))
    order = np.argsort(genes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(genes[order])) + 1):
        if len(rows) > 1:
            out[rows] = score(data[rows])
    return out


def _mutual_score(method: str) -> Callable[[Array], Array]:
    def score(block: Array) -> Array:
        if len(block) == 2:
            return np.asarray(
                block.std(axis=1, ddof=1) if method == "corr_variance" else block.mean(axis=1)
            )
        return np.asarray(np.corrcoef(block).mean(axis=1))

    return score


def _loading(block: Array) -> Array:
    """Score on the first component of the probes as points, its largest weight positive."""
    centred = block - block.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
    return np.asarray(centred @ axis)
