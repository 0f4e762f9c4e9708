"""What hospitals and archives do to a T1-weighted head, each with the truth on the same grid.

Every nuisance takes a head and a generator and gives an image with its labels. Noise and receive
field are those of :mod:`falx.phantom.intensities` (Gudbjartsson & Patz 1995); the sizes of the
others are judgements, stated at each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from falx.core.errors import check_range
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.images.resample import resample
from falx.phantom.heads import Head
from falx.phantom.intensities import MrQuality, rician, t1w
from falx.phantom.lesion import atrophy

__all__ = ["NUISANCES", "Observed", "regridded"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

WHITE, FLUID = 160.0, 44.0
BRAIN = (0, 1, 2)
LATERAL = ((4, 2), (43, 41))
"""Lateral ventricle and the white matter of its side."""


@dataclass(frozen=True, eq=False)
class Observed:
    """An image and what is true on its grid.

    Parameters
    ----------
    image
        Shape (X, Y, Z), T1w.
    head
        Labels on the same grid, with the same affine.
    """

    image: Image
    head: Head


def regridded(head: Head, voxel_mm: npt.ArrayLike) -> Head:
    """Labels of a head on voxels of another size, by nearest neighbour.

    Parameters
    ----------
    voxel_mm
        Edge or edges, mm; scalar or shape (3,).
    """
    sizes = np.broadcast_to(np.asarray(voxel_mm, dtype=np.float64), 3)
    for size in sizes:
        check_range("voxel_mm", float(size), 0.5, 6.0, unit="mm")
    factor = sizes / head.grid.voxel_sizes_mm
    x, y, z = (int(n) for n in np.array(head.labels.shape) / factor)
    affine = head.affine @ np.diag([*factor, 1.0])
    affine[:3, 3] += head.affine[:3, :3] @ (0.5 * (factor - 1.0))
    labels = resample(Image(head.labels, head.affine), Grid((x, y, z), affine), how="nearest")
    return Head(np.asarray(labels, dtype=np.int16), affine)


def _imaged(head: Head, rng: np.random.Generator, **quality: float) -> Observed:
    return Observed(Image(t1w(head, rng, MrQuality(**quality)), head.affine), head)


def _with(seen: Observed, data: npt.NDArray[np.floating]) -> Observed:
    return replace(seen, image=Image(np.asarray(data, dtype=np.float32), seen.image.affine))


def _noise_like(seen: Observed, rng: np.random.Generator, mean: float) -> Floats:
    values = mean + 0.03 * WHITE * rng.standard_normal(seen.image.data.shape)
    return np.asarray(np.abs(values), dtype=np.float32)


def _turned(head: Head, rng: np.random.Generator) -> Observed:
    """Header turned by 30° about an axis drawn at random, moved by 40 mm."""
    seen = _imaged(head, rng)
    axis = rng.standard_normal(3)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(np.deg2rad(30.0) * axis / np.linalg.norm(axis)).as_matrix()
    pose[:3, 3] = 40.0 * axis[::-1] / np.linalg.norm(axis)
    return Observed(
        Image(seen.image.data, pose @ head.affine), Head(head.labels, pose @ head.affine)
    )


def _cut(seen: Observed, low_mm: npt.ArrayLike, high_mm: npt.ArrayLike) -> Observed:
    """Field of view within `low_mm` and `high_mm` of the brain's bounding box, shape (3,) each."""
    found = np.argwhere(np.isin(seen.head.tissues(), (0, 1)))
    sizes = seen.head.grid.voxel_sizes_mm
    low = np.rint(found.min(axis=0) - np.asarray(low_mm) / sizes).astype(int)
    high = np.rint(found.max(axis=0) + 1 + np.asarray(high_mm) / sizes).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, seen.head.labels.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = seen.image.affine.copy()
    affine[:3, 3] = apply_affine(affine, low)
    data = np.ascontiguousarray(seen.image.data[box])
    return Observed(Image(data, affine), Head(np.ascontiguousarray(seen.head.labels[box]), affine))


def _cropped(head: Head, rng: np.random.Generator) -> Observed:
    """Cut the field of view 5 mm beyond the brain on every side."""
    return _cut(_imaged(head, rng), [5.0] * 3, [5.0] * 3)


