"""The metabolic signature of Mo 2025: from raw images to asymmetry, signature, ablative rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from falx.anatomy.files import anatomy_stage, coregister_stage
from falx.anatomy.settings import SegmentationSettings
from falx.bids.derivative import output_path
from falx.core.grid import TEMPLATE_SPACE
from falx.core.settings import inputs_of, keys_of, params_of
from falx.core.stage import Stage
from falx.core.study import RawInput, Study
from falx.pet.files import (
    asymmetry_stage,
    correct_stage,
    healthy_stage,
    published_stage,
    signature_stage,
)
from falx.pet.presets import PRESETS
from falx.pet.settings import Correction, SignatureRule, TemplateSettings
from falx.studies.methods.study_text import methods_files
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.files import outcome_stage, overlays_stage
from falx.studies.outcome.outcome import OutcomeSettings
from falx.studies.outcome.tables import TABLES, VERSION
from falx.studies.signature.configuration import (
    SignatureConfiguration,
)
from falx.studies.signature.files import numbers_stage, signature_report_stage
from falx.studies.signature.modalities import MODALITIES, PREOP, Modality
from falx.surgery.files import ablation_stage, rate_curve_stage
from falx.surgery.outcome.rate_interval import RateErrors

__all__ = ["ANATOMY", "CORRECT", "NUDGES", "RAW", "STUDY", "asymmetry_of", "coregistration"]

_anat = partial(output_path, "anat")
_pet = partial(output_path, "pet", "pet", trc="FDG")


def _metrics(name: str) -> str:
    return _anat("metrics", extension=".json", desc=name)


def _xfm(source: str, target: str, *, extension: str = ".nii.gz") -> str:
    entities: dict[str, Any] = {"from": source, "to": target, "mode": "image"}
    return _anat("xfm", extension=extension, **entities)


def coregistration(role: str, target: str) -> Stage:
    """Build the row of one image's coregistration to the T1w."""
    return Stage(
        f"coregister_{role}",
        coregister_stage,
        inputs={
            "fixed": "anatomy.corrected",
            "fixed_mask": "anatomy.brain_mask",
            "moving": f"raw.{role}",
            "nudge": f"raw.nudge_{role}?",
        },
        outputs={"matrix": _xfm("T1w", target, extension=".json")},
        mem_mb=900,
        threads=2,
        version=2,
    )


def placed_by_hand(role: str, target: str) -> RawInput:
    """Build the row of the file in which somebody says where an image lies over the T1w."""
    name = (
        _xfm("T1w", target, extension=".json")
        .rpartition("/")[2]
        .replace("_xfm", "_desc-nudge_xfm")
    )
    return RawInput(
        f"placement of the {role} by hand",
        derivatives=True,
        patterns=(f"sub-{{subject}}/{name}",),
    )


RAW = {m.key: m.raw for m in MODALITIES if m.raw is not None}
"""Modality to its file of the dataset; these are coregistered."""


NUDGES = {
    f"nudge_{role}": placed_by_hand(role, target)
    for role, target in (
        *((m.key, m.space or m.tag) for m in MODALITIES if m.key in RAW), ("postop", "postop"),
    )
}  # fmt: skip
"""What was placed by hand, by the role of the image."""

UNCONFIRMED = ("planned", "scored", "proposed")
"""Ablations that Falx writes and nobody made or confirmed: no outcome is measured on these."""


def _of_each(group: str, stage: str, role: str) -> dict[str, str]:
    """Take an output of the same stage of every modality, as one group of inputs."""
    chosen = [m for m in MODALITIES if m.key in RAW] if stage == "coregister" else MODALITIES
    return {f"{group}.{m.key}": f"{stage}_{m.key}.{role}{m.mark}" for m in chosen}


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
    version=12,
)

CORRECT = Stage(
    "pet",
    correct_stage,
    inputs={
        "pet": "raw.pet",
        "matrix": "coregister_pet.matrix",
        **{name: f"anatomy.{name}" for name in ("gm", "wm", "csf", "structures")},
    },
    outputs={
        "corrected": _pet(space="T1w", desc="pvc"),
        "noise": _pet(space="T1w", desc="noise"),
        "metrics": _metrics("pet"),
    },
    params={**keys_of("pet", Correction), "seed": "signature.seed"},
    mem_mb=1500,
    threads=2,
    version=9,
)


