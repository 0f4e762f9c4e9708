"""How often a plan still does what it should when the fibre does not go quite where it should.

A plan is misplaced at random, as often as asked, by the errors of
:class:`falx.surgery.tracks.limits.Placement`; the rate is that of Mo et al. 2025. Shares of draws
carry the interval of Wilson 1927, J Am Stat Assoc 22:209.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.possible import BrainMm3, Share
from falx.core.threads import kernel_threads
from falx.surgery.burns.misplaced import BITS, TOUCHED, WALK_MM, Draws, judged, outside_mm3
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.limits import Goal, Limits
from falx.surgery.tracks.scene import Fields, Scene

__all__ = [
    "Broken",
    "Robustness",
    "inward_normals",
    "passes",
    "shake",
    "share_interval",
]

VOLUME_DRAWS = 1000
"""Draws of which the volume outside is averaged: its spread is small, its counting long."""

LEVEL = 0.95
"""Level of the interval that a share of draws is given."""


@dataclass(frozen=True)
class Broken:
    """Share of placements that break each limit; one placement may break several.

    Parameters
    ----------
    length, angle
        Of the track.
    clearance
        Distance of the track to ventricle, sulcus or vessel.
    protected
        Distance of heated tissue to protected structures.
    sinus
        Distance of the entry to a dural sinus.
    """

    length: Share
    angle: Share
    clearance: Share
    protected: Share
    sinus: Share

    @property
    def most_often(self) -> tuple[str, float]:
        """The limit that breaks most often, and its share."""
        name = max(BITS, key=lambda limit: float(getattr(self, limit)))
        return name, float(getattr(self, name))


@dataclass(frozen=True)
class Robustness:
    """What placement error does to a plan.

    Parameters
    ----------
    holds
        Share of the draws that keep every limit with its margin.
    reaches
        Share of the draws whose ablative rate, in the hippocampus or of the focus, is at least the
        threshold.
        A probability of geometry, not of seizure freedom.
    succeeds
        Share that does both.
    harmless
        Share in which the catheter touches no obstacle and no protected voxel is heated.
    low_rate, median_rate
        5th percentile and median of the rate.
    outside_mm3
        Mean volume heated outside the targets.
    broken
        Share of the draws that break each limit.
    threshold, draws
        What was asked.
    """

    holds: Share
    reaches: Share
    succeeds: Share
    harmless: Share
    low_rate: Share
    median_rate: Share
    outside_mm3: BrainMm3
    broken: Broken
    threshold: float
    draws: int

    def interval(self, name: str) -> tuple[float, float]:
        """Return the Monte-Carlo interval (95 %) of one of the shares."""
        return share_interval(float(getattr(self, name)), self.draws)

    def surely(self, name: str, least: float) -> bool:
        """Whether the whole interval of a share lies at or above a limit, or the share is 1."""
        return self.interval(name)[0] >= least or getattr(self, name) == 1.0


def passes(shaken: Robustness, goal: Goal) -> bool:
    """Whether every probability of a plan lies above what the goal wants, interval and all."""
    return (
        shaken.surely("holds", goal.keep_probability)
        and shaken.surely("reaches", goal.probability)
        and shaken.surely("harmless", goal.harmless_probability)
    )


def share_interval(share: float, draws: int) -> tuple[float, float]:
    """Return Wilson's interval (95 %) of a share of independent draws.

    Examples
    --------
    >>> low, high = share_interval(0.8, 20_000)
    >>> f"{low:.4f} {high:.4f}"
    '0.7944 0.8055'
    """
    z = float(scipy.special.ndtri(0.5 + LEVEL / 2))
    middle = (share + z * z / (2 * draws)) / (1 + z * z / draws)
    spread = share * (1 - share) / draws + z * z / (4 * draws * draws)
    half = z * spread**0.5 / (1 + z * z / draws)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def shake(
    plan: LaserPlan,
    scene: Scene,
    fields: Fields,
    limits: Limits,
    *,
    threshold: float,
    draws: Draws,
    threads: int = 1,
) -> Robustness:
    """Misplace a plan by every draw and count what it reaches and which limits it breaks.

    Burns keep their places along the track. `draws` come from
    :func:`falx.surgery.burns.misplaced.draw` for the side of the scene.
    """
    track = plan.trajectory
    entry, target = np.array(track.entry_mm), np.array(track.target_mm)
    burns, points = plan.burn_table(), scene.signature_mm
    inside = np.ascontiguousarray(scene.targets_mm)
    with kernel_threads(threads):
        heated, codes = judged(
            fields.space, limits.rules(WALK_MM), inward_normals(entry[None], scene)[0],
            entry, target, burns, draws, points,
        )  # fmt: skip
        outside = outside_mm3(
            entry, target, burns, draws.first(VOLUME_DRAWS), inside, scene.grid.voxel_volume_mm3
        )
    rates = heated / len(points)
    holds = codes & sum(BITS.values()) == 0
    reaches = rates >= threshold
    return Robustness(
        holds=float(np.mean(holds)),
        reaches=float(np.mean(reaches)),
        succeeds=float(np.mean(holds & reaches)),
        harmless=float(np.mean(codes & TOUCHED == 0)),
        low_rate=float(np.quantile(rates, 0.05)),
        median_rate=float(np.median(rates)),
        outside_mm3=float(np.mean(outside)),
        broken=Broken(**{name: float(np.mean(codes & bit > 0)) for name, bit in BITS.items()}),
        threshold=threshold,
        draws=len(rates),
    )


def inward_normals(entries_mm: npt.NDArray[np.float64], scene: Scene) -> npt.NDArray[np.float64]:
    """Inward normals of the skull at the allowed entries nearest to some, both of shape (N, 3)."""
    _, nearest = scene.nearest_entry.query(entries_mm)
    return np.ascontiguousarray(-scene.outward[nearest])