def _no_neck(head: Head, rng: np.random.Generator) -> Observed:
    """Cut the field of view 2 mm below the brainstem and cerebellum."""
    return _cut(_imaged(head, rng), [99.0, 99.0, 2.0], [99.0] * 3)


def _defaced(head: Head, rng: np.random.Generator, *, share: float) -> Observed:
    """Zero in front of a plane that falls from the front of the brain to below it."""
    seen = _imaged(head, rng)
    found = np.argwhere(np.isin(head.tissues(), BRAIN) & ~head.mask(24))
    corner = apply_affine(head.affine, found)
    front, low = corner[:, 1].max(), np.quantile(corner[:, 2], 0.02)
    depth = share * float(np.ptp(corner[:, 1]))
    mm = head.grid.centres_mm()
    face = (mm[..., 2] - low) < (mm[..., 1] - (front - depth)) * 0.8 - 5.0
    return _with(seen, np.where(face & ~np.isin(head.tissues(), (0, 1)), 0.0, seen.image.data))


def _stripped(head: Head, rng: np.random.Generator, *, margin_mm: float) -> Observed:
    """Zero beyond `margin_mm` of grey and white matter; below zero fluid is cut with a rim."""
    seen = _imaged(head, rng)
    tissue = np.isin(head.tissues(), (0, 1)) | head.mask(4, 43, 14, 15)
    if margin_mm >= 0:
        away = ndimage.distance_transform_edt(~tissue, sampling=head.grid.voxel_sizes_mm)
        kept = away <= margin_mm
    else:
        depth = ndimage.distance_transform_edt(tissue, sampling=head.grid.voxel_sizes_mm)
        kept = depth > -margin_mm
    return _with(seen, np.where(kept, np.maximum(seen.image.data, 0.1), 0.0))


def _ball(head: Head, centre_mm: npt.NDArray[np.float64], radius_mm: float) -> Mask:
    away = np.linalg.norm(head.grid.centres_mm() - centre_mm, axis=-1)
    return np.asarray((away <= radius_mm) & np.isin(head.tissues(), BRAIN))


def _lesion(head: Head, rng: np.random.Generator) -> Observed:
    """Plant a ball of 12 mm radius, dark as grey matter or darker, in white matter."""
    seen = _imaged(head, rng)
    inside = np.argwhere(head.mask(int(rng.choice((2, 41)))))
    centre = apply_affine(head.affine, inside[int(rng.integers(len(inside)))])
    dark = _noise_like(seen, rng, float(rng.uniform(55.0, 95.0)))
    return _with(seen, np.where(_ball(head, centre, 12.0), dark, seen.image.data))


def _cavity(head: Head, rng: np.random.Generator) -> Observed:
    """Take about 40 ml from the front of one temporal lobe and fill the cavity with fluid."""
    hippocampus, cortex = ((17, 3), (53, 42))[int(rng.integers(2))]
    front = apply_affine(head.affine, np.argwhere(head.mask(hippocampus)))
    centre = front[front[:, 1] > np.quantile(front[:, 1], 0.8)].mean(axis=0)
    lateral = np.sign(apply_affine(head.affine, np.argwhere(head.mask(cortex))).mean(axis=0)[0])
    gone = _ball(head, centre + np.array([10.0 * lateral, 8.0, -8.0]), 21.0) & ~head.mask(16)
    labels = np.where(gone & np.isin(head.tissues(), (0, 1)), 24, head.labels)
    return _imaged(Head(labels.astype(np.int16), head.affine), rng)


def _wide_ventricles(head: Head, rng: np.random.Generator) -> Observed:
    """Lateral ventricles grown into the white matter around them by 5 mm."""
    labels = head.labels.copy()
    for ventricle, white in LATERAL:
        away = ndimage.distance_transform_edt(
            ~head.mask(ventricle), sampling=head.grid.voxel_sizes_mm
        )
        labels[(away <= 5.0) & head.mask(white)] = ventricle
    return _imaged(Head(labels, head.affine), rng)


def _background(head: Head, rng: np.random.Generator) -> Observed:
    """Air as bright and as dark as tissue, as in the uniform image of MP2RAGE (Marques 2010)."""
    seen = _imaged(head, rng, bias=0.02)
    salt = rng.uniform(0.0, 1.6 * WHITE, head.labels.shape)
    return _with(seen, np.where(head.labels == 0, salt, seen.image.data))


