"""A second burn behind the first, where it spares tissue or reaches what one burn cannot.

Two burns on one track follow each other: the first heats from the tip, the second goes on where
it ends, with another radius. The ablation is then as wide as the signature is there.

Pairs are counted by summed-area tables (Crow 1984, Comput Graph 18(3):207).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from falx.core.threads import kernel_threads
from falx.surgery.burns.misplaced import WALK_MM, Draws, rooms
from falx.surgery.burns.pick import picked
from falx.surgery.burns.single import target_voxels
from falx.surgery.robustness import inward_normals
from falx.surgery.tracks.feasible import Tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.kernels import ROUNDING_MM, SURFACE_MM2, to_voxel, trilinear
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = ["pair_plans", "pairs_kept", "union_volume_mm3"]

PROFILE_STEP_MM = 0.05


FIRST_MM = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
SECOND_MM = (5.0, 10.0, 15.0, 20.0, 25.0)
"""Pull-backs to try for the burn at the tip and for the one behind it."""

STOPS_MM = tuple(5.0 * n for n in range(11))
"""Where these burns end behind the tip."""


def pair_plans(
    scene: Scene,
    fields: Fields,
    tracks: Tracks,
    limits: Limits,
    draws: Draws,
    threshold: float,
    *,
    threads: int = 1,
) -> list[LaserPlan]:
    """Plans of two burns of different radii on some tracks, worth judging by many draws.

    Parameters
    ----------
    draws
        Placement errors, by which the share of kept limits is counted.
    threshold
        Ablative rate in the hippocampus about which plans are wanted, 0…1.
    """
    if not len(tracks.entries_mm) or len(limits.radii_mm) < 2:
        return []
    points, kinds = target_voxels(scene)
    first, second = np.array(FIRST_MM), np.array(SECOND_MM)
    radii = np.array(limits.radii_mm)
    with kernel_threads(threads):
        counts = pair_counts(
            tracks.entries_mm, tracks.targets_mm, points, kinds, first, second, radii
        )
        nominal = pair_room(fields.space, tracks.entries_mm, tracks.targets_mm, first, second)
        room = rooms(
            fields.space, limits.rules(WALK_MM), inward_normals(tracks.entries_mm, scene),
            tracks.entries_mm, tracks.targets_mm, draws, np.array(STOPS_MM),
        )  # fmt: skip
    nominal = nominal - limits.protect_margin_mm + ROUNDING_MM
    allowed = (radii[:, None] <= nominal[..., 0, None, None]) & (
        radii <= nominal[..., 1, None, None]
    )
    allowed &= ~np.eye(len(radii), dtype=bool)
    rate = counts[..., 0] / np.count_nonzero(kinds & 1)
    cost = union_volume_mm3(first, second, radii)
    cost = cost - counts[..., 2] * scene.grid.voxel_volume_mm3
    kept = pairs_kept(room, radii, draws.radii, limits.protect_margin_mm)
    where = np.nonzero(allowed & (rate > 0))
    rows = picked(where[0], rate[where], kept[where], cost[where], threshold)
    return [_plan(tracks, limits, *(int(axis[row]) for axis in where)) for row in rows]


def pairs_kept(
    room: npt.NDArray[np.float32],
    radii_mm: npt.NDArray[np.float64],
    errors_mm: npt.NDArray[np.float64],
    margin_mm: float,
) -> npt.NDArray[np.float64]:
    """Share of draws in which both burns of a pair keep the protected margin.

    Parameters
    ----------
    room
        From :func:`falx.surgery.burns.misplaced.rooms` at :data:`STOPS_MM`, shape (N, D, S).
    errors_mm
        Errors of the radius of each burn, shape (D, 2 or more).

    Returns
    -------
    ndarray
        Shape (N, first, second, radius of the first, radius of the second).
    """
    ends = [STOPS_MM.index(stop) for stop in FIRST_MM]
    lengths = [STOPS_MM.index(stop) for stop in SECOND_MM]
    reach = [
        np.maximum(radii_mm + errors_mm[:, n, None], 0.0) + margin_mm - ROUNDING_MM
        for n in range(2)
    ]
    shape = (len(room), len(ends), len(lengths), len(radii_mm), len(radii_mm))
    kept = np.empty(shape)
    for a, end in enumerate(ends):
        front = (room[:, :, : end + 1].min(axis=2)[..., None] >= reach[0]).astype(np.float32)
        for b, length in enumerate(lengths):
            first = end + 1 if end else 0
            behind = room[:, :, first : end + length + 1].min(axis=2)
            back = (behind[..., None] >= reach[1]).astype(np.float32)
            kept[:, a, b] = np.matmul(front.swapaxes(1, 2), back)
    return np.asarray(kept / room.shape[1])


def _plan(tracks: Tracks, limits: Limits, row: int, a: int, b: int, r: int, s: int) -> LaserPlan:
    stop = FIRST_MM[a]
    burns = (Burn(limits.radii_mm[r], stop), Burn(limits.radii_mm[s], SECOND_MM[b], stop))
    track = Trajectory(tuple(tracks.entries_mm[row]), tuple(tracks.targets_mm[row]))
    return LaserPlan(track, burns)


def union_volume_mm3(
    first_mm: npt.NDArray[np.float64],
    second_mm: npt.NDArray[np.float64],
    radii_mm: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Volume of two burns on one axis, by slices across it.

    Returns
    -------
    ndarray
        Shape (first, second, radius of the first, radius of the second), mm³.
    """
    widest = radii_mm.max()
    along = np.arange(-widest, first_mm.max() + second_mm.max() + widest, PROFILE_STEP_MM)
    along = along + PROFILE_STEP_MM / 2
    out = np.empty((len(first_mm), len(second_mm), len(radii_mm), len(radii_mm)))
    for a, stop in enumerate(first_mm):
        for b, more in enumerate(second_mm):
            front = _across2(along, 0.0, stop, radii_mm)
            back = _across2(along, stop, stop + more, radii_mm)
            wide = np.maximum(front[:, None], back[None])
            out[a, b] = np.pi * wide.sum(axis=-1) * PROFILE_STEP_MM
    return out


