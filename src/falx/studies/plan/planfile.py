"""The plan file: a plan with everything that was asked and found, as plain values.

Coordinates stand in RAS+ and in LPS+ millimetres of the native T1w image. Vendors' own plan
formats are closed; none is written.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from falx.core.errors import InputError
from falx.surgery.assess import Assessment, Tissue
from falx.surgery.robustness import Robustness
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.scene import PLACES

__all__ = [
    "FORMAT",
    "option_record",
    "options_csv",
    "plan_of_record",
    "plan_record",
    "read_plan",
    "tissue_record",
]

FORMAT = 1
"""Raised when a reader of an older plan file would misunderstand a newer one."""

HEATED_DICE = (0.67, 0.82)
"""Overlap of published heat models with measured heating; a capsule does no better."""


def plan_record(plan: LaserPlan) -> dict[str, Any]:
    """Return entry, target and burns as plain values."""
    entry, target = plan.trajectory.entry_mm, plan.trajectory.target_mm
    return {
        "entry_ras_mm": _rounded(entry),
        "target_ras_mm": _rounded(target),
        "entry_lps_mm": _rounded((-entry[0], -entry[1], entry[2])),
        "target_lps_mm": _rounded((-target[0], -target[1], target[2])),
        "burns": [asdict(burn) for burn in plan.burns],
    }


def tissue_record(tissue: Tissue) -> dict[str, Any]:
    """Return what an ablation heats as plain values."""
    return {
        "hippocampus": asdict(tissue.hippocampus),
        "amygdala": asdict(tissue.amygdala),
        "ablated_mm3": tissue.ablated_mm3,
        "outside_mm3": tissue.outside_mm3,
        "protected_heated_mm3": tissue.protected_mm3,
        "parahippocampal_share": tissue.parahippocampal,
    }


def option_record(assessment: Assessment, robustness: Robustness | None = None) -> dict[str, Any]:
    """Return a plan with its scores as plain values."""
    return {
        "plan": plan_record(assessment.plan),
        **tissue_record(assessment.tissue),
        "risk_mm": assessment.risk_mm,
        "length_mm": assessment.length_mm,
        "angle_deg": assessment.angle_deg,
        "clearance_mm": assessment.clearance_mm,
        "protected_distance_mm": assessment.protected_mm,
        "sinus_distance_mm": assessment.sinus_mm,
        "violations": [str(violation) for violation in assessment.violations],
        "robustness": None if robustness is None else asdict(robustness),
    }


def options_csv(options: Sequence[Mapping[str, Any]]) -> str:
    """Return plans as a table, one row each, burns joined by semicolons."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    axes = [f"{end}_{axis}_{frame}_mm" for frame, names in (("ras", "xyz"), ("lps", "xyz"))
            for end in ("entry", "target") for axis in names]  # fmt: skip
    scores = ("outside_mm3", "ablated_mm3", "risk_mm", "length_mm", "angle_deg",
              "clearance_mm", "protected_distance_mm")  # fmt: skip
    writer.writerow(
        [*axes, "burns", "rate_hippocampus", "rate_amygdala", *scores, "reaches", "low_rate"]
    )
    for option in options:
        plan, shaken = option["plan"], option["robustness"] or {}
        places = [
            value
            for frame in ("ras", "lps")
            for end in ("entry", "target")
            for value in plan[f"{end}_{frame}_mm"]
        ]
        burns = ";".join(
            f"r{b['radius_mm']:g} b{b['pull_back_mm']:g} s{b['tip_offset_mm']:g}"
            for b in plan["burns"]
        )
        rates = [option[name]["rate"] for name in ("hippocampus", "amygdala")]
        values = [*rates, *(option[name] for name in scores), shaken.get("reaches"),
                  shaken.get("low_rate")]  # fmt: skip
        writer.writerow([*places, burns, *("" if v is None else f"{v:.6g}" for v in values)])
    return stream.getvalue()


def read_plan(path: Path) -> LaserPlan:
    """Read a plan: a plan file, or only its part with entry, target and burns.

    Raises
    ------
    InputError
        If the file is no plan, or holds values that are not finite or out of place.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            "the plan file cannot be read", where=path.name, found=str(error),
            do="export it again from the report, or write it as the manual says",
        ) from error  # fmt: skip
    try:
        return _plan_of(content)
    except InputError as error:
        raise InputError(error.what, where=path.name, found=error.found, do=error.do) from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "the plan file lacks a part of a plan",
            where=path.name,
            found=repr(error),
            do="give entry_ras_mm, target_ras_mm and burns with radius_mm and pull_back_mm",
        ) from error


def _plan_of(content: Any) -> LaserPlan:
    if isinstance(content.get("suggested"), int):
        content = content["options"][content["suggested"]]
    return plan_of_record(content.get("plan", content))


def plan_of_record(record: Mapping[str, Any]) -> LaserPlan:
    """Return the plan that :func:`plan_record` wrote."""
    burns = tuple(
        Burn(
            float(burn["radius_mm"]),
            float(burn.get("pull_back_mm", 0.0)),
            float(burn.get("tip_offset_mm", 0.0)),
        )
        for burn in record["burns"]
    )
    return LaserPlan(Trajectory(record["entry_ras_mm"], record["target_ras_mm"]), burns)


def _rounded(point: Sequence[float]) -> list[float]:
    return [float(value) for value in np.round(point, PLACES)]
