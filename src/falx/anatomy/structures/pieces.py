"""Hippocampus and amygdala are each one piece: what lies apart from the largest is none of it.

Where a structure has shrunk, the prior still expects it beyond the fluid that took its rim, and
the cortex there has its intensity. What tells the two apart is that fluid lies between them.
There is no published source; that a structure is connected is anatomy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["ONE_PIECE", "apart"]

ONE_PIECE = (17, 18, 53, 54)
"""Hippocampus and amygdala, left and right."""

LEAST_SHARE = 0.2
"""A piece of a fifth of the largest stays: a cavity may have parted the two."""

FLUID = (4, 43, 5, 44, 14, 15, 24, 72)
REACH_MM = 3.0
"""So far beyond its pieces a structure is possible, though not through fluid; and one voxel on,
for the border with that fluid."""

AROUND_MM = 8.0
"""Farther from a structure than this no prior expects it."""


def apart(
    labels: npt.NDArray[np.integer],
    voxel_sizes_mm: npt.NDArray[np.float64],
    structures: Sequence[int] = ONE_PIECE,
) -> tuple[npt.NDArray[np.bool_], dict[int, npt.NDArray[np.bool_]]]:
    """Where each structure cannot be, because it would lie apart from itself.

    Parameters
    ----------
    labels
        Shape (X, Y, Z).
    voxel_sizes_mm
        Shape (3,).

    Returns
    -------
    near : ndarray
        Shape (X, Y, Z), around the structures, where the second look is worth its time.
    barred : dict
        By structure, shape (X, Y, Z).
    """
    near = np.zeros(labels.shape, dtype=bool)
    barred: dict[int, npt.NDArray[np.bool_]] = {}
    margin = np.ceil(AROUND_MM / voxel_sizes_mm).astype(int)
    steps = max(1, round(REACH_MM / float(voxel_sizes_mm.mean())))
    for structure in structures:
        found = ndimage.find_objects((labels == structure).astype(np.uint8))
        if not found:
            continue
        box = tuple(
            slice(max(s.start - m, 0), min(s.stop + m, n))
            for s, m, n in zip(found[0], margin, labels.shape, strict=True)
        )
        pieces, _ = ndimage.label(labels[box] == structure)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        kept = (sizes >= LEAST_SHARE * sizes.max())[pieces]
        solid = ~np.isin(labels[box], FLUID)
        reach = ndimage.binary_dilation(kept, iterations=steps, mask=solid)
        barred[structure] = np.zeros(labels.shape, dtype=bool)
        barred[structure][box] = ~ndimage.binary_dilation(reach)
        near[box] = True
    return near, barred
