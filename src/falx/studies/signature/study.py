"""The metabolic signature of Mo 2025: from raw images to asymmetry, signature, ablative rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from falx.anatomy.files import anatomy_stage, coregister_stage
from falx.anatomy.settings import SegmentationSettings
from falx.bids.derivative import output_path
from falx.core.grid import TEMPLATE_SPACE
from falx.core.settings import keys_of
from falx.core.stage import Stage
from falx.core.study import RawInput, Study
from falx.pet.files import asymmetry_stage, correct_stage, signature_stage
from falx.pet.presets import PRESETS
from falx.pet.settings import Correction, CutRule, SignatureRule, TemplateSettings
from falx.pet.steps import FLAIR, GM_DENSITY, PET
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.files import outcome_stage
from falx.studies.outcome.outcome import OutcomeSettings
from falx.studies.outcome.tables import TABLES
from falx.studies.signature.configuration import (
    SignatureConfiguration,
)
from falx.studies.signature.files import numbers_stage, signature_report_stage
from falx.surgery.files import ablation_stage, rate_curve_stage

__all__ = ["STUDY"]

_anat = partial(output_path, "anat")
_pet = partial(output_path, "pet", "pet", trc="FDG")


def _metrics(name: str) -> str:
    return _anat("metrics", extension=".json", desc=name)


def _xfm(source: str, target: str, *, extension: str = ".nii.gz") -> str:
    entities: dict[str, Any] = {"from": source, "to": target, "mode": "image"}
    return _anat("xfm", extension=extension, **entities)


def _coregister(name: str, role: str, target: str) -> Stage:
    return Stage(
        name,
        coregister_stage,
        inputs={
            "fixed": "anatomy.corrected",
            "fixed_mask": "anatomy.brain_mask",
            "moving": f"raw.{role}",
        },
        outputs={"matrix": _xfm("T1w", target, extension=".json")},
        mem_mb=900,
        threads=2,
        version=2,
    )


PLACE = {
    "brain_mask": "anatomy.brain_mask",
    "structures": "anatomy.structures",
    "to_native": "anatomy.to_native",
    "to_template": "anatomy.to_template",
}
"""Where things are: inputs that every stage between native and template space takes."""

ANATOMY = Stage(
    "anatomy",
    anatomy_stage,
    inputs={"t1w": "raw.t1w", "structures_in": "raw.structures?"},
    outputs={
        "corrected": _anat("T1w", desc="biascorrected"),
        "gm": _anat("probseg", space="T1w", label="GM"),
        "wm": _anat("probseg", space="T1w", label="WM"),
        "csf": _anat("probseg", space="T1w", label="CSF"),
        "brain_mask": _anat("mask", space="T1w", desc="brain"),
        "structures": _anat("dseg", space="T1w", seg="falx"),
        "to_template": _xfm(TEMPLATE_SPACE, "T1w"),
        "to_native": _xfm("T1w", TEMPLATE_SPACE),
        "metrics": _metrics("anatomy"),
    },
    params=keys_of("anatomy", SegmentationSettings),
    mem_mb=1200,
    disk_mb=60,
    threads=2,
    version=6,
)

CORRECT = Stage(
    "pet",
    correct_stage,
    inputs={
        "pet": "raw.pet",
        "matrix": "coregister_pet.matrix",
        **{name: f"anatomy.{name}" for name in ("gm", "wm", "csf", "structures")},
    },
    outputs={"corrected": _pet(space="T1w", desc="pvc"), "metrics": _metrics("pet")},
    params=keys_of("pet", Correction),
    mem_mb=1500,
    threads=2,
    version=4,
)


def _asymmetry(
    name: str,
    run: Callable[..., None],
    path: Callable[..., str],
    inputs: Mapping[str, str],
    *,
    of: str,
    label: str = "",
    params: Mapping[str, str] | None = None,
) -> Stage:
    """Build the row of one image's asymmetry."""
    return Stage(
        name,
        run,
        inputs={**inputs, **PLACE},
        outputs={
            "scaled_template": path(space=TEMPLATE_SPACE, desc=f"scaled{label}"),
            "asymmetry_template": path(space=TEMPLATE_SPACE, desc=f"asymmetry{label}"),
            "asymmetry_native": path(space="T1w", desc=f"asymmetry{label}"),
            "metrics": _metrics(f"asymmetry{of}"),
        },
        params={**keys_of("asymmetry", TemplateSettings), **(params or {})},
        mem_mb=1500,
        threads=2,
        version=3,
    )