def _contrast_agent(head: Head, rng: np.random.Generator) -> Observed:
    """Veins, arteries, mucosa and choroid plexus twice as bright as white matter."""
    seen = _imaged(head, rng)
    takes = head.mask(502, 514, 509, 30, 62, 136, 137, 163, 164)
    bright = _noise_like(seen, rng, 1.7 * WHITE)
    return _with(seen, np.where(takes, bright, seen.image.data))


def _flat_contrast(head: Head, rng: np.random.Generator) -> Observed:
    """Spoilt gradient echo without preparation: grey matter at .83 of white, not .6."""
    seen = _imaged(head, rng, noise=0.02)
    return _with(seen, WHITE * (seen.image.data / WHITE) ** 0.4)


def _atrophic(
    head: Head, rng: np.random.Generator, *, structures: tuple[int, ...], fraction: float
) -> Observed:
    """Structures without their outermost `fraction`."""
    for structure in structures:
        head = atrophy(head, structure, fraction)
    return _imaged(head, rng)


def _coarse(head: Head, rng: np.random.Generator, *, voxel_mm: tuple[float, ...]) -> Observed:
    """Voxels of another size."""
    return _imaged(regridded(head, voxel_mm), rng)


def _partial_volume(head: Head, rng: np.random.Generator) -> Observed:
    """Voxels twice as large, each the mean of eight: labels of 0.5 mm give an image of 1 mm."""
    sharp = t1w(head, rng, MrQuality(noise=0.0, blur_fwhm_mm=0.0))
    x, y, z = (n // 2 for n in sharp.shape)
    blocks = sharp[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    seen = rician(blocks.mean(axis=(1, 3, 5)), 0.03 * WHITE, rng)
    half = regridded(head, 2.0 * head.grid.voxel_sizes_mm)
    half = replace(half, labels=_most_common(head.labels))
    return Observed(Image(np.asarray(seen, dtype=np.float32), half.affine), half)


def _most_common(labels: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Most common of every eight labels; the first of those that are equally common.

    One of the eight would lie a quarter of the new voxel beside its middle: wrong at borders.
    """
    x, y, z = (n // 2 for n in labels.shape)
    blocks = labels[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    eight = blocks.transpose(1, 3, 5, 0, 2, 4).reshape(8, x, y, z)
    votes = np.stack([(eight == one).sum(axis=0, dtype=np.int8) for one in eight])
    return np.asarray(np.take_along_axis(eight, votes.argmax(axis=0)[None], axis=0)[0])


Maker = Callable[[Head, np.random.Generator], Observed]

NUISANCES: dict[str, Maker] = {
    "plain": _imaged,
    "noise": lambda head, rng: _imaged(head, rng, noise=0.09),
    "field": lambda head, rng: _imaged(head, rng, bias=0.4),
    "noise and field": lambda head, rng: _imaged(head, rng, noise=0.09, bias=0.4),
    "0.7 mm": lambda head, rng: _coarse(head, rng, voxel_mm=(0.7, 0.7, 0.7)),
    "2 mm": lambda head, rng: _coarse(head, rng, voxel_mm=(2.0, 2.0, 2.0)),
    "thick slices": lambda head, rng: _coarse(head, rng, voxel_mm=(1.2, 1.2, 3.0)),
    "anisotropic": lambda head, rng: _coarse(head, rng, voxel_mm=(1.0, 1.0, 1.8)),
    "partial volume": _partial_volume,
    "turned": _turned,
    "cropped": _cropped,
    "no neck": _no_neck,
    "defaced": lambda head, rng: _defaced(head, rng, share=0.1),
    "defaced hard": lambda head, rng: _defaced(head, rng, share=0.35),
    "stripped loosely": lambda head, rng: _stripped(head, rng, margin_mm=3.0),
    "stripped tightly": lambda head, rng: _stripped(head, rng, margin_mm=-0.5),
    "lesion": _lesion,
    "cavity": _cavity,
    "wide ventricles": _wide_ventricles,
    "background": _background,
    "contrast agent": _contrast_agent,
    "flat contrast": _flat_contrast,
    "atrophy": lambda head, rng: _atrophic(head, rng, structures=(17,), fraction=0.4),
    "small amygdalae": lambda head, rng: _atrophic(head, rng, structures=(18, 54), fraction=0.5),
}
"""By name; each takes a head and a generator. A storage orientation is not among them: images
are brought to RAS+ when they are read."""
