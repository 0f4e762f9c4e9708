"""Phantoms as asymmetric as people: a healthy person's asymmetry put into an activity map.

No published source: the field is that of :mod:`falx.data.asymmetry_norms`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.data.asymmetry_norms import FIELD_FWHM_MM, healthy_field, healthy_sd
from falx.phantom.heads import Head

__all__ = ["healthy_asymmetry", "with_healthy_asymmetry"]

Floats = npt.NDArray[np.float32]


def healthy_asymmetry(
    head: Head, rng: np.random.Generator, *, fwhm_mm: float = FIELD_FWHM_MM
) -> Floats:
    """Draw the asymmetry index of a healthy person's grey matter, before any blur.

    Parameters
    ----------
    head
        On a grid that is symmetric about x = 0.
    fwhm_mm
        Smoothness within regions.

    Returns
    -------
    ndarray
        Shape of the labels, antisymmetric; the means of structures scatter like those of the 537
        people of :func:`falx.data.asymmetry_norms.asymmetry_norms`.
    """
    return healthy_field(healthy_sd(head.labels, head.grid), head.grid, rng, fwhm_mm=fwhm_mm)


def with_healthy_asymmetry(
    exact: npt.NDArray[np.floating],
    head: Head,
    rng: np.random.Generator,
    *,
    fwhm_mm: float = FIELD_FWHM_MM,
) -> Floats:
    """Multiply the grey matter of an activity map by 1 + f/2, f the asymmetry of one person.

    With f(-x) = -f(x) the index of a symmetric activity becomes f exactly.

    Parameters
    ----------
    exact
        Shape of the labels, activity.
    """
    factor = 1.0 + 0.5 * healthy_asymmetry(head, rng, fwhm_mm=fwhm_mm)
    grey = head.fraction("GM")
    return np.asarray(np.where(grey, exact * factor, exact), dtype=np.float32)
