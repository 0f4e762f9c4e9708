"""What a plan must respect, what it should reach, and how far the surgeon's hand may miss.

Every number a planner uses stands here, with its unit and where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.core.errors import OptionError, check_range
from falx.surgery.tracks.kernels import Rules

__all__ = ["STEP_MM", "Goal", "Limits", "Placement"]

STEP_MM = 0.25
"""Step at which tracks are walked, mm."""


@dataclass(frozen=True)
class Limits:
    """Hard constraints and the burns that may be chosen.

    Parameters
    ----------
    max_length_mm
        Longest track from entry to target. Usual practice; no primary source.
    max_angle_deg
        Largest angle between the track and the skull's normal at the entry. Usual practice.
    min_clearance_mm
        Least distance from the track's axis to a ventricle, sulcus or vessel; teams use 2 to
        3 mm (catheter 1.65 mm, skull opening 3.2 mm). Inside hippocampus and amygdala the
        rule does not hold, for the inferior horn touches them.
    protect_margin_mm
        Least distance from heated tissue to brainstem, thalamus, ventral diencephalon (with
        the lateral geniculate) and optic tract. Motive: visual fields changed in 67 % of
        those tested (Mayo series 2018).
    min_sinus_mm
        Least distance from the entry to a dural sinus, where a mask of them is given.
    risk_far_mm
        Distance beyond which an obstacle adds no risk.
    radii_mm, pull_backs_mm
        Burns to choose from. An 8 mm by 24 mm burn has 6,970 mm³; a published mean ablation
        has 6,888 mm³ (Mayo series 2018).
    """

    max_length_mm: float = 120.0
    max_angle_deg: float = 30.0
    min_clearance_mm: float = 2.0
    protect_margin_mm: float = 2.0
    min_sinus_mm: float = 10.0
    risk_far_mm: float = 10.0
    radii_mm: tuple[float, ...] = (5.0, 6.0, 7.0, 8.0, 9.0)
    pull_backs_mm: tuple[float, ...] = (10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0)

    def __post_init__(self) -> None:
        check_range("max_length_mm", self.max_length_mm, 20, 250, unit="mm")
        check_range("max_angle_deg", self.max_angle_deg, 0, 90, unit="degrees")
        check_range("min_clearance_mm", self.min_clearance_mm, 0, 10, unit="mm")
        check_range("protect_margin_mm", self.protect_margin_mm, 0, 10, unit="mm")
        check_range("min_sinus_mm", self.min_sinus_mm, 0, 50, unit="mm")
        check_range("risk_far_mm", self.risk_far_mm, self.min_clearance_mm + 0.1, 20, unit="mm")
        for name, low, high in (("radii_mm", 1, 15), ("pull_backs_mm", 0, 60)):
            values = tuple(sorted(set(getattr(self, name))))
            if not values:
                raise OptionError(f"{name} is empty", do="give at least one length in mm")
            for value in values:
                check_range(name, value, low, high, unit="mm")
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
    probability
        Least probability of passing the threshold under placement error.
    """

    threshold: float = 0.396118
    margin: float = 0.10
    probability: float = 0.90

    def __post_init__(self) -> None:
        check_range("threshold", self.threshold, 0, 1)
        check_range("margin", self.margin, 0, 1 - self.threshold)
        check_range("probability", self.probability, 0, 1)

    @property
    def wanted(self) -> float:
        """Threshold and margin together."""
        return self.threshold + self.margin


@dataclass(frozen=True)
class Placement:
    """How far a burn may fall from its plan.

    Tip and entry miss by isotropic normal errors, every radius by a uniform one.
    """

    tip_sd_mm: float = 1.5
    entry_sd_mm: float = 1.0
    radius_range_mm: float = 1.0
    draws: int = 2000

    def __post_init__(self) -> None:
        check_range("tip_sd_mm", self.tip_sd_mm, 0, 10, unit="mm")
        check_range("entry_sd_mm", self.entry_sd_mm, 0, 10, unit="mm")
        check_range("radius_range_mm", self.radius_range_mm, 0, 4.9, unit="mm")
        check_range("draws", self.draws, 100, 1_000_000)
