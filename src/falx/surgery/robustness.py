"""How often a plan still reaches its goal when the fibre does not go quite where it should.

A plan is thrown at random, as often as asked, by the placement errors of
:class:`falx.surgery.tracks.limits.Placement`; the rate is that of Mo et al. 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import apply_affine
from falx.core.possible import Share
from falx.core.threads import kernel_threads
from falx.surgery.burns.kernels import shaken
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.limits import Limits, Placement
from falx.surgery.tracks.scene import Fields, Scene

__all__ = ["Robustness", "shake", "signature_points"]

WALK_MM = 0.5
"""Step at which misplaced tracks are walked; twice that of the plan, for there are many."""


@dataclass(frozen=True)
class Robustness:
    """What placement error does to a plan.

    Parameters
    ----------
    reaches
        Share of the draws whose ablative rate in the hippocampus is at least the threshold.
        A probability of geometry, not of seizure freedom.
    low_rate
        5th percentile of the rate.
    median_rate
        Median of the rate.
    holds
        Share of the draws that keep every constraint with its margin.
    harmless
        Share in which the catheter touches no obstacle and no protected voxel is heated.
    threshold, draws
        What was asked.
    """

    reaches: Share
    low_rate: Share
    median_rate: Share
    holds: Share
    harmless: Share
    threshold: float
    draws: int


def shake(
    plan: LaserPlan,
    scene: Scene,
    fields: Fields,
    limits: Limits,
    *,
    threshold: float,
    rng: np.random.Generator,
    placement: Placement | None = None,
    threads: int = 1,
) -> Robustness:
    """Draw misplaced copies of a plan and count what they reach.

    The tip misses by N(0, tip²), the entry by N(0, entry²), each burn's radius by U(-range,
    +range); burns keep their places along the track.
    """
    placement = placement or Placement()
    draws = placement.draws
    track = plan.trajectory
    targets = np.array(track.target_mm) + rng.normal(0, placement.tip_sd_mm, (draws, 3))
    entries = np.array(track.entry_mm) + rng.normal(0, placement.entry_sd_mm, (draws, 3))
    burns = np.repeat(plan.burn_table()[None], draws, axis=0)
    spread = placement.radius_range_mm
    burns[:, :, 2] += rng.uniform(-spread, spread, burns.shape[:2])
    np.maximum(burns[:, :, 2], 0.0, out=burns[:, :, 2])
    points = signature_points(scene)
    with kernel_threads(threads):
        heated, holds, harmless = shaken(
            fields.space, limits.rules(WALK_MM), _inward(plan, scene), entries, targets, burns,
            points,
        )  # fmt: skip
    rates = heated / len(points)
    return Robustness(
        reaches=float(np.mean(rates >= threshold)),
        low_rate=float(np.quantile(rates, 0.05)),
        median_rate=float(np.median(rates)),
        holds=float(np.mean(holds)),
        harmless=float(np.mean(harmless)),
        threshold=threshold,
        draws=draws,
    )


def signature_points(scene: Scene) -> npt.NDArray[np.float64]:
    """Voxel centres of the signature in the hippocampus, shape (N, 3), mm."""
    return apply_affine(scene.grid.affine, np.argwhere(scene.signature & scene.hippocampus))


def _inward(plan: LaserPlan, scene: Scene) -> npt.NDArray[np.float64]:
    apart = np.linalg.norm(scene.entries_mm - np.array(plan.trajectory.entry_mm), axis=1)
    return np.asarray(-scene.outward[int(apart.argmin())])
