"""The page of one planned patient: sections of the report room, live view, what-if."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from falx.images.nifti import Image, load, load_mask
from falx.report.page import Notice, Section, render
from falx.report.patient_view import MapSource, MaskSource, view_layers, view_surfaces
from falx.report.plan import NEAR_MM, plan_picture, plan_sections
from falx.report.plan_sheet import plan_sheet
from falx.report.viewer import Viewer, WhatIf, is_built, live_view
from falx.studies.plan_inputs import PatientFiles
from falx.surgery.geometry import LaserPlan, ablation_mask
from falx.surgery.head import brain_of_labels
from falx.surgery.limits import Limits
from falx.surgery.plan_stage import Planned
from falx.surgery.planfile import plan_of_record
from falx.surgery.scene import fields_of
from falx.surgery.what_if import what_if_arrays, what_if_plan, what_if_scene

__all__ = ["PlanImages", "load_images", "plan_page", "sheet", "shown_plan"]

ORANGE, YELLOW, BLUE, PINK = (242, 142, 43), (242, 208, 43), (84, 145, 214), (230, 96, 176)
VOXELS_MM = (1.5, 2.0, 3.0)
"""Voxels of the T1w image and least voxels of maps in the live view; the first that fits."""

LARGEST_PAGE = 6_000_000
"""Bytes that a mail system or a viewing station takes."""

NOT_BUILT = (
    "This installation was built without the live view, for which Node is needed; the pictures "
    "and tables show the same plan."
)


@dataclass(frozen=True, eq=False)
class PlanImages:
    """The images of a plan's page, native T1w space; PET, asymmetry and ablation may be absent."""

    t1w: Image
    signature: Image
    pet: Image | None
    asymmetry: Image | None
    made: Image | None


def load_images(files: PatientFiles) -> PlanImages:
    """Read what the page shows."""
    return PlanImages(
        load(files.t1w),
        load_mask(files.signature),
        None if files.pet is None else load(files.pet),
        None if files.asymmetry is None else load(files.asymmetry),
        None if files.ablation is None else load_mask(files.ablation),
    )


def plan_page(planned: Planned, images: PlanImages) -> str:
    """Return the page of a planned patient, one file that makes no request."""
    plan, ablation = shown_plan(planned), _planned_ablation(planned)
    sections = plan_sections(
        planned.document, t1w=images.t1w, signature=images.signature, ablation=ablation
    )
    label = planned.document["label"]
    if not is_built():
        sections.append(Section("Live view", (Notice((NOT_BUILT,), level="note"),)))
        return render("Laser plan", sections, subtitle=label)
    page = ""
    for voxel_mm in VOXELS_MM:
        live = live_view(_viewer(planned, plan, images, voxel_mm))
        shown = [sections[0], Section("Live view", (live.markup,)), *sections[1:]]
        page = render("Laser plan", shown, subtitle=label, script=live.script, style=live.style)
        if len(page) <= LARGEST_PAGE:
            break
    return page


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
    if planned.plan is not None or not planned.document["options"]:
        return planned.plan
    best = max(planned.document["options"], key=lambda option: option["hippocampus"]["rate"] or 0)
    return plan_of_record(best["plan"])


def _viewer(
    planned: Planned, plan: LaserPlan | None, images: PlanImages, voxel_mm: float
) -> Viewer:
    scene, document = planned.scene, planned.document
    brain = Image(brain_of_labels(planned.labels.data), planned.labels.affine)
    hippocampus = Image(scene.hippocampus, scene.grid.affine)
    masks = [
        MaskSource("signature", "signature", images.signature, ORANGE, alpha=255),
        MaskSource("hippocampus", "hippocampus", hippocampus, YELLOW, shown=False),
        MaskSource("amygdala", "amygdala", Image(scene.amygdala, scene.grid.affine), BLUE,
                   shown=False),
    ]  # fmt: skip
    if images.made is not None:
        masks.append(
            MaskSource("ablation", "ablation that was made", images.made, PINK, alpha=150)
        )
    middle = hippocampus.grid.centres_mm()[scene.hippocampus].mean(axis=0)
    return Viewer(
        label=document["label"],
        side=document["side"],
        centre_mm=middle if plan is None else plan.trajectory.target_mm,
        layers=view_layers(images.t1w, brain, maps=_maps(images), masks=masks, voxel_mm=voxel_mm),
        surfaces=view_surfaces(brain, masks),
        what_if=None if plan is None else _what_if(planned, plan),
    )


def _maps(images: PlanImages) -> list[MapSource]:
    maps = []
    if images.pet is not None:
        high = float(np.quantile(images.pet.data, 0.999)) or 1.0
        step = high / 20_000
        maps.append(MapSource("pet", "PET", images.pet, "hot", 0.3 * high, high, step))
    if images.asymmetry is not None:
        maps.append(
            MapSource("asymmetry", "asymmetry (low here)", images.asymmetry, "viridis", 0.06, 0.4,
                      1e-4, sign=-1)
        )  # fmt: skip
    return maps


def _what_if(planned: Planned, plan: LaserPlan) -> WhatIf:
    scene, goal = planned.scene, planned.document["goal"]
    fields = fields_of(scene, [plan.trajectory.entry_mm, plan.trajectory.target_mm])
    record: dict[str, Any] = planned.document["limits"]
    limits = Limits(**record)
    return WhatIf(
        what_if_plan(plan),
        what_if_scene(scene, fields, limits),
        what_if_arrays(scene, fields),
        goal["threshold"] + goal["margin"],
    )
