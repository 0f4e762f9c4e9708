"""Tables 2 and 3 of Liu et al. 2024: peaks, directions, lattices and cluster sizes.

A peak in whole millimetres must lie within half a millimetre of the lattice of its map. Cluster
sizes are judged by the paper's own test, FSL's formula in DPABI (`falx.maps.inference`); the
smoothness that it needs is not printed, so the item says up to which smoothness a cluster passes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from falx.data.liu2024 import CONTRASTS, GROUP_SIZES, PEAKS, Contrast, Peak
from falx.maps.inference.random_fields import FslClusterTest
from falx.studies.reproduce.comparison import CONTRADICTED, CONVENTION, REPRODUCED, Item

__all__ = ["largest_smoothness", "lattice_misfit", "map_items"]

HEIGHT, PLACES, EXTENT = "Peaks", "Coordinates", "Clusters"
VOXEL_MM = {"GMV": 1.5, "ReHo": 3.0}
KERNEL_MM = {"GMV": 3.0, "ReHo": 6.0}
SEARCHED = {"GMV": 560_000, "ReHo": 70_831}
"""Voxels of a whole brain of 1.9 litres, and of DPABI's mask of 3 mm."""

SMOOTHEST_MM = 15.0
"""No map made with either kernel is as smooth as this."""


def map_items() -> list[Item]:
    """Items 15 to 30."""
    items = [_height(15 + i, contrast) for i, contrast in enumerate(CONTRASTS)]
    items += [_directions(20), _sides(21), _least_voxels(22)]
    items += [_lattice(23, "GMV"), _lattice(24, "ReHo"), _title(25)]
    return [*items, *(_extent(26 + i, contrast) for i, contrast in enumerate(CONTRASTS))]


def _peaks(contrast: Contrast) -> list[Peak]:
    return [p for p in PEAKS if (p.map, p.contrast) == (contrast.map, contrast.groups)]


def _name(contrast: Contrast) -> str:
    return f"{contrast.map}, {' against '.join(contrast.groups)}"


def _height(number: int, contrast: Contrast) -> Item:
    n = [GROUP_SIZES[g] for g in contrast.groups]
    df = sum(n) - 2
    t = np.array([abs(p.t) for p in _peaks(contrast)])
    p = 2 * scipy.stats.t.sf(t, df)
    limit = float(scipy.stats.t.isf(0.0025, df))
    d = float(t.max()) * float(np.sqrt(1 / n[0] + 1 / n[1]))
    return Item(
        number, HEIGHT, f"{_name(contrast)}: peaks at P < .005",
        "|t| = " + ", ".join(f"{value:.3f}" for value in t),
        f"|t| > {limit:.3f} at {df} degrees of freedom; largest P = {p.max():.4f}",
        f"Cohen's d of the highest peak {d:.2f}, too large by its choice",
        REPRODUCED if p.max() < 0.005 else CONTRADICTED, "two-tailed Student's t, no covariates",
    )  # fmt: skip


def _directions(number: int) -> Item:
    agreed = sum(np.sign(p.t) == c.direction for c in CONTRASTS for p in _peaks(c))
    return Item(
        number, HEIGHT, "Directions in the text against signs of t", "14 peaks",
        f"{agreed} of {len(PEAKS)} agree", "same",
        REPRODUCED if agreed == len(PEAKS) else CONTRADICTED,
        "less in patients everywhere but in the precuneus",
    )  # fmt: skip


def _sides(number: int) -> Item:
    agreed = sum((p.mm[0] < 0) == p.region.endswith("_L") for p in PEAKS)
    return Item(
        number, PLACES, "Sides of the names against signs of x", "14 peaks",
        f"{agreed} of {len(PEAKS)} agree", "same",
        REPRODUCED if agreed == len(PEAKS) else CONTRADICTED, "left is negative",
    )  # fmt: skip


def _least_voxels(number: int) -> Item:
    least = min(p.voxels for p in PEAKS)
    return Item(
        number, PLACES, "Voxels in each region", "> 20", f"at least {least}", "same",
        REPRODUCED if least > 20 else CONTRADICTED, "Tables 2 and 3",
    )  # fmt: skip


def lattice_misfit(points: npt.ArrayLike, step: float) -> float:
    """Largest distance of points (n, 3), mm, to the best lattice of this step, over the axes.

    The distance to a lattice of offset a is |((x - a + h/2) mod h) - h/2|.
    """
    x = np.asarray(points, dtype=np.float64)
    offsets = np.arange(0.0, step, 0.01)
    away = np.abs((x[None] - offsets[:, None, None] + step / 2) % step - step / 2)
    return float(away.max(axis=1).min(axis=0).max())


def _lattice(number: int, kind: str) -> Item:
    step = VOXEL_MM[kind]
    misfit = lattice_misfit([p.mm for p in PEAKS if p.map == kind], step)
    fits = misfit <= 0.5 + 1e-9
    return Item(
        number, PLACES, f"{kind} peaks on voxels of {step:g} mm", "MNI coordinates",
        f"nearest lattice misses a peak by {misfit:.2f} mm", "same",
        REPRODUCED if fits else CONTRADICTED,
        "whole millimetres lie within 0.50 mm of a lattice" if fits else
        "rounding moves a peak by 0.50 mm at most, so no lattice of this step, whatever its "
        "origin, holds these peaks: they come from another grid, or were edited",
    )  # fmt: skip


def _title(number: int) -> Item:
    return Item(
        number, PLACES, "Title of Table 3", "Differentially expressed genes in different groups",
        "regions of different ReHo", "same", CONTRADICTED,
        "by reading: the table holds coordinates and t",
    )  # fmt: skip


def largest_smoothness(voxels: int, searched: int) -> float:
    """Largest FWHM, voxels, at which a cluster of this size passes; roughness (4 ln 2)^1.5/F³."""
    low, high = 1.0, 40.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        roughness = (4 * np.log(2)) ** 1.5 / middle**3
        passes = FslClusterTest(searched, float(roughness)).least_extent <= voxels
        low, high = (middle, high) if passes else (low, middle)
    return low


def _extent(number: int, contrast: Contrast) -> Item:
    kind, voxels = contrast.map, sum(p.voxels for p in _peaks(contrast))
    limit = largest_smoothness(voxels, SEARCHED[kind])
    mm = limit * VOXEL_MM[kind]
    kernel = KERNEL_MM[kind]
    passing = REPRODUCED if mm >= SMOOTHEST_MM else CONVENTION
    return Item(
        number, EXTENT, f"{_name(contrast)}: cluster at P < .05", f"{voxels} voxels",
        f"passes if the map's FWHM is at most {limit:.1f} voxels ({mm:.1f} mm)",
        "random fields at a voxel threshold of P < .005 err in more than 5 % of null studies "
        "(Eklund 2016)",
        CONTRADICTED if mm < kernel else passing,
        f"the kernel alone is {kernel:g} mm, and the map is smoother than its kernel; the "
        "smoothness is not printed",
    )  # fmt: skip
