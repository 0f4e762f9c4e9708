"""Regional homogeneity: Kendall's W of a voxel's series and those of its neighbours.

Ranks are kept as doubled integers, so every sum is exact and the map does not depend on
scale, block size or thread count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option, check_range
from falx.core.threads import over_blocks

__all__ = [
    "Border",
    "Edge",
    "RehoMap",
    "Ties",
    "check_length",
    "doubled_ranks",
    "kendall_w",
    "neighbour_offsets",
    "regional_homogeneity",
]

Ties = Literal["none", "corrected", "cpac"]
Edge = Literal["partial", "full"]
Border = Literal["compute", "dpabi-zero"]

LONGEST_SERIES = 32_767
"""Doubled ranks of longer series would not fit 16 bits."""

_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class RehoMap:
    """Kendall's W and how many series entered it.

    Parameters
    ----------
    w
        Shape (X, Y, Z), 0 to 1; zero where it was not computed.
    series_used
        Shape (X, Y, Z): K, the number of series in the neighbourhood; zero where W was not
        computed.
    n_times
        Length of the series.
    """

    w: npt.NDArray[np.float64]
    series_used: npt.NDArray[np.uint8]
    n_times: int

    @property
    def computed(self) -> npt.NDArray[np.bool_]:
        """Mask of the voxels that have a value, shape (X, Y, Z)."""
        return np.asarray(self.series_used > 0)

    @property
    def chi2(self) -> npt.NDArray[np.float64]:
        """Friedman's K (n - 1) W, shape (X, Y, Z); not calibrated for correlation in time."""
        return np.asarray(self.series_used * (self.n_times - 1.0) * self.w)


def regional_homogeneity(
    series: npt.NDArray[np.floating],
    mask: npt.NDArray[np.bool_],
    *,
    neighbours: int = 27,
    ties: Ties = "none",
    edge: Edge = "partial",
    border: Border = "compute",
    least_neighbours: int = 2,
    threads: int = 1,
) -> RehoMap:
    """Kendall's coefficient of concordance in the neighbourhood of every voxel.

    Parameters
    ----------
    series
        Shape (V, T): the series of the voxels of `mask`, in C order (``bold[mask]``).
    mask
        Shape (X, Y, Z), V voxels.
    neighbours
        7 (faces), 19 (and edges) or 27 (and corners), the voxel itself included.
    ties
        ``none``: mid-ranks, no correction of the denominator, as DPABI does; ``corrected``:
        mid-ranks with tie correction; ``cpac``: ceiled zero-based mid-ranks.
    edge
        ``partial`` uses the neighbours inside the mask; ``full`` computes only voxels that
        have all of them.
    border
        ``dpabi-zero`` leaves the outermost planes of the volume at zero.
    least_neighbours
        Fewest series of a neighbourhood from which W is computed, the voxel's own included;
        W of one series would be 1.

    Raises
    ------
    InputError
        If the shapes disagree, the series are shorter than 3 or longer than 32,767, or hold
        values that are not finite.

    References
    ----------
    Kendall and Gibbons 1990, chapter 6; Zang et al. 2004, NeuroImage 22:394, equation 1.
    """
    check_option("ties", ties, ("none", "corrected", "cpac"))
    check_option("edge", edge, ("partial", "full"))
    check_option("border", border, ("compute", "dpabi-zero"))
    offsets = neighbour_offsets(neighbours)
    check_range("least_neighbours", least_neighbours, 1, neighbours)
    _check_series(series, mask)
    wanted = np.argwhere(mask)
    if border == "dpabi-zero":
        wanted = wanted[np.all((wanted > 0) & (wanted < np.array(mask.shape) - 1), axis=1)]
    ranks, tie_sums = doubled_ranks(series, ceil=ties == "cpac", threads=threads)
    sums = _sum_over_neighbours(ranks, tie_sums, wanted, _index_volume(mask), offsets, threads)
    enough = sums[0] >= (neighbours if edge == "full" else least_neighbours)
    volume, count = np.zeros(mask.shape), np.zeros(mask.shape, np.uint8)
    at = tuple(wanted[enough].T)
    volume[at] = kendall_w(series.shape[1], sums, corrected=ties == "corrected")[enough]
    count[at] = sums[0, enough]
    return RehoMap(volume, count, series.shape[1])


def neighbour_offsets(neighbours: int) -> npt.NDArray[np.int64]:
    """Offsets of a 7, 19 or 27 neighbourhood, the centre included, shape (K, 3).

    Examples
    --------
    >>> neighbour_offsets(7).shape
    (7, 3)
    """
    check_option("neighbours", str(neighbours), ("7", "19", "27"))
    furthest = {7: 1, 19: 2, 27: 3}[neighbours]
    cube = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.ascontiguousarray(cube[np.abs(cube).sum(axis=1) <= furthest])


def _check_series(series: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]) -> None:
    voxels = int(np.count_nonzero(mask))
    if series.ndim != 2 or series.shape[0] != voxels or voxels == 0:
        raise InputError(
            "the series do not match the mask",
            found=f"shape {series.shape} and {voxels} mask voxels",
            do="pass bold[mask]",
        )
    check_length(series)


def check_length(series: npt.NDArray[np.floating]) -> None:
    """Raise unless series, shape (V, T), have ranks that fit and are finite."""
    if not 3 <= series.shape[1] <= LONGEST_SERIES:
        raise InputError(
            f"regional homogeneity needs 3 to {LONGEST_SERIES} time points",
            found=series.shape[1],
            do="give more volumes, or cut the run into parts",
        )
    if not np.isfinite(series.sum(dtype=np.float64)):
        raise InputError("the series hold values that are not finite", do="check the cleaning")


