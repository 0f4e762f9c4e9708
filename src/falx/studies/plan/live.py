"""The page of one planned patient: sections of the report room, live view, what-if."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from falx.images.nifti import Image
from falx.report.live_page import LiveImages, live_page, middle_mm
from falx.report.viewer import WhatIf
from falx.studies.plan.page import plan_sections
from falx.studies.plan.pictures import NEAR_MM, plan_picture, signature_picture
from falx.studies.plan.records import (
    OptionRecord,
    PlanDocument,
    Planned,
    TradeOffRecord,
    head_points,
    plan_of_record,
)
from falx.studies.plan.sheet import plan_sheet
from falx.studies.signature.live import live_images
from falx.surgery.robustness import passes
from falx.surgery.search import judging_draws
from falx.surgery.tracks.geometry import LaserPlan, ablation_mask
from falx.surgery.tracks.scene import fields_of
from falx.surgery.tracks.skull import brain_of_labels
from falx.surgery.what_if import (
    what_if_arrays,
    what_if_draws,
    what_if_frames,
    what_if_plan,
    what_if_scene,
)

__all__ = ["PlanImages", "plan_page", "sheet", "shown_plan"]


@dataclass(frozen=True, eq=False)
class PlanImages:
    """The images of a plan's page, native T1w space; PET, asymmetry and ablation may be absent."""

    t1w: Image
    signature: Image
    pet: Image | None
    asymmetry: Image | None
    made: Image | None


def plan_page(planned: Planned, images: PlanImages) -> str:
    """Return the page of a planned patient, one file that makes no request."""
    plan, ablation = shown_plan(planned), _planned_ablation(planned)
    document = planned.document
    middle = _middle_mm(planned)
    sections = plan_sections(
        document,
        t1w=images.t1w,
        signature=images.signature,
        ablation=ablation,
        middle_mm=middle,
    )
    return live_page(
        f"Laser plan{document.target.title}",
        sections,
        _live_images(planned, images),
        label=document.label,
        side=document.side,
        centre_mm=middle if plan is None else plan.trajectory.target_mm,
        subtitle=document.label,
        links=(
            (f"../../{document.label}.html", "signature of this patient"),
            ("../../index.html", "all pages"),
        ),
        what_if=None if plan is None else _what_if(planned, plan),
    )


def sheet(planned: Planned, images: PlanImages) -> bytes:
    """Return the plan on one printed page, as a PDF."""
    ablation = _planned_ablation(planned)
    if ablation is None:
        middle, shown = _middle_mm(planned), planned.document.target.shown
        pictures = [signature_picture(images.t1w, images.signature, middle, shown)]
    else:
        pictures = [
            plan_picture(planned.document, images.t1w, images.signature, ablation, near_mm=near_mm)
            for near_mm in (NEAR_MM, None)
        ]
    return plan_sheet(planned.document, pictures)


def _middle_mm(planned: Planned) -> Sequence[float]:
    """Middle of the hippocampus, or of the focus that is planned for."""
    scene = planned.scene
    mask = scene.hippocampus if scene.focus is None else scene.focus
    return middle_mm(Image(mask, scene.grid.affine))


def _planned_ablation(planned: Planned) -> Image | None:
    if planned.plan is None:
        return None
    return Image(ablation_mask(planned.plan, planned.labels.grid), planned.labels.affine)


def shown_plan(planned: Planned) -> LaserPlan | None:
    """Return the plan to start from: the suggested one, or the best compromise."""
    document = planned.document
    if planned.plan is not None or not document.shown:
        return planned.plan
    best = document.shown[document.compromises.get("both", 0)]
    return plan_of_record(best.plan)


def _live_images(planned: Planned, images: PlanImages) -> LiveImages:
    scene, labels = planned.scene, planned.labels
    default = scene.focus is None
    return live_images(
        images.t1w,
        Image(brain_of_labels(labels.data), labels.affine),
        images.signature,
        hippocampus=Image(scene.hippocampus, scene.grid.affine) if default else None,
        amygdala=Image(scene.amygdala, scene.grid.affine) if default else None,
        title=scene.target.shown,
        pet=images.pet,
        asymmetry=images.asymmetry,
        ablation=images.made,
    )


def _loadable(number: int, option: OptionRecord, document: PlanDocument) -> dict[str, Any]:
    """Return a plan that the panel may load, with what placement error makes of it."""
    shaken = option.robustness
    if shaken is None:
        return {"plan": what_if_plan(plan_of_record(option.plan)), "title": f"plan {number + 1}",
                "words": "Not judged under placement error.", "passes": False}  # fmt: skip
    words = (
        f"Misplaced, it keeps every limit in {shaken.holds:.1%} of placements, reaches the rate "
        f"in {shaken.reaches:.1%} and touches nothing in {shaken.harmless:.1%}."
    )
    title = (
        f"plan {number + 1}: limits kept {shaken.holds:.0%}, rate reached {shaken.reaches:.0%}, "
        f"{shaken.outside_mm3:.0f} mm³ outside"
    )
    return {
        "plan": what_if_plan(plan_of_record(option.plan)),
        "title": title,
        "words": words,
        "passes": passes(shaken, document.goal) and not option.violations,
    }


def _relaxed(found: TradeOffRecord, number: int, document: PlanDocument) -> dict[str, Any]:
    """Return the plan of a trade-off to load: its colour is that of things as they are."""
    assert found.option is not None
    plan = _loadable(number, found.option, document)
    if found.relaxed is None:
        return plan
    words = (
        f"With {found.words} it keeps every limit in {found.relaxed.holds:.1%}, reaches the rate "
        f"in {found.relaxed.reaches:.1%} and touches nothing in {found.relaxed.harmless:.1%}. "
        f"As things are: {plan['words']}"
    )
    title = (
        f"plan {number + 1}, with {found.words}: limits kept {found.relaxed.holds:.0%}, "
        f"rate reached {found.relaxed.reaches:.0%}"
    )
    return {**plan, "title": title, "words": words}


def _to_load(document: PlanDocument) -> list[dict[str, Any]]:
    """Return every plan of the page in the order of its numbers."""
    plans = [_loadable(n, option, document) for n, option in enumerate(document.options)]
    for found in document.trade_offs:
        if found.option is not None:
            plans.append(_relaxed(found, len(plans), document))
    return plans


def _what_if(planned: Planned, plan: LaserPlan) -> WhatIf:
    scene, document = planned.scene, planned.document
    fields = fields_of(scene, [plan.trajectory.entry_mm, plan.trajectory.target_mm])
    rng = np.random.default_rng(document.placement.seed)
    few, many = judging_draws(document.placement, scene, rng)
    frames, template = what_if_frames(fields, planned.to_template, head_points(scene))
    return WhatIf(
        what_if_plan(plan),
        {**what_if_scene(scene, fields, document.limits), **frames},
        {
            **what_if_arrays(scene, fields),
            **what_if_draws(few, many),
            "template": template,
        },
        document.goal.threshold,
        _to_load(document),
        asdict(document.goal),
    )
