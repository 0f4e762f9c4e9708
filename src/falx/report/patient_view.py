"""The layers of a patient's live view, small enough for one file and without a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid, apply_affine, bounds_mm
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.report.mesh import surface
from falx.report.viewer import Colour, SurfaceLayer, VolumeLayer

__all__ = ["MapSource", "MaskSource", "view_layers", "view_surfaces"]

MAP_COARSER_MM = 0.5
"""How much coarser maps are kept than the T1w image, for they are smoother."""

MESH_VOXEL_MM = 3.0
FACE_MARGIN_MM = 15.0
"""Tissue kept around the brain; more would let a face be rebuilt."""

BRAIN_RGBA = (200, 200, 205, 60)
GREY_LEVELS = 255
VALUE_LEVELS = 5000
"""Steps of the T1w image as it is drawn, and of its values at a click."""


@dataclass(frozen=True, eq=False)
class MapSource:
    """A map shown over the T1w image, such as PET or the asymmetry.

    Parameters
    ----------
    low, high
        What is coloured, after `sign`.
    step
        Rounding of the values.
    sign
        -1 turns the values, for maps whose lows are looked for.
    unit
        What stands behind the numbers of the colour bar.
    """

    name: str
    title: str
    image: Image
    colormap: str
    low: float
    high: float
    step: float
    sign: int = 1
    unit: str = ""


@dataclass(frozen=True, eq=False)
class MaskSource:
    """A mask shown in one colour, as voxels in the planes and as a surface in 3D."""

    name: str
    title: str
    image: Image
    colour: Colour
    shown: bool = True
    alpha: int = 110


def view_layers(
    t1w: Image,
    brain: Image,
    *,
    maps: Sequence[MapSource],
    masks: Sequence[MaskSource],
    voxel_mm: float = 1.5,
) -> list[VolumeLayer]:
    """Return T1w, maps and masks, cut to the head around the brain, ready for the planes.

    Maps keep every n-th voxel of their own grid and masks every voxel, so that a click shows
    values of the files themselves. The T1w image is drawn interpolated and rounded; so its
    values are kept as those of a map, in a layer that is read and not drawn.

    Parameters
    ----------
    brain
        Boolean, native space: sets the box, and what of the head is kept.
    voxel_mm
        Voxels of the T1w image; maps are kept a little coarser.
    """
    near = _near(brain, _box(brain, voxel_mm))
    layers = [_background(t1w, near)]
    for source in maps:
        kept = _kept(source.image, brain, near, voxel_mm)
        layers.append(
            VolumeLayer(
                source.name, source.title, Image(kept.data * source.sign, kept.affine),
                source.colormap, 0.7, source.low, source.high, source.step, shown=False,
                threshold=True, sign=source.sign, unit=source.unit,
            )
        )  # fmt: skip
    for mask in masks:
        image = _cut(mask.image, brain)
        layers.append(
            VolumeLayer(
                mask.name, mask.title, Image(image.data.astype(np.uint8), image.affine),
                mask.colour, 0.6, 0.5, 1.0, shown=mask.shown,
            )
        )  # fmt: skip
    ceiling = layers[0].high
    values = _kept(t1w, brain, near, voxel_mm)
    layers.append(
        VolumeLayer("t1w-values", "T1w", values, high=ceiling, step=ceiling / VALUE_LEVELS,
                    shown=False, values_of="t1w")
    )  # fmt: skip
    return layers


def view_surfaces(brain: Image, masks: Sequence[MaskSource]) -> list[SurfaceLayer]:
    """Return surfaces of the targets and of the brain; never skin."""
    coarse = _box(brain, MESH_VOXEL_MM)
    whole = Image(resample(_floating(brain), coarse) >= 0.5, coarse.affine)
    found = [
        SurfaceLayer(mask.name, surface(mask.image), (*mask.colour, mask.alpha))
        for mask in masks
        if mask.image.data.any()
    ]
    # Transparent surfaces hide what is drawn after them, so the brain comes last.
    return [*found, SurfaceLayer("brain", surface(whole, smooth_voxels=1.0), BRAIN_RGBA)]


def _background(t1w: Image, near: Image) -> VolumeLayer:
    grey = resample(t1w, near.grid) * near.data
    ceiling = float(np.quantile(grey[near.data], 0.999)) or 1.0
    step = ceiling / GREY_LEVELS
    return VolumeLayer(
        "t1w", "T1w", Image(np.clip(grey, 0, ceiling), near.affine), low=5 * step,
        high=ceiling, step=step,
    )  # fmt: skip


def _kept(image: Image, brain: Image, near: Image, voxel_mm: float) -> Image:
    """Every n-th voxel of an image around the brain, nothing of the face among them."""
    thin = _thinned(_cut(image, brain), voxel_mm + MAP_COARSER_MM)
    inside = resample(_floating(near), thin.grid) >= 0.5
    return Image(thin.data * inside, thin.affine)


def _floating(mask: Image) -> Image:
    return Image(np.asarray(mask.data, dtype=np.float32), mask.affine)


def _corners_mm(brain: Image) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    low, high = bounds_mm(brain.data, brain.affine)
    return low - FACE_MARGIN_MM, high + FACE_MARGIN_MM


def _box(brain: Image, voxel_mm: float) -> Grid:
    """Axis-aligned grid around the brain."""
    low, high = _corners_mm(brain)
    shape = np.ceil((high - low) / voxel_mm).astype(int) + 1
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = low
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _cut(image: Image, brain: Image) -> Image:
    """Part of an image around the brain, on its own voxels."""
    low, high = _corners_mm(brain)
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    voxels = apply_affine(np.linalg.inv(image.affine), corners)
    first = np.clip(np.floor(voxels.min(axis=0)).astype(int), 0, image.data.shape)
    last = np.clip(np.ceil(voxels.max(axis=0)).astype(int) + 1, 0, image.data.shape)
    affine = np.array(image.affine)
    affine[:3, 3] = apply_affine(affine, first)
    window = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return Image(np.ascontiguousarray(image.data[window]), affine)


def _thinned(image: Image, voxel_mm: float) -> Image:
    """Every n-th voxel, so that voxels are about as large as asked."""
    steps = np.maximum(1, np.rint(voxel_mm / image.grid.voxel_sizes_mm).astype(int))
    affine = np.array(image.affine)
    affine[:3, :3] *= steps
    return Image(np.ascontiguousarray(image.data[tuple(slice(None, None, s) for s in steps)]),
                 affine)  # fmt: skip


def _near(brain: Image, grid: Grid) -> Image:
    """Whether voxels of a grid lie near enough to the brain to be shown."""
    inside = resample(_floating(brain), grid) >= 0.5
    distance = ndimage.distance_transform_edt(~inside, sampling=grid.voxel_sizes_mm)
    return Image(distance <= FACE_MARGIN_MM, grid.affine)
