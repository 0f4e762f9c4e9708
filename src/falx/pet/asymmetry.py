"""The asymmetry index: what differs between a place and its mirror across the midline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Grid, mirror

__all__ = [
    "Asymmetry",
    "asymmetry_index",
    "ratio_of_means",
]


@dataclass(frozen=True, eq=False)
class Asymmetry:
    """Asymmetry map in the template space.

    Parameters
    ----------
    index
        Shape (X, Y, Z); negative where this side is lower. Zero where it is not defined.
    valid
        Where both a voxel and its mirror are inside the mask.
    """

    index: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


def asymmetry_index(
    image: npt.NDArray[np.floating], grid: Grid, mask: npt.NDArray[np.bool_]
) -> Asymmetry:
    """Asymmetry index (i1 - i2) / ((i1 + i2) / 2), i2 the mirror image (Mo 2025).

    Parameters
    ----------
    image
        Shape (X, Y, Z), scaled intensities on a grid that is symmetric about x = 0.
    grid
        Its grid.
    mask
        Where the image means something. The index is defined where voxel and mirror both do:
        at an edge of one side only, it would be near ±2.

    Examples
    --------
    >>> from falx.core.grid import box_grid
    >>> grid = box_grid((-0.5, 0, 0), (0.5, 0, 0), 1.0)
    >>> image, mask = np.array([[[3.0]], [[5.0]]]), np.ones((2, 1, 1), bool)
    >>> asymmetry_index(image, grid, mask).index.ravel()
    array([-0.5,  0.5], dtype=float32)
    """
    here = np.asarray(image, dtype=np.float64)
    there = mirror(here, grid)
    half_sum = 0.5 * (here + there)
    valid = mask & mirror(mask, grid) & (np.abs(half_sum) > 1e-12)
    index = np.where(valid, (here - there) / np.where(valid, half_sum, 1.0), 0.0)
    return Asymmetry(np.asarray(index, dtype=np.float32), np.asarray(valid))


def ratio_of_means(here: float, there: float) -> float:
    """Asymmetry of two regional means, 2 (a - b) / (a + b); less noisy than a mean of indices.

    Examples
    --------
    >>> ratio_of_means(3.0, 5.0)
    -0.5
    """
    return 2.0 * (here - there) / (here + there)
