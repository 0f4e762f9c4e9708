"""Every choice of the signature study, with its unit, range and help."""

from __future__ import annotations

from dataclasses import dataclass, field

from falx.anatomy.settings import SegmentationSettings
from falx.core.settings import option
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.studies.outcome.coding import CODINGS
from falx.studies.outcome.outcome import OutcomeSettings

__all__ = ["Columns", "Group", "SignatureConfiguration"]


@dataclass(frozen=True)
class Columns:
    """Headers of participants.tsv that the group level reads; the usual ones need no entry."""

    outcome: str | None = option(None, help="seizure outcome: ILAE class, or free or not")
    side: str | None = option(None, help="side of the focus")
    sex: str | None = option(None, help="sex")
    age: str | None = option(None, help="age at surgery")
    onset: str | None = option(None, help="age at onset of epilepsy")
    duration: str | None = option(None, help="duration of epilepsy")
    seeg: str | None = option(None, help="whether depth electrodes were implanted")


@dataclass(frozen=True)
class Group:
    """Statistics of the outcome."""

    outcome_coding: str = option("auto", help="what the outcome column holds", choices=CODINGS)
    ilae_seizure_free: int = option(
        1, help="highest ILAE class that counts as free of seizures", low=1, high=5
    )
    adjust_for: tuple[str, ...] = option(
        OutcomeSettings.adjust_for, help="numbers that the adjusted curves are adjusted for"
    )
    resamples: int = option(2000, help="bootstrap resamples", low=20, high=100_000)
    permutations: int = option(5000, help="permutations", low=20, high=1_000_000)
    iterations: int = option(
        1000, help="repeats of the cross-validated additive model", low=5, high=100_000
    )
    boosting_rounds: int = option(3, help="rounds of the additive model", low=1, high=1000)
    seed: int = option(2025, help="seed of all resampling", low=0, high=2**31)


@dataclass(frozen=True)
class SignatureConfiguration:
    """Every choice of the study."""

    anatomy: SegmentationSettings = field(default_factory=SegmentationSettings)
    pet: Correction = field(default_factory=Correction)
    asymmetry: AsymmetrySettings = field(default_factory=AsymmetrySettings)
    signature: SignatureRule = field(default_factory=SignatureRule)
    columns: Columns = field(default_factory=Columns)
    group: Group = field(default_factory=Group)
