"""A proposal of what a laser took, from the T1w images before and after it.

The image after is brought to the one before, what that one would look like after is predicted
tissue by tissue, and what differs too much beside hippocampus and amygdala is filled to its hull:
the difference method of the classical resection tools (RAMPS: Imaging Neurosci 2025, IMAG.a.147).
No published tool does it for lasers. A proposal is never an
answer: where the difference is small, loose, or as large on the other side, there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy
from scipy import ndimage

from falx.core.errors import InputError
from falx.core.grid import Grid, Side, apply_affine
from falx.images.smooth import smooth
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.dark_core import FLUID_BELOW, Levels, medians_along, spread_by
from falx.surgery.outcome.tube import evidence, fit_tube, gain, tube_along

__all__ = [
    "CavityRule",
    "Matched",
    "Proposal",
    "changed",
    "closed",
    "matched",
    "nearer_to",
    "pieces_at",
    "predicted",
    "propose_cavity",
    "within",
]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

FIELD_FWHM_MM, FIELD_MOST = 40.0, 0.2
"""Smoothness of the difference of the receive fields, and the largest log ratio that counts."""

NOISE_FWHM_MM = 1.6
CLOSING_MM = 3.0
JOINED_MM, PIECE_MM3 = 12.0, 50.0
"""Pieces of one ablation lie no farther apart, and are no smaller: a rim, and a core in it."""

TOUCHING_MM = 3.0
"""A piece so near to the targets belongs to them."""

LEVELS = (0.14, 0.20, 0.27, 0.34, 0.42)
"""Shares of the strongest evidence at which the proposal is made; the middle one decides, and how
far its neighbours agree is its confidence."""

CUTS = (0.4, 0.5, 0.6)
"""What a voxel of the outline costs, as a share of the mean change in the hull; the middle one
decides, and how far the others agree is the confidence."""

LEAST_OF_HULL, LEAST_GAIN = 0.5, 0.75
"""A tube that is smaller than so much of the hull, or holds less of the change, has missed the
ablation, or that is no tube."""

NOISES = 1.0
"""Robust standard deviations, at that steepness of the image, that are taken off a difference."""

BRIGHTER, OEDEMA, IN_FLUID = 0.08, 0.15, 0.5
"""Brightening in units of contrast, and darkening relative to the tissue, that count for nothing;
and what brightening counts in fluid."""

RIM_WITHIN_MM, CORE = 8.0, 0.08
"""Brightening counts so near to a place that has darkened by so much: a rim encloses a core."""

EVIDENCE_FWHM_MM, STRONGEST, LEAST_EVIDENCE = 3.0, 0.9, 0.06
"""Evidence is averaged so far, and its strength is this quantile of what exceeds the least."""


@dataclass(frozen=True)
class CavityRule:
    """What a proposal must be like; choices of this project.

    Parameters
    ----------
    reach_mm
        Farther from hippocampus and amygdala, or from the prior, nothing is looked at.
    least_mm3
        Smallest ablation.
    times_other
        So many times as much must have changed as beside the other hippocampus.
    least_confidence
        Least agreement (Dice) of the proposals at the levels beside the deciding one.
    least_change
        Least mean change in what is marked, in units of contrast. Below it the outline holds
        mostly what did not change: two ablations taken for one, a cavity that has collapsed.
    """

    reach_mm: float = 15.0
    least_mm3: float = 1500.0
    times_other: float = 3.0
    least_confidence: float = 0.6
    least_change: float = 0.05


@dataclass(frozen=True, eq=False)
class Proposal:
    """What may have been ablated; no mask where the images do not say.

    Parameters
    ----------
    mask
        Shape of the T1w before, bool; empty if nothing was found.
    share
        float32, same shape: share of the cuts at which a voxel belongs to the outline.
    side
        Side of the ablation; None if nothing was found.
    confidence
        Smaller of two agreements (Dice), 0…1: of what changed at a lower and a higher level, and
        of the outlines at a lower and a higher cut.
    volume_mm3, other_mm3
        Proposed volume, and what the same rule marks beside the other hippocampus.
    reason
        Why there is no proposal; empty if there is one.
    """

    mask: Mask
    share: Floats
    side: Side | None
    confidence: float
    volume_mm3: float
    other_mm3: float
    reason: str

    @property
    def found(self) -> bool:
        """Whether there is a proposal."""
        return self.side is not None


@dataclass(frozen=True, eq=False)
class Matched:
    """Two images, smoothed, and what the first lets expect of the second, each (X, Y, Z).

    `second` is free of the smooth ratio of the receive fields; `seen` is where both are known.
    """

    first: Floats
    expected: Floats
    second: Floats
    seen: Mask

    @property
    def contrast(self) -> tuple[float, float]:
        """Grey levels of fluid and of white matter: the 5th and 90th percentile expected."""
        dark, bright = np.percentile(self.expected[self.seen], [5, 90])
        return float(dark), float(bright)

    @property
    def levels(self) -> Levels:
        """Levels in units of white matter."""
        dark, bright = self.contrast
        unit = np.float32(bright)
        return Levels(self.expected / unit, self.second / unit, self.seen, dark / bright)


def matched(before: Floats, after: Floats, brain: Mask, grid: Grid) -> Matched:
    """Predict the image after from the one before, and take their receive fields out.

    The prediction is the median of the image after at each grey level of the image before, so
    that another sequence or another window changes nothing.

    Parameters
    ----------
    before, after
        On one grid, shape (X, Y, Z).
    brain
        Where the two are compared.

    Raises
    ------
    InputError
        If the image after covers less than half of the brain.
    """
    sizes = grid.voxel_sizes_mm
    first = smooth(before, sizes, NOISE_FWHM_MM, mask=brain)
    second = smooth(after, sizes, NOISE_FWHM_MM, mask=brain)
    seen = brain & (second > 0)
    if np.count_nonzero(seen) < 0.5 * np.count_nonzero(brain):
        raise InputError(
            "the post-operative image covers less than half of the brain",
            found=f"{np.count_nonzero(seen) / np.count_nonzero(brain):.0%}",
            do="check the coregistration, or give an image of the whole brain",
        )
    field = np.zeros(before.shape, np.float32)
    for _ in range(2):
        expected = predicted(first, second * np.exp(-field), seen)
        ratio = np.log(np.maximum(second, 1e-3) / np.maximum(expected, 1e-3))
        good = seen & (np.abs(ratio - field) < FIELD_MOST)
        weight = smooth(good.astype(np.float32), sizes, FIELD_FWHM_MM)
        field = smooth(np.where(good, ratio, 0).astype(np.float32), sizes, FIELD_FWHM_MM)
        field = np.where(weight > 1e-3, field / np.maximum(weight, 1e-3), 0).astype(np.float32)
    return Matched(first, expected, np.asarray(second * np.exp(-field), np.float32), seen)


def changed(both: Matched, grid: Grid) -> Floats:
    """Difference between the image after and what is predicted of the image before.

    Returns
    -------
    ndarray
        float32, (X, Y, Z), in units of the contrast between the 5th and 90th percentile of what
        is predicted; 0 outside the brain, and lowered by what edges and noise make.
    """
    dark, bright = both.contrast
    difference = np.where(both.seen, both.second - both.expected, 0) / (bright - dark)
    slope = np.linalg.norm(np.gradient(both.first, *grid.voxel_sizes_mm), axis=0)
    noise = spread_by(slope, difference, both.seen)
    slight = np.where(difference > 0, BRIGHTER, OEDEMA * both.expected / (bright - dark))
    lowered = np.maximum(np.abs(difference) - NOISES * noise - slight, 0.0)
    # What takes contrast in fluid is plexus and vessels more often than a rim.
    fluid = both.expected < dark + FLUID_BELOW * (bright - dark)
    lowered = np.where(fluid & (difference > 0), IN_FLUID * lowered, lowered)
    return np.asarray(np.sign(difference) * lowered, np.float32)


def predicted(first: Floats, second: Floats, seen: Mask) -> Floats:
    """Return the median of the second image at each grey level of the first, all (X, Y, Z).

    In between linearly; levels and medians are those of the mask `seen`.
    """
    places, medians = medians_along(first[seen], second[seen])
    return np.interp(first, places, medians).astype(np.float32)


def propose_cavity(
    difference: Floats,
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
    difference
        From :func:`changed`, shape (X, Y, Z).
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
    found = {
        one: _at_levels(difference, brain, targets, one, grid, prior, rule) for one in targets
    }
    middle = len(LEVELS) // 2
    volume = {
        one: float(masks[middle].sum()) * grid.voxel_volume_mm3 for one, masks in found.items()
    }
    sides = list(volume)
    chosen = side if side is not None else sides[int(np.argmax([volume[one] for one in sides]))]
    masks = found[chosen]
    confidence = dice(masks[middle - 1], masks[middle + 1]) if masks[middle + 1].any() else 0.0
    other = max(v for one, v in volume.items() if one != chosen)
    change = evidence(difference, masks[middle])
    reason = _reason(volume[chosen], other, confidence, change, rule)
    outlines = [np.zeros(brain.shape, bool)]
    if not reason:
        wanted = targets[chosen] if prior is None else prior
        inside = brain & within(wanted, rule.reach_mm, grid)
        outlines = _outlines(difference, inside, wanted, masks[middle - 1 : middle + 2], grid)
        confidence = min(confidence, dice(outlines[0], outlines[-1]))
    mask = outlines[len(outlines) // 2]
    return Proposal(
        mask=mask,
        share=np.asarray(np.mean(outlines, axis=0), dtype=np.float32),
        side=None if reason else chosen,
        confidence=float(confidence),
        volume_mm3=volume[chosen] if reason else float(mask.sum()) * grid.voxel_volume_mm3,
        other_mm3=other,
        reason=reason,
    )


def _outlines(
    difference: Floats, inside: Mask, wanted: Mask, hulls: list[Mask], grid: Grid
) -> list[Mask]:
    """Return the outline at every cut, each (X, Y, Z): a tube, or the hull if that holds more."""
    hull = hulls[1]
    starts = [tube_along(wanted, grid), tube_along(hull, grid)]
    mean = evidence(difference, hull)
    cuts = [share * mean for share in CUTS]
    middle = cuts[len(cuts) // 2]
    best = fit_tube(difference, inside, grid, starts, middle)
    tube = best.mask(grid, inside)
    small = tube.sum() < LEAST_OF_HULL * hull.sum()
    least = LEAST_GAIN * gain(difference, hull, middle)
    if small or gain(difference, tube, middle) < least:
        return hulls
    return [
        tube if cut == middle
        else fit_tube(difference, inside, grid, [best], cut).mask(grid, inside)
        for cut in cuts
    ]  # fmt: skip


def _reason(
    volume: float, other: float, confidence: float, change: float, rule: CavityRule
) -> str:
    if volume < rule.least_mm3:
        return (
            f"beside hippocampus and amygdala no more than {volume:.0f} mm³ changed as an "
            f"ablation does ({rule.least_mm3:.0f} mm³ are wanted; what brightened without a core "
            "that darkened does not count)"
        )
    if volume < rule.times_other * other:
        return (
            f"the other side changed nearly as much ({other:.0f} mm³ there, {volume:.0f} mm³ "
            f"here; {rule.times_other:g} times as much is wanted)"
        )
    if confidence < rule.least_confidence:
        return (
            f"the outline depends on where the difference is cut (agreement {confidence:.2f}, "
            f"wanted {rule.least_confidence:g})"
        )
    if change < rule.least_change:
        return (
            f"most of what lies between the places that changed did not (mean change {change:.3f} "
            f"of the contrast, wanted {rule.least_change:g}): there may be two ablations, a "
            "faint one, or an old cavity that has collapsed"
        )
    return ""


def _at_levels(
    difference: Floats,
    brain: Mask,
    targets: dict[Side, Mask],
    side: Side,
    grid: Grid,
    prior: Mask | None,
    rule: CavityRule,
) -> list[Mask]:
    """Return the hull of what changed on a side at every level, each (X, Y, Z)."""
    empty = np.zeros(brain.shape, bool)
    near = within(targets[side] if prior is None else prior, rule.reach_mm, grid)
    for other, mask in targets.items():
        if other != side and mask.any() and targets[side].any():
            near &= nearer_to(targets[side], mask, grid)
    near &= brain
    if not near.any():
        return [empty] * len(LEVELS)
    box = ndimage.find_objects(near.astype(np.uint8))[0]
    part, inside = difference[box], near[box]
    wanted = (targets[side] if prior is None else prior)[box]
    strength = _evidence(part, inside, grid)
    strong = strength[strength > LEAST_EVIDENCE]
    out = []
    for level in LEVELS:
        mask = empty.copy()
        if strong.size:
            cut = max(level * float(np.quantile(strong, STRONGEST)), LEAST_EVIDENCE)
            mask[box] = _one_level(strength, wanted, cut, grid) & inside
        out.append(mask)
    return out


def _evidence(difference: Floats, inside: Mask, grid: Grid) -> Floats:
    """Return what brightening and strong darkening add up to around each voxel."""
    sizes = grid.voxel_sizes_mm
    darker = smooth(np.where(inside, np.maximum(-difference, 0), 0), sizes, EVIDENCE_FWHM_MM)
    core = darker > CORE
    counts = np.where(
        within(core, RIM_WITHIN_MM, grid) if core.any() else core, np.abs(difference), 0
    )
    near = smooth(np.where(inside, counts, 0), sizes, EVIDENCE_FWHM_MM)
    return np.where(inside, near, np.float32(0))


def within(mask: Mask, reach_mm: float, grid: Grid) -> Mask:
    """Voxels no farther than a distance from a mask, both (X, Y, Z)."""
    return np.asarray(
        ndimage.distance_transform_edt(~mask, sampling=grid.voxel_sizes_mm) <= reach_mm
    )


def nearer_to(mine: Mask, other: Mask, grid: Grid) -> Mask:
    """Voxels nearer to the middle of one mask than to that of the other."""
    places = [apply_affine(grid.affine, np.argwhere(m)).mean(axis=0) for m in (mine, other)]
    normal = places[1] - places[0]
    along = (grid.centres_mm() - 0.5 * (places[0] + places[1])) @ normal
    return np.asarray(along < 0)


def _one_level(strength: Floats, wanted: Mask, level: float, grid: Grid) -> Mask:
    """Hull of the pieces above a level, from the largest that reaches what is wanted."""
    return _hull(pieces_at(closed(strength >= level, grid), wanted, grid, PIECE_MM3))


def closed(mask: Mask, grid: Grid) -> Mask:
    """Close a mask (X, Y, Z) by a ball, at its borders as elsewhere."""
    padded = ndimage.binary_closing(np.pad(mask, 4), _ball(CLOSING_MM, grid))
    return np.asarray(padded[4:-4, 4:-4, 4:-4])


def pieces_at(mask: Mask, wanted: Mask, grid: Grid, least_mm3: float) -> Mask:
    """Pieces of a mask, (X, Y, Z), that belong to one ablation beside what is wanted.

    The largest that reaches it, and those near that one that reach it, too, and are not smaller
    than the least; empty if none reaches it.
    """
    labels, number = ndimage.label(mask)
    reached = np.bincount(labels[within(wanted, TOUCHING_MM, grid)], minlength=number + 1)
    reached[0] = 0
    if not reached.any():
        return np.zeros_like(mask)
    largest = labels == int(reached.argmax())
    sizes = np.bincount(labels.ravel(), minlength=number + 1) * grid.voxel_volume_mm3
    beside = np.bincount(labels[within(largest, JOINED_MM, grid)], minlength=number + 1) > 0
    joined = beside & (reached > 0) & (sizes >= least_mm3)
    joined[0] = False
    return np.asarray(largest | joined[labels])


def _ball(radius_mm: float, grid: Grid) -> Mask:
    """Voxels of a ball about the middle of a small box, shape (x, y, z)."""
    reach = np.floor(radius_mm / grid.voxel_sizes_mm).astype(int)
    axes = [np.arange(-n, n + 1) * s for n, s in zip(reach, grid.voxel_sizes_mm, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.asarray(x * x + y * y + z * z <= radius_mm * radius_mm + 1e-6)


def _hull(mask: Mask) -> Mask:
    """Voxels in the convex hull of a mask, shape (X, Y, Z)."""
    voxels = np.argwhere(mask)
    if len(voxels) < 10 or np.any(np.ptp(voxels, axis=0) < 2):
        return mask
    hull = scipy.spatial.ConvexHull(voxels)
    every = np.indices(mask.shape).reshape(3, -1)
    deepest = (hull.equations[:, :3] @ every + hull.equations[:, 3:]).max(axis=0)
    return np.asarray((deepest <= 1e-6).reshape(mask.shape))
