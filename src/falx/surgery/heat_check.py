"""A finalist of the search, judged by heat that follows the tissue.

The fibre burns where it stops, tip by tip (Pennes 1948; see :mod:`falx.surgery.burns.heat`); each
stop gets the dose that would leave the planned radius in unbounded tissue. What differs is the
shape of the heat, and what fluid takes along and large vessels and wide fluid carry away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Grid, apply_affine
from falx.core.possible import BrainMm3, Share
from falx.images.nifti import Image
from falx.images.resample import resample, sample
from falx.surgery.burns.doses import dose_for
from falx.surgery.burns.heat import (
    FLUID,
    OPEN,
    TISSUE,
    Cooling,
    Heating,
    Media,
    burned,
    cube_around,
)
from falx.surgery.outcome.ablation import dice
from falx.surgery.tracks.geometry import Burn, LaserPlan, ablated
from falx.surgery.tracks.scene import Scene, distance_mm

__all__ = ["HeatCheck", "heat_check", "media_of"]

VOXEL_MM = 1.0
LONGEST_TIP_MM, SHORTEST_TIP_MM = 10.0, 3.0
"""Lengths of the shining tip; a longer burn is made in several stops."""

BORDER_MM = 12.0


@dataclass(frozen=True)
class HeatCheck:
    """What the heat model leaves of a plan.

    Parameters
    ----------
    rate
        Share of the signature in the hippocampus, or of the focus, that dies.
    ablated_mm3, protected_mm3
        What dies in all, and in protected structures.
    overlap
        Dice with the capsules of the plan.
    stops
        Power, W, and seconds of each stop, from the tip back.
    """

    rate: Share
    ablated_mm3: BrainMm3
    protected_mm3: BrainMm3
    overlap: Share
    stops: tuple[tuple[float, float], ...]


def media_of(scene: Scene, cooling: Cooling) -> Media:
    """Return what each voxel of a scene holds for the heat, uint8 of shape (X, Y, Z).

    Wide is fluid that a ball of half that width fits into (a morphological opening); a distance
    to a neighbour's centre is half a voxel more than to the wall.
    """
    grid, running = scene.grid, np.zeros(scene.grid.shape, dtype=bool)
    for mask in (scene.vessels, scene.sinus):
        if mask is not None:
            running |= mask
    fluid = scene.obstacles & ~running
    half = float(grid.voxel_sizes_mm.mean()) / 2
    middle = fluid & (distance_mm(~fluid, grid) >= cooling.open_mm / 2 + half - 1e-3)
    wide = fluid & (distance_mm(middle, grid) <= cooling.open_mm / 2 + half)
    media = np.full(grid.shape, TISSUE, dtype=np.uint8)
    media[fluid] = FLUID
    media[wide | running] = OPEN
    return media


def heat_check(
    plan: LaserPlan, scene: Scene, cooling: Cooling | None = None, media: Media | None = None
) -> HeatCheck | None:
    """Burn a plan by the heat model; None where no dose leaves the planned radius.

    Parameters
    ----------
    media
        From :func:`media_of`, shape (X, Y, Z) of the scene, where several plans are asked.
    """
    cooling = cooling or Cooling()
    track = plan.trajectory
    target, back = np.array(track.target_mm), -track.direction
    doses = [dose for burn in plan.burns for dose in _stops(burn)]
    if any(heating is None for _, heating in doses):
        return None
    far = max(b.tip_offset_mm + b.pull_back_mm for b in plan.burns)
    reach = max(b.radius_mm for b in plan.burns) + far / 2 + BORDER_MM
    grid = cube_around(target + back * far / 2, reach, VOXEL_MM)
    if media is None:
        media = media_of(scene, cooling)
    around = _on(media, scene.grid, grid)
    dead = np.zeros(grid.shape, dtype=bool)
    for offset, heating in doses:
        if heating is not None:
            dead |= burned(grid, around, target + back * offset, back, heating, cooling=cooling)
    killed = Image(dead.astype(np.float32), grid.affine)
    wanted = apply_affine(scene.grid.affine, np.argwhere(scene.wanted))
    shares = sample(killed, wanted, how="nearest") > 0.5
    voxel = grid.voxel_volume_mm3
    drawn = ablated(grid.centres_mm(), plan)
    return HeatCheck(
        rate=float(np.mean(shares)),
        ablated_mm3=float(dead.sum()) * voxel,
        protected_mm3=float((dead & (_on(scene.protected, scene.grid, grid) > 0)).sum()) * voxel,
        overlap=dice(dead, drawn),
        stops=tuple((h.power_w, h.seconds) for _, h in doses if h is not None),
    )


def _stops(burn: Burn) -> list[tuple[float, Heating | None]]:
    """Where the tip shines for one burn, behind the target, mm, and with which dose."""
    number = max(1, int(np.ceil(burn.pull_back_mm / LONGEST_TIP_MM)))
    tip_mm = max(burn.pull_back_mm / number, SHORTEST_TIP_MM)
    dose = dose_for(burn.radius_mm, round(tip_mm, 3))
    return [(burn.tip_offset_mm + n * burn.pull_back_mm / number, dose) for n in range(number)]


def _on(
    values: npt.NDArray[np.uint8] | npt.NDArray[np.bool_], grid: Grid, other: Grid
) -> npt.NDArray[np.uint8]:
    """Return values of the nearest voxel on another grid, of its shape; 0 outside."""
    brought = resample(Image(values.astype(np.uint8), grid.affine), other, how="nearest")
    return np.asarray(brought, dtype=np.uint8)
