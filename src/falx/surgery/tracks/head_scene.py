"""From a label volume to the planner's scene: sulci, ventricles, protected parts, entries.

Labels are FreeSurfer numbers, as FreeSurfer, FastSurfer, SynthSeg and Falx write them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.atlas.freesurfer_numbers import AMYGDALA, HIPPOCAMPUS
from falx.core.errors import InputError, check_same_grid
from falx.core.grid import Grid, Side, apply_affine, opposite
from falx.images.nifti import Image
from falx.surgery.tracks.cut_labels import on_skull
from falx.surgery.tracks.limits import BESIDE_MM, Limits
from falx.surgery.tracks.scene import PLACES, Mask, Scene, Target, distance_mm

__all__ = [
    "EntryBox",
    "Surface",
    "brain_hull",
    "brain_of_labels",
    "passage_beside",
    "scene_from_labels",
    "scene_of_focus",
    "share_across",
    "skull_surface",
    "sulci",
]

PARAHIPPOCAMPAL = {"left": 1016, "right": 2016}
VENTRICLES = (4, 5, 14, 15, 43, 44, 72, 31, 63, 136, 137, 163, 164)
PROTECTED = (10, 16, 28, 49, 60, 85)
"""Thalamus, brainstem, ventral diencephalon, optic chiasm and tract."""

NOT_BRAIN = (0, 24, 165, 257, 258, 259)
HIGHEST_BRAIN_LABEL = 255

CLOSING_MM = 4.0
SULCUS_DEPTH_MM = 3.0
SKULL_GAP_MM = 5.0
NORMAL_SIGMA_MM = 3.0
BEYOND_MIDLINE_MM = 25.0
HULL_BORDER_MM = 15.0
FLUID_SHARE = 0.5
"""Share of fluid from which a voxel of the map of fluid belongs to a sulcus."""

VESSEL_MM = 3.0
"""Nearer to a vessel or sinus than this there is no passage: teams keep 2 to 3 mm from vessels."""


@dataclass(frozen=True)
class EntryBox:
    """Where a posterior track may enter, in template mm; x is counted from the midline.

    The cadaver route of Holanda 2017 enters below the lambdoid suture, within 40 mm of the
    transverse and sagittal sinus; the box around it is a choice of this project.
    """

    x_mm: tuple[float, float] = (15.0, 70.0)
    y_mm: tuple[float, float] = (-200.0, -60.0)
    z_mm: tuple[float, float] = (-20.0, 50.0)

    def holds(self, template_mm: npt.NDArray[np.floating], side: Side) -> Mask:
        """Whether points of shape (N, 3) lie in the box on one side."""
        lateral = -template_mm[:, 0] if side == "left" else template_mm[:, 0]
        inside = np.ones(len(template_mm), dtype=bool)
        for values, (low, high) in (
            (lateral, self.x_mm),
            (template_mm[:, 1], self.y_mm),
            (template_mm[:, 2], self.z_mm),
        ):
            inside &= (values > low) & (values < high)
        return inside


CONVEXITY = (
    EntryBox((15.0, 200.0), (-200.0, 20.0), (-20.0, 200.0)),
    EntryBox((15.0, 200.0), (20.0, 200.0), (10.0, 200.0)),
)
"""Where a track to a focus may enter: the convexity of a side, above the ear and, in front, above
the orbit and the frontal sinus; as far from the midline as the box of the posterior track, for the
sagittal sinus runs there. A choice of this project."""

LOOSEST_LENGTH_MM, LOOSEST_ANGLE_DEG = 140.0, 40.0
"""Up to which these limits are relaxed where no plan is found: entries farther away are no use."""

MOST_ENTRIES = 12_000
"""Of the convexity, evenly thinned: less than 3 mm apart on a whole hemisphere."""

CROSSES = 0.05
"""A share of a focus across the midline from which no track is planned: the falx is not known."""

DISEASED = 0.1
"""A share of the focus from which a hippocampus or amygdala counts as part of the disease."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Points on the skull and their outward unit normals, both of shape (N, 3), mm."""

    points_mm: npt.NDArray[np.float64]
    outward: npt.NDArray[np.float64]


def brain_hull(brain: Mask, grid: Grid, *, closing_mm: float = CLOSING_MM) -> Mask:
    """Brain with its sulci filled: a morphological closing by a ball."""
    grown = distance_mm(brain, grid) <= closing_mm
    return np.asarray(distance_mm(~grown, grid) > closing_mm)


def sulci(brain: Mask, hull: Mask, grid: Grid, *, depth_mm: float = SULCUS_DEPTH_MM) -> Mask:
    """Return what the hull fills between gyri, deeper than `depth_mm` below its surface.

    The shallower part is the space over the gyri, which every track must cross.
    """
    return np.asarray(hull & ~brain & (distance_mm(~hull, grid) > depth_mm))


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


