"""Files in, files out for the PET room.

The stages of Mo et al. 2025 between the PET and the signature; :mod:`falx.pet.steps` computes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError, collect_notices, notify
from falx.core.files import read_json, read_record, write_json, write_table
from falx.core.grid import Grid, normalisation_grid, require_same
from falx.core.possible import Possible
from falx.core.records import plain
from falx.data.asymmetry_norms import FIELD_FWHM_MM
from falx.images.nifti import as_stored, load, load_labels, load_mask, save
from falx.images.warp import load_map
from falx.pet.finding import ScaledPet, find_signature
from falx.pet.foci import foci_table
from falx.pet.frames import Pet, average_frames, check_pet
from falx.pet.maps import Place
from falx.pet.metrics import AsymmetryMetrics, PetMetrics
from falx.pet.noise import Noise
from falx.pet.norms import (
    LIMITS,
    Expected,
    HealthyMetrics,
    SiteNorms,
    check_fit,
    conditions_of,
    expected_maps,
    place_all,
)
from falx.pet.scaling import Scaled
from falx.pet.settings import Correction, SignatureRule, TemplateSettings
from falx.pet.steps import (
    Quantity,
    Tissues,
    correct_measured,
    image_asymmetry,
    published_asymmetry,
)

__all__ = [
    "AsymmetryFiles",
    "CorrectionFiles",
    "HealthyFiles",
    "Person",
    "PlaceFiles",
    "PublishedFiles",
    "ScaledFiles",
    "SignatureFiles",
    "asymmetry_stage",
    "correct_stage",
    "file_digest",
    "healthy_stage",
    "place_person",
    "published_stage",
    "read_pet",
    "read_place",
    "read_scaled",
    "read_scaled_pet",
    "read_site_norms",
    "signature_stage",
]

INDEX = Possible(-2, 2)
"""Asymmetry of two amounts, which z-scores are not."""


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
    noise
        Output: standard deviation of its noise, in its unit and on its voxels; zero where it
        is not defined, and everywhere if the noise could not be measured.
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
    noise: Path
    metrics: Path


def correct_stage(
    files: CorrectionFiles, settings: Correction, *, seed: int = 1, threads: int = 1
) -> None:
    """Correct the PET for partial volume on its own voxels, and measure its noise.

    Parameters
    ----------
    seed
        Of the draws that calibrate the noise.
    """
    with collect_notices() as notices:
        measured = read_pet(files.pet, frames=settings.frames)
        to_t1 = np.linalg.inv(load_matrix(files.matrix))
        tissues = Tissues(
            load(files.gm), load(files.wm), load(files.csf), load_labels(files.structures)
        )
        rng = np.random.default_rng(seed)
        found = correct_measured(measured, to_t1, tissues, settings, rng=rng, threads=threads)
    metrics = replace(found.metrics, notices=tuple(notices))
    sidecar = {
        "Description": f"PET after partial-volume correction ({metrics.method})",
        "SkullStripped": metrics.method != "none",
        "Units": metrics.units,
    }
    save(files.corrected, found.image.data, found.image.affine, sidecar=sidecar)
    noise = {
        "Description": "standard deviation of the noise of the corrected PET, measured in its "
        "residuals; zero where the image is not defined",
        "NoiseFilterFWHM": list(metrics.noise.fwhm_mm),
        "SkullStripped": metrics.method != "none",
        "Units": metrics.units,
    }
    save(files.noise, found.noise.sd.data, found.noise.sd.affine, sidecar=noise)
    write_json(files.metrics, plain(metrics))


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
    source, grid = load(files.image), normalisation_grid(settings.voxel_mm)
    place = read_place(where, grid, threads)
    with collect_notices() as notices:
        found = image_asymmetry(
            source,
            place,
            settings,
            quantity=quantity,
            reference=reference,
            matrix=None if files.matrix is None else load_matrix(files.matrix),
        )
    common = {"Units": "1", "SkullStripped": True}
    index = {"Description": f"asymmetry index of {quantity.name}", **common}
    intensity = {"Description": f"{quantity.name} on the {settings.scale} scale", **common}
    save(files.scaled_template, found.scaled.image, grid.affine, sidecar=intensity)
    limits = None if settings.scale == "z" else INDEX
    save(files.asymmetry_template, found.index, grid.affine, sidecar=index, possible=limits)
    native = place.native.affine
    save(files.asymmetry_native, found.native, native, sidecar=index, possible=limits)
    write_json(files.metrics, plain(replace(found.metrics, notices=tuple(notices))))


@dataclass(frozen=True)
class PublishedFiles:
    """Files of :func:`published_stage`.

    Parameters
    ----------
    pet, matrix
        Inputs: the measured PET, and JSON of its coregistration, T1w mm → PET mm.
    scaled_template
        Output: the PET in template space, neither corrected nor smoothed, on the z + 5 scale.
    metrics
        Output: JSON of :class:`falx.pet.metrics.AsymmetryMetrics`.
    """

    pet: Path
    matrix: Path
    scaled_template: Path
    metrics: Path


def published_stage(
    files: PublishedFiles, where: PlaceFiles, *, frames: str, voxel_mm: float, threads: int = 1
) -> None:
    """Asymmetry of the PET as the scripts of Mo 2025 take it, whatever the run's own choices.

    Parameters
    ----------
    frames
        Of a dynamic PET; see :func:`read_pet`.
    voxel_mm
        Of the template grid.
    """
    place = read_place(where, normalisation_grid(voxel_mm), threads)
    with collect_notices() as notices:
        to_t1 = np.linalg.inv(load_matrix(files.matrix))
        measured = read_pet(files.pet, frames=frames).image
        image = as_stored(measured.data, to_t1 @ measured.affine)
        found = published_asymmetry(image, place)
    sidecar = {
        "Description": "PET on the z + 5 scale, neither corrected nor smoothed (Mo 2025, scripts)",
        "SkullStripped": True,
        "Units": "1",
    }
    save(files.scaled_template, found.scaled.image, place.template.affine, sidecar=sidecar)
    write_json(files.metrics, plain(replace(found.metrics, notices=tuple(notices))))


@dataclass(frozen=True)
class ScaledFiles:
    """Inputs: a PET in template space with all that its signature rests on.

    Parameters
    ----------
    scaled_template, asymmetry_metrics
        Outputs of :func:`asymmetry_stage`. The asymmetry is taken anew from the scaled image, on
        the scale that each threshold belongs to.
    noise, pet_metrics
        Outputs of :func:`correct_stage`.
    published_scaled, published_metrics
        Outputs of :func:`published_stage`.
    healthy, healthy_mean, healthy_sd
        Outputs of :func:`healthy_stage`; without them the shipped norms count.
    """

    scaled_template: Path
    asymmetry_metrics: Path
    noise: Path
    pet_metrics: Path
    published_scaled: Path
    published_metrics: Path
    healthy: Path | None = None
    healthy_mean: Path | None = None
    healthy_sd: Path | None = None


def read_scaled_pet(files: ScaledFiles) -> tuple[ScaledPet, Grid]:
    """Read a PET in template space, and that grid."""
    scaled, grid, facts = read_scaled(files.scaled_template, files.asymmetry_metrics)
    published, other, _ = read_scaled(files.published_scaled, files.published_metrics)
    require_same("scaled PET", grid, "PET of the published chain", other)
    correction = read_record(PetMetrics, files.pet_metrics)
    noise = None
    if correction.noise.reason is None:
        noise = Noise(load(files.noise), np.array(correction.noise.fwhm_mm))
    return ScaledPet(scaled, facts, correction, noise, published, _expected(files, grid)), grid


def _expected(files: ScaledFiles, grid: Grid) -> Expected | None:
    """Read what a site's controls let expect, None where the shipped norms count."""
    if files.healthy is None or files.healthy_mean is None or files.healthy_sd is None:
        return None
    told = read_record(HealthyMetrics, files.healthy)
    if not told.of_site:
        return None
    mean, sd = load(files.healthy_mean), load(files.healthy_sd)
    require_same("scaled PET", grid, "norms", mean.grid)
    return Expected(mean.data, sd.data, told.fwhm_mm)


