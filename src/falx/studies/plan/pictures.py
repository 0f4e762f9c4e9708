"""Still pictures of a laser plan over the head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.report.slices import Layer, slices
from falx.studies.plan.records import PlanDocument

__all__ = ["NEAR_MM", "middle_of_burn", "plan_picture", "signature_picture"]

NEAR_MM = 40.0
"""What the closer picture shows on each side of the burn."""


def signature_picture(
    t1w: Image, signature: Image, middle_mm: Sequence[float], shown: str = "signature"
) -> bytes:
    """Three planes through the middle of the target, the signature, or a focus, over them."""
    layer = Layer(signature, kind="mask", colour="orange", label=shown)
    return slices(t1w, (layer,), centre_mm=middle_mm)


def plan_picture(
    document: PlanDocument,
    t1w: Image,
    signature: Image,
    ablation: Image,
    *,
    near_mm: float | None = None,
) -> bytes:
    """Three planes through the middle of the first burn, signature and ablation over them.

    With `near_mm` only so much on each side of it, several times larger.
    """
    layers = (
        Layer(signature, kind="mask", colour="orange", label=document.target.shown),
        Layer(ablation, kind="contour", colour="cyan", label="planned ablation"),
    )
    centre = middle_of_burn(document)
    if near_mm is None:
        return slices(t1w, layers, centre_mm=centre)
    # What is cut off still sets black and white.
    low, high = np.percentile(t1w.data[t1w.data > 0], [2.0, 99.5])
    return slices(_around(t1w, centre, near_mm), layers, centre_mm=centre, spacing_mm=0.4,
                  window=(float(low), float(high)))  # fmt: skip


def middle_of_burn(document: PlanDocument) -> tuple[float, ...]:
    """Return the middle of a plan's first burn, the suggested plan's or the first's, RAS+ mm."""
    plan = document.options[document.suggested or 0].plan
    entry, target = np.array(plan.entry_ras_mm), np.array(plan.target_ras_mm)
    burn = plan.burns[0]
    back = burn.tip_offset_mm + burn.pull_back_mm / 2
    place = target + back * (entry - target) / np.linalg.norm(entry - target)
    return tuple(float(v) for v in place)


def _around(image: Image, centre: Sequence[float], near_mm: float) -> Image:
    middle = apply_affine(np.linalg.inv(image.affine), np.array(centre))
    reach = near_mm / image.grid.voxel_sizes_mm
    first = np.clip(np.floor(middle - reach).astype(int), 0, image.data.shape)
    last = np.clip(np.ceil(middle + reach).astype(int) + 1, 0, image.data.shape)
    affine = np.array(image.affine)
    affine[:3, 3] = apply_affine(affine, first)
    return Image(image.data[tuple(slice(a, b) for a, b in zip(first, last, strict=True))], affine)
