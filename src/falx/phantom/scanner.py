"""Scanners that differ, and what none of them corrects perfectly: scatter and attenuation.

No published source: sizes of errors as physicists quote them for phantoms, to be known and not to
be true.
"""

from __future__ import annotations

import numpy as np

from falx.phantom.pet import PetQuality

__all__ = ["SCANNERS", "scanner_of"]

SCANNERS: tuple[tuple[float, tuple[float, float, float]], ...] = (
    (4.5, (2.0, 2.0, 2.0)),
    (6.0, (2.0, 2.0, 3.27)),
    (7.0, (2.6, 2.6, 2.4)),
)
"""Point spread, mm, and voxels, mm, of a new, a usual and an old scanner."""

NOISE = (0.03, 0.08)
SCATTER = 0.03
ATTENUATION = 0.02


def scanner_of(rng: np.random.Generator) -> PetQuality:
    """Draw a scanner and the errors of one scan.

    The point spread is that of one of :data:`SCANNERS`, the noise even between 3 and 8 %. Scatter
    that is left over and the slope of the attenuation error are normal: SD 3 % of the activity
    around, and 2 % of it by 100 mm from left to right, as a head makes that turned after the CT.
    """
    psf_mm, voxel_mm = SCANNERS[int(rng.integers(len(SCANNERS)))]
    return PetQuality(
        psf_fwhm_mm=psf_mm,
        noise=float(rng.uniform(*NOISE)),
        voxel_mm=voxel_mm,
        scatter=float(rng.normal(0.0, SCATTER)),
        attenuation=float(rng.normal(0.0, ATTENUATION)),
    )
