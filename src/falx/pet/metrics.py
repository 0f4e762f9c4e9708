"""What the PET stages found, as the records that they write and later stages read.

The method is that of Mo et al. 2025; the records hold what its tables need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from falx.core.grid import Side
from falx.core.possible import Amount, AsymmetryIndex, BrainMm3, HemisphereMm3, Share
from falx.pet.maps import StructureAsymmetry
from falx.pet.signature import Threshold

__all__ = ["AsymmetryMetrics", "PetMetrics", "SignatureMetrics"]


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
    """

    method: str
    effective_psf_fwhm_mm: Amount
    floor: Share
    units: str
    activity: Mapping[str, float]
    regional_asymmetry: Mapping[str, Mapping[Side, AsymmetryIndex]]
    regional_asymmetry_se: Mapping[str, Amount]
    notices: tuple[str, ...] = ()


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

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Fields that may be anything: z-scores are no amounts, and their mean may be zero."""
        return ("structures",) if self.scale == "z" else ()


@dataclass(frozen=True)
class SignatureMetrics:
    """Of the signature.

    Parameters
    ----------
    side, side_from
        Side of the focus, and whether it was declared or found in the asymmetry.
    threshold, published_threshold
        Of the run and of the publication.
    volume_mm3, published_volume_mm3
        Volume of the signature on the T1w grid at either.
    """

    side: Side
    side_from: str
    threshold: Threshold
    published_threshold: Threshold
    volume_mm3: HemisphereMm3
    published_volume_mm3: BrainMm3
    notices: tuple[str, ...] = ()
