"""Removal of what looks like brain but is not connected with it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["clean_up"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ERODE_MM = 2.0
GROW_MM = 5.0
FLUID_MM = 9.0


def clean_up(posteriors: Floats, voxel_sizes_mm: npt.NDArray[np.float64]) -> Floats:
    """Keep grey and white matter of the brain only, and the fluid around it.

    The parenchyma is shrunk by 2 mm, which cuts the bridges to scalp and eyes; the largest
    piece is grown back inside the parenchyma.

    Parameters
    ----------
    posteriors
        Shape (X, Y, Z, 6), in the order of :data:`falx.anatomy.priors.TISSUES`.

    Returns
    -------
    ndarray
        Same shape; every voxel sums to one.
    """
    parenchyma = posteriors[..., 0] + posteriors[..., 1]
    brain = _grown(parenchyma, voxel_sizes_mm)
    islands = _enclosed(brain, posteriors)
    result = posteriors.copy()
    result[..., :2] *= (brain | islands)[..., None]
    # A wide ventricle may lie farther from the brain than its outer fluid does.
    near = ndimage.binary_fill_holes(_within(brain, FLUID_MM, voxel_sizes_mm))
    result[..., 2] *= near
    result[islands, 3:] = 0.0
    total = result.sum(axis=-1, keepdims=True)
    lost = total[..., 0] < 1e-6
    result[lost] = 0.0
    result[lost, 4] = 1.0
    total[lost] = 1.0
    return np.asarray(result / total, dtype=np.float32)


def _enclosed(brain: Mask, posteriors: Floats) -> Mask:
    """Voxels inside the brain: bone, soft tissue and air cannot be there.

    A deep nucleus brighter than cortex and darker than white matter would otherwise be taken
    for scalp, whose intensities are broad.
    """
    own = posteriors[..., :3].sum(axis=-1)
    inside = (brain | (posteriors[..., 2] > 0.5)) & (own > 0.5)
    holes = ndimage.binary_fill_holes(inside) & ~inside
    return np.asarray(holes & (own > 0))


def _grown(parenchyma: Floats, voxel_sizes_mm: npt.NDArray[np.float64]) -> Mask:
    inside = parenchyma > 0.5
    core = ~_within(~inside, ERODE_MM, voxel_sizes_mm)
    pieces, count = ndimage.label(core)
    if count == 0:
        return np.asarray(inside)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    core = pieces == int(np.argmax(sizes))
    step = float(np.min(voxel_sizes_mm))
    grown = ndimage.binary_dilation(core, iterations=round(GROW_MM / step), mask=inside)
    return np.asarray(ndimage.binary_dilation(grown, iterations=1) & (parenchyma > 0.02))


def _within(mask: Mask, distance_mm: float, voxel_sizes_mm: npt.NDArray[np.float64]) -> Mask:
    """Voxels within a distance of a mask."""
    steps = max(1, round(distance_mm / float(np.mean(voxel_sizes_mm))))
    return np.asarray(ndimage.binary_dilation(mask, iterations=steps))
