"""The focus that is planned for instead of the hippocampus: its voxels, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from falx.core.errors import InputError
from falx.core.files import read_record
from falx.core.grid import Side
from falx.images.nifti import Image
from falx.pet.metrics import SignatureMetrics
from falx.surgery.outcome.ablation import UNSTABLE_BELOW_MM3
from falx.surgery.tracks.geometry import capsule_volume_mm3
from falx.surgery.tracks.limits import Goal, Limits, Search
from falx.surgery.tracks.scene import Scene, Target

__all__ = [
    "FOCUS_RATE",
    "FOCUS_STEM",
    "focus_mask",
    "focus_notices",
    "region_of",
    "side_notice",
    "too_large",
]

FOCUS_RATE = 0.5
"""Share of a focus that a plan should ablate where nothing else is asked: half of it, a
convention of this project. No study says which share of a focus frees from seizures."""

FOCUS_STEM = "Focus"
"""Ends the names of what is planned for a focus, before its number."""

LONGEST_MM = 50.0
"""Farthest behind the tip that the last of several burns ends, mm."""

ELOQUENT = (
    "Motor, language and visual cortex, their tracts and the falx are not known to this planner, "
    "and not protected."
)

EDGE = 0.01
"""Shares below this are not told: borders of voxels."""


def focus_mask(foci: Image, number: int, *, where: str) -> Image:
    """Return the voxels of a focus, booleans on the T1w grid.

    Parameters
    ----------
    foci
        Numbers of the foci, 0 elsewhere.

    Raises
    ------
    InputError
        If no focus is certain in this patient, or none has this number.
    """
    known = [int(n) for n in np.unique(foci.data) if n > 0]
    if not known:
        raise InputError(
            "no focus is certain in this patient, so there is none to plan for",
            where=where,
            do="look at the patient's page: an empty table of foci is no proof of health",
        )
    if number not in known:
        raise InputError(
            f"there is no focus {number} in this patient",
            where=where,
            found=f"{'focus' if len(known) == 1 else 'foci'} {', '.join(map(str, known))}",
            do="give a number of the table of foci on the patient's page",
        )
    return Image(foci.data == number, foci.affine)


def region_of(metrics: Path | None, number: int) -> str | None:
    """Structure that holds most of a focus, where the numbers of the signature are there."""
    if metrics is None:
        return None
    found = read_record(SignatureMetrics, metrics).calibrated
    rows = () if found is None else found.everywhere
    return next((row.region for row in rows if row.number == number), None)


def side_notice(metrics: Path | None, side: Side, target: Target) -> str | None:
    """Say that a focus lies on another side than the patient's signature was declared for."""
    if metrics is None:
        return None
    found = read_record(SignatureMetrics, metrics)
    if found.side == side:
        return None
    return (
        f"{_capital(target.rated)} lies on the {side}; the side of the signature is the "
        f"{found.side}, from {found.side_from}. Which of them seizures come from is a question "
        "for the conference and none that this plan answers."
    )


def focus_notices(scene: Scene, goal: Goal, across: float, *, asked: bool) -> tuple[str, ...]:
    """Say what no plan for a focus may be read without.

    Parameters
    ----------
    across
        Share of the focus across the midline.
    asked
        Whether the goal's rate was asked for; else it is :data:`FOCUS_RATE`.
    """
    name, focus = scene.target.rated, scene.focus
    assert focus is not None
    whose = "was asked for" if asked else "is a convention of this planner"
    outcome = (
        f"No outcome study stands behind a plan for {name}: that {goal.threshold:.1%} of it is to "
        f"be ablated {whose}, and no outcome is stated."
    )
    told = [outcome, ELOQUENT]
    size_mm3 = float(np.count_nonzero(focus)) * scene.grid.voxel_volume_mm3
    if size_mm3 < UNSTABLE_BELOW_MM3:
        told.append(
            f"{_capital(name)} has {size_mm3:.0f} mm³ only: its rate hangs on a few voxels."
        )
    heatless = np.count_nonzero(focus & scene.protected) / np.count_nonzero(focus)
    if heatless >= EDGE:
        told.append(f"{heatless:.0%} of {name} lies in protected tissue, which no plan may heat.")
    if across >= EDGE:
        told.append(
            f"{across:.0%} of {name} lies across the midline; it is reached from the "
            f"{scene.side} only."
        )
    return tuple(told)


def too_large(scene: Scene, goal: Goal, limits: Limits, how: Search) -> str | None:
    """Say that the share that is wanted is more than ablations on one track can heat at all."""
    assert scene.focus is not None
    whole = float(np.count_nonzero(scene.focus)) * scene.grid.voxel_volume_mm3
    longest = max(limits.pull_backs_mm)
    if how.max_burns > 1:
        longest = max(longest, LONGEST_MM)
    most = capsule_volume_mm3(max(limits.radii_mm), longest)
    if goal.threshold * whole <= most:
        return None
    return (
        f"{_capital(scene.target.rated)} has {whole / 1000:.1f} ml, and {goal.threshold:.0%} of "
        f"it is more than the {most / 1000:.1f} ml that ablations on one track can heat at most."
    )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