PET_ASYMMETRY = _asymmetry(
    "asymmetry_pet",
    partial(asymmetry_stage, quantity=PET),
    _pet,
    {"image": "pet.corrected"},
    of="PET",
    params={"reference": "asymmetry.reference"},
)

FLAIR_ASYMMETRY = _asymmetry(
    "asymmetry_flair",
    partial(asymmetry_stage, quantity=FLAIR, reference="brain"),
    partial(_anat, "FLAIR"),
    {"image": "raw.flair", "matrix": "coregister_flair.matrix"},
    of="FLAIR",
)

GM_ASYMMETRY = _asymmetry(
    "asymmetry_gm",
    partial(asymmetry_stage, quantity=GM_DENSITY, reference="brain"),
    partial(_anat, "T1w"),
    {"image": "anatomy.gm"},
    of="GM",
    label="GM",
)

SIGNATURE = Stage(
    "signature",
    signature_stage,
    inputs={
        "scaled_template": "asymmetry_pet.scaled_template",
        "asymmetry_metrics": "asymmetry_pet.metrics",
        "gm": "anatomy.gm",
        **PLACE,
    },
    outputs={
        "signature_template": _anat("mask", space=TEMPLATE_SPACE, desc="signature"),
        "signature_native": _anat("mask", space="T1w", desc="signature"),
        "published_native": _anat("mask", space="T1w", desc="signaturePublished"),
        "metrics": _metrics("signature"),
    },
    params={"side": "participant.side?", **keys_of("signature", SignatureRule)},
    mem_mb=1500,
    threads=2,
    version=3,
)

ABLATION = Stage(
    "ablation",
    ablation_stage,
    inputs={
        "ablation": "raw.ablation",
        "second_ablation": "raw.second_ablation?",
        "matrix": "coregister_postop.matrix?",
        "structures": "anatomy.structures",
        "to_native": "anatomy.to_native",
        "signature_native": "signature.signature_native",
        "published_native": "signature.published_native",
        "signature_metrics": "signature.metrics",
        "scaled_pet": "asymmetry_pet.scaled_template",
        "pet_metrics": "asymmetry_pet.metrics",
        "scaled_flair": "asymmetry_flair.scaled_template?",
        "flair_metrics": "asymmetry_flair.metrics?",
        "scaled_gm": "asymmetry_gm.scaled_template",
        "gm_metrics": "asymmetry_gm.metrics",
    },
    outputs={
        "ablation_native": _anat("mask", space="T1w", label="ablation"),
        "ablation_template": _anat("mask", space=TEMPLATE_SPACE, label="ablation"),
        "metrics": _metrics("ablation"),
    },
    params={"drawn_on": "raw.ablation@ses?", "second_drawn_on": "raw.second_ablation@ses?"},
    version=2,
    mem_mb=1200,
    threads=2,
)

RATES = Stage(
    "rates",
    rate_curve_stage,
    inputs={
        "scaled_template": "asymmetry_pet.scaled_template",
        "asymmetry_metrics": "asymmetry_pet.metrics",
        "ablation_native": "ablation.ablation_native",
        "ablation_metrics": "ablation.metrics",
        "gm": "anatomy.gm",
        **PLACE,
    },
    outputs={"metrics": _metrics("rates")},
    params=keys_of("signature", CutRule),
    mem_mb=1500,
    threads=2,
    version=2,
)

METRICS = {
    "anatomy": "anatomy.metrics",
    "pet": "pet.metrics",
    "asymmetry_pet": "asymmetry_pet.metrics",
    "asymmetry_flair": "asymmetry_flair.metrics?",
    "asymmetry_gm": "asymmetry_gm.metrics",
    "signature": "signature.metrics",
    "ablation": "ablation.metrics?",
}

