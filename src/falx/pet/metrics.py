"""What the PET stages found, as the records that they write and later stages read.

The method is that of Mo et al. 2025; the records hold what its tables need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from falx.core.grid import Side
from falx.core.possible import (
    Amount,
    AsymmetryIndex,
    BrainMm3,
    Probability,
    Share,
)
from falx.pet.decoy import DecoyRate
from falx.pet.foci import FocusRow
from falx.pet.lateral import SuggestedSide
from falx.pet.maps import StructureAsymmetry
from falx.pet.named import RegionTest
from falx.pet.signature import PUBLISHED_THRESHOLD, Threshold

__all__ = [
    "AsymmetryMetrics",
    "CalibratedMetrics",
    "Definition",
    "NoiseMetrics",
    "PetMetrics",
    "SignatureMetrics",
]


@dataclass(frozen=True)
class NoiseMetrics:
    """Of the noise of a PET, measured in its own residuals or frames (:mod:`falx.pet.noise`).

    Parameters
    ----------
    fwhm_mm
        Of the filter that it is seen through, along each voxel axis; empty where the noise could
        not be measured.
    share
        Median standard deviation in grey matter, over the mean activity there; ``None`` likewise.
    reason
        Why it could not be measured; ``None`` where it was.
    source
        ``"frames"`` of a dynamic PET, or ``"residuals"`` of the image.
    """

    fwhm_mm: tuple[float, ...]
    share: Amount | None
    reason: str | None = None
    source: str = "residuals"


@dataclass(frozen=True)
class PetMetrics:
    """Of the partial-volume correction.

    Parameters
    ----------
    method
        Name of the correction.
    effective_psf_fwhm_mm
        Point spread of scanner and smoothing together.
    floor
        Least blurred grey-matter fraction that was corrected.
    units
        Of the PET, ``"arbitrary"`` where it names none.
    activity
        Region or tissue to its mean activity, in these units.
    regional_asymmetry
        Structure to side to asymmetry of the activities.
    regional_asymmetry_se
        Structure to the standard error that the noise gives it.
    noise
        Of the image before the correction.
    uncorrected_asymmetry
        Structure to asymmetry of its left side in the PET as measured.
    """

    method: str
    effective_psf_fwhm_mm: Amount
    floor: Share
    units: str
    activity: Mapping[str, float]
    regional_asymmetry: Mapping[str, Mapping[Side, AsymmetryIndex]]
    regional_asymmetry_se: Mapping[str, Amount]
    noise: NoiseMetrics
    notices: tuple[str, ...] = ()
    uncorrected_asymmetry: Mapping[str, AsymmetryIndex] = field(default_factory=dict)


@dataclass(frozen=True)
class AsymmetryMetrics:
    """Of one image's asymmetry.

    Parameters
    ----------
    quantity
        What the image shows.
    scale, reference
        Intensity scale, and the region that sets it.
    smoothing_fwhm_mm
        In template space.
    least
        Mean of both sides below which the index is not defined; ``None`` for no such bound.
    mean, sd
        Of the unscaled image in the reference.
    structures
        Structure to side to asymmetry.
    field_index
        Index that the receive field alone would make, the 95th percentile of its size in the
        brain; ``None`` where no field was taken out.
    """

    quantity: str
    scale: str
    reference: str
    smoothing_fwhm_mm: float
    least: float | None
    mean: float
    sd: Amount
    structures: Mapping[str, Mapping[Side, StructureAsymmetry]]
    notices: tuple[str, ...] = ()
    field_index: Amount | None = None

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Fields that may be anything: z-scores are no amounts, and their mean may be zero."""
        return ("structures",) if self.scale == "z" else ()


@dataclass(frozen=True)
class Definition:
    """By which rule a mask is a signature; rates of two definitions are not comparable.

    Parameters
    ----------
    method
        ``"calibrated"`` or ``"threshold"``.
    correction
        Partial-volume correction of the PET.
    scale
        Intensity scale that the rule is applied on.
    cut
        Familywise level of ``calibrated``, asymmetry index of ``threshold``.
    """

    method: str
    correction: str
    scale: str
    cut: float

    @property
    def published(self) -> bool:
        """Whether it is that of the scripts of Mo 2025, which cuts and models belong to."""
        return self.method == "threshold" and (self.correction, self.scale, self.cut) == (
            "none",
            PUBLISHED_THRESHOLD.scale,
            PUBLISHED_THRESHOLD.value,
        )

    def __str__(self) -> str:
        """Say it in a clause."""
        rule = f"index {self.cut:g} on the {self.scale} scale"
        if self.method == "calibrated":
            rule = f"foci at a familywise rate of {self.cut:g}"
        pvc = "without partial-volume correction"
        if self.correction != "none":
            pvc = f"PET corrected by {self.correction}"
        return f"{self.method} ({rule}; {pvc})"


@dataclass(frozen=True)
class CalibratedMetrics:
    """Of the calibrated signature.

    Parameters
    ----------
    level
        Familywise rate of false foci that was accepted.
    searched
        Sides that foci were sought on.
    foci
        Of the mask, the most certain first.
    volume_mm3
        Of the mask on the T1w grid.
    false_share, false_share_low, false_share_high
        Expected share of the mask that is no focus, with an interval of 95 %; ``None`` for an
        empty mask.
    smallest_probability
        Of any cluster, accepted or not; 1 without any.
    widened, refuted
        See :class:`falx.pet.calibrated.Calibrated`.
    by_voxel
        False-discovery rates of thresholds by the patient's own decoys.
    noise_sd, healthy_sd
        Median standard deviation of the index in the grey matter that was searched, by the noise
        and by healthy people's asymmetry.
    everywhere
        Foci sought on both sides, the most certain first.
    suggested
        Side that the image suggests of itself.
    named
        Test of the mesial temporal structures of the declared side; ``None`` without one.
    reach
        Probability that the focus holds each sixth of that hippocampus, from tail to head, and
        the amygdala; empty where the test accepted nothing.
    """

    level: Probability
    searched: tuple[Side, ...]
    foci: tuple[FocusRow, ...]
    volume_mm3: BrainMm3
    false_share: Share | None
    false_share_low: Share | None
    false_share_high: Share | None
    smallest_probability: Probability
    widened: float
    refuted: bool
    by_voxel: tuple[DecoyRate, ...]
    noise_sd: Amount
    healthy_sd: Amount
    everywhere: tuple[FocusRow, ...]
    suggested: SuggestedSide
    named: RegionTest | None = None
    reach: tuple[Probability, ...] = ()


@dataclass(frozen=True)
class SignatureMetrics:
    """Of the signature.

    Parameters
    ----------
    side, side_from
        Side of the focus, and whether it was declared or found in the asymmetry.
    definition
        By which rule the mask is a signature.
    threshold, published_threshold
        Of the run and of the publication.
    volume_mm3, published_volume_mm3
        Volume on the T1w grid of the signature, and of that which the publication defines;
        ``None`` where the measured PET is not known.
    calibrated
        ``None`` where the noise of the PET is not known.
    """

    side: Side
    side_from: str
    definition: Definition
    threshold: Threshold
    published_threshold: Threshold
    volume_mm3: BrainMm3
    published_volume_mm3: BrainMm3 | None
    calibrated: CalibratedMetrics | None
    notices: tuple[str, ...] = ()
