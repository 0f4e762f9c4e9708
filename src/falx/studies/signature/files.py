"""Files in, the numbers and the page of one patient out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from falx.anatomy.files import load_matrix, load_still
from falx.anatomy.metrics import AnatomyMetrics, CoregistrationMetrics
from falx.core.errors import InputError, collect_notices
from falx.core.files import read_json, read_record, write_json, write_text
from falx.core.grid import apply_affine, require_same
from falx.data.priors import template
from falx.images.nifti import Image, load, load_labels, load_mask
from falx.images.warp import load_map
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.pet.norms import HealthyMetrics
from falx.report.provenance import StageRecord
from falx.studies.outcome.patient import patient_of
from falx.studies.signature.numbers import PatientMetrics, flatten_numbers
from falx.studies.signature.page import SignaturePictures, SignatureResults, signature_page
from falx.studies.signature.recovery import Found, Planted, Recovered, compare
from falx.studies.signature.registration import Under, laid_over
from falx.surgery.metrics import AblationMetrics, RatesMetrics

__all__ = [
    "MetricsFiles",
    "PictureFiles",
    "ReportFiles",
    "compare_patient",
    "numbers_stage",
    "read_metrics",
    "signature_report_stage",
]

T = TypeVar("T")

CEREBRUM = (2, 3, 41, 42)
EVERY = 2003
"""White and grey matter of both sides; every so many of their voxels show where an image lies."""


@dataclass(frozen=True)
class MetricsFiles:
    """Inputs: metrics of the stages; `asymmetry` by modality, ablation and rates optional."""

    anatomy: Path
    pet: Path
    asymmetry: Mapping[str, Path]
    signature: Path
    healthy: Path
    ablation: Path | None = None
    rates: Path | None = None


@dataclass(frozen=True)
class PictureFiles:
    """Inputs of the page's pictures, native T1w space.

    Parameters
    ----------
    t1w, brain_mask, gm, wm, labels, corrected_pet, asymmetry_native, signature_native
        Images; `labels` holds the structures.
    to_native
        Coordinate map, template grid → T1w mm.
    ablation_native
        Optional.
    """

    t1w: Path
    brain_mask: Path
    gm: Path
    wm: Path
    labels: Path
    to_native: Path
    corrected_pet: Path
    asymmetry_native: Path
    signature_native: Path
    ablation_native: Path | None = None


@dataclass(frozen=True)
class ReportFiles:
    """Files of :func:`signature_report_stage` beside metrics and pictures.

    Parameters
    ----------
    records
        Inputs: provenance of the earlier stages, for notices, parameters and versions.
    coregistrations
        Inputs: image to its coregistration.
    coregistered
        Inputs: the same images, each on its own grid.
    page
        Output: one HTML file.
    """

    records: Mapping[str, Path]
    coregistrations: Mapping[str, Path]
    coregistered: Mapping[str, Path]
    page: Path


def numbers_stage(files: MetricsFiles, *, numbers: Path) -> None:
    """Write the numbers of one patient as a flat JSON record; see :func:`flatten_numbers`."""
    write_json(numbers, flatten_numbers(read_metrics(files)))


def read_metrics(files: MetricsFiles) -> PatientMetrics:
    """Read what the stages found in a patient."""
    asymmetry = {
        modality: read_record(AsymmetryMetrics, path) for modality, path in files.asymmetry.items()
    }
    return PatientMetrics(
        read_record(AnatomyMetrics, files.anatomy),
        read_record(PetMetrics, files.pet),
        asymmetry,
        read_record(SignatureMetrics, files.signature),
        read_record(HealthyMetrics, files.healthy),
        _optional(AblationMetrics, files.ablation),
        _optional(RatesMetrics, files.rates),
    )


def _optional(kind: type[T], path: Path | None) -> T | None:
    return None if path is None else read_record(kind, path)


def signature_report_stage(
    files: ReportFiles,
    metrics: MetricsFiles,
    pictures: PictureFiles,
    *,
    subject: str,
    threads: int = 1,
) -> None:
    """Write the page of one patient, `subject` being the pseudonym."""
    coregistrations = {
        name: read_record(CoregistrationMetrics, path)
        for name, path in files.coregistrations.items()
    }
    records = {name: read_record(StageRecord, path) for name, path in files.records.items()}
    results = SignatureResults(subject, read_metrics(metrics), coregistrations, records)
    shown = _pictures(pictures)
    under = Under.of(shown.t1w, shown.brain, threads=threads)
    laid = {
        name: laid_over(under, _still(files.coregistered[name]), found, threads=threads)
        for name, found in coregistrations.items()
        if name in files.coregistered
    }
    write_text(files.page, signature_page(results, shown, laid))


def _still(path: Path) -> Image:
    """Read an image as its coregistration did; what that said is said there."""
    with collect_notices():
        return load_still(path)


def _pictures(files: PictureFiles) -> SignaturePictures:
    ablation = files.ablation_native
    return SignaturePictures(
        t1w=load(files.t1w),
        brain=load_mask(files.brain_mask),
        gm=load(files.gm),
        wm=load(files.wm),
        to_native=load_map(files.to_native),
        structures=load_labels(files.labels),
        pet=load(files.corrected_pet),
        asymmetry=load(files.asymmetry_native),
        signature=load_mask(files.signature_native),
        ablation=None if ablation is None else load_mask(ablation),
        template=template("t1"),
    )


def compare_patient(truth: Path, outputs: Path, subject: str) -> list[Recovered]:
    """Compare one phantom patient's outputs with what was planted.

    Parameters
    ----------
    truth
        ``derivatives/truth`` of the phantom dataset.
    outputs
        Output folder of ``falx signature``.
    subject
        Label.
    """
    exact, made = truth / f"sub-{subject}", outputs / f"sub-{subject}"
    planted = read_record(Planted, exact / f"sub-{subject}_truth.json")
    numbers = _one(made, "*_desc-numbers_metrics.json")
    labels = load_labels(_one(exact, "*_desc-truth_dseg.nii.gz"))
    brain = np.argwhere(np.isin(labels.data, CEREBRUM))[::EVERY]
    found = Found(
        patient_of(read_json(numbers), where=numbers.name),
        _map_mean(exact, made),
        {
            name: load_matrix(_one(made, f"*_to-{name}_mode-image_xfm.json"))
            for name in planted.matrices
        },
        apply_affine(labels.affine, brain),
        *_overlap(exact, made),
    )
    return compare(subject, planted, found)


def _map_mean(exact: Path, made: Path) -> float | None:
    """Mean of the asymmetry map over the planted region, where both are defined."""
    planted = load_mask(_one(exact, "*_desc-signature_mask.nii.gz"))
    index = load(_one(made, "*_space-T1w_desc-asymmetry_pet.nii.gz"))
    require_same("truth", planted.grid, "asymmetry map", index.grid, where=made.name)
    inside = planted.data & (index.data != 0)
    return float(index.data[inside].mean()) if inside.any() else None


def _overlap(exact: Path, made: Path) -> tuple[float | None, float | None]:
    """Share of the signature that was planted, and share of the planted that is signature."""
    planted = load_mask(_one(exact, "*_desc-signature_mask.nii.gz"))
    found = load_mask(_one(made, "*_space-T1w_desc-signature_mask.nii.gz"))
    require_same("truth", planted.grid, "signature", found.grid, where=made.name)
    both = np.count_nonzero(planted.data & found.data)
    sizes = (np.count_nonzero(found.data), np.count_nonzero(planted.data))
    precision, sensitivity = (both / size if size else None for size in sizes)
    return precision, sensitivity


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise InputError(
            "the output folder does not hold what was expected",
            where=folder,
            found=f"{len(found)} files like {pattern}",
            do="run the study again",
        )
    return found[0]
