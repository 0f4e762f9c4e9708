"""A map and its genes, in one call: component, genes and gene sets on one set of null maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.core.errors import FalxNotice, InputError
from falx.core.multiplicity import monte_carlo_p
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
    "study_map",
    "study_sets",
]

Array = npt.NDArray[np.float64]
RANKED_MAPS = 1000


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
        True, help="give spun maps, and maps made by block, back the smoothness that they lose"
    )
    beside: tuple[NullMethod, ...] = option(
        ("variogram", "gaussian", "random"),
        help="null maps that are shown beside them, for the component only",
    )
    n_maps: int = option(5000, help="null maps", low=1, high=1_000_000)
    n_draws: int = option(5000, help="bootstrap draws", low=2, high=1_000_000)
    n_components: int = option(2, help="PLS components", low=1, high=20)
    convention: Convention = option("unit_scores", help="length of the PLS weights")
    correlation: Correlation = option("pearson", help="correlation of a gene with the map")
    n_list: int = option(1500, help="genes in each list", low=1, high=100_000)
    require_fdr: bool = option(
        False, help="lists hold only genes that pass the bootstrap's and the spatial rate"
    )
    seed: int = option(1, help="of every random draw", low=0, high=2**31)

    def __post_init__(self) -> None:
        check_settings(self)
        null_plan(self.null)


@dataclass(frozen=True, eq=False)
class NullComparison:
    """Explained variance of the component under one null."""

    method: str
    null_r2: Array
    p: float


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
    component_p: tuple[float, ...]
    comparisons: tuple[NullComparison, ...]
    weights: BootstrapWeights
    genes: GeneCorrelations
    nulls: NullMaps
    fitted: FittedVariogram


@dataclass(frozen=True)
class GeneLists:
    """Genes of largest positive and negative weight, in that order."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SetStudy:
    """One library tested in every way.

    Attributes
    ----------
    over
        Over-representation of ``positive``, ``negative`` and ``both``.
    themes
        Of the list ``both``.
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
    """Take the genes of largest positive and negative bootstrap Z."""
    z = study.weights.z
    n = min(study.settings.n_list, len(z) // 3)
    allowed = np.ones(len(z), dtype=np.bool_)
    if study.settings.require_fdr:
        allowed = (study.weights.q < 0.05) & (study.genes.q < 0.05)
    order = np.argsort(-z, kind="stable")
    genes = study.data.genes
    positive = tuple(genes[i] for i in order[:n] if z[i] > 0 and allowed[i])
    negative = tuple(genes[i] for i in order[::-1][:n] if z[i] < 0 and allowed[i])
    if not positive and not negative:
        raise InputError(
            "no gene passes the false-discovery rate",
            where="gene list",
            do="do not require it, and read the lists as a ranking",
        )
    return GeneLists(positive, negative)


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
        "both": lists.positive + lists.negative,
    }
    over = {name: over_representation(genes, sets) for name, genes in named.items() if genes}
    method = study.settings.correlation
    nulls = study.nulls.maps
    ensemble = ensemble_enrichment(data.expression, data.values, nulls, sets, correlation=method)
    null_r = correlate(data.expression, nulls[:RANKED_MAPS], correlation=method)
    ranked = ranked_enrichment(study.genes.r, null_r, sets)
    return SetStudy(library, sets, over, ensemble, ranked, find_themes(over["both"], sets))
