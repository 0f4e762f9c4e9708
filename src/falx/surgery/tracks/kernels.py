"""Compiled walks of the planner along straight tracks through distance fields.

Every kernel gives the same numbers for every number of threads. Tracks are walked in voxel
coordinates; lengths are in mm. The risk is an integral after Sparks et al. 2017, Int J Comput
Assist Radiol Surg 12:123; see :func:`track_profiles`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

__all__ = [
    "ANGLE",
    "CLEARANCE",
    "FEASIBLE",
    "LENGTH",
    "ROUNDING_MM",
    "SURFACE_MM2",
    "Rules",
    "Space",
    "check_tracks",
    "clear_walk",
    "heat_limits",
    "to_voxel",
    "track_profiles",
    "trilinear",
]

FEASIBLE, LENGTH, ANGLE, CLEARANCE = 0, 1, 2, 3
"""Why a pair of entry and target was removed."""


ROUNDING_MM = 1e-3
"""What must not decide about a plan: places are held to this, and many lie exactly on a limit,
for limits and voxels are round numbers."""

STEEPEST = 3.0**0.5 + 1e-6
"""Most that a trilinear distance changes along a mm: one for each axis, together √3."""

SURFACE_MM2 = 1e-6
"""Added to squared radii, so that a voxel centre on the surface of a burn is heated however
its distance is rounded; a voxel lattice has many such centres."""


class Space(NamedTuple):
    """What a track passes through, as compiled code takes it.

    Parameters
    ----------
    clearance, protected
        float32 (X, Y, Z): distance to the nearest obstacle and protected voxel, mm.
    exempt
        bool (X, Y, Z): where the clearance rule does not hold.
    affine
        4×4, world mm to voxels.
    sinus
        float32: distance to the nearest dural sinus, mm, in the same shape; two voxels along
        each axis that say "far" where no sinus is known.
    """

    clearance: npt.NDArray[np.float32]
    protected: npt.NDArray[np.float32]
    exempt: npt.NDArray[np.bool_]
    affine: npt.NDArray[np.float64]
    sinus: npt.NDArray[np.float32]


class Rules(NamedTuple):
    """The limits of a plan, as compiled code takes them; lengths in mm."""

    max_length: float
    min_cosine: float
    min_clearance: float
    protect_margin: float
    risk_far: float
    step: float
    min_sinus: float


@numba.njit(cache=True, nogil=True, inline="always")
def trilinear(field, x, y, z):  # type: ignore[no-untyped-def]
    """Value of a field between voxel centres; beyond the border the nearest value holds.

    ``f(i + u, j + v, k + w)`` is linear in each of u, v, w: the eight corners of the cell
    weighted by u or 1 - u, v or 1 - v, w or 1 - w.
    """
    nx, ny, nz = field.shape
    x = min(max(x, 0.0), nx - 1.000001)
    y = min(max(y, 0.0), ny - 1.000001)
    z = min(max(z, 0.0), nz - 1.000001)
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    a = field[i, j, k] * (1.0 - w) + field[i, j, k + 1] * w
    b = field[i, j + 1, k] * (1.0 - w) + field[i, j + 1, k + 1] * w
    c = field[i + 1, j, k] * (1.0 - w) + field[i + 1, j, k + 1] * w
    d = field[i + 1, j + 1, k] * (1.0 - w) + field[i + 1, j + 1, k + 1] * w
    return (a * (1.0 - v) + b * v) * (1.0 - u) + (c * (1.0 - v) + d * v) * u


@numba.njit(cache=True, nogil=True, inline="always")
def nearest(field, x, y, z):  # type: ignore[no-untyped-def]
    """Value of the nearest voxel; beyond the border the border's."""
    nx, ny, nz = field.shape
    i = min(max(int(np.floor(x + 0.5)), 0), nx - 1)
    j = min(max(int(np.floor(y + 0.5)), 0), ny - 1)
    k = min(max(int(np.floor(z + 0.5)), 0), nz - 1)
    return field[i, j, k]


@numba.njit(cache=True, nogil=True, inline="always")
def to_voxel(affine, point):  # type: ignore[no-untyped-def]
    """Voxel coordinates of a world point, shape (3,)."""
    out = np.empty(3)
    for a in range(3):
        out[a] = (
            affine[a, 0] * point[0]
            + affine[a, 1] * point[1]
            + affine[a, 2] * point[2]
            + affine[a, 3]
        )
    return out


@numba.njit(cache=True, nogil=True, inline="always")
def _screened(screen, floor, start, stop, length):  # type: ignore[no-untyped-def]
    """Whether a coarse walk meets no voxel below `floor`, a byte in tenths of mm."""
    steps = int(length)
    dx = (stop[0] - start[0]) / steps
    dy = (stop[1] - start[1]) / steps
    dz = (stop[2] - start[2]) / steps
    x, y, z = start[0] + 0.5, start[1] + 0.5, start[2] + 0.5
    for _ in range(steps):
        if screen[int(x), int(y), int(z)] < floor:
            return False
        x += dx
        y += dy
        z += dz
    return True


