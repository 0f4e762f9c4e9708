"""What a plan must respect, what it should reach, and how far the surgeon's hand may miss.

Every number a planner uses stands here, with its unit and where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.core.errors import OptionError, check_range
from falx.core.settings import check_settings, option
from falx.surgery.tracks.kernels import Rules

__all__ = ["BESIDE_MM", "MOST_BURNS", "STEP_MM", "Goal", "Limits", "Placement", "Search"]

STEP_MM = 0.25
"""Step at which tracks are walked, mm."""

BESIDE_MM = 6.0
"""About the width of the temporal horn and the parahippocampal white matter; the collateral
sulcus lies mostly farther away and keeps its margin."""

MOST_BURNS = 4
"""Burns that one track may have."""


@dataclass(frozen=True)
class Limits:
    """Hard constraints and the burns that may be chosen.

    Parameters
    ----------
    max_length_mm, max_angle_deg
        Usual practice; no primary source. The angle is taken to the skull's normal.
    min_clearance_mm
        Teams use 2 to 3 mm (catheter 1.65 mm, skull opening 3.2 mm). Inside hippocampus and
        amygdala the rule does not hold, for the inferior horn touches them.
    beside_mm
        So near to hippocampus and amygdala a track needs no margin to fluid, but may not run in
        a fissure; see :func:`falx.surgery.tracks.head_scene.passage_beside`.
    protect_margin_mm
        Protected are brainstem, thalamus, ventral diencephalon (with the lateral geniculate)
        and optic tract. Motive: visual fields changed in 67 % of those tested (Mayo series
        2018).
    min_sinus_mm
        Holds where a mask of the sinuses is given.
    radii_mm, pull_backs_mm
        An 8 mm by 24 mm burn has 6,970 mm³; a published mean ablation has 6,888 mm³ (Mayo
        series 2018).
    """

    max_length_mm: float = option(
        120.0, help="longest track from entry to target", unit="mm", low=20, high=250
    )
    max_angle_deg: float = option(
        30.0, help="largest angle between track and skull normal", unit="degrees", low=0, high=90
    )
    min_clearance_mm: float = option(
        2.0, help="least distance from track to ventricle, sulcus or vessel", unit="mm", low=0,
        high=10,
    )  # fmt: skip
    protect_margin_mm: float = option(
        2.0, help="least distance from heat to protected tissue", unit="mm", low=0, high=10
    )
    min_sinus_mm: float = option(
        10.0, help="least distance from entry to a dural sinus", unit="mm", low=0, high=50
    )
    risk_far_mm: float = option(
        10.0, help="distance beyond which an obstacle adds no risk", unit="mm", low=0.1, high=20
    )
    radii_mm: tuple[float, ...] = option(
        (5.0, 6.0, 7.0, 8.0, 9.0),
        help="radii of ablations to choose from",
        unit="mm",
        low=1,
        high=15,
    )
    pull_backs_mm: tuple[float, ...] = option(
        (10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0), help="lengths of an ablation to try",
        unit="mm", low=0, high=60,
    )  # fmt: skip

    beside_mm: float = option(
        BESIDE_MM, help="distance from hippocampus and amygdala within which a track needs no "
        "margin to CSF, but may not run in a fissure", unit="mm", low=0, high=20,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("risk_far_mm", self.risk_far_mm, self.min_clearance_mm + 0.1, 20, unit="mm")
        for name in ("radii_mm", "pull_backs_mm"):
            values = tuple(sorted(set(getattr(self, name))))
            if not values:
                raise OptionError(f"{name} is empty", do="give at least one length in mm")
            object.__setattr__(self, name, values)

    def rules(self, step_mm: float = STEP_MM) -> Rules:
        """Return the limits in the form that compiled code takes."""
        return Rules(
            self.max_length_mm, float(np.cos(np.radians(self.max_angle_deg))),
            self.min_clearance_mm, self.protect_margin_mm, self.risk_far_mm, step_mm,
            self.min_sinus_mm,
        )  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """What a plan should reach, and how surely, when it is misplaced as :class:`Placement` says.

    Parameters
    ----------
    threshold
        Ablative rate in the hippocampus that divided seizure-free from other patients. The
        default is the middle between the two neighbouring patients of Mo 2025; the printed
        0.39789278 is one patient's own value.
    probability
        Share of placements that must reach the threshold. The cohort's curve is flat beside it,
        so one placement in ten may fall short; a choice of this project.
    keep_probability
        Share of placements that must keep every limit with its whole margin. The margins (2 mm)
        are themselves an allowance, so that one placement in five may use up some of it; a
        choice of this project.
    harmless_probability
        Share of placements in which the catheter touches no obstacle and no protected voxel is
        heated. Higher than the one before, for here there is no allowance left; not all that is
        touched does harm. A choice of this project.
    """

    threshold: float = option(
        0.396118, help="ablative rate in the hippocampus to reach", low=0, high=1
    )
    probability: float = option(
        0.90, help="least share of placements that reach the threshold", low=0, high=1
    )
    keep_probability: float = option(
        0.80, help="least share of placements that keep every limit", low=0, high=1
    )
    harmless_probability: float = option(
        0.95, help="least share of placements in which nothing is touched", low=0, high=1
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Placement:
    """How far a burn may fall from its plan: normal errors, and a uniform one of the radius.

    On a track of 90 mm the defaults of entry, angle and depth put the tip 1.7 mm off on average,
    as robots do (1.71 mm; frames 1.93 mm, frameless 2.89 mm: meta-analysis of Vakharia et al.
    2017, Epilepsia 58:921). A site enters its own.

    Parameters
    ----------
    entry_sd_mm
        Across the track, along each of two axes. The mean miss is 1.25 times as large: 1.17 mm
        with robots, 1.43 mm with frames (Vakharia 2017).
    angle_sd_deg, depth_sd_mm
        About the entry, and along the track. Entry and tip are what is published; these make up
        the difference between them.
    shift_sd_mm
        Of the brain in the skull, along each axis; skull and sinuses stay. The mean of
        three axes is 1.6 times as large: 0.8 mm, where staged deep brain stimulation found less
        than 1.0 mm on average (46 patients, Aurora).
    radius_range_mm
        At 7 mm, 1.2 mm would explain the Dice of 0.82 between calibrated heat models and
        thermometry by size alone; part of it is shape.
    """

    entry_sd_mm: float = option(
        0.9, help="placement error of the entry across the track, each axis", unit="mm", low=0,
        high=10,
    )  # fmt: skip
    angle_sd_deg: float = option(
        0.5, help="error of the track's angle, each axis", unit="degrees", low=0, high=10
    )
    depth_sd_mm: float = option(
        0.8, help="error of the tip's depth along the track", unit="mm", low=0, high=10
    )
    shift_sd_mm: float = option(
        0.5, help="shift of the brain in the skull, each axis", unit="mm", low=0, high=10
    )
    radius_range_mm: float = option(
        1.0,
        help="most by which an ablation's radius falls short",
        unit="mm",
        low=0,
        high=4.9,
    )
    draws: int = option(20_000, help="misplaced copies of a plan", low=100, high=1_000_000)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Search:
    """How plans are looked for."""

    max_burns: int = option(2, help="ablations that a plan may have", low=1, high=MOST_BURNS)
    seed: int = option(0, help="seed of the placement errors", low=0, high=2**31)

    def __post_init__(self) -> None:
        check_settings(self)
