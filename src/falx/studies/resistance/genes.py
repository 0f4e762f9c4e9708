"""The gene half of Liu 2024: one gene stage for every group map of the resistance study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from falx.bids.derivative import output_path
from falx.core.settings import option
from falx.core.stage import Stage
from falx.genes.nulls.generate import NULL_METHODS
from falx.studies.genes.expression import EXPRESSION_MODES, expression_stage
from falx.studies.genes.files import genes_stage
from falx.studies.resistance.genes_links import genes_page

__all__ = ["EXPRESSION", "Genes", "gene_stages"]


@dataclass(frozen=True)
class Genes:
    """Gene expression behind the group maps; asked for by `expression` or `ahba`."""

    expression: Path | None = option(
        None, help="region × gene table; its regions are those of groups.atlas"
    )
    ahba: str = option("", help="or the folder of an Allen download, its whole path")
    mode: str = option(
        "abagen", help="how the Allen download is processed", choices=EXPRESSION_MODES
    )
    reannotation: Path | None = option(
        None, help="probe table; that beside the download if absent"
    )
    coordinates: Path | None = option(None, help="sample places; those beside it if absent")
    gene_sets: Path | None = option(None, help="gene sets (GMT)")
    regulators: Path | None = option(None, help="regulators and their targets (TRRUST)")
    network: Path | None = option(None, help="protein interactions")
    side: str = option("left", help="regions that take part", choices=("left", "right", "both"))
    blocks: tuple[str, ...] = option((), help="classes of regions to keep; none: all")
    null: str = option("moran", help="null maps", choices=NULL_METHODS)
    n_maps: int = option(5000, help="null maps", low=1, high=1_000_000)
    n_list: int = option(1500, help="genes in each list", low=1, high=100_000)
    seed: int = option(1, help="of every random draw", low=0, high=2**31)


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
    params={"folder": "genes.ahba", "mode": "genes.mode"},
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
    names = ("side", "blocks", "null", "n_maps", "n_list", "seed")
    return Stage(
        f"genes_{group_map.name}",
        genes_stage,
        inputs={
            **ATLAS,
            "profile": f"{group_map.name}.profile",
            "ready_expression": "config.genes.expression?",
            "made_expression": "expression.expression?",
            **{name: f"config.genes.{name}?" for name in ("gene_sets", "regulators", "network")},
        },
        outputs={
            "report": genes_page(group_map.name),
            "genes": named("genes"),
            "terms": named("terms"),
            "components": named("components", extension=".json"),
            "left_out": named("leftout"),
        },
        params={name: f"genes.{name}" for name in names},
        level="group",
        mem_mb=2000,
        disk_mb=20,
        needs=(*group_map.needs, "genes.expression|genes.ahba"),
    )
