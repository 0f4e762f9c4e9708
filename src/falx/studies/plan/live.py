"""The page of one planned patient: sections of the report room, live view, what-if."""

from __future__ import annotations

from dataclasses import dataclass

from falx.images.nifti import Image
from falx.report.live_page import LiveImages, live_page, middle_mm
from falx.report.viewer import WhatIf
from falx.studies.plan.page import NEAR_MM, plan_picture, plan_sections
from falx.studies.plan.records import Planned, plan_of_record
from falx.studies.plan.sheet import plan_sheet
from falx.studies.signature.live import live_images
from falx.surgery.tracks.geometry import LaserPlan, ablation_mask
from falx.surgery.tracks.head_scene import brain_of_labels
from falx.surgery.tracks.scene import fields_of
from falx.surgery.what_if import what_if_arrays, what_if_plan, what_if_scene

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
    document, scene = planned.document, planned.scene
    sections = plan_sections(
        document, t1w=images.t1w, signature=images.signature, ablation=ablation
    )
    middle = middle_mm(Image(scene.hippocampus, scene.grid.affine))
    return live_page(
        "Laser plan",
        sections,
        _live_images(planned, images),
        label=document.label,
        side=document.side,
        centre_mm=middle if plan is None else plan.trajectory.target_mm,
        subtitle=document.label,
        what_if=None if plan is None else _what_if(planned, plan),
    )


def sheet(planned: Planned, images: PlanImages) -> bytes:
    """Return the plan on one printed page, as a PDF."""
    ablation = _planned_ablation(planned)
    pictures = []
    if ablation is not None:
        pictures = [
            plan_picture(planned.document, images.t1w, images.signature, ablation, near_mm=near_mm)
            for near_mm in (NEAR_MM, None)
        ]
    return plan_sheet(planned.document, pictures)


def _planned_ablation(planned: Planned) -> Image | None:
    if planned.plan is None:
        return None
    return Image(ablation_mask(planned.plan, planned.labels.grid), planned.labels.affine)


def shown_plan(planned: Planned) -> LaserPlan | None:
    """Return the plan to start from: the suggested one, or the one of the highest rate."""
    if planned.plan is not None or not planned.document.options:
        return planned.plan
    best = max(planned.document.options, key=lambda option: option.hippocampus.rate or 0)
    return plan_of_record(best.plan)


def _live_images(planned: Planned, images: PlanImages) -> LiveImages:
    scene, labels = planned.scene, planned.labels
    return live_images(
        images.t1w,
        Image(brain_of_labels(labels.data), labels.affine),
        images.signature,
        hippocampus=Image(scene.hippocampus, scene.grid.affine),
        amygdala=Image(scene.amygdala, scene.grid.affine),
        pet=images.pet,
        asymmetry=images.asymmetry,
        ablation=images.made,
    )


def _what_if(planned: Planned, plan: LaserPlan) -> WhatIf:
    scene, document = planned.scene, planned.document
    fields = fields_of(scene, [plan.trajectory.entry_mm, plan.trajectory.target_mm])
    return WhatIf(
        what_if_plan(plan),
        what_if_scene(scene, fields, document.limits),
        what_if_arrays(scene, fields),
        document.goal.wanted,
    )
