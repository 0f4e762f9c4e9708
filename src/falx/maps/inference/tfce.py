"""Threshold-free cluster enhancement, integrated exactly.

TFCE(v) is the integral over heights h from 0 to t(v) of e(h)^E h^H, e(h) being the extent of
the cluster that holds v at height h (Smith and Nichols 2009, NeuroImage 44:83, equation 1).
While voxels are added from the highest down, a cluster keeps its extent between two merges,
so the integral is a sum of closed forms: one pass, no step size.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["EXTENT_POWER", "HEIGHT_POWER", "tfce"]

EXTENT_POWER = 0.5
HEIGHT_POWER = 2.0


def tfce(
    statistic: npt.NDArray[np.floating],
    neighbours: npt.NDArray[np.int32],
    *,
    extent_power: float = EXTENT_POWER,
    height_power: float = HEIGHT_POWER,
) -> npt.NDArray[np.float64]:
    """Enhance a map; negative values are treated as their mirror and keep their sign.

    Parameters
    ----------
    statistic
        Shape (V,): t or z inside the mask.
    neighbours
        Shape (V, K) from :func:`falx.maps.inference.neighbours.neighbour_table`.
    extent_power, height_power
        E and H.

    Examples
    --------
    A single voxel of height 3 gets ∫ h² dh = 9.

    >>> table = np.full((1, 6), -1, np.int32)
    >>> tfce(np.array([3.0]), table)
    array([9.])
    """
    values = np.ascontiguousarray(statistic, dtype=np.float64)
    height = np.abs(values)
    order = np.argsort(-height)
    _settle_ties(height, order)  # the order of ties moves the last bits
    extent = np.arange(len(values) + 1, dtype=np.float64) ** extent_power
    primitive = height ** (height_power + 1.0) / (height_power + 1.0)
    out = np.empty(len(values))
    _integrate(values, primitive, order, neighbours, extent, out)
    return np.copysign(out, values)


@numba.njit(cache=True, nogil=True)
def _settle_ties(height, order):  # type: ignore[no-untyped-def]
    """Put equal heights in the order of their voxels; a stable sort takes seven times as long."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or height[order[end]] != height[order[start]]:
            if end - start > 1:
                order[start:end].sort()
            start = end


@numba.njit(cache=True, nogil=True, inline="always")
def _root(parent, gain, v):  # type: ignore[no-untyped-def]
    """Root of v's tree; shortens the path and keeps the sum of gains along it."""
    while parent[parent[v]] != parent[v]:
        gain[v] += gain[parent[v]]
        parent[v] = parent[parent[v]]
        v = parent[v]
    return parent[v]


@numba.njit(cache=True, nogil=True)
def _integrate(values, primitive, order, neighbours, extent, out):  # type: ignore[no-untyped-def]
    """Union-find from the highest voxel down.

    The value of a voxel is the sum of `gain` from it to its root. Before a cluster changes,
    it is paid for the heights since its last change; a cluster that joins another is
    credited the difference of what both have had.
    """
    n = len(values)
    parent = np.full(n, -1, np.int32)
    gain = np.zeros(n)
    size = np.zeros(n, np.int32)
    paid_to = np.zeros(n)
    sign = np.zeros(n, np.int8)  # of voxels that are in; one byte each, so that all stay at hand
    for position in range(n):
        v = order[position]
        now = primitive[v]
        parent[v] = v
        size[v] = 1
        paid_to[v] = now
        own = np.int8(np.sign(values[v]))
        if own == 0:
            continue  # at height 0 nothing joins any more
        sign[v] = own
        mine = v
        for m in range(neighbours.shape[1]):
            w = neighbours[v, m]
            if w < 0 or sign[w] != own:
                continue
            other = _root(parent, gain, w)
            if other == mine:
                continue
            gain[other] += extent[size[other]] * (paid_to[other] - now)
            paid_to[other] = now
            if size[other] > size[mine]:
                mine, other = other, mine
            parent[other] = mine
            gain[other] -= gain[mine]
            size[mine] += size[other]
    for v in range(n):
        if parent[v] == v:
            gain[v] += extent[size[v]] * paid_to[v]
    for v in range(n):
        while parent[parent[v]] != parent[v]:
            gain[v] += gain[parent[v]]
            parent[v] = parent[parent[v]]
        out[v] = gain[v] if parent[v] == v else gain[v] + gain[parent[v]]
