"""``falx norms``: healthy asymmetry from a site's own controls, for ``falx signature --norms``.

The controls go through the very stages of the signature; a set of maps that somebody else has
brought to MNI space (``falx fetch pet-controls``) has a table of stages of its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from falx.bids.derivative import output_path
from falx.core.grid import TEMPLATE_SPACE
from falx.core.settings import keys_of
from falx.core.stage import Stage
from falx.core.study import RawInput, Study
from falx.pet.files import correct_stage
from falx.pet.presets import PRESETS
from falx.pet.settings import Correction
from falx.studies.methods.study_text import methods_files
from falx.studies.norms.configuration import RECORD, NormsConfiguration
from falx.studies.norms.files import control_stage, norms_stage, ready_control_stage
from falx.studies.signature.modalities import MODALITIES
from falx.studies.signature.study import ANATOMY, CORRECT, asymmetry_of, coregistration
from falx.studies.signature.study import STUDY as SIGNATURE

__all__ = ["READY", "READY_SPACE", "STUDY"]

READY_SPACE = "MNI152NLin6ASym"
"""Space of ready maps. Falx's own template is another one, some millimetres away in places."""

_pet = partial(output_path, "pet", "pet", trc="FDG", space=TEMPLATE_SPACE)
_MODALITY = next(m for m in MODALITIES if m.key == "pet")

KNOWN = {"age": "participant.age?", "sex": "participant.sex?"}

CORRECTED = replace(CORRECT, run=partial(correct_stage, seed=1), params=keys_of("pet", Correction))
"""As of the signature, whose draws of noise have a seed of their own section."""

CONTROL = Stage(
    "control",
    control_stage,
    inputs={
        "anatomy": "anatomy.metrics",
        "pet_metrics": "pet.metrics",
        "asymmetry_metrics": "asymmetry_pet.metrics",
        "scaled": "asymmetry_pet.scaled_template",
        "noise": "pet.noise",
        **{
            name: f"anatomy.{name}"
            for name in ("brain_mask", "structures", "to_native", "to_template")
        },
    },
    outputs={
        "noise_map": _pet(desc="asymmetryNoise"),
        "metrics": output_path("anat", "metrics", extension=".json", desc="control"),
    },
    params={
        **KNOWN,
        "scanner": "raw.pet:ManufacturersModelName?",
        "tracer": "raw.pet@trc?",
        "voxel_mm": "asymmetry.voxel_mm",
    },
    mem_mb=1500,
    threads=2,
)

READY_CONTROL = Stage(
    "control",
    ready_control_stage,
    inputs={"image": "raw.map"},
    outputs={
        "index": _pet(desc="asymmetry"),
        "noise_map": _pet(desc="asymmetryNoise"),
        "metrics": output_path("anat", "metrics", extension=".json", desc="control"),
    },
    params={
        **KNOWN,
        "scanner": "raw.map:ManufacturersModelName?",
        "voxel_mm": "asymmetry.voxel_mm",
        "smoothing_fwhm_mm": "asymmetry.smoothing_fwhm_mm",
    },
    mem_mb=1500,
    threads=2,
)


def _norms(index: str) -> Stage:
    """Build the row that joins all controls."""
    names = ("mean", "sd", "noise", "age", "sex")
    return Stage(
        "norms",
        norms_stage,
        inputs={
            "index": f"{index}*",
            "noise_maps": "control.noise_map*",
            "controls": "control.metrics*",
            "exclusions": "study.exclusions",
            "people": "study.people",
        },
        outputs={
            **{f"{name}_map": f"group/norms_{name}.nii.gz" for name in names},
            "record": RECORD,
            "table": "group/norms.tsv",
            "page": "norms.html",
        },
        level="group",
        mem_mb=1500,
    )


STUDY = Study(
    name="norms",
    reference="falx.studies.norms.study:STUDY",
    stages=(
        ANATOMY,
        coregistration("pet", _MODALITY.space or _MODALITY.tag),
        CORRECTED,
        asymmetry_of(_MODALITY),
        CONTROL,
        _norms("asymmetry_pet.asymmetry_template"),
    ),
    raw={role: SIGNATURE.raw[role] for role in ("t1w", "pet", "nudge_pet", "structures")},
    configuration=NormsConfiguration,
    presets={
        name: {key: value for key, value in chosen.items() if key.split(".")[0] in
               ("anatomy", "pet", "asymmetry")}
        for name, chosen in PRESETS.items()
    },
    show={"participant": "control.metrics", "group": "norms.page"},
    methods=methods_files,
)  # fmt: skip

READY = Study(
    name="norms-ready",
    reference="falx.studies.norms.study:READY",
    stages=(READY_CONTROL, _norms("control.index")),
    raw={
        "map": RawInput(
            f"FDG map in {READY_SPACE}",
            suffix="pet",
            datatype="pet",
            sessions=("preop", None, "open", "1", "2", "closed"),
            entities={"space": READY_SPACE},
            without={"desc": "signcosts"},
            required=True,
        )
    },
    configuration=NormsConfiguration,
    show={"group": "norms.page"},
    methods=methods_files,
)
