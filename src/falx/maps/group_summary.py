"""What a summary says of a group map, and the lines that stand above its table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Grid
from falx.core.possible import Amount, Probability
from falx.maps.anova import EffectMap
from falx.maps.design import Orthogonality
from falx.maps.group_maps import GroupMap
from falx.maps.inference.rearrangements import PermutationPlan
from falx.maps.map_sample import SampleSummary
from falx.maps.settings import CORRECTIONS, InferenceOptions
from falx.maps.sites import WithoutSite
from falx.maps.unequal import VarianceRatio

__all__ = [
    "FLAVOURS",
    "Asked",
    "FSummary",
    "MapSummary",
    "TSummary",
    "f_summary",
    "facts",
    "t_summary",
]

FLAVOURS = {
    "fsl": "random fields (FSL)",
    "spm": "random fields (SPM)",
    "extent": "permuted extent",
    "mass": "permuted mass",
}
"""How a correction of clusters is called in print."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Asked:
    """The question behind a map: its model and its random draw.

    Parameters
    ----------
    design
        Shape (n, p), a column for each of `columns`.
    """

    contrast: str
    columns: tuple[str, ...]
    design: npt.NDArray[np.float64]
    head_size: str
    seed: int
    notices: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class MapSummary(SampleSummary, Asked):
    """What is said of every tested map.

    Parameters
    ----------
    dof
        Degrees of freedom of the residuals.
    clusters
        How many lie beyond the voxel threshold.
    least_p
        By correction; None where there is no cluster or no permutation.
    permutations, monte_carlo_error
        None without; the error is that of the cluster threshold.
    flipped
        Whether signs were flipped rather than people permuted.
    variance
        How the groups differ in it, the first against every other.
    """

    dof: Amount
    mask_voxels: int
    options: InferenceOptions
    clusters: int
    least_p: Mapping[str, Probability | None]
    permutations: int | None
    exhaustive: bool
    monte_carlo_error: float | None
    flipped: bool
    variance: tuple[VarianceRatio, ...]


@dataclass(frozen=True, eq=False)
class FslFields:
    """Smoothness by axis and least cluster, in the flavour of FSL and DPABI."""

    fwhm_voxels: npt.NDArray[np.float64]
    fwhm_mm: npt.NDArray[np.float64]
    dlh: float
    least_cluster_voxels: int
    expected_clusters: float


