"""Signature and cavity of every patient, by outcome (Mo 2025, supplementary Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from falx.core.grid import apply_affine
from falx.data.priors import template
from falx.images.nifti import Image
from falx.report.page import Block, Figure, Notice, Section, render
from falx.report.slices import Layer, slices

__all__ = ["Overlay", "overlays_page"]

OUTCOMES = {0: "Not seizure free", 1: "Seizure free"}


@dataclass(frozen=True, eq=False)
class Overlay:
    """One patient in template space.

    Parameters
    ----------
    subject
        Label.
    seizure_free
        Outcome.
    signature
        Mask on the template's grid.
    ablation
        Mask on the same, ``None`` without one.
    rate
        Ablative rate of the hippocampus, 0 … 1, ``None`` where there is none.
    """

    subject: str
    seizure_free: bool
    signature: Image
    ablation: Image | None
    rate: float | None


def overlays_page(patients: Sequence[Overlay]) -> str:
    """Return the page: those who were not free of seizures, then those who were."""
    sections = [
        Section(title, [_drawn(one) for one in patients if one.seizure_free == bool(free)])
        for free, title in OUTCOMES.items()
    ]
    kept = [section for section in sections if section.blocks]
    if not kept:
        kept = [Section("Patients", [Notice(["No patient of the group has a signature."])])]
    free = sum(one.seizure_free for one in patients)
    return render(
        "Signature and cavity of every patient",
        kept,
        subtitle=f"{len(patients)} patients, {free} seizure free; each on the common template",
    )


def _drawn(one: Overlay) -> Block:
    """Draw three planes through the middle of the cavity, or else of the signature."""
    layers = [Layer(one.signature, "mask", "orange", label="signature")]
    if one.ablation is not None:
        layers.append(Layer(one.ablation, "contour", "cyan", label="ablation"))
    holding = [layer.image for layer in reversed(layers) if layer.image.data.any()]
    if not holding:
        return Notice([f"sub-{one.subject}: neither signature nor ablation holds anything."])
    middle = apply_affine(holding[0].affine, np.argwhere(holding[0].data)).mean(axis=0)
    rate = "no ablative rate" if one.rate is None else f"ablative rate {100 * one.rate:.1f} %"
    empty = "" if one.signature.data.any() else "; the signature holds nothing"
    cavity = "" if one.ablation is not None else "; no ablation mask"
    return Figure(
        slices(template("t1"), layers, centre_mm=middle.tolist(), spacing_mm=1.5),
        f"sub-{one.subject}: {rate} of the hippocampus{empty}{cavity}.",
    )
