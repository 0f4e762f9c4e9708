"""A map and its genes, in one call: component, genes and gene sets on one set of null maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.core.errors import FalxNotice
from falx.core.multiplicity import monte_carlo_p
from falx.core.possible import Probability
from falx.core.settings import check_settings, option
from falx.genes.association import Correlation, GeneCorrelations, correlate, gene_correlations
from falx.genes.nulls.generate import (
    NULL_METHODS,
    NullMaps,
    NullMethod,
    distances,
    null_maps,
    null_plan,
)
from falx.genes.nulls.variogram import FittedVariogram, fit_exponential
from falx.genes.pls import (
    BootstrapWeights,
    Convention,
    PlsModel,
    bootstrap_counts,
    bootstrap_weights,
    explained_variance,
    fit_pls,
)
from falx.genes.sets.ensemble import EnsembleResult, ensemble_enrichment
from falx.genes.sets.library import GeneSetLibrary, TestedSets, restrict
from falx.genes.sets.ora import OraResult, over_representation
from falx.genes.sets.ranked import RankedResult, ranked_enrichment
from falx.genes.sets.themes import Themes, find_themes
from falx.genes.tables import Joined

__all__ = [
    "AssociationStudy",
    "GeneLists",
    "NullComparison",
    "SetStudy",
    "Settings",
    "gene_lists",
    "lists_of_null_maps",
    "study_map",
    "study_sets",
]

Array = npt.NDArray[np.float64]
RANKED_MAPS = 1000
NO_THEMES = Themes((), (), np.empty((0, 0)))


@dataclass(frozen=True)
class Settings:
    """Which regions take part in an association study, and how it is made."""

    side: Literal["left", "right", "both"] = option("both", help="regions that take part")
    blocks: tuple[str, ...] = option(
        (), help="classes of regions to keep, such as cortex; none: all"
    )
    null: str = option(
        "moran",
        help=f"null maps: {', '.join(NULL_METHODS)}; spin is the nearest; or by block, as in "
        "cortex=spin,subcortex=moran",
    )
    restore: bool = option(
        True,
        help="null maps are as smooth as the map and keep its means of cortex and subcortex; "
        "no: as published",
    )
    beside: tuple[NullMethod, ...] = option(
        ("variogram", "gaussian", "random"),
        help="null maps that are shown beside them, for the component only",
    )
    n_maps: int = option(5000, help="null maps behind every P value", low=1, high=1_000_000)
    n_draws: int = option(
        5000, help="bootstrap draws behind the Z of the weights", low=2, high=1_000_000
    )
    n_components: int = option(2, help="PLS components", low=1, high=20)
    convention: Convention = option("unit_scores", help="length of the PLS weights")
    correlation: Correlation = option("pearson", help="correlation of a gene with the map")
    list_rule: Literal["fdr", "length"] = option(
        "fdr",
        help="lists hold the genes that pass the spatial false-discovery rate, or as many as "
        "n_list by the bootstrap's Z (length: published; a ranking without an error rate)",
    )
    list_q: float = option(
        0.05, help="false-discovery rate of the lists, rule fdr", low=1e-6, high=0.5
    )
    n_list: int = option(1500, help="genes in each list, rule length", low=1, high=100_000)
    require_fdr: bool = option(
        False,
        help="rule length: lists hold only genes that pass the bootstrap's and the spatial rate",
    )
    seed: int = option(1, help="seed of every random draw", low=0, high=2**31)

    def __post_init__(self) -> None:
        check_settings(self)
        null_plan(self.null)


@dataclass(frozen=True, eq=False)
class NullComparison:
    """Explained variance of the component under one null."""

    method: str
    null_r2: Array
    p: Probability


@dataclass(frozen=True, eq=False)
class AssociationStudy:
    """What is known about a map and its genes, before gene sets.

    Attributes
    ----------
    component_p
        P of each component under the chosen null.
    comparisons
        The first component under every null, the chosen one first.
    fitted
        Fitted smoothness of the map.
    """

    data: Joined
    settings: Settings
    model: PlsModel
    component_p: tuple[Probability, ...]
    comparisons: tuple[NullComparison, ...]
    weights: BootstrapWeights
    genes: GeneCorrelations
    nulls: NullMaps
    fitted: FittedVariogram


@dataclass(frozen=True)
class GeneLists:
    """Genes that go up and down with the map, the strongest first; see :func:`gene_lists`."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]

    @property
    def both(self) -> tuple[str, ...]:
        """The positive list, then the negative one."""
        return self.positive + self.negative


@dataclass(frozen=True, eq=False)
class SetStudy:
    """One library tested in every way.

    Attributes
    ----------
    over
        Over-representation of ``positive``, ``negative`` and ``both``; lists that are empty, or
        hold every tested gene, are not in it.
    themes
        Of the list ``both``; none where it is not tested.
    """

    library: GeneSetLibrary
    sets: TestedSets
    over: Mapping[str, OraResult]
    ensemble: EnsembleResult
    ranked: RankedResult
    themes: Themes


