"""Every choice of the signature study, section by section."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from falx.anatomy.settings import SegmentationSettings
from falx.core.settings import option
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.outcome import OutcomeSettings
from falx.surgery.outcome.rate_interval import RateErrors

__all__ = ["NormsChoice", "SignatureConfiguration"]


@dataclass(frozen=True)
class NormsChoice:
    """Which healthy people a patient is held against."""

    file: Path | None = option(
        None,
        help="record of falx norms (group/norms.json); the shipped norms if absent",
    )


@dataclass(frozen=True)
class SignatureConfiguration:
    """The sections of the configuration; each is the settings class of the science it steers."""

    anatomy: SegmentationSettings = field(default_factory=SegmentationSettings)
    pet: Correction = field(default_factory=Correction)
    asymmetry: AsymmetrySettings = field(default_factory=AsymmetrySettings)
    signature: SignatureRule = field(default_factory=SignatureRule)
    norms: NormsChoice = field(default_factory=NormsChoice)
    ablation: RateErrors = field(default_factory=RateErrors)
    columns: Columns = field(default_factory=Columns)
    group: OutcomeSettings = field(default_factory=OutcomeSettings)
