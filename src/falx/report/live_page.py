"""One page of one patient: sections with a live view, small enough to be mailed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.core.grid import Side, apply_affine
from falx.images.nifti import Image
from falx.report.page import Notice, Section, render
from falx.report.patient_view import MapSource, MaskSource, view_layers, view_surfaces
from falx.report.people_values import PackedPeople
from falx.report.viewer import Viewer, WhatIf, is_built, live_view

__all__ = ["LARGEST_PAGE", "LiveImages", "live_page", "middle_mm"]

VOXELS_MM = (1.5, 2.0, 3.0)
"""Voxels of the T1w image in the live view; the first with which the page is small enough."""

LARGEST_PAGE = 6_000_000
"""Bytes that a mail system or a viewing station takes."""

NOT_BUILT = (
    "This installation was built without the live view, for which Node is needed; the pictures "
    "and tables show the same."
)


@dataclass(frozen=True, eq=False)
class LiveImages:
    """What the live view shows: the T1w image, the brain's mask, and what lies over them.

    Parameters
    ----------
    people
        What everybody has at every voxel; what it takes comes on top of the page's limit.
    """

    t1w: Image
    brain: Image
    maps: Sequence[MapSource]
    masks: Sequence[MaskSource]
    people: PackedPeople | None = None


def live_page(
    title: str,
    sections: Sequence[Section],
    images: LiveImages,
    *,
    label: str,
    side: Side,
    centre_mm: Sequence[float],
    subtitle: str = "",
    links: Sequence[tuple[str, str]] = (),
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
    links
        Address and title of the pages beside this one.
    what_if
        A plan to be edited in the page.
    """
    first, *rest = sections
    if not is_built():
        notice = Section("Live view", (Notice((NOT_BUILT,), level="note"),))
        return render(title, [*sections, notice], subtitle=subtitle, links=links)
    surfaces = view_surfaces(images.brain, images.masks)
    page = ""
    for voxel_mm in VOXELS_MM:
        layers = view_layers(
            images.t1w, images.brain, maps=images.maps, masks=images.masks, voxel_mm=voxel_mm
        )
        live = live_view(Viewer(label, side, centre_mm, layers, surfaces, what_if, images.people))
        shown = [first, Section("Live view", (live.markup,)), *rest]
        page = render(
            title, shown, subtitle=subtitle, links=links, script=live.script, style=live.style
        )
        if len(page.encode()) - live.people_bytes <= LARGEST_PAGE:
            break
    return page


def middle_mm(mask: Image) -> list[float]:
    """Mean place of a mask's voxels, RAS+ mm."""
    middle = np.argwhere(mask.data).mean(axis=0)
    return [float(value) for value in apply_affine(mask.affine, middle)]
