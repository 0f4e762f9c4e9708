"""A patient's asymmetry among healthy people: percentiles by structure, and maps like theirs.

The shipped table (:mod:`falx.data.asymmetry_norms`) holds 537 old people, pons-scaled, without
partial-volume correction, on other scanners: a percentile from it is an orientation, no diagnosis.
The correction makes asymmetry larger in the healthy as well, so that the percentile of a corrected
index is rather too extreme than too mild.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.core.grid import Side
from falx.data.asymmetry_norms import FIELD_FWHM_MM, asymmetry_norms, healthy_field, healthy_sd
from falx.pet.noise import Chain, HalfMaps

__all__ = ["LIMITS", "AmongHealthy", "healthy_maps", "percentile_of"]

LIMITS = (
    "537 cognitively normal, old people; scaled by the pons; not corrected for partial volume; "
    "other scanners"
)
"""What a percentile of the shipped table must be read with."""


@dataclass(frozen=True)
class AmongHealthy:
    """Where an asymmetry stands among healthy people.

    Parameters
    ----------
    percentile
        Share of them whose index on this side is lower, percent; never below what their number
        can tell.
    z
        Distance from their mean in their standard deviations, of one and the same sign.
    people
        Their number.
    limits
        What it must be read with.
    """

    percentile: float
    z: float
    people: int
    limits: str = LIMITS


def percentile_of(structure: str, asymmetry: float, *, side: Side = "left") -> AmongHealthy | None:
    """Place a structure's asymmetry among healthy people; ``None`` where no norm exists.

    Parameters
    ----------
    structure
        Name in the table, ``"hippocampus"`` for example.
    asymmetry
        Index of the structure on `side`: 2 (own - other)/(own + other).

    Examples
    --------
    >>> found = percentile_of("hippocampus", -0.2)
    >>> found.percentile < 1, round(found.z, 1)
    (True, -5.9)
    >>> percentile_of("mesial_temporal", -0.2) is None
    True
    """
    norm = asymmetry_norms().get(structure)
    if norm is None:
        return None
    left = asymmetry if side == "left" else -asymmetry
    share, z = norm.percentile(left), (left - norm.mean) / norm.sd
    if side == "right":
        share, z = 100.0 - share, -z
    return AmongHealthy(share, float(z), norm.people)


def healthy_maps(
    chain: Chain, count: int, rng: np.random.Generator, *, fwhm_mm: float = FIELD_FWHM_MM
) -> HalfMaps:
    """Draw asymmetry maps of healthy people without noise, smoothed as the patient's is.

    Parameters
    ----------
    fwhm_mm
        Assumed smoothness of the healthy asymmetry.
    """
    grid = chain.place.template
    sd = healthy_sd(chain.place.to_template(chain.place.labels, how="nearest"), grid)
    maps = np.empty((count, np.count_nonzero(chain.where)), dtype=np.float32)
    n = grid.shape[0] // 2
    for row in maps:
        smoothed = chain.smooth(healthy_field(sd, grid, rng, fwhm_mm=fwhm_mm))
        row[:] = (0.5 * (smoothed - smoothed[::-1]))[:n][chain.where]
    return HalfMaps(maps, chain.where, grid)
