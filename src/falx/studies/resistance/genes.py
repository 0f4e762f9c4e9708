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
from falx.studies.genes.configuration import GenesConfiguration
from falx.studies.genes.files import expression_stage, genes_stage
from falx.studies.resistance.genes_links import genes_page

__all__ = ["EXPRESSION", "Genes", "gene_stages"]


@dataclass(frozen=True)
class Genes(GenesConfiguration):
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
        version=2,
        mem_mb=2000,
        disk_mb=20,
        needs=(*group_map.needs, "genes.expression|genes.ahba"),
    )
