"""What a plan must respect, what it should reach, and how far the surgeon's hand may miss.

Every number a planner uses stands here, with its unit and where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.core.errors import OptionError, check_range
from falx.core.settings import check_settings, option
from falx.surgery.tracks.kernels import Rules

__all__ = ["MOST_BURNS", "STEP_MM", "Goal", "Limits", "Placement", "Search"]

STEP_MM = 0.25
"""Step at which tracks are walked, mm."""

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
        (5.0, 6.0, 7.0, 8.0, 9.0), help="radii of burns to choose from", unit="mm", low=1, high=15
    )
    pull_backs_mm: tuple[float, ...] = option(
        (10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0), help="lengths of burns to choose from",
        unit="mm", low=0, high=60,
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
        )  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """The share of the signature that an ablation of the hippocampus should reach.

    Parameters
    ----------
    threshold
        Ablative rate in the hippocampus that divided seizure-free from other patients. The
        default is the middle between the two neighbouring patients of Mo 2025; the printed
        0.39789278 is one patient's own value.
    margin
        What a plan should add to the threshold, since burns never fall quite as planned.
    """

    threshold: float = option(
        0.396118, help="ablative rate in the hippocampus to pass", low=0, high=1
    )
    margin: float = option(0.10, help="what a plan should add to the threshold", low=0, high=1)
    probability: float = option(
        0.90, help="least probability of passing the threshold when misplaced", low=0, high=1
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_range("margin", self.margin, 0, 1 - self.threshold)

    @property
    def wanted(self) -> float:
        """Threshold and margin together."""
        return self.threshold + self.margin


@dataclass(frozen=True)
class Placement:
    """How far a burn may fall from its plan.

    Tip and entry miss by isotropic normal errors, every radius by a uniform one.
    """

    tip_sd_mm: float = option(1.5, help="placement error of the tip", unit="mm", low=0, high=10)
    entry_sd_mm: float = option(
        1.0, help="placement error of the entry", unit="mm", low=0, high=10
    )
    radius_range_mm: float = option(
        1.0, help="most that a radius falls from its plan", unit="mm", low=0, high=4.9
    )
    draws: int = option(2000, help="misplaced copies of a plan", low=100, high=1_000_000)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Search:
    """How plans are looked for."""

    max_burns: int = option(2, help="burns a plan may have", low=1, high=MOST_BURNS)
    seed: int = option(0, help="seed of the placement errors", low=0, high=2**31)

    def __post_init__(self) -> None:
        check_settings(self)
