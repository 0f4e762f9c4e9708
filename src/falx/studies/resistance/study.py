"""Drug resistance, the imaging half of Liu 2024: grey-matter volume, ReHo and group maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from falx.anatomy.files import coregister_stage, grey_volume_stage
from falx.anatomy.morphometry import GreySettings
from falx.bids.derivative import output_path
from falx.bold.files import motion_stage, reho_stage
from falx.bold.reho_choices import RehoChoices
from falx.core.grid import TEMPLATE_SPACE
from falx.core.settings import keys_of
from falx.core.stage import Stage
from falx.core.study import RawInput, Study
from falx.maps.files import (
    anova_stage,
    deviation_stage,
    group_map_stage,
    regression_map_stage,
    subgroup_map_stage,
)
from falx.studies.resistance.configuration import PUBLISHED, ResistanceConfiguration
from falx.studies.resistance.demographics import demographics_stage
from falx.studies.resistance.genes import EXPRESSION, gene_stages
from falx.studies.resistance.group_page import group_report_stage
from falx.studies.resistance.group_sections import title_of
from falx.studies.resistance.person_page import run_report_stage
from falx.studies.signature.study import ANATOMY

__all__ = ["CONTRASTS", "STUDY"]

_anat = partial(output_path, "anat")
_func = partial(output_path, "func")


def _params(section: str, *names: str) -> dict[str, str]:
    return {name: f"{section}.{name}" for name in names}


GREY = Stage(
    "grey",
    grey_volume_stage,
    inputs={name: f"anatomy.{name}" for name in ("gm", "wm", "csf", "to_native")},
    outputs={
        "volume": _anat("probseg", space=TEMPLATE_SPACE, label="GM", desc="modulated"),
        "smoothed": _anat("probseg", space=TEMPLATE_SPACE, label="GM", desc="smoothed"),
        "metrics": _anat("metrics", extension=".json", desc="grey"),
    },
    params=keys_of("grey", GreySettings),
    mem_mb=900,
    disk_mb=20,
)

TIMES = {
    "slice_times_s": "raw.bold:SliceTiming?",
    "slice_direction": "raw.bold:SliceEncodingDirection?",
    "slice_timing": "bold.slice_timing",
    "slice_padding": "bold.slice_padding",
}

MOTION = Stage(
    "motion",
    motion_stage,
    inputs={"bold": "raw.bold"},
    outputs={
        "reference": _func("boldref", desc="realigned"),
        "tsnr": _func("boldmap", desc="tsnr"),
        "motion": _func("metrics", extension=".json", desc="motion"),
    },
    params={
        **TIMES,
        "repetition_time_s": "raw.bold:RepetitionTime?",
        **_params(
            "bold", "dropped_volumes", "least_volumes", "translation_limit_mm",
            "rotation_limit_deg", "fd_threshold_mm", "spike_limit_percent", "centre",
            "motion_passes",
        ),
    },
    mem_mb=1500,
    version=2,
)  # fmt: skip

FROM_T1W_TO_RUN: dict[str, Any] = {"from": "T1w", "to": "boldref", "mode": "image"}

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
)

REHO = Stage(
    "reho",
    reho_stage,
    inputs={
        "bold": "raw.bold",
        "motion": "motion.motion",
        "matrix": "coregister_bold.matrix",
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
        **_params("reho", *RehoChoices.__annotations__),
    },
    mem_mb=1500,
    threads=2,
    version=2,
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
    version=3,
)

MAPS: dict[str, dict[str, str]] = {
    "grey": {
        "maps": "grey.smoothed*",
        "masks": "config.groups.grey_mask?",
        "metrics": "grey.metrics*",
    },
    "reho": {"maps": "reho.smoothed*", "masks": "reho.mask*", "metrics": "reho.metrics*"},
}
"""Section of the configuration to what its group maps gather."""

CONTRASTS = (("resistant", "sensitive"), ("resistant", "controls"), ("sensitive", "controls"))

CHOICES = (
    "group_column", "columns", "voxel_p", "cluster_p", "n_permutations", "min_region_voxels",
    "seed",
)  # fmt: skip

GROUPS = ("resistant", "sensitive", "controls")

SAMPLE = ("head_size", "measures", "least_share", "least_value")

IMAGES = {"t_map": "tmap", "z_map": "zmap", "p_tfce_map": "pmap"}


ATLAS = {"atlas": "config.groups.atlas?", "atlas_labels": "config.groups.atlas_labels?"}


def _gathered(modality: str) -> dict[str, str]:
    return {**MAPS[modality], "participants": "raw.participants"}


def _group_stage(
    name: str,
    run: Callable[..., None],
    modality: str,
    images: Mapping[str, str],
    params: Mapping[str, str],
    needs: Sequence[str],
) -> Stage:
    """Stage of maps with a table and a summary, listed by atlas region."""
    named = partial(output_path, "", group=True, desc=name.replace("_", ""))
    return Stage(
        name,
        partial(run, title=title_of(name)),
        inputs={**_gathered(modality), **ATLAS},
        outputs={
            **{role: named(suffix) for role, suffix in images.items()},
            "table": named("clusters", extension=".tsv"),
            "table_latex": named("clusters", extension=".tex"),
            "table_html": named("clusters", extension=".html"),
            "summary": named("summary", extension=".json"),
            **({"profile": named("profile", extension=".tsv")} if "t_map" in images else {}),
        },
        params={**_params("groups", *CHOICES), **_params(modality, *SAMPLE), **params},
        level="group",
        mem_mb=2500,
        threads=2,
        needs=tuple(f"groups.{key}" for key in needs),
        version=4,
    )


def _pair(modality: str, first: str, second: str, kind: str = "") -> Stage:
    """Two groups, or those of them that are of one kind, compared."""
    params = {"first": f"groups.{first}", "second": f"groups.{second}"}
    params["listed_by"] = "groups.listed_by"
    if not kind:
        name = f"{modality}_{first}_{second}"
        return _group_stage(name, group_map_stage, modality, IMAGES, params, (first, second))
    params |= {"subgroup": f"groups.{kind}", **_params("groups", "subgroup_column", "controls")}
    name = f"{modality}_{kind}_{first}_{second}"
    needs = (first, second, kind, "subgroup_column")
    return _group_stage(name, subgroup_map_stage, modality, IMAGES, params, needs)


def _anova(modality: str) -> Stage:
    images = {"f_map": "fmap", "p_map": "pmap"}
    params = _params("groups", *GROUPS)
    return _group_stage(f"{modality}_anova", anova_stage, modality, images, params, GROUPS)


def _regression(modality: str) -> Stage:
    params = _params("groups", *GROUPS, "predictor", "listed_by")
    name = f"{modality}_regression"
    return _group_stage(name, regression_map_stage, modality, IMAGES, params, ("predictor",))


def _deviation(modality: str) -> Stage:
    named = partial(output_path, "", group=True, desc=f"{modality}deviation")
    return Stage(
        f"{modality}_deviation",
        deviation_stage,
        inputs={**_gathered(modality), **ATLAS},
        outputs={
            "index": named("maps", extension=".tsv"),
            "summary": named("summary", extension=".json"),
        },
        params={
            **_params("groups", *GROUPS, "group_column", "columns", "deviation",
                      "subgroup_column", "temporal", "generalised", "n_permutations", "seed"),
            **_params(modality, *SAMPLE),
        },
        level="group",
        mem_mb=2500,
        disk_mb=300,
        threads=2,
        needs=("groups.controls",),
        version=2,
    )  # fmt: skip


KINDS = ("temporal", "generalised")

GROUP_MAPS = (
    *(_pair(modality, *pair) for modality in MAPS for pair in CONTRASTS),
    *(_anova(modality) for modality in MAPS),
    *(_regression(modality) for modality in MAPS),
    *(
        _pair(modality, group, "controls", kind)
        for modality in MAPS
        for kind in KINDS
        for group in ("resistant", "sensitive")
    ),
)
"""Every comparison, in the order of the page."""

DEVIATIONS = tuple(_deviation(modality) for modality in MAPS)

DEMOGRAPHICS = Stage(
    "demographics",
    demographics_stage,
    inputs={
        "participants": "raw.participants",
        "metrics": "grey.metrics*",
        "moved": "motion.motion?*",
        "reho": "reho.metrics?*",
    },
    outputs={
        "demographics": output_path(
            "", "demographics", extension=".json", group=True, desc="groups"
        )
    },
    params=_params("groups", *GROUPS, "group_column"),
    level="group",
    version=4,
    mem_mb=300,
)

GROUP_REPORT = Stage(
    "group_report",
    group_report_stage,
    inputs={
        "demographics": "demographics.demographics?",
        "exclusions": "study.exclusions",
        "expression": "config.genes.expression?",
        "failures": "study.failures",
        **{
            f"{stage.name}_{role}": f"{stage.name}.{role}?"
            for stage in (*GROUP_MAPS, *DEVIATIONS)
            for role in ("summary", "table", "t_map", "f_map", "index")
            if role in stage.outputs
        },
    },
    outputs={
        "page": "group.html",
        "results": output_path("", "results", extension=".tsv", group=True, desc="groups"),
    },
    params={"ahba": "genes.ahba", "bonferroni": "groups.bonferroni"},
    level="group",
    version=4,
    mem_mb=900,
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
        REPORT,
        *GROUP_MAPS,
        *DEVIATIONS,
        DEMOGRAPHICS,
        GROUP_REPORT,
        EXPRESSION,
        *gene_stages([stage for stage in GROUP_MAPS if "profile" in stage.outputs]),
    ),
    raw={
        "t1w": RawInput("T1w image", suffix="T1w", datatype="anat", required=True),
        "bold": RawInput(
            "resting BOLD run", suffix="bold", datatype="func", entities={"task": "rest"}
        ),
        "structures": RawInput(
            "volume of structure labels",
            suffix="dseg",
            datatype="anat",
            entities={"seg": "aseg"},
            derivatives=True,
            patterns=("sub-{subject}/mri/aseg.mgz",),
        ),
        "participants": RawInput("table of participants", dataset_file="participants.tsv"),
    },
    configuration=ResistanceConfiguration,
    presets={"liu2024": PUBLISHED},
    show={"participant": "report.page", "group": "group_report.page"},
)
