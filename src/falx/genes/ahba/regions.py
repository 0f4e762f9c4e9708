"""From samples to regions: means over samples and donors, and regions without samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.atlas.atlas import Atlas, Region
from falx.core.errors import check_option
from falx.core.grid import Side
from falx.genes.ahba.matching import LabelledVoxels

__all__ = [
    "AGGREGATIONS",
    "MISSING",
    "DonorSamples",
    "Filling",
    "aggregate",
    "fill_missing",
    "region_values",
]

Array = npt.NDArray[np.float64]
AGGREGATIONS = ("mean", "median")
MISSING = ("centroids", "interpolate")


@dataclass(frozen=True, eq=False)
class DonorSamples:
    """Normalised expression of one donor's samples (genes × samples), labels and places."""

    donor: str
    expression: Array
    labels: npt.NDArray[np.int32]
    points_mm: Array
    kinds: tuple[tuple[Side | None, str], ...] | None


@dataclass(frozen=True, eq=False)
class Filling:
    """Values for a region from one donor's samples, and the distance they came from."""

    values: Array
    distance_mm: float


def _metric(name: str) -> Callable[..., Array]:
    check_option("agg_metric", name, AGGREGATIONS)
    return np.mean if name == "mean" else np.median


def region_values(donor: DonorSamples, labels: npt.NDArray[np.int32], metric: str) -> Array:
    """Regional values of one donor, shape (regions, genes); NaN without samples."""
    combine = _metric(metric)
    out = np.full((len(labels), donor.expression.shape[0]), np.nan)
    for row, label in enumerate(labels):
        inside = donor.labels == label
        if inside.any():
            out[row] = combine(donor.expression[:, inside], axis=1)
    return out


def aggregate(
    donors: Sequence[DonorSamples],
    labels: npt.NDArray[np.int32],
    *,
    over: str = "donors",
    metric: str = "mean",
) -> Array:
    """Matrix of shape (n_regions, n_genes); regions without any sample are NaN.

    Parameters
    ----------
    over
        ``donors``: combine each donor's regional values; ``samples``: all samples alike.
    """
    combine = _metric(metric)
    if check_option("region_agg", over, ("donors", "samples")) == "samples":
        pooled = DonorSamples(
            "all",
            np.concatenate([d.expression for d in donors], axis=1),
            np.concatenate([d.labels for d in donors]),
            np.concatenate([d.points_mm for d in donors]),
            None,
        )
        return region_values(pooled, labels, metric)
    stacked = np.stack([region_values(d, labels, metric) for d in donors])
    sampled = np.stack([np.isin(labels, d.labels) for d in donors])
    out = np.full(stacked.shape[1:], np.nan)
    for row in np.flatnonzero(sampled.any(axis=0)):
        out[row] = combine(stacked[sampled[:, row], row], axis=0)
    return out


def fill_missing(
    donor: DonorSamples, region: Region, atlas: Atlas, voxels: LabelledVoxels, how: str
) -> Filling | None:
    """Values of a region without samples from one donor's samples elsewhere.

    ``centroids``: the sample nearest the region's centroid. ``interpolate``: samples move to
    their nearest labelled voxel, each voxel of the region takes the nearest of them, and voxels
    are averaged by inverse distance. Where side and class are known, only samples of the
    region's own serve, and for ``interpolate`` only those whose nearest voxel agrees too.
    """
    if check_option("missing", how, MISSING) == "centroids":
        return _from_centroid(donor, region)
    return _from_voxels(donor, region, atlas, voxels)


def _serving(donor: DonorSamples, region: Region) -> npt.NDArray[np.bool_]:
    if donor.kinds is None:
        return np.ones(len(donor.labels), dtype=np.bool_)
    return np.array([kind == (region.side, region.structure) for kind in donor.kinds])


def _from_centroid(donor: DonorSamples, region: Region) -> Filling | None:
    rows = np.flatnonzero(_serving(donor, region))
    if len(rows) == 0:
        return None
    distance = np.linalg.norm(donor.points_mm[rows] - np.array(region.centroid_mm), axis=1)
    best = int(np.argmin(distance))
    return Filling(donor.expression[:, rows[best]], float(distance[best]))


def _from_voxels(
    donor: DonorSamples, region: Region, atlas: Atlas, voxels: LabelledVoxels
) -> Filling | None:
    place = voxels.tree.query(donor.points_mm)[1]
    serving = _serving(donor, region)
    if donor.kinds is not None:
        kind = {r.label: (r.side, r.structure) for r in atlas.regions}
        serving &= [
            kind[int(voxels.labels[i])] == k for i, k in zip(place, donor.kinds, strict=True)
        ]
    rows = np.flatnonzero(serving)
    if len(rows) == 0:
        return None
    inside = voxels.points_mm[voxels.labels == region.label]
    # On the grid many distances tie; the first sample wins, which a search tree would not keep.
    apart = scipy.spatial.distance.cdist(inside, voxels.points_mm[place[rows]])
    nearest = apart.argmin(axis=1)
    distance = apart[np.arange(len(inside)), nearest]
    # abagen gives a voxel that holds a sample the weight of one at 1 mm.
    weight = 1.0 / np.where(distance == 0, 1.0, distance)
    values = donor.expression[:, rows[nearest]] @ weight / weight.sum()
    return Filling(values, float(distance.mean()))
