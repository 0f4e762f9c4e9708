"""From an image of one patient to its asymmetry in template and native space.

Asymmetry in a symmetric template as in Mo et al. 2025; the pons as reference after Minoshima et
al. 1995, J Comput Assist Tomogr 19:541.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option
from falx.core.grid import Grid, Side, mirror
from falx.core.possible import AsymmetryIndex
from falx.images.nifti import Image
from falx.images.resample import Interpolation, pull
from falx.images.smooth import smooth
from falx.pet.asymmetry import Asymmetry, asymmetry_index, ratio_of_means
from falx.pet.regions import sided_structures, structure_mask
from falx.pet.scaling import Scaled, scale_image

__all__ = [
    "REFERENCES",
    "Place",
    "StructureAsymmetry",
    "TemplateImage",
    "normalise",
    "pull_defined",
    "reference_mask",
    "scaled_asymmetry",
    "structure_means",
]

REFERENCES = ("brain", "cerebellum", "pons")
MOST = 0.499
"""Share of a voxel's neighbours that must be inside. Just below a half: a tie, which is common
where a mask ends on a plane, would be decided by the last digit."""

WIDENING_FWHM_MM, LEAST_WEIGHT = 4.0, 0.1
"""How far a map is continued on its way to native space: about a voxel of a 2 mm grid."""

PONS_Z_MM = (-42.0, -20.0)
"""Height of the pons in the template; the brainstem label holds midbrain and medulla too."""


@dataclass(frozen=True, eq=False)
class Place:
    """One patient's anatomy: both grids and the way between them.

    Parameters
    ----------
    native, template
        T1w grid and a symmetric template grid.
    brain, labels
        Brain mask and FreeSurfer label volume on the T1w grid.
    to_native_mm
        Shape (X, Y, Z, 3): T1w mm of every template voxel.
    to_template_mm
        Shape (X, Y, Z, 3): template mm of every T1w voxel.
    """

    native: Grid
    template: Grid
    brain: Image
    labels: Image
    to_native_mm: npt.NDArray[np.float32]
    to_template_mm: npt.NDArray[np.float32]
    threads: int = 1

    def to_template(self, image: Image, *, how: Interpolation = "linear") -> npt.NDArray[Any]:
        """Bring an image in T1w space to the template grid, shape (X, Y, Z)."""
        return pull(image, self.to_native_mm, how=how, threads=self.threads)

    def to_native(
        self, data: npt.NDArray[np.floating], defined: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Bring a template map to the T1w grid, both of shape (X, Y, Z) on their grids.

        Only defined voxels and what lies just around them count.

        Thin ends of a structure hold too little blurred grey matter to be corrected; there the
        weighted mean of the voxels beside them stands.
        """
        wider, known = _widened(data, defined, self.template)
        image = Image(wider, self.template.affine)
        return pull_defined(image, known, self.to_template_mm, threads=self.threads)


@dataclass(frozen=True)
class StructureAsymmetry:
    """Asymmetry of a structure of one side; ``None`` where the structure is empty.

    Parameters
    ----------
    mean_asymmetry
        Mean of the index over the structure in native space.
    ratio_of_means
        The structure in template space against its mirror.
    """

    mean_asymmetry: AsymmetryIndex | None
    ratio_of_means: AsymmetryIndex | None


@dataclass(frozen=True, eq=False)
class TemplateImage:
    """An image on a symmetric template grid and where it is defined."""

    data: npt.NDArray[np.float32]
    defined: npt.NDArray[np.bool_]
    grid: Grid

    def above(self, least: float) -> TemplateImage:
        """Keep it defined only where the mean of a voxel and its mirror exceeds a value."""
        pair_mean = 0.5 * (self.data + mirror(self.data, self.grid))
        kept = self.defined & (pair_mean > least)
        return TemplateImage(np.where(kept, self.data, np.float32(0)), kept, self.grid)


