"""Volumes in mm³ and their difference between the sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.core.possible import AsymmetryIndex

__all__ = ["VolumeAsymmetry", "count_volumes", "tissue_volume_mm3", "volume_asymmetry"]


@dataclass(frozen=True)
class VolumeAsymmetry:
    """Difference of a pair of structures; positive where the left one is larger.

    Parameters
    ----------
    difference_mm3
        Left minus right. Mo 2025 stores this difference (ipsilateral minus contralateral)
        and calls it an index.
    ratio
        2 (left - right) / (left + right), from -2 to 2; none if both are absent.
    """

    difference_mm3: float
    ratio: AsymmetryIndex | None


def tissue_volume_mm3(probability: npt.NDArray[np.floating], grid: Grid) -> float:
    """Sum of probabilities times the voxel volume.

    Examples
    --------
    >>> tissue_volume_mm3(np.full((2, 2, 2), 0.5), Grid((2, 2, 2), np.diag([1, 1, 2, 1])))
    8.0
    """
    return float(probability.sum(dtype=np.float64)) * grid.voxel_volume_mm3


def count_volumes(labels: npt.NDArray[np.integer], grid: Grid) -> dict[int, float]:
    """Volume of every label but 0 of a volume (X, Y, Z), by counting voxels."""
    values, counts = np.unique(labels, return_counts=True)
    return {
        int(v): float(n) * grid.voxel_volume_mm3
        for v, n in zip(values, counts, strict=True)
        if v != 0
    }


def volume_asymmetry(left_mm3: float, right_mm3: float) -> VolumeAsymmetry:
    """Compare two sides.

    Examples
    --------
    >>> volume_asymmetry(3000.0, 2000.0)
    VolumeAsymmetry(difference_mm3=1000.0, ratio=0.4)
    """
    if left_mm3 < 0 or right_mm3 < 0:
        raise InputError("a volume is negative", found=f"{left_mm3:g} and {right_mm3:g} mm³")
    total = left_mm3 + right_mm3
    ratio = 2.0 * (left_mm3 - right_mm3) / total if total > 0 else None
    return VolumeAsymmetry(left_mm3 - right_mm3, ratio)
