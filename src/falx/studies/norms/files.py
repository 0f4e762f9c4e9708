"""Files in, the norms of a site's controls out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.metrics import AnatomyMetrics
from falx.anatomy.quality import STOPPING
from falx.core.errors import collect_notices, notify
from falx.core.files import read_record, read_table, write_json, write_table, write_text
from falx.core.grid import TEMPLATE_SPACE, Grid, normalisation_grid
from falx.core.records import plain
from falx.data.priors import ATLAS_FILE, DATA, template
from falx.images.nifti import load, load_labels, save
from falx.images.resample import resample
from falx.images.smooth import smooth
from falx.pet.asymmetry import asymmetry_index
from falx.pet.controls import Conditions, Control
from falx.pet.files import PlaceFiles, file_digest, read_place, read_scaled
from falx.pet.metrics import PetMetrics
from falx.pet.noise import Chain, Noise, noise_maps, unfold
from falx.pet.norms import conditions_of
from falx.pet.uncorrected import paired_asymmetry
from falx.report.people import people_section
from falx.studies.norms.join import join_controls
from falx.studies.norms.page import HEADER, norms_page, norms_rows

__all__ = [
    "ControlFiles",
    "NormsFiles",
    "ReadyFiles",
    "control_stage",
    "norms_stage",
    "ready_control_stage",
]

DRAWS = 12
"""Of each control's noise; the norms average the variance over all controls."""


@dataclass(frozen=True)
class ControlFiles:
    """Files of :func:`control_stage`.

    Parameters
    ----------
    anatomy, pet_metrics, asymmetry_metrics
        Inputs: records of the earlier stages.
    scaled, noise
        Inputs: PET in template space on its scale, and the noise of the corrected PET.
    noise_map
        Output: standard error of the index by the noise, template space; zero everywhere if the
        noise could not be measured.
    metrics
        Output: JSON of :class:`falx.pet.controls.Control`.
    """

    anatomy: Path
    pet_metrics: Path
    asymmetry_metrics: Path
    scaled: Path
    noise: Path
    noise_map: Path
    metrics: Path


def control_stage(
    files: ControlFiles,
    where: PlaceFiles,
    *,
    age: float | None,
    sex: float | None,
    scanner: str | None,
    tracer: str | None,
    voxel_mm: float,
    threads: int = 1,
) -> None:
    """Gather what one control brings to the norms.

    Parameters
    ----------
    age, sex
        Years; 0 for women and 1 for men.
    scanner, tracer
        As the dataset names them.
    voxel_mm
        Of the template grid.
    """
    pet = read_record(PetMetrics, files.pet_metrics)
    scaled, grid, facts = read_scaled(files.scaled, files.asymmetry_metrics)
    spread = np.zeros(grid.shape, np.float32)
    known = pet.noise.reason is None
    with collect_notices() as notices:
        if known:
            place = read_place(where, grid, threads)
            noise = Noise(load(files.noise), np.array(pet.noise.fwhm_mm))
            chain = Chain(place, scaled.image * scaled.mean, facts.smoothing_fwhm_mm)
            maps = noise_maps(noise, chain, DRAWS, np.random.default_rng(1))
            half = np.zeros(maps.where.shape, np.float32)
            half[maps.where] = np.sqrt(np.mean(np.square(maps.values), axis=0))
            spread = unfold(half, grid)
        else:
            notify(f"the noise of this control is not known: {pet.noise.reason}")
    _save_noise(files.noise_map, spread, grid)
    checks = read_record(AnatomyMetrics, files.anatomy).quality
    control = Control(
        conditions=conditions_of(pet, facts, tracer, voxel_mm),
        scanner=scanner,
        age=age,
        sex=sex,
        uncorrected=pet.uncorrected_asymmetry,
        regional={name: sides["left"] for name, sides in pet.regional_asymmetry.items()},
        noise_known=known,
        failed=tuple(c.name for c in checks if not c.passed and c.name in STOPPING),
        notices=tuple(notices),
    )
    write_json(files.metrics, plain(control))


def _save_noise(path: Path, spread: npt.NDArray[np.float32], grid: Grid) -> None:
    what = {"Description": "standard error of the asymmetry index by the noise", "Units": "1"}
    save(path, spread, grid.affine, sidecar=what)


@dataclass(frozen=True)
class ReadyFiles:
    """Files of :func:`ready_control_stage`.

    Parameters
    ----------
    image
        Input: a PET that was brought to MNI space elsewhere.
    index
        Output: its asymmetry in template space.
    noise_map
        Output: zero everywhere, for the noise of such a map is not known.
    metrics
        Output: JSON of :class:`falx.pet.controls.Control`.
    """

    image: Path
    index: Path
    noise_map: Path
    metrics: Path


