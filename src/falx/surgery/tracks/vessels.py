"""A proposal of the vessels in a contrast T1w, time-of-flight or susceptibility image.

Tubes are sought at several widths by the eigenvalues of the Hessian (Frangi et al. 1998, MICCAI,
LNCS 1496:130; in n dimensions Antiga 2007, Insight J), as ITK computes them. A proposal is for a
person to look at and to correct; it misses vessels thinner than about a voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError, check_option, extra_library
from falx.core.grid import Grid
from falx.core.settings import check_settings, option
from falx.images.smooth import smooth
from falx.surgery.outcome.cavity import predicted

__all__ = ["CONTRASTS", "Contrast", "VesselRule", "excess_of", "tubeness", "vessels_in"]

Contrast = Literal["t1ce", "tof", "swi"]
CONTRASTS = get_args(Contrast)
"""T1w with contrast agent, time of flight, susceptibility: vessels are dark in the last only."""

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

FIELD_FWHM_MM = 40.0
T1W_FWHM_MM = 1.0
"""The T1w is smoothed so far before the tissue is told from it: its noise would be taken off."""

SHEET, BLOB, LEAST_CURVATURE = 0.5, 0.5, 0.05
"""Frangi's α, β and γ: how much a sheet, a blob and a weak curvature are let through."""

LEVELS = {"t1ce": (0.08, 0.025), "tof": (0.12, 0.04), "swi": (0.04, 0.015)}
"""Strength from which a tube is a vessel, and from which it is one where it goes on from such."""

LEAST_BRAIN = 1000
"""Voxels of brain below which there is nothing to compare with."""


@dataclass(frozen=True)
class VesselRule:
    """How strong a tube must be; units of the local mean of the brain. Choices of this project.

    Parameters
    ----------
    widths_mm
        Standard deviations of the smoothing, about the radii that are found.
    strictness
        Factor of both of :data:`LEVELS`.
    least_mm3
        Smallest piece.
    """

    widths_mm: tuple[float, ...] = option(
        (0.7, 1.0, 1.5), help="widths of the tubes", unit="mm", low=0.3, high=5
    )
    strictness: float = option(
        1.0, help="how many times as strong a tube must be", low=0.1, high=10
    )
    least_mm3: float = option(40.0, help="smallest piece of a vessel", unit="mm³", low=0, high=1e4)

    def __post_init__(self) -> None:
        check_settings(self)


def tubeness(excess: Floats, grid: Grid, *, dark: bool, widths_mm: tuple[float, ...]) -> Floats:
    """Strength of the tube through each voxel, float32 (X, Y, Z), in the unit of the image.

    Parameters
    ----------
    excess
        Shape (X, Y, Z): what the image shows beyond its tissue.
    dark
        Whether vessels are darker than their surroundings.
    """
    sitk = extra_library("SimpleITK", extra="vessels", does="vessels are sought")
    flat = sitk.GetImageFromArray(np.asarray(excess, np.float32).transpose(2, 1, 0))
    flat.SetSpacing([float(v) for v in grid.voxel_sizes_mm])
    strongest = np.zeros(excess.shape, np.float32)
    for width in widths_mm:
        # The square of the width makes strengths of all widths comparable (Lindeberg 1998).
        blurred = sitk.SmoothingRecursiveGaussian(flat, float(width)) * float(width**2)
        tubes = sitk.ObjectnessMeasure(
            blurred, alpha=SHEET, beta=BLOB, gamma=LEAST_CURVATURE, scaleObjectnessMeasure=True,
            objectDimension=1, brightObject=not dark,
        )  # fmt: skip
        found = sitk.GetArrayFromImage(tubes).transpose(2, 1, 0)
        strongest = np.maximum(strongest, np.nan_to_num(found).astype(np.float32))
    return strongest


def excess_of(image: Floats, t1w: Floats, brain: Mask, grid: Grid) -> Floats:
    """Return what an image shows beyond its tissue, in local means of the brain, (X, Y, Z).

    The tissue is the median of the image at each grey level of the T1w without contrast agent,
    so that the crowns of the white matter, which are bright ridges too, cancel.
    """
    sizes = grid.voxel_sizes_mm
    weight = smooth(brain.astype(np.float32), sizes, FIELD_FWHM_MM)
    mean = smooth(np.where(brain, image, 0).astype(np.float32), sizes, FIELD_FWHM_MM)
    level = np.where(weight > 1e-3, mean / np.maximum(weight, 1e-3), np.inf)
    flat = np.asarray(image / level, np.float32)
    quiet = smooth(t1w, sizes, T1W_FWHM_MM)
    return np.asarray(flat - predicted(quiet, flat, brain), np.float32)


def vessels_in(
    image: Floats,
    t1w: Floats,
    brain: Mask,
    near: Mask,
    grid: Grid,
    *,
    contrast: Contrast,
    rule: VesselRule | None = None,
) -> Mask:
    """Propose the vessels of an image, bool (X, Y, Z).

    Parameters
    ----------
    image, t1w, brain
        On one grid, shape (X, Y, Z); the T1w without contrast agent.
    near
        Where vessels are sought, same shape: the brain with its sulci, without the scalp.

    Raises
    ------
    InputError
        If there is hardly any brain, or the image is empty there.
    """
    check_option("contrast", contrast, CONTRASTS)
    rule = rule or VesselRule()
    seen = brain & (image > 0)
    if np.count_nonzero(seen) < max(LEAST_BRAIN, 0.5 * np.count_nonzero(brain)):
        raise InputError(
            "the vessel image shows less than half of the brain",
            found=f"{np.count_nonzero(seen):,} of {np.count_nonzero(brain):,} voxels",
            do="check its coregistration, or give an image of the whole brain",
        )
    strength = tubeness(
        excess_of(image, t1w, seen, grid), grid, dark=contrast == "swi", widths_mm=rule.widths_mm
    )
    sure, possible = (level * rule.strictness for level in LEVELS[contrast])
    labels, number = ndimage.label(near & (strength >= possible), structure=np.ones((3, 3, 3)))
    good = np.bincount(labels[near & (strength >= sure)], minlength=number + 1) > 0
    sizes = np.bincount(labels.ravel(), minlength=number + 1) * grid.voxel_volume_mm3
    keep = good & (sizes >= rule.least_mm3)
    keep[0] = False
    return np.asarray(keep[labels])
