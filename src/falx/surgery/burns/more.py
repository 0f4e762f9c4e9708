"""Three and four burns behind each other on one track, where they spare tissue or reach more.

On the most promising tracks every sequence of burns is counted: where one ends and the
next begins in steps of 5 mm, each with any radius. A point is missed by a sequence if every
radius is smaller than the least with which that burn reaches it, so a table of these least
radii, summed from its far corner, counts all radii at once.

Such a table is the summed area of Crow 1984, Comput Graph 18(3):207, in as many axes as burns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numba
import numpy as np
import numpy.typing as npt

from falx.surgery.burns.misplaced import WALK_MM, Draws, rooms
from falx.surgery.burns.pick import picked
from falx.surgery.burns.single import target_voxels
from falx.surgery.robustness import inward_normals
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.kernels import ROUNDING_MM, SURFACE_MM2, Space, to_voxel, trilinear
from falx.surgery.tracks.limits import STEP_MM, Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = ["sequence_plans"]

STEP_OF_ENDS_MM = 5.0
ENDS_MM = tuple(STEP_OF_ENDS_MM * n for n in range(1, 9))
"""Where burns may end behind the target."""

SLICE_MM = 0.1

Stops = tuple[float, ...]
"""Where the burns of a sequence begin and end behind the target, mm; the first is 0."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _View:
    """Voxels of the targets and protected tissue as one track sees them.

    Parameters
    ----------
    along_mm, across2_mm2
        Place of each voxel behind the target, and its squared distance from the axis.
    signature, inside
        Whether it counts for the rate, and as either structure: 1 or 0.
    room_mm
        Distance to protected tissue behind the target, every 0.25 mm.
    """

    along_mm: Floats
    across2_mm2: Floats
    signature: Floats
    inside: Floats
    room_mm: Floats


def sequence_plans(
    tracks: Sequence[Trajectory],
    scene: Scene,
    fields: Fields,
    limits: Limits,
    draws: Draws,
    threshold: float,
    *,
    burns: int,
) -> list[LaserPlan]:
    """Plans of so many burns on some tracks, worth judging by many draws.

    Parameters
    ----------
    draws
        Placement errors, by which the share of kept limits is counted.
    threshold
        Ablative rate in the hippocampus about which plans are wanted, 0…1.
    burns
        Burns of a plan, up to :data:`falx.surgery.tracks.limits.MOST_BURNS`;
        neighbours differ in radius.
    """
    radii = np.array(limits.radii_mm)
    volumes = {stops: _volumes_mm3(stops, radii) for stops in _all_stops(burns)}
    points, kinds = target_voxels(scene)
    room = _rooms(tracks, scene, fields, limits, draws)
    tables, places = [], []
    for n, track in enumerate(tracks):
        view = _seen_from(track, points, kinds, fields.space, radii.max())
        whole = np.count_nonzero(scene.wanted)
        for stops, volume in volumes.items():
            counted = _counted(stops, volume, view, limits, scene.grid.voxel_volume_mm3)
            kept = _kept(stops, room[n], radii, draws, limits.protect_margin_mm)
            rows = np.argwhere(np.isfinite(counted.outside_mm3) & (counted.signature > 0))
            at = tuple(rows.T)
            rates = counted.signature[at] / whole
            tables.append(
                np.stack([np.full(len(rows), n), rates, kept[at], counted.outside_mm3[at]], axis=1)
            )
            places += [(track, stops, tuple(row)) for row in rows.tolist()]
    if not places:
        return []
    table = np.concatenate(tables)
    rows = picked(table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3], threshold)
    return [_plan(*places[row], radii) for row in rows]


@dataclass(frozen=True, eq=False)
class _Counted:
    """Heated signature voxels and tissue outside the targets, for every choice of radii."""

    signature: Floats
    outside_mm3: Floats


def _rooms(
    tracks: Sequence[Trajectory], scene: Scene, fields: Fields, limits: Limits, draws: Draws
) -> npt.NDArray[np.float32]:
    entries = np.array([track.entry_mm for track in tracks]).reshape(-1, 3)
    targets = np.array([track.target_mm for track in tracks]).reshape(-1, 3)
    return np.asarray(
        rooms(
            fields.space, limits.rules(WALK_MM), inward_normals(entries, scene), entries, targets,
            draws, np.array((0.0, *ENDS_MM)),
        )
    )  # fmt: skip


def _kept(
    stops: Stops, room: npt.NDArray[np.float32], radii: Floats, draws: Draws, margin_mm: float
) -> Floats:
    """Share of draws in which every burn keeps the protected margin, one axis for each burn."""
    kept = np.ones((len(room), 1), np.float32)
    for n, (start, end) in enumerate(pairwise(stops)):
        first, last = round(start / STEP_OF_ENDS_MM), round(end / STEP_OF_ENDS_MM)
        piece = room[:, (first + 1 if first else 0) : last + 1].min(axis=1)
        reach = np.maximum(radii + draws.radii[:, n, None], 0.0) + margin_mm - ROUNDING_MM
        good = (piece[:, None] >= reach).astype(np.float32)
        kept = (kept[:, :, None] * good[:, None]).reshape(len(room), -1)
    return np.asarray(kept.mean(axis=0).reshape((len(radii),) * (len(stops) - 1)), np.float64)