@dataclass(frozen=True, eq=False)
class SpmFields:
    """Smoothness by axis and resel counts, in the flavour of SPM."""

    fwhm_voxels: npt.NDArray[np.float64]
    fwhm_mm: npt.NDArray[np.float64]
    resels: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class TSummary(MapSummary):
    """What is said of a map of t.

    Parameters
    ----------
    significant
        How many clusters pass each correction.
    sites
        The listed clusters with every site left out in turn; empty where no site is named.
    """

    listed_by: str
    orthogonality: tuple[Orthogonality, ...]
    critical_t: float
    largest_t: float
    smallest_t: float
    fsl: FslFields
    spm: SpmFields
    significant: Mapping[str, int]
    sites: tuple[WithoutSite, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class FSummary(MapSummary):
    """What is said of a map of F; `significant` counts clusters of significant extent."""

    dof_effect: int
    critical_f: float
    largest_f: float
    significant: int


@dataclass(frozen=True)
class _Drawn:
    permutations: int | None
    exhaustive: bool
    monte_carlo_error: float | None
    flipped: bool

    @classmethod
    def of(cls, plan: PermutationPlan | None, p: float) -> _Drawn:
        """Say how many permutations there were, and how sure a p at the threshold is."""
        if plan is None:
            return cls(None, False, None, False)
        return cls(len(plan), plan.exhaustive, plan.error(p), plan.signs is not None)


def t_summary(
    asked: Asked,
    sample: SampleSummary,
    result: GroupMap,
    grid: Grid,
    *,
    listed_by: str,
    orthogonality: tuple[Orthogonality, ...],
    sites: tuple[WithoutSite, ...] = (),
) -> TSummary:
    """Describe a map of t: thresholds, smoothness, what each correction lets pass.

    Parameters
    ----------
    grid
        Gives the widths of smoothness in millimetres.
    """
    test, sizes_mm = result.fsl_test, grid.voxel_sizes_mm
    return TSummary(
        **vars(asked),
        **vars(sample),
        **vars(_Drawn.of(result.plan, result.options.cluster_p)),
        dof=result.fit.dof,
        variance=result.variance,
        mask_voxels=len(result.fit.t),
        options=result.options,
        listed_by=listed_by,
        orthogonality=orthogonality,
        sites=sites,
        critical_t=result.critical_t,
        largest_t=float(result.fit.t.max()),
        smallest_t=float(result.fit.t.min()),
        fsl=FslFields(
            result.fsl.fwhm_voxels,
            result.fsl.fwhm_voxels * sizes_mm,
            result.fsl.dlh,
            test.least_extent,
            test.expected_clusters,
        ),
        spm=SpmFields(result.spm.fwhm_voxels, result.spm.fwhm_voxels * sizes_mm, result.resels),
        clusters=len(result.clusters),
        significant={by: len(result.significant(by)) for by in CORRECTIONS},
        least_p={
            by: _least(getattr(found, f"p_{by}") for found in result.clusters)
            for by in CORRECTIONS
        },
    )


def f_summary(asked: Asked, sample: SampleSummary, found: EffectMap) -> FSummary:
    """Describe a map of F."""
    return FSummary(
        **vars(asked),
        **vars(sample),
        **vars(_Drawn.of(found.plan, found.options.cluster_p)),
        dof=found.fit.dof_error,
        variance=found.variance,
        dof_effect=found.fit.dof_effect,
        mask_voxels=len(found.fit.f),
        options=found.options,
        critical_f=found.critical_f,
        largest_f=float(found.fit.f.max()),
        clusters=len(found.clusters),
        significant=len(found.significant()),
        least_p={
            by: _least(getattr(cluster, f"p_{by}") for cluster in found.clusters)
            for by in ("extent", "mass")
        },
    )


def facts(summary: MapSummary) -> tuple[tuple[str, str], ...]:
    """Name and value of each line above a cluster table, from the summary of its map."""
    return (*_tested(summary), *_fields(summary), *_permuted(summary))


def _tested(summary: MapSummary) -> Iterable[tuple[str, str]]:
    """Return people, degrees of freedom and thresholds."""
    options, tails = summary.options, ""
    yield "people", ", ".join(f"{group} {n}" for group, n in summary.group_sizes.items() if n)
    if isinstance(summary, FSummary):
        yield "degrees of freedom", f"{summary.dof_effect} and {_dof(summary.dof)}"
        beyond, listed = f"F > {summary.critical_f:.3f}", "extent"
    elif isinstance(summary, TSummary):
        yield "degrees of freedom", _dof(summary.dof)
        beyond, listed = f"|t| > {summary.critical_t:.3f}", summary.listed_by
        tails = ", two-tailed" if options.two_tailed else ", one-tailed"
    yield "voxel threshold", f"P < {options.voxel_p:g}, {beyond}{tails}"
    yield "clusters listed", f"P < {options.cluster_p:g} by {FLAVOURS[listed]}"
    yield "voxels V", str(summary.mask_voxels)
    for one in summary.variance:
        yield (
            f"variance, {one.first} / {one.second}",
            (
                f"median ratio {one.median:.2f}, {one.beyond_percent:.0f} % of voxels beyond "
                f"{one.limit:g} to 1 (by chance {one.by_chance_percent:.0f} %)"
            ),
        )


def _dof(dof: float) -> str:
    welch = "" if float(dof).is_integer() else " (Welch, median over voxels)"
    return f"{round(dof, 1):g}{welch}"


def _fields(summary: MapSummary) -> Iterable[tuple[str, str]]:
    """Smoothness and what random fields make of it; F has none."""
    if not isinstance(summary, TSummary):
        return
    fsl = summary.fsl
    widths = f"{_widths(fsl.fwhm_voxels)} voxels, {_widths(fsl.fwhm_mm)} mm"
    yield "FWHM of the residuals", widths
    yield "dLh", f"{fsl.dlh:.4g}"
    yield "resels R0 to R3", ", ".join(f"{value:.4g}" for value in summary.spm.resels)
    yield "least cluster by random fields (FSL)", f"{fsl.least_cluster_voxels} voxels"


def _permuted(summary: MapSummary) -> Iterable[tuple[str, str]]:
    name = "flips of signs" if summary.flipped else "permutations"
    if summary.permutations is None:
        yield name, "none"
    elif summary.exhaustive:
        yield name, f"all {summary.permutations} there are, so P is exact"
    else:
        p, error = summary.options.cluster_p, summary.monte_carlo_error
        drawn = f"{summary.permutations}, Monte-Carlo error of P = {p:g}: ±{error:.2g}"
        fitted = summary.options.tail == "pareto"
        yield name, drawn + ("; tail of P from a fitted Pareto distribution" if fitted else "")


def _widths(values: Iterable[float]) -> str:
    return " × ".join(f"{value:.2f}" for value in values)


def _least(values: Iterable[float | None]) -> float | None:
    """Return the smallest p there is."""
    return min((p for p in values if p is not None), default=None)
