"""Files in, files out for the PET room."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError, collect_notices
from falx.core.files import write_json
from falx.core.grid import SIDES, Grid, normalisation_grid, require_same
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.smooth import smooth
from falx.images.warp import load_map
from falx.pet.inputs import read_pet
from falx.pet.maps import Place, normalise, reference_mask, scaled_asymmetry, structure_means
from falx.pet.precision import asymmetry_standard_errors
from falx.pet.pvc import correct, effective_fwhm_mm, spread_fractions
from falx.pet.regions import grey_regions, regional_asymmetry
from falx.pet.scaling import Scaled
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
    "PET",
    "Quantity",
    "asymmetry_stage",
    "correct_stage",
    "read_place",
    "read_scaled",
    "signature_stage",
]

NATIVE = "native T1w space of the pre-operative session"


def correct_stage(
    *,
    pet: Path,
    matrix: Path,
    gm: Path,
    wm: Path,
    csf: Path,
    structures: Path,
    corrected: Path,
    metrics: Path,
    method: str,
    psf_fwhm_mm: float,
    smoothing_fwhm_mm: float,
    floor: float,
    frames: str,
    threads: int = 1,
) -> None:
    """Correct the PET for partial volume on its own voxels.

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
        Output: JSON with activities, regional values, units and notices.
    method, psf_fwhm_mm, smoothing_fwhm_mm, floor
        See :class:`falx.pet.presets.PetSettings`.
    frames
        ``"static"``, ``"all"`` or a window such as ``"4-6"``.
    """
    with collect_notices() as notices:
        measured = read_pet(pet, frames=frames)
        to_t1 = np.linalg.inv(load_matrix(matrix))
        grid = measured.image.grid
        labels, grey = load_labels(structures), load(gm)
        require_same("grey matter", grey.grid, "structures", labels.grid)
        fwhm_mm = effective_fwhm_mm(psf_fwhm_mm, smoothing_fwhm_mm)
        spread = spread_fractions(
            grey,
            load(wm),
            load(csf),
            grey_regions(labels.data, labels.grid.voxel_sizes_mm),
            grid,
            to_t1,
            fwhm_mm=fwhm_mm,
            threads=threads,
        )
        observed = smooth(measured.image.data, grid.voxel_sizes_mm, smoothing_fwhm_mm)
        result = correct(observed, spread, method=method, floor=floor)
        errors = asymmetry_standard_errors(observed, grid, spread, result.activities)
    units = measured.units or "arbitrary"
    save(
        corrected,
        result.image,
        to_t1 @ grid.affine,
        sidecar={
            "Description": f"PET after partial-volume correction ({method})",
            "SkullStripped": method != "none",
            "SpatialReference": NATIVE,
            "Units": units,
        },
    )
    write_json(
        metrics,
        {
            "method": method,
            "effective_psf_fwhm_mm": fwhm_mm,
            "floor": floor,
            "units": units,
            "activity": result.activities,
            "regional_asymmetry": regional_asymmetry(result.activities, spread),
            "regional_asymmetry_se": errors,
            "notices": notices,
        },
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
FLAIR = Quantity("FLAIR")
GM_DENSITY = Quantity("grey-matter density", least=0.1)


def asymmetry_stage(
    *,
    image: Path,
    matrix: Path | None,
    brain_mask: Path,
    structures: Path,
    to_native: Path,
    to_template: Path,
    scaled_template: Path,
    asymmetry_template: Path,
    asymmetry_native: Path,
    metrics: Path,
    quantity: Quantity,
    scale: str,
    reference: str,
    smoothing_fwhm_mm: float,
    voxel_mm: float,
    threads: int = 1,
) -> None:
    """Asymmetry of an image in template space, and pulled to the T1w grid.

    Parameters
    ----------
    image
        Input on its own grid.
    matrix
        Input: JSON of the coregistration, T1w mm → image mm; ``None`` for an image that is in
        T1w space already.
    brain_mask, structures
        Inputs on the T1w grid.
    to_native, to_template
        Inputs: coordinate maps, template grid → T1w mm and T1w grid → template mm.
    scaled_template
        Output: the image on the intensity scale, in template space.
    asymmetry_template, asymmetry_native
        Outputs: asymmetry index in template space, and pulled to the T1w grid.
    metrics
        Output: JSON with scale, mean and SD of the reference, and means of the structures.
    quantity
        What the image shows; bound where the stage is named.
    scale, reference
        Intensity scale and reference region.
    smoothing_fwhm_mm
        In template space.
    voxel_mm
        Of the template grid.
    """
    source = load(image)
    source = Image(np.nan_to_num(source.data), source.affine)
    measured = source.data != 0 if quantity.zero_is_missing else np.ones(source.data.shape, bool)
    grid = normalisation_grid(voxel_mm)
    place = read_place(brain_mask, structures, to_native, to_template, grid, threads)
    with collect_notices() as notices:
        normalised = normalise(
            source,
            measured,
            place,
            matrix=None if matrix is None else load_matrix(matrix),
            smoothing_fwhm_mm=smoothing_fwhm_mm,
        )
        if quantity.least is not None:
            normalised = normalised.above(quantity.least)
        labels = place.to_template(place.labels, how="nearest")
        region = reference_mask(reference, normalised.defined, labels, grid)
        scaled, asymmetry = scaled_asymmetry(normalised, region, scale)
        native, native_valid = place.to_native(asymmetry.index, asymmetry.valid)
    common = {"Units": "1", "SkullStripped": True}
    index = {"Description": f"asymmetry index of {quantity.name}", **common}
    intensity = {"Description": f"{quantity.name} on the {scale} scale", **common}
    save(scaled_template, scaled.image, grid.affine, sidecar=intensity)
    save(asymmetry_template, asymmetry.index, grid.affine, sidecar=index)
    placed = {**index, "SpatialReference": NATIVE}
    save(asymmetry_native, native, place.native.affine, sidecar=placed)
    write_json(
        metrics,
        {
            "quantity": quantity.name,
            "scale": scale,
            "reference": reference,
            "smoothing_fwhm_mm": smoothing_fwhm_mm,
            "least": quantity.least,
            "mean": scaled.mean,
            "sd": scaled.sd,
            "structures": structure_means(scaled.image, native, native_valid, place),
            "notices": notices,
        },
    )


def signature_stage(
    *,
    scaled_template: Path,
    asymmetry_metrics: Path,
    brain_mask: Path,
    gm: Path,
    structures: Path,
    to_native: Path,
    to_template: Path,
    signature_template: Path,
    signature_native: Path,
    published_native: Path,
    metrics: Path,
    side: str | None,
    threshold: float,
    threshold_scale: str,
    threshold_comparison: str,
    gm_floor: float,
    ipsilateral_only: bool,
    minimum_cluster_mm3: float,
    threads: int = 1,
) -> None:
    """Personalised signature of the PET, at the chosen and at the published threshold.

    Parameters
    ----------
    scaled_template, asymmetry_metrics
        Inputs: outputs of :func:`asymmetry_stage`. The asymmetry is taken anew from the scaled
        image, on the scale that each threshold belongs to.
    brain_mask, gm, structures
        Inputs on the T1w grid.
    to_native, to_template
        Inputs: coordinate maps.
    signature_template, signature_native
        Outputs: masks at the chosen threshold.
    published_native
        Output: mask at the published threshold, z + 5 scale, both sides, no grey-matter floor.
    metrics
        Output: JSON with the side, thresholds, volumes and notices.
    side
        Declared side of the focus, ``"left"`` or ``"right"``; ``None`` where none is declared:
        the side whose mesial temporal lobe is lower.
    threshold, threshold_scale, threshold_comparison, gm_floor, ipsilateral_only
        See :class:`falx.pet.presets.PetSettings`.
    minimum_cluster_mm3
        Smaller clusters are dropped.
    """
    cut = Threshold(threshold, threshold_scale, threshold_comparison, "chosen for this run")
    scaled, grid, facts = read_scaled(scaled_template, asymmetry_metrics)
    place = read_place(brain_mask, structures, to_native, to_template, grid, threads)
    with collect_notices() as notices:
        focus = resolve_side(side or "auto", *_mesial_temporal(facts))
        rule = Rule(gm_floor, focus if ipsilateral_only else None, minimum_cluster_mm3)
        chosen = signature_in_both_spaces(scaled, cut, rule, place, load(gm))
        published = signature_in_both_spaces(scaled, PUBLISHED_THRESHOLD, Rule(), place, load(gm))
    what = {"SpatialReference": NATIVE, "Type": "ROI"}
    save(signature_template, chosen.template, grid.affine, sidecar={"Type": "ROI"})
    save(signature_native, chosen.native, place.native.affine, sidecar=what)
    save(published_native, published.native, place.native.affine, sidecar=what)
    voxel_mm3 = place.native.voxel_volume_mm3
    write_json(
        metrics,
        {
            "side": focus,
            "side_from": "the asymmetry" if side is None else "the declared focus",
            "threshold": asdict(cut),
            "published_threshold": asdict(PUBLISHED_THRESHOLD),
            "volume_mm3": np.count_nonzero(chosen.native) * voxel_mm3,
            "published_volume_mm3": np.count_nonzero(published.native) * voxel_mm3,
            "notices": notices,
        },
    )


def _mesial_temporal(facts: dict[str, Any]) -> tuple[float, float]:
    sides = facts["structures"]["mesial_temporal"]
    left, right = (sides[side]["mean_asymmetry"] for side in SIDES)
    if left is None or right is None:
        raise InputError(
            "the mesial temporal structures hold no asymmetry",
            do="check the structures and the field of view of the PET",
        )
    return left, right


def read_scaled(image: Path, metrics: Path) -> tuple[Scaled, Grid, dict[str, Any]]:
    """Read a scaled image with its scale, as an asymmetry stage wrote them."""
    facts: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
    values = load(image)
    return Scaled(values.data, facts["scale"], facts["mean"], facts["sd"]), values.grid, facts


def read_place(
    brain_mask: Path,
    structures: Path,
    to_native: Path,
    to_template: Path,
    template: Grid,
    threads: int,
) -> Place:
    """Read a patient's anatomy: T1w grid, template grid and the maps between them."""
    brain, labels = load_mask(brain_mask), load_labels(structures)
    require_same("brain mask", brain.grid, "structures", labels.grid)
    return Place(
        native=brain.grid,
        template=template,
        brain=brain,
        labels=labels,
        to_native_mm=load_map(to_native).on(template, threads=threads),
        to_template_mm=load_map(to_template).on(brain.grid, threads=threads),
        threads=threads,
    )