@dataclass(frozen=True)
class HealthyFiles:
    """Files of :func:`healthy_stage`.

    Parameters
    ----------
    norms
        Input: record of `falx norms`; its maps lie beside it. ``None``: the shipped norms.
    pet_metrics, asymmetry_metrics
        Inputs: outputs of :func:`correct_stage` and :func:`asymmetry_stage`.
    mean, sd
        Outputs: what the site's controls let expect of this person's index, in template space;
        zero everywhere for the shipped norms, which are of structures.
    metrics
        Output: JSON of :class:`falx.pet.norms.HealthyMetrics`.
    """

    norms: Path | None
    pet_metrics: Path
    asymmetry_metrics: Path
    mean: Path
    sd: Path
    metrics: Path


def healthy_stage(
    files: HealthyFiles,
    *,
    age: float | None,
    sex: float | None,
    scanner: str | None,
    tracer: str | None,
    voxel_mm: float,
) -> None:
    """Place a person's structures among healthy people, and say what is expected of each voxel.

    Parameters
    ----------
    age, sex
        Of the person: years; 0 for women and 1 for men.
    scanner, tracer
        Model and tracer as the dataset names them.
    voxel_mm
        Of the template grid.
    """
    pet = read_record(PetMetrics, files.pet_metrics)
    facts = read_record(AsymmetryMetrics, files.asymmetry_metrics)
    grid = normalisation_grid(voxel_mm)
    person = Person(age, sex, scanner, tracer)
    metrics, expected = place_person(files.norms, pet, facts, person, voxel_mm)
    nothing = np.zeros(grid.shape, np.float32)
    mean, sd = (nothing, nothing) if expected is None else (expected.mean, expected.sd)
    whose = f"of {metrics.source}" if metrics.of_site else "not known: zero everywhere"
    for path, data, what in ((files.mean, mean, "mean"), (files.sd, sd, "standard deviation")):
        sidecar = {
            "Description": f"{what} of healthy asymmetry, {whose}",
            "Units": "1",
            "SkullStripped": True,
        }
        save(path, data, grid.affine, sidecar=sidecar)
    write_json(files.metrics, plain(metrics))


