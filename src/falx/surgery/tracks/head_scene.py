"""From a label volume to the planner's scene: sulci, ventricles, protected parts, entries.

Labels are FreeSurfer numbers, as FreeSurfer, FastSurfer, SynthSeg and Falx write them. What a
track keeps away from (sulci, ventricles, vessels) follows Vakharia 2018; margins beside the target
have no published source and are judgements of this project.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.atlas.freesurfer_numbers import AMYGDALA, HIPPOCAMPUS
from falx.core.errors import InputError, check_same_grid
from falx.core.grid import Grid, Side, apply_affine, opposite
from falx.images.nifti import Image
from falx.surgery.tracks.entries import EntryBox, entries_in_box, entries_on_convexity
from falx.surgery.tracks.limits import BESIDE_MM, Limits
from falx.surgery.tracks.scene import Mask, Scene, Target, distance_mm
from falx.surgery.tracks.skull import (
    SKULL_GAP_MM,
    Surface,
    brain_hull,
    brain_of_labels,
    skull_surface,
    sulci,
)

__all__ = ["passage_beside", "scene_from_labels", "scene_of_focus", "share_across"]

PARAHIPPOCAMPAL = {"left": 1016, "right": 2016}
VENTRICLES = (4, 5, 14, 15, 43, 44, 72, 31, 63, 136, 137, 163, 164)
PROTECTED = (10, 16, 28, 49, 60, 85)
"""Thalamus, brainstem, ventral diencephalon, optic chiasm and tract."""

BEYOND_MIDLINE_MM = 25.0
HULL_BORDER_MM = 15.0
FLUID_SHARE = 0.5
"""Share of fluid from which a voxel of the map of fluid belongs to a sulcus."""

VESSEL_MM = 3.0
"""Nearer to a vessel or sinus than this there is no passage: teams keep 2 to 3 mm from vessels."""

CROSSES = 0.05
"""A share of a focus across the midline from which no track is planned: the falx is not known."""

DISEASED = 0.1
"""A share of the focus from which a hippocampus or amygdala counts as part of the disease."""


def passage_beside(
    targets: Mask, fissures: Mask, vessels: Mask | None, grid: Grid, *, within_mm: float
) -> Mask:
    """Where a track needs no margin to fluid, for fluid is the neighbour of the target.

    The margin keeps a fibre from the pial vessels of the sulci that it passes on its way in.
    Hippocampus and amygdala border on the temporal horn all along, which holds no vessel but its
    plexus, and on fissures that lie less than two margins apart; a margin there forbids the
    target itself.
    The track may not run in a fissure, and vessels that are known keep their whole margin. A
    judgement of this project, from the anatomy only.

    Parameters
    ----------
    targets, fissures, vessels
        Shape (X, Y, Z): hippocampus and amygdala, sulci and cisterns, vessels and sinuses.
    within_mm
        Distance from the targets up to which this holds; 0 gives an empty mask.

    Returns
    -------
    ndarray
        bool (X, Y, Z); not the targets themselves.
    """
    if within_mm <= 0:
        return np.zeros(grid.shape, dtype=bool)
    beside = (distance_mm(targets, grid) <= within_mm) & ~fissures & ~targets
    if vessels is not None and vessels.any():
        beside &= distance_mm(vessels, grid) > VESSEL_MM
    return np.asarray(beside)


def scene_from_labels(
    labels: Image,
    signature: Image,
    side: Side,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
    *,
    vessels: Image | None = None,
    sinuses: Image | None = None,
    csf: Image | None = None,
    box: EntryBox | None = None,
    beside_mm: float = BESIDE_MM,
) -> Scene:
    """Build the planner's scene from a label volume and a signature mask.

    Parameters
    ----------
    labels, signature
        FreeSurfer numbers, and booleans on the same native T1w grid.
    to_template
        Maps native points of shape (N, 3), mm, to template mm; used for the entry box only.
    vessels, sinuses
        Boolean, same grid. Without vessels the plan says so; from sinuses tracks keep away.
    csf
        Share of fluid, same grid: where it is more than half, a track meets a sulcus, too.
    beside_mm
        Distance from hippocampus and amygdala up to which :func:`passage_beside` holds.

    Raises
    ------
    GridError, InputError
        If an image is on another grid; if structures, signature or entries are missing.
    """
    _check_grids(labels, signature=signature, vessel_mask=vessels, sinus_mask=sinuses, csf=csf)
    head = _Hemisphere.of(_one_side(labels, side), side, labels, vessels, sinuses, csf)
    targets = np.isin(head.values, (HIPPOCAMPUS[side], AMYGDALA[side]))
    return head.scene(
        entries_in_box(head.skull, to_template, box or EntryBox(), side),
        signature=head.window.take(signature).astype(bool),
        protected=head.protected,
        parahippocampal=_any(head.values == PARAHIPPOCAMPAL[side]),
        passage=head.passage_beside(targets, beside_mm),
    )


def share_across(
    focus: Image, to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]]
) -> tuple[Side, float]:
    """Side on which most of a focus lies, and the share of it across the midline, 0…0.5.

    Parameters
    ----------
    focus
        Booleans on the native T1w grid.
    to_template
        Maps native points of shape (N, 3), mm, to template mm, whose x is 0 at the midline.
    """
    places = apply_affine(focus.affine, np.argwhere(focus.data))
    left = float(np.mean(np.asarray(to_template(places))[:, 0] < 0))
    return ("left", 1.0 - left) if left >= 0.5 else ("right", left)


def scene_of_focus(
    labels: Image,
    focus: Image,
    target: Target,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
    *,
    vessels: Image | None = None,
    sinuses: Image | None = None,
    csf: Image | None = None,
    limits: Limits | None = None,
) -> Scene:
    """Build the planner's scene for a focus anywhere; its side is where most of it lies.

    Entries lie on the convexity of that side (:data:`CONVEXITY`). Protected beside what is so for
    the posterior track are hippocampi and amygdalae, for memory's sake, and what lies beyond the
    inner skull, for the track may be short. A hippocampus or amygdala that holds a tenth of the
    focus is not, and a track keeps no margin to the fluid beside it, as if it were the target.
    Beside any other focus the margin holds up to its border, for sulci hold pial vessels;
    eloquent cortex, tracts and the falx are not known.

    Parameters
    ----------
    labels, focus, vessels, sinuses, csf
        As for :func:`scene_from_labels`; the focus booleans of shape (X, Y, Z) on the same grid.

    Raises
    ------
    GridError, InputError
        If an image is on another grid, or the focus crosses the midline.
    """
    limits = limits or Limits()
    _check_grids(labels, focus=focus, vessel_mask=vessels, sinus_mask=sinuses, csf=csf)
    side, window, mask = _around(focus, labels, target, to_template)
    head = _Hemisphere.of(window, side, labels, vessels, sinuses, csf)
    own, others = _memory(head.values, mask)
    places_mm = apply_affine(window.grid.affine, np.argwhere(mask))
    beyond_skull = distance_mm(head.hull, window.grid) > SKULL_GAP_MM
    return head.scene(
        entries_on_convexity(head.skull, to_template, side, places_mm, limits),
        signature=mask,
        protected=head.protected | others | beyond_skull,
        passage=own | head.passage_beside(own, limits.beside_mm) if own.any() else None,
        focus=mask,
        target=target,
    )


def _around(
    focus: Image,
    labels: Image,
    target: Target,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
) -> tuple[Side, _Window, Mask]:
    """Side of a focus, its hemisphere, and the focus there; refused across the midline."""
    if not focus.data.any():
        raise InputError(f"{target.rated} holds no voxel", do="give the number of another focus")
    side, across = share_across(focus, to_template)
    window = _one_side(labels, side)
    mask = window.take(focus).astype(bool)
    if across >= CROSSES or np.count_nonzero(mask) < np.count_nonzero(focus.data):
        raise InputError(
            f"{target.rated} crosses the midline, and no track from one side is planned for it",
            found=f"{across:.1%} of it on the {opposite(side)}",
            do="choose another focus",
        )
    return side, window, mask


def _memory(values: npt.NDArray[Any], focus: Mask) -> tuple[Mask, Mask]:
    """Hippocampi and amygdalae that are part of a focus, and those that are not."""
    own, others = np.zeros(focus.shape, dtype=bool), np.zeros(focus.shape, dtype=bool)
    for label in (*HIPPOCAMPUS.values(), *AMYGDALA.values()):
        structure = values == label
        share = np.count_nonzero(structure & focus) / np.count_nonzero(focus)
        (own if share >= DISEASED else others)[structure] = True
    return own, others


def _fissures(
    values: npt.NDArray[Any], hull: Mask, csf: npt.NDArray[np.floating] | None, grid: Grid
) -> Mask:
    """Sulci of the labels, and those of the map of fluid that the labels do not know."""
    brain = brain_of_labels(values)
    found = sulci(brain, hull, grid)
    if csf is None:
        return found
    known = np.isin(values, (*VENTRICLES, *HIPPOCAMPUS.values(), *AMYGDALA.values()))
    return found | sulci(brain & ((csf <= FLUID_SHARE) | known), hull, grid)


def _any(mask: Mask) -> Mask | None:
    return mask if mask.any() else None


def _check_grids(labels: Image, **given: Image | None) -> None:
    for name, image in given.items():
        if image is None:
            continue
        check_same_grid(
            f"the {name.replace('_', ' ')}", image.data.shape, image.affine, "the T1w labels",
            labels.data.shape, labels.affine,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Window:
    """A box of voxels of a larger grid, as a grid of its own."""

    slices: tuple[slice, ...]
    grid: Grid

    def take(self, image: Image) -> npt.NDArray[Any]:
        return np.ascontiguousarray(image.data[self.slices])

    def mask(self, image: Image | None) -> Mask | None:
        return None if image is None else self.take(image).astype(bool)


@dataclass(frozen=True, eq=False)
class _Hemisphere:
    """One side of a labelled head: its tissue, the skull over it, its fluid and its vessels."""

    window: _Window
    side: Side
    values: npt.NDArray[Any]
    hull: Mask
    fissures: Mask
    vessels: Mask | None
    sinus: Mask | None

    @classmethod
    def of(
        cls,
        window: _Window,
        side: Side,
        labels: Image,
        vessels: Image | None,
        sinuses: Image | None,
        csf: Image | None,
    ) -> _Hemisphere:
        values = window.take(labels)
        hull = brain_hull(brain_of_labels(values), window.grid)
        fissures = _fissures(values, hull, None if csf is None else window.take(csf), window.grid)
        return cls(
            window, side, values, hull, fissures, window.mask(vessels), window.mask(sinuses)
        )

    @cached_property
    def skull(self) -> Surface:
        return skull_surface(self.hull, self.window.grid)

    @property
    def protected(self) -> Mask:
        return np.isin(self.values, PROTECTED)

    @cached_property
    def bleeding(self) -> Mask:
        given = [mask for mask in (self.vessels, self.sinus) if mask is not None]
        return np.asarray(np.any([np.zeros(self.hull.shape, dtype=bool), *given], axis=0))

    def passage_beside(self, targets: Mask, within_mm: float) -> Mask:
        return passage_beside(
            targets, self.fissures, self.bleeding, self.window.grid, within_mm=within_mm
        )

    def scene(self, entries: Surface, **wanted: Any) -> Scene:
        """Return the planner's scene: what every scene of this side holds, and what is wanted."""
        return Scene(
            grid=self.window.grid,
            side=self.side,
            hippocampus=self.values == HIPPOCAMPUS[self.side],
            amygdala=self.values == AMYGDALA[self.side],
            obstacles=self.fissures | np.isin(self.values, VENTRICLES) | self.bleeding,
            entries_mm=entries.points_mm,
            outward=entries.outward,
            vessels_checked=self.vessels is not None,
            vessels=self.vessels,
            sinus=self.sinus,
            **wanted,
        )