def _all_stops(burns: int) -> Iterator[Stops]:
    """Every way to part the fibre; the first burn may stand still at the tip."""
    for ends in combinations(ENDS_MM, burns):
        yield (0.0, *ends)
    for ends in combinations(ENDS_MM, burns - 1):
        yield (0.0, 0.0, *ends)


def _counted(
    stops: Stops, volumes: Floats, view: _View, limits: Limits, voxel_mm3: float
) -> _Counted:
    """Count what every choice of radii heats; infinite outside where no limit allows it."""
    radii = np.array(limits.radii_mm)
    parts = list(pairwise(stops))
    reached = tuple(_least_radius(view, start, end, radii) for start, end in parts)
    signature = _heated(reached, view.signature, len(radii))
    inside = _heated(reached, view.inside, len(radii))
    allowed = np.ones(signature.shape, bool)
    for n, (start, end) in enumerate(parts):
        room = view.room_mm[round(start / STEP_MM) : round(end / STEP_MM) + 1].min()
        free = radii <= room - limits.protect_margin_mm + ROUNDING_MM
        allowed &= np.expand_dims(free, [a for a in range(len(parts)) if a != n])
    for n in range(len(parts) - 1):
        others = [a for a in range(len(parts)) if a not in (n, n + 1)]
        allowed &= np.expand_dims(~np.eye(len(radii), dtype=bool), others)
    return _Counted(signature, np.where(allowed, volumes - inside * voxel_mm3, np.inf))


def _least_radius(view: _View, start: float, end: float, radii: Floats) -> npt.NDArray[np.intp]:
    """Index of the least radius with which a burn reaches each voxel; their number if none."""
    beyond = view.along_mm - np.clip(view.along_mm, start, end)
    return np.searchsorted(radii**2 + SURFACE_MM2, view.across2_mm2 + beyond**2)


def _heated(reached: tuple[npt.NDArray[np.intp], ...], counts: Floats, radii: int) -> Floats:
    """How many of the voxels every choice of radii heats, one axis for each burn."""
    shape = (radii + 1,) * len(reached)
    code = np.ravel_multi_index(reached, shape)
    missed = np.bincount(code, weights=counts, minlength=(radii + 1) ** len(reached))
    missed = missed.reshape(shape)
    for axis in range(len(reached)):
        missed = np.flip(np.cumsum(np.flip(missed, axis), axis), axis)
    return np.asarray(counts.sum() - missed[(slice(1, None),) * len(reached)])


def _volumes_mm3(stops: Stops, radii: Floats) -> Floats:
    """Volume of burns on one axis for every choice of radii, by slices across it."""
    along = np.arange(-radii.max(), stops[-1] + radii.max(), SLICE_MM) + SLICE_MM / 2
    burns = len(stops) - 1
    wide = np.zeros((len(radii),) * burns + (len(along),))
    for n, (start, end) in enumerate(pairwise(stops)):
        beyond = along - np.clip(along, start, end)
        burn = np.maximum(radii[:, None] ** 2 - beyond**2, 0.0)
        np.maximum(wide, np.expand_dims(burn, [a for a in range(burns) if a != n]), out=wide)
    return np.asarray(np.pi * SLICE_MM * wide.sum(axis=-1))


def _plan(track: Trajectory, stops: Stops, chosen: Sequence[int], radii: Floats) -> LaserPlan:
    burns = tuple(
        Burn(float(radii[r]), end - start, start)
        for r, start, end in zip(chosen, stops[:-1], stops[1:], strict=True)
    )
    return LaserPlan(track, burns)


def _seen_from(
    track: Trajectory, points: Floats, kinds: npt.NDArray[np.uint8], space: Space, widest: float
) -> _View:
    target, way = np.array(track.target_mm), track.direction
    away = target - points
    along = away @ way
    across2 = np.einsum("ij,ij->i", away, away) - along**2
    near = across2 <= widest**2 + SURFACE_MM2
    return _View(
        along_mm=along[near],
        across2_mm2=across2[near],
        signature=(kinds[near] & 1).astype(np.float64),
        inside=(kinds[near] >> 2 & 1).astype(np.float64),
        room_mm=_room(space, target, way, ENDS_MM[-1], STEP_MM),
    )


@numba.njit(cache=True, nogil=True)
def _room(space, target, way, reach, step):  # type: ignore[no-untyped-def]
    """Distance to protected tissue behind the target, every `step` up to `reach`, mm."""
    number = int(reach / step + 0.5) + 1
    out = np.empty(number)
    for n in range(number):
        at = to_voxel(space.affine, target - n * step * way)
        out[n] = trilinear(space.protected, at[0], at[1], at[2])
    return out