def asymmetry_of(of: Modality) -> Stage:
    """Build the row of one image's asymmetry."""
    raw = {"image": f"raw.{of.key}", "matrix": f"coregister_{of.key}.matrix"}
    image = {"image": of.source} if of.source else raw
    run: Callable[..., None] = partial(asymmetry_stage, quantity=of.quantity)
    chosen = {"reference": "asymmetry.reference"}
    if of.reference is not None:
        run, chosen = partial(run, reference=of.reference), {}
    return Stage(
        f"asymmetry_{of.key}",
        run,
        inputs={**image, **PLACE},
        outputs={
            "scaled_template": of.names(space=TEMPLATE_SPACE, desc=f"scaled{of.ending}"),
            "asymmetry_template": of.names(space=TEMPLATE_SPACE, desc=f"asymmetry{of.ending}"),
            "asymmetry_native": of.names(space="T1w", desc=f"asymmetry{of.ending}"),
            "metrics": _metrics(f"asymmetry{of.tag}"),
        },
        params={**keys_of("asymmetry", TemplateSettings), **chosen},
        mem_mb=1600,
        threads=2,
        version=4,
    )


PUBLISHED = Stage(
    "asymmetry_published",
    published_stage,
    inputs={"pet": "raw.pet", "matrix": "coregister_pet.matrix", **PLACE},
    outputs={
        "scaled_template": _pet(space=TEMPLATE_SPACE, desc="scaledPublished"),
        "metrics": _metrics("asymmetryPublished"),
    },
    params={"frames": "pet.frames", "voxel_mm": "asymmetry.voxel_mm"},
    mem_mb=1600,
    threads=2,
)

PUBLISHED_SCALED = {
    "published_scaled": "asymmetry_published.scaled_template",
    "published_metrics": "asymmetry_published.metrics",
}
"""The PET as the scripts of Mo 2025 take it, beside that of the run."""

HEALTHY = Stage(
    "healthy",
    healthy_stage,
    inputs={
        "norms": "config.norms.file?",
        "pet_metrics": "pet.metrics",
        "asymmetry_metrics": "asymmetry_pet.metrics",
    },
    outputs={
        "mean": _pet(space=TEMPLATE_SPACE, desc="healthyMean"),
        "sd": _pet(space=TEMPLATE_SPACE, desc="healthySD"),
        "metrics": _metrics("healthy"),
    },
    params={
        "age": "participant.age?",
        "sex": "participant.sex?",
        "scanner": "raw.pet:ManufacturersModelName?",
        "tracer": "raw.pet@trc?",
        "voxel_mm": "asymmetry.voxel_mm",
    },
    mem_mb=500,
)

SCALED_PET = {
    "scaled_template": "asymmetry_pet.scaled_template",
    "asymmetry_metrics": "asymmetry_pet.metrics",
    "noise": "pet.noise",
    "pet_metrics": "pet.metrics",
    **PUBLISHED_SCALED,
    "healthy": "healthy.metrics",
    "healthy_mean": "healthy.mean",
    "healthy_sd": "healthy.sd",
}
"""The PET in template space with all that its signature rests on."""

SIGNATURE = Stage(
    "signature",
    signature_stage,
    inputs={
        **SCALED_PET,
        "gm": "anatomy.gm",
        **PLACE,
    },
    outputs={
        "signature_template": _anat("mask", space=TEMPLATE_SPACE, desc="signature"),
        "signature_native": _anat("mask", space="T1w", desc="signature"),
        "published_native": _anat("mask", space="T1w", desc="signaturePublished"),
        "probability_template": _anat("probseg", space=TEMPLATE_SPACE, label="signature"),
        "probability_native": _anat("probseg", space="T1w", label="signature"),
        "foci": _anat("foci", extension=".tsv", desc="signature"),
        "foci_native": _anat("dseg", space="T1w", desc="foci"),
        "metrics": _metrics("signature"),
    },
    params={"side": "participant.side?", **keys_of("signature", SignatureRule)},
    mem_mb=1500,
    threads=2,
    version=9,
)

ABLATION = Stage(
    "ablation",
    ablation_stage,
    inputs={
        "ablation": "raw.ablation",
        "second_ablation": "raw.second_ablation?",
        "repeat_ablation": "raw.repeat_ablation?",
        "matrix": "coregister_postop.matrix?",
        "structures": "anatomy.structures",
        "to_native": "anatomy.to_native",
        "signature_native": "signature.signature_native",
        "probability_native": "signature.probability_native",
        "published_native": "signature.published_native",
        "signature_metrics": "signature.metrics",
        **_of_each("scaled", "asymmetry", "scaled_template"),
        **_of_each("scaled_metrics", "asymmetry", "metrics"),
        **PUBLISHED_SCALED,
    },
    outputs={
        "ablation_native": _anat("mask", space="T1w", label="ablation"),
        "ablation_template": _anat("mask", space=TEMPLATE_SPACE, label="ablation"),
        "metrics": _metrics("ablation"),
    },
    params={
        "drawn_on": "raw.ablation@ses?",
        "second_drawn_on": "raw.second_ablation@ses?",
        "repeat_drawn_on": "raw.repeat_ablation@ses?",
    },
    version=4,
    mem_mb=1200,
    threads=2,
)

