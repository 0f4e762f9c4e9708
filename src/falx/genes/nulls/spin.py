"""Spin tests: the map is moved by random rotations of the cortical sphere.

Three ways to give each region a rotated value: ``nearest`` (Alexander-Bloch 2018; values can
repeat), ``vasa`` (Váša 2018; hardest region first) and ``hungarian`` (Markello and Misic 2021;
least total distance). The last two are permutations. A spin is defined for cortex only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option
from falx.core.grid import Side
from falx.genes.nulls.assignment import least_total_cost

__all__ = [
    "SPIN_METHODS",
    "SpinMethod",
    "centroid_points",
    "parcel_points",
    "random_rotations",
    "spin_assignments",
]

Array = npt.NDArray[np.float64]
SpinMethod = Literal["nearest", "vasa", "hungarian"]
SPIN_METHODS: tuple[SpinMethod, ...] = ("nearest", "vasa", "hungarian")
MIRROR = np.diag([-1.0, 1.0, 1.0])


def random_rotations(n: int, rng: np.random.Generator) -> Array:
    """Rotations drawn evenly from all rotations, shape (n, 3, 3), determinant +1."""
    Q, R = np.linalg.qr(rng.standard_normal((n, 3, 3)))
    Q = Q * np.sign(np.diagonal(R, axis1=1, axis2=2))[:, None, :]
    Q[np.linalg.det(Q) < 0, :, 0] *= -1.0
    return np.asarray(Q)


def parcel_points(vertices: npt.ArrayLike, labels: npt.ArrayLike, regions: Sequence[int]) -> Array:
    """Mean position of each region's vertices, projected to the sphere; shape (n, 3).

    Raises
    ------
    InputError
        If a region has no vertex.
    """
    points = np.asarray(vertices, dtype=np.float64)
    of_vertex = np.asarray(labels)
    out = np.empty((len(regions), 3))
    for row, region in enumerate(regions):
        inside = of_vertex == region
        if not inside.any():
            raise InputError(
                "a region has no vertex on the surface",
                found=f"label {region}",
                do="use the surface file of the same atlas",
            )
        out[row] = points[inside].mean(axis=0)
    return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))


def centroid_points(
    centroids_mm: npt.ArrayLike, blocks: Sequence[str], sides: Sequence[Side | None]
) -> Array:
    """Project cortical regions to a sphere by their direction from their hemisphere's centroid.

    A stand-in for :func:`parcel_points` where an atlas has no surface. It looks through the
    folds: distances along the cortex are not kept.

    Parameters
    ----------
    centroids_mm
        RAS+ mm, shape (n, 3).
    blocks, sides
        Of each region; regions that are not ``cortex``, or have no side, get NaN.

    Returns
    -------
    array
        Unit vectors, shape (n, 3). A hemisphere's centroid is the mean of its regions' centroids.
    """
    xyz = np.asarray(centroids_mm, dtype=np.float64)
    cortical = np.array([block == "cortex" for block in blocks]) & np.isfinite(xyz).all(axis=1)
    out = np.full(xyz.shape, np.nan)
    for side in ("left", "right"):
        rows = np.flatnonzero(cortical & np.array([s == side for s in sides]))
        if len(rows) > 1:
            away = xyz[rows] - xyz[rows].mean(axis=0)
            length = np.linalg.norm(away, axis=1, keepdims=True)
            # A region in the very middle has no direction.
            out[rows] = np.where(length > 0, away / np.where(length > 0, length, 1.0), np.nan)
    return out


@numba.njit(cache=True)
def _vasa(distance: Array) -> npt.NDArray[np.int64]:  # pragma: no cover - compiled
    """Repeatedly assign the region whose nearest free value is farthest away."""
    n = distance.shape[0]
    taken = np.zeros(n, np.bool_)
    done = np.zeros(n, np.bool_)
    nearest = np.empty(n, np.int64)
    for i in range(n):
        nearest[i] = np.argmin(distance[i])
    out = np.empty(n, np.int64)
    for _ in range(n):
        pick, farthest = -1, -1.0
        for i in range(n):
            if done[i]:
                continue
            if taken[nearest[i]]:
                least = np.inf
                for j in range(n):
                    if not taken[j] and distance[i, j] < least:
                        least = distance[i, j]
                        nearest[i] = j
            if distance[i, nearest[i]] > farthest:
                farthest = distance[i, nearest[i]]
                pick = i
        out[pick] = nearest[pick]
        taken[nearest[pick]] = True
        done[pick] = True
    return out


def _assign(points: Array, rotated: Array, method: SpinMethod) -> npt.NDArray[np.intp]:
    # On the unit sphere |a - b|² = 2 - 2 a·b.
    distance = np.sqrt(np.clip(2.0 - 2.0 * points @ rotated.T, 0.0, None))
    if method == "nearest":
        return np.asarray(np.argmin(distance, axis=1))
    if method == "vasa":
        return np.asarray(_vasa(distance), dtype=np.intp)
    return np.asarray(least_total_cost(distance), dtype=np.intp)


def spin_assignments(
    points: npt.ArrayLike,
    sides: Sequence[Side],
    n_spins: int,
    rng: np.random.Generator,
    *,
    method: SpinMethod = "hungarian",
) -> npt.NDArray[np.intp]:
    """Which region's value each region gets under each rotation, shape (n_spins, n).

    Left regions turn by T, right regions by ITI with I = diag(-1, 1, 1), so that mirror
    regions stay mirror regions. Rotations that leave every region in place are drawn again.

    Parameters
    ----------
    points
        Positions on each hemisphere's own sphere (from :func:`parcel_points`), shape (n, 3).
    sides
        Side of each region.
    """
    check_option("spin method", method, SPIN_METHODS)
    xyz = np.asarray(points, dtype=np.float64)
    length = np.linalg.norm(xyz, axis=1, keepdims=True)
    if not (np.isfinite(length) & (length > 0)).all():
        raise InputError("a region has no place on the sphere", do="leave it out of the spin")
    xyz = xyz / length
    members = [np.flatnonzero(np.array(sides) == side) for side in ("left", "right")]
    if sum(map(len, members)) != len(xyz):
        raise InputError("every spun region needs a side", do="leave midline regions out")
    out = np.tile(np.arange(len(xyz)), (n_spins, 1))
    pending = np.arange(n_spins)
    while len(pending):
        turns = random_rotations(len(pending), rng)
        for row, T in zip(pending, turns, strict=True):
            for rotation, member in zip((T, MIRROR @ T @ MIRROR), members, strict=True):
                if len(member):
                    here = xyz[member]
                    out[row, member] = member[_assign(here, here @ rotation.T, method)]
        pending = pending[(out[pending] == np.arange(len(xyz))).all(axis=1)]
    return out
