"""What a summary says of a group map, and the lines that stand above its table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from falx.core.grid import Grid
from falx.maps.anova import EffectMap
from falx.maps.group_maps import CORRECTIONS, GroupMap
from falx.maps.inference.permutation import PermutationPlan

__all__ = ["FLAVOURS", "effect_described", "facts", "map_described"]

FLAVOURS = {
    "fsl": "random fields (FSL)",
    "spm": "random fields (SPM)",
    "extent": "permuted extent",
    "mass": "permuted mass",
}
"""How a correction of clusters is called in print."""


def map_described(result: GroupMap, grid: Grid) -> dict[str, Any]:
    """Describe a map of t: thresholds, smoothness, what each correction lets pass.

    Parameters
    ----------
    grid
        Gives the widths of smoothness in millimetres.
    """
    test, sizes_mm = result.fsl_test, grid.voxel_sizes_mm
    return {
        "dof": result.fit.dof,
        "mask_voxels": len(result.fit.t),
        "options": asdict(result.options),
        "critical_t": result.critical_t,
        "fsl": {
            "fwhm_voxels": result.fsl.fwhm_voxels,
            "fwhm_mm": result.fsl.fwhm_voxels * sizes_mm,
            "dlh": result.fsl.dlh,
            "least_cluster_voxels": test.least_extent,
            "expected_clusters": test.expected_clusters,
        },
        "spm": {
            "fwhm_voxels": result.spm.fwhm_voxels,
            "fwhm_mm": result.spm.fwhm_voxels * sizes_mm,
            "resels": result.resels,
        },
        "largest_t": float(result.fit.t.max()),
        "smallest_t": float(result.fit.t.min()),
        "clusters": len(result.clusters),
        "significant": {by: len(result.significant(by)) for by in CORRECTIONS},
        "least_p": {
            by: _least(getattr(found, f"p_{by}") for found in result.clusters)
            for by in CORRECTIONS
        },
        **_drawn(result.plan, result.options.cluster_p),
    }


def effect_described(found: EffectMap) -> dict[str, Any]:
    """Describe a map of F."""
    return {
        "dof_effect": found.fit.dof_effect,
        "dof": found.fit.dof_error,
        "mask_voxels": len(found.fit.f),
        "options": asdict(found.options),
        "critical_f": found.critical_f,
        "largest_f": float(found.fit.f.max()),
        "clusters": len(found.clusters),
        "significant": len(found.significant()),
        "least_p": {
            by: _least(getattr(cluster, f"p_{by}") for cluster in found.clusters)
            for by in ("extent", "mass")
        },
        **_drawn(found.plan, found.options.cluster_p),
    }


def facts(summary: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Name and value of each line above a cluster table, from the summary of its map."""
    return (*_tested(summary), *_fields(summary), *_permuted(summary))


def _tested(summary: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Return people, degrees of freedom and thresholds."""
    options, tails = summary["options"], ""
    sizes = summary["group_sizes"].items()
    yield "people", ", ".join(f"{group} {n}" for group, n in sizes if n)
    if "critical_f" in summary:
        yield "degrees of freedom", f"{summary['dof_effect']} and {summary['dof']}"
        beyond, listed = f"F > {summary['critical_f']:.3f}", "extent"
    else:
        yield "degrees of freedom", str(summary["dof"])
        beyond, listed = f"|t| > {summary['critical_t']:.3f}", summary["listed_by"]
        tails = ", two-tailed" if options["two_tailed"] else ", one-tailed"
    yield "voxel threshold", f"P < {options['voxel_p']:g}, {beyond}{tails}"
    yield "clusters listed", f"P < {options['cluster_p']:g} by {FLAVOURS[listed]}"
    yield "voxels V", str(summary["mask_voxels"])


def _fields(summary: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Smoothness and what random fields make of it; F has none."""
    if "fsl" not in summary:
        return
    fsl, spm = summary["fsl"], summary["spm"]
    widths = f"{_widths(fsl['fwhm_voxels'])} voxels, {_widths(fsl['fwhm_mm'])} mm"
    yield "FWHM of the residuals", widths
    yield "dLh", f"{fsl['dlh']:.4g}"
    yield "resels R0 to R3", ", ".join(f"{value:.4g}" for value in spm["resels"])
    yield "least cluster by random fields (FSL)", f"{fsl['least_cluster_voxels']} voxels"


def _permuted(summary: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    if summary["permutations"] is None:
        yield "permutations", "none"
    elif summary["exhaustive"]:
        yield "permutations", f"all {summary['permutations']} there are, so P is exact"
    else:
        p, error = summary["options"]["cluster_p"], summary["monte_carlo_error"]
        drawn = f"{summary['permutations']}, Monte-Carlo error of P = {p:g}: ±{error:.2g}"
        yield "permutations", drawn


def _widths(values: Iterable[float]) -> str:
    return " × ".join(f"{value:.2f}" for value in values)


def _least(values: Iterable[float | None]) -> float | None:
    """Return the smallest p there is."""
    return min((p for p in values if p is not None), default=None)


def _drawn(plan: PermutationPlan | None, p: float) -> dict[str, Any]:
    """Say how many permutations there were, and how sure a p at the threshold is."""
    return {
        "permutations": None if plan is None else len(plan),
        "exhaustive": plan is not None and plan.exhaustive,
        "monte_carlo_error": None if plan is None else plan.error(p),
    }