def skull_surface(hull: Mask, grid: Grid, *, gap_mm: float = SKULL_GAP_MM) -> Surface:
    """Inner skull taken as the hull grown by `gap_mm`; normals from its smoothed distance."""
    distance = distance_mm(hull, grid)
    step_mm = float(grid.voxel_sizes_mm.max())
    shell = np.argwhere((distance > gap_mm - step_mm) & (distance <= gap_mm))
    smooth = ndimage.gaussian_filter(
        distance, NORMAL_SIGMA_MM / grid.voxel_sizes_mm, mode="nearest", truncate=3.0
    )
    # The gradient in voxels becomes one in mm by the inverse transpose of the axes.
    slope = np.stack([np.asarray(part)[tuple(shell.T)] for part in np.gradient(smooth)], axis=1)
    outward = slope @ np.linalg.inv(grid.affine[:3, :3])
    length = np.linalg.norm(outward, axis=1)
    steep = length > 1e-6
    points = np.round(apply_affine(grid.affine, shell[steep]), PLACES)
    return Surface(points, outward[steep] / length[steep, None])


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
    window = _one_side(labels, side)
    grid, values = window.grid, window.take(labels)
    surface = skull_surface(hull := brain_hull(brain_of_labels(values), grid), grid)
    allowed = _allowed(surface, to_template, box or EntryBox(), side)
    fissures = _fissures(values, hull, None if csf is None else window.take(csf), grid)
    bleeding = _bleeding(window, vessels, sinuses)
    targets = np.isin(values, (HIPPOCAMPUS[side], AMYGDALA[side]))
    return Scene(
        grid=grid,
        side=side,
        signature=window.take(signature).astype(bool),
        hippocampus=values == HIPPOCAMPUS[side],
        amygdala=values == AMYGDALA[side],
        obstacles=fissures | np.isin(values, VENTRICLES) | bleeding,
        protected=np.isin(values, PROTECTED),
        entries_mm=surface.points_mm[allowed],
        outward=surface.outward[allowed],
        vessels_checked=vessels is not None,
        sinus=window.mask(sinuses),
        parahippocampal=_any(values == PARAHIPPOCAMPAL[side]),
        vessels=window.mask(vessels),
        passage=passage_beside(targets, fissures, bleeding, grid, within_mm=beside_mm),
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
    grid, values = window.grid, window.take(labels)
    surface = skull_surface(hull := brain_hull(brain_of_labels(values), grid), grid)
    entries = _convexity(surface, to_template, side, apply_affine(grid.affine, np.argwhere(mask)),
                         limits)  # fmt: skip
    fissures = _fissures(values, hull, None if csf is None else window.take(csf), grid)
    bleeding = _bleeding(window, vessels, sinuses)
    own, others = _memory(values, mask)
    beside = passage_beside(own, fissures, bleeding, grid, within_mm=limits.beside_mm)
    return Scene(
        grid=grid,
        side=side,
        signature=mask,
        hippocampus=values == HIPPOCAMPUS[side],
        amygdala=values == AMYGDALA[side],
        obstacles=fissures | np.isin(values, VENTRICLES) | bleeding,
        protected=np.isin(values, PROTECTED) | others | (distance_mm(hull, grid) > SKULL_GAP_MM),
        entries_mm=entries.points_mm,
        outward=entries.outward,
        vessels_checked=vessels is not None,
        sinus=window.mask(sinuses),
        vessels=window.mask(vessels),
        passage=own | beside if own.any() else None,
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


def _convexity(
    surface: Surface,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
    side: Side,
    focus_mm: npt.NDArray[np.float64],
    limits: Limits,
) -> Surface:
    """Points of the convexity from which a straight way to some point of a focus may keep limits.

    The focus, shape (N, 3), is taken as the ball around its middle that holds it. The order and
    the thinning are the same on either side.
    """
    there = np.asarray(to_template(surface.points_mm))
    good = np.any([box.holds(there, side) for box in CONVEXITY], axis=0)
    middle = focus_mm.mean(axis=0)
    radius = float(np.linalg.norm(focus_mm - middle, axis=1).max())
    way = middle - surface.points_mm
    far = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    good &= far - radius <= max(limits.max_length_mm, LOOSEST_LENGTH_MM)
    cosine = np.einsum("ij,ij->i", -surface.outward, way) / far
    wide = np.degrees(np.arcsin(np.minimum(radius / far, 1.0)))
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1))) - wide
    good &= angle <= max(limits.max_angle_deg, LOOSEST_ANGLE_DEG)
    if not good.any():
        raise InputError(
            f"no entry on the convexity of the {side} can reach the focus",
            do="check the registration to the template, or choose another focus",
        )
    good[good] = on_skull(there[good])
    rows = np.flatnonzero(good)
    x, y, z = surface.points_mm[rows].T
    rows = rows[np.lexsort((z, y, -x if side == "left" else x))]
    if len(rows) > MOST_ENTRIES:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ENTRIES).round().astype(int)]
    return Surface(surface.points_mm[rows], surface.outward[rows])


def _allowed(
    surface: Surface,
    to_template: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.floating]],
    box: EntryBox,
    side: Side,
) -> Mask:
    places = np.asarray(to_template(surface.points_mm))
    allowed = box.holds(places, side)
    if not allowed.any():
        raise InputError(
            f"no entry on the {side} lies in the posterior entry box",
            do="check the registration to the template, or widen the box",
        )
    allowed[allowed] = on_skull(places[allowed])
    return allowed


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


def _bleeding(window: _Window, *given: Image | None) -> Mask:
    masks = [mask for mask in map(window.mask, given) if mask is not None]
    return np.asarray(np.any([np.zeros(window.grid.shape, dtype=bool), *masks], axis=0))


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


def brain_of_labels(values: npt.NDArray[np.integer]) -> Mask:
    """Voxels of the brain and its ventricles in FreeSurfer numbers of shape (X, Y, Z)."""
    cortex = (values >= 1000) & (values < 3000)
    low = (values <= HIGHEST_BRAIN_LABEL) & ~np.isin(values, NOT_BRAIN)
    return np.asarray(low | cortex)


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
