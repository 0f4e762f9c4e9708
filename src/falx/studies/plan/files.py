"""Files in, files out for the planner: one patient's outputs become a plan."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx import __version__
from falx.core.errors import InputError, check_option
from falx.core.files import write_json, write_text
from falx.core.grid import SIDES, Side
from falx.images.nifti import Image, load_labels, load_mask, save
from falx.images.warp import load_map
from falx.studies.plan.planfile import (
    FORMAT,
    HEATED_DICE,
    option_record,
    options_csv,
    read_plan,
    tissue_record,
)
from falx.surgery.assess import assess, tissue_of_image
from falx.surgery.outcome.prognosis import prognosis, published_prognosis
from falx.surgery.robustness import shake
from falx.surgery.search import search
from falx.surgery.tracks.geometry import LaserPlan, ablation_mask
from falx.surgery.tracks.head_scene import scene_from_labels
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import Scene, fields_of

__all__ = ["Planned", "plan_stage", "side_of_metrics"]

PROGNOSIS_SEED = 0
"""The correction for optimism draws; every page shows the same one."""

NOTICE = (
    "The 39.79 % threshold comes from 30 patients treated at one centre, 21 of them "
    "seizure-free, and has not been confirmed elsewhere. The planned ablation is a geometric "
    "estimate; comparable published heat models overlap with measured heating at a Dice of "
    f"{HEATED_DICE[0]} to {HEATED_DICE[1]}."
)


@dataclass(frozen=True, eq=False)
class Planned:
    """A planned patient.

    Parameters
    ----------
    document
        The content of the plan file.
    plan
        The suggested or given plan; None if none is suggested.
    scene, labels
        What it was planned on.
    """

    document: dict[str, Any]
    plan: LaserPlan | None
    scene: Scene
    labels: Image


def plan_stage(
    *,
    structures: Path,
    signature_native: Path,
    to_template: Path,
    vessels: Path | None,
    sinuses: Path | None = None,
    made: Path | None = None,
    user_plan: Path | None,
    label: str,
    side: str,
    limits: Limits,
    goal: Goal,
    placement: Placement,
    seed: int,
    plan_json: Path,
    plan_csv: Path,
    ablation_native: Path,
    max_burns: int = 2,
    threads: int = 1,
) -> Planned:
    """Search, or score a plan that is given; write plan, table and planned ablation.

    Parameters
    ----------
    structures, signature_native
        Inputs on the native T1w grid: labels of FreeSurfer numbers, and the signature.
    to_template
        Input: coordinate map, native T1w mm → template mm.
    vessels, sinuses
        Inputs, optional: masks on the T1w grid.
    made
        Input, optional: an ablation that was really made, T1w grid, to be scored as well.
    user_plan
        Input, optional: a plan file to be scored instead of a search.
    plan_json, plan_csv, ablation_native
        Outputs. The mask is written for the suggested or given plan only; without one, that
        of an earlier run is removed. Bad input leaves earlier files as they are.

    Returns
    -------
    Planned
        What was written, and what a page shows beside it.
    """
    check_option("side", side, SIDES)
    chosen: Side = "left" if side == "left" else "right"
    labels = load_labels(structures)
    scene = scene_from_labels(
        labels,
        load_mask(signature_native),
        chosen,
        load_map(to_template).at,
        vessels=None if vessels is None else load_mask(vessels),
        sinuses=None if sinuses is None else load_mask(sinuses),
    )
    made_record = None if made is None else _made(made, scene)
    rng = np.random.default_rng(seed)
    if user_plan is None:
        found, plan = _searched(scene, limits, goal, placement, rng, threads, max_burns)
    else:
        plan = read_plan(user_plan)
        found = _scored(plan, scene, limits, goal, placement, rng, threads)
    document = {
        "FalxPlan": FORMAT,
        "Version": __version__,
        "label": label,
        "side": chosen,
        "vessels_checked": scene.vessels_checked,
        "sinuses_checked": scene.sinus is not None,
        "notices": [NOTICE, *([] if scene.vessels_checked else ["Vessels were not checked."])],
        "limits": asdict(limits),
        "goal": asdict(goal),
        "placement": {**asdict(placement), "seed": seed},
        **found,
        "expected": _expected(found),
        "made": made_record,
    }
    write_json(plan_json, document)
    write_text(plan_csv, options_csv(document["options"]))
    if plan is None:
        for stale in (ablation_native, ablation_native.with_suffix("").with_suffix(".json")):
            stale.unlink(missing_ok=True)
    else:
        _write_mask(ablation_native, plan, labels)
    return Planned(document, plan, scene, labels)


def side_of_metrics(path: Path) -> str:
    """Side of the focus that the signature was computed for."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["side"])
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise InputError(
            "the side of the focus is not known", where=path.name, do="give it with --side"
        ) from error


def _searched(
    scene: Scene, limits: Limits, goal: Goal, placement: Placement, rng: np.random.Generator,
    threads: int, max_burns: int,
) -> tuple[dict[str, Any], LaserPlan | None]:  # fmt: skip
    result = search(
        scene, limits, goal, rng=rng, placement=placement, max_burns=max_burns, threads=threads
    )
    suggested = result.options.index(result.suggested) if result.suggested else None
    record = {
        "funnel": {**asdict(result.funnel), "feasible": result.funnel.feasible},
        "candidates": result.candidates,
        "suggested": suggested,
        "explanation": str(result.explanation) if result.explanation else None,
        "options": [option_record(o.assessment, o.robustness) for o in result.options],
    }
    return record, result.suggested.assessment.plan if result.suggested else None


def _expected(found: dict[str, Any]) -> dict[str, Any] | None:
    """Outcome that the published cohort lets expect of the shown plan."""
    if found["suggested"] is None:
        return None
    return _prognosis(found["options"][found["suggested"]]["hippocampus"]["rate"])


def _made(path: Path, scene: Scene) -> dict[str, Any]:
    """Score an ablation that was really made, by the same rules as a planned one."""
    record = tissue_record(tissue_of_image(load_mask(path), scene, where=path.name))
    return {**record, "expected": _prognosis(record["hippocampus"]["rate"])}


def _prognosis(rate: float | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    model = published_prognosis(rng=np.random.default_rng(PROGNOSIS_SEED))
    return asdict(prognosis(rate, model))


def _scored(
    plan: LaserPlan, scene: Scene, limits: Limits, goal: Goal, placement: Placement,
    rng: np.random.Generator, threads: int,
) -> dict[str, Any]:  # fmt: skip
    track = plan.trajectory
    fields = fields_of(scene, [track.entry_mm, track.target_mm])
    assessment = assess(plan, scene, limits, fields=fields)
    robustness = shake(
        plan, scene, fields, limits, threshold=goal.threshold, rng=rng, placement=placement,
        threads=threads,
    )  # fmt: skip
    broken = "; ".join(str(violation) for violation in assessment.violations)
    return {
        "funnel": None,
        "candidates": None,
        "suggested": 0,
        "explanation": f"the given plan breaks: {broken}" if broken else None,
        "options": [option_record(assessment, robustness)],
    }


def _write_mask(path: Path, plan: LaserPlan, labels: Image) -> None:
    save(
        path, ablation_mask(plan, labels.grid), labels.affine,
        sidecar={"Type": "ROI", "SpatialReference": "orig",
                 "Description": "planned ablation, a geometric estimate"},
    )  # fmt: skip