def ready_control_stage(
    files: ReadyFiles,
    *,
    age: float | None,
    sex: float | None,
    scanner: str | None,
    voxel_mm: float,
    smoothing_fwhm_mm: float,
) -> None:
    """Take the asymmetry of a map in MNI space, by the structures that ship.

    Parameters
    ----------
    age, sex, scanner, voxel_mm
        As of :func:`control_stage`.
    smoothing_fwhm_mm
        Before the index of voxels; structures are taken unsmoothed.
    """
    grid, image = normalisation_grid(voxel_mm), load(files.image)
    labels = resample(load_labels(DATA / ATLAS_FILE), grid, how="nearest")
    brain = resample(template("brain"), grid) > 0.5 * float(template("brain").data.max())
    values = resample(image, grid)
    defined = np.isfinite(values) & (values > 0) & brain
    values = np.where(defined, values, np.float32(0))
    smoothed = smooth(values, grid.voxel_sizes_mm, smoothing_fwhm_mm, mask=defined)
    found = asymmetry_index(np.where(defined, smoothed, 0), grid, defined)
    what = {"Description": "asymmetry index of a map normalised elsewhere", "Units": "1"}
    save(files.index, found.index, grid.affine, sidecar=what)
    _save_noise(files.noise_map, np.zeros(grid.shape, np.float32), grid)
    conditions = Conditions(
        tracer="FDG",
        space="MNI152NLin6ASym, normalised elsewhere",
        voxel_mm=voxel_mm,
        scale="proportional",
        smoothing_fwhm_mm=smoothing_fwhm_mm,
        correction="not known",
        psf_fwhm_mm=0.0,
        floor=0.0,
    )
    control = Control(
        conditions, scanner, age, sex, paired_asymmetry(values, defined, labels), {}, False
    )
    write_json(files.metrics, plain(control))


@dataclass(frozen=True)
class NormsFiles:
    """Files of :func:`norms_stage`.

    Parameters
    ----------
    index, noise_maps, controls
        Inputs by control: asymmetry in template space, its standard error, and the record.
    exclusions, people
        Inputs: who did not get through the participant level, and everybody.
    mean_map, sd_map, noise_map
        Outputs: healthy mean and SD of the index, and the part of the SD that is noise.
    age_map, sex_map
        Outputs: slope by a year of age and between women and men; zero if not regressed.
    record
        Output: JSON of :class:`falx.pet.norms.SiteNorms`.
    table
        Output: TSV of the structures.
    page
        Output: HTML.
    """

    index: Mapping[str, Path]
    noise_maps: Mapping[str, Path]
    controls: Mapping[str, Path]
    exclusions: Path
    people: Path
    mean_map: Path
    sd_map: Path
    noise_map: Path
    age_map: Path
    sex_map: Path
    record: Path
    table: Path
    page: Path


def norms_stage(files: NormsFiles) -> None:
    """Join all controls to norms: refused under ten, warned of under twenty."""
    with collect_notices() as notices:
        controls = {label: read_record(Control, path) for label, path in files.controls.items()}
        left_out = {
            label: f"a quality check failed: {'; '.join(control.failed)}"
            for label, control in controls.items()
            if control.failed
        }
        kept = {label: one for label, one in controls.items() if label not in left_out}
        ours = next(iter(kept.values())).conditions.space == TEMPLATE_SPACE if kept else True
        joined = join_controls(
            kept,
            lambda label: load(files.index[label]),
            lambda label: load(files.noise_maps[label]),
        )
    written = {
        "mean": (files.mean_map, joined.mean, "mean of the healthy asymmetry index"),
        "sd": (files.sd_map, joined.sd, "SD of the healthy asymmetry index about its mean"),
        "noise": (files.noise_map, joined.noise, "part of that SD which the noise explains"),
        "age": (files.age_map, joined.slope("age"), "slope of the index by a year of age"),
        "sex": (files.sex_map, joined.slope("sex"), "index of men minus that of women"),
    }
    for path, data, what in written.values():
        told = {"Description": what, "Units": "1", "SpatialReference": TEMPLATE_SPACE}
        save(path, data, joined.grid.affine, sidecar=told)
    maps = {role: (path.name, file_digest(path)) for role, (path, _, _) in written.items()}
    norms = replace(joined.norms, maps=maps if ours else {}, notices=tuple(notices))
    write_json(files.record, plain(norms))
    write_table(files.table, HEADER, norms_rows(norms))
    table = read_table(files.exclusions, delimiter="\t")
    labels = [label.removeprefix("sub-") for label in table.texts("participant_id")]
    excluded = dict(zip(labels, table.texts("reason"), strict=True)) | left_out
    people = people_section(read_table(files.people).records(), excluded)
    write_text(files.page, norms_page(norms, joined.outliers, people))
