"""Where two maps differ together, and whether people's values in their clusters go together.

A voxel differs in both maps if the larger of its two P is small: each must pass by itself, and no
further correction is needed (conjunction null; Nichols et al. 2005, NeuroImage 25:653).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr

from falx.atlas.atlas import Atlas
from falx.core.grid import Grid, apply_affine
from falx.core.multiplicity import holm
from falx.core.possible import Probability
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.maps.cluster_table import region_name
from falx.maps.cluster_values import ClusterValue

__all__ = ["Both", "ClusterCorrelation", "SharedRegion", "conjunction", "correlate", "shared"]

MOST_CLUSTERS = 5
"""Of each map so many clusters, the largest, are correlated."""

LEAST_DOF = 3
NEARLY_ONE = 1.0 - 1e-9


@dataclass(frozen=True, eq=False)
class Both:
    """Two maps at the voxels that both hold.

    Parameters
    ----------
    p
        Shape of `grid`: the larger of the two P; NaN where one map has none.
    signs
        Shape (2, X, Y, Z): signs of t in the first and the second map.
    """

    p: npt.NDArray[np.float64]
    signs: npt.NDArray[np.int8]
    grid: Grid


@dataclass(frozen=True)
class SharedRegion:
    """A region where both maps differ.

    Parameters
    ----------
    first_sign, second_sign
        1 where the first group is higher in the first or the second map, -1 where lower.
    voxels, ml
        How much of it differs in both.
    p, x_mm, y_mm, z_mm
        Least P of both and where, mm; ties go to the lowest linear index.
    """

    region: str
    code: int
    first_sign: int
    second_sign: int
    voxels: int
    ml: float
    p: Probability
    x_mm: float
    y_mm: float
    z_mm: float


@dataclass(frozen=True)
class ClusterCorrelation:
    """Correlation within groups of people's means in a cluster of either map.

    Parameters
    ----------
    first, second
        Number of the cluster in its table.
    r, low, high
        Pearson's r of what is left of group means and covariates, and its 95 % interval.
    p, p_holm
        Two-tailed, and for the number of pairs (Holm 1979).
    """

    first: int
    first_region: str
    second: int
    second_region: str
    people: int
    r: float
    low: float
    high: float
    p: Probability
    p_holm: Probability


def conjunction(first: tuple[Image, Image], second: tuple[Image, Image]) -> Both:
    """Join two maps on the grid of the first.

    Parameters
    ----------
    first, second
        Familywise P, shape (X, Y, Z) and NaN outside its mask, and t. The second map is read
        at the nearest voxel, so that no P is made by interpolation.
    """
    (p_first, t_first), (p_second, t_second) = first, second
    points = p_first.grid.centres_mm()
    read_p = sample(p_second, points.reshape(-1, 3), how="nearest", outside=np.nan)
    read_t = sample(t_second, points.reshape(-1, 3), how="nearest")
    p = np.maximum(p_first.data, np.reshape(read_p, p_first.data.shape))
    signs = np.stack([np.sign(t_first.data), np.sign(read_t).reshape(p.shape)])
    return Both(np.asarray(p, np.float64), signs.astype(np.int8), p_first.grid)


def shared(both: Both, atlas: Atlas, alpha: float) -> tuple[SharedRegion, ...]:
    """List the regions that hold voxels with P of both at most `alpha`, the largest first."""
    passing = np.argwhere(both.p <= alpha)
    if not len(passing):
        return ()
    points = apply_affine(both.grid.affine, passing)
    codes = sample(atlas.image, points, how="nearest").astype(np.int64)
    keys = np.column_stack([codes, *both.signs[:, *passing.T]])
    rows = []
    for code, first_sign, second_sign in np.unique(keys, axis=0).tolist():
        own = np.flatnonzero((keys == (code, first_sign, second_sign)).all(axis=1))
        p = both.p[tuple(passing[own].T)]
        best = points[own[int(np.argmin(p))]]
        rows.append(
            SharedRegion(
                region=region_name(code, best, atlas),
                code=code,
                first_sign=first_sign,
                second_sign=second_sign,
                voxels=len(own),
                ml=len(own) * both.grid.voxel_volume_mm3 / 1000.0,
                p=float(p.min()),
                x_mm=float(best[0]),
                y_mm=float(best[1]),
                z_mm=float(best[2]),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.voxels, row.code, row.first_sign)))


def correlate(
    first: Sequence[ClusterValue], second: Sequence[ClusterValue], covariates: int
) -> tuple[ClusterCorrelation, ...]:
    """Correlate people's adjusted values of every cluster with every one of another map.

    Group means are taken out: clusters were chosen because groups differ in them, so that over
    all people they would go together by choice alone.

    Parameters
    ----------
    covariates
        How many were taken out of the values; each costs a degree of freedom.
    """
    found = []
    for one, other in itertools.product(_clusters(first), _clusters(second)):
        a, b, groups = _left_within(one, other)
        dof = len(a) - len(set(groups)) - covariates - 1
        if dof >= LEAST_DOF and a.any() and b.any():
            found.append(_correlation(one[0], other[0], a, b, dof))
    corrected = holm([row.p for row in found]).tolist() if found else []
    return tuple(replace(row, p_holm=p) for row, p in zip(found, corrected, strict=True))


def _correlation(
    one: ClusterValue,
    other: ClusterValue,
    a: npt.NDArray[np.float64],
    b: npt.NDArray[np.float64],
    dof: int,
) -> ClusterCorrelation:
    """Pearson's r of values, shape (n,), that have lost n - 1 - dof degrees of freedom."""
    r = float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))
    p = 2.0 * float(stdtr(dof, -abs(r) * np.sqrt(dof / max(1.0 - r * r, 1e-12))))
    # Fisher's z has the standard error 1 / sqrt(n - 3), where dof is n - 2.
    half = ndtri(0.975) / np.sqrt(dof - 1)
    z = np.arctanh(np.clip(r, -NEARLY_ONE, NEARLY_ONE))
    return ClusterCorrelation(
        first=one.cluster,
        first_region=one.region,
        second=other.cluster,
        second_region=other.region,
        people=len(a),
        r=r,
        low=float(np.tanh(z - half)),
        high=float(np.tanh(z + half)),
        p=p,
        p_holm=p,
    )


def _clusters(values: Sequence[ClusterValue]) -> list[list[ClusterValue]]:
    numbers = list(dict.fromkeys(value.cluster for value in values))[:MOST_CLUSTERS]
    return [[value for value in values if value.cluster == number] for number in numbers]


def _left_within(
    first: Sequence[ClusterValue], second: Sequence[ClusterValue]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[str]]:
    """Values of the people of both, shape (n,) each, about the means of their groups."""
    other = {value.participant_id: value.adjusted for value in second}
    kept = [value for value in first if value.participant_id in other]
    groups = [value.group for value in kept]
    pair = np.array([[value.adjusted, other[value.participant_id]] for value in kept]).T
    pair = pair.reshape(2, -1)
    for group in set(groups):
        own = np.array([name == group for name in groups])
        pair[:, own] -= pair[:, own].mean(axis=1, keepdims=True)
    return pair[0], pair[1], groups
