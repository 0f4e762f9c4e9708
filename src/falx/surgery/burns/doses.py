"""How long the tip must shine for a radius: looked up where it was sought before.

Lesion size by power and time, as planning stations tabulate it, for the model of
:mod:`falx.surgery.burns.heat` in unbounded tissue. One search burns five to ten times, so the
doses of the radii and tips that a search of plans meets stand in a table; others are sought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from falx.surgery.burns.heat import Heating, burned, cube_around
from falx.surgery.tracks.geometry import capsule_volume_mm3

__all__ = ["TABLE_RADII_MM", "TABLE_S", "dose_for", "dose_sought"]

LONGEST_S, CLOSE_S, CLOSE_MM3, MOST_TRIALS = 600.0, 2.0, 0.01, 20
"""Longest dose that is looked for; how near in time, and in volume as a share, is near enough."""

TABLE_RADII_MM = (5.0, 6.0, 7.0, 8.0, 9.0)

TABLE_S: Mapping[float, tuple[float, ...]] = {
    3.0: (45.3, 63.6, 84.8, 114.3, 148.8),
    5.0: (51.4, 70.6, 95.9, 128.0, 164.6),
    7.5: (57.7, 79.7, 108.1, 142.3, 185.4),
    8.333: (60.6, 82.7, 112.2, 147.5, 194.8),
    8.75: (61.1, 85.8, 113.5, 149.6, 194.2),
    10.0: (64.6, 88.5, 119.9, 157.5, 203.2),
}
"""Seconds at the default power, by the length of the shining tip, mm, and the radius of
:data:`TABLE_RADII_MM`; what :func:`dose_sought` finds for the default tissue."""


def dose_for(radius_mm: float, diffuser_mm: float) -> Heating | None:
    """Heating whose burn in unbounded tissue has the volume of a capsule; None if none has.

    Parameters
    ----------
    radius_mm, diffuser_mm
        Of the capsule: its radius and the length of its axis.
    """
    if diffuser_mm in TABLE_S and radius_mm in TABLE_RADII_MM:
        seconds = TABLE_S[diffuser_mm][TABLE_RADII_MM.index(radius_mm)]
        return replace(Heating(), seconds=seconds, diffuser_mm=diffuser_mm)
    return dose_sought(radius_mm, diffuser_mm)


@lru_cache(maxsize=64)
def dose_sought(radius_mm: float, diffuser_mm: float, voxel_mm: float = 1.0) -> Heating | None:
    """Search the heating whose burn in unbounded tissue has the volume of a capsule.

    The power stays, the time is sought between 5 and 600 s; None if none has that volume. What
    :func:`dose_for` looks up was sought by this.

    Parameters
    ----------
    radius_mm, diffuser_mm
        Of the capsule: its radius and the length of its axis.
    """
    wanted = capsule_volume_mm3(radius_mm, diffuser_mm)
    grid = cube_around((0.0, 0.0, 0.0), radius_mm + diffuser_mm / 2 + 12.0, voxel_mm)
    nothing = np.zeros(grid.shape, dtype=np.uint8)
    tip = (0.0, -diffuser_mm / 2, 0.0)

    def volume(seconds: float) -> float:
        dose = replace(Heating(), seconds=seconds, diffuser_mm=diffuser_mm)
        dead = burned(grid, nothing, tip, (0.0, 1.0, 0.0), dose)
        return float(np.count_nonzero(dead)) * voxel_mm**3

    low, high = 5.0, LONGEST_S
    small, large = volume(low), volume(high)
    if large < wanted:
        return None
    # Volume rises about as a straight line with time: regula falsi, halved where it lags.
    for n in range(MOST_TRIALS):
        if high - low <= CLOSE_S:
            break
        share = (wanted - small) / (large - small)
        share = 0.5 if n % 3 == 2 else min(max(share, 0.02), 0.98)
        middle = low + share * (high - low)
        found = volume(middle)
        if found < wanted:
            low, small = middle, found
        else:
            high, large = middle, found
        if abs(found - wanted) <= CLOSE_MM3 * wanted:
            high = middle
            break
    return replace(Heating(), seconds=round(high, 1), diffuser_mm=diffuser_mm)
