"""One page of one patient: sections with a live view, small enough to be mailed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.core.grid import Side, apply_affine
from falx.images.nifti import Image
from falx.report.page import Notice, Section, render
from falx.report.patient_view import MapSource, MaskSource, view_layers, view_surfaces
from falx.report.viewer import Viewer, WhatIf, is_built, live_view

__all__ = ["LARGEST_PAGE", "LiveImages", "live_page", "structure_middle"]

ORANGE, YELLOW, BLUE, PINK = (242, 142, 43), (242, 208, 43), (84, 145, 214), (230, 96, 176)
VOXELS_MM = (1.5, 2.0, 3.0)
"""Voxels of the T1w image in the live view; the first with which the page is small enough."""

LARGEST_PAGE = 6_000_000
"""Bytes that a mail system or a viewing station takes."""

PET_LEVELS = 20_000

NOT_BUILT = (
    "This installation was built without the live view, for which Node is needed; the pictures "
    "and tables show the same."
)


@dataclass(frozen=True, eq=False)
class LiveImages:
    """What the live view shows, native T1w space.

    Parameters
    ----------
    t1w, pet, asymmetry
        Maps; the last two may be absent.
    brain, signature, hippocampus, amygdala, ablation
        Masks; hippocampus and amygdala of the side of the focus, the ablation may be absent.
    """

    t1w: Image
    brain: Image
    signature: Image
    hippocampus: Image
    amygdala: Image
    pet: Image | None = None
    asymmetry: Image | None = None
    ablation: Image | None = None


def live_page(
    title: str,
    sections: Sequence[Section],
    images: LiveImages,
    *,
    label: str,
    side: Side,
    centre_mm: Sequence[float],
    subtitle: str = "",
    what_if: WhatIf | None = None,
) -> str:
    """Return a page with the live view behind its first section, one file without requests.

    Parameters
    ----------
    label
        Pseudonym.
    side
        Side of the focus, from which the 3D view looks.
    centre_mm
        Where the crosshair stands at first.
    what_if
        A plan to be edited in the page.
    """
    first, *rest = sections
    if not is_built():
        notice = Section("Live view", (Notice((NOT_BUILT,), level="note"),))
        return render(title, [*sections, notice], subtitle=subtitle)
    masks = _masks(images)
    surfaces = view_surfaces(images.brain, masks)
    page = ""
    for voxel_mm in VOXELS_MM:
        layers = view_layers(
            images.t1w, images.brain, maps=_maps(images), masks=masks, voxel_mm=voxel_mm
        )
        live = live_view(Viewer(label, side, centre_mm, layers, surfaces, what_if))
        shown = [first, Section("Live view", (live.markup,)), *rest]
        page = render(title, shown, subtitle=subtitle, script=live.script, style=live.style)
        if len(page.encode()) <= LARGEST_PAGE:
            break
    return page


def structure_middle(mask: Image) -> list[float]:
    """Mean place of a mask's voxels, RAS+ mm."""
    middle = np.argwhere(mask.data).mean(axis=0)
    return [float(value) for value in apply_affine(mask.affine, middle)]


def _masks(images: LiveImages) -> list[MaskSource]:
    masks = [
        MaskSource("signature", "signature", images.signature, ORANGE, alpha=255),
        MaskSource("hippocampus", "hippocampus", images.hippocampus, YELLOW, shown=False),
        MaskSource("amygdala", "amygdala", images.amygdala, BLUE, shown=False),
    ]
    if images.ablation is not None:
        made = MaskSource("ablation", "ablation that was made", images.ablation, PINK, alpha=150)
        masks.append(made)
    return masks


def _maps(images: LiveImages) -> list[MapSource]:
    maps = []
    if images.pet is not None:
        high = float(np.quantile(images.pet.data, 0.999)) or 1.0
        step = high / PET_LEVELS
        maps.append(MapSource("pet", "PET", images.pet, "hot", 0.3 * high, high, step))
    if images.asymmetry is not None:
        maps.append(
            MapSource("asymmetry", "asymmetry (low here)", images.asymmetry, "viridis", 0.06, 0.4,
                      1e-4, sign=-1)
        )  # fmt: skip
    return maps
