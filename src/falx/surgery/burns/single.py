"""Every allowed burn on every feasible track: what it covers, what it costs, which is best.

Coverage is the ablative rate of Mo et al. 2025, counted on voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import apply_affine
from falx.core.threads import kernel_threads
from falx.surgery.burns.kernels import burn_counts
from falx.surgery.burns.misplaced import WALK_MM, Draws, singles_kept
from falx.surgery.robustness import inward_normals
from falx.surgery.tracks.feasible import Tracks
from falx.surgery.tracks.geometry import capsule_volume_mm3
from falx.surgery.tracks.kernels import ROUNDING_MM
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = [
    "Candidates",
    "candidate_burns",
    "promising_tracks",
    "shares_kept",
    "target_voxels",
]

COARSE, CHUNK = 16, 50_000
"""Step among voxels for a first ranking, and tracks ranked at a time."""

HIPPOCAMPUS, AMYGDALA, STRUCTURE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every feasible track with every burn that protected tissue allows, one row each.

    Parameters
    ----------
    track, pull_back, radius
        Indices into the tracks and into the limits' lengths, shape (N,).
    rate
        Ablative rate in the hippocampus, shape (N,).
    outside_mm3
        Volume of the capsule outside hippocampus and amygdala.
    kept
        Share of some draws of placement that keep every limit; of all of them, without draws.
    """

    track: npt.NDArray[np.int64]
    pull_back: npt.NDArray[np.int64]
    radius: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]
    outside_mm3: npt.NDArray[np.float64]
    kept: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.track)


def candidate_burns(
    scene: Scene,
    tracks: Tracks,
    limits: Limits,
    *,
    kept: npt.NDArray[np.float64] | None = None,
    threads: int = 1,
) -> Candidates:
    """Coverage of every allowed single burn that reaches signature in the hippocampus.

    `kept`, shape (tracks, pull-backs, radii), is what :func:`shares_kept` gave for these tracks.
    """
    points, kinds = target_voxels(scene)
    pull_backs, radii = np.array(limits.pull_backs_mm), np.array(limits.radii_mm)
    with kernel_threads(threads):
        heat_limit = tracks.heat_limit_mm + np.float32(ROUNDING_MM)
        counts = burn_counts(
            tracks.entries_mm, tracks.targets_mm, heat_limit, points, kinds, pull_backs, radii
        )
    allowed = radii[None, None, :] <= heat_limit[:, :, None]
    useful = counts[..., HIPPOCAMPUS] > 0
    track, pull_back, radius = np.nonzero(allowed & useful)
    chosen = counts[track, pull_back, radius].astype(np.float64)
    volumes = np.array([[capsule_volume_mm3(r, b) for r in radii] for b in pull_backs])
    whole = int((kinds >> HIPPOCAMPUS & 1).sum())
    return Candidates(
        track, pull_back, radius,
        rate=chosen[:, HIPPOCAMPUS] / whole,
        outside_mm3=volumes[pull_back, radius]
        - chosen[:, STRUCTURE] * scene.grid.voxel_volume_mm3,
        kept=np.ones(len(track)) if kept is None else kept[track, pull_back, radius],
    )  # fmt: skip


def shares_kept(
    scene: Scene,
    fields: Fields,
    tracks: Tracks,
    limits: Limits,
    draws: Draws,
    *,
    least: float = 0.0,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Share of draws that keep every limit, for every burn at the tip of every track.

    Returns
    -------
    ndarray
        Shape (tracks, pull-backs, radii); a track of less than `least` may have zeros only.
    """
    with kernel_threads(threads):
        counts = singles_kept(
            fields.space, limits.rules(WALK_MM), inward_normals(tracks.entries_mm, scene),
            tracks.entries_mm, tracks.targets_mm, draws, np.array(limits.pull_backs_mm),
            np.array(limits.radii_mm), least,
        )  # fmt: skip
    return np.asarray(counts / len(draws.ends))


def promising_tracks(
    scene: Scene, tracks: Tracks, limits: Limits, wanted: float, *, keep: int, threads: int = 1
) -> Tracks:
    """Thin tracks to `keep`: by their cheapest burn that reaches a rate, by clearance, evenly.

    Where a head leaves room for millions of tracks, most are near copies of each other. The
    ranking by cost counts every 16th voxel; a third that runs clear of obstacles keeps safe
    plans, an even third small burns.
    """
    number = len(tracks.entries_mm)
    if number <= keep:
        return tracks
    cheapest = np.concatenate(
        [
            _cheapest(scene, tracks.take(part), limits, wanted, threads)
            for part in np.array_split(np.arange(number), number // CHUNK + 1)
        ]
    )
    best = np.argsort(cheapest, kind="stable")[: keep // 3]
    safe = np.argsort(-tracks.clearance_mm, kind="stable")[: keep // 3]
    even = np.linspace(0, number - 1, keep - 2 * (keep // 3)).round().astype(int)
    return tracks.take(np.union1d(np.union1d(best, safe), even))


def _cheapest(
    scene: Scene, tracks: Tracks, limits: Limits, wanted: float, threads: int
) -> npt.NDArray[np.float64]:
    """Least collateral of each track's burns that reach a rate, by every 16th voxel, mm³."""
    points, kinds = target_voxels(scene)
    points, kinds = points[::COARSE], kinds[::COARSE]
    pull_backs, radii = np.array(limits.pull_backs_mm), np.array(limits.radii_mm)
    heat_limit = tracks.heat_limit_mm + np.float32(ROUNDING_MM)
    with kernel_threads(threads):
        counts = burn_counts(
            tracks.entries_mm, tracks.targets_mm, heat_limit, points, kinds, pull_backs, radii
        )
    volumes = np.array([[capsule_volume_mm3(r, b) for r in radii] for b in pull_backs])
    inside = counts[..., STRUCTURE] * (COARSE * scene.grid.voxel_volume_mm3)
    reaches = counts[..., HIPPOCAMPUS] >= wanted * (kinds >> HIPPOCAMPUS & 1).sum()
    allowed = radii[None, None, :] <= heat_limit[:, :, None]
    cost = np.where(reaches & allowed, volumes - inside, np.inf)
    return np.asarray(cost.min(axis=(1, 2)))


def target_voxels(scene: Scene) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """Voxel centres of the targets, shape (P, 3), mm, and as bits, (P,), what each counts for."""
    inside = scene.targets
    kinds = (
        scene.wanted[inside].astype(np.uint8)
        | scene.second[inside].astype(np.uint8) << AMYGDALA
        | np.uint8(1 << STRUCTURE)
    )
    return apply_affine(scene.grid.affine, np.argwhere(inside)), kinds.astype(np.uint8)
