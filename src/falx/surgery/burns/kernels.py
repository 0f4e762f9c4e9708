"""Compiled counting of the planner: points in burns, the Pareto front.

Every kernel gives the same numbers for every number of threads. The front of three goals is swept
as in Kung, Luccio & Preparata 1975, J ACM 22:469.
"""

from __future__ import annotations

import numba
import numpy as np

from falx.surgery.tracks.kernels import SURFACE_MM2

__all__ = ["burn_counts", "pareto_keep"]


@numba.njit(cache=True, nogil=True, inline="always")
def _first_radius(distance2, radii, sizes):  # type: ignore[no-untyped-def]
    """Index of the smallest radius that reaches a squared distance; `sizes` if none does."""
    r = 0
    while r < sizes and distance2 > radii[r] * radii[r] + SURFACE_MM2:
        r += 1
    return r


@numba.njit(parallel=True, cache=True, nogil=True)
def burn_counts(entries, targets, heat_limit, points, kinds, pull_backs, radii):  # type: ignore[no-untyped-def]
    """How many points of each kind every allowed single burn at the tip would heat.

    One pass over the points serves all pull-backs and radii of a track: the distance of a
    point from the pulled-back axis decides from which radius on it is heated.

    Parameters
    ----------
    entries, targets
        One row per track, shape (N, 3), mm.
    heat_limit
        Largest radius for each pull-back, shape (N, B), mm; burns beyond it count nothing.
    points, kinds
        Shape (P, 3), mm, and bit fields, shape (P,): bit k set counts the point as kind k.
    pull_backs, radii
        Ascending, shapes (B,) and (R,), mm.

    Returns
    -------
    ndarray
        int32 (N, B, R, 3).
    """
    out = np.zeros((entries.shape[0], pull_backs.shape[0], radii.shape[0], 3), np.int32)
    for n in numba.prange(entries.shape[0]):
        lengths = np.sum(heat_limit[n] >= radii[0])
        if lengths == 0:
            continue
        sizes = np.sum(radii <= heat_limit[n, 0])
        widest, longest = radii[sizes - 1], pull_backs[lengths - 1]
        span = targets[n] - entries[n]
        length = np.sqrt(np.sum(span * span))
        dx, dy, dz = span[0] / length, span[1] / length, span[2] / length
        for p in range(points.shape[0]):
            x = targets[n, 0] - points[p, 0]
            y = targets[n, 1] - points[p, 1]
            z = targets[n, 2] - points[p, 2]
            along = x * dx + y * dy + z * dz
            across2 = x * x + y * y + z * z - along * along
            far = widest + SURFACE_MM2
            if along < -far or along > longest + far or across2 > widest * widest + SURFACE_MM2:
                continue
            for b in range(lengths):
                beyond = along - min(max(along, 0.0), pull_backs[b])
                r = _first_radius(across2 + beyond * beyond, radii, sizes)
                if r < sizes:
                    for k in range(3):
                        out[n, b, r, k] += (kinds[p] >> k) & 1
        for r in range(1, sizes):
            out[n, :, r] += out[n, :, r - 1]
    return out


@numba.njit(cache=True, nogil=True)
def pareto_keep(gain, cost, risk):  # type: ignore[no-untyped-def]
    """Which rows, sorted by falling gain, then rising cost, then rising risk, are not dominated.

    A row is dominated if another has at least its gain, at most its cost and at most its
    risk. The front is kept as a staircase of rising cost and falling risk.
    """
    keep = np.zeros(gain.shape[0], np.bool_)
    stair_cost = np.empty(gain.shape[0])
    stair_risk = np.empty(gain.shape[0])
    size = 0
    for n in range(gain.shape[0]):
        place = np.searchsorted(stair_cost[:size], cost[n], side="right")
        if place > 0 and stair_risk[place - 1] <= risk[n]:
            continue
        keep[n] = True
        stop = place
        while stop < size and stair_risk[stop] >= risk[n]:
            stop += 1
        tail = size - stop
        moved_cost, moved_risk = stair_cost[stop:size].copy(), stair_risk[stop:size].copy()
        stair_cost[place], stair_risk[place] = cost[n], risk[n]
        stair_cost[place + 1 : place + 1 + tail] = moved_cost
        stair_risk[place + 1 : place + 1 + tail] = moved_risk
        size = place + 1 + tail
    return keep