@numba.njit(cache=True, nogil=True, inline="always")
def clear_walk(space, start, stop, length, least, step):  # type: ignore[no-untyped-def]
    """Whether a fine walk stays `least` mm away from every obstacle.

    Between voxel centres a distance changes by at most √3 mm a mm, so steps that cannot fail
    are left out. A track exactly on the limit is kept.
    """
    steps = int(np.ceil(length / step))
    least, skip = least - ROUNDING_MM, 1.0 / (STEEPEST * step)
    n = 0
    while n <= steps:
        f = n / steps
        x = start[0] + f * (stop[0] - start[0])
        y = start[1] + f * (stop[1] - start[1])
        z = start[2] + f * (stop[2] - start[2])
        room = trilinear(space.clearance, x, y, z) - least
        if room < 0.0 and not nearest(space.exempt, x, y, z):
            return False
        n += max(1, int(room * skip))
    return True


@numba.njit(parallel=True, cache=True, nogil=True)
def check_tracks(space, screen, floor, entries, inward, targets, rules):  # type: ignore[no-untyped-def]
    """Why each pair of entry and target is not feasible.

    Parameters
    ----------
    screen, floor
        The clearance as a byte in tenths of mm, and a floor so low that the coarse walk
        removes no pair that the fine walk would keep.
    entries, inward, targets
        World coordinates and inward normals, shape (N, 3).

    Returns
    -------
    ndarray
        uint8 (entries, targets): FEASIBLE, LENGTH, ANGLE or CLEARANCE.
    """
    codes = np.empty((entries.shape[0], targets.shape[0]), np.uint8)
    affine = space.affine
    for e in numba.prange(entries.shape[0]):
        start = to_voxel(affine, entries[e])
        stop = np.empty(3)
        for t in range(targets.shape[0]):
            dx, dy, dz = targets[t] - entries[e]
            length = np.sqrt(dx * dx + dy * dy + dz * dz)
            if length > rules.max_length:
                codes[e, t] = LENGTH
                continue
            along = dx * inward[e, 0] + dy * inward[e, 1] + dz * inward[e, 2]
            if along < rules.min_cosine * length:
                codes[e, t] = ANGLE
                continue
            for a in range(3):
                stop[a] = start[a] + (affine[a, 0] * dx + affine[a, 1] * dy + affine[a, 2] * dz)
            if _screened(screen, floor, start, stop, length) and clear_walk(
                space, start, stop, length, rules.min_clearance, rules.step
            ):
                codes[e, t] = FEASIBLE
            else:
                codes[e, t] = CLEARANCE
    return codes


@numba.njit(parallel=True, cache=True, nogil=True)
def track_profiles(space, entries, targets, rules):  # type: ignore[no-untyped-def]
    """Least clearance outside the exempt tissue, and the risk integral, of each track.

    With D the distance to the nearest obstacle outside the exempt tissue, n and f the least
    clearance and `risk_far`, the risk is ``∫ clip((f - D) / (f - n), 0, 1) ds``.

    Parameters
    ----------
    entries, targets
        One row per track, shape (N, 3), mm.

    Returns
    -------
    ndarray
        Shape (N, 2): least clearance, mm (infinite if all is exempt), and risk, mm.
    """
    out = np.empty((entries.shape[0], 2))
    near, far = rules.min_clearance, rules.risk_far
    for n in numba.prange(entries.shape[0]):
        span = targets[n] - entries[n]
        length = np.sqrt(np.sum(span * span))
        start, stop = to_voxel(space.affine, entries[n]), to_voxel(space.affine, targets[n])
        steps = int(np.ceil(length / rules.step))
        least, risk = np.inf, 0.0
        for s in range(steps + 1):
            f = s / steps
            x = start[0] + f * (stop[0] - start[0])
            y = start[1] + f * (stop[1] - start[1])
            z = start[2] + f * (stop[2] - start[2])
            if nearest(space.exempt, x, y, z):
                continue
            distance = trilinear(space.clearance, x, y, z)
            least = min(least, distance)
            risk += min(max((far - distance) / (far - near), 0.0), 1.0)
        out[n, 0], out[n, 1] = least, risk * length / (steps + 1)
    return out


@numba.njit(parallel=True, cache=True, nogil=True)
def heat_limits(space, entries, targets, pull_backs, rules):  # type: ignore[no-untyped-def]
    """Largest radius that keeps the protected margin, for each pull-back from the target.

    Parameters
    ----------
    entries, targets
        One row per track, shape (N, 3), mm.
    pull_backs
        Ascending, shape (B,), mm.

    Returns
    -------
    ndarray
        float32 (N, B), mm; not rising along B.
    """
    out = np.empty((entries.shape[0], pull_backs.shape[0]), np.float32)
    for n in numba.prange(entries.shape[0]):
        span = entries[n] - targets[n]
        length = np.sqrt(np.sum(span * span))
        tip = to_voxel(space.affine, targets[n])
        back = (to_voxel(space.affine, entries[n]) - tip) / length
        least, done = np.inf, 0
        for b in range(pull_backs.shape[0]):
            steps = int(np.ceil(pull_backs[b] / rules.step - 1e-9))
            for s in range(done, steps + 1):
                t = min(s * rules.step, pull_backs[b])
                x, y, z = tip[0] + t * back[0], tip[1] + t * back[1], tip[2] + t * back[2]
                least = min(least, trilinear(space.protected, x, y, z))
            done = steps
            out[n, b] = least - rules.protect_margin
    return out
