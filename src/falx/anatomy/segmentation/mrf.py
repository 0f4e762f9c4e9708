"""A Markov random field that makes neighbours agree, by mean-field sweeps.

The Potts field of Besag 1986 (J R Stat Soc B 48:259), solved as by Zhang 1992 (IEEE Trans Signal
Process 40:2570).
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import unrolled

__all__ = ["smooth_labels"]

Floats = npt.NDArray[np.float32]

SWEEPS = 4

CERTAIN = np.float32(0.999)
"""Voxels above this probability stay: six neighbours change odds by a factor of e at 1 mm."""

LOG_2, LOG2_E, MOST = np.float32(np.log(2.0)), np.float32(1.0 / np.log(2.0)), np.float32(80.0)
SERIES = tuple(np.float32(1.0 / math.factorial(n)) for n in range(6, -1, -1))


def smooth_labels(
    posteriors: Floats,
    voxel_sizes_mm: npt.NDArray[np.float64],
    strength: float,
    *,
    out: Floats | None = None,
) -> Floats:
    """Weigh every voxel's tissue probabilities by those of its six neighbours.

    Mean-field solution of a Potts field: ``q_k ∝ p_k exp(strength / 6 Σ_n q_nk / d_n²)``,
    with d the distance of the neighbour in mm.

    Parameters
    ----------
    posteriors
        Shape (X, Y, Z, K), probabilities without the field.
    strength
        Weight of six like neighbours at 1 mm.
    out
        Where the result is written; `posteriors` itself, to save memory, or a new array.

    Returns
    -------
    ndarray
        Same shape. Voxels are updated in two interleaved halves, so that the result depends
        neither on order nor on the number of threads.
    """
    result = posteriors.copy() if out is None else out
    if result is not posteriors:
        result[...] = posteriors
    if strength > 0.0:
        pull = (strength / 6.0 / voxel_sizes_mm**2).astype(np.float32)
        _sweeps(result, pull, CERTAIN, SWEEPS, unrolled(posteriors.shape[3]))
    return result


@numba.njit(cache=True, parallel=True)
def _sweeps(q, pull, certain, sweeps, each):  # type: ignore[no-untyped-def]
    """Update every undecided voxel of `q` in place, `sweeps` times, one half after the other.

    The halves of all sweeps follow each other through the image, each two planes behind the one
    before, which then has updated all neighbours and will not come back. So they do not wait for
    each other, every plane is read from memory once, and the probabilities without the field are
    kept of the planes that are under way only.
    """
    nx, ny, nz, _ = q.shape
    halves = 2 * sweeps
    kept = 2 * halves + 1
    evidence = np.empty((kept, ny, nz, len(each)), np.float32)
    undecided = np.empty((kept, ny, nz), np.bool_)
    for front in range(nx + 2 * halves):
        for row in numba.prange((halves + 1) * ny):
            half, j = row // ny, row % ny
            i = front - 2 * half
            if not 0 <= i < nx:
                continue
            own, open_ = evidence[i % kept, j], undecided[i % kept, j]
            if half == 0:
                _keep(q[i, j], certain, own, open_, each)
            else:
                _update(q, i, j, half - 1, pull, own, open_, each)


@numba.njit(cache=True, fastmath=True)
def _exp(x):  # type: ignore[no-untyped-def]
    """Power e^x in single precision, 0 ≤ x ≤ 80, in operations that a processor does in parallel.

    2^n e^f with n the whole number nearest to x / log 2. For |f| ≤ ½ log 2 the Taylor series to
    the sixth power is right to the last place, and 2^n is n in the bits of the exponent.
    """
    n = np.floor(min(x, MOST) * LOG2_E + np.float32(0.5))
    f = min(x, MOST) - n * LOG_2
    series = SERIES[0]
    for factor in SERIES[1:]:
        series = series * f + factor
    return series * np.int32((np.int32(n) + np.int32(127)) << 23).view(np.float32)


@numba.njit(cache=True)
def _keep(row, certain, evidence, undecided, each):  # type: ignore[no-untyped-def]
    """Copy a row of voxels, and mark those none of whose classes reaches `certain`."""
    for k in range(len(row)):
        most = np.float32(0.0)
        for c in range(len(each)):
            evidence[k, c] = row[k, c]
            most = max(most, row[k, c])
        undecided[k] = most < certain


@numba.njit(cache=True, fastmath=True)
def _update(q, i, j, half, pull, evidence, undecided, each):  # type: ignore[no-untyped-def]
    """Update every second voxel of a row; none of them is a neighbour of another.

    Beyond the border there is nobody: the voxel itself, with a weight of zero.
    """
    nx, ny, nz, _ = q.shape
    zero = np.float32(0.0)
    to_before, to_after = pull[0] if i > 0 else zero, pull[0] if i + 1 < nx else zero
    to_left, to_right = pull[1] if j > 0 else zero, pull[1] if j + 1 < ny else zero
    row, before, after = q[i, j], q[max(i - 1, 0), j], q[min(i + 1, nx - 1), j]
    left, right = q[i, max(j - 1, 0)], q[i, min(j + 1, ny - 1)]
    for k in range((i + j + half) % 2, nz, 2):
        if not undecided[k]:
            continue
        to_down, to_up = pull[2] if k > 0 else zero, pull[2] if k + 1 < nz else zero
        own, down, up = row[k], row[max(k - 1, 0)], row[min(k + 1, nz - 1)]
        total = zero
        for c in range(len(each)):
            vote = to_before * before[k, c] + to_after * after[k, c]
            vote += to_left * left[k, c] + to_right * right[k, c]
            vote += to_down * down[c] + to_up * up[c]
            own[c] = evidence[k, c] * _exp(vote)
        for c in range(len(each)):
            total += own[c]
        for c in range(len(each)):
            own[c] /= total