def study_map(data: Joined, settings: Settings | None = None) -> AssociationStudy:
    """Relate a map to expression.

    The null maps are drawn once and serve the component, the genes and the gene sets.
    """
    import warnings

    opt = settings or Settings()
    rng = np.random.default_rng(opt.seed)
    X, y = data.expression, data.values
    plan = null_plan(opt.null)
    nulls = null_maps(y, data.positions, opt.n_maps, rng, method=plan, restore=opt.restore)
    model = fit_pls(X, y, n_components=opt.n_components, convention=opt.convention)
    null_r2 = explained_variance(X, nulls.maps, n_components=opt.n_components)
    component_p = monte_carlo_p(model.explained_variance, null_r2.T, two_sided=False)
    comparisons = [NullComparison(nulls.method, null_r2[:, 0], float(component_p[0]))]
    for method in opt.beside:
        if method == plan:
            continue
        with warnings.catch_warnings():
            # Beside the chosen null, random permutation is there to be seen through.
            warnings.simplefilter("ignore", FalxNotice)
            other = null_maps(y, data.positions, opt.n_maps, rng, method=method)
        r2 = explained_variance(X, other.maps)[:, 0]
        p = monte_carlo_p(model.explained_variance[0], r2, two_sided=False)
        comparisons.append(NullComparison(method, r2, float(p)))
    counts = bootstrap_counts(len(y), opt.n_draws, rng)
    return AssociationStudy(
        data,
        opt,
        model,
        tuple(float(p) for p in component_p),
        tuple(comparisons),
        bootstrap_weights(X, y, counts, convention=opt.convention),
        gene_correlations(X, y, nulls.maps, correlation=opt.correlation),
        nulls,
        fit_exponential(y, distances(data.positions.centroids_mm)),
    )


def gene_lists(study: AssociationStudy) -> GeneLists:
    """Cut the positive and the negative list; no gene at all is an answer.

    The rule ``fdr`` takes the genes whose spatial q (Benjamini and Hochberg 1995, over null maps
    as smooth as the map) is below ``list_q``, by the sign of the correlation and its size. The
    rule ``length`` takes ``n_list`` genes of largest bootstrap Z, which is no test against a
    null: it ranks how stable weights are over regions.
    """
    opt, found = study.settings, study.genes
    if opt.list_rule == "fdr":
        value, n = found.r, len(found.r)
        allowed = found.q < opt.list_q
    else:
        value, n = study.weights.z, min(opt.n_list, len(found.r) // 3)
        allowed = np.ones(len(value), dtype=np.bool_)
        if opt.require_fdr:
            allowed = (study.weights.q < 0.05) & (found.q < 0.05)
    order = np.argsort(-value, kind="stable")
    genes = study.data.genes
    return GeneLists(
        tuple(genes[i] for i in order[:n] if value[i] > 0 and allowed[i]),
        tuple(genes[i] for i in order[::-1][:n] if value[i] < 0 and allowed[i]),
    )


def lists_of_null_maps(study: AssociationStudy, lists: GeneLists, n_maps: int) -> list[list[str]]:
    """Genes of the first null maps, as many of either sign as the lists of the map hold.

    By correlation, shape (n_maps, length of both lists).
    """
    null_r = correlate(
        study.data.expression, study.nulls.maps[:n_maps], correlation=study.settings.correlation
    )
    genes, found = study.data.genes, []
    up, down = len(lists.positive), len(lists.negative)
    for r in null_r.T:
        order = np.argsort(r, kind="stable")
        rows = [*order[len(order) - up :], *order[:down]]
        found.append([genes[i] for i in rows])
    return found


def study_sets(
    study: AssociationStudy,
    library: GeneSetLibrary,
    *,
    smallest: int = 5,
    largest: int = 500,
    aliases: Mapping[str, str] | None = None,
) -> SetStudy:
    """Test one library by over-representation, the ensemble null and ranks."""
    data, lists = study.data, gene_lists(study)
    sets = restrict(library, data.genes, smallest=smallest, largest=largest, aliases=aliases)
    named: dict[str, Sequence[str]] = {
        "positive": lists.positive,
        "negative": lists.negative,
        "both": lists.both,
    }
    over = {
        name: over_representation(genes, sets)
        for name, genes in named.items()
        if 0 < len(genes) < len(data.genes)
    }
    method = study.settings.correlation
    nulls = study.nulls.maps
    ensemble = ensemble_enrichment(data.expression, data.values, nulls, sets, correlation=method)
    null_r = correlate(data.expression, nulls[:RANKED_MAPS], correlation=method)
    ranked = ranked_enrichment(study.genes.r, null_r, sets)
    themes = find_themes(over["both"], sets) if "both" in over else NO_THEMES
    return SetStudy(library, sets, over, ensemble, ranked, themes)
