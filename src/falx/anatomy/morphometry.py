"""Grey-matter volume in template space: modulation and intracranial volume."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, QualityError
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.images.resample import pull
from falx.images.warp import CoordinateMap

__all__ = [
    "analysis_mask",
    "intracranial_volume_ml",
    "jacobian_determinant",
    "modulated",
]


def jacobian_determinant(
    coordinates_mm: npt.NDArray[np.floating], grid: Grid
) -> npt.NDArray[np.float64]:
    """Volume of native tissue that a unit of template space stands for, shape (X, Y, Z).

    Parameters
    ----------
    coordinates_mm
        Shape (X, Y, Z, 3): native mm of every voxel of `grid`.

    Notes
    -----
    Central differences inside, one-sided ones on the border.
    """
    steps = [np.gradient(np.asarray(coordinates_mm, dtype=np.float64), axis=k) for k in range(3)]
    by_voxel = np.stack(steps, axis=-1)
    return np.asarray(np.linalg.det(by_voxel) / np.linalg.det(grid.affine[:3, :3]))


def modulated(
    tissue: Image, to_native: CoordinateMap, grid: Grid, *, modulate: bool = True, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Tissue in template space, scaled so that its amount is that of the native image.

    ``m(x) = tissue(phi(x)) |det Dphi(x)|`` with phi from template to native mm
    (Ashburner and Friston 2000, NeuroImage 11:805).

    Parameters
    ----------
    tissue
        Native tissue fraction.
    to_native
        For every template point, the native mm.
    grid
        Template grid of the result.
    modulate
        Without it the result is a concentration: how much of the tissue there is at a place,
        not how much of it the person has.

    Raises
    ------
    QualityError
        If the deformation folds inside the grid.
    """
    coordinates = to_native.on(grid, threads=threads)
    values = pull(tissue, coordinates, threads=threads)
    if not modulate:
        return np.asarray(values, dtype=np.float32)
    determinant = jacobian_determinant(coordinates, grid)
    folded = (np.sign(determinant) != np.sign(np.median(determinant))) & (values > 0)
    if folded.any():
        raise QualityError(
            "the deformation folds, so volumes are not defined",
            found=f"{np.count_nonzero(folded)} voxels",
            do="look at the registration of this subject",
        )
    return np.asarray(values * np.abs(determinant), dtype=np.float32)


def intracranial_volume_ml(gm: Image, wm: Image, csf: Image) -> float:
    """Total intracranial volume: the sum of three native tissue fractions, mL.

    Examples
    --------
    >>> one = Image(np.ones((10, 10, 10)), np.eye(4))
    >>> intracranial_volume_ml(one, one, one)
    3.0
    """
    total = sum(float(tissue.data.sum(dtype=np.float64)) for tissue in (gm, wm, csf))
    return total * gm.grid.voxel_volume_mm3 / 1000.0


def analysis_mask(
    maps: npt.NDArray[np.floating], *, threshold: float = 0.1
) -> npt.NDArray[np.bool_]:
    """Voxels whose mean over maps of shape (n, X, Y, Z) exceeds an absolute threshold."""
    mask = maps.mean(axis=0) > threshold
    if not mask.any():
        raise InputError(
            "no voxel passes the grey-matter threshold",
            found=f"largest mean {maps.mean(axis=0).max():.3g}",
            do="lower the threshold or check the segmentations",
        )
    return np.asarray(mask)
