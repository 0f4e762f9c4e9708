"""Compiled counting of misplaced plans: what they reach, which limits they break.

A plan falls beside its place by six errors. With entry E, unit direction d to the target and
length L, the misplaced entry is ``E' = E + P a``, P the projection across the track and a the
miss of the entry; its direction is that of ``d + P b``, b the tangent of the error of angle; its
length is ``L + c``, c the error of depth. The brain has moved by s in the skull, so that in the
brain the track runs from ``E' + s`` to ``E' + s + (L + c) d'``; skull and sinuses stay. Every
burn's radius is off by an amount of its own.

All plans of a search meet the same draws (common random numbers: Kleywegt, Shapiro &
Homem-de-Mello 2002, SIAM J Optim 12:479), so that they differ by where they lie, not by luck.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from falx.core.grid import Side
from falx.core.threads import CHUNKS
from falx.surgery.tracks.kernels import (
    ROUNDING_MM,
    SURFACE_MM2,
    clear_walk,
    to_voxel,
    trilinear,
)
from falx.surgery.tracks.limits import MOST_BURNS, Placement

__all__ = ["BITS", "TOUCHED", "Draws", "draw", "judged", "outside_mm3", "rooms", "singles_kept"]

CATHETER_RADIUS_MM = 0.825
"""Half of the 1.65 mm of the laser catheter."""

WALK_MM = 0.5
"""Step at which misplaced tracks are walked; twice that of the plan, for there are many."""

HOPELESS_AT, LOOKED_AT = 6, 16
"""Draws after which a track may be given up that kept the limits in none, and in too few of them;
its smallest burn keeps them most often."""

SLICE_MM = 0.25
"""Thickness of the slices across the track whose volumes are summed."""

BITS = {"length": 1, "angle": 2, "clearance": 4, "protected": 8, "sinus": 16}
"""Which limits a misplaced plan breaks, as bits of its code."""

TOUCHED = 32
"""The bit of a plan whose catheter touches an obstacle, or that heats a protected voxel."""

LENGTH, ANGLE, CLEARANCE, PROTECTED, SINUS = BITS.values()


class Draws(NamedTuple):
    """Errors of placement, one row each.

    Parameters
    ----------
    ends
        Shape (D, 10): miss of the entry (x, y, z), mm; tangent of the error of angle (x, y, z);
        error of depth, mm; shift of the brain (x, y, z), mm.
    radii
        Shape (D, MOST_BURNS): error of the radius of each burn, mm; a plan of more burns begins
        again with the first.
    """

    ends: npt.NDArray[np.float64]
    radii: npt.NDArray[np.float64]

    def first(self, number: int) -> Draws:
        """Return the first draws only."""
        return Draws(self.ends[:number], self.radii[:number])

    def scaled(self, factor: float) -> Draws:
        """Return the same draws with ends missed by so many times as much."""
        return Draws(self.ends * factor, self.radii)


def draw(placement: Placement, number: int, rng: np.random.Generator, side: Side) -> Draws:
    """Draw errors of placement; those of the right are the mirror image of those of the left."""
    tangent = np.tan(np.radians(placement.angle_sd_deg))
    sd = [placement.entry_sd_mm] * 3 + [tangent] * 3
    sd += [placement.depth_sd_mm] + [placement.shift_sd_mm] * 3
    ends = rng.normal(size=(number, 10)) * np.array(sd)
    radii = rng.uniform(-1.0, 1.0, (number, MOST_BURNS)) * placement.radius_range_mm
    if side == "right":
        ends[:, [0, 3, 7]] *= -1.0
    return Draws(ends, radii)


@numba.njit(cache=True, nogil=True, inline="always")
def _misplaced(entry, target, ends, place):  # type: ignore[no-untyped-def]
    """Fill `place` with entry on the skull, start and stop in the brain, direction; the length."""
    dx, dy, dz = target[0] - entry[0], target[1] - entry[1], target[2] - entry[2]
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx / length, dy / length, dz / length
    miss = ends[0] * dx + ends[1] * dy + ends[2] * dz
    tilt = ends[3] * dx + ends[4] * dy + ends[5] * dz
    wx, wy, wz = dx + ends[3] - tilt * dx, dy + ends[4] - tilt * dy, dz + ends[5] - tilt * dz
    size = np.sqrt(wx * wx + wy * wy + wz * wz)
    length = max(length + ends[6], 1.0)
    place[3, 0], place[3, 1], place[3, 2] = wx / size, wy / size, wz / size
    place[0, 0] = entry[0] + ends[0] - miss * dx
    place[0, 1] = entry[1] + ends[1] - miss * dy
    place[0, 2] = entry[2] + ends[2] - miss * dz
    for a in range(3):
        place[1, a] = place[0, a] + ends[7 + a]
        place[2, a] = place[1, a] + length * place[3, a]
    return length


@numba.njit(cache=True, nogil=True, inline="always")
def _track_code(space, rules, inward, place, start, stop, length):  # type: ignore[no-untyped-def]
    """Which limits of the track, all but the heat's, a misplaced one breaks."""
    code = 0
    if length > rules.max_length + ROUNDING_MM:
        code |= LENGTH
    cosine = place[3, 0] * inward[0] + place[3, 1] * inward[1] + place[3, 2] * inward[2]
    if cosine < rules.min_cosine - 1e-9:
        code |= ANGLE
    at = to_voxel(space.affine, place[0])
    if trilinear(space.sinus, at[0], at[1], at[2]) < rules.min_sinus - ROUNDING_MM:
        code |= SINUS
    if not clear_walk(space, start, stop, length, rules.min_clearance, rules.step):
        code |= CLEARANCE
    return code


