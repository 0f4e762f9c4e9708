"""The page of a proposed ablation: what was found, how sure, and what to do with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.core.grid import Side, apply_affine
from falx.images.nifti import Image
from falx.report.page import Block, Figure, Notice, Section, Table, Text, render
from falx.report.slices import Layer, slices
from falx.surgery.outcome.cavity import CavityRule

__all__ = ["Proposed", "proposal_page", "proposal_words"]

OFFSETS_MM = (-8.0, 0.0, 8.0)

CONFIRM = (
    "This is a proposal of a program and nobody has confirmed it. Look at every slice, correct it "
    "in a viewer, and save it in the dataset as derivatives/ablation/sub-LABEL/ses-preop/anat/"
    "sub-LABEL_ses-preop_label-ablation_mask.nii.gz; only then do falx signature and its group "
    "level use it. A file with desc-proposed in its name is never used by them."
)


@dataclass(frozen=True)
class Proposed:
    """What ``falx ablation`` writes beside the mask.

    Parameters
    ----------
    label
        Subject.
    side
        Side of the proposal; None if there is none.
    confidence
        Agreement (Dice) of the outlines that a little more and a little less evidence give.
    volume_mm3, other_mm3
        What changed beside the hippocampus of that side, and of the other.
    reason
        Why there is no proposal.
    prior
        What the search was held to: ``"hippocampus and amygdala"``, ``"planned ablation"`` or
        ``"seed"``.
    rule
        What a proposal had to be like.
    confirmed
        Always false: a program cannot confirm.
    """

    label: str
    side: Side | None
    confidence: float
    volume_mm3: float
    other_mm3: float
    reason: str
    prior: str
    rule: CavityRule
    confirmed: bool = False
    notices: tuple[str, ...] = ()


def proposal_words(found: Proposed) -> str:
    """Return the answer in a sentence or two."""
    if found.side is None:
        return f"No ablation was found: {found.reason}. Draw it by hand."
    return (
        f"Proposed: an ablation of {found.volume_mm3:.0f} mm³ on the {found.side} "
        f"(outlines with a little more and a little less evidence agree at Dice "
        f"{found.confidence:.2f}). "
        "Nobody has confirmed it."
    )


def proposal_page(found: Proposed, before: Image, after: Image, mask: Image) -> str:
    """Return the page; `after` and `mask` lie on the grid of `before`."""
    rows = [
        ("proposed volume, mm³", round(found.volume_mm3)),
        ("the same rule on the other side, mm³", round(found.other_mm3)),
        ("agreement of outlines with more and less evidence (Dice)", found.confidence),
        ("least volume, mm³", found.rule.least_mm3),
        ("least agreement", found.rule.least_confidence),
        ("least mean change, in units of contrast", found.rule.least_change),
        ("times the other side", found.rule.times_other),
        ("searched within", f"{found.rule.reach_mm:g} mm of {found.prior}"),
    ]
    blocks: list[Block] = [
        Notice((proposal_words(found),), level="warn" if found.side else "fail"),
        *([Notice((CONFIRM,))] if found.side else []),
        *([Notice(found.notices)] if found.notices else []),
    ]
    if mask.data.any():
        centre = apply_affine(mask.affine, np.argwhere(mask.data)).mean(axis=0)
        outline = [Layer(mask, "contour", "orange", label="proposed ablation")]
        for image, name in ((after, "after"), (before, "before")):
            picture = slices(image, outline, centre_mm=centre, offsets_mm=OFFSETS_MM)
            caption = f"T1w {name} the operation, outline proposed; left is shown on the left."
            blocks.append(Figure(picture, caption))
    else:
        blocks.append(Figure(slices(after), "T1w after the operation, brought to the one before."))
    blocks.append(Table(("what", "value"), rows))
    blocks.append(
        Text(
            "The image after is predicted from the one before at each grey level. A core that is "
            "darker than swollen tissue would be, or fluid, is outlined by its own grey level; an "
            "old cavity is drawn .6 mm larger, for it has shrunk. Where contrast agent may have "
            "left a bright rim, what brightened or darkened is filled to its hull and a straight "
            "tube stands for what did not change inside: such outlines are often too large. "
            "What a collapse has moved is not seen, and a core as grey as the tissue was is not "
            "found."
        )
    )
    return render("Proposed ablation", [Section("What was found", blocks)], subtitle=found.label)