@dataclass(frozen=True)
class Person:
    """What decides whether norms fit a person, as far as it is known.

    Parameters
    ----------
    age, sex
        Years; 0 for women and 1 for men.
    scanner, tracer
        Model and tracer as the dataset names them.
    """

    age: float | None = None
    sex: float | None = None
    scanner: str | None = None
    tracer: str | None = None


def place_person(
    norms: Path | None, pet: PetMetrics, facts: AsymmetryMetrics, person: Person, voxel_mm: float
) -> tuple[HealthyMetrics, Expected | None]:
    """Place a person among healthy people; say what a site's controls let expect of each voxel.

    Parameters
    ----------
    norms
        Record of `falx norms`; ``None``: the shipped norms, which are of structures alone.
    voxel_mm
        Of the template grid.

    Raises
    ------
    InputError
        If the norms are of another tracer, scale, correction or grid.
    """
    given, expected = {"age": person.age, "sex": person.sex}, None
    with collect_notices() as notices:
        site = None if norms is None else read_site_norms(norms)
        if site is not None:
            check_fit(site, conditions_of(pet, facts, person.tracer, voxel_mm), person.scanner)
        regional = {name: sides["left"] for name, sides in pet.regional_asymmetry.items()}
        placed = place_all(pet.uncorrected_asymmetry, regional, site, given)
        if site is not None and site.maps and norms is not None:
            grid = normalisation_grid(voxel_mm)
            maps = {role: _norm_map(norms, site, role, grid) for role in site.maps}
            with collect_notices():  # told above
                expected = expected_maps(site, maps, given, grid)
    metrics = HealthyMetrics(
        source=LIMITS if site is None else site.source,
        of_site=expected is not None,
        fwhm_mm=FIELD_FWHM_MM if expected is None else expected.fwhm_mm,
        structures=placed,
        notices=tuple(notices),
    )
    return metrics, expected


def read_site_norms(path: Path) -> SiteNorms:
    """Read what `falx norms` wrote; its maps are checked against the digests in it."""
    norms = read_record(SiteNorms, path)
    for name, digest in norms.maps.values():
        beside = path.with_name(name)
        if not beside.is_file() or file_digest(beside) != digest:
            raise InputError(
                "a map of the norms is not as falx norms left it",
                where=name,
                found="another content" if beside.is_file() else "no such file",
                do="run falx norms again",
            )
    return norms


def _norm_map(record: Path, norms: SiteNorms, role: str, grid: Grid) -> npt.NDArray[np.float32]:
    image = load(record.with_name(norms.maps[role][0]))
    require_same("template", grid, "map of the norms", image.grid)
    return np.asarray(image.data, dtype=np.float32)


