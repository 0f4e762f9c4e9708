"""Which region a tissue sample belongs to.

About one sample in eight changes its region with the rule (docs/methods/genes.md): the rule is
part of the result. All distances are millimetres.

Rules: Arnatkevičiūtė et al. 2019, NeuroImage 189:353, and Markello et al. 2021, eLife 10:e72129.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.atlas.atlas import Atlas, Region
from falx.core.grid import Grid, Side, apply_affine

__all__ = [
    "LabelledVoxels",
    "labelled_voxels",
    "match_by_class",
    "match_nearest",
    "match_stepwise",
]

CORTICAL_WORDS = (
    "cortex",
    "cortical",
    "gyrus",
    "gyri",
    "sulcus",
    "occipital pole",
    "planum temporale",
    "cuneus",
    "frontal pole",
    "operculum",
    "planum polare",
    "temporal pole",
    "paracentral lobule",
)
"""Words that make a structure cortical in the published pipeline; dentate gyrus is one."""


@dataclass(frozen=True, eq=False)
class LabelledVoxels:
    """Centres (mm) and labels of an atlas's voxels, with a search tree."""

    points_mm: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int32]
    tree: scipy.spatial.cKDTree


def labelled_voxels(atlas: Atlas) -> LabelledVoxels:
    """Collect the labelled voxels of an atlas."""
    voxels = np.argwhere(atlas.image.data != 0)
    points = apply_affine(atlas.image.affine, voxels)
    labels = atlas.image.data[tuple(voxels.T)].astype(np.int32)
    return LabelledVoxels(points, labels, scipy.spatial.cKDTree(points))


def match_nearest(
    points_mm: npt.NDArray[np.float64], voxels: LabelledVoxels, *, within_mm: float = 2.0
) -> npt.NDArray[np.int32]:
    """Label of the nearest labelled voxel centre to points of shape (n, 3); 0 if none is near."""
    distance, index = voxels.tree.query(points_mm)
    return np.where(distance <= within_mm, voxels.labels[index], 0).astype(np.int32)


def match_by_class(
    points_mm: npt.NDArray[np.float64],
    names: Sequence[str],
    atlas: Atlas,
    *,
    within_mm: float = 2.0,
) -> npt.NDArray[np.int32]:
    """Nearest voxel among those of the sample's own side and class (published pipeline).

    Side is the word in the structure's name; class is cortex if the name holds one of
    :data:`CORTICAL_WORDS`. The published code measures in voxels of the atlas; this one in mm.

    Parameters
    ----------
    names
        Structure name of each sample.
    """
    out = np.zeros(len(points_mm), dtype=np.int32)
    keys = [(_named_side(name), _is_cortical(name)) for name in names]
    for side, cortical in set(keys):
        if side is None:
            continue
        labels = [
            r.label
            for r in atlas.regions
            if r.side == side and ((r.structure or "cortex") == "cortex") == cortical
        ]
        rows = np.array([i for i, key in enumerate(keys) if key == (side, cortical)])
        if labels:
            voxels = labelled_voxels(atlas.select(labels))
            out[rows] = match_nearest(points_mm[rows], voxels, within_mm=within_mm)
    return out


def _named_side(name: str) -> Side | None:
    words = name.lower().replace(",", " ").split()
    if "left" in words:
        return "left"
    return "right" if "right" in words else None


def _is_cortical(name: str) -> bool:
    return any(word in name.lower() for word in CORTICAL_WORDS)


def match_stepwise(
    points_mm: npt.NDArray[np.float64],
    atlas: Atlas,
    voxels: LabelledVoxels,
    *,
    tolerance_mm: int = 2,
    kinds: Sequence[tuple[Side | None, str]] | None = None,
) -> npt.NDArray[np.int32]:
    """Match points of shape (n, 3) as abagen does: floor to the grid, then growing balls.

    A point is moved to the largest grid coordinate strictly below it on each axis. Of several
    labels in a ball the nearest centroid wins; without `kinds`, the most frequent one first.

    Parameters
    ----------
    kinds
        Side and class of each sample; labels of another side or class do not take part.
    """
    points = _floored(points_mm, atlas.image.grid)
    out = np.zeros(len(points), dtype=np.int32)
    regions = {region.label: region for region in atlas.regions}
    for radius in range(int(tolerance_mm) + 1):
        pending = np.flatnonzero(out == 0)
        # A hair above the radius: voxel centres at exactly that distance count.
        balls = voxels.tree.query_ball_point(points[pending], radius + 1e-9)
        for sample, ball in zip(pending, balls, strict=True):
            found = voxels.labels[ball]
            if kinds is not None:
                fits = [
                    label
                    for label in np.unique(found)
                    if _fits(regions[int(label)], kinds[int(sample)])
                ]
                found = np.array(fits, dtype=np.int32)
            if len(found):
                out[sample] = _settle(points[sample], found, regions)
    return out


def _floored(points_mm: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    """Grid point strictly below on every axis; a point on the grid moves one voxel down."""
    index = np.round(apply_affine(np.linalg.inv(grid.affine), points_mm), 9)
    return apply_affine(grid.affine, np.ceil(index) - 1.0)


def _fits(region: Region, kind: tuple[Side | None, str]) -> bool:
    return region.side in (None, kind[0]) and region.structure == kind[1]


def _settle(
    point: npt.NDArray[np.float64], found: npt.NDArray[np.int32], regions: dict[int, Region]
) -> int:
    labels, counts = np.unique(found, return_counts=True)
    labels = labels[counts == counts.max()]
    if len(labels) == 1:
        return int(labels[0])
    centroids = np.array([regions[int(label)].centroid_mm for label in labels])
    return int(labels[np.argmin(np.linalg.norm(centroids - point, axis=1))])
