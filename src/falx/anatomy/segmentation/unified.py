"""Unified segmentation (Ashburner & Friston 2005): tissues, bias field and map to the template.

Ashburner J, Friston KJ. Unified segmentation. NeuroImage 2005; 26: 839-851.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from falx.anatomy.mirror_invariance import faces_left, rounded
from falx.anatomy.priors import TissuePriors, brain_only
from falx.anatomy.registration.affine import size_prior
from falx.anatomy.registration.inverse import inverse_map, jacobian_determinants
from falx.anatomy.segmentation.cleanup import clean_up
from falx.anatomy.segmentation.denoising import denoised
from falx.anatomy.segmentation.fitting import Fit
from falx.anatomy.segmentation.mirrored import mirror_segmentation
from falx.anatomy.segmentation.mrf import smooth_labels
from falx.anatomy.segmentation.noise import FLAT_NOISY, NOISY, flat_noise, noise_level
from falx.anatomy.segmentation.posterior import posteriors, to_template_mm
from falx.anatomy.segmentation.prepare import check_volume, prepare
from falx.anatomy.segmentation.result import Segmentation
from falx.anatomy.segmentation.starts import fit_from_several_starts
from falx.anatomy.settings import SegmentationSettings
from falx.core.errors import notify
from falx.core.grid import Grid, box_grid
from falx.core.threads import blas_threads, kernel_threads
from falx.images.mirror import mirror_image
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap

__all__ = ["INVERSE_GRID", "segment"]

Floats = npt.NDArray[np.float32]

INVERSE_GRID = box_grid((-98.0, -134.0, -72.0), (98.0, 98.0, 116.0), 2.0)
"""Template grid of the inverse map: the template's own box at 2 mm."""


def segment(
    image: Image,
    priors: TissuePriors,
    settings: SegmentationSettings | None = None,
    *,
    threads: int = 1,
    inverse_grid: Grid = INVERSE_GRID,
    where: object = None,
) -> Segmentation:
    """Segment a T1-weighted head.

    Parameters
    ----------
    image
        Shape (X, Y, Z), RAS+. Voxels that are exactly zero or not finite count as not
        measured; a brain-extracted image is recognised and segmented without head classes.
    priors
        Tissue priors in template space.
    settings
        The defaults of Mo 2025 if absent.
    threads
        The result does not depend on it.
    inverse_grid
        Template grid of the inverse map.
    where
        Name for messages.

    Raises
    ------
    InputError
        If the image cannot be segmented, see :func:`falx.anatomy.segmentation.prepare.prepare`.
    QualityError
        If the fit fails.
    """
    chosen = settings or SegmentationSettings()
    check_volume(image, where=where)
    over = faces_left(image.data)
    facing = mirror_image(image) if over else image
    ready = Image(facing.data, rounded(facing.affine))
    result = _segment(ready, priors, chosen, threads, inverse_grid, where)
    result = mirror_segmentation(result) if over else result
    return replace(result, grid=image.grid)


def _segment(
    image: Image,
    priors: TissuePriors,
    settings: SegmentationSettings,
    threads: int,
    inverse_grid: Grid,
    where: object,
) -> Segmentation:
    ready = prepare(image, where=where)
    clean, mask = ready.image, ready.measured
    tissue = brain_only(priors) if ready.extracted else priors
    with kernel_threads(threads) as allowed, blas_threads(1):
        noise, bright = noise_level(clean.data, mask, image.grid.voxel_sizes_mm)
        seen = _less_noisy(clean, mask, noise, bright, where)
        size = size_prior(settings.affine_prior)
        alignment, fit = fit_from_several_starts(
            seen, mask, priors, tissue, settings, size, threads=allowed, where=where
        )
        field = np.exp(fit.bias.log_field((1, 1, 1), clean.data.shape))
        corrected = clean.data * field
        shown = corrected if seen is clean else seen.data * field
        to_prior = np.linalg.inv(priors.affine) @ alignment.affine @ image.affine
        tissues, classes = _tissues(
            Image(shown, image.affine), mask, fit, tissue, to_prior, settings
        )
        forward = CoordinateMap(
            to_template_mm(fit.displacement_mm, fit.grid, alignment.affine), fit.grid.affine
        )
        backward = inverse_map(forward, alignment.affine, inverse_grid)
    return Segmentation(
        gm=tissues[0],
        wm=tissues[1],
        csf=tissues[2],
        classes=classes,
        corrected=corrected,
        seen=shown,
        grid=image.grid,
        affine=alignment.affine,
        to_template=forward,
        to_native=backward,
        jacobian=jacobian_determinants(forward).astype(np.float32),
        information=alignment.information,
        fit=fit,
        noise=noise / max(bright, 1e-9),
    )


def _less_noisy(
    image: Image, mask: npt.NDArray[np.bool_], noise: float, bright: float, where: object
) -> Image:
    """Return the image itself, or a denoised copy where noise would decide the fit.

    Borders look like noise where voxels are coarse, so what seems noisy must be so where the image
    is flat, too: denoised as if it had 10 % of noise, a head of 2.5 mm lost its grey matter.
    """
    if noise <= NOISY * bright:
        return image
    flat = flat_noise(image.data, mask, image.grid.voxel_sizes_mm)
    if flat <= FLAT_NOISY * bright:
        return image
    notify(
        "the image is noisy; tissues, maps and structures are found in a denoised copy",
        where=where,
        found=f"noise of {flat / bright:.0%} of bright tissue, usual are 2 to 6 %",
        do="use a less noisy T1w image if there is one",
    )
    return Image(denoised(image.data, mask, flat), image.affine)


def _tissues(
    corrected: Image,
    mask: npt.NDArray[np.bool_],
    fit: Fit,
    priors: TissuePriors,
    to_prior: npt.NDArray[np.float64],
    settings: SegmentationSettings,
) -> tuple[list[Floats], npt.NDArray[np.uint8]]:
    """Grey, white and fluid of the whole image after field and clean-up, and the first labels."""
    found = posteriors(corrected.data, mask, fit, priors, to_prior)
    box, classes = found.box, found.classes
    sizes = corrected.grid.voxel_sizes_mm
    # In place: six probabilities a voxel are the largest array of all.
    inner = smooth_labels(found.inner, sizes, settings.mrf_strength, out=found.inner)
    if settings.clean_up:
        inner = clean_up(inner, sizes, out=inner)
    return _first_three(inner, box, corrected.data.shape), classes


def _first_three(
    inner: Floats, box: tuple[slice, slice, slice], shape: tuple[int, ...]
) -> list[Floats]:
    """Split the first three classes of a box off, each within an image of `shape` (X, Y, Z)."""
    whole = [np.zeros(shape, dtype=np.float32) for _ in range(3)]
    for plane in range(inner.shape[0]):
        # Plane by plane, so that what lies between the classes is read once for the three.
        for k, tissue in enumerate(whole):
            tissue[box][plane] = inner[plane, ..., k]
    return whole