def file_digest(path: Path) -> str:
    """BLAKE2b digest of a file, hexadecimal."""
    return hashlib.blake2b(path.read_bytes(), digest_size=32).hexdigest()


@dataclass(frozen=True)
class SignatureFiles:
    """Files of :func:`signature_stage`.

    Parameters
    ----------
    gm
        Input on the T1w grid.
    signature_template, signature_native
        Outputs: masks by the definition of this run.
    published_native
        Output: mask by the definition of Mo 2025 (scripts), in the PET of the published chain.
    probability_template, probability_native
        Outputs: probability of belonging to a calibrated focus, whatever the definition.
    foci
        Output: TSV of the foci of both sides.
    foci_native
        Output: label image of them on the T1w grid, by their numbers in the table.
    metrics
        Output: JSON of :class:`falx.pet.metrics.SignatureMetrics`.
    """

    gm: Path
    signature_template: Path
    signature_native: Path
    published_native: Path
    probability_template: Path
    probability_native: Path
    foci: Path
    foci_native: Path
    metrics: Path


def signature_stage(
    files: SignatureFiles,
    pet: ScaledFiles,
    where: PlaceFiles,
    settings: SignatureRule,
    *,
    side: str | None,
    threads: int = 1,
) -> None:
    """Personalised signature of the PET, and that of the publication beside it.

    Parameters
    ----------
    side
        Declared side of the focus, ``"left"`` or ``"right"``; ``None`` where none is declared.
    """
    of, grid = read_scaled_pet(pet)
    place, grey = read_place(where, grid, threads), load(files.gm)
    with collect_notices() as notices:
        rng = np.random.default_rng(settings.seed)
        found = find_signature(of, place, grey, settings, side=side, rng=rng)
    metrics = replace(found.metrics, notices=tuple(notices))
    what = {"Type": "ROI", "Description": f"signature, {metrics.definition}"}
    native = place.native.affine
    save(files.signature_template, found.chosen.template, grid.affine, sidecar=what)
    save(files.signature_native, found.chosen.native, native, sidecar=what)
    published = {"Type": "ROI", "Description": "signature as the scripts of Mo 2025 define it"}
    assert found.published is not None  # read_scaled_pet always gives its image
    save(files.published_native, found.published.native, native, sidecar=published)
    chance = {
        "Description": "probability of belonging to a focus that neither noise nor healthy "
        "asymmetry accounts for; zero away from foci"
        + ("" if metrics.calibrated else "; the noise of this PET is not known: all zero"),
        "Units": "1",
    }
    save(files.probability_template, found.probability_template, grid.affine, sidecar=chance)
    save(files.probability_native, found.probability, native, sidecar=chance)
    foci = () if metrics.calibrated is None else metrics.calibrated.everywhere
    write_table(files.foci, *foci_table(foci))
    numbered = {"Description": "foci of both sides by their numbers in the table of foci"}
    save(files.foci_native, found.foci, native, sidecar=numbered)
    write_json(files.metrics, plain(metrics))


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
    sidecar, noise = _sidecar(path), None
    try:
        image = load(path)
    except InputError as error:
        if "3D image is needed" not in str(error):
            raise
        image, noise = average_frames(
            load(path, ndim=4), frames, _durations(sidecar, path.name), where=path.name
        )
    told = sidecar.get("Units")
    units = str(told) if told else None
    if units is None:
        notify(
            "the PET has no unit; asymmetry does not depend on its scale, activities are in "
            "arbitrary units",
            where=path.name,
        )
    return Pet(check_pet(image, where=path.name), units, noise)


def _durations(sidecar: Mapping[str, object], where: str) -> list[float] | None:
    """Return what the sidecar says of the frames, None if it says nothing."""
    durations = sidecar.get("FrameDuration")
    if durations is None:
        return None
    listed = durations if isinstance(durations, list) else [durations]
    numbers = [float(d) for d in listed if isinstance(d, int | float)]
    if len(numbers) != len(listed):
        raise InputError(
            "FrameDuration is no list of numbers",
            where=where,
            found=repr(durations)[:60],
            do="write the seconds of every frame into the sidecar, such as [300, 300]",
        )
    return numbers


def _sidecar(path: Path) -> dict[str, object]:
    beside = path.with_name(path.name.split(".nii")[0] + ".json")
    if not beside.exists():
        return {}
    content = read_json(beside)
    return content if isinstance(content, dict) else {}