@numba.njit(cache=True, nogil=True, inline="always")
def _room(space, start, stop, length, low, high, step):  # type: ignore[no-untyped-def]
    """Least distance to a protected voxel between two places behind the tip, mm."""
    steps = int(np.ceil((high - low) / step - 1e-9))
    least = np.inf
    for s in range(steps + 1):
        f = min(low + s * step, high) / length
        x = stop[0] + f * (start[0] - stop[0])
        y = stop[1] + f * (start[1] - stop[1])
        z = stop[2] + f * (start[2] - stop[2])
        least = min(least, trilinear(space.protected, x, y, z))
    return least


@numba.njit(cache=True, nogil=True, inline="always")
def _heated(x, y, z, target, way, burns, radii, hit):  # type: ignore[no-untyped-def]
    """How many points any of the burns heats; coordinates apart, so that they go in vectors."""
    count = 0
    for k in range(burns.shape[0]):
        low, high, reach = burns[k, 0], burns[k, 1], radii[k] * radii[k] + SURFACE_MM2
        for p in range(x.shape[0]):
            a, b, c = target[0] - x[p], target[1] - y[p], target[2] - z[p]
            along = a * way[0] + b * way[1] + c * way[2]
            across2 = a * a + b * b + c * c - along * along
            beyond = along - (low if along < low else (min(along, high)))
            inside = np.uint8(across2 + beyond * beyond <= reach)
            hit[p] = inside if k == 0 else hit[p] | inside
    for p in range(x.shape[0]):
        count += hit[p]
    return count


