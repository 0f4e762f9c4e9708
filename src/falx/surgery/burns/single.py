"""Every allowed burn on every feasible track: what it covers, what it costs, which is best.

Coverage is the ablative rate of Mo et al. 2025, counted on voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import apply_affine
from falx.core.threads import kernel_threads
from falx.surgery.burns.kernels import burn_counts, pareto_keep
from falx.surgery.tracks.feasible import Tracks
from falx.surgery.tracks.geometry import capsule_volume_mm3
from falx.surgery.tracks.kernels import ROUNDING_MM
from falx.surgery.tracks.limits import Limits
from falx.surgery.tracks.scene import Scene

__all__ = [
    "Candidates",
    "candidate_burns",
    "pareto_set",
    "promising_tracks",
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
    """

    track: npt.NDArray[np.int64]
    pull_back: npt.NDArray[np.int64]
    radius: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]
    outside_mm3: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.track)


def candidate_burns(
    scene: Scene, tracks: Tracks, limits: Limits, *, threads: int = 1
) -> Candidates:
    """Coverage of every allowed single burn that reaches signature in the hippocampus."""
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
    )  # fmt: skip


def promising_tracks(
    scene: Scene, tracks: Tracks, limits: Limits, wanted: float, *, keep: int, threads: int = 1
) -> Tracks:
    """Thin tracks to `keep`: half by their cheapest burn that reaches a rate, half evenly.

    Where a head leaves room for millions of tracks, most are near copies of each other. The
    ranking counts every 16th voxel; the other half keeps plans of low risk or small burns in
    the Pareto set.
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
    best = np.argsort(cheapest, kind="stable")[: keep // 2]
    even = np.linspace(0, number - 1, keep - keep // 2).round().astype(int)
    return tracks.take(np.union1d(best, even))


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
        (scene.signature & scene.hippocampus)[inside].astype(np.uint8)
        | (scene.signature & scene.amygdala)[inside].astype(np.uint8) << AMYGDALA
        | np.uint8(1 << STRUCTURE)
    )
    return apply_affine(scene.grid.affine, np.argwhere(inside)), kinds.astype(np.uint8)


def pareto_set(candidates: Candidates, tracks: Tracks) -> npt.NDArray[np.int64]:
    """Rows that no other row beats in rate, collateral and risk, by rising collateral.

    Risks are compared to a micrometre, so that rounding decides nothing; equal rows are
    ordered by length.
    """
    risk = np.round(tracks.risk_mm, 3)[candidates.track]
    length = np.round(tracks.length_mm, 3)[candidates.track]
    cost = np.round(candidates.outside_mm3, 3)
    order = np.lexsort((length, risk, cost, -candidates.rate))
    keep = pareto_keep(candidates.rate[order], cost[order], risk[order])
    rows = order[keep]
    return np.asarray(rows[np.lexsort((risk[rows], -candidates.rate[rows], cost[rows]))])
