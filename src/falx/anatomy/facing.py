"""Mirror images give mirrored results, exactly.

Samples are taken every few voxels from the first one on, so an image and its mirror image would
be fitted to different voxels, and their results differ by what the noise of those voxels does.
Therefore every head is studied with the side on which its intensities weigh more to the right,
turned over if need be, and the results are turned back. With priors that are mirror
symmetric the results of an image and of its mirror image are then the same numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from falx.anatomy.segmentation import Segmentation
from falx.data.labels import head_labels, recode
from falx.grid import Grid
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap

__all__ = [
    "FLIP",
    "faces_left",
    "mirror_image",
    "mirror_labels",
    "mirror_segmentation",
    "rounded",
]

Scalar = TypeVar("Scalar", bound=np.generic)

FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])


def faces_left(data: npt.NDArray[np.floating]) -> bool:
    """Whether the intensities weigh more on the left half of the array; see the module.

    Parameters
    ----------
    data
        Shape (X, Y, Z), the first axis running to the right; values that are not finite
        weigh nothing.
    """
    weight = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0).sum(axis=(1, 2), dtype=float)
    away = np.arange(len(weight)) - 0.5 * (len(weight) - 1)
    return bool(away @ weight < 0.0)


def mirror_image(image: Image) -> Image:
    """Mirror an image about x = 0 mm, on its own voxels; its axes still run to the right."""
    return Image(_reversed(image.data), _mirrored_affine(image.affine, image.data.shape[0]))


def rounded(affine: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Round the place of a grid to a micrometre.

    Headers hold single precision, and a difference in the last digit between an image and its
    mirror image is enough to end an iteration one step earlier.
    """
    result = np.array(affine, dtype=np.float64)
    result[:3, 3] = np.round(result[:3, 3], 3)
    return result


def mirror_segmentation(segmentation: Segmentation) -> Segmentation:
    """Mirror every image and map of a segmentation about x = 0 mm.

    The fitted parameters, among them the displacements, stay those of the head as it was
    studied.
    """
    grid = segmentation.grid
    return replace(
        segmentation,
        gm=_reversed(segmentation.gm),
        wm=_reversed(segmentation.wm),
        csf=_reversed(segmentation.csf),
        classes=_reversed(segmentation.classes),
        corrected=_reversed(segmentation.corrected),
        jacobian=_reversed(segmentation.jacobian),
        grid=Grid(grid.shape, _mirrored_affine(grid.affine, grid.shape[0])),
        affine=FLIP @ segmentation.affine @ FLIP,
        to_template=_mirror_map(segmentation.to_template),
        to_native=_mirror_map(segmentation.to_native),
    )


def mirror_labels(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Mirror a label volume of FreeSurfer numbers: left structures become right ones."""
    table = head_labels().table(head_labels().mirror)
    return np.ascontiguousarray(recode(labels[::-1], table).astype(np.int32))


def _reversed(data: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    return np.ascontiguousarray(data[::-1])


def _mirror_map(mapping: CoordinateMap) -> CoordinateMap:
    coordinates = _reversed(mapping.coordinates_mm)
    coordinates[..., 0] *= np.float32(-1.0)
    affine = _mirrored_affine(mapping.affine, coordinates.shape[0])
    return CoordinateMap(coordinates, affine)


def _mirrored_affine(affine: npt.NDArray[np.floating], length: int) -> npt.NDArray[np.float64]:
    """Affine of the mirrored array, whose first axis is reversed as well."""
    reverse = FLIP.copy()
    reverse[0, 3] = length - 1.0
    return np.asarray(FLIP @ affine @ reverse, dtype=np.float64)
