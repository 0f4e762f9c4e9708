"""Do any of the groups differ? F at every voxel, corrected by permutation.

The residuals of the nuisance model are permuted (Freedman and Lane 1983). With orthonormal
bases U of the effect and Q of the nuisance and permuted residuals y_p of unit length,
``F = (|U'y_p|² / q) / ((1 - |U'y_p|² - |Q'y_p|²) / df)``: one matrix product, no regression.
Groups with a variance each have Welch's F, and signs are flipped (:mod:`falx.maps.welch_f`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError
from falx.core.possible import Probability
from falx.maps.assumptions import check_dof, told_spread
from falx.maps.design import Design, effect_space
from falx.maps.inference.clusters import Cluster, find_clusters
from falx.maps.inference.neighbours import neighbour_table
from falx.maps.inference.permutation import (
    MaximaNull,
    SpatialStatistics,
    moving_nuisance,
    spatial_null,
    unit_residuals,
)
from falx.maps.inference.rearrangements import PermutationPlan, permutation_plan, sign_plan
from falx.maps.inference.true_discoveries import TrueDiscoveries, tail_table
from falx.maps.linear import FFit, fit_f
from falx.maps.settings import InferenceOptions
from falx.maps.unequal import VarianceRatio, own_variance
from falx.maps.welch_f import flipped_f, wald_form

__all__ = [
    "EffectCluster",
    "EffectMap",
    "compare_groups",
    "effect_and_nuisance",
    "group_contrasts",
    "permuted_f",
]


@dataclass(frozen=True, eq=False)
class EffectCluster:
    """A cluster of F beyond the threshold, with its familywise permutation probabilities."""

    cluster: Cluster
    p_extent: Probability | None
    p_mass: Probability | None


@dataclass(frozen=True, eq=False)
class EffectMap:
    """Result of an analysis of variance; arrays of shape (V,) follow the mask in C order.

    Parameters
    ----------
    q
        False-discovery-rate adjusted p.
    p_voxel
        Familywise permutation p; None without permutations.
    critical_f
        Cluster-forming threshold.
    clusters
        All clusters beyond it, the largest first.
    plan
        The permutations, None without.
    variance
        How the groups differ in it; empty where no groups were told.
    true_discoveries
        What bounds the voxels of any set that truly differ; None without permutations.
    """

    fit: FFit
    q: npt.NDArray[np.float64]
    p_voxel: npt.NDArray[np.float64] | None
    critical_f: float
    clusters: tuple[EffectCluster, ...]
    plan: PermutationPlan | None
    options: InferenceOptions
    variance: tuple[VarianceRatio, ...] = ()
    true_discoveries: TrueDiscoveries | None = None

    def at_least(self, rows: npt.NDArray[np.integer]) -> int | None:
        """Voxels that at least differ among some, shape (s,), as :meth:`GroupMap.at_least`."""
        if self.true_discoveries is None:
            return None
        f = scipy.stats.f(self.fit.dof_effect, self.fit.dof_error)
        return self.true_discoveries.at_least(f.sf(self.fit.f[rows]))

    def significant(self) -> tuple[EffectCluster, ...]:
        """Clusters whose extent is rarer than the options ask; none without permutations."""
        alpha = self.options.cluster_p
        return tuple(c for c in self.clusters if c.p_extent is not None and c.p_extent < alpha)


def group_contrasts(design: Design, n_groups: int) -> npt.NDArray[np.float64]:
    """Contrasts of each group with the first, shape (groups - 1, p).

    Parameters
    ----------
    design
        Of :func:`falx.maps.design.group_design`, whose first columns are the groups.
    """
    if n_groups < 2:
        raise InputError(
            "an analysis of variance needs two groups",
            found=n_groups,
            do="give two groups or more",
        )
    rows = np.zeros((n_groups - 1, design.matrix.shape[1]))
    rows[:, 0] = -1.0
    rows[np.arange(n_groups - 1), np.arange(1, n_groups)] = 1.0
    return rows


def compare_groups(
    data: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    design: Design,
    contrasts: npt.NDArray[np.floating],
    rng: np.random.Generator,
    *,
    options: InferenceOptions | None = None,
    groups: Sequence[str] | None = None,
    blocks: Sequence[str] | None = None,
    threads: int = 1,
) -> EffectMap:
    """Test at every voxel whether any of the contrasts differs from zero.

    Parameters
    ----------
    data
        Shape (n, V): the images at the V voxels of `mask`.
    contrasts
        Shape (q, p).
    rng
        Draws the permutations.
    groups, blocks
        Of every image, as :func:`falx.maps.group_maps.compare` takes them.
    """
    chosen = options or InferenceOptions()
    check_dof(design, len(data))
    ratios = told_spread(data, design, groups or (), chosen)
    unequal = own_variance(groups or (), chosen)
    fit = fit_f(data, design, contrasts, unequal)
    threshold = float(scipy.stats.f.isf(chosen.voxel_p, fit.dof_effect, fit.dof_error))
    neighbours = neighbour_table(mask, chosen.connectivity)
    null = None
    if chosen.n_permutations > 1:
        draw = sign_plan if unequal else permutation_plan
        plan = draw(len(data), chosen.n_permutations, rng, blocks=blocks)
        tails = tail_table(lambda f: scipy.stats.f.sf(f, fit.dof_effect, fit.dof_error))
        spatial = SpatialStatistics(neighbours, (threshold,), tails=tails, tail=chosen.tail)
        null = _null(data, design, contrasts, plan, spatial, unequal, threads)
    clusters = tuple(
        EffectCluster(
            found,
            *((None, None) if null is None else null.of_cluster(found)),
        )
        for found in find_clusters(fit.f, neighbours, threshold)
    )
    return EffectMap(
        fit=fit,
        q=np.asarray(scipy.stats.false_discovery_control(fit.p)),
        p_voxel=None if null is None else null.familywise(fit.f, null.t),
        critical_f=threshold,
        clusters=clusters,
        plan=None if null is None else null.plan,
        options=chosen,
        variance=ratios,
        true_discoveries=None if null is None else null.discoveries(chosen.cluster_p),
    )


def effect_and_nuisance(
    design: Design, contrasts: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return orthonormal bases of the effect, shape (n, q), and of the rest of the design."""
    effect, whole = effect_space(design, contrasts)
    u, s, _ = np.linalg.svd(whole - effect @ (effect.T @ whole), full_matrices=False)
    return effect, np.asarray(u[:, s > 1e-8])


