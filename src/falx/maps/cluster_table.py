"""Cluster tables: every atlas region inside every cluster, with its own peak."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas
from falx.atlas.label_table import name_words
from falx.core.grid import Grid, apply_affine
from falx.core.possible import Percent, Probability
from falx.images.resample import sample
from falx.maps.anova import EffectCluster, EffectMap
from falx.maps.group_maps import ClusterInference, GroupMap
from falx.maps.inference.rearrangements import PermutationPlan

__all__ = [
    "HEADINGS",
    "ClusterRow",
    "EffectRow",
    "RegionRow",
    "TableSpace",
    "cluster_table",
    "effect_table",
    "nearest_region",
    "region_name",
    "regions_of",
]

OTHER = "other / unlabelled"

NO_GREY = frozenset({"white", "ventricle", "horn", "fluid", "chiasm"})
"""Words in the names of regions without grey matter."""

HEADINGS = {
    "cluster": "cluster",
    "sign": "sign",
    "cluster_voxels": "voxels",
    "cluster_ml": "mL",
    "cluster_true_percent": "% surely different",
    "centre_region": "centre in",
    "p_fsl": "P random field (FSL)",
    "p_spm": "P random field (SPM)",
    "p_extent": "P permuted extent",
    "error_extent": "±",
    "p_mass": "P permuted mass",
    "error_mass": "±",
    "region": "region",
    "code": "code",
    "x_mm": "x, mm",
    "y_mm": "y, mm",
    "z_mm": "z, mm",
    "voxels": "voxels there",
    "true_percent": "% surely different",
    "percent_of_region": "% of region",
    "t": "peak t",
    "z": "peak z",
    "f": "peak F",
    "hedges_g": "g",
    "q": "q",
    "p_voxel": "P voxel",
    "p_tfce": "P TFCE",
}
"""What is printed above a column of either table; the contrast is its title."""


@dataclass(frozen=True)
class RegionRow:
    """One region inside one cluster, whatever the statistic.

    Coordinates are RAS+ mm of the centre of the voxel with the largest |statistic| inside
    region and cluster. `region` of voxels outside every label is "other / unlabelled", with
    the nearest region and its distance; so is the sum of the regions too small to be listed.
    `centre_x_mm` to `centre_z_mm` are the cluster's centre of mass, weighted by |statistic|, and
    `centre_region` the region nearest to it that is neither white matter nor fluid: the middle of
    a cluster of cortex often lies between its banks. `error_extent` and `error_mass` are the
    Monte-Carlo errors of the permutation p.
    `cluster_true_percent` and `true_percent` bound from below how much of the cluster, and of
    its part in the region, truly differs: all at once at a confidence of 1 - ``cluster_p``.
    """

    contrast: str
    cluster: int
    cluster_voxels: int
    cluster_ml: float
    cluster_true_percent: Percent | None
    centre_region: str
    centre_x_mm: float
    centre_y_mm: float
    centre_z_mm: float
    p_extent: Probability | None
    error_extent: float | None
    p_mass: Probability | None
    error_mass: float | None
    region: str
    code: int
    x_mm: float
    y_mm: float
    z_mm: float
    voxels: int
    true_percent: Percent | None
    percent_of_region: Percent | None

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(item.name for item in fields(cls))


@dataclass(frozen=True)
class ClusterRow(RegionRow):
    """One region inside one cluster of t."""

    sign: int
    p_fsl: Probability
    p_spm: Probability
    t: float
    z: float
    hedges_g: float
    q: Probability
    p_tfce: Probability | None


@dataclass(frozen=True)
class EffectRow(RegionRow):
    """One region inside one cluster of F."""

    f: float
    q: Probability
    p_voxel: Probability | None


@dataclass(frozen=True, eq=False)
class TableSpace:
    """Where clusters lie, and how a table lists them.

    Parameters
    ----------
    mask
        Shape (X, Y, Z), on `grid`: the voxels of the result.
    atlas
        Resampled to the map by nearest neighbour.
    min_region_voxels
        Regions of at most so many voxels in a cluster are summed as "other / unlabelled".
    """

    mask: npt.NDArray[np.bool_]
    grid: Grid
    atlas: Atlas
    min_region_voxels: int = 20


def cluster_table(
    result: GroupMap, clusters: Sequence[ClusterInference], space: TableSpace, contrast: str
) -> tuple[ClusterRow, ...]:
    """List clusters of t region by region, the largest first.

    Parameters
    ----------
    clusters
        The clusters to list, for example ``result.significant("extent")``.
    contrast
        Name of what was tested.

    References
    ----------
    Tables 2 and 3 of Liu et al. 2024, NeuroImage 303:120908.
    """
    return tuple(
        ClusterRow(
            **vars(part),
            sign=found.cluster.sign,
            p_fsl=found.p_fsl,
            p_spm=found.p_spm,
            t=float(result.fit.t[peak]),
            z=float(result.fit.z[peak]),
            hedges_g=float(result.fit.hedges_g[peak]),
            q=float(result.q[peak]),
            p_tfce=None if result.p_tfce is None else float(result.p_tfce[peak]),
        )
        for found, part, peak in _parts(clusters, result, result.fit.t, space, contrast)
    )


def effect_table(
    result: EffectMap, clusters: Sequence[EffectCluster], space: TableSpace, contrast: str
) -> tuple[EffectRow, ...]:
    """List clusters of F region by region, as :func:`cluster_table`."""
    return tuple(
        EffectRow(
            **vars(part),
            f=float(result.fit.f[peak]),
            q=float(result.q[peak]),
            p_voxel=None if result.p_voxel is None else float(result.p_voxel[peak]),
        )
        for _, part, peak in _parts(clusters, result, result.fit.f, space, contrast)
    )


Found = TypeVar("Found", ClusterInference, EffectCluster)


def _parts(
    clusters: Sequence[Found],
    result: GroupMap | EffectMap,
    statistic: npt.NDArray[np.floating],
    space: TableSpace,
    contrast: str,
) -> Iterator[tuple[Found, RegionRow, int]]:
    """Yield each region of each cluster: its cluster, its part of the row, its peak."""
    points_mm = apply_affine(space.grid.affine, np.argwhere(space.mask))
    codes = sample(space.atlas.image, points_mm, how="nearest").astype(np.int64)
    sizes = dict(zip(*np.unique(codes, return_counts=True), strict=True))
    voxel_ml = space.grid.voxel_volume_mm3 / 1000.0
    grey = _without_white(space.atlas)
    for number, found in enumerate(clusters, start=1):
        surely = _percent(result, found.cluster.rows)
        weights = np.abs(statistic[found.cluster.rows])
        middle = np.average(points_mm[found.cluster.rows], axis=0, weights=weights)
        for code, members in regions_of(found.cluster.rows, codes, space.min_region_voxels):
            # argmax takes the first of equal values, so ties go to the lowest linear index.
            peak = int(members[np.argmax(np.abs(statistic[members]))])
            x, y, z = (float(value) for value in points_mm[peak])
            yield (
                found,
                RegionRow(
                    contrast=contrast,
                    cluster=number,
                    cluster_voxels=found.cluster.extent,
                    cluster_ml=found.cluster.extent * voxel_ml,
                    cluster_true_percent=surely,
                    centre_region=nearest_region(middle, grey)[0],
                    centre_x_mm=float(middle[0]),
                    centre_y_mm=float(middle[1]),
                    centre_z_mm=float(middle[2]),
                    p_extent=found.p_extent,
                    error_extent=_error(result.plan, found.p_extent),
                    p_mass=found.p_mass,
                    error_mass=_error(result.plan, found.p_mass),
                    region=region_name(code, points_mm[peak], space.atlas),
                    code=code,
                    x_mm=x,
                    y_mm=y,
                    z_mm=z,
                    voxels=len(members),
                    true_percent=_percent(result, members),
                    percent_of_region=100.0 * len(members) / sizes[code] if code else None,
                ),
                peak,
            )


def _without_white(atlas: Atlas) -> Atlas:
    """Regions that hold grey matter, by their names; all if no name says so."""
    kept = [r.label for r in atlas.regions if not name_words(r.name) & NO_GREY]
    return atlas.select(kept) if 0 < len(kept) < len(atlas.regions) else atlas


def _percent(result: GroupMap | EffectMap, rows: npt.NDArray[np.int64]) -> float | None:
    """Bound from below the share of some voxels that truly differs, in percent."""
    least = result.at_least(rows)
    return None if least is None else 100.0 * least / len(rows)


def _error(plan: PermutationPlan | None, p: float | None) -> float | None:
    return None if plan is None or p is None else plan.error(p)


def nearest_region(point_mm: npt.ArrayLike, atlas: Atlas) -> tuple[str, float]:
    """Name of the region nearest to a point and its distance, mm (0 inside it).

    Distances are to the centres of labelled voxels.
    """
    code, distance_mm = int(sample(atlas.image, np.asarray(point_mm), how="nearest")), 0.0
    if code == 0:
        labelled = np.argwhere(atlas.image.data != 0)
        centres = apply_affine(atlas.image.affine, labelled)
        distance = np.linalg.norm(centres - np.asarray(point_mm, dtype=np.float64), axis=1)
        best = int(np.argmin(distance))
        code, distance_mm = int(atlas.image.data[tuple(labelled[best])]), float(distance[best])
    return next(region.name for region in atlas.regions if region.label == code), distance_mm


def regions_of(
    members: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], least: int
) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Split a cluster, rows of shape (n,), by region: the largest first, small ones last."""
    named, other = [], []
    for code in np.unique(codes[members]):
        inside = members[codes[members] == code]
        if code == 0 or len(inside) <= least:
            other.append(inside)
        else:
            named.append((int(code), inside))
    named.sort(key=lambda item: (-len(item[1]), item[0]))
    if other:
        named.append((0, np.sort(np.concatenate(other))))
    return named


def region_name(code: int, point_mm: npt.NDArray[np.float64], atlas: Atlas) -> str:
    """Name of a region, or of "other / unlabelled" with that nearest to the point, shape (3,)."""
    if code:
        return next(item.name for item in atlas.regions if item.label == code)
    near, distance_mm = nearest_region(point_mm, atlas)
    where = f"in {near}" if distance_mm == 0 else f"{distance_mm:.1f} mm from {near}"
    return f"{OTHER} (peak {where})"
