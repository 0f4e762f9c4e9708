"""The gene half of Liu 2024: one gene stage for every group map of the resistance study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from falx.bids.derivative import output_path
from falx.core.settings import inputs_of, params_of, with_default
from falx.core.stage import Stage
from falx.genes.association_study import Settings
from falx.genes.files import Knowledge, Surface
from falx.studies.genes.configuration import BloodCounts, GenesConfiguration
from falx.studies.genes.expression_files import expression_stage
from falx.studies.genes.files import genes_stage
from falx.studies.genes.lists_files import blood_stage
from falx.studies.genes.together_files import TogetherFiles, together_stage
from falx.studies.resistance.genes_links import genes_page
from falx.studies.resistance.steps import GROUP_MAPS, MODALITIES, SECTION

__all__ = ["BLOOD", "EXPRESSION", "Genes", "gene_stages", "together_stages"]


@dataclass(frozen=True)
class Genes(GenesConfiguration, BloodCounts):
    """Gene expression behind the group maps; asked for by `expression` or `ahba`."""

    # Four of the six donors have left-hemisphere samples alone.
    side: Literal["left", "right", "both"] = with_default(Settings, "side", "left")


ATLAS = {"atlas": "config.groups.atlas?", "atlas_labels": "config.groups.atlas_labels?"}

EXPRESSION = Stage(
    "expression",
    expression_stage,
    inputs={
        **ATLAS,
        "reannotation": "config.genes.reannotation?",
        "coordinates": "config.genes.coordinates?",
    },
    outputs={
        "expression": "group/expression.csv",
        "losses": "group/expression_losses.tsv",
    },
    params={"ahba": "genes.ahba", "mode": "genes.mode"},
    level="group",
    version=2,
    mem_mb=3000,
    disk_mb=60,
    needs=("genes.ahba",),
)


def gene_stages(group_maps: Sequence[Stage]) -> tuple[Stage, ...]:
    """One gene stage for each group map, planned where expression is configured."""
    return tuple(_gene_stage(stage) for stage in group_maps)


def _gene_stage(group_map: Stage) -> Stage:
    named = partial(
        output_path, "", extension=".tsv", group=True, desc=group_map.name.replace("_", "")
    )
    return Stage(
        f"genes_{group_map.name}",
        genes_stage,
        inputs={
            **ATLAS,
            "profile": f"{group_map.name}.profile",
            "ready_expression": "config.genes.expression?",
            "made_expression": "expression.expression?",
            "degs": "config.genes.degs?",
            "made_degs": "blood.degs?",
            **inputs_of("genes", Knowledge),
            **inputs_of("genes", Surface),
        },
        outputs={
            "report": genes_page(group_map.name),
            "genes": named("genes"),
            "terms": named("terms"),
            "components": named("components", extension=".json"),
            "left_out": named("leftout"),
        },
        params={**params_of("genes", Knowledge), **params_of("genes", Settings)},
        level="group",
        version=4,
        mem_mb=2000,
        disk_mb=20,
        needs=(*group_map.needs, "genes.expression|genes.ahba"),
    )


BLOOD = Stage(
    "blood",
    blood_stage,
    inputs=inputs_of("genes", BloodCounts),
    outputs={
        "degs": output_path("", "degs", extension=".tsv", group=True, desc="blood"),
        "page": "blood.html",
    },
    params=params_of("genes", BloodCounts),
    level="group",
    mem_mb=3000,
    disk_mb=20,
    needs=("genes.counts", "genes.samples"),
)

FIGURES = {"scores": 3, "blood": 4, "terms": 5}
"""What a picture shows, and its number in Liu et al. 2024."""


def together_stages(group_maps: Sequence[Stage]) -> tuple[Stage, ...]:
    """One stage for each modality, on the profiles of its contrasts of two groups."""
    return tuple(
        _together_stage(modality, [stage for stage in group_maps if stage.name in names])
        for modality, names in CONTRASTS_OF.items()
    )


CONTRASTS_OF = {
    modality: [
        step.name
        for step in GROUP_MAPS
        if step.modality == modality and step.what == "contrast" and not step.kind
    ]
    for modality in SECTION
}
"""Modality to its contrasts of two groups."""


def _together_stage(modality: str, contrasts: Sequence[Stage]) -> Stage:
    figures = {
        f"{what}_{kind}": f"figures/figure-{number}_{modality}.{kind}"
        for what, number in FIGURES.items()
        for kind in ("svg", "png")
    }
    return Stage(
        f"genes_{modality}_together",
        partial(role_together_stage, modality=modality),
        inputs={
            **ATLAS,
            **{f"profile.{stage.name}": f"{stage.name}.profile?" for stage in contrasts},
            "ready_expression": "config.genes.expression?",
            "made_expression": "expression.expression?",
            "degs": "config.genes.degs?",
            "made_degs": "blood.degs?",
            **inputs_of("genes", Knowledge),
            **inputs_of("genes", Surface),
        },
        outputs={
            "page": genes_page(f"{modality}_together"),
            "terms": output_path(
                "", "terms", extension=".tsv", group=True, desc=f"{modality}together"
            ),
            **figures,
        },
        params={
            **params_of("genes", Knowledge),
            **params_of("genes", Settings),
            **{role: f"groups.{role}" for role in ("resistant", "sensitive", "controls")},
        },
        level="group",
        version=3,
        mem_mb=2500,
        disk_mb=30,
        needs=("genes.expression|genes.ahba",),
    )


def role_together_stage(
    files: TogetherFiles,
    knowledge: Knowledge,
    surface: Surface,
    settings: Settings,
    *,
    modality: str,
    resistant: str,
    sensitive: str,
    controls: str,
) -> None:
    """Join the contrasts of one modality; terms are tested over those against controls."""
    entry = {"resistant": resistant, "sensitive": sensitive, "controls": controls}
    titles = {
        step.name: " v ".join(entry[role] for role in step.pair)
        for step in GROUP_MAPS
        if step.pair and not step.kind
    }
    joined = [name for name in CONTRASTS_OF[modality] if name.endswith("controls")]
    together_stage(
        files, knowledge, surface, settings, titles=titles, joined=joined,
        name=MODALITIES[modality],
    )  # fmt: skip