def permuted_f(
    unit: npt.NDArray[np.float32],
    effect: npt.NDArray[np.float64],
    nuisance: npt.NDArray[np.float64],
    dof: int,
    plan: PermutationPlan,
    chosen: slice = slice(None),
) -> npt.NDArray[np.float64]:
    """Return maps of F for some permutations, shape (N, V).

    Parameters
    ----------
    unit
        Shape (n, V): residuals of the nuisance model with unit norm.
    effect, nuisance
        Of :func:`effect_and_nuisance`.
    dof
        Residual degrees of freedom.
    """
    moving = moving_nuisance(nuisance) if plan.signs is None else nuisance
    moved = plan.rows(np.column_stack([effect, moving]), chosen)
    squares = [np.square(np.asarray(row @ unit, np.float64)) for row in moved.astype(unit.dtype)]
    explained = sum(squares[: effect.shape[1]], np.zeros(squares[0].shape))
    rest = 1.0 - sum(squares, np.zeros(squares[0].shape))
    return np.asarray(explained / effect.shape[1] / (np.maximum(rest, 1e-15) / dof))


def _null(
    data: npt.NDArray[np.floating],
    design: Design,
    contrasts: npt.NDArray[np.floating],
    plan: PermutationPlan,
    spatial: SpatialStatistics,
    unequal: Sequence[str] | None,
    threads: int,
) -> MaximaNull:
    """Largest F, extent and mass of every permuted map."""
    effect, nuisance = effect_and_nuisance(design, contrasts)
    unit = unit_residuals(data, nuisance)
    if unequal:
        form = wald_form(design, contrasts, unequal)
        return spatial_null(partial(flipped_f, unit, form, plan), plan, spatial, threads)
    dof = len(data) - effect.shape[1] - nuisance.shape[1]
    maps = partial(permuted_f, unit, effect, nuisance, dof, plan)
    return spatial_null(maps, plan, spatial, threads)
