"""What the scanner sees after a laser: core, rim, oedema, sag and age of the ablation.

A core that is dark on T1w with a bright track of the fibre, a rim that takes contrast, oedema
around it; within a year a smaller cavity of fluid. No published source: intensities and sizes are
judgements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import Side, apply_affine
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.phantom.heads import Head
from falx.phantom.intensities import MrQuality, rician, smooth_noise, t1w
from falx.phantom.lesion import ablate_hippocampus
from falx.phantom.scan import rescan, rigid
from surgery.cavity_shapes import DISTURBANCES, collapsed, shaped

__all__ = ["Operated", "Surgery", "random_surgery", "scan_operated"]

Mask = npt.NDArray[np.bool_]

ROUGHNESS_MM, ROUGH_OVER_MM = 0.8, 10.0
OEDEMA_REACH_MM = 4.0
SAG_OVER_MM = 20.0
TRACK_RADIUS_MM = 1.2
WHITE = 160.0


@dataclass(frozen=True)
class Surgery:
    """What the laser left behind, and how it is scanned.

    Parameters
    ----------
    rate
        Share of hippocampus and amygdala that is taken; 0 for a head without an operation.
    rim
        Intensity of the rim relative to white matter; 0 for none.
    oedema
        Loss of intensity around the rim, relative.
    core
        Intensity of the core relative to white matter.
    late
        Months after: no oedema, the core is fluid and has shrunk by a tenth of its radius.
    sag_mm
        How far the tissue around the ablation has moved.
    contrast
        Whether vessels, plexus and mucosa are bright.
    voxel_mm
        Of the post-operative image.
    shape
        ``"capsule"``, or a name of :data:`surgery.cavity_shapes.SHAPES`.
    disturbance
        A name of :data:`surgery.cavity_shapes.DISTURBANCES`, done to the image after; empty for
        none.
    noise
        Standard deviation of both images' noise, relative to white matter.
    bias
        Largest deviation of both receive fields from one.
    """

    rate: float = 0.6
    rim: float = 1.25
    oedema: float = 0.12
    core: float = 0.45
    late: bool = False
    sag_mm: float = 1.0
    contrast: bool = True
    voxel_mm: float = 1.5
    shape: str = "capsule"
    disturbance: str = ""
    noise: float = 0.03
    bias: float = 0.2


@dataclass(frozen=True, eq=False)
class Operated:
    """Images before and after, and what was really ablated, on the grid of the first.

    Parameters
    ----------
    before, after
        T1w images, each in its own space.
    ablation
        Shape of `before`, bool.
    to_after
        4×4, mm of `before` to mm of `after`, without the sag.
    """

    before: Image
    after: Image
    ablation: Mask
    to_after: npt.NDArray[np.float64]


def random_surgery(rng: np.random.Generator) -> Surgery:
    """Draw a surgery: early or late, with contrast agent or without, larger or smaller."""
    late, contrast = bool(rng.random() < 0.35), bool(rng.random() < 0.6)
    rim = float(rng.uniform(1.1, 1.4)) if contrast and not late else 0.0
    return Surgery(
        rate=float(rng.uniform(0.3, 0.75)),
        rim=rim,
        oedema=0.0 if late else float(rng.uniform(0.0, 0.2)),
        core=0.28 if late else float(rng.uniform(0.3, 0.55)),
        late=late,
        sag_mm=float(rng.uniform(0.0, 2.0)),
        contrast=contrast,
        noise=float(rng.uniform(0.03, 0.10)),
    )


def scan_operated(head: Head, side: Side, surgery: Surgery, rng: np.random.Generator) -> Operated:
    """Scan a head before and after a laser ablation of its hippocampus and amygdala."""
    mesial = head.mask(*MESIAL[side])
    before = Image(t1w(head, rng, MrQuality(noise=surgery.noise, bias=surgery.bias)), head.affine)
    clean = t1w(head, rng, MrQuality(noise=0.0, bias=surgery.bias))
    ablated = np.zeros(head.labels.shape, bool)
    if surgery.contrast:
        takes = head.mask(502, 514, 509, 30, 62, 136, 137, 163, 164)
        clean = np.where(takes, np.float32(1.5 * WHITE), clean)
    if surgery.rate > 0:
        if surgery.shape == "capsule":
            taken = ablate_hippocampus(head, side, mesial, surgery.rate).mask
        else:
            taken = shaped(head, side, surgery.shape, surgery.rate, rng)
        ablated = _rough(taken, head, rng)
        clean = _painted(clean, ablated, head, surgery, rng)
        if surgery.shape == "collapsed":
            clean = collapsed(clean, ablated, head, side, surgery.core * WHITE)
        clean = _sagged(clean, ablated, head, surgery, rng)
    if surgery.disturbance:
        clean = DISTURBANCES[surgery.disturbance](clean, rng)
    pose = rigid(rng)
    seen = rescan(clean.astype(np.float32), head.grid, pose, [surgery.voxel_mm] * 3)
    noisy = rician(np.maximum(seen.data, 0.0), surgery.noise * WHITE, rng)
    return Operated(before, replace(seen, data=noisy), ablated, pose)


def _rough(mask: Mask, head: Head, rng: np.random.Generator) -> Mask:
    """Let the border wander: no ablation is a capsule."""
    sizes = head.grid.voxel_sizes_mm
    signed = ndimage.distance_transform_edt(~mask, sampling=sizes)
    signed -= ndimage.distance_transform_edt(mask, sampling=sizes)
    noise = smooth_noise(head.grid, rng, fwhm_mm=ROUGH_OVER_MM)
    return np.asarray(
        (signed + ROUGHNESS_MM * noise <= 0) & (head.tissues() <= 2) & ~head.mask(16, 85)
    )


def _painted(
    clean: npt.NDArray[np.floating],
    ablated: Mask,
    head: Head,
    surgery: Surgery,
    rng: np.random.Generator,
) -> npt.NDArray[np.floating]:
    sizes = head.grid.voxel_sizes_mm
    depth = ndimage.distance_transform_edt(ablated, sampling=sizes)
    away = ndimage.distance_transform_edt(~ablated, sampling=sizes)
    shrink = 0.1 * float(depth.max()) if surgery.late else 0.0
    tissue = head.tissues() <= 1
    swollen = tissue & (away <= OEDEMA_REACH_MM)
    out = np.where(swollen, clean * (1.0 - surgery.oedema), clean)
    grain = 0.03 * WHITE * smooth_noise(head.grid, rng, fwhm_mm=3.0)
    out = np.where(ablated & (depth > shrink), surgery.core * WHITE + grain, out)
    if surgery.rim > 0:
        out = np.where(ablated & (depth <= 1.5), surgery.rim * WHITE + grain, out)
    if not surgery.late:
        out = np.where(depth >= max(float(depth.max()) - TRACK_RADIUS_MM, 2.0), 0.9 * WHITE, out)
    return np.asarray(smooth(out.astype(np.float32), sizes, 1.2))


def _sagged(
    image: npt.NDArray[np.floating],
    ablated: Mask,
    head: Head,
    surgery: Surgery,
    rng: np.random.Generator,
) -> npt.NDArray[np.floating]:
    """Move the tissue around the ablation by a smooth bump."""
    way = rng.standard_normal(3)
    way *= surgery.sag_mm / np.linalg.norm(way)
    places = head.grid.centres_mm()
    middle = apply_affine(head.affine, np.argwhere(ablated)).mean(axis=0)
    bump = np.exp(-0.5 * ((places - middle) ** 2).sum(axis=-1) / SAG_OVER_MM**2)
    voxels = apply_affine(np.linalg.inv(head.affine), places - bump[..., None] * way)
    return np.asarray(ndimage.map_coordinates(image, np.moveaxis(voxels, -1, 0), order=1))
