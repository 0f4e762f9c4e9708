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
from falx.core.grid import Grid, Side, apply_affine
from falx.images.nifti import Image
from falx.surgery.tracks.cut_labels import on_skull
from falx.surgery.tracks.limits import BESIDE_MM
from falx.surgery.tracks.scene import PLACES, Mask, Scene, distance_mm

__all__ = [
    "EntryBox",
    "Surface",
    "brain_hull",
    "brain_of_labels",
    "passage_beside",
    "scene_from_labels",
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
