"""Every choice of the signature study, with its unit, range and help."""

from __future__ import annotations

from dataclasses import dataclass, field

from falx.anatomy.settings import SegmentationSettings
from falx.core.settings import option
from falx.pet.presets import PRESETS
from falx.studies.outcome.coding import CODINGS
from falx.studies.outcome.outcome import OutcomeSettings

__all__ = ["Columns", "Group", "Pet", "Signature", "SignatureConfiguration"]

CHOSEN = PRESETS["corrected"]


@dataclass(frozen=True)
class Pet:
    """Partial-volume correction of the PET."""

    method: str = option(
        CHOSEN.method, help="partial-volume correction", choices=("none", "mg2", "mg3", "gtm")
    )
    psf_fwhm_mm: float = option(
        CHOSEN.psf_fwhm_mm, help="point spread of the scanner", unit="mm", low=0, high=20
    )
    smoothing_fwhm_mm: float = option(
        CHOSEN.smoothing_fwhm_mm, help="smoothing before the correction", unit="mm", low=0, high=20
    )
    floor: float = option(
        CHOSEN.floor, help="least blurred grey matter that is corrected", low=0.05, high=1
    )
    frames: str = option(
        "static", help="frames of a dynamic PET to average: static, all, or a window such as 4-6"
    )


@dataclass(frozen=True)
class Asymmetry:
    """Intensity scale and asymmetry about the midsagittal plane."""

    scale: str = option(
        CHOSEN.scale, help="intensity scale of the PET", choices=("proportional", "z", "z5")
    )
    reference: str = option(
        CHOSEN.reference,
        help="region that sets the scale",
        choices=("brain", "cerebellum", "pons"),
    )
    smoothing_fwhm_mm: float = option(
        CHOSEN.template_smoothing_fwhm_mm,
        help="smoothing in template space",
        unit="mm",
        low=0,
        high=20,
    )
    voxel_mm: float = option(2.0, help="voxels of the template grid", unit="mm", low=1, high=4)


@dataclass(frozen=True)
class Signature:
    """What counts as the signature."""

    threshold: float = option(CHOSEN.threshold, help="asymmetry index", low=-2, high=0)
    threshold_scale: str = option(
        CHOSEN.threshold_scale,
        help="intensity scale that the threshold belongs to",
        choices=("proportional", "z", "z5"),
    )
    threshold_comparison: str = option(
        CHOSEN.threshold_comparison, help="comparison with the threshold", choices=("<=", "<")
    )
    gm_floor: float = option(CHOSEN.gm_floor, help="least grey-matter fraction", low=0, high=1)
    ipsilateral_only: bool = option(CHOSEN.ipsilateral_only, help="keep to the side of the focus")
    minimum_cluster_mm3: float = option(
        CHOSEN.minimum_cluster_mm3, help="least cluster", unit="mm³", low=0, high=1e5
    )


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
    pet: Pet = field(default_factory=Pet)
    asymmetry: Asymmetry = field(default_factory=Asymmetry)
    signature: Signature = field(default_factory=Signature)
    columns: Columns = field(default_factory=Columns)
    group: Group = field(default_factory=Group)