def _widened(
    data: npt.NDArray[np.floating], defined: npt.NDArray[np.bool_], grid: Grid
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Continue a map by a Gaussian mean where its defined voxels hold a tenth of the weight."""
    sizes_mm = grid.voxel_sizes_mm
    weight = smooth(defined.astype(np.float32), sizes_mm, WIDENING_FWHM_MM)
    total = smooth(np.where(defined, data, 0.0), sizes_mm, WIDENING_FWHM_MM)
    known = defined | (weight > LEAST_WEIGHT)
    mean = total / np.maximum(weight, np.float32(LEAST_WEIGHT))
    values = np.where(defined, data, np.where(known, mean, 0.0))
    return np.asarray(values, dtype=np.float32), np.asarray(known)


def pull_defined(
    image: Image,
    defined: npt.NDArray[np.bool_],
    map_mm: npt.NDArray[np.floating],
    *,
    matrix: npt.NDArray[np.floating] | None = None,
    threads: int = 1,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Bring an image through a map with one interpolation among its defined voxels only.

    Parameters
    ----------
    image, defined
        The image and, in its shape, where it means something.
    map_mm
        Shape (X, Y, Z, 3), mm in the image's world, or what `matrix` brings there.

    Returns
    -------
    values, defined
        Weighted mean of the defined neighbours, zero where they hold less than half the
        weight, and where they hold more.
    """
    weight = Image(defined.astype(np.float32), image.affine)
    values = Image(np.where(defined, image.data, 0).astype(np.float32), image.affine)
    share = pull(weight, map_mm, matrix=matrix, threads=threads)
    total = pull(values, map_mm, matrix=matrix, threads=threads)
    kept = share >= MOST
    return np.where(kept, total / np.maximum(share, MOST), 0).astype(np.float32), kept


def normalise(
    image: Image,
    defined: npt.NDArray[np.bool_],
    place: Place,
    *,
    matrix: npt.NDArray[np.floating] | None = None,
    smoothing_fwhm_mm: float = 0.0,
) -> TemplateImage:
    """Bring an image to the template, inside the brain, and smooth it there.

    Parameters
    ----------
    image, defined
        The image on its own grid, and where it means something, in its shape.
    place
        The patient's anatomy.
    matrix
        4×4, T1w mm → mm of the image.
    smoothing_fwhm_mm
        Mask-normalised, so that nothing bleeds in from outside.
    """
    values, kept = pull_defined(
        image, defined, place.to_native_mm, matrix=matrix, threads=place.threads
    )
    brain = Image(np.asarray(place.brain.data, dtype=np.float32), place.brain.affine)
    kept &= place.to_template(brain) >= MOST
    if not kept.any():
        raise InputError(
            "the image does not reach the brain in template space",
            do="check the coregistration and the field of view",
        )
    if smoothing_fwhm_mm > 0:
        values = smooth(values, place.template.voxel_sizes_mm, smoothing_fwhm_mm, mask=kept)
    return TemplateImage(np.where(kept, values, np.float32(0)), kept, place.template)


def scaled_asymmetry(
    image: TemplateImage, reference: npt.NDArray[np.bool_], scale: str
) -> tuple[Scaled, Asymmetry]:
    """Scale an image in template space by a mask of its shape, and take its asymmetry index."""
    scaled = scale_image(image.data, reference & image.defined, scale=scale)
    kept = np.where(image.defined, scaled.image, np.float32(0))
    scaled = Scaled(kept, scaled.scale, scaled.mean, scaled.sd)
    return scaled, asymmetry_index(scaled.image, image.grid, image.defined)


def reference_mask(
    name: str, defined: npt.NDArray[np.bool_], labels: npt.NDArray[np.integer], grid: Grid
) -> npt.NDArray[np.bool_]:
    """Mask of the reference region for scaling, on the template grid.

    Parameters
    ----------
    name
        One of :data:`REFERENCES`.
    defined
        Shape (X, Y, Z), where the image is defined in the brain.
    labels
        FreeSurfer numbers in that shape, on the template grid.
    """
    check_option("reference region", name, REFERENCES)
    if name == "brain":
        return defined
    if name == "cerebellum":
        return np.asarray(np.isin(labels, (8, 47)) & defined)
    z_mm = grid.affine[2, 2] * np.arange(grid.shape[2]) + grid.affine[2, 3]
    within = (z_mm >= PONS_Z_MM[0]) & (z_mm <= PONS_Z_MM[1])
    return np.asarray((labels == 16) & within & defined)


def structure_means(
    scaled: npt.NDArray[np.floating],
    native_index: npt.NDArray[np.floating],
    native_valid: npt.NDArray[np.bool_],
    place: Place,
) -> dict[str, dict[Side, StructureAsymmetry]]:
    """Asymmetry of the hippocampus and amygdala of each side.

    Parameters
    ----------
    scaled
        Shape (X, Y, Z) of the template grid, scaled intensities, zero where not defined.
    native_index, native_valid
        Shape (X, Y, Z) of the T1w grid: asymmetry index, and where it is defined.

    Returns
    -------
    dict
        Structure to side to asymmetry.
    """
    labels = place.to_template(place.labels, how="nearest")
    mirrored = mirror(np.asarray(scaled), place.template)
    means: dict[str, dict[Side, StructureAsymmetry]] = {}
    for structure, side in sided_structures():
        here = structure_mask(place.labels.data, structure, side) & native_valid
        there = structure_mask(labels, structure, side) & (scaled != 0) & (mirrored != 0)
        ratio = None
        if there.any():
            own, other = float(scaled[there].mean()), float(mirrored[there].mean())
            ratio = ratio_of_means(own, other)
        mean = float(native_index[here].mean()) if here.any() else None
        means.setdefault(structure, {})[side] = StructureAsymmetry(mean, ratio)
    return means
