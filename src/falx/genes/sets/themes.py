"""Themes: enriched terms that share their genes, and enrichment over several lists.

The scheme follows Metascape (Zhou et al. 2019, Nat. Commun. 10:1523): terms with P < 0.01, at
least 3 list genes and a factor above 1.5 are grouped by Cohen's kappa of their membership; each
group is named by its most significant term. That filter is no error rate: the corrected q of
each term stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.checks import Probabilities
from falx.core.errors import InputError
from falx.core.multiplicity import benjamini_hochberg, cauchy_combination
from falx.core.possible import Probability
from falx.genes.sets.library import TestedSets
from falx.genes.sets.ora import OraResult, over_representation

__all__ = [
    "ListComparison",
    "Theme",
    "ThemeNetwork",
    "Themes",
    "compare_lists",
    "find_themes",
    "kappa_matrix",
    "theme_network",
]

Array = npt.NDArray[np.float64]
KAPPA = 0.3


@dataclass(frozen=True)
class Theme:
    """A group of similar terms; `terms` from smallest P, the first is the representative."""

    terms: tuple[str, ...]
    p: Probability
    q: Probability

    @property
    def representative(self) -> str:
        """Term that names the theme."""
        return self.terms[0]


@dataclass(frozen=True, eq=False)
class Themes:
    """Themes from smallest P, and the kappa between their terms."""

    themes: tuple[Theme, ...]
    terms: tuple[str, ...]
    kappa: Array


@dataclass(frozen=True)
class ThemeNetwork:
    """Terms as nodes (term, theme number) and edges (term, term, kappa)."""

    nodes: tuple[tuple[str, int], ...]
    edges: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, eq=False)
class ListComparison:
    """Several gene lists on the same sets.

    Attributes
    ----------
    results
        One result per list, then the union.
    p_best, q_best
        Smallest P over lists, as published; its q ignores the choice of the best.
    p_combined, q_combined
        Cauchy combination over lists, valid under dependence.
    gene_overlap
        Jaccard index of the lists' genes, shape (lists, lists).
    term_overlap
        Jaccard index of the lists' terms at q < 0.05, shape (lists, lists).
    """

    lists: tuple[str, ...]
    results: Mapping[str, OraResult]
    p_best: Probabilities
    q_best: Probabilities
    p_combined: Probabilities
    q_combined: Probabilities
    gene_overlap: Array
    term_overlap: Array


def kappa_matrix(sets: TestedSets, rows: npt.ArrayLike) -> Array:
    """Cohen's kappa between the membership vectors of some sets, shape (len, len)."""
    chosen = sets.membership[np.asarray(rows, dtype=np.intp)]
    N = float(len(sets.universe))
    both = np.asarray((chosen @ chosen.T).todense(), dtype=np.float64)
    size = np.diag(both)
    agree = (N - size[:, None] - size[None, :] + 2.0 * both) / N
    chance = (size[:, None] * size[None, :] + (N - size)[:, None] * (N - size)[None, :]) / N**2
    return np.asarray((agree - chance) / (1.0 - chance))


def find_themes(
    result: OraResult,
    sets: TestedSets,
    *,
    p_below: float = 0.01,
    smallest_overlap: int = 3,
    factor_above: float = 1.5,
    kappa_above: float = KAPPA,
) -> Themes:
    """Group the terms that pass the filter by average-linkage clustering of 1 - kappa."""
    passed = (
        (result.p < p_below)
        & (result.overlap >= smallest_overlap)
        & (result.factor > factor_above)
    )
    return _group(np.flatnonzero(passed), result.p, result.q, sets, kappa_above)


def _group(
    rows: npt.NDArray[np.intp], p: Array, q: Array, sets: TestedSets, kappa_above: float
) -> Themes:
    if len(rows) == 0:
        return Themes((), (), np.empty((0, 0)))
    rows = rows[np.lexsort((np.array(sets.names)[rows], p[rows]))]
    kappa = kappa_matrix(sets, rows)
    label = np.ones(len(rows), dtype=np.int64)
    if len(rows) > 1:
        apart = scipy.spatial.distance.squareform(np.clip(1.0 - kappa, 0.0, None), checks=False)
        tree = scipy.cluster.hierarchy.linkage(apart, method="average")
        label = scipy.cluster.hierarchy.fcluster(tree, 1.0 - kappa_above, criterion="distance")
    members: dict[int, list[int]] = {}
    for position, group in enumerate(label):
        members.setdefault(int(group), []).append(position)
    themes = [
        Theme(
            tuple(sets.names[rows[i]] for i in group),
            float(p[rows[group[0]]]),
            float(q[rows[group[0]]]),
        )
        for group in members.values()
    ]
    themes.sort(key=lambda theme: theme.p)
    return Themes(tuple(themes), tuple(sets.names[i] for i in rows), kappa)


def theme_network(
    themes: Themes,
    *,
    n_themes: int = 20,
    terms_per_theme: int = 15,
    n_terms: int = 250,
    kappa_above: float = KAPPA,
) -> ThemeNetwork:
    """Network of the best themes' terms; edges join terms with kappa above the cut."""
    nodes = [
        (term, number)
        for number, theme in enumerate(themes.themes[:n_themes])
        for term in theme.terms[:terms_per_theme]
    ][:n_terms]
    row = {term: i for i, term in enumerate(themes.terms)}
    edges = []
    for i, (a, _) in enumerate(nodes):
        for b, _ in nodes[i + 1 :]:
            value = float(themes.kappa[row[a], row[b]])
            if value > kappa_above:
                edges.append((a, b, value))
    return ThemeNetwork(tuple(nodes), tuple(edges))


def compare_lists(lists: Mapping[str, Sequence[str]], sets: TestedSets) -> ListComparison:
    """Test several lists and their union on the same sets."""
    if len(lists) < 2:
        raise InputError(
            "a comparison needs at least two gene lists", found=len(lists), do="give another list"
        )
    union = tuple(dict.fromkeys(gene for genes in lists.values() for gene in genes))
    results = {name: over_representation(genes, sets) for name, genes in lists.items()}
    stacked = np.stack([results[name].p for name in lists], axis=1)
    results["union"] = over_representation(union, sets)
    best, combined = stacked.min(axis=1), cauchy_combination(stacked)
    terms = [
        {n for n, q in zip(results[name].names, results[name].q, strict=True) if q < 0.05}
        for name in lists
    ]
    return ListComparison(
        tuple(lists),
        results,
        best,
        benjamini_hochberg(best),
        combined,
        benjamini_hochberg(combined),
        _jaccard([set(genes) for genes in lists.values()]),
        _jaccard(terms),
    )


def _jaccard(groups: Sequence[set[str]]) -> Array:
    """Shared over all, pair by pair; 0 for two empty groups."""
    out = np.zeros((len(groups), len(groups)))
    for i, a in enumerate(groups):
        for j, b in enumerate(groups):
            out[i, j] = len(a & b) / len(a | b) if a | b else 0.0
    return out
