"""Asymmetry of paired structures in the PET as measured: what published norms are of.

The shipped norms (:mod:`falx.data.asymmetry_norms`) are means over structures without a correction
for partial volume; only an index taken in the same way may be placed among them. No published
source for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from falx.atlas.freesurfer_numbers import PAIRS
from falx.core.grid import apply_affine
from falx.data.asymmetry_norms import MESIAL_TEMPORAL
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.pet.asymmetry import ratio_of_means

__all__ = ["PAIRED", "paired_asymmetry", "uncorrected_asymmetry"]

PAIRED: Mapping[str, tuple[int, int]] = {
    "hippocampus": PAIRS["hippocampus"],
    "amygdala": PAIRS["amygdala"],
    "thalamus": PAIRS["thalamus"],
    "caudate": PAIRS["caudate"],
    "putamen": PAIRS["putamen"],
    "globus_pallidus": PAIRS["pallidum"],
    "cerebellar_cortex": PAIRS["cerebellar cortex"],
}
"""Names of the shipped norms to FreeSurfer's numbers, left and right. Cortex is one label and no
region of the norms."""

LEAST_SHARE = 0.9
"""Of a structure that must lie in the PET."""


def uncorrected_asymmetry(
    measured: Image, to_pet: npt.NDArray[np.floating], labels: Image, *, threads: int = 1
) -> dict[str, float]:
    """Asymmetry 2 (L - R)/(L + R) of the structures' means in a PET that nothing has corrected.

    Parameters
    ----------
    measured
        The PET on its own grid.
    to_pet
        Shape (4, 4), T1w mm → PET mm.
    labels
        FreeSurfer numbers on the T1w grid.

    Returns
    -------
    dict
        Of those structures that both sides have and the field of view holds, and the mean of
        hippocampus and amygdala as ``mesial_temporal``.
    """
    low, high = _ends(measured)
    means: dict[int, float] = {}
    for number in (n for pair in PAIRED.values() for n in pair):
        voxels = np.argwhere(labels.data == number)
        if not len(voxels):
            continue
        points = apply_affine(np.asarray(to_pet) @ labels.affine, voxels)
        places = apply_affine(np.linalg.inv(measured.affine), points)
        inside = np.all((places >= low) & (places <= high), axis=1)
        if inside.mean() >= LEAST_SHARE:
            means[number] = float(np.mean(sample(measured, points[inside], threads=threads)))
    return _of_pairs(means)


def _ends(image: Image) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First and last voxel of an image along each axis."""
    return np.zeros(3), np.array(image.data.shape, dtype=np.float64) - 1.0


def paired_asymmetry(
    values: npt.NDArray[np.floating],
    defined: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.integer],
) -> dict[str, float]:
    """Asymmetry of the structures' means in a map of one shape with the labels.

    Parameters
    ----------
    values, defined, labels
        Shape (X, Y, Z): the map, where it is defined, and FreeSurfer numbers.

    Examples
    --------
    >>> values, labels = np.array([[[3.0]], [[5.0]]]), np.array([[[17]], [[53]]])
    >>> paired_asymmetry(values, np.ones((2, 1, 1), bool), labels)
    {'hippocampus': -0.5}
    """
    means = {}
    for number in (n for pair in PAIRED.values() for n in pair):
        inside = (labels == number) & defined
        if inside.any():
            means[number] = float(np.mean(values[inside], dtype=np.float64))
    return _of_pairs(means)


def _of_pairs(means: Mapping[int, float]) -> dict[str, float]:
    found = {}
    for name, (left, right) in PAIRED.items():
        if left in means and right in means and means[left] > 0 and means[right] > 0:
            found[name] = ratio_of_means(means[left], means[right])
    if "hippocampus" in found and "amygdala" in found:
        found[MESIAL_TEMPORAL] = 0.5 * (found["hippocampus"] + found["amygdala"])
    return found
