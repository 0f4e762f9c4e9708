"""The steps from a measured PET to its signature, in memory; stages and notebooks take them.

Mo et al. 2025: correction for partial volume, asymmetry in template space, signature. Every
function takes what an earlier one returned, as its files would carry it
(:func:`falx.images.nifti.as_stored`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, QualityError
from falx.core.grid import SIDES, Side, require_same
from falx.core.threads import blas_threads
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.pet.asymmetry import asymmetry_index
from falx.pet.calibrated import Calibrated, Calibration, calibrated_signature
from falx.pet.decoy import NullMaps
from falx.pet.frames import Pet
from falx.pet.maps import Place, normalise, reference_mask, scaled_asymmetry, structure_means
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.pet.noise import Chain, Noise, corrected_noise, measure_noise, noise_maps
from falx.pet.norms import healthy_maps
from falx.pet.precision import asymmetry_standard_errors
from falx.pet.pvc import Spread, correct, effective_fwhm_mm, spread_fractions
from falx.pet.regions import grey_regions, regional_asymmetry
from falx.pet.scaling import Scaled, convert
from falx.pet.settings import Correction, SignatureRule, TemplateSettings
from falx.pet.signature import (
    PUBLISHED_THRESHOLD,
    Rule,
    SignatureMasks,
    Threshold,
    resolve_side,
    signature_in_both_spaces,
)

__all__ = [
    "PET",
    "Correctable",
    "CorrectedPet",
    "Foci",
    "ImageAsymmetry",
    "Quantity",
    "Signature",
    "Tissues",
    "correct_measured",
    "find_foci",
    "find_signature",
    "image_asymmetry",
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
    """A PET after correction, on its own voxels, the affine to T1w mm; and its numbers."""

    image: Image
    metrics: PetMetrics


def correct_measured(
    measured: Pet, to_t1: Matrix, tissues: Tissues, settings: Correction, *, threads: int = 1
) -> CorrectedPet:
    """Correct a PET for partial volume on its own voxels.

    Parameters
    ----------
    to_t1
        Shape (4, 4), PET mm → T1w mm. It goes into the affine, so nothing is interpolated.
    """
    grid = measured.image.grid
    fwhm_mm = effective_fwhm_mm(settings.psf_fwhm_mm, settings.smoothing_fwhm_mm)
    spread = _spread(measured, to_t1, tissues, fwhm_mm, threads)
    observed = smooth(measured.image.data, grid.voxel_sizes_mm, settings.smoothing_fwhm_mm)
    with blas_threads(1):  # sums of several threads differ in their last digits
        result = correct(observed, spread, method=settings.method, floor=settings.floor)
        errors = asymmetry_standard_errors(observed, grid, spread, result.activities)
    metrics = PetMetrics(
        method=settings.method,
        effective_psf_fwhm_mm=fwhm_mm,
        floor=settings.floor,
        units=measured.units or "arbitrary",
        activity=result.activities,
        regional_asymmetry=regional_asymmetry(result.activities, spread),
        regional_asymmetry_se=errors,
    )
    return CorrectedPet(Image(result.image, to_t1 @ grid.affine), metrics)


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
    """

    name: str
    zero_is_missing: bool = False
    least: float | None = None


PET = Quantity("PET", zero_is_missing=True)


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
    labels = place.to_template(place.labels, how="nearest")
    region = reference_mask(reference, normalised.defined, labels, place.template)
    scaled, asymmetry = scaled_asymmetry(normalised, region, settings.scale)
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
    )
    return ImageAsymmetry(scaled, asymmetry.index, native, metrics)


@dataclass(frozen=True, eq=False)
class Signature:
    """The signature at the chosen and at the published threshold, and its numbers."""

    chosen: SignatureMasks
    published: SignatureMasks
    metrics: SignatureMetrics


def find_signature(
    scaled: Scaled,
    facts: AsymmetryMetrics,
    place: Place,
    grey: Image,
    settings: SignatureRule,
    *,
    side: str | None,
) -> Signature:
    """Cut the asymmetry of a scaled PET, taken anew on the scale of each threshold.

    Parameters
    ----------
    grey
        Grey-matter fraction on the T1w grid.
    side
        Declared side of the focus; ``None`` where none is declared: the side whose mesial
        temporal lobe is lower.
    """
    cut = Threshold(
        settings.threshold,
        settings.threshold_scale,
        settings.threshold_comparison,
        "chosen for this run",
    )
    focus = resolve_side(side or "auto", *_mesial_temporal(facts))
    only = focus if settings.ipsilateral_only else None
    rule = Rule(settings.gm_floor, only, settings.minimum_cluster_mm3)
    chosen = signature_in_both_spaces(scaled, cut, rule, place, grey)
    published = signature_in_both_spaces(scaled, PUBLISHED_THRESHOLD, Rule(), place, grey)
    voxel_mm3 = place.native.voxel_volume_mm3
    metrics = SignatureMetrics(
        side=focus,
        side_from="the asymmetry" if side is None else "the declared focus",
        threshold=cut,
        published_threshold=PUBLISHED_THRESHOLD,
        volume_mm3=np.count_nonzero(chosen.native) * voxel_mm3,
        published_volume_mm3=np.count_nonzero(published.native) * voxel_mm3,
    )
    _check_size(
        metrics, np.count_nonzero(place.brain.data) * voxel_mm3, one_sided=only is not None
    )
    return Signature(chosen, published, metrics)


