"""Named sets of choices: what Mo 2025 prints, what its scripts do, and the corrected default."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from falx.core.errors import OptionError, check_option
from falx.pet.signature import DEFAULT_THRESHOLD, PUBLISHED_THRESHOLD

__all__ = ["PRESETS", "PetSettings", "preset"]


@dataclass(frozen=True)
class PetSettings:
    """Every choice between the measured PET and the signature.

    Parameters
    ----------
    method
        Partial-volume correction: ``none``, ``mg2``, ``mg3`` or ``gtm``.
    psf_fwhm_mm
        Point spread of the scanner.
    smoothing_fwhm_mm
        Gaussian smoothing of the measured PET before the correction, in native space; the
        correction then uses the effective width.
    floor
        Least blurred grey-matter fraction that is corrected.
    template_smoothing_fwhm_mm
        Mask-normalised smoothing in template space, before scaling.
    scale, reference
        Intensity scale, and the region whose mean (and SD) sets it.
    threshold, threshold_scale, threshold_comparison
        Cut on the asymmetry index, and the scale it belongs to.
    gm_floor
        Least grey-matter fraction inside the signature; zero for none.
    ipsilateral_only
        Whether the signature stays on the side of the focus.
    minimum_cluster_mm3
        Smaller clusters are dropped.
    """

    method: str
    psf_fwhm_mm: float
    smoothing_fwhm_mm: float
    floor: float
    template_smoothing_fwhm_mm: float
    scale: str
    reference: str
    threshold: float
    threshold_scale: str
    threshold_comparison: str
    gm_floor: float
    ipsilateral_only: bool
    minimum_cluster_mm3: float


_CORRECTED = PetSettings(
    method="mg3",
    psf_fwhm_mm=6.0,
    smoothing_fwhm_mm=0.0,
    floor=0.3,
    template_smoothing_fwhm_mm=6.0,
    scale="proportional",
    reference="brain",
    threshold=DEFAULT_THRESHOLD.value,
    threshold_scale=DEFAULT_THRESHOLD.scale,
    threshold_comparison=DEFAULT_THRESHOLD.comparison,
    gm_floor=0.2,
    ipsilateral_only=True,
    minimum_cluster_mm3=0.0,
)
_PUBLISHED = replace(
    _CORRECTED,
    threshold=PUBLISHED_THRESHOLD.value,
    threshold_scale=PUBLISHED_THRESHOLD.scale,
    template_smoothing_fwhm_mm=0.0,
    gm_floor=0.0,
    ipsilateral_only=False,
)

PRESETS = MappingProxyType(
    {
        "corrected": _CORRECTED,
        "mo2025_script": replace(_PUBLISHED, method="none", scale="z5"),
        "mo2025_text": replace(_PUBLISHED, smoothing_fwhm_mm=6.0, scale="z"),
    }
)
"""The scripts: z + 5, neither smoothing nor partial-volume correction. The text: 6 mm, then the
correction, z-score; its threshold -0.06 is the scripts' number rounded and is kept on their
scale. Both leave the signature unmasked; here the index is never taken outside the brain."""


def preset(name: str, **changes: Any) -> PetSettings:
    """Return a preset with single choices changed; ``None`` keeps the preset's choice.

    Examples
    --------
    >>> preset("corrected", psf_fwhm_mm=8.0).psf_fwhm_mm
    8.0
    """
    check_option("pet preset", name, PRESETS)
    known = [item.name for item in fields(PetSettings)]
    for key in changes:
        if key not in known:
            raise OptionError("unknown PET choice", found=key, do=f"one of {', '.join(known)}")
    kept = {key: value for key, value in changes.items() if value is not None}
    return replace(PRESETS[name], **kept)
