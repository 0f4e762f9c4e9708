"""The steps from a measured PET to its asymmetry, in memory; stages and notebooks take them.

Mo et al. 2025: correction for partial volume, asymmetry in template space. Every
function takes what an earlier one returned, as its files would carry it
(:func:`falx.images.nifti.as_stored`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.core.grid import require_same
from falx.core.threads import blas_threads
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.pet.asymmetry import asymmetry_index
from falx.pet.frames import Pet
from falx.pet.maps import (
    Place,
    TemplateImage,
    normalise,
    reference_mask,
    scaled_asymmetry,
    structure_means,
)
from falx.pet.metrics import AsymmetryMetrics, NoiseMetrics, PetMetrics
from falx.pet.noise import Noise, corrected_noise, measure_noise
from falx.pet.precision import asymmetry_standard_errors
from falx.pet.pvc import Corrected, Spread, correct, effective_fwhm_mm, spread_fractions
from falx.pet.receive_field import receive_field
from falx.pet.regions import grey_regions, regional_asymmetry
from falx.pet.scaling import Scaled
from falx.pet.settings import Correction, TemplateSettings
from falx.pet.uncorrected import uncorrected_asymmetry

__all__ = [
    "PET",
    "CorrectedPet",
    "ImageAsymmetry",
    "Quantity",
    "Tissues",
    "correct_measured",
    "image_asymmetry",
    "published_asymmetry",
]

Matrix = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Tissues:
    """Fractions and FreeSurfer labels of a head, all of shape (X, Y, Z) on the T1w grid."""

    gm: Image
    wm: Image
    csf: Image
    structures: Image


@dataclass(frozen=True, eq=False)
class CorrectedPet:
    """A PET after correction, on its own voxels, the affine to T1w mm; and its numbers.

    Parameters
    ----------
    noise
        Of the corrected image; its standard deviation is zero where the image is not defined,
        and everywhere if the noise is not known.
    """

    image: Image
    noise: Noise
    metrics: PetMetrics


def correct_measured(
    measured: Pet,
    to_t1: Matrix,
    tissues: Tissues,
    settings: Correction,
    *,
    rng: np.random.Generator,
    threads: int = 1,
) -> CorrectedPet:
    """Correct a PET for partial volume on its own voxels, and measure its noise.

    Parameters
    ----------
    to_t1
        Shape (4, 4), PET mm → T1w mm. It goes into the affine, so nothing is interpolated.
    rng
        For the draws that calibrate the noise.
    """
    grid = measured.image.grid
    fwhm_mm = effective_fwhm_mm(settings.psf_fwhm_mm, settings.smoothing_fwhm_mm)
    spread = _spread(measured, to_t1, tissues, fwhm_mm, threads)
    observed = smooth(measured.image.data, grid.voxel_sizes_mm, settings.smoothing_fwhm_mm)
    with blas_threads(1):  # sums of several threads differ in their last digits
        result = correct(observed, spread, method=settings.method, floor=settings.floor)
        noise, reason = _noise(observed, measured, spread, result, rng, settings)
        known = noise if reason is None else None
        errors = asymmetry_standard_errors(observed, grid, spread, result.activities, known)
    share = np.ones(grid.shape, np.float32) if settings.method == "none" else spread.gm
    after = corrected_noise(noise, share, result.defined, np.asarray(to_t1, np.float64)).stored()
    metrics = PetMetrics(
        method=settings.method,
        effective_psf_fwhm_mm=fwhm_mm,
        floor=settings.floor,
        units=measured.units or "arbitrary",
        activity=result.activities,
        regional_asymmetry=regional_asymmetry(result.activities, spread),
        regional_asymmetry_se=errors,
        noise=replace(
            _noise_metrics(after, observed, noise, spread, reason),
            source="frames" if noise is measured.noise else "residuals",
        ),
        uncorrected_asymmetry=uncorrected_asymmetry(
            measured.image, np.linalg.inv(to_t1), tissues.structures, threads=threads
        ),
    )
    return CorrectedPet(Image(result.image, to_t1 @ grid.affine), after, metrics)


def _noise(
    observed: npt.NDArray[np.floating],
    measured: Pet,
    spread: Spread,
    result: Corrected,
    rng: np.random.Generator,
    settings: Correction,
) -> tuple[Noise, str | None]:
    """Noise of the image that was corrected, or none and why it cannot be measured.

    Frames tell it without a model of the image; smoothing before the correction changes it.
    """
    grid = measured.image.grid
    if measured.noise is not None and settings.smoothing_fwhm_mm == 0:
        return measured.noise, None
    try:
        return measure_noise(observed, grid, spread, result.activities, rng), None
    except InputError as error:
        reason = f"{error.what} (found: {error.found})"
        notify(f"{reason}; nothing in the asymmetry can be called certain", do=error.do)
        return Noise(Image(np.zeros(grid.shape, np.float32), grid.affine), np.zeros(3)), reason


def _noise_metrics(
    after: Noise,
    observed: npt.NDArray[np.floating],
    before: Noise,
    spread: Spread,
    reason: str | None,
) -> NoiseMetrics:
    """How the noise stands to the activity of grey matter, and its widths as in the file."""
    grey = spread.gm > 0.5
    if reason is not None or not grey.any():
        return NoiseMetrics((), None, reason or "the image holds no voxel that is mostly grey")
    share = float(np.median(before.sd.data[grey]) / np.abs(observed[grey]).mean())
    return NoiseMetrics(tuple(after.fwhm_mm.tolist()), share)


def _spread(
    measured: Pet, to_t1: Matrix, tissues: Tissues, fwhm_mm: float, threads: int
) -> Spread:
    """Tissues and regions as the scanner sees them."""
    labels, grey = tissues.structures, tissues.gm
    require_same("grey matter", grey.grid, "structures", labels.grid)
    return spread_fractions(
        grey,
        tissues.wm,
        tissues.csf,
        grey_regions(labels.data, labels.grid.voxel_sizes_mm),
        measured.image.grid,
        to_t1,
        fwhm_mm=fwhm_mm,
        threads=threads,
    )


@dataclass(frozen=True)
class Quantity:
    """What an asymmetry is of.

    Parameters
    ----------
    name
        For descriptions.
    zero_is_missing
        Voxels that are exactly zero were not measured.
    least
        Where the smoothed mean of both sides is below it the index is not defined: it would be
        noise over next to nothing.
    receive_field
        The image has a slow field of coils, which is taken out (:mod:`falx.pet.receive_field`).
    """

    name: str
    zero_is_missing: bool = False
    least: float | None = None
    receive_field: bool = False


PET = Quantity("PET", zero_is_missing=True)

NEGATIVE = 0.001
"""Share of negative voxels that is worth a word."""


@dataclass(frozen=True, eq=False)
class ImageAsymmetry:
    """An image and its asymmetry index.

    Parameters
    ----------
    scaled
        On the intensity scale, shape (X, Y, Z) of the template grid.
    index, native
        Asymmetry index on the template grid, and pulled to the T1w grid.
    """

    scaled: Scaled
    index: npt.NDArray[np.floating]
    native: npt.NDArray[np.float32]
    metrics: AsymmetryMetrics


def image_asymmetry(
    image: Image,
    place: Place,
    settings: TemplateSettings,
    *,
    quantity: Quantity,
    reference: str,
    matrix: Matrix | None = None,
) -> ImageAsymmetry:
    """Take the asymmetry of an image in template space.

    Parameters
    ----------
    image
        On its own grid.
    reference
        Region that sets the intensity scale.
    matrix
        Shape (4, 4), T1w mm → image mm; ``None`` for an image in T1w space.
    """
    source = Image(np.nan_to_num(image.data), image.affine)
    measured = source.data != 0 if quantity.zero_is_missing else np.ones(source.data.shape, bool)
    normalised = normalise(
        source, measured, place, matrix=matrix, smoothing_fwhm_mm=settings.smoothing_fwhm_mm
    )
    if quantity.least is not None:
        normalised = normalised.above(quantity.least)
    if quantity.zero_is_missing and settings.scale == "proportional":
        normalised = _positive(normalised, quantity.name)
    labels = place.to_template(place.labels, how="nearest")
    field_index = None
    if quantity.receive_field:
        normalised, field_index = _without_field(normalised, labels, quantity.name)
    region = reference_mask(reference, normalised.defined, labels, place.template)
    scaled, asymmetry = scaled_asymmetry(normalised, region, settings.scale)
    _check_scale(scaled, normalised.defined)
    native, native_valid = place.to_native(asymmetry.index, asymmetry.valid)
    metrics = AsymmetryMetrics(
        quantity=quantity.name,
        scale=settings.scale,
        reference=reference,
        smoothing_fwhm_mm=settings.smoothing_fwhm_mm,
        least=quantity.least,
        mean=scaled.mean,
        sd=scaled.sd,
        structures=structure_means(scaled.image, native, native_valid, place),
        field_index=field_index,
    )
    return ImageAsymmetry(scaled, asymmetry.index, native, metrics)


def _positive(image: TemplateImage, name: str) -> TemplateImage:
    """Leave out where a correction took more than there was: a negative amount has no index."""
    kept = image.defined & (image.data > 0)
    negative = image.defined & ~kept
    lost = float(np.mean(negative[image.defined])) if image.defined.any() else 0.0
    if lost > NEGATIVE:
        notify(
            f"the corrected {name} is negative in parts of the grey matter, where no asymmetry is "
            "defined; its point spread is wider than was assumed, or it was filtered",
            found=f"{lost:.1%} of the voxels",
            do="state pet.psf_fwhm_mm, or give the image as reconstructed",
        )
    return TemplateImage(np.where(kept, image.data, np.float32(0)), kept, image.grid)


def _without_field(
    image: TemplateImage, labels: npt.NDArray[np.integer], name: str
) -> tuple[TemplateImage, float | None]:
    """Divide an image by its receive field; also the index that the field alone would make."""
    field = receive_field(image.data, image.defined, labels, image.grid)
    if field is None:
        notify(
            f"the receive field of the {name} was left in it: there is too little white matter to "
            "fit it",
            do="read its asymmetry with care",
        )
        return image, None
    alone = asymmetry_index(field, image.grid, image.defined)
    largest = (
        float(np.quantile(np.abs(alone.index[alone.valid]), 0.95)) if alone.valid.any() else 0
    )
    flat = np.where(image.defined, image.data / field, np.float32(0))
    return TemplateImage(flat, image.defined, image.grid), float(largest)


def _check_scale(scaled: Scaled, defined: npt.NDArray[np.bool_]) -> None:
    """Say where the z + 5 scale is negative: the index changes its sign there, or has no bound."""
    if scaled.scale != "z5" or not scaled.mean > 5.0 * scaled.sd:
        return
    share = float(np.mean(scaled.image[defined] <= 0)) if defined.any() else 0.0
    notify(
        "the mean of this image is more than five of its standard deviations, so that the z + 5 "
        "scale holds negative values, where the asymmetry index has no bound and may change its "
        "sign",
        found=f"mean over standard deviation {scaled.mean / scaled.sd:.1f}, {share:.1%} of the "
        "voxels",
        do="read nothing on that scale for this image; choose asymmetry.scale proportional",
    )


def published_asymmetry(image: Image, place: Place) -> ImageAsymmetry:
    """Take the asymmetry as the scripts of Mo 2025 do, whatever this run's own choices are.

    The PET is neither corrected nor smoothed and is put on the z + 5 scale by the brain; it is
    what the preset ``mo2025_script`` takes.

    Parameters
    ----------
    image
        The measured PET, its affine to T1w mm, as stored.
    """
    settings = TemplateSettings(scale="z5", smoothing_fwhm_mm=0.0)
    return image_asymmetry(image, place, settings, quantity=PET, reference="brain")