@numba.njit(parallel=True, cache=True, nogil=True)
def judged(space, rules, inward, entry, target, burns, draws, points):  # type: ignore[no-untyped-def]
    """Coverage and broken limits of misplaced copies of one plan.

    Parameters
    ----------
    inward
        Inward normal at the planned entry, shape (3,).
    entry, target
        Planned ends, shape (3,), mm.
    burns
        Shape (B, 3): tip offset, far end and radius of each burn, mm.
    draws
        :class:`Draws` of D rows.
    points
        Shape (P, 3): signature in the hippocampus, mm.

    Returns
    -------
    tuple
        Heated points, int64 (D,), and codes of :data:`BITS` and :data:`TOUCHED`, uint8 (D,).
    """
    number, sizes = draws.ends.shape[0], burns.shape[0]
    heated = np.zeros(number, np.int64)
    codes = np.zeros(number, np.uint8)
    px, py, pz = points[:, 0].copy(), points[:, 1].copy(), points[:, 2].copy()
    for part in numba.prange(CHUNKS):
        place, radii, hit = np.empty((4, 3)), np.empty(sizes), np.empty(px.shape[0], np.uint8)
        for n in range(part * number // CHUNKS, (part + 1) * number // CHUNKS):
            length = _misplaced(entry, target, draws.ends[n], place)
            start, stop = to_voxel(space.affine, place[1]), to_voxel(space.affine, place[2])
            code = _track_code(space, rules, inward, place, start, stop, length)
            gap = np.inf
            for k in range(sizes):
                radii[k] = max(burns[k, 2] + draws.radii[n, k % draws.radii.shape[1]], 0.0)
                room = _room(space, start, stop, length, burns[k, 0], burns[k, 1], rules.step)
                gap = min(gap, room - radii[k])
            if gap < rules.protect_margin - ROUNDING_MM:
                code |= PROTECTED
            near = code & CLEARANCE or rules.min_clearance < CATHETER_RADIUS_MM
            if gap < 0.0 or (
                near and not clear_walk(space, start, stop, length, CATHETER_RADIUS_MM, rules.step)
            ):
                code |= TOUCHED
            codes[n] = code
            heated[n] = _heated(px, py, pz, place[2], place[3], burns, radii, hit)
    return heated, codes


@numba.njit(parallel=True, cache=True, nogil=True)
def outside_mm3(entry, target, burns, draws, points, voxel_mm3):  # type: ignore[no-untyped-def]
    """Volume that misplaced copies of a plan heat outside the targets, shape (D,), mm³.

    The union of the burns, by slices across the track, less the heated voxels of `points`,
    shape (P, 3): those of hippocampus and amygdala.
    """
    number, sizes = draws.ends.shape[0], burns.shape[0]
    out = np.empty(number)
    px, py, pz = points[:, 0].copy(), points[:, 1].copy(), points[:, 2].copy()
    for n in numba.prange(number):
        place, radii, hit = np.empty((4, 3)), np.empty(sizes), np.empty(px.shape[0], np.uint8)
        _misplaced(entry, target, draws.ends[n], place)
        low, high = np.inf, -np.inf
        for k in range(sizes):
            radii[k] = max(burns[k, 2] + draws.radii[n, k % draws.radii.shape[1]], 0.0)
            low = min(low, burns[k, 0] - radii[k])
            high = max(high, burns[k, 1] + radii[k])
        slices = int(np.ceil((high - low) / SLICE_MM))
        step = (high - low) / slices
        wide = 0.0
        for s in range(slices):
            along, most = low + (s + 0.5) * step, 0.0
            for k in range(sizes):
                beyond = along - min(max(along, burns[k, 0]), burns[k, 1])
                most = max(most, radii[k] * radii[k] - beyond * beyond)
            wide += most
        inside = _heated(px, py, pz, place[2], place[3], burns, radii, hit)
        out[n] = np.pi * wide * step - inside * voxel_mm3
    return out


@numba.njit(parallel=True, cache=True, nogil=True)
def singles_kept(space, rules, inward, entries, targets, draws, pull_backs, radii, least):  # type: ignore[no-untyped-def]
    """How many draws keep every limit, for every single burn at the tip of every track.

    Parameters
    ----------
    inward, entries, targets
        One row per track, shape (N, 3).
    pull_backs, radii
        Ascending, shapes (B,) and (R,), mm.
    least
        Share of the first :data:`LOOKED_AT` draws below which a track is given up; it counts
        nothing then.

    Returns
    -------
    ndarray
        int32 (N, B, R).
    """
    out = np.zeros((entries.shape[0], pull_backs.shape[0], radii.shape[0]), np.int32)
    for n in numba.prange(entries.shape[0]):
        place = np.empty((4, 3))
        for d in range(draws.ends.shape[0]):
            kept = out[n, 0, 0]
            if (d == HOPELESS_AT and kept == 0 and least > 0.0) or (
                d == LOOKED_AT and kept < least * LOOKED_AT
            ):
                out[n] = 0
                break
            length = _misplaced(entries[n], targets[n], draws.ends[d], place)
            start, stop = to_voxel(space.affine, place[1]), to_voxel(space.affine, place[2])
            if _track_code(space, rules, inward[n], place, start, stop, length):
                continue
            room, done = np.inf, 0.0
            for b in range(pull_backs.shape[0]):
                room = min(
                    room, _room(space, start, stop, length, done, pull_backs[b], rules.step)
                )
                done = pull_backs[b]
                for r in range(radii.shape[0]):
                    radius = max(radii[r] + draws.radii[d, 0], 0.0)
                    if room - radius < rules.protect_margin - ROUNDING_MM:
                        break
                    out[n, b, r] += 1
    return out


@numba.njit(parallel=True, cache=True, nogil=True)
def rooms(space, rules, inward, entries, targets, draws, stops):  # type: ignore[no-untyped-def]
    """Distance from each piece of misplaced tracks to protected tissue.

    Parameters
    ----------
    inward, entries, targets
        One row per track, shape (N, 3).
    stops
        Ends of the pieces behind the tip, ascending from 0, shape (S,), mm.

    Returns
    -------
    ndarray
        float32 (N, D, S), mm: at the tip, then between each stop and the one before; minus
        infinity where the track itself breaks a limit.
    """
    shape = (entries.shape[0], draws.ends.shape[0], stops.shape[0])
    out = np.full(shape, -np.inf, np.float32)
    for n in numba.prange(entries.shape[0]):
        place = np.empty((4, 3))
        for d in range(draws.ends.shape[0]):
            length = _misplaced(entries[n], targets[n], draws.ends[d], place)
            start, stop = to_voxel(space.affine, place[1]), to_voxel(space.affine, place[2])
            if _track_code(space, rules, inward[n], place, start, stop, length):
                continue
            low = 0.0
            for s in range(stops.shape[0]):
                out[n, d, s] = _room(space, start, stop, length, low, stops[s], rules.step)
                low = stops[s]
    return out
