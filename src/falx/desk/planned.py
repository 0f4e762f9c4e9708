"""Plans as the page shows them: what was kept, and one row of figures for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from falx.core.errors import InputError
from falx.studies.plan.records import OptionRecord
from falx.surgery.assess import Assessment
from falx.surgery.robustness import passes
from falx.surgery.tracks.limits import Goal

__all__ = ["KeptPlan", "check_name", "figures_of", "kept_plan"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")


@dataclass(frozen=True)
class KeptPlan:
    """A plan that was kept, with its scores and what placement error makes of it.

    Parameters
    ----------
    name
        Of the person who kept it.
    kept
        When, ISO 8601.
    passes
        Whether it keeps its limits as planned and passes the goal misplaced.
    notices
        What was not known when it was scored.
    """

    name: str
    kept: str
    option: OptionRecord
    passes: bool
    notices: tuple[str, ...]


def check_name(name: str) -> None:
    """Raise unless a name can be that of a file everywhere."""
    if NAME.fullmatch(name) is None:
        raise InputError(
            "a plan is called by letters, digits, spaces and - or _", found=ascii(name[:40]),
            do="give a short name",
        )  # fmt: skip


def kept_plan(
    name: str, now: str, option: OptionRecord, goal: Goal, notices: tuple[str, ...]
) -> KeptPlan:
    """Judge a scored plan."""
    shaken = option.robustness
    good = shaken is not None and passes(shaken, goal) and not option.violations
    return KeptPlan(name, now, option, good, notices)


def figures_of(found: Assessment) -> Mapping[str, object]:
    """Return the figures of a plan under the hand, as a kept one has them."""
    tissue = found.tissue
    return {
        "hippocampus": tissue.hippocampus.rate,
        "amygdala": tissue.amygdala.rate,
        "ablated_mm3": tissue.ablated_mm3,
        "outside_mm3": tissue.outside_mm3,
        "protected_mm3": tissue.protected_mm3,
        "risk_mm": found.risk_mm,
        "length_mm": found.length_mm,
        "angle_deg": found.angle_deg,
        "clearance_mm": found.clearance_mm,
        "protected_distance_mm": found.protected_mm,
        "sinus_distance_mm": found.sinus_mm,
        "violations": [str(violation) for violation in found.violations],
    }