def _across2(
    along: npt.NDArray[np.float64], low: float, high: float, radii: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Squared radius of capsules across their axis, shape (radii, places), mm²."""
    beyond = along - np.clip(along, low, high)
    return np.asarray(np.maximum(radii[:, None] ** 2 - beyond**2, 0.0))


@numba.njit(parallel=True, cache=True, nogil=True)
def pair_counts(entries, targets, points, kinds, first, second, radii):  # type: ignore[no-untyped-def]
    """How many points of each kind every pair of burns heats.

    A point is missed by a pair if both its radii are smaller than the least that reach it; a
    table of these least radii, summed from its far corner, counts all pairs at once.

    Returns
    -------
    ndarray
        int32 (tracks, first, second, radius, radius, 3).
    """
    sizes = radii.shape[0]
    shape = (entries.shape[0], first.shape[0], second.shape[0], sizes, sizes, 3)
    out = np.zeros(shape, np.int32)
    widest2 = radii[sizes - 1] * radii[sizes - 1] + SURFACE_MM2
    for n in numba.prange(entries.shape[0]):
        span = targets[n] - entries[n]
        way = span / np.sqrt(np.sum(span * span))
        missed = np.zeros((first.shape[0], second.shape[0], sizes + 1, sizes + 1, 3), np.int32)
        total = np.zeros(3, np.int32)
        for p in range(points.shape[0]):
            away = targets[n] - points[p]
            along = np.sum(away * way)
            across2 = np.sum(away * away) - along * along
            for k in range(3):
                total[k] += (kinds[p] >> k) & 1
            for a in range(first.shape[0]):
                r = _least(along, across2, 0.0, first[a], radii, widest2)
                for b in range(second.shape[0]):
                    s = _least(along, across2, first[a], first[a] + second[b], radii, widest2)
                    for k in range(3):
                        missed[a, b, r, s, k] += (kinds[p] >> k) & 1
        for a in range(first.shape[0]):
            for b in range(second.shape[0]):
                for r in range(sizes - 1, -1, -1):
                    for s in range(sizes - 1, -1, -1):
                        for k in range(3):
                            beyond = np.sum(missed[a, b, r + 1 :, s + 1 :, k])
                            out[n, a, b, r, s, k] = total[k] - beyond
    return out


@numba.njit(cache=True, nogil=True, inline="always")
def _least(along, across2, low, high, radii, widest2):  # type: ignore[no-untyped-def]
    """Index of the least radius with which a burn reaches a point; their number if none does."""
    beyond = along - min(max(along, low), high)
    distance2 = across2 + beyond * beyond
    if distance2 > widest2:
        return radii.shape[0]
    r = 0
    while distance2 > radii[r] * radii[r] + SURFACE_MM2:
        r += 1
    return r


@numba.njit(parallel=True, cache=True, nogil=True)
def pair_room(space, entries, targets, first, second):  # type: ignore[no-untyped-def]
    """Distance from the axis of each burn of each pair to protected tissue, mm.

    Returns
    -------
    ndarray
        Shape (tracks, first, second, 2).
    """
    step = 0.25
    out = np.empty((entries.shape[0], first.shape[0], second.shape[0], 2))
    for n in numba.prange(entries.shape[0]):
        span = entries[n] - targets[n]
        length = np.sqrt(np.sum(span * span))
        tip = to_voxel(space.affine, targets[n])
        back = (to_voxel(space.affine, entries[n]) - tip) / length
        for a in range(first.shape[0]):
            for b in range(second.shape[0]):
                for part in range(2):
                    low = first[a] * part
                    high = first[a] + second[b] * part
                    least = np.inf
                    for m in range(int(np.ceil((high - low) / step - 1e-9)) + 1):
                        t = min(low + m * step, high)
                        x, y, z = tip[0] + t * back[0], tip[1] + t * back[1], tip[2] + t * back[2]
                        least = min(least, trilinear(space.protected, x, y, z))
                    out[n, a, b, part] = least
    return out
