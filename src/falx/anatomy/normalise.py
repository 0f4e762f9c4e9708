"""Tissue maps in template space, as concentrations or as volumes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from falx.anatomy.registration.inverse import jacobian_determinants
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.images.resample import sample
from falx.images.warp import CoordinateMap

__all__ = ["modulated", "warped"]


def warped(
    image: Image, to_native: CoordinateMap, grid: Grid, *, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Bring a native image to a template grid with one linear interpolation."""
    points = to_native.on(grid, threads=threads)
    return np.asarray(sample(image, points, threads=threads), dtype=np.float32)


def modulated(
    image: Image, to_native: CoordinateMap, grid: Grid, *, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Bring a tissue map to a template grid, keeping the amount of tissue.

    Parameters
    ----------
    image
        Native tissue probability, shape (X, Y, Z).
    to_native
        Template mm to native mm.
    grid
        Template grid of the result.

    Returns
    -------
    ndarray
        Shape of `grid`, float32: probability times the volume that a template voxel has in
        native space, relative to its own. The sum times the voxel volume is the native
        volume of the tissue.

    References
    ----------
    Good CD et al. NeuroImage 2001; 14: 21-36 (modulation).
    """
    points = to_native.on(grid, threads=threads)
    values = sample(image, points, threads=threads)
    jacobian = jacobian_determinants(CoordinateMap(points, grid.affine))
    return np.asarray(values * np.abs(jacobian), dtype=np.float32)
