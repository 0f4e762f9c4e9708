"""Whether the skull that labels give is one: labels that end inside the brain make a false one.

The skull is taken as the hull of the labelled brain. Where a field of view or a mask cuts the
labels, that hull runs through the brain, and a fibre would be led in where there is no surface.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError
from falx.core.grid import apply_affine
from falx.data.priors import template
from falx.images.nifti import Image

__all__ = ["DEEPEST_MM", "MOST_DEEP", "depth_in_brain_mm", "on_skull"]

DEEPEST_MM = 12.0
"""Deeper in the template's brain than this no skull lies. On whole heads the deepest of 2,000
places is 4 mm deep, on an ellipsoid for a head 11 mm; the measure of this project."""

MOST_DEEP = 0.2
"""Share of places so deep from which labels count as cut. A resection leaves fewer."""


@cache
def _depth() -> Image:
    brain = template("brain")
    inside = ndimage.binary_fill_holes(brain.data > 0.5)
    depth = ndimage.distance_transform_edt(inside, sampling=brain.grid.voxel_sizes_mm)
    return Image(depth.astype(np.float32), brain.affine)


def depth_in_brain_mm(template_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """How deep in the template's brain points lie; 0 outside it.

    Parameters
    ----------
    template_mm
        Shape (N, 3), template mm.

    Returns
    -------
    ndarray
        float64 (N,), mm to the nearest place outside the brain, of the nearest voxel (1 mm).
    """
    depth = _depth()
    nearest = np.rint(apply_affine(np.linalg.inv(depth.affine), template_mm)).astype(int)
    inside = np.all((nearest >= 0) & (nearest < depth.data.shape), axis=1)
    found = np.zeros(len(nearest))
    found[inside] = depth.data[tuple(nearest[inside].T)]
    return found


def on_skull(template_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Which places of a skull may be one, for they do not lie deep in the template's brain.

    Parameters
    ----------
    template_mm
        Shape (N, 3), template mm: where a fibre may enter.

    Returns
    -------
    ndarray
        bool (N,).

    Raises
    ------
    InputError
        If a fifth of the places or more lie so deep: the labels end inside the brain.
    """
    deep = depth_in_brain_mm(template_mm) > DEEPEST_MM
    if len(deep) and deep.mean() >= MOST_DEEP:
        raise InputError(
            "the labels end inside the brain, so that a fibre would enter where there is no skull",
            found=f"{deep.mean():.0%} of the places of entry more than {DEEPEST_MM:g} mm deep in "
            "the brain of the template",
            do="give labels of the whole brain, or check the registration to the template",
        )
    return np.asarray(~deep)
