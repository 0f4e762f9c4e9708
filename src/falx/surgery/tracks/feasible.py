"""Every straight way from an allowed entry to the target structures that keeps the rules.

Rules of length, angle and clearance as in Vakharia et al. 2018, Epilepsia 59:814.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.grid import apply_affine
from falx.core.threads import kernel_threads
from falx.surgery.tracks import kernels
from falx.surgery.tracks.geometry import SHORTEST_TRACK_MM
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import PLACES, Fields, Scene

__all__ = ["Funnel", "Tracks", "find_tracks", "pair_codes", "target_points"]

Points = npt.NDArray[np.float64]

SCREEN_UNIT_MM = 0.1
ROUND_MM = 0.01
"""More than places are rounded by."""

SHORT = 4
"""Beside the codes of :mod:`.kernels`: too near for any track, and so no pair at all."""


@dataclass(frozen=True)
class Funnel:
    """How many pairs of entry and target there were, and what removed them, in this order."""

    pairs: int
    sinus: int
    length: int
    angle: int
    clearance: int

    @property
    def feasible(self) -> int:
        """Pairs that keep every rule of the track."""
        return self.pairs - self.sinus - self.length - self.angle - self.clearance


@dataclass(frozen=True, eq=False)
class Tracks:
    """Feasible tracks, one row each.

    Parameters
    ----------
    entries_mm, targets_mm
        Shape (N, 3).
    clearance_mm, risk_mm
        Shape (N,), as in :class:`falx.surgery.assess.Assessment`.
    heat_limit_mm
        Shape (N, B): largest radius that protected tissue allows, for each pull-back.
    """

    entries_mm: Points
    targets_mm: Points
    clearance_mm: Points
    risk_mm: Points
    heat_limit_mm: npt.NDArray[np.float32]
    funnel: Funnel

    def take(self, rows: npt.NDArray[np.integer]) -> Tracks:
        """Return the tracks of some rows, shape (M,)."""
        return Tracks(
            self.entries_mm[rows], self.targets_mm[rows], self.clearance_mm[rows],
            self.risk_mm[rows], self.heat_limit_mm[rows], self.funnel,
        )  # fmt: skip

    @property
    def length_mm(self) -> Points:
        """Length of each track, mm."""
        return np.asarray(np.linalg.norm(self.targets_mm - self.entries_mm, axis=1))


def target_points(scene: Scene, max_pairs: int) -> Points:
    """Voxel centres of the targets, thinned evenly to `max_pairs` pairs."""
    points = np.round(scene.targets_mm, PLACES)
    allowed = max(1, max_pairs // max(1, len(scene.entries_mm)))
    if len(points) <= allowed:
        return points
    return np.asarray(points[np.linspace(0, len(points) - 1, allowed).round().astype(int)])


def find_tracks(
    scene: Scene,
    fields: Fields,
    limits: Limits,
    *,
    max_pairs: int = 6_000_000,
    max_tracks: int | None = None,
    threads: int = 1,
) -> Tracks:
    """Check every pair of entry and target, and describe those that keep the rules.

    With `max_tracks`, feasible tracks are thinned evenly to so many.
    """
    targets = target_points(scene, max_pairs)
    entry_ok = far_from_sinus(scene, limits.min_sinus_mm)
    entries, outward = scene.entries_mm[entry_ok], scene.outward[entry_ok]
    with kernel_threads(threads):
        codes = pair_codes(fields, entries, outward, targets, limits)
        which_entry, which_target = np.nonzero(codes == kernels.FEASIBLE)
        if max_tracks is not None and len(which_entry) > max_tracks:
            thin = np.linspace(0, len(which_entry) - 1, max_tracks).round().astype(int)
            which_entry, which_target = which_entry[thin], which_target[thin]
        starts, stops = entries[which_entry], targets[which_target]
        profile = kernels.track_profiles(fields.space, starts, stops, limits.rules())
        heat = kernels.heat_limits(
            fields.space, starts, stops, np.array(limits.pull_backs_mm), limits.rules()
        )
    removed = np.bincount(codes.ravel(), minlength=SHORT + 1)
    funnel = Funnel(
        pairs=len(scene.entries_mm) * len(targets) - int(removed[SHORT]),
        sinus=int(np.count_nonzero(~entry_ok)) * len(targets),
        length=int(removed[kernels.LENGTH]),
        angle=int(removed[kernels.ANGLE]),
        clearance=int(removed[kernels.CLEARANCE]),
    )
    return Tracks(starts, stops, profile[:, 0], profile[:, 1], heat, funnel)


def pair_codes(
    fields: Fields, entries: Points, outward: Points, targets: Points, limits: Limits
) -> npt.NDArray[np.uint8]:
    """Why each pair is not feasible, shape (entries, targets): :mod:`.kernels` or :data:`SHORT`.

    A coarse walk over bytes goes first. Between voxel centres the distance differs from the
    nearest one's by at most the mean distance to the corners of a cell, so a floor lowered
    by that much removes nothing that the exact walk would keep.
    """
    byte = np.ceil(fields.clearance_mm / SCREEN_UNIT_MM - 1e-4)
    screen = np.minimum(byte, 255).astype(np.uint8)
    screen[fields.exempt] = 255
    corners = np.array(np.meshgrid(*[[0.0, h] for h in fields.grid.voxel_sizes_mm]))
    slack_mm = float(np.linalg.norm(corners.reshape(3, -1), axis=0).mean())
    floor = max(0, int(np.floor((limits.min_clearance_mm - slack_mm) / SCREEN_UNIT_MM)))
    codes = kernels.check_tracks(
        fields.space, screen, floor, entries, -outward, targets, limits.rules()
    )
    codes = np.asarray(codes)
    # A focus under the skull lies nearer to some entries than any track is long.
    near = scipy.spatial.cKDTree(entries).query_ball_point(targets, SHORTEST_TRACK_MM + ROUND_MM)
    for column, rows in enumerate(near):
        codes[rows, column] = SHORT
    return codes


def far_from_sinus(scene: Scene, least_mm: float) -> npt.NDArray[np.bool_]:
    """Which of N entries lie at least `least_mm` from every dural sinus, shape (N,)."""
    if scene.sinus is None or not scene.sinus.any():
        return np.ones(len(scene.entries_mm), dtype=bool)
    sinus_mm = apply_affine(scene.grid.affine, np.argwhere(scene.sinus))
    apart, _ = scipy.spatial.cKDTree(sinus_mm).query(scene.entries_mm)
    return np.asarray(apart >= least_mm)
