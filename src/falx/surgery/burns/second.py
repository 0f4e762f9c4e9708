"""A second burn behind the first, where it spares tissue or reaches what one burn cannot.

Two burns on one track follow each other: the first heats from the tip, the second goes on where
it ends, with another radius. The ablation is then as wide as the signature is there.

Pairs are counted by summed-area tables (Crow 1984, Comput Graph 18(3):207).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.threads import kernel_threads
from falx.surgery.burns.single import Candidates, target_voxels
from falx.surgery.tracks.feasible import Tracks
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.kernels import ROUNDING_MM, SURFACE_MM2, to_voxel, trilinear
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = ["PairSettings", "best_pairs", "union_volume_mm3"]

PROFILE_STEP_MM = 0.05


@dataclass(frozen=True)
class PairSettings:
    """How far pairs are searched.

    Parameters
    ----------
    first_mm, second_mm
        Pull-backs to try for the burn at the tip and for the one behind it.
    tracks
        Tracks on which pairs are tried: half those of the cheapest single burn that reaches
        the rate, half those of the highest rate.
    plans
        Pairs returned, the cheapest first, one a track.
    """

    first_mm: tuple[float, ...] = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
    second_mm: tuple[float, ...] = (5.0, 10.0, 15.0, 20.0, 25.0)
    tracks: int = 400
    plans: int = 20


def best_pairs(
    scene: Scene,
    fields: Fields,
    tracks: Tracks,
    candidates: Candidates,
    limits: Limits,
    wanted: float,
    *,
    settings: PairSettings | None = None,
    threads: int = 1,
) -> list[LaserPlan]:
    """Plans of two burns that reach a rate with the least tissue outside the targets.

    Parameters
    ----------
    candidates
        The single burns, by which the tracks are chosen.
    wanted
        Ablative rate in the hippocampus that a plan must reach, 0…1.
    """
    settings = settings or PairSettings()
    rows = _promising(candidates, wanted, settings.tracks)
    if not len(rows) or len(limits.radii_mm) < 2:
        return []
    chosen = tracks.take(rows)
    points, kinds = target_voxels(scene)
    first, second = np.array(settings.first_mm), np.array(settings.second_mm)
    radii = np.array(limits.radii_mm)
    with kernel_threads(threads):
        counts = pair_counts(
            chosen.entries_mm, chosen.targets_mm, points, kinds, first, second, radii
        )
        room = pair_room(fields.space, chosen.entries_mm, chosen.targets_mm, first, second)
    room = room - limits.protect_margin_mm + ROUNDING_MM
    allowed = (radii[:, None] <= room[..., 0, None, None]) & (radii <= room[..., 1, None, None])
    allowed &= ~np.eye(len(radii), dtype=bool)
    reaches = counts[..., 0] >= wanted * np.count_nonzero(kinds & 1)
    volume = union_volume_mm3(first, second, radii)
    cost = volume - counts[..., 2] * scene.grid.voxel_volume_mm3
    cost = np.where(allowed & reaches, cost, np.inf)
    return _cheapest(cost, chosen, settings, limits)


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


def _promising(candidates: Candidates, wanted: float, number: int) -> npt.NDArray[np.intp]:
    """Tracks worth a second burn, by their best single burns."""
    if not len(candidates):
        return np.empty(0, dtype=np.intp)
    size = int(candidates.track.max()) + 1
    cost, rate = np.full(size, np.inf), np.zeros(size)
    reaching = candidates.rate >= wanted
    np.minimum.at(cost, candidates.track[reaching], candidates.outside_mm3[reaching])
    np.maximum.at(rate, candidates.track, candidates.rate)
    cheap = np.argsort(cost, kind="stable")[: number // 2]
    far = np.argsort(-rate, kind="stable")[: number - number // 2]
    return np.union1d(cheap[np.isfinite(cost[cheap])], far)


def _cheapest(
    cost: npt.NDArray[np.float64], tracks: Tracks, settings: PairSettings, limits: Limits
) -> list[LaserPlan]:
    """Build each track's cheapest pair, the cheapest tracks first."""
    flat = cost.reshape(len(cost), -1)
    best = flat.argmin(axis=1)
    least = np.round(flat[np.arange(len(flat)), best], 3)
    plans = []
    for row in np.argsort(least, kind="stable")[: settings.plans]:
        if not np.isfinite(least[row]):
            break
        a, b, r, s = np.unravel_index(int(best[row]), cost.shape[1:])
        stop = settings.first_mm[a]
        burns = (
            Burn(limits.radii_mm[r], stop),
            Burn(limits.radii_mm[s], settings.second_mm[b], stop),
        )
        track = Trajectory(tuple(tracks.entries_mm[row]), tuple(tracks.targets_mm[row]))
        plans.append(LaserPlan(track, burns))
    return plans


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
