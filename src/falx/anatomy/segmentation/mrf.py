"""A Markov random field that makes neighbours agree, by mean-field sweeps.

The Potts field of Besag 1986 (J R Stat Soc B 48:259), solved as by Zhang 1992 (IEEE Trans Signal
Process 40:2570).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["smooth_labels"]

Floats = npt.NDArray[np.float32]

SWEEPS = 4

CERTAIN = np.float32(0.999)
"""Voxels above this probability stay: six neighbours change odds by a factor of e at 1 mm."""


def smooth_labels(
    posteriors: Floats, voxel_sizes_mm: npt.NDArray[np.float64], strength: float
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

    Returns
    -------
    ndarray
        Same shape. Voxels are updated in two interleaved halves, so that the result depends
        neither on order nor on the number of threads.
    """
    result = posteriors.copy()
    if strength == 0.0:
        return result
    pull = (strength / 6.0 / voxel_sizes_mm**2).astype(np.float32)
    undecided = _undecided(posteriors, CERTAIN)
    for _ in range(SWEEPS):
        for parity in (0, 1):
            _sweep(posteriors, result, undecided, parity, pull)
    return result


@numba.njit(cache=True, parallel=True)
def _undecided(posteriors, certain):  # type: ignore[no-untyped-def]
    """Mask of the voxels none of whose classes reaches `certain`."""
    nx, ny, nz, classes = posteriors.shape
    found = np.empty((nx, ny, nz), np.bool_)
    for i in numba.prange(nx):
        for j in range(ny):
            for k in range(nz):
                most = np.float32(0.0)
                for c in range(classes):
                    most = max(most, posteriors[i, j, k, c])
                found[i, j, k] = most < certain
    return found


@numba.njit(cache=True, fastmath=True)
def _vote(q, i, j, k, pull, vote):  # type: ignore[no-untyped-def]
    """Weighted sum of the neighbours' probabilities, written to `vote` (K,)."""
    nx, ny, nz, classes = q.shape
    for c in range(classes):
        vote[c] = 0.0
    for step in (-1, 1):
        if 0 <= i + step < nx:
            for c in range(classes):
                vote[c] += pull[0] * q[i + step, j, k, c]
        if 0 <= j + step < ny:
            for c in range(classes):
                vote[c] += pull[1] * q[i, j + step, k, c]
        if 0 <= k + step < nz:
            for c in range(classes):
                vote[c] += pull[2] * q[i, j, k + step, c]


@numba.njit(cache=True, parallel=True, fastmath=True)
def _sweep(evidence, q, undecided, parity, pull):  # type: ignore[no-untyped-def]
    """Update one half of the voxels; none of them is a neighbour of another."""
    nx, ny, nz, classes = q.shape
    for i in numba.prange(nx):
        vote = np.empty(classes, np.float32)
        for j in range(ny):
            for k in range((i + j + parity) % 2, nz, 2):
                if not undecided[i, j, k]:
                    continue
                _vote(q, i, j, k, pull, vote)
                total = np.float32(0.0)
                for c in range(classes):
                    vote[c] = evidence[i, j, k, c] * np.exp(vote[c])
                    total += vote[c]
                for c in range(classes):
                    q[i, j, k, c] = vote[c] / total
