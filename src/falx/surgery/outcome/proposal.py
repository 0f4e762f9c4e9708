"""Which of two looks at an operated brain proposes the ablation: its dark core, or what changed.

A core that is darker than the tissue was, or fluid, is outlined by its grey level
(:mod:`falx.surgery.outcome.dark_core`). Early after an operation with contrast agent the border is
a bright rim instead, and what changed is outlined (:mod:`falx.surgery.outcome.cavity`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid, Side
from falx.images.smooth import smooth
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.cavity import (
    CavityRule,
    Proposal,
    changed,
    closed,
    matched,
    nearer_to,
    pieces_at,
    propose_cavity,
    within,
)
from falx.surgery.outcome.dark_core import Core, Levels, agents_share, dark_core

__all__ = ["propose"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

AGENT_FROM = 0.005
"""Share of the fluid that must be bright before an image counts as one with contrast agent."""

FLUID_LEVEL = 0.08
"""A core up to this share of the contrast above fluid is fluid: an old cavity."""

SHRUNK_CUT, SHRUNK_FWHM_MM = 0.3, 3.0
"""An old cavity is smaller than what was taken: smoothed and cut here it grows by .6 mm."""

PIECE_MM3 = 150.0
"""Smallest further piece of a core."""


def propose(
    before: Floats,
    after: Floats,
    brain: Mask,
    targets: dict[Side, Mask],
    grid: Grid,
    *,
    side: Side | None = None,
    prior: Mask | None = None,
    rule: CavityRule | None = None,
) -> Proposal:
    """Propose what was ablated, or say why nothing is proposed.

    Parameters
    ----------
    before, after
        T1w images on one grid, shape (X, Y, Z).
    brain
        Brain; the proposal keeps inside it.
    targets
        Hippocampus and amygdala of either side, each of shape (X, Y, Z).
    side
        Side of the operation where it is known; the other one is still compared with.
    prior
        A seed or the planned ablation, (X, Y, Z): what is proposed lies near it.
    """
    rule = rule or CavityRule()
    both = matched(before, after, brain, grid)
    first = propose_cavity(
        changed(both, grid), brain, targets, grid, side=side, prior=prior, rule=rule
    )
    if not first.found and first.volume_mm3 >= rule.least_mm3:
        # Much has changed, but on both sides, loosely, or around what did not.
        return first
    second = _by_core(both.levels, brain, targets, grid, side, prior, rule)
    small = second is not None and not second.found and second.volume_mm3 < rule.least_mm3
    return first if second is None or (first.found and small) else second


def _by_core(
    levels: Levels,
    brain: Mask,
    targets: dict[Side, Mask],
    grid: Grid,
    side: Side | None,
    prior: Mask | None,
    rule: CavityRule,
) -> Proposal | None:
    """Proposal by the dark core; None where a bright rim may be the border."""
    outlines: dict[Side, list[Mask]] = {}
    level: dict[Side, float] = {}
    for one, target in targets.items():
        wanted = target if prior is None else prior
        near = levels.where & brain & within(wanted, rule.reach_mm, grid)
        for other, mask in targets.items():
            if other != one and mask.any() and target.any():
                near &= nearer_to(target, mask, grid)
        if not near.any():
            return None
        core = dark_core(levels, near, target, grid)
        level[one] = core.level
        outlines[one] = _outlines(core, near, wanted, grid)
    volume = {
        one: float(masks[1].sum()) * grid.voxel_volume_mm3 for one, masks in outlines.items()
    }
    chosen = side if side is not None else max(volume, key=lambda one: volume[one])
    if level[chosen] > FLUID_LEVEL and agents_share(levels) > AGENT_FROM:
        return None
    less, mask, more = outlines[chosen]
    confidence = dice(less, more) if less.any() else 0.0
    other_mm3 = max(v for one, v in volume.items() if one != chosen)
    reason = _reason(volume[chosen], other_mm3, confidence, rule)
    return Proposal(
        mask=np.zeros_like(mask) if reason else mask,
        share=np.zeros(mask.shape, np.float32) if reason
        else np.mean(outlines[chosen], axis=0).astype(np.float32),
        side=None if reason else chosen,
        confidence=confidence,
        volume_mm3=volume[chosen],
        other_mm3=other_mm3,
        reason=reason,
    )  # fmt: skip


def _outlines(core: Core, near: Mask, wanted: Mask, grid: Grid) -> list[Mask]:
    """Outlines with less, the given and more evidence, filled, each (X, Y, Z)."""
    cut = SHRUNK_CUT if core.level <= FLUID_LEVEL else None
    return [
        _filled(pieces_at(one, wanted, grid, PIECE_MM3), cut, grid) & near for one in core.outlines
    ]


def _filled(mask: Mask, cut: float | None, grid: Grid) -> Mask:
    """Close a mask (the track of the fibre is bright) and, with a cut, let it grow."""
    filled = ndimage.binary_fill_holes(closed(mask, grid))
    if cut is None:
        return np.asarray(filled)
    return np.asarray(
        smooth(filled.astype(np.float32), grid.voxel_sizes_mm, SHRUNK_FWHM_MM) >= cut
    )


def _reason(volume: float, other: float, confidence: float, rule: CavityRule) -> str:
    if volume < rule.least_mm3:
        return (
            f"beside hippocampus and amygdala no more than {volume:.0f} mm³ became darker than "
            f"swollen tissue would ({rule.least_mm3:.0f} mm³ are wanted)"
        )
    if volume < rule.times_other * other:
        return (
            f"the other side changed nearly as much ({other:.0f} mm³ there, {volume:.0f} mm³ "
            f"here; {rule.times_other:g} times as much is wanted)"
        )
    if confidence < rule.least_confidence:
        return (
            "the outline depends on how much darkening is asked for (agreement "
            f"{confidence:.2f}, wanted {rule.least_confidence:g})"
        )
    return ""
