"""What lies between the slices of a mask that were drawn: shape-based interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError

__all__ = ["Filled", "fill_between"]

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Filled:
    """A mask whose empty slices were filled, and those that could not be.

    Parameters
    ----------
    mask
        Shape (X, Y, Z).
    slices
        Indices of the slices that were empty and are filled now.
    too_far
        Pairs of drawn slices that lie further apart than was allowed.
    apart
        Pairs between which nothing appeared in some slice, because their shapes hardly overlap.
    """

    mask: Mask
    slices: tuple[int, ...]
    too_far: tuple[tuple[int, int], ...]
    apart: tuple[tuple[int, int], ...]


def fill_between(
    mask: Mask, axis: int, voxel_sizes_mm: npt.ArrayLike, *, furthest_mm: float = 20.0
) -> Filled:
    """Fill empty slices between drawn ones; what was drawn stays as it is.

    Parameters
    ----------
    mask
        Shape (X, Y, Z).
    axis
        Across the slices that were drawn, 0 to 2.
    voxel_sizes_mm
        Edge lengths, shape (3,).
    furthest_mm
        Drawn slices further apart than this are left alone.

    Notes
    -----
    The signed in-plane distance to the outline, linear between the two slices, cut at zero: Raya
    and Udupa 1990, IEEE Trans Med Imaging 9:32. Distances between voxel centres lose half a voxel,
    as the outline runs between them.
    """
    if axis not in (0, 1, 2):
        raise InputError("slices lie across the axis 0, 1 or 2", found=axis)
    sizes = np.asarray(voxel_sizes_mm, dtype=np.float64)
    stack = np.moveaxis(np.asarray(mask, dtype=bool), axis, 0)
    made = stack.copy()
    in_plane = np.delete(sizes, axis)
    drawn = np.flatnonzero(stack.any(axis=(1, 2)))
    filled: list[int] = []
    too_far, apart = [], []
    for low, high in zip(drawn[:-1].tolist(), drawn[1:].tolist(), strict=True):
        if high - low < 2:
            continue
        if (high - low) * sizes[axis] > furthest_mm:
            too_far.append((low, high))
            continue
        between = _between(stack[low], stack[high], high - low, in_plane)
        seen = between.any(axis=(1, 2))
        if not seen.all():
            apart.append((low, high))
        made[low + 1 : high] = between
        filled += [low + 1 + n for n in np.flatnonzero(seen).tolist()]
    whole = np.ascontiguousarray(np.moveaxis(made, 0, axis))
    return Filled(whole, tuple(filled), tuple(too_far), tuple(apart))


def _between(first: Mask, last: Mask, steps: int, voxel_sizes_mm: npt.NDArray[np.float64]) -> Mask:
    """Slices strictly between two, shape (steps - 1, A, B)."""
    near, far = _signed(first, voxel_sizes_mm), _signed(last, voxel_sizes_mm)
    # Whole weights, so that from either end the same sums are made and ties fall alike.
    n = np.arange(1, steps, dtype=np.float64)[:, None, None]
    return np.asarray((steps - n) * near + n * far <= 0)


def _signed(shape: Mask, voxel_sizes_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance to the outline, mm: negative inside."""
    outside = ndimage.distance_transform_edt(~shape, sampling=voxel_sizes_mm)
    # A frame of background, so that a shape at the border of the slice has an outline there.
    framed = np.pad(shape, 1)
    inside = ndimage.distance_transform_edt(framed, sampling=voxel_sizes_mm)[1:-1, 1:-1]
    half = voxel_sizes_mm.mean() / 2
    return np.asarray(np.where(shape, half - inside, outside - half), dtype=np.float64)