def _check_size(metrics: SignatureMetrics, brain_mm3: float, *, one_sided: bool) -> None:
    """Raise if a signature is larger than the tissue that it can lie in."""
    limits = (
        ("signature", metrics.volume_mm3, brain_mm3 / 2 if one_sided else brain_mm3),
        ("signature at the published threshold", metrics.published_volume_mm3, brain_mm3),
    )
    for name, volume_mm3, limit_mm3 in limits:
        if volume_mm3 > limit_mm3:
            raise QualityError(
                f"the {name} is larger than the brain that it lies in",
                found=f"{volume_mm3:.0f} mm³ of {limit_mm3:.0f} mm³",
                do="check the PET, its coregistration and the threshold",
            )


def _mesial_temporal(facts: AsymmetryMetrics) -> tuple[float, float]:
    """Asymmetry of both mesial temporal lobes, left first."""
    sides: dict[Side, float] = {
        side: found.mean_asymmetry
        for side, found in facts.structures["mesial_temporal"].items()
        if found.mean_asymmetry is not None
    }
    if len(sides) < len(SIDES):
        raise InputError(
            "the mesial temporal structures hold no asymmetry",
            do="check the structures and the field of view of the PET",
        )
    return sides["left"], sides["right"]


@dataclass(frozen=True, eq=False)
class Correctable:
    """A measured PET with all that :func:`correct_measured` takes."""

    measured: Pet
    to_t1: Matrix
    tissues: Tissues
    settings: Correction


@dataclass(frozen=True, eq=False)
class Foci:
    """The calibrated signature, and its place on the T1w grid.

    Parameters
    ----------
    found
        On the template grid.
    probability, mask
        Shape (X, Y, Z) of the T1w grid: of belonging to a focus, and where that exceeds a half in
        grey matter.
    """

    found: Calibrated
    probability: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


def find_foci(
    pet: Correctable,
    scaled: Scaled,
    facts: AsymmetryMetrics,
    place: Place,
    settings: Calibration,
    *,
    side: Side | None,
    rng: np.random.Generator,
    gm_floor: float = 0.2,
) -> Foci:
    """Find the tissue whose asymmetry neither noise nor healthy people account for.

    See :mod:`falx.pet.calibrated`. The noise is that of the measured image, sent through the
    correction and the way to the template that its own asymmetry took.

    Parameters
    ----------
    scaled, facts
        What :func:`image_asymmetry` returned of the corrected image.
    side
        Declared side of the focus; ``None`` seeks on both.
    gm_floor
        Least grey-matter fraction of a focus.
    """
    noise = _noise_of(pet, place, rng)
    defined = scaled.image != 0
    image = np.where(defined, convert(scaled, "proportional").image, np.float32(0))
    chain = Chain(place, image * scaled.mean, facts.smoothing_fwhm_mm)
    maps = NullMaps(
        noise_maps(noise, chain, settings.draws, rng), healthy_maps(chain, settings.draws, rng)
    )
    index = asymmetry_index(image, place.template, defined)
    grey = place.to_template(pet.tissues.gm) > gm_floor
    found = calibrated_signature(index.index, grey, maps, settings, side=side, rng=rng)
    native, _ = place.to_native(found.probability, index.valid)
    mask = (native > 0.5) & (pet.tissues.gm.data > gm_floor)
    return Foci(found, native, np.asarray(mask))


def _noise_of(pet: Correctable, place: Place, rng: np.random.Generator) -> Noise:
    """Noise of the corrected image, in T1w mm."""
    how, image = pet.settings, pet.measured.image
    fwhm_mm = effective_fwhm_mm(how.psf_fwhm_mm, how.smoothing_fwhm_mm)
    spread = _spread(pet.measured, pet.to_t1, pet.tissues, fwhm_mm, place.threads)
    observed = smooth(image.data, image.grid.voxel_sizes_mm, how.smoothing_fwhm_mm)
    result = correct(observed, spread, method=how.method, floor=how.floor)
    share = np.ones(image.grid.shape, np.float32) if how.method == "none" else spread.gm
    noise = measure_noise(observed, image.grid, spread, result.activities, rng)
    return corrected_noise(noise, share, result.defined, np.asarray(pet.to_t1, dtype=np.float64))
