"""Drug resistance, the imaging half of Liu 2024: grey-matter volume, ReHo and group maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypedDict

from falx.anatomy.files import coregister_stage, grey_volume_stage
from falx.anatomy.morphometry import GreySettings
from falx.bids.derivative import output_path
from falx.bold.files import measure_stage, motion_stage, reho_stage
from falx.bold.measures import MEASURES
from falx.bold.settings import MeasureSettings, MotionSettings, RehoSettings, SliceShift
from falx.core.grid import TEMPLATE_SPACE
from falx.core.settings import keys_of
from falx.core.stage import Stage
from falx.core.study import RawInput, Study
from falx.maps.files import group_map_stage, subgroup_map_stage
from falx.maps.settings import InferenceOptions, Listing, MapModel, Selection
from falx.maps.together.files import together_stage
from falx.studies.methods.study_text import methods_files
from falx.studies.resistance.configuration import (
    PUBLISHED,
    Kinds,
    ResistanceConfiguration,
    Roles,
)
from falx.studies.resistance.files import SHOWN, group_report_stage, map_figure_stage
from falx.studies.resistance.genes import BLOOD, EXPRESSION, gene_stages, together_stages
from falx.studies.resistance.person_files import run_report_stage
from falx.studies.resistance.preflight import preflight
from falx.studies.resistance.quality_files import demographics_stage, quality_stage
from falx.studies.resistance.role_files import (
    PAIRS,
    pairs_stage,
    role_anova_stage,
    role_deviation_stage,
    role_further_stage,
    role_regression_stage,
)
from falx.studies.resistance.steps import (
    CONTRASTS,
    DEVIATIONS,
    GROUP_MAPS,
    MODALITIES,
    SECTION,
    Step,
)
from falx.studies.signature.study import ANATOMY

__all__ = ["STUDY"]

_anat = partial(output_path, "anat")
_func = partial(output_path, "func")


GREY = Stage(
    "grey",
    grey_volume_stage,
    inputs={
        **{name: f"anatomy.{name}" for name in ("gm", "wm", "csf", "to_native")},
        "cat12": "raw.cat12?",
        "cat12_report": "raw.cat12_report?",
    },
    outputs={
        "volume": _anat("probseg", space=TEMPLATE_SPACE, label="GM", desc="modulated"),
        "smoothed": _anat("probseg", space=TEMPLATE_SPACE, label="GM", desc="smoothed"),
        "metrics": _anat("metrics", extension=".json", desc="grey"),
    },
    params=keys_of("grey", GreySettings),
    mem_mb=900,
    disk_mb=20,
    version=2,
)

TIMES = {
    "slice_times_s": "raw.bold:SliceTiming?",
    "slice_direction": "raw.bold:SliceEncodingDirection?",
}

MOTION = Stage(
    "motion",
    motion_stage,
    inputs={
        "bold": "raw.bold?",
        "prepared": "raw.prepared?",
        "confounds": "raw.confounds?",
    },
    outputs={
        "reference": _func("boldref", desc="realigned"),
        "tsnr": _func("boldmap", desc="tsnr"),
        "motion": _func("metrics", extension=".json", desc="motion"),
    },
    params={
        **TIMES,
        "repetition_time_s": "raw.bold:RepetitionTime?",
        **keys_of("bold", MotionSettings),
    },
    mem_mb=1500,
    version=3,
    given=("bold|prepared",),
)

Moved = TypedDict("Moved", {"from": str, "to": str, "mode": str})  # from is a word of Python

FROM_T1W_TO_RUN: Moved = {"from": "T1w", "to": "boldref", "mode": "image"}

COREGISTER = Stage(
    "coregister_bold",
    coregister_stage,
    inputs={
        "fixed": "anatomy.corrected",
        "fixed_mask": "anatomy.brain_mask",
        "moving": "motion.reference",
    },
    outputs={"matrix": _anat("xfm", extension=".json", **FROM_T1W_TO_RUN)},
    mem_mb=900,
    threads=2,
    given=("!prepared",),
)

REHO = Stage(
    "reho",
    reho_stage,
    inputs={
        "bold": "raw.bold?",
        "prepared": "raw.prepared?",
        "prepared_mask": "raw.prepared_mask?",
        "confounds": "raw.confounds?",
        "motion": "motion.motion",
        "matrix": "coregister_bold.matrix?",
        **{n: f"anatomy.{n}" for n in ("to_native", "brain_mask", "wm", "csf")},
    },
    outputs={
        "reho": _func("boldmap", space=TEMPLATE_SPACE, desc="reho"),
        "smoothed": _func("boldmap", space=TEMPLATE_SPACE, desc="rehoz"),
        "share": _func("boldmap", space=TEMPLATE_SPACE, desc="rehom"),
        "neighbours_used": _func("boldmap", space=TEMPLATE_SPACE, desc="rehok"),
        "mask": _func("mask", space=TEMPLATE_SPACE, desc="reho"),
        "carpet": _func("metrics", extension=".npz", desc="carpet"),
        "metrics": _func("metrics", extension=".json", desc="reho"),
    },
    params={
        **TIMES,
        **keys_of("bold", SliceShift),
        **keys_of("reho", RehoSettings),
    },
    mem_mb=1500,
    threads=2,
    version=2,
)

MEASURED = Stage(
    "measures",
    measure_stage,
    inputs=REHO.inputs,
    outputs={
        **{n: _func("boldmap", space=TEMPLATE_SPACE, desc=n) for n in MEASURES},
        "mask": _func("mask", space=TEMPLATE_SPACE, desc="measures"),
        "vmhc_mask": _func("mask", space=TEMPLATE_SPACE, desc="vmhc"),
        "metrics": _func("metrics", extension=".json", desc="measures"),
    },
    params={**REHO.params, **keys_of("measures", MeasureSettings)},
    mem_mb=1500,
    threads=2,
    needs=("measures.compute",),
)

REPORT = Stage(
    "report",
    run_report_stage,
    inputs={
        "records": "provenance.all",
        "anatomy_metrics": "anatomy.metrics",
        "grey_metrics": "grey.metrics",
        "motion_metrics": "motion.motion?",
        "reho_metrics": "reho.metrics?",
        "coregistration": "coregister_bold.matrix?",
        "t1w": "anatomy.corrected",
        "gm": "anatomy.gm",
        "wm": "anatomy.wm",
        "to_native": "anatomy.to_native",
        "volume": "grey.smoothed",
        "reference": "motion.reference?",
        "tsnr": "motion.tsnr?",
        "reho": "reho.reho?",
        "carpet": "reho.carpet?",
    },
    outputs={"page": "sub-{subject}.html"},
    params={"subject": "subject.label"},
    mem_mb=900,
    version=4,
)

MAPS: dict[str, dict[str, str]] = {
    "grey": {
        "maps": "grey.smoothed*",
        "masks": "config.groups.grey_mask?",
        "metrics": "grey.metrics*",
    },
    "reho": {"maps": "reho.smoothed*", "masks": "reho.mask*", "metrics": "reho.metrics*"},
    **{
        name: {
            "maps": f"measures.{name}*",
            "masks": f"measures.{'vmhc_mask' if name == 'vmhc' else 'mask'}*",
            "metrics": "measures.metrics*",
        }
        for name in MEASURES
    },
}
"""Modality to what its group maps gather."""

ATLAS = {"atlas": "config.groups.atlas?", "atlas_labels": "config.groups.atlas_labels?"}

TABLES = {
    "table": ("clusters", ".tsv"),
    "table_latex": ("clusters", ".tex"),
    "table_html": ("clusters", ".html"),
    "summary": ("summary", ".json"),
    "person_maps": ("people", ".npz"),
}
OF_T = {
    "t_map": ("tmap", ".nii.gz"),
    "z_map": ("zmap", ".nii.gz"),
    "p_tfce_map": ("pmap", ".nii.gz"),
    **TABLES,
    "profile": ("profile", ".tsv"),
    "values": ("values", ".tsv"),
}
OF_F = {"f_map": ("fmap", ".nii.gz"), "p_map": ("pmap", ".nii.gz"), **TABLES}
OF_PEOPLE = {"index": ("maps", ".tsv"), "summary": ("summary", ".json")}
"""Argument of a stage to suffix and ending of the file it writes."""

ROLES = keys_of("groups", Roles)
LISTED = keys_of("groups", Listing)
PLACES = ("first", "second")


def _map_stage(
    step: Step,
    run: Callable[..., None],
    files: Mapping[str, tuple[str, str]],
    params: Mapping[str, str],
    needs: Sequence[str],
    *,
    version: int,
    disk_mb: int = 30,
) -> Stage:
    """Stage of a group map: its people and their model, and what else it takes."""
    named = partial(output_path, "", group=True, desc=step.name.replace("_", ""))
    return Stage(
        step.name,
        run,
        inputs={
            **MAPS[step.modality],
            "participants": "raw.participants",
            "decisions": "config.groups.decisions?",
            **ATLAS,
        },
        outputs={role: named(suffix, extension=end) for role, (suffix, end) in files.items()},
        params={
            **keys_of("groups", Selection),
            **keys_of(step.section, MapModel),
            "seed": "groups.seed",
            **params,
        },
        level="group",
        mem_mb=2500,
        disk_mb=disk_mb,
        threads=2,
        needs=(*step.needs, *(f"groups.{key}" for key in needs)),
        version=version,
    )


def _contrast(step: Step) -> Stage:
    """Two groups, or those of them that are of one kind, compared."""
    params = {**keys_of("groups", InferenceOptions), **LISTED}
    params |= {place: f"groups.{role}" for place, role in zip(PLACES, step.pair, strict=True)}
    run: Callable[..., None] = group_map_stage
    needs = step.pair
    if step.kind:
        run, needs = subgroup_map_stage, (*step.pair, step.kind, "subgroup_column")
        params |= {"subgroup": f"groups.{step.kind}", "controls": "groups.controls"}
        params["subgroup_column"] = "groups.subgroup_column"
    return _map_stage(
        step, partial(run, title=step.title), OF_T, params, needs, version=11, disk_mb=30
    )


def _anova(step: Step) -> Stage:
    run = partial(role_anova_stage, title=step.title)
    params = {**keys_of("groups", InferenceOptions), **ROLES}
    params["min_region_voxels"] = "groups.min_region_voxels"
    # Each role is named, or further groups stand in for it.
    needs = tuple(f"{role}|groups.others" for role in ("resistant", "sensitive", "controls"))
    return _map_stage(step, run, OF_F, params, needs, version=11)


def _regression(step: Step) -> Stage:
    run = partial(role_regression_stage, title=step.title)
    params = {**keys_of("groups", InferenceOptions), **LISTED, **ROLES}
    params["predictor"] = "groups.predictor"
    return _map_stage(step, run, OF_T, params, ("predictor",), version=11)


def _further(modality: str) -> Stage:
    """Every pair of groups in which one without a role takes part."""
    step = Step(modality, "further")
    params = {**keys_of("groups", InferenceOptions), **LISTED, **ROLES}
    run = partial(role_further_stage, title=step.title)
    files = {"index": OF_PEOPLE["index"]}
    return _map_stage(step, run, files, params, ("others",), version=3, disk_mb=300)


def _together(first: str, second: str) -> Stage:
    """Grey matter and ReHo of one pair of groups, looked at together."""
    pair = f"{first}_{second}"
    roles = {"p": "p_tfce_map", "t": "t_map", "values": "values", "summary": "summary"}
    named = partial(output_path, "", group=True, desc=f"both{first}{second}")
    return Stage(
        f"both_{pair}",
        together_stage,
        inputs={
            f"{place}_{role}": f"{modality}_{pair}.{output}"
            for place, modality in zip(PLACES, SECTION, strict=True)
            for role, output in roles.items()
        }
        | ATLAS,
        outputs={
            "p_map": named("pmap", extension=".nii.gz"),
            "regions": named("regions", extension=".tsv"),
            "correlations": named("correlations", extension=".tsv"),
            "summary": named("summary", extension=".json"),
        },
        params={"cluster_p": "groups.cluster_p"},
        level="group",
        mem_mb=900,
        needs=(f"groups.{first}", f"groups.{second}"),
    )


def _deviation(step: Step) -> Stage:
    params = {**ROLES, **keys_of("groups", Kinds)}
    params |= {key: f"groups.{key}" for key in ("deviation", "n_permutations", "variance")}
    return _map_stage(
        step, role_deviation_stage, OF_PEOPLE, params, ("controls",), version=6, disk_mb=300
    )


STAGE_OF = {"contrast": _contrast, "anova": _anova, "regression": _regression}

GROUP_STAGES = tuple(STAGE_OF[step.what](step) for step in GROUP_MAPS)

TOGETHER_STAGES = tuple(_together(*pair) for pair in CONTRASTS)

FURTHER_STAGES = tuple(_further(modality) for modality in MODALITIES)

FURTHER_PAIRS = Stage(
    PAIRS,
    pairs_stage,
    inputs={f"further.{m}": f"{m}_further.index?" for m in MODALITIES},
    outputs={"table": output_path("", "pairs", extension=".tsv", group=True, desc="groups")},
    level="group",
    mem_mb=300,
    disk_mb=1,
    needs=("groups.others",),
)

DEVIATION_STAGES = tuple(_deviation(step) for step in DEVIATIONS)

DEMOGRAPHICS = Stage(
    "demographics",
    demographics_stage,
    inputs={
        "participants": "raw.participants",
        "metrics": "grey.metrics*",
        "moved": "motion.motion?*",
        "reho": "reho.metrics?*",
        "decisions": "config.groups.decisions?",
    },
    outputs={
        "demographics": output_path(
            "", "demographics", extension=".json", group=True, desc="groups"
        )
    },
    params={**ROLES, "group_column": "groups.group_column"},
    level="group",
    version=6,
    mem_mb=300,
)

QUALITY = Stage(
    "quality",
    quality_stage,
    inputs={
        "participants": "raw.participants",
        "decisions": "config.groups.decisions?",
        "volumes": "grey.volume*",
        "metrics": "grey.metrics*",
        "moved": "motion.motion?*",
        "tsnr": "motion.tsnr?*",
        "references": "motion.reference?*",
        "reho": "reho.metrics?*",
        "reho_maps": "reho.smoothed?*",
    },
    outputs={
        "page": "quality.html",
        "table": output_path("", "quality", extension=".tsv", group=True, desc="groups"),
    },
    params={"group_column": "groups.group_column"},
    level="group",
    mem_mb=2500,
    disk_mb=20,
)

GROUP_REPORT = Stage(
    "group_report",
    group_report_stage,
    inputs={
        "demographics": "demographics.demographics?",
        "people": "study.people",
        "expression": "config.genes.expression?",
        "failures": "study.failures",
        **{f"together.{stage.name}": f"{stage.name}.summary?" for stage in TOGETHER_STAGES},
        **{f"further.{m}": f"{m}_further.index?" for m in MODALITIES},
        **{
            f"{role}.{stage.name}": f"{stage.name}.{role}?"
            for stage in (*GROUP_STAGES, *DEVIATION_STAGES)
            for role in SHOWN
            if role in stage.outputs
        },
    },
    outputs={
        "page": "group.html",
        "results": output_path("", "results", extension=".tsv", group=True, desc="groups"),
    },
    params={"ahba": "genes.ahba", "bonferroni": "groups.bonferroni"},
    level="group",
    version=7,
    mem_mb=2000,
    disk_mb=25,
)

PREPARED = {"task": "rest", "space": "MNI152NLin2009cAsym"}
"""What the name of a run says that fMRIPrep has brought to the template nearest to ours."""


ASEG = tuple(
    f"sub-{{subject}}{session}/mri/{name}.mgz"
    for name in ("aseg", "aseg.auto", "aseg.auto_noCCseg")
    for session in ("", "_ses-*")
)
"""Structures of FreeSurfer, longitudinal or not, and of FastSurfer without surfaces."""


def _cat12(folder: str, name: str) -> tuple[str, ...]:
    """Where CAT12 puts a file: in its BIDS layout, or in folders of its own beside the T1w."""
    people = ("sub-{subject}/anat/", "sub-{subject}/ses-*/anat/", "sub-{subject}/", "")
    return tuple(f"{person}{own}{name}" for person in people for own in ("", f"{folder}/"))


def _map_figure(number: int, modality: str) -> Stage:
    """Figures 1 and 2 of Liu et al. 2024: t of the contrasts of one modality."""
    contrasts = [f"{modality}_{'_'.join(pair)}" for pair in CONTRASTS]
    return Stage(
        f"figure_{modality}",
        map_figure_stage,
        inputs={
            f"{role}.{name}": f"{name}.{role}?"
            for name in contrasts
            for role in ("t_map", "summary")
        },
        outputs={kind: f"figures/figure-{number}_{modality}.{kind}" for kind in ("svg", "png")},
        params={**ROLES},
        level="group",
        mem_mb=900,
        disk_mb=10,
    )


STUDY = Study(
    name="resistance",
    reference="falx.studies.resistance.study:STUDY",
    stages=(
        ANATOMY,
        GREY,
        MOTION,
        COREGISTER,
        REHO,
        MEASURED,
        REPORT,
        *GROUP_STAGES,
        *FURTHER_STAGES,
        FURTHER_PAIRS,
        *TOGETHER_STAGES,
        *DEVIATION_STAGES,
        DEMOGRAPHICS,
        QUALITY,
        GROUP_REPORT,
        *(_map_figure(number, modality) for number, modality in enumerate(SECTION, start=1)),
        EXPRESSION,
        BLOOD,
        *together_stages(GROUP_STAGES),
        *gene_stages([stage for stage in GROUP_STAGES if "profile" in stage.outputs]),
    ),
    raw={
        "t1w": RawInput("T1w image", suffix="T1w", datatype="anat", required=True),
        "bold": RawInput(
            "resting BOLD run", suffix="bold", datatype="func", entities={"task": "rest"}
        ),
        "prepared": RawInput(
            "preprocessed resting run",
            suffix="bold",
            entities=PREPARED | {"desc": "preproc"},
            derivatives=True,
            switch="bold.prepared",
        ),
        "prepared_mask": RawInput(
            "brain mask of the preprocessed run",
            suffix="mask",
            entities=PREPARED | {"desc": "brain"},
            datatype="func",
            derivatives=True,
            judged=False,
            switch="bold.prepared",
        ),
        "confounds": RawInput(
            "table of confounds",
            suffix="timeseries",
            datatype="func",
            entities={"task": "rest", "desc": "confounds"},
            extensions=(".tsv",),
            derivatives=True,
            judged=False,
            switch="bold.prepared",
        ),
        "structures": RawInput(
            "volume of structure labels",
            suffix="dseg",
            datatype="anat",
            entities={"seg": "aseg"},
            derivatives=True,
            patterns=ASEG,
        ),
        "cat12": RawInput(
            "grey matter that CAT12 has modulated",
            derivatives=True,
            judged=False,
            switch="grey.prepared",
            patterns=_cat12("mri", "mwp1sub-{subject}_*T1w.nii*"),
        ),
        "cat12_report": RawInput(
            "report of CAT12",
            derivatives=True,
            judged=False,
            switch="grey.prepared",
            patterns=_cat12("report", "cat_sub-{subject}_*T1w.xml"),
        ),
        "participants": RawInput("table of participants", dataset_file="participants.tsv"),
    },
    configuration=ResistanceConfiguration,
    presets={"liu2024": PUBLISHED},
    preflight=preflight,
    libraries={"matplotlib": ("pages", "pictures are drawn")},
    show={"participant": "report.page", "group": "group_report.page"},
    methods=methods_files,
)
