"""Files in, the numbers and the page of one patient out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from falx.anatomy.metrics import AnatomyMetrics, CoregistrationMetrics
from falx.core.files import read_json, read_record, write_json, write_text
from falx.data.priors import template
from falx.images.nifti import load, load_labels, load_mask
from falx.images.warp import load_map
from falx.pet.metrics import AsymmetryMetrics, PetMetrics, SignatureMetrics
from falx.studies.signature.numbers import PatientMetrics, flatten_numbers
from falx.studies.signature.page import SignaturePictures, SignatureResults, signature_page
from falx.surgery.metrics import AblationMetrics, RatesMetrics

__all__ = [
    "MetricsFiles",
    "PictureFiles",
    "ReportFiles",
    "numbers_stage",
    "read_metrics",
    "signature_report_stage",
]

T = TypeVar("T")


@dataclass(frozen=True)
class MetricsFiles:
    """Inputs: metrics of the stages; those of FLAIR, ablation and rates are optional."""

    anatomy: Path
    pet: Path
    asymmetry_pet: Path
    asymmetry_gm: Path
    signature: Path
    asymmetry_flair: Path | None = None
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
    coregister_pet, coregister_flair, coregister_postop
        Inputs: coregistrations; only that of the PET is needed.
    page
        Output: one HTML file.
    """

    records: Mapping[str, Path]
    coregister_pet: Path
    page: Path
    coregister_flair: Path | None = None
    coregister_postop: Path | None = None


def numbers_stage(files: MetricsFiles, *, numbers: Path) -> None:
    """Write the numbers of one patient as a flat JSON record; see :func:`flatten_numbers`."""
    write_json(numbers, flatten_numbers(read_metrics(files)))


def read_metrics(files: MetricsFiles) -> PatientMetrics:
    """Read what the stages found in a patient."""
    asymmetry = {
        modality: read_record(AsymmetryMetrics, path)
        for modality, path in (
            ("pet", files.asymmetry_pet),
            ("flair", files.asymmetry_flair),
            ("gm", files.asymmetry_gm),
        )
        if path is not None
    }
    return PatientMetrics(
        read_record(AnatomyMetrics, files.anatomy),
        read_record(PetMetrics, files.pet),
        asymmetry,
        read_record(SignatureMetrics, files.signature),
        _optional(AblationMetrics, files.ablation),
        _optional(RatesMetrics, files.rates),
    )


def _optional(kind: type[T], path: Path | None) -> T | None:
    return None if path is None else read_record(kind, path)


def signature_report_stage(
    files: ReportFiles, metrics: MetricsFiles, pictures: PictureFiles, *, subject: str
) -> None:
    """Write the page of one patient, `subject` being the pseudonym."""
    coregistrations = {
        name: read_record(CoregistrationMetrics, path)
        for name, path in (
            ("pet", files.coregister_pet),
            ("flair", files.coregister_flair),
            ("postop", files.coregister_postop),
        )
        if path is not None
    }
    records = {name: read_json(path) for name, path in files.records.items()}
    results = SignatureResults(subject, read_metrics(metrics), coregistrations, records)
    write_text(files.page, signature_page(results, _pictures(pictures)))


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
