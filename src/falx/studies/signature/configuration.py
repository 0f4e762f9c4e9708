"""Every choice of the signature study, with its unit, range and help."""

from __future__ import annotations

from dataclasses import dataclass, field

from falx.core.settings import option
from falx.pet.presets import PRESETS
from falx.studies.outcome.columns import Columns
from falx.studies.outcome.outcome import OutcomeSettings

__all__ = ["Pet", "Signature", "SignatureConfiguration"]

CHOSEN = PRESETS["corrected"]


@dataclass(frozen=True)
class Anatomy:
    """Segmentation of the T1w."""

    affine_prior: str = option(
        "european", help="size of head to expect", choices=("european", "east_asian", "none")
    )
    bias_fwhm_mm: float = option(60.0, help="smoothness of the bias field", unit="mm", low=30,
                                 high=150)  # fmt: skip
    bias_regularisation: float = option(1e-3, help="weight against a strong bias", low=0, high=10)
    sampling_mm: float = option(3.0, help="spacing of the fit", unit="mm", low=2, high=6)
    refine: bool = option(False, help="refine the map to the template diffeomorphically")


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
class SignatureConfiguration:
    """Every choice of the study."""

    anatomy: Anatomy = field(default_factory=Anatomy)
    pet: Pet = field(default_factory=Pet)
    asymmetry: Asymmetry = field(default_factory=Asymmetry)
    signature: Signature = field(default_factory=Signature)
    columns: Columns = field(default_factory=Columns)
    group: OutcomeSettings = field(default_factory=OutcomeSettings)
