"""Overlap of imaging genes with genes changed in blood, tested instead of only named.

Lists are compared by the hypergeometric tail and the odds ratio of Haldane and Anscombe (1956),
with half a count added to every cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.checks import Probabilities
from falx.core.errors import InputError
from falx.core.multiplicity import benjamini_hochberg
from falx.core.possible import Probability
from falx.genes.sets.ora import hypergeometric_tail

__all__ = [
    "DirectionAgreement",
    "Overlap",
    "PathwayOverlap",
    "SpatialOverlap",
    "direction_agreement",
    "overlap",
    "pathway_overlap",
    "spatial_overlap",
]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Two gene lists in a common universe.

    Attributes
    ----------
    common
        Shared genes, sorted.
    expected
        |A| |D| / |U|.
    p
        P(X >= k), hypergeometric.
    odds_ratio, interval
        With ½ added to every cell; 95 % interval on the log scale.
    """

    common: tuple[str, ...]
    n_first: int
    n_second: int
    n_universe: int
    expected: float
    p: Probability
    odds_ratio: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class DirectionAgreement:
    """Signs of shared genes: weight + with up and - with down agree.

    Attributes
    ----------
    cells
        (positive, up), (positive, down), (negative, up), (negative, down).
    p
        Two-sided Fisher test that the signs are independent; None without both signs.
    """

    cells: tuple[int, int, int, int]
    agree: float | None
    p: Probability | None


@dataclass(frozen=True, eq=False)
class PathwayOverlap:
    """Overlap pair by pair of pathways, corrected over all pairs looked at.

    Attributes
    ----------
    pairs
        Names of the imaging and the blood pathway.
    overlaps
        One per pair.
    q
        Benjamini–Hochberg over all pairs.
    """

    pairs: tuple[tuple[str, str], ...]
    overlaps: tuple[Overlap, ...]
    q: Probabilities


@dataclass(frozen=True)
class SpatialOverlap:
    """Overlap and mean statistic of blood genes against spatial null maps.

    Attributes
    ----------
    overlap, p_overlap
        Genes shared by the top list and the blood list; (1 + #{k_b >= k})/(1 + B).
    mean_statistic, p_mean
        Mean of the imaging statistic over the blood genes, two-sided against null maps.
    """

    overlap: int
    p_overlap: Probability
    mean_statistic: float
    p_mean: Probability
    n_maps: int


def overlap(first: Sequence[str], second: Sequence[str], universe: Sequence[str]) -> Overlap:
    """Test whether two lists share more genes of the universe than chance would.

    Parameters
    ----------
    universe
        Genes tested on both sides.
    """
    U = set(universe)
    A, D = set(first) & U, set(second) & U
    if not U:
        raise InputError(
            "no gene was tested on both sides",
            where="overlap",
            do="check that both use the same identifiers",
        )
    common = A & D
    k, a, d, n = len(common), len(A), len(D), len(U)
    p = float(hypergeometric_tail([k], [a], d, n)[0]) if a and d else 1.0
    cells = np.array([k, a - k, d - k, n - a - d + k]) + 0.5
    log_odds = float(np.log(cells[0] * cells[3] / (cells[1] * cells[2])))
    error = float(np.sqrt((1.0 / cells).sum()))
    interval = (float(np.exp(log_odds - 1.96 * error)), float(np.exp(log_odds + 1.96 * error)))
    expected = a * d / n
    return Overlap(tuple(sorted(common)), a, d, n, expected, p, float(np.exp(log_odds)), interval)


def direction_agreement(
    positive: Sequence[str], negative: Sequence[str], up: Sequence[str], down: Sequence[str]
) -> DirectionAgreement:
    """Compare the sign of imaging weights with the direction of change in blood."""
    sides = [set(x) for x in (positive, negative, up, down)]
    table = [[len(row & column) for column in sides[2:]] for row in sides[:2]]
    (pu, pd), (nu, nd) = table
    total = pu + pd + nu + nd
    agree = (pu + nd) / total if total else None
    informative = min(pu + pd, nu + nd, pu + nu, pd + nd) > 0
    p = float(scipy.stats.fisher_exact(table).pvalue) if informative else None
    return DirectionAgreement((pu, pd, nu, nd), agree, p)


def pathway_overlap(
    imaging: Mapping[str, Sequence[str]],
    blood: Mapping[str, Sequence[str]],
    universe: Sequence[str],
) -> PathwayOverlap:
    """Overlap of every imaging pathway's list genes with every blood pathway's."""
    pairs = tuple((a, b) for a in imaging for b in blood)
    if not pairs:
        raise InputError("there is no pair of pathways to compare", where="overlap")
    overlaps = tuple(overlap(imaging[a], blood[b], universe) for a, b in pairs)
    return PathwayOverlap(pairs, overlaps, benjamini_hochberg([o.p for o in overlaps]))


def spatial_overlap(
    statistic: npt.ArrayLike,
    null_statistics: npt.ArrayLike,
    genes: Sequence[str],
    blood: Sequence[str],
    n_top: int,
) -> SpatialOverlap:
    """Test the overlap against imaging lists of the same size made from null maps.

    This keeps the co-expression that a hypergeometric test ignores.

    Parameters
    ----------
    statistic
        Imaging statistic of each gene, shape (p,).
    null_statistics
        The same on null maps, shape (p, B).
    n_top
        Genes of largest |statistic| that form the list.
    """
    value, nulls = np.asarray(statistic, dtype=np.float64), np.asarray(null_statistics)
    in_blood = np.isin(np.array(genes), list(set(blood)))
    if not in_blood.any():
        raise InputError(
            "no blood gene is among the tested genes",
            where="overlap",
            do="check that both use symbols of the same species",
        )
    if not 0 < n_top < len(value):
        raise InputError(
            "the list size is out of range",
            found=n_top,
            do="ask for a list shorter than the table of genes",
        )
    k = _shared(value, in_blood, n_top)
    null_k = np.array([_shared(nulls[:, b], in_blood, n_top) for b in range(nulls.shape[1])])
    mean = float(value[in_blood].mean())
    null_mean = nulls[in_blood].mean(axis=0)
    n = nulls.shape[1]
    return SpatialOverlap(
        k,
        float((1 + (null_k >= k).sum()) / (1 + n)),
        mean,
        float((1 + (np.abs(null_mean) >= abs(mean) - 1e-12).sum()) / (1 + n)),
        n,
    )


def _shared(value: Array, in_blood: npt.NDArray[np.bool_], n_top: int) -> int:
    """How many of the `n_top` largest are in blood; of equals at the border the first count."""
    least = -np.abs(value)
    border = np.partition(least, n_top - 1)[n_top - 1]
    above = least < border
    level = np.flatnonzero(least == border)[: n_top - int(above.sum())]
    return int(in_blood[above].sum() + in_blood[level].sum())