def _one_side(labels: Image, side: Side) -> _Window:
    """Box around the hemisphere of a side and a strip beyond the midline."""
    brain = np.argwhere(brain_of_labels(labels.data))
    both = np.argwhere(np.isin(labels.data, [*HIPPOCAMPUS.values()]))
    if not len(brain) or not len(both):
        raise InputError(
            "the labels hold no hippocampus",
            found=f"{len(np.unique(labels.data))} different labels",
            do="give a segmentation with FreeSurfer numbers",
        )
    x_mm = apply_affine(labels.affine, brain)[:, 0]
    middle_mm = float(np.median(x_mm))
    lateral_mm = middle_mm - x_mm if side == "left" else x_mm - middle_mm
    near = brain[lateral_mm > -BEYOND_MIDLINE_MM]
    border = np.ceil(HULL_BORDER_MM / labels.grid.voxel_sizes_mm).astype(int)
    low = np.maximum(near.min(axis=0) - border, 0)
    high = np.minimum(near.max(axis=0) + border + 1, labels.grid.shape)
    affine = np.array(labels.affine)
    affine[:3, 3] = apply_affine(affine, low)
    size = [int(n) for n in high - low]
    return _Window(
        tuple(slice(a, b) for a, b in zip(low, high, strict=True)),
        Grid((size[0], size[1], size[2]), affine),
    )
