"""Regional homogeneity on a surface: Kendall's W of a vertex and those beside it on the mesh.

Zang et al. 2004, NeuroImage 22:394, equation 1, with the neighbours of a mesh in place of those of
a grid, as Zuo et al. 2013, NeuroImage 65:374, propose.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from falx.bold.reho import check_length, doubled_ranks, kendall_w
from falx.core.errors import InputError

__all__ = ["mesh_neighbours", "surface_homogeneity", "varying"]

LEAST_SERIES = 2


def mesh_neighbours(
    triangles: npt.NDArray[np.integer], n_vertices: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Vertices that share an edge with each, as starts, shape (V + 1,), and one list of them.

    Parameters
    ----------
    triangles
        Shape (F, 3).

    Examples
    --------
    >>> starts, beside = mesh_neighbours(np.array([[0, 1, 2], [1, 2, 3]]), 4)
    >>> [beside[a:b].tolist() for a, b in zip(starts, starts[1:])]
    [[1, 2], [0, 2, 3], [0, 1, 3], [1, 2]]
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    both = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    both = both[both[:, 0] != both[:, 1]]
    starts = np.searchsorted(both[:, 0], np.arange(n_vertices + 1))
    return np.asarray(starts, np.int64), np.ascontiguousarray(both[:, 1], np.int64)


def surface_homogeneity(
    series: npt.NDArray[np.floating], triangles: npt.NDArray[np.integer], *, threads: int = 1
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return Kendall's W and the series that entered it, K, at every vertex, shape (V,) each.

    Vertices without a series that varies (the medial wall, where files hold zeros or NaN) have
    no W and enter no neighbourhood; a vertex without neighbours has none, either (NaN, K = 0).

    Parameters
    ----------
    series
        Shape (V, T).
    triangles
        Shape (F, 3), numbers of vertices.

    Raises
    ------
    InputError
        If the triangles name a vertex that there is not, the series are too short or long, or
        none varies.
    """
    vertices = len(series)
    low, high = int(triangles.min(initial=0)), int(triangles.max(initial=0))
    if series.ndim != 2 or triangles.ndim != 2 or triangles.shape[1] != 3 or low < 0:
        raise InputError(
            "series by vertex and triangles of three vertices are needed",
            found=f"shapes {series.shape} and {triangles.shape}",
        )
    if high >= vertices:
        raise InputError(
            "the surface has other vertices than the series",
            found=f"{vertices} series, and a triangle with vertex {high + 1}",
            do="give func.gii and surf.gii of one hemisphere and one density",
        )
    varies = varying(series)
    if not varies.any():
        raise InputError("no vertex has a series that varies", do="check the cleaning")
    held = np.where(varies[:, None], series, 0)
    check_length(held)
    ranks, _ = doubled_ranks(held, ceil=False, threads=threads)
    starts, beside = mesh_neighbours(triangles, vertices)
    sums = np.zeros((4, vertices), np.int64)
    _add_vertices(ranks, varies, starts, beside, sums)
    enough = sums[0] >= LEAST_SERIES
    w = np.where(enough, kendall_w(series.shape[1], sums, corrected=False), np.nan)
    return w, np.where(enough, sums[0], 0)


def varying(series: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Whether each series, shape (V, T), is finite and varies, shape (V,)."""
    finite = np.isfinite(series).all(axis=1)
    return np.asarray(finite & (np.ptp(np.where(finite[:, None], series, 0), axis=1) > 0))


@numba.njit(cache=True, nogil=True)
def _add_vertices(ranks, varies, starts, beside, sums):  # type: ignore[no-untyped-def]
    """Write K, no ties, and sums of A and of A², A the summed ranks of each neighbourhood."""
    n = ranks.shape[1]
    total = np.empty(n, np.int64)
    for v in range(len(varies)):
        if not varies[v]:
            continue
        used = 1
        for t in range(n):
            total[t] = ranks[v, t]
        for m in range(starts[v], starts[v + 1]):
            w = beside[m]
            if varies[w]:
                used += 1
                for t in range(n):
                    total[t] += ranks[w, t]
        first, second = np.int64(0), np.int64(0)
        for t in range(n):
            first += total[t]
            second += total[t] * total[t]
        sums[0, v], sums[2, v], sums[3, v] = used, first, second