NUMBERS = Stage(
    "numbers",
    numbers_stage,
    inputs={**METRICS, "rates": "rates.metrics?"},
    outputs={"numbers": _metrics("numbers")},
    version=3,
    mem_mb=300,
)

REPORT = Stage(
    "report",
    signature_report_stage,
    inputs={
        "records": "provenance.all",
        **METRICS,
        "coregister_pet": "coregister_pet.matrix",
        "coregister_flair": "coregister_flair.matrix?",
        "coregister_postop": "coregister_postop.matrix?",
        "t1w": "anatomy.corrected",
        "brain_mask": "anatomy.brain_mask",
        "gm": "anatomy.gm",
        "wm": "anatomy.wm",
        "labels": "anatomy.structures",
        "to_native": "anatomy.to_native",
        "corrected_pet": "pet.corrected",
        "asymmetry_native": "asymmetry_pet.asymmetry_native",
        "signature_native": "signature.signature_native",
        "ablation_native": "ablation.ablation_native?",
    },
    outputs={"page": "sub-{subject}.html"},
    params={"subject": "subject.label"},
    mem_mb=1500,
    version=4,
)


def _table(name: str) -> str:
    return output_path("", "outcome", extension=".tsv", group=True, desc=name)


OUTCOME = Stage(
    "outcome",
    outcome_stage,
    inputs={
        "numbers": "numbers.numbers*",
        "participants": "raw.participants",
        "exclusions": "study.exclusions",
    },
    outputs={
        "report": "group.html",
        "results": output_path("", "outcome", extension=".json", group=True, desc="results"),
        **{name: _table(name) for name in TABLES},
    },
    params={
        **keys_of("columns", Columns),
        **keys_of("group", OutcomeSettings),
    },
    version=4,
    mem_mb=600,
    level="group",
)

PREOP: tuple[str | None, ...] = ("preop", None)

STUDY = Study(
    name="signature",
    reference="falx.studies.signature.study:STUDY",
    stages=(
        ANATOMY,
        _coregister("coregister_pet", "pet", "FDG"),
        _coregister("coregister_flair", "flair", "FLAIR"),
        _coregister("coregister_postop", "postop", "postop"),
        CORRECT,
        PET_ASYMMETRY,
        FLAIR_ASYMMETRY,
        GM_ASYMMETRY,
        SIGNATURE,
        ABLATION,
        RATES,
        NUMBERS,
        REPORT,
        OUTCOME,
    ),
    raw={
        "t1w": RawInput(
            "pre-operative T1w image",
            suffix="T1w",
            datatype="anat",
            sessions=PREOP,
            required=True,
        ),
        "pet": RawInput(
            "FDG-PET image",
            suffix="pet",
            datatype="pet",
            sessions=PREOP,
            entities={"trc": "FDG"},
            required=True,
        ),
        "flair": RawInput("FLAIR image", suffix="FLAIR", datatype="anat", sessions=PREOP),
        "postop": RawInput(
            "post-operative T1w image", suffix="T1w", datatype="anat", sessions=("postop",)
        ),
        "ablation": RawInput(
            "ablation mask",
            suffix="mask",
            datatype="anat",
            sessions=("postop", "preop", None),
            entities={"label": "ablation"},
            without={"desc": "rater2"},
            derivatives=True,
        ),
        "second_ablation": RawInput(
            "second rater's ablation mask",
            suffix="mask",
            datatype="anat",
            sessions=("postop", "preop", None),
            entities={"label": "ablation", "desc": "rater2"},
            derivatives=True,
        ),
        "participants": RawInput("table of participants", dataset_file="participants.tsv"),
        "structures": RawInput(
            "volume of structure labels",
            suffix="dseg",
            datatype="anat",
            sessions=PREOP,
            entities={"seg": "aseg"},
            derivatives=True,
            patterns=("sub-{subject}/mri/aseg.mgz", "sub-{subject}_ses-preop/mri/aseg.mgz"),
        ),
    },
    configuration=SignatureConfiguration,
    presets=PRESETS,
    show={"participant": "report.page", "group": "outcome.report"},
)
