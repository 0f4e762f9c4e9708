"""The frame of the commissures: AC–PC millimetres of a native T1w image, by way of the template.

The commissures are not sought in the image: their places in the template are carried back by the
registration, so that they are as good as it is there (a millimetre or two). Their places in the
symmetric template (ICBM 2009) are the means of the raters of the AFIDs (Lau et al. 2019, Hum Brain
Mapp 40:4163; raters of a head miss their mean by .4 mm in median, Taha et al. 2023, Sci Data
10:449), with x put to 0. The centres of the commissures: the front one's hind border, which others
take, lies 1.3 mm behind (Lead-DBS, Horn et al. 2019, NeuroImage 184:293).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["acpc_by_template", "acpc_of", "carried_back"]

ANTERIOR, POSTERIOR, ABOVE = (0.0, 2.552, -4.817), (0.0, -25.124, -2.096), (0.0, 2.552, 55.0)
"""Anterior and posterior commissure, and a point above them in the midline; template mm."""

ROUNDS, CLOSE_MM = 40, 0.01

Floats = npt.NDArray[np.float64]
ToTemplate = Callable[[Floats], npt.NDArray[np.floating]]


def carried_back(places_mm: npt.ArrayLike, to_template: ToTemplate, near_mm: Floats) -> Floats:
    """Return native points that a map takes to template points, both (N, 3), mm; NaN where none.

    Newton's steps with the slope of an affine map fitted to `near_mm`, native points of shape
    (M, 3).
    """
    wanted = np.asarray(places_mm, dtype=np.float64)
    there = np.asarray(to_template(near_mm), dtype=np.float64)
    known = np.isfinite(there).all(axis=1)
    ones = np.c_[near_mm[known], np.ones(int(known.sum()))]
    slope, *_ = np.linalg.lstsq(ones, there[known], rcond=None)
    back = np.linalg.inv(slope[:3])
    found = (wanted - slope[3]) @ back
    missing = np.full(wanted.shape, np.nan)
    for _ in range(ROUNDS):
        missing = wanted - np.asarray(to_template(found), dtype=np.float64)
        if np.all(np.abs(missing[np.isfinite(missing)]) < CLOSE_MM):
            break
        found = np.where(np.isfinite(missing), found + 0.8 * missing @ back, found)
    good = np.isfinite(missing).all(axis=1) & (np.abs(missing).max(axis=1) < 0.5)
    return np.where(good[:, None], found, np.nan)


def acpc_of(to_template: ToTemplate, near_mm: Floats) -> Floats | None:
    """Return the rigid map from native to AC–PC mm, (4, 4); None where the template ends before.

    x points to the right, y from the posterior to the anterior commissure, z up in the midline
    plane; the origin lies halfway between the commissures.

    Parameters
    ----------
    near_mm
        Native points all over the head, shape (M, 3).
    """
    found = carried_back([ANTERIOR, POSTERIOR, ABOVE], to_template, near_mm)
    return _frame(*found) if np.isfinite(found).all() else None


def acpc_by_template(to_native: Callable[[Floats], npt.NDArray[np.floating]]) -> Floats:
    """Return the same matrix, (4, 4), from the map that leads from template to native mm."""
    places = np.array([ANTERIOR, POSTERIOR, ABOVE])
    return _frame(*np.asarray(to_native(places), dtype=np.float64))


def _frame(front: Floats, rear: Floats, above: Floats) -> Floats:
    """Rigid map to the frame of two commissures and a point above them, (3,) each, mm."""
    y = (front - rear) / np.linalg.norm(front - rear)
    up = above - front - ((above - front) @ y) * y
    z = up / np.linalg.norm(up)
    axes = np.stack([np.cross(y, z), y, z])
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = -axes @ ((front + rear) / 2)
    return matrix
