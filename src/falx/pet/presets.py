"""Named sets of choices: what Mo 2025 prints, what its scripts do, and the corrected default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from falx.core.errors import check_option
from falx.core.settings import resolve
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.pet.signature import PUBLISHED_THRESHOLD

__all__ = ["PRESETS", "PetSettings", "preset"]

_PUBLISHED: Mapping[str, object] = {
    "asymmetry.smoothing_fwhm_mm": 0.0,
    "signature.method": "threshold",
    "signature.threshold": PUBLISHED_THRESHOLD.value,
    "signature.threshold_scale": PUBLISHED_THRESHOLD.scale,
    "signature.gm_floor": 0.0,
    "signature.ipsilateral_only": False,
}

PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "corrected": {},
        "mo2025_script": {**_PUBLISHED, "pet.method": "none", "asymmetry.scale": "z5"},
        "mo2025_text": {**_PUBLISHED, "pet.smoothing_fwhm_mm": 6.0, "asymmetry.scale": "z"},
    }
)
"""What differs from the defaults, by key. The scripts: z + 5, neither smoothing nor
partial-volume correction. The text: 6 mm, then the correction, z-score; its threshold -0.06 is
the scripts' number rounded and is kept on their scale. Both leave the signature unmasked; here
the index is never taken outside the brain."""


@dataclass(frozen=True)
class PetSettings:
    """Every choice between the measured PET and the signature."""

    pet: Correction = field(default_factory=Correction)
    asymmetry: AsymmetrySettings = field(default_factory=AsymmetrySettings)
    signature: SignatureRule = field(default_factory=SignatureRule)


def preset(name: str, changes: Mapping[str, object] | None = None) -> PetSettings:
    """Return the choices of a preset, single ones changed by key.

    Examples
    --------
    >>> preset("corrected", {"pet.psf_fwhm_mm": 8}).pet.psf_fwhm_mm
    8.0
    """
    check_option("pet preset", name, PRESETS)
    chosen: PetSettings = resolve(PetSettings, PRESETS[name], changes or {})
    return chosen
