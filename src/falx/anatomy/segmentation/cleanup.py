"""Removal of what looks like brain but is not connected with it.

Erosion, and growth back inside what was there: the reconstruction of Vincent 1993 (IEEE Trans
Image Process 2:176), on probabilities.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.anatomy.priors import unrolled
from falx.data.labels import TISSUES

__all__ = ["clean_up"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ERODE_MM = 2.0
GROW_MM = 5.0
FLUID_MM = 9.0
LEAST_LEFT = np.float32(1e-6)
SOFT_TISSUE = TISSUES.index("soft")


def clean_up(
    posteriors: Floats, voxel_sizes_mm: npt.NDArray[np.float64], *, out: Floats | None = None
) -> Floats:
    """Keep grey and white matter of the brain only, and the fluid around it.

    The parenchyma is shrunk by 2 mm, which cuts the bridges to scalp and eyes; the largest
    piece is grown back inside the parenchyma.

    Parameters
    ----------
    posteriors
        Shape (X, Y, Z, 6), in the order of :data:`falx.anatomy.priors.TISSUES`.
    out
        Where the result is written; `posteriors` itself, to save memory, or a new array.

    Returns
    -------
    ndarray
        Same shape; every voxel sums to one.
    """
    parenchyma, fluid = _parenchyma_and_fluid(posteriors)
    brain = _grown(parenchyma, voxel_sizes_mm)
    islands = _enclosed(brain, parenchyma, fluid)
    # A wide ventricle may lie farther from the brain than its outer fluid does.
    near = _filled(_within(brain, FLUID_MM, voxel_sizes_mm))
    result = np.empty_like(posteriors) if out is None else out
    _keep(posteriors, brain | islands, near, islands, result, unrolled(posteriors.shape[3]))
    return result


def _enclosed(brain: Mask, parenchyma: Floats, fluid: Floats) -> Mask:
    """Voxels inside the brain: bone, soft tissue and air cannot be there.

    A deep nucleus brighter than cortex and darker than white matter would otherwise be taken
    for scalp, whose intensities are broad.
    """
    own = parenchyma + fluid
    inside = (brain | (fluid > 0.5)) & (own > 0.5)
    holes = _filled(inside) & ~inside
    return np.asarray(holes & (own > 0))


def _grown(parenchyma: Floats, voxel_sizes_mm: npt.NDArray[np.float64]) -> Mask:
    inside = parenchyma > 0.5
    core = ~_within(~inside, ERODE_MM, voxel_sizes_mm)
    pieces, count = ndimage.label(core)
    if count == 0:
        return np.asarray(inside)
    sizes = np.bincount(pieces[core])
    core = pieces == int(np.argmax(sizes))
    steps = round(GROW_MM / float(np.min(voxel_sizes_mm)))
    grown = _dilated(_dilated(core, inside, steps), parenchyma > 0.02, 1)
    return np.asarray(grown)


def _within(mask: Mask, distance_mm: float, voxel_sizes_mm: npt.NDArray[np.float64]) -> Mask:
    """Voxels within a distance of a mask."""
    steps = max(1, round(distance_mm / float(np.mean(voxel_sizes_mm))))
    return np.asarray(_dilated(mask, np.ones_like(mask), steps))


def _filled(mask: Mask) -> Mask:
    """Add to a mask every hole that no path of neighbours joins with the border."""
    pieces, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        for end in (0, -1):
            outside[pieces.take(end, axis)] = True
    outside[0] = False
    return np.asarray(~outside[pieces])


@numba.njit(cache=True, parallel=True)
def _dilated(mask, allowed, steps):  # type: ignore[no-untyped-def]
    """Grow a mask by its six neighbours, `steps` times, where `allowed` or already inside."""
    nx, ny, nz = mask.shape
    now, after = mask.copy(), np.empty_like(mask)
    for _ in range(steps):
        for i in numba.prange(nx):
            for j in range(ny):
                for k in range(nz):
                    after[i, j, k] = now[i, j, k] or (
                        allowed[i, j, k]
                        and (
                            (i > 0 and now[i - 1, j, k])
                            or (i + 1 < nx and now[i + 1, j, k])
                            or (j > 0 and now[i, j - 1, k])
                            or (j + 1 < ny and now[i, j + 1, k])
                            or (k > 0 and now[i, j, k - 1])
                            or (k + 1 < nz and now[i, j, k + 1])
                        )
                    )
        now, after = after, now
    return now


@numba.njit(cache=True, parallel=True)
def _parenchyma_and_fluid(posteriors):  # type: ignore[no-untyped-def]
    """Grey and white matter together, and fluid, each of shape (X, Y, Z)."""
    nx, ny, nz, _ = posteriors.shape
    parenchyma = np.empty((nx, ny, nz), np.float32)
    fluid = np.empty((nx, ny, nz), np.float32)
    for i in numba.prange(nx):
        for j in range(ny):
            for k in range(nz):
                parenchyma[i, j, k] = posteriors[i, j, k, 0] + posteriors[i, j, k, 1]
                fluid[i, j, k] = posteriors[i, j, k, 2]
    return parenchyma, fluid


@numba.njit(cache=True, parallel=True)
def _keep(posteriors, brain, near, islands, out, each):  # type: ignore[no-untyped-def]
    """Parenchyma within `brain`, fluid within `near`, nothing else within `islands`.

    What is left sums to one; where nothing is left, it is soft tissue.
    """
    nx, ny, nz, _ = posteriors.shape
    one = np.float32(1.0)
    for i in numba.prange(nx):
        for j in range(ny):
            for k in range(nz):
                as_brain, as_fluid = np.float32(brain[i, j, k]), np.float32(near[i, j, k])
                as_other = one - np.float32(islands[i, j, k])
                given, own = posteriors[i, j, k], out[i, j, k]
                total = np.float32(0.0)
                for c in range(len(each)):
                    share = as_brain if c < 2 else (as_fluid if c == 2 else as_other)
                    own[c] = share * given[c]
                    total += own[c]
                if total < LEAST_LEFT:
                    own[:] = 0.0
                    own[SOFT_TISSUE] = total = one
                for c in range(len(each)):
                    own[c] /= total
