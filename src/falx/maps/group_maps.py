"""One comparison at every voxel, with every correction side by side (Eklund et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError, check_option, notify
from falx.core.possible import Probability
from falx.maps.assumptions import check_dof, told_spread
from falx.maps.design import Design, partition
from falx.maps.inference.clusters import Cluster, find_clusters
from falx.maps.inference.neighbours import neighbour_table
from falx.maps.inference.permutation import MaximaNull, SpatialStatistics, permutation_null
from falx.maps.inference.random_fields import FslClusterTest, SpmField, warn_if_liberal
from falx.maps.inference.rearrangements import PermutationPlan, permutation_plan, sign_plan
from falx.maps.inference.smoothness import (
    FslSmoothness,
    SpmSmoothness,
    fsl_smoothness,
    resel_counts,
    spm_smoothness,
)
from falx.maps.inference.tfce import tfce
from falx.maps.inference.true_discoveries import TrueDiscoveries, tail_table
from falx.maps.linear import (
    ContrastFit,
    critical_t,
    fit_contrast,
    standardised_residuals,
    two_tailed,
)
from falx.maps.settings import CORRECTIONS, InferenceOptions
from falx.maps.unequal import VarianceRatio, own_variance

__all__ = [
    "ClusterInference",
    "GroupMap",
    "common_mask",
    "compare",
]


LEAST_FWHM_VOXELS = 3.0
"""Random-field formulas take the lattice for a continuous field from about here upwards."""


@dataclass(frozen=True, eq=False)
class ClusterInference:
    """A cluster with its familywise probabilities, two-tailed where the options say so.

    Parameters
    ----------
    p_fsl, p_spm
        Random fields, in the flavour of FSL and DPABI and in that of SPM.
    p_extent, p_mass
        Permutation; None without permutations.
    """

    cluster: Cluster
    p_fsl: Probability
    p_spm: Probability
    p_extent: Probability | None
    p_mass: Probability | None


@dataclass(frozen=True, eq=False)
class GroupMap:
    """Result of one comparison; arrays of shape (V,) follow the mask in C order.

    Parameters
    ----------
    q
        False-discovery-rate adjusted p, two-tailed where the options say so.
    p_voxel, p_tfce
        Familywise permutation p; None without permutations or TFCE.
    tfce
        Enhanced t, or None.
    critical_t
        Cluster-forming threshold.
    clusters
        All clusters beyond it, the largest first.
    variance
        How the groups differ in it; empty where no groups were told.
    true_discoveries
        What bounds the voxels of any set that truly differ; None without permutations.
    """

    fit: ContrastFit
    q: npt.NDArray[np.float64]
    p_voxel: npt.NDArray[np.float64] | None
    p_tfce: npt.NDArray[np.float64] | None
    tfce: npt.NDArray[np.float64] | None
    critical_t: float
    fsl: FslSmoothness
    spm: SpmSmoothness
    resels: npt.NDArray[np.float64]
    fsl_test: FslClusterTest
    clusters: tuple[ClusterInference, ...]
    null: MaximaNull | None
    options: InferenceOptions
    variance: tuple[VarianceRatio, ...] = ()
    true_discoveries: TrueDiscoveries | None = None

    def at_least(self, rows: npt.NDArray[np.integer]) -> int | None:
        """Voxels that at least differ among some, shape (s,), which may be chosen afterwards."""
        if self.true_discoveries is None:
            return None
        return self.true_discoveries.at_least(two_tailed(self.fit.t[rows], self.fit.dof))

    @property
    def plan(self) -> PermutationPlan | None:
        """The permutations, None without."""
        return None if self.null is None else self.null.plan

    def significant(self, by: str = "fsl") -> tuple[ClusterInference, ...]:
        """Clusters whose p by ``fsl``, ``spm``, ``extent`` or ``mass`` is below alpha."""
        check_option("by", by, CORRECTIONS)
        alpha = self.options.cluster_p
        chosen = []
        for found in self.clusters:
            p = getattr(found, f"p_{by}")
            if p is not None and p < alpha:
                chosen.append(found)
        return tuple(chosen)


def common_mask(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Voxels that all images cover, shape (X, Y, Z).

    Parameters
    ----------
    masks
        Shape (n, X, Y, Z).

    Raises
    ------
    InputError
        If there is no such voxel.
    """
    covered = masks.all(axis=0)
    if not covered.any():
        fullest = masks.reshape(len(masks), -1).sum(axis=1)
        raise InputError(
            "no voxel is covered by the masks of all images",
            found=f"{fullest.min()} to {fullest.max()} voxels an image",
            do="check normalisation, or leave out people whose mask is small",
        )
    return np.asarray(covered)


