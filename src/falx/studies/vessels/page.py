"""The page of proposed vessels: where they are, and what to do before they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.report.page import Block, Figure, Notice, Section, Table, Text, render
from falx.report.slices import Layer, slices
from falx.surgery.tracks.vessels import Contrast, VesselRule

__all__ = ["CONFIRM", "ProposedVessels", "middle_of", "vessel_page", "vessel_words"]

OFFSETS_MM = (-12.0, 0.0, 12.0)

CONFIRM = (
    "This is a proposal of a program and nobody has confirmed it: it misses vessels thinner than "
    "about a voxel, and takes plexus and dura for vessels. Look at every slice, correct it in a "
    "viewer, save it under a name without desc-proposed, and give it to falx plan with --vessels. "
    "A plan that is made with the proposal itself says so on every page and in its file."
)


@dataclass(frozen=True)
class ProposedVessels:
    """What ``falx vessels`` writes beside the mask.

    Parameters
    ----------
    label, contrast
        Subject, and what the image shows.
    volume_ml, targets_mm
        Volume of the proposal, and its least distance to hippocampus and amygdala; None if it is
        empty.
    rule
        How strong a tube had to be.
    confirmed
        Always false: a program cannot confirm.
    """

    label: str
    contrast: Contrast
    volume_ml: float
    targets_mm: float | None
    rule: VesselRule
    confirmed: bool = False
    notices: tuple[str, ...] = ()


def vessel_words(found: ProposedVessels) -> str:
    """Return the answer in a sentence or two."""
    if found.targets_mm is None:
        return (
            "No vessel was found: the image shows no tube that is strong enough. That is no proof "
            "that there is none."
        )
    return (
        f"Proposed: vessels of {found.volume_ml:.1f} ml; the nearest lies "
        f"{found.targets_mm:.1f} mm from hippocampus or amygdala. Nobody has confirmed it."
    )


def vessel_page(
    found: ProposedVessels, t1w: Image, image: Image, mask: Image, centre: Sequence[float]
) -> str:
    """Return the page; `image` and `mask` lie on the grid of `t1w`.

    Parameters
    ----------
    centre
        Middle of what the pictures show, mm, shape (3,).
    """
    some = bool(mask.data.any())
    layers = [Layer(mask, "contour", "cyan", label="proposed vessels")] if some else []
    pictures = [
        Figure(
            slices(one, layers, centre_mm=centre, offsets_mm=OFFSETS_MM),
            f"{name}, proposal outlined; left is shown on the left.",
        )
        for one, name in ((image, "The vessel image on the T1w"), (t1w, "T1w"))
    ]
    rows = [
        ("image", {"t1ce": "T1w with contrast agent", "tof": "time of flight",
                   "swi": "susceptibility"}[found.contrast]),
        ("proposed volume, ml", round(found.volume_ml, 2)),
        ("nearest to hippocampus or amygdala, mm", found.targets_mm),
        ("smallest piece, mm³", found.rule.least_mm3),
        ("strictness", found.rule.strictness),
    ]  # fmt: skip
    blocks: list[Block] = [
        Notice((vessel_words(found),), level="warn"),
        Notice((CONFIRM,)),
        *([Notice(found.notices)] if found.notices else []),
        *pictures,
        Table(("what", "value"), rows),
        Text(
            "Tubes of several widths are sought in what the image shows beyond its tissue, which "
            "is told from the T1w at each grey level."
        ),
    ]
    return render("Proposed vessels", [Section("What was found", blocks)], subtitle=found.label)


def middle_of(mask: npt.NDArray[np.bool_], affine: npt.NDArray[np.float64]) -> list[float]:
    """Mean place of the voxels of a mask of shape (X, Y, Z), mm."""
    return [float(v) for v in apply_affine(affine, np.argwhere(mask)).mean(axis=0)]
