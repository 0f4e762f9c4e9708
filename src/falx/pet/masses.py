"""Largest cluster mass of many null maps, compiled.

Clusters and sums are those of :func:`falx.pet.decoy.low_clusters`, bit for bit, without its label
volumes: what lies below the forming threshold is a few hundred of many thousand voxels. Mass of a
cluster: Bullmore et al. 1999, IEEE TMI 18:32.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["largest_masses"]


def largest_masses(
    sources: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    pairs: npt.NDArray[np.int64],
    signs: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int64],
    sought: npt.NDArray[np.bool_],
    sd: npt.NDArray[np.floating],
    forming: float,
) -> npt.NDArray[np.float64]:
    """Take the largest mass of low clusters of sums of two maps, shape (count,).

    Parameters
    ----------
    sources
        Maps to draw from, of shapes (N, n) and (M, n).
    pairs, signs
        Shape (count, 2): which map of either, and what it is multiplied by.
    columns
        Shape (m,): place among the n of each voxel that is sought.
    sought
        Shape (X, Y, Z), with m voxels.
    sd
        Shape (m,), that a voxel is divided by.
    forming
        Clusters are formed below minus this.
    """
    padded = np.pad(sought, 1)
    y, z = padded.shape[1:]
    before = [
        (i * y + j) * z + k
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        for k in (-1, 0, 1)
        if abs(i) + abs(j) + abs(k) in (1, 2) and (i, j, k) < (0, 0, 0)
    ]
    number = np.full(padded.size, -1)  # of a voxel among the low ones
    near = _Near(np.flatnonzero(padded), np.array(before), columns, sd, number)
    first, second = (np.ascontiguousarray(source) for source in sources)
    return np.asarray(_largest(first, second, pairs, signs, near, np.float32(forming)))


class _Near(NamedTuple):
    """Voxels sought, for the kernel: their places, and steps to those before them around one."""

    places: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    sd: npt.NDArray[np.floating]
    number: npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def _largest(first, second, pairs, signs, near, forming):  # type: ignore[no-untyped-def]
    """Mark low voxels in their order, join each with those before it, and sum each cluster."""
    places, number, before = near.places, near.number, near.before
    low, parent = np.empty((2, places.shape[0]), np.int64)
    depth = np.empty(places.shape[0], np.float32)
    mass = np.empty(places.shape[0])
    out = np.zeros(pairs.shape[0])
    for row in range(pairs.shape[0]):
        a, b = first[pairs[row, 0]], second[pairs[row, 1]]
        own, other = signs[row, 0], signs[row, 1]
        count = 0
        for n in range(places.shape[0]):
            index = own * a[near.columns[n]] + other * b[near.columns[n]]
            below = -np.float32(index / near.sd[n]) - forming
            if below > 0:
                low[count], depth[count] = places[n], below
                parent[count], mass[count] = count, 0.0
                number[places[n]] = count
                for step in before:
                    if number[places[n] + step] >= 0:
                        _join(parent, count, number[places[n] + step])
                count += 1
        for n in range(count):
            mass[_root(parent, n)] += depth[n]
            number[low[n]] = -1
        for n in range(count):
            out[row] = max(out[row], mass[n])
    return out


@numba.njit(cache=True, nogil=True)
def _root(parent, n):  # type: ignore[no-untyped-def]
    while parent[n] != n:
        parent[n] = parent[parent[n]]
        n = parent[n]
    return n


@numba.njit(cache=True, nogil=True)
def _join(parent, one, other):  # type: ignore[no-untyped-def]
    one, other = _root(parent, one), _root(parent, other)
    if one != other:
        parent[max(one, other)] = min(one, other)