def compare(
    data: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    design: Design,
    contrast: npt.NDArray[np.floating],
    rng: np.random.Generator,
    *,
    options: InferenceOptions | None = None,
    groups: Sequence[str] | None = None,
    blocks: Sequence[str] | None = None,
    threads: int = 1,
) -> GroupMap:
    """Test one contrast at every voxel and correct it in every way.

    Parameters
    ----------
    data
        Shape (n, V): the images at the V voxels of `mask`.
    rng
        Draws the permutations.
    groups
        Group of every image; by ``options.variance`` each has a variance of its own.
    blocks
        Block of every image: those of one block depend on each other.
    """
    chosen = options or InferenceOptions()
    check_dof(design, len(data))
    ratios = told_spread(data, design, groups or (), chosen)
    unequal = own_variance(groups or (), chosen)
    fit = fit_contrast(data, design, contrast, unequal)
    fsl, spm, test, resels = _random_fields(data, mask, design, chosen)
    neighbours = neighbour_table(mask, chosen.connectivity)
    threshold = critical_t(chosen.voxel_p, fit.dof, two_tailed=chosen.two_tailed)
    enhanced = tfce(fit.t, neighbours) if chosen.enhance else None
    null = None
    if chosen.n_permutations > 1:
        plan = _plan(len(data), design, contrast, rng, unequal, blocks, chosen.n_permutations)
        tails = tail_table(partial(two_tailed, dof=fit.dof))
        seen = SpatialStatistics(neighbours, (threshold,), chosen.enhance, tails, chosen.tail)
        null = permutation_null(data, design, contrast, plan, seen, unequal, threads)
    return GroupMap(
        fit=fit,
        q=scipy.stats.false_discovery_control(fit.p * (2 if chosen.two_tailed else 1)),
        p_voxel=None if null is None else null.familywise(np.abs(fit.t), null.t),
        p_tfce=_p_enhanced(enhanced, null),
        tfce=enhanced,
        critical_t=threshold,
        fsl=fsl,
        spm=spm,
        resels=resels,
        fsl_test=test,
        clusters=tuple(
            _judge(cluster, test, SpmField(resels, "T", fit.dof), threshold, spm, null, chosen)
            for cluster in find_clusters(fit.t, neighbours, threshold)
        ),
        null=null,
        options=chosen,
        variance=ratios,
        true_discoveries=None if null is None else null.discoveries(chosen.cluster_p),
    )


def _plan(
    people: int,
    design: Design,
    contrast: npt.NDArray[np.floating],
    rng: np.random.Generator,
    unequal: Sequence[str] | None,
    blocks: Sequence[str] | None,
    n: int,
) -> PermutationPlan:
    """Draw flips of signs for groups of unequal variance and for a mean, else permutations."""
    if unequal or _one_sample(design, contrast):
        return sign_plan(people, n, rng, blocks=blocks)
    return permutation_plan(people, n, rng, labels=_exchangeable(design, contrast), blocks=blocks)


def _p_enhanced(
    enhanced: npt.NDArray[np.float64] | None, null: MaximaNull | None
) -> npt.NDArray[np.float64] | None:
    """Return the familywise P of TFCE, shape (V,), where both were computed."""
    if null is None or null.tfce is None or enhanced is None:
        return None
    return null.familywise(np.abs(enhanced), null.tfce)


def _one_sample(design: Design, contrast: npt.NDArray[np.floating]) -> bool:
    """Tell whether the contrast is of a mean, which permuting people leaves as it is."""
    effect = partition(design, contrast).effect
    return bool(np.ptp(effect) < 1e-9 * np.abs(effect).max())


def _random_fields(
    data: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    design: Design,
    options: InferenceOptions,
) -> tuple[FslSmoothness, SpmSmoothness, FslClusterTest, npt.NDArray[np.float64]]:
    """Smoothness from residuals in both flavours, and what follows from it."""
    residuals, dof = standardised_residuals(data, design), design.dof
    fsl, spm = fsl_smoothness(residuals, mask, dof), spm_smoothness(residuals, mask, dof)
    if fsl.fwhm_voxels.min() < LEAST_FWHM_VOXELS:
        notify(
            "the maps are too rough for random-field formulas",
            found=f"FWHM {', '.join(f'{w:.2f}' for w in fsl.fwhm_voxels)} voxels",
            do="prefer the permutation probabilities",
        )
    warn_if_liberal(options.voxel_p)
    test = FslClusterTest(
        fsl.n_voxels, fsl.dlh, options.voxel_p, options.cluster_p, options.two_tailed
    )
    return fsl, spm, test, resel_counts(mask, spm.fwhm_voxels)


def _judge(
    cluster: Cluster,
    test: FslClusterTest,
    field: SpmField,
    threshold: float,
    spm: SpmSmoothness,
    null: MaximaNull | None,
    options: InferenceOptions,
) -> ClusterInference:
    tails = 2.0 if options.two_tailed else 1.0
    extent, mass = (None, None) if null is None else null.of_cluster(cluster)
    extent_resels = cluster.extent / float(np.prod(spm.fwhm_voxels))
    return ClusterInference(
        cluster,
        p_fsl=min(1.0, tails * test.p_value(cluster.extent)),
        p_spm=min(1.0, tails * field.p_cluster(threshold, extent_resels)),
        p_extent=extent,
        p_mass=mass,
    )


def _exchangeable(
    design: Design, contrast: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64] | None:
    """Labels of two groups if the design holds nothing else, so that relabelings suffice."""
    tested = design.matrix @ np.asarray(contrast, dtype=np.float64)
    two = len(np.unique(tested)) == 2
    return tested if two and np.linalg.matrix_rank(design.matrix) == 2 else None
