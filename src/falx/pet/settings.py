"""Every choice between a measured PET and its signature (Mo et al. 2025), declared once.

The reasons for the defaults stand beside the numbers they come from: :data:`falx.pet.pvc.FLOOR`
and :data:`falx.pet.signature.DEFAULT_THRESHOLD`.
"""

from __future__ import annotations

from dataclasses import dataclass

from falx.core.settings import check_settings, option
from falx.pet.calibrated import Calibration
from falx.pet.maps import REFERENCES
from falx.pet.pvc import FLOOR, METHODS
from falx.pet.scaling import SCALES
from falx.pet.signature import COMPARISONS, DEFAULT_THRESHOLD

__all__ = [
    "SIGNATURE_METHODS",
    "AsymmetrySettings",
    "Correction",
    "CutRule",
    "SignatureRule",
    "TemplateSettings",
]

SIGNATURE_METHODS = ("calibrated", "threshold")
"""``calibrated``: the foci that noise and healthy asymmetry do not account for; ``threshold``: all
that passes one threshold (Mo et al. 2025)."""


@dataclass(frozen=True)
class Correction:
    """Partial-volume correction of the PET."""

    method: str = option("mg3", help="partial-volume correction", choices=METHODS)
    psf_fwhm_mm: float = option(6.0, help="point spread of the scanner", unit="mm", low=0, high=20)
    smoothing_fwhm_mm: float = option(
        0.0, help="smoothing before the correction", unit="mm", low=0, high=20
    )
    floor: float = option(
        FLOOR, help="least blurred grey matter that is corrected", low=0.05, high=1
    )
    frames: str = option(
        "static", help="frames of a dynamic PET to average: static, all, or a window such as 4-6"
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class TemplateSettings:
    """Intensity scale and smoothing in template space, of any image."""

    scale: str = option("proportional", help="intensity scale of the PET", choices=SCALES)
    smoothing_fwhm_mm: float = option(
        6.0, help="smoothing in template space", unit="mm", low=0, high=20
    )
    voxel_mm: float = option(2.0, help="voxels of the template grid", unit="mm", low=1, high=4)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class AsymmetrySettings(TemplateSettings):
    """Intensity scale and asymmetry about the midsagittal plane."""

    reference: str = option("brain", help="region that sets the scale", choices=REFERENCES)


@dataclass(frozen=True)
class CutRule:
    """What may count as signature at any threshold."""

    threshold_scale: str = option(
        DEFAULT_THRESHOLD.scale,
        help="intensity scale that the threshold belongs to",
        choices=SCALES,
    )
    threshold_comparison: str = option(
        DEFAULT_THRESHOLD.comparison, help="comparison with the threshold", choices=COMPARISONS
    )
    gm_floor: float = option(0.2, help="least grey-matter fraction", low=0, high=1)
    minimum_cluster_mm3: float = option(0.0, help="least cluster", unit="mm³", low=0, high=1e5)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class SignatureRule(Calibration, CutRule):
    """What counts as the signature."""

    method: str = option(
        "calibrated",
        help="what counts as signature: calibrated foci, or all beyond the threshold",
        choices=SIGNATURE_METHODS,
    )
    threshold: float = option(DEFAULT_THRESHOLD.value, help="asymmetry index", low=-2, high=0)
    ipsilateral_only: bool = option(True, help="keep to the side of the focus")
