"""Shapes that an ablation has where it is no capsule, and what else changes between two scans.

A fibre that was redirected burns along a bend, neighbouring burns join, fluid and vessels cool one
side, and years later a cavity has collapsed and the temporal horn grown into it. No published
source: sizes are judgements. A proposal that fits a straight tube meets no tube here.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import Side, apply_affine
from falx.images.smooth import smooth
from falx.phantom.heads import Head
from falx.phantom.intensities import rician, smooth_noise

__all__ = ["DISTURBANCES", "SHAPES", "collapsed", "shaped"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

WHITE = 160.0
UNEVEN, COOLED, COOLED_WITHIN_MM = 0.25, 0.6, 2.5
WANDER_MM, WANDER_OVER_MM = 2.5, 14.0
COLLAPSE, COLLAPSE_OVER_MM, HORN_MM = 0.5, 8.0, 2.5
HORN = {"left": (4, 5), "right": (43, 44)}


def shaped(head: Head, side: Side, shape: str, rate: float, rng: np.random.Generator) -> Mask:
    """Voxels (X, Y, Z) of an ablation of some shape that takes a share of the structures."""
    mesial = head.mask(*MESIAL[side])
    size = SHAPES[shape](head, side, rng)
    cut = np.quantile(size[mesial], rate)
    return np.asarray((size <= cut) & (head.tissues() <= 2) & ~head.mask(16, 85))


def _spine(head: Head, side: Side) -> tuple[Floats, Floats, Floats]:
    """Middles of five slabs across the long axis of the mesial structures, from the front.

    Shape (5, 3), with the axis and the middle.
    """
    points = apply_affine(head.affine, np.argwhere(head.mask(*MESIAL[side])))
    middle = points.mean(axis=0)
    axis = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    axis = axis if axis[1] > 0 else -axis
    along = (points - middle) @ axis
    ends = np.quantile(along, np.linspace(0.98, 0.15, 6))
    slabs = [points[(along <= a) & (along >= b)].mean(axis=0)
             for a, b in pairwise(ends)]  # fmt: skip
    return np.array(slabs), axis, middle


def _bent(head: Head, side: Side, rng: np.random.Generator) -> Floats:
    """Burns of uneven width behind each other along the bend of the structures."""
    spine, _, _ = _spine(head, side)
    places = head.grid.centres_mm()
    size = np.full(head.labels.shape, np.inf)
    for first, last in pairwise(spine):
        way = last - first
        along = np.clip((places - first) @ way / (way @ way), 0.0, 1.0)
        away = np.linalg.norm(places - first - along[..., None] * way, axis=-1)
        size = np.minimum(size, away / rng.uniform(1 - UNEVEN, 1 + UNEVEN))
    return size


def _ellipsoids(head: Head, side: Side, rng: np.random.Generator) -> Floats:
    """Three ellipsoids of any direction that join, beside the axis."""
    spine, _, _ = _spine(head, side)
    places = head.grid.centres_mm()
    size = np.full(head.labels.shape, np.inf)
    for middle in spine[[0, 2, 3]]:
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        axes = rng.uniform(0.7, 1.6, 3)
        away = (places - middle - rng.normal(0, 1.5, 3)) @ turn / axes
        size = np.minimum(size, np.linalg.norm(away, axis=-1))
    return size


def _straight(head: Head, side: Side) -> Floats:
    spine, axis, middle = _spine(head, side)
    front, back = ((spine[n] - middle) @ axis for n in (0, -1))
    first, last = middle + front * axis, middle + back * axis
    places, way = head.grid.centres_mm(), last - first
    along = np.clip((places - first) @ way / (way @ way), 0.0, 1.0)
    return np.asarray(np.linalg.norm(places - first - along[..., None] * way, axis=-1))


def _irregular(head: Head, side: Side, rng: np.random.Generator) -> Floats:
    """Let the border of a tube wander by some millimetres."""
    noise = smooth_noise(head.grid, rng, fwhm_mm=WANDER_OVER_MM)
    return np.asarray(_straight(head, side) + WANDER_MM * noise)


def _cooled(head: Head, side: Side, rng: np.random.Generator) -> Floats:
    """Narrow a tube beside fluid, which takes heat along."""
    fluid = np.asarray(head.tissues() == 2)
    away = ndimage.distance_transform_edt(~fluid, sampling=head.grid.voxel_sizes_mm)
    near = smooth((away <= COOLED_WITHIN_MM).astype(np.float32), head.grid.voxel_sizes_mm, 4.0)
    noise = smooth_noise(head.grid, rng, fwhm_mm=WANDER_OVER_MM)
    return np.asarray((_straight(head, side) + noise) / (1.0 - (1.0 - COOLED) * near))


def _two(head: Head, side: Side, rng: np.random.Generator) -> Floats:
    """Two fibres: one ball in front, one tube behind and beside, that do not meet everywhere."""
    spine, _, _ = _spine(head, side)
    places = head.grid.centres_mm()
    front = np.linalg.norm(places - spine[0], axis=-1) / rng.uniform(1.0, 1.3)
    off = rng.normal(0, 2.0, 3)
    first, way = spine[2] + off, spine[4] - spine[2]
    along = np.clip((places - first) @ way / (way @ way), 0.0, 1.0)
    back = np.linalg.norm(places - first - along[..., None] * way, axis=-1)
    return np.asarray(np.minimum(front, back))


SHAPES: dict[str, Callable[[Head, Side, np.random.Generator], Floats]] = {
    "bent": _bent, "ellipsoids": _ellipsoids, "irregular": _irregular, "cooled": _cooled,
    "two": _two, "collapsed": _ellipsoids,
}  # fmt: skip
"""By name: the size at which an ablation takes each voxel, shape (X, Y, Z)."""


def collapsed(
    image: npt.NDArray[np.floating], ablated: Mask, head: Head, side: Side, fluid: float
) -> npt.NDArray[np.floating]:
    """Draw the tissue around an old cavity into it, and let the temporal horn grow.

    The border of what is left lies at half of the cavity's depth; farther tissue follows less.
    """
    sizes = head.grid.voxel_sizes_mm
    horn = ndimage.distance_transform_edt(~head.mask(*HORN[side]), sampling=sizes) <= HORN_MM
    image = np.where(horn & (head.tissues() <= 1), np.float32(fluid), image)
    depth = ndimage.distance_transform_edt(ablated, sampling=sizes)
    signed = ndimage.distance_transform_edt(~ablated, sampling=sizes) - depth
    inward = COLLAPSE * float(depth.max())
    soft = smooth(signed.astype(np.float32), sizes, 3.0)
    normal = np.stack(np.gradient(soft, *sizes))
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-6)
    pull = inward * np.exp(-np.abs(soft + inward) / COLLAPSE_OVER_MM)
    voxels = np.indices(image.shape) + normal * pull / sizes[:, None, None, None]
    return np.asarray(ndimage.map_coordinates(image, voxels, order=1, mode="nearest"))


def _moved(data: npt.NDArray[np.floating], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    """Take an eighth of the lines of k-space from a head that had turned by some degrees."""
    turned = ndimage.rotate(
        data, float(rng.uniform(2.0, 4.0)), axes=(1, 2), reshape=False, order=1
    )
    lines = rng.random(data.shape[1]) < 0.125
    still, other = np.fft.fft(data, axis=1), np.fft.fft(turned, axis=1)
    return np.abs(np.fft.ifft(np.where(lines[None, :, None], other, still), axis=1))


def _other_sequence(
    data: npt.NDArray[np.floating], rng: np.random.Generator
) -> npt.NDArray[np.floating]:
    """Flatten the contrast as another sequence would."""
    return np.asarray(WHITE * (np.maximum(data, 0) / WHITE) ** float(rng.uniform(0.5, 0.8)))


def _noisy(data: npt.NDArray[np.floating], rng: np.random.Generator) -> npt.NDArray[np.floating]:
    """Add three times the usual noise."""
    return rician(np.maximum(data, 0.0), 0.09 * WHITE, rng)


DISTURBANCES: dict[str, Callable[..., npt.NDArray[np.floating]]] = {
    "motion": _moved, "sequence": _other_sequence, "noise": _noisy,
}  # fmt: skip
"""By name: what is done to the image after, shape (X, Y, Z)."""
