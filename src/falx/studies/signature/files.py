"""Files in, one page out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from falx.core.files import write_text
from falx.data.priors import template
from falx.images.nifti import load, load_labels, load_mask
from falx.images.warp import load_map
from falx.report.provenance import read_record
from falx.studies.signature.page import SignaturePictures, SignatureResults, signature_page

__all__ = ["signature_report_stage"]


def signature_report_stage(
    *,
    records: Mapping[str, Path],
    anatomy_metrics: Path,
    pet_metrics: Path,
    asymmetry_pet_metrics: Path,
    asymmetry_flair_metrics: Path | None,
    asymmetry_gm_metrics: Path,
    signature_metrics: Path,
    ablation_metrics: Path | None,
    numbers: Path,
    coregister_pet: Path,
    coregister_flair: Path | None,
    coregister_postop: Path | None,
    t1w: Path,
    brain_mask: Path,
    gm: Path,
    wm: Path,
    to_native: Path,
    structures: Path,
    pet: Path,
    asymmetry_native: Path,
    signature_native: Path,
    ablation_native: Path | None,
    page: Path,
    subject: str,
) -> None:
    """Write the page of one patient.

    Parameters
    ----------
    records
        Inputs: provenance of the earlier stages, for notices, parameters and versions.
    anatomy_metrics, pet_metrics, signature_metrics, ablation_metrics
        Inputs: metrics of the stages; as ``asymmetry_*_metrics`` and ``coregister_*``, those
        of FLAIR, post-operative image and ablation are optional.
    numbers
        Input: the flat record of numbers.
    t1w, brain_mask, gm, wm, structures, pet, asymmetry_native, signature_native, ablation_native
        Inputs: images in native T1w space.
    to_native
        Input: coordinate map, template grid → T1w mm.
    page
        Output: one HTML file.
    subject
        Pseudonym.
    """
    metrics = {
        "anatomy": anatomy_metrics,
        "pet": pet_metrics,
        "asymmetry_pet": asymmetry_pet_metrics,
        "asymmetry_flair": asymmetry_flair_metrics,
        "asymmetry_gm": asymmetry_gm_metrics,
        "signature": signature_metrics,
        "ablation": ablation_metrics,
        "coregister_pet": coregister_pet,
        "coregister_flair": coregister_flair,
        "coregister_postop": coregister_postop,
    }
    results = SignatureResults(
        subject=subject,
        numbers=read_record(numbers),
        metrics={name: read_record(path) for name, path in metrics.items() if path is not None},
        records={name: read_record(path) for name, path in records.items()},
    )
    pictures = SignaturePictures(
        t1w=load(t1w),
        brain=load_mask(brain_mask),
        gm=load(gm),
        wm=load(wm),
        to_native=load_map(to_native),
        structures=load_labels(structures),
        pet=load(pet),
        asymmetry=load(asymmetry_native),
        signature=load_mask(signature_native),
        ablation=None if ablation_native is None else load_mask(ablation_native),
        template=template("t1"),
    )
    write_text(page, signature_page(results, pictures))
