"""Compiled sampling of many small prior boxes along a deformation.

Each box is a structure's probability of :class:`falx.data.priors.StructurePriors`; the classes
are those of Puonti, Iglesias & Van Leemput 2016 (NeuroImage 143:235).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.segmentation.posterior import displacement_at
from falx.core.threads import CHUNKS

__all__ = ["PriorTable", "label_voxels", "prior_of_groups"]


class PriorTable(NamedTuple):
    """Structure priors laid out for the kernels, which read named tuples of arrays.

    Parameters
    ----------
    probabilities
        Shape (n,), 0 to 255: the boxes of all G structures, one after the other.
    offsets
        Shape (G,), where each box begins.
    shapes, corners
        Shape (G, 3), size of each box and place of its first voxel on the common grid.
    to_grid
        4×4, template mm to voxels of the common grid.
    floors
        Shape (G, 2): least prior, 0 to 255, and the side where it holds (-1 left, 1 right, 0
        both).
    middle
        Voxel of the midsagittal plane.
    groups
        Shape (G,), intensity group of each structure.
    """

    probabilities: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    shapes: npt.NDArray[np.int64]
    corners: npt.NDArray[np.int64]
    to_grid: npt.NDArray[np.float64]
    floors: npt.NDArray[np.float64]
    middle: float
    groups: npt.NDArray[np.int64]


@numba.njit(cache=True)
def _in_template(voxel, to_node, field, to_grid, mapped, place):  # type: ignore[no-untyped-def]
    """Position of a voxel on the grid of the structure priors, written to `place` (3,)."""
    a, b, c = voxel[0], voxel[1], voxel[2]
    x = to_node[0, 0] * a + to_node[0, 1] * b + to_node[0, 2] * c + to_node[0, 3]
    y = to_node[1, 0] * a + to_node[1, 1] * b + to_node[1, 2] * c + to_node[1, 3]
    z = to_node[2, 0] * a + to_node[2, 1] * b + to_node[2, 2] * c + to_node[2, 3]
    displacement_at(field, x, y, z, mapped)
    for axis in range(3):
        place[axis] = to_grid[axis, 3]
        for other in range(3):
            place[axis] += to_grid[axis, other] * mapped[other]


@numba.njit(cache=True)
def _box_value(probabilities, offset, shape, corner, place):  # type: ignore[no-untyped-def]
    """Trilinear value, 0 to 255, of one box at a position on the common grid."""
    x, y, z = place[0] - corner[0], place[1] - corner[1], place[2] - corner[2]
    if not (-1 < x < shape[0] and -1 < y < shape[1] and -1 < z < shape[2]):
        return 0.0
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    total = 0.0
    for di in range(2):
        for dj in range(2):
            for dk in range(2):
                p, q, r = i + di, j + dj, k + dk
                if 0 <= p < shape[0] and 0 <= q < shape[1] and 0 <= r < shape[2]:
                    weight = (u if di else 1 - u) * (v if dj else 1 - v) * (w if dk else 1 - w)
                    total += weight * probabilities[offset + (p * shape[1] + q) * shape[2] + r]
    return total


@numba.njit(cache=True)
def _prior(g, probabilities, offsets, shapes, corners, floors, middle, place):  # type: ignore[no-untyped-def]
    """Prior of structure `g`, 0 to 255, at least its floor on its own side of `middle`."""
    value = _box_value(probabilities, offsets[g], shapes[g], corners[g], place)
    own_side = (place[0] - middle) * floors[g, 1] >= 0
    return max(value, floors[g, 0]) if own_side else value


@numba.njit(cache=True, parallel=True)
def prior_of_groups(voxels, to_node, field, table, n_groups):  # type: ignore[no-untyped-def]
    """Prior of every group at every voxel, shape (n, n_groups), float32."""
    probabilities, offsets, shapes, corners, to_grid, floors, middle, groups = table
    n = voxels.shape[0]
    out = np.zeros((n, n_groups), np.float32)
    for chunk in numba.prange(CHUNKS):
        mapped = np.empty(3, np.float32)
        place = np.empty(3)
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            _in_template(voxels[s], to_node, field, to_grid, mapped, place)
            for g in range(groups.shape[0]):
                value = _prior(g, probabilities, offsets, shapes, corners, floors, middle, place)
                out[s, groups[g]] += value / 255.0
    return out


@numba.njit(cache=True, parallel=True)
def label_voxels(voxels, to_node, field, table, evidence, barred):  # type: ignore[no-untyped-def]
    """Most probable structure, its probability, and the probability mass of each, by chunk.

    A voxel that no prior reaches gets the number of structures as its label. Bit g of `barred`
    (n,) excludes structure g from a voxel.
    """
    probabilities, offsets, shapes, corners, to_grid, floors, middle, groups = table
    n, n_structures = voxels.shape[0], groups.shape[0]
    best = np.full(n, n_structures, np.int64)
    certainty = np.zeros(n, np.float32)
    mass = np.zeros((CHUNKS, n_structures))
    for chunk in numba.prange(CHUNKS):
        mapped = np.empty(3, np.float32)
        place = np.empty(3)
        joint = np.empty(n_structures)
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            _in_template(voxels[s], to_node, field, to_grid, mapped, place)
            total, most = 0.0, 0.0
            for g in range(n_structures):
                value = _prior(g, probabilities, offsets, shapes, corners, floors, middle, place)
                joint[g] = 0.0 if (barred[s] >> g) & 1 else value * evidence[s, groups[g]]
                total += joint[g]
                if joint[g] > most:
                    most = joint[g]
                    best[s] = g
            if total <= 0.0:
                continue
            certainty[s] = most / total
            for g in range(n_structures):
                mass[chunk, g] += joint[g] / total
    return best, certainty, mass
