"""Clusters: connected voxels of one sign beyond a threshold (Friston et al. 1994, HBM 1:210)."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import check_range

__all__ = ["Cluster", "cluster_maxima", "find_clusters", "label_clusters"]


@dataclass(frozen=True, eq=False)
class Cluster:
    """One cluster.

    Parameters
    ----------
    sign
        +1 or -1.
    rows
        Rows of its voxels in the mask, ascending.
    extent
        Number of voxels.
    mass
        Sum of |statistic| - threshold.
    peak_row
        Row of the largest |statistic|; of equal ones, the first.
    """

    sign: int
    rows: npt.NDArray[np.int64]
    extent: int
    mass: float
    peak_row: int


def label_clusters(
    statistic: npt.NDArray[np.floating], neighbours: npt.NDArray[np.int32], threshold: float
) -> npt.NDArray[np.int32]:
    """Label every voxel with the first row of its cluster, or -1.

    Voxels with ``statistic >= threshold`` and those with ``statistic <= -threshold`` form
    separate clusters.

    Parameters
    ----------
    statistic
        Shape (V,).
    neighbours
        Shape (V, K) from :func:`falx.maps.inference.neighbours.neighbour_table`.

    Examples
    --------
    >>> table = np.array([[-1, 1], [0, 2], [1, -1]], np.int32)
    >>> label_clusters(np.array([3.0, 3.0, -3.0]), table, 2.0)
    array([0, 0, 2], dtype=int32)
    """
    check_range("cluster-forming threshold", threshold, 1e-6)
    labels = np.empty(len(statistic), np.int32)
    _label(np.ascontiguousarray(statistic), neighbours, threshold, labels)
    return labels


def find_clusters(
    statistic: npt.NDArray[np.floating],
    neighbours: npt.NDArray[np.int32],
    threshold: float,
    *,
    least_extent: int = 1,
) -> tuple[Cluster, ...]:
    """Clusters of both signs of a map, shape (V,): the largest first, then by first voxel."""
    labels = label_clusters(statistic, neighbours, threshold)
    rows = np.flatnonzero(labels >= 0)
    order = rows[np.argsort(labels[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    found = []
    for members in np.split(order, starts[1:]) if len(order) else []:
        if len(members) < least_extent:
            continue
        height = np.abs(statistic[members])
        found.append(
            Cluster(
                sign=int(np.sign(statistic[members[0]])),
                rows=members,
                extent=len(members),
                mass=float((height - threshold).sum()),
                peak_row=int(members[np.argmax(height)]),
            )
        )
    return tuple(sorted(found, key=lambda cluster: (-cluster.extent, cluster.rows[0])))


def cluster_maxima(
    statistic: npt.NDArray[np.floating], neighbours: npt.NDArray[np.int32], threshold: float
) -> tuple[int, float]:
    """Largest extent and heaviest mass of clusters of either sign of a map, shape (V,), or 0."""
    labels = label_clusters(statistic, neighbours, threshold)
    rows = np.flatnonzero(labels >= 0)
    if len(rows) == 0:
        return 0, 0.0
    extent = np.bincount(labels[rows])
    mass = np.bincount(labels[rows], weights=np.abs(statistic[rows]) - threshold)
    return int(extent.max()), float(mass.max())


@numba.njit(cache=True, nogil=True)
def _label(statistic, neighbours, threshold, labels):  # type: ignore[no-untyped-def]
    """Union-find with the smallest row as root."""
    n = len(statistic)
    for v in range(n):
        labels[v] = v if abs(statistic[v]) >= threshold else -1
    for v in range(n):
        if labels[v] < 0:
            continue
        for m in range(neighbours.shape[1]):
            w = neighbours[v, m]
            if w < 0 or w > v or labels[w] < 0 or statistic[w] * statistic[v] < 0:
                continue
            a, b = v, w
            while labels[a] != a:
                labels[a] = labels[labels[a]]
                a = labels[a]
            while labels[b] != b:
                labels[b] = labels[labels[b]]
                b = labels[b]
            if a < b:
                labels[b] = a
            else:
                labels[a] = b
    for v in range(n):
        if labels[v] >= 0:
            labels[v] = labels[labels[v]]
