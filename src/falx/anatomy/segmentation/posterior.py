"""Tissue probabilities of every voxel, once the model is fitted.

Bayes' rule with the fitted mixture of Ashburner & Friston 2005 (NeuroImage 26:839).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import TissuePriors, locate, prior_at, unrolled
from falx.anatomy.segmentation.fitting import Fit
from falx.anatomy.segmentation.mixture import density_table, level_of
from falx.core.grid import Grid

__all__ = ["Posteriors", "displacement_at", "posteriors", "to_template_mm"]

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

BRAIN_PRIOR = 0.02


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Tissue probabilities before the Markov random field.

    Parameters
    ----------
    inner
        Shape (x, y, z, 6), float32, within `box`; they sum to one.
    box
        Part of the image that can hold brain, as three slices.
    classes
        Shape (X, Y, Z), uint8: the most probable class of every voxel of the image.
    """

    inner: Floats
    box: tuple[slice, slice, slice]
    classes: npt.NDArray[np.uint8]


def posteriors(
    corrected: Floats,
    mask: npt.NDArray[np.bool_],
    fit: Fit,
    priors: TissuePriors,
    to_prior: Vector,
) -> Posteriors:
    """Evaluate the fitted model at every voxel.

    Parameters
    ----------
    corrected
        Shape (X, Y, Z), bias-corrected intensities.
    mask
        Voxels with a measured intensity; the others are air.
    to_prior
        4×4, from voxel indices to prior voxels, without displacement.
    """
    box = _brain_box(fit, priors, to_prior, corrected.shape)
    low = np.array([s.start for s in box])
    high = np.array([s.stop for s in box])
    table = density_table(fit.mixture)
    pull = to_prior[:3, :3] * np.array(fit.stride) / fit.grid.voxel_sizes_mm
    inner, classes = _evaluate(
        corrected,
        mask,
        fit.displacement_mm,
        np.array(fit.stride, dtype=np.float64),
        to_prior,
        pull,
        priors.probabilities,
        table.values,
        table.per_intensity,
        low,
        high,
        unrolled(priors.probabilities.shape[3]),
    )
    return Posteriors(inner, box, classes)


