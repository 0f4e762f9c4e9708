"""Files in, files out for the PET room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import read_json, read_record, write_json
from falx.core.grid import SIDES, Grid, Side, normalisation_grid, require_same
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.smooth import smooth
from falx.images.warp import load_map
from falx.pet.frames import Pet, average_frames, check_pet
from falx.pet.maps import Place, normalise, reference_mask, scaled_asymmetry, structure_means
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.pet.precision import asymmetry_standard_errors
from falx.pet.pvc import Corrected, Spread, correct, effective_fwhm_mm, spread_fractions
from falx.pet.regions import grey_regions, regional_asymmetry
from falx.pet.scaling import Scaled
from falx.pet.settings import Correction, SignatureRule, TemplateSettings
from falx.pet.signature import (
    PUBLISHED_THRESHOLD,
    Rule,
    Threshold,
    resolve_side,
    signature_in_both_spaces,
)

__all__ = [
    "FLAIR",
    "GM_DENSITY",
    "NATIVE",
    "PET",
    "AsymmetryFiles",
    "CorrectionFiles",
    "PlaceFiles",
    "Quantity",
    "SignatureFiles",
    "asymmetry_stage",
    "correct_stage",
    "read_pet",
    "read_place",
    "read_scaled",
    "signature_stage",
]

NATIVE = "native T1w space of the pre-operative session"


@dataclass(frozen=True)
class CorrectionFiles:
    """Files of :func:`correct_stage`.

    Parameters
    ----------
    pet
        Input: the measured PET, on its own grid.
    matrix
        Input: JSON of the coregistration, T1w mm → PET mm.
    gm, wm, csf
        Inputs: fractions on the T1w grid.
    structures
        Input: label volume of FreeSurfer numbers on the T1w grid.
    corrected
        Output: the corrected PET in T1w space. Its voxels are those of the PET; the rigid
        matrix stands in the affine, so nothing is interpolated. Zero where not defined.
    metrics
        Output: JSON of :class:`falx.pet.metrics.PetMetrics`.
    """

    pet: Path
    matrix: Path
    gm: Path
    wm: Path
    csf: Path
    structures: Path
    corrected: Path
    metrics: Path


def correct_stage(files: CorrectionFiles, settings: Correction, *, threads: int = 1) -> None:
    """Correct the PET for partial volume on its own voxels."""
    with collect_notices() as notices:
        measured = read_pet(files.pet, frames=settings.frames)
        to_t1 = np.linalg.inv(load_matrix(files.matrix))
        grid = measured.image.grid
        fwhm_mm = effective_fwhm_mm(settings.psf_fwhm_mm, settings.smoothing_fwhm_mm)
        spread = _spread(files, grid, to_t1, fwhm_mm, threads)
        observed = smooth(measured.image.data, grid.voxel_sizes_mm, settings.smoothing_fwhm_mm)
        result = correct(observed, spread, method=settings.method, floor=settings.floor)
        errors = asymmetry_standard_errors(observed, grid, spread, result.activities)
    units = measured.units or "arbitrary"
    found = PetMetrics(
        method=settings.method,
        effective_psf_fwhm_mm=fwhm_mm,
        floor=settings.floor,
        units=units,
        activity=result.activities,
        regional_asymmetry=regional_asymmetry(result.activities, spread),
        regional_asymmetry_se=errors,
        notices=tuple(notices),
    )
    _save_corrected(files.corrected, result, to_t1 @ grid.affine, found)
    write_json(files.metrics, plain(found))


def _spread(
    files: CorrectionFiles, grid: Grid, to_t1: Any, fwhm_mm: float, threads: int
) -> Spread:
    """Tissues and regions as the scanner sees them."""
    labels, grey = load_labels(files.structures), load(files.gm)
    require_same("grey matter", grey.grid, "structures", labels.grid)
    regions = grey_regions(labels.data, labels.grid.voxel_sizes_mm)
    white, fluid = load(files.wm), load(files.csf)
    return spread_fractions(
        grey, white, fluid, regions, grid, to_t1, fwhm_mm=fwhm_mm, threads=threads
    )


def _save_corrected(path: Path, result: Corrected, affine: Any, found: PetMetrics) -> None:
    sidecar = {
        "Description": f"PET after partial-volume correction ({found.method})",
        "SkullStripped": found.method != "none",
        "SpatialReference": NATIVE,
        "Units": found.units,
    }
    save(path, result.image, affine, sidecar=sidecar)


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
FLAIR = Quantity("FLAIR")
GM_DENSITY = Quantity("grey-matter density", least=0.1)


@dataclass(frozen=True)
class PlaceFiles:
    """Inputs that say where things are in native and template space.

    Parameters
    ----------
    brain_mask, structures
        On the T1w grid.
    to_native, to_template
        Coordinate maps, template grid → T1w mm and T1w grid → template mm.
    """

    brain_mask: Path
    structures: Path
    to_native: Path
    to_template: Path


@dataclass(frozen=True)
class AsymmetryFiles:
    """Files of :func:`asymmetry_stage`.

    Parameters
    ----------
    image
        Input on its own grid.
    scaled_template
        Output: the image on the intensity scale, in template space.
    asymmetry_template, asymmetry_native
        Outputs: asymmetry index in template space, and pulled to the T1w grid.
    metrics
        Output: JSON of :class:`falx.pet.metrics.AsymmetryMetrics`.
    matrix
        Input: JSON of the coregistration, T1w mm → image mm; ``None`` for an image that is in
        T1w space already.
    """

    image: Path
    scaled_template: Path
    asymmetry_template: Path
    asymmetry_native: Path
    metrics: Path
    matrix: Path | None = None


def asymmetry_stage(
    files: AsymmetryFiles,
    where: PlaceFiles,
    settings: TemplateSettings,
    *,
    quantity: Quantity,
    reference: str,
    threads: int = 1,
) -> None:
    """Asymmetry of an image in template space, and pulled to the T1w grid.

    Parameters
    ----------
    quantity
        What the image shows; bound where the stage is named.
    reference
        Region that sets the intensity scale.
    """
    source = load(files.image)
    source = Image(np.nan_to_num(source.data), source.affine)
    measured = source.data != 0 if quantity.zero_is_missing else np.ones(source.data.shape, bool)
    grid = normalisation_grid(settings.voxel_mm)
    place = read_place(where, grid, threads)
    with collect_notices() as notices:
        normalised = normalise(
            source,
            measured,
            place,
            matrix=None if files.matrix is None else load_matrix(files.matrix),
            smoothing_fwhm_mm=settings.smoothing_fwhm_mm,
        )
        if quantity.least is not None:
            normalised = normalised.above(quantity.least)
        labels = place.to_template(place.labels, how="nearest")
        region = reference_mask(reference, normalised.defined, labels, grid)
        scaled, asymmetry = scaled_asymmetry(normalised, region, settings.scale)
        native, native_valid = place.to_native(asymmetry.index, asymmetry.valid)
    found = AsymmetryMetrics(
        quantity=quantity.name,
        scale=settings.scale,
        reference=reference,
        smoothing_fwhm_mm=settings.smoothing_fwhm_mm,
        least=quantity.least,
        mean=scaled.mean,
        sd=scaled.sd,
        structures=structure_means(scaled.image, native, native_valid, place),
        notices=tuple(notices),
    )
    common = {"Units": "1", "SkullStripped": True}
    index = {"Description": f"asymmetry index of {quantity.name}", **common}
    intensity = {"Description": f"{quantity.name} on the {settings.scale} scale", **common}
    save(files.scaled_template, scaled.image, grid.affine, sidecar=intensity)
    save(files.asymmetry_template, asymmetry.index, grid.affine, sidecar=index)
    placed = {**index, "SpatialReference": NATIVE}
    save(files.asymmetry_native, native, place.native.affine, sidecar=placed)
    write_json(files.metrics, plain(found))


@dataclass(frozen=True)
class SignatureFiles:
    """Files of :func:`signature_stage`.

    Parameters
    ----------
    scaled_template, asymmetry_metrics
        Inputs: outputs of :func:`asymmetry_stage`. The asymmetry is taken anew from the scaled
        image, on the scale that each threshold belongs to.
    gm
        Input on the T1w grid.
    signature_template, signature_native
        Outputs: masks at the chosen threshold.
    published_native
        Output: mask at the published threshold, z + 5 scale, both sides, no grey-matter floor.
    metrics
        Output: JSON of :class:`falx.pet.metrics.SignatureMetrics`.
    """

    scaled_template: Path
    asymmetry_metrics: Path
    gm: Path
    signature_template: Path
    signature_native: Path
    published_native: Path
    metrics: Path


def signature_stage(
    files: SignatureFiles,
    where: PlaceFiles,
    settings: SignatureRule,
    *,
    side: str | None,
    threads: int = 1,
) -> None:
    """Personalised signature of the PET, at the chosen and at the published threshold.

    Parameters
    ----------
    side
        Declared side of the focus, ``"left"`` or ``"right"``; ``None`` where none is declared:
        the side whose mesial temporal lobe is lower.
    """
    cut = Threshold(
        settings.threshold,
        settings.threshold_scale,
        settings.threshold_comparison,
        "chosen for this run",
    )
    scaled, grid, facts = read_scaled(files.scaled_template, files.asymmetry_metrics)
    place, grey = read_place(where, grid, threads), load(files.gm)
    with collect_notices() as notices:
        focus = resolve_side(side or "auto", *_mesial_temporal(facts))
        only = focus if settings.ipsilateral_only else None
        rule = Rule(settings.gm_floor, only, settings.minimum_cluster_mm3)
        chosen = signature_in_both_spaces(scaled, cut, rule, place, grey)
        published = signature_in_both_spaces(scaled, PUBLISHED_THRESHOLD, Rule(), place, grey)
    what = {"SpatialReference": NATIVE, "Type": "ROI"}
    save(files.signature_template, chosen.template, grid.affine, sidecar={"Type": "ROI"})
    save(files.signature_native, chosen.native, place.native.affine, sidecar=what)
    save(files.published_native, published.native, place.native.affine, sidecar=what)
    voxel_mm3 = place.native.voxel_volume_mm3
    found = SignatureMetrics(
        side=focus,
        side_from="the asymmetry" if side is None else "the declared focus",
        threshold=cut,
        published_threshold=PUBLISHED_THRESHOLD,
        volume_mm3=np.count_nonzero(chosen.native) * voxel_mm3,
        published_volume_mm3=np.count_nonzero(published.native) * voxel_mm3,
        notices=tuple(notices),
    )
    write_json(files.metrics, plain(found))


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


def read_scaled(image: Path, metrics: Path) -> tuple[Scaled, Grid, AsymmetryMetrics]:
    """Read a scaled image with its scale, as an asymmetry stage wrote them."""
    facts = read_record(AsymmetryMetrics, metrics)
    values = load(image)
    return Scaled(values.data, facts.scale, facts.mean, facts.sd), values.grid, facts


def read_place(files: PlaceFiles, template: Grid, threads: int = 1) -> Place:
    """Read one patient's anatomy and the ways between native and template space."""
    brain, labels = load_mask(files.brain_mask), load_labels(files.structures)
    require_same("brain mask", brain.grid, "structures", labels.grid)
    return Place(
        native=brain.grid,
        template=template,
        brain=brain,
        labels=labels,
        to_native_mm=load_map(files.to_native).on(template, threads=threads),
        to_template_mm=load_map(files.to_template).on(brain.grid, threads=threads),
        threads=threads,
    )


def read_pet(path: Path, *, frames: str = "static") -> Pet:
    """Read a PET image, averaging the chosen frames of a dynamic one.

    Parameters
    ----------
    path
        3D image, or 4D with time last; its JSON sidecar beside it is read if it exists.
    frames
        ``"static"`` (one frame only), ``"all"``, or a window such as ``"4-6"``, counted from 1
        with both ends included.

    Raises
    ------
    InputError
        If a dynamic image comes without a window, or the image holds nothing.
    """
    sidecar = _sidecar(path)
    try:
        image = load(path)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
        image = average_frames(
            load(path, ndim=4), frames, sidecar.get("FrameDuration"), where=path.name
        )
    units = sidecar.get("Units")
    if units is None:
        notify(
            "the PET has no unit; asymmetry does not depend on its scale, activities are in "
            "arbitrary units",
            where=path.name,
        )
    return Pet(check_pet(image, where=path.name), units)


def _sidecar(path: Path) -> dict[str, Any]:
    beside = path.with_name(path.name.split(".nii")[0] + ".json")
    if not beside.exists():
        return {}
    content = read_json(beside)
    return content if isinstance(content, dict) else {}
