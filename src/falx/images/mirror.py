"""Mirror images about x = 0 mm, whose arrays still run to the right.

No published source: affine algebra.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from falx.images.nifti import Image

__all__ = ["FLIP", "mirror_affine", "mirror_image", "turned_over"]

Scalar = TypeVar("Scalar", bound=np.generic)

FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])
"""4×4, world mm to mirrored world mm."""


def mirror_image(image: Image) -> Image:
    """Mirror an image on its own voxels: the same values at (-x, y, z)."""
    return Image(turned_over(image.data), mirror_affine(image.affine, image.data.shape[0]))


def turned_over(data: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Reverse the first axis of an array of shape (X, ...)."""
    return np.ascontiguousarray(data[::-1])


def mirror_affine(affine: npt.NDArray[np.floating], length: int) -> npt.NDArray[np.float64]:
    """Affine of the mirrored array, whose first axis of `length` voxels is reversed as well."""
    reverse = FLIP.copy()
    reverse[0, 3] = length - 1.0
    return np.asarray(FLIP @ affine @ reverse, dtype=np.float64)