def _brain_box(
    fit: Fit, priors: TissuePriors, to_prior: Vector, shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """Bounding box, in voxels, of the nodes where the brain's priors are not negligible."""
    stride = np.array(fit.stride)
    nodes = np.stack(np.meshgrid(*map(np.arange, fit.grid.shape), indexing="ij"), axis=-1)
    voxels = nodes * stride + fit.displacement_mm / (fit.grid.voxel_sizes_mm / stride)
    where = voxels @ to_prior[:3, :3].T + to_prior[:3, 3]
    index = np.rint(where).astype(int)
    last = np.array(priors.grid.shape) - 1
    at_nodes = priors.probabilities[tuple(np.moveaxis(np.clip(index, 0, last), -1, 0))]
    found = np.argwhere(at_nodes[..., :3].sum(axis=-1) > BRAIN_PRIOR)
    if len(found) == 0:
        found = np.zeros((1, 3), dtype=int)
    low = np.maximum(found.min(axis=0) - 1, 0) * stride
    high = np.minimum((found.max(axis=0) + 2) * stride, np.array(shape[:3]))
    return (
        slice(int(low[0]), int(high[0])),
        slice(int(low[1]), int(high[1])),
        slice(int(low[2]), int(high[2])),
    )


def to_template_mm(displacement_mm: Floats, grid: Grid, affine: Vector) -> Floats:
    """Template coordinates of every node of the sample grid, shape (X, Y, Z, 3), mm."""
    axes = grid.affine[:3, :3] / grid.voxel_sizes_mm
    moved = grid.centres_mm() + displacement_mm @ axes.T
    return np.asarray(moved @ affine[:3, :3].T + affine[:3, 3], dtype=np.float32)


@numba.njit(cache=True)
def displacement_at(field, x, y, z, out):  # type: ignore[no-untyped-def]
    """Trilinear displacement at node position (x, y, z), written to `out` (3,)."""
    i, u, _ = locate(x, field.shape[0])
    j, v, _ = locate(y, field.shape[1])
    k, w, _ = locate(z, field.shape[2])
    for c in range(3):
        out[c] = 0.0
    for di in range(2):
        for dj in range(2):
            for dk in range(2):
                weight = (u if di else 1 - u) * (v if dj else 1 - v) * (w if dk else 1 - w)
                for c in range(3):
                    out[c] += weight * field[i + di, j + dj, k + dk, c]


@numba.njit(cache=True)
def _column(field, x, y, out):  # type: ignore[no-untyped-def]
    """Displacements at every node along z of the place (x, y), written to `out` (Z, 3)."""
    i, u, _ = locate(x, field.shape[0])
    j, v, _ = locate(y, field.shape[1])
    one = np.float32(1.0)
    p, q, r, s = (one - u) * (one - v), (one - u) * v, u * (one - v), u * v
    a, b, d, e = field[i, j], field[i, j + 1], field[i + 1, j], field[i + 1, j + 1]
    for k in range(len(out)):
        for c in range(3):
            out[k, c] = p * a[k, c] + q * b[k, c] + r * d[k, c] + s * e[k, c]


@numba.njit(cache=True, parallel=True, fastmath=True)
def _evaluate(  # type: ignore[no-untyped-def]  # noqa: PLR0913 - a kernel takes plain arrays
    corrected,
    mask,
    field,
    stride,
    matrix,
    pull,
    probabilities,
    densities,
    per_intensity,
    low,
    high,
    each,
):
    """Bayes' rule at every voxel: t_k(A x + P u) γ_k p_k(y) over its sum, and the best class."""
    nx, ny, nz = corrected.shape
    n_levels, last = densities.shape[0], len(each) - 1
    inner = np.empty((high[0] - low[0], high[1] - low[1], high[2] - low[2], len(each)), np.float32)
    label = np.full((nx, ny, nz), last, np.uint8)
    for a in numba.prange(nx):
        prior = np.empty(len(each), np.float32)
        joint = np.empty(len(each), np.float32)
        moves = np.empty((field.shape[2], 3), np.float32)
        for b in range(ny):
            _column(field, a / stride[0], b / stride[1], moves)
            crosses = low[0] <= a < high[0] and low[1] <= b < high[1]
            for c in range(nz):
                inside = crosses and low[2] <= c < high[2]
                if not mask[a, b, c]:
                    if inside:
                        own = inner[a - low[0], b - low[1], c - low[2]]
                        own[:] = 0.0
                        own[last] = 1.0
                    continue
                k, w, _ = locate(c / stride[2], len(moves))
                p = moves[k, 0] + w * (moves[k + 1, 0] - moves[k, 0])
                q = moves[k, 1] + w * (moves[k + 1, 1] - moves[k, 1])
                r = moves[k, 2] + w * (moves[k + 1, 2] - moves[k, 2])
                x = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
                y = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
                z = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
                x += pull[0, 0] * p + pull[0, 1] * q + pull[0, 2] * r
                y += pull[1, 0] * p + pull[1, 1] * q + pull[1, 2] * r
                z += pull[2, 0] * p + pull[2, 1] * q + pull[2, 2] * r
                prior_at(probabilities, each, x, y, z, prior)
                level, rest = level_of(corrected[a, b, c], per_intensity, n_levels)
                for k in range(len(each)):
                    below, above = densities[level, k], densities[level + 1, k]
                    joint[k] = (below + rest * (above - below)) * prior[k]
                total, best, most = np.float32(1e-30), last, np.float32(-1.0)
                for k in range(len(each)):
                    total += joint[k]
                    if joint[k] > most:
                        best, most = k, joint[k]
                label[a, b, c] = best
                if inside:
                    own = inner[a - low[0], b - low[1], c - low[2]]
                    for k in range(len(each)):
                        own[k] = joint[k] / total
    return inner, label