RATES = Stage(
    "rates",
    rate_curve_stage,
    inputs={
        **SCALED_PET,
        "signature_metrics": "signature.metrics",
        "ablation_native": "ablation.ablation_native",
        "ablation_metrics": "ablation.metrics",
        "gm": "anatomy.gm",
        **PLACE,
    },
    outputs={"metrics": _metrics("rates")},
    params={**keys_of("signature", SignatureRule), **keys_of("ablation", RateErrors)},
    mem_mb=1500,
    threads=2,
    version=7,
)

METRICS = {
    "anatomy": "anatomy.metrics",
    "pet": "pet.metrics",
    **_of_each("asymmetry", "asymmetry", "metrics"),
    "signature": "signature.metrics",
    "healthy": "healthy.metrics",
    "ablation": "ablation.metrics?",
    "rates": "rates.metrics?",
}

NUMBERS = Stage(
    "numbers",
    numbers_stage,
    inputs=METRICS,
    outputs={"numbers": _metrics("numbers")},
    version=5,
    mem_mb=300,
)

REPORT = Stage(
    "report",
    signature_report_stage,
    inputs={
        "records": "provenance.all",
        **METRICS,
        **_of_each("coregistrations", "coregister", "matrix"),
        "coregistrations.postop": "coregister_postop.matrix?",
        **{f"coregistered.{m.key}": f"raw.{m.key}{m.mark}" for m in MODALITIES if m.key in RAW},
        "coregistered.postop": "raw.postop?",
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
    threads=2,
    version=9,
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
        "people": "study.people",
        **inputs_of("group", OutcomeSettings),
    },
    outputs={
        "report": "group.html",
        "results": output_path("", "outcome", extension=".json", group=True, desc="results"),
        "models_file": output_path("", "outcome", extension=".json", group=True, desc="models"),
        **{name: _table(name) for name in TABLES},
    },
    params={
        **keys_of("columns", Columns),
        **params_of("group", OutcomeSettings),
    },
    version=VERSION,
    mem_mb=600,
    level="group",
)

OVERLAYS = Stage(
    "overlays",
    overlays_stage,
    inputs={
        "signatures": "signature.signature_template*",
        "ablations": "ablation.ablation_template?*",
        "patients": "outcome.patients",
    },
    outputs={"page": "overlays.html"},
    mem_mb=900,
    level="group",
)

STUDY = Study(
    name="signature",
    reference="falx.studies.signature.study:STUDY",
    stages=(
        ANATOMY,
        *(coregistration(m.key, m.space or m.tag) for m in MODALITIES if m.key in RAW),
        coregistration("postop", "postop"),
        CORRECT,
        *map(asymmetry_of, MODALITIES),
        PUBLISHED,
        HEALTHY,
        SIGNATURE,
        ABLATION,
        RATES,
        NUMBERS,
        REPORT,
        OUTCOME,
        OVERLAYS,
    ),
    raw={
        "t1w": RawInput(
            "pre-operative T1w image",
            suffix="T1w",
            datatype="anat",
            sessions=PREOP,
            required=True,
        ),
        **RAW,
        **NUDGES,
        "postop": RawInput(
            "post-operative T1w image", suffix="T1w", datatype="anat", sessions=("postop",)
        ),
        "ablation": RawInput(
            "ablation mask",
            suffix="mask",
            datatype="anat",
            sessions=("postop", "preop", None),
            entities={"label": "ablation"},
            without={"desc": ("rater2", *UNCONFIRMED), "acq": "repeat"},
            derivatives=True,
        ),
        "repeat_ablation": RawInput(
            "ablation mask that the same rater drew again",
            suffix="mask",
            datatype="anat",
            sessions=("postop", "preop", None),
            entities={"label": "ablation", "acq": "repeat"},
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
    libraries={"matplotlib": ("pages", "pictures are drawn")},
    show={"participant": "report.page", "group": "outcome.report"},
    methods=methods_files,
)
