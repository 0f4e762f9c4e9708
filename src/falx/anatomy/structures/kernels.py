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
def _priors(place, table, weights, values):  # type: ignore[no-untyped-def]
    """Prior of every structure at a position, 0 to 255, written to `values` (G,).

    Trilinear, and at least a structure's floor on its own side of the middle. Boxes begin at
    whole voxels, so that the weights of the eight voxels around are the same in all of them.
    """
    shapes, corners, floors = table.shapes, table.corners, table.floors
    a, b, c = int(np.floor(place[0])), int(np.floor(place[1])), int(np.floor(place[2]))
    u, v, w = place[0] - a, place[1] - b, place[2] - c
    for n in range(8):
        weights[n] = (u if n & 4 else 1 - u) * (v if n & 2 else 1 - v) * (w if n & 1 else 1 - w)
    for g in range(values.shape[0]):
        value = 0.0
        nx, ny, nz = shapes[g, 0], shapes[g, 1], shapes[g, 2]
        i, j, k = a - corners[g, 0], b - corners[g, 1], c - corners[g, 2]
        if -1 <= i < nx and -1 <= j < ny and -1 <= k < nz:
            for n in range(8):
                p, q, r = i + (n >> 2), j + (n >> 1 & 1), k + (n & 1)
                if 0 <= p < nx and 0 <= q < ny and 0 <= r < nz:
                    at = table.offsets[g] + (p * ny + q) * nz + r
                    value += weights[n] * table.probabilities[at]
        if (place[0] - table.middle) * floors[g, 1] >= 0:
            value = max(value, floors[g, 0])
        values[g] = value


@numba.njit(cache=True, parallel=True)
def prior_of_groups(voxels, to_node, field, table, n_groups):  # type: ignore[no-untyped-def]
    """Prior of every group at every voxel, shape (n, n_groups), float32."""
    n, groups = voxels.shape[0], table.groups
    out = np.zeros((n, n_groups), np.float32)
    for chunk in numba.prange(CHUNKS):
        mapped = np.empty(3, np.float32)
        place, weights, values = np.empty(3), np.empty(8), np.empty(groups.shape[0])
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            _in_template(voxels[s], to_node, field, table.to_grid, mapped, place)
            _priors(place, table, weights, values)
            for g in range(groups.shape[0]):
                out[s, groups[g]] += values[g] / 255.0
    return out


@numba.njit(cache=True, parallel=True)
def label_voxels(voxels, to_node, field, table, evidence, barred):  # type: ignore[no-untyped-def]
    """Most probable structure, its probability, and the probability mass of each, by chunk.

    A voxel that no prior reaches gets the number of structures as its label. Bit g of `barred`
    (n,) excludes structure g from a voxel.
    """
    groups = table.groups
    n, n_structures = voxels.shape[0], groups.shape[0]
    best = np.full(n, n_structures, np.int64)
    certainty = np.zeros(n, np.float32)
    mass = np.zeros((CHUNKS, n_structures))
    for chunk in numba.prange(CHUNKS):
        mapped = np.empty(3, np.float32)
        place, weights = np.empty(3), np.empty(8)
        joint = np.empty(n_structures)
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            _in_template(voxels[s], to_node, field, table.to_grid, mapped, place)
            _priors(place, table, weights, joint)
            total, most = 0.0, 0.0
            for g in range(n_structures):
                joint[g] = 0.0 if (barred[s] >> g) & 1 else joint[g] * evidence[s, groups[g]]
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
