"""Every choice of the norms: those of the signature up to the asymmetry."""

from __future__ import annotations

from dataclasses import dataclass, field

from falx.anatomy.settings import SegmentationSettings
from falx.core.settings import check_settings
from falx.core.study import column
from falx.pet.settings import AsymmetrySettings, Correction

__all__ = ["RECORD", "NormsColumns", "NormsConfiguration"]

RECORD = "group/norms.json"
"""What ``falx signature --norms`` reads below the output folder; the maps lie beside it."""


@dataclass(frozen=True)
class NormsColumns:
    """Headers of ``participants.tsv``; the usual ones need no entry."""

    sex: str | None = column(
        "sex", "sex", "gender", kind="number",
        values={"f": 0.0, "female": 0.0, "m": 1.0, "male": 1.0},
    )  # fmt: skip
    age: str | None = column("age at the scan", "age", "age_at_scan", kind="number")

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class NormsConfiguration:
    """The sections of the configuration."""

    anatomy: SegmentationSettings = field(default_factory=SegmentationSettings)
    pet: Correction = field(default_factory=Correction)
    asymmetry: AsymmetrySettings = field(default_factory=AsymmetrySettings)
    columns: NormsColumns = field(default_factory=NormsColumns)