def _index_volume(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Row of every mask voxel, -1 elsewhere, with a margin of one voxel all round."""
    index = np.full(tuple(n + 2 for n in mask.shape), -1, np.int32)
    index[1:-1, 1:-1, 1:-1][mask] = np.arange(np.count_nonzero(mask), dtype=np.int32)
    return index


def doubled_ranks(
    series: npt.NDArray[np.floating], *, ceil: bool, threads: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    """Return doubled ranks of series, shape (V, T), and each one's sum of t³ - t over ties."""
    ranks = np.empty(series.shape, np.uint16)
    tie_sums = np.empty(len(series), np.int64)

    def rank(rows: slice) -> None:
        values = np.ascontiguousarray(series[rows])
        _rank_rows(values, _time_order(values), ceil, ranks[rows], tie_sums[rows])

    over_blocks(rank, len(series), block=_BLOCK, threads=threads)
    return ranks, tie_sums


def _time_order(values: npt.NDArray[np.floating]) -> npt.NDArray[np.integer]:
    """Return indices that sort each row; the order within ties is arbitrary."""
    if values.dtype != np.float32:
        return np.argsort(values, axis=1)
    # One vectorised sort of (value, time) pairs in 64 bits is four times faster than argsort.
    pairs = np.empty(values.shape, np.uint64)
    _pack(values.view(np.uint32), pairs)
    pairs.sort(axis=1)
    return pairs.astype(np.uint16)


def _sum_over_neighbours(
    ranks: npt.NDArray[np.uint16],
    tie_sums: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    index: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    threads: int,
) -> npt.NDArray[np.int64]:
    """Rows K, sum of the tie sums, sum over time of A and of A², A the sum of the ranks."""
    largest = 2 * ranks.shape[1] * len(offsets)
    narrow = np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32
    sums = np.empty((4, len(wanted)), np.int64)

    def add(rows: slice) -> None:
        total = np.empty(ranks.shape[1], narrow)
        _add_ranks(ranks, tie_sums, wanted[rows], index, offsets, total, sums[:, rows])

    over_blocks(add, len(wanted), block=_BLOCK, threads=threads)
    return sums


def kendall_w(n: int, sums: npt.NDArray[np.int64], *, corrected: bool) -> npt.NDArray[np.float64]:
    """Kendall's W from sums of doubled ranks, shape (4, V): 12 S, S a quarter of A's deviance."""
    used, ties, total, squares = sums.astype(np.float64)
    deviance = squares - total**2 / n
    denominator = used**2 * (float(n) ** 3 - n)
    if corrected:
        denominator -= used * ties
    # Series that are all constant agree about nothing: their W is zero.
    w = np.zeros_like(deviance)
    np.divide(3.0 * deviance, denominator, out=w, where=denominator > 0)
    return np.asarray(w)


@numba.njit(cache=True, nogil=True)
def _pack(bits, pairs):  # type: ignore[no-untyped-def]
    """Join the bits of float32 values, made to sort as integers, with their time index."""
    sign = np.uint32(1 << 31)
    for v in range(bits.shape[0]):
        for t in range(bits.shape[1]):
            key = bits[v, t]
            key ^= np.uint32(-np.int32(key >> np.uint32(31))) | sign
            pairs[v, t] = (np.uint64(key) << np.uint64(16)) | np.uint64(t)


@numba.njit(cache=True, nogil=True)
def _rank_rows(values, order, ceil, ranks, tie_sums):  # type: ignore[no-untyped-def]
    """Write doubled mid-ranks (2 to 2n), or with `ceil` 2 ceil(zero-based mid-rank) + 2."""
    n = values.shape[1]
    ordered = np.empty(n, values.dtype)
    for v in range(values.shape[0]):
        for t in range(n):
            at = order[v, t]
            ordered[t] = values[v, at]
            ranks[v, at] = 2 * t + 2
        tied = 0
        for t in range(n - 1):
            tied += ordered[t] == ordered[t + 1]
        tie_sums[v] = _share_ties(ordered, order[v], ceil, ranks[v]) if tied else 0


@numba.njit(cache=True, nogil=True)
def _share_ties(ordered, order, ceil, ranks):  # type: ignore[no-untyped-def]
    """Give every group of equal values its mid-rank; return the sum of t³ - t."""
    n = len(ordered)
    total = np.int64(0)
    first = 0
    while first < n:
        last = first
        while last + 1 < n and ordered[last + 1] == ordered[first]:
            last += 1
        doubled = first + last + 2
        if ceil:
            doubled += doubled % 2
        for t in range(first, last + 1):
            ranks[order[t]] = doubled
        size = last - first + 1
        total += size * size * size - size
        first = last + 1
    return total


@numba.njit(cache=True, nogil=True)
def _add_ranks(ranks, tie_sums, wanted, index, offsets, total, sums):  # type: ignore[no-untyped-def]
    """Sum the ranks of each neighbourhood and their squares; `total` is working space."""
    n = ranks.shape[1]
    for v in range(wanted.shape[0]):
        used, ties = 0, np.int64(0)
        total[:] = 0
        for m in range(offsets.shape[0]):
            row = index[
                wanted[v, 0] + 1 + offsets[m, 0],
                wanted[v, 1] + 1 + offsets[m, 1],
                wanted[v, 2] + 1 + offsets[m, 2],
            ]
            if row < 0:
                continue
            used += 1
            ties += tie_sums[row]
            for t in range(n):
                total[t] += ranks[row, t]
        first, second = np.int64(0), np.int64(0)
        for t in range(n):
            value = np.int64(total[t])
            first += value
            second += value * value
        sums[0, v], sums[1, v], sums[2, v], sums[3, v] = used, ties, first, second
