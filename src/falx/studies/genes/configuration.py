"""Every choice of the study `genes`, declared once for its commands and for other studies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from falx.core.settings import option, with_default
from falx.genes.association_study import Settings
from falx.genes.blood.differential import Comparison
from falx.genes.files import Knowledge, Surface

__all__ = ["BloodCounts", "ExpressionSource", "GenesConfiguration", "ListsConfiguration"]


@dataclass(frozen=True)
class ExpressionSource:
    """Where regional expression comes from: a table, or an Allen download."""

    expression: Path | None = option(
        None, help="region × gene table; its regions are those of the atlas"
    )
    ahba: str = option("", help="or the folder of an Allen download, its whole path")
    mode: Literal["abagen", "bmhlab"] = option(
        "abagen", help="how the Allen download is processed"
    )
    reannotation: Path | None = option(
        None, help="probe table; that beside the download if absent"
    )
    coordinates: Path | None = option(None, help="sample places; those beside it if absent")


@dataclass(frozen=True)
class GenesConfiguration(Settings, Surface, Knowledge, ExpressionSource):
    """How a map is related to genes, and what those are compared with."""

    degs: Path | None = option(
        None, help="degs.tsv of falx degs, for the overlap with genes changed in blood"
    )

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        Knowledge.__post_init__(self)


@dataclass(frozen=True)
class BloodCounts(Comparison):
    """Blood counts of a study, and which groups of them are compared."""

    counts: Path | None = option(None, help="blood counts, genes × samples, with samples")
    samples: Path | None = option(None, help="one row a sample of the counts")


@dataclass(frozen=True)
class ListsConfiguration(Knowledge):
    """What gene lists are compared with."""

    seed: int = with_default(Settings, "seed", 1)
