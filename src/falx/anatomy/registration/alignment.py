"""Affine alignment of a head of unknown contrast to the tissue priors.

The intensity histogram of every class is estimated together with the map, so that no contrast
is assumed: the objective is the likelihood of the binned intensities under
``p(bin | x) = sum_k t_k(A x) h_k(bin)``, which is a mutual information between bins and prior
classes (D'Agostino, Maes, Vandermeulen & Suetens 2004, "An information theoretic approach for
non-rigid image registration using voxel class probabilities").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import TISSUES, TissuePriors, coarsened, prior_and_slope_at, unrolled
from falx.anatomy.registration.affine import AffineModel, SizePrior
from falx.anatomy.samples import Samples, block_means
from falx.core.grid import apply_affine
from falx.core.threads import CHUNKS
from falx.images.nifti import Image

__all__ = ["Alignment", "align"]

Vector = npt.NDArray[np.float64]

BINS = 48
FINAL_SAMPLING_MM = 5.0
STARTS_KEPT = 4
SIZES = (0.0, 0.1, 0.2, -0.1)
"""Logarithms of the sizes, relative to the expected one, from which the last refinement starts."""

TRIED_STEPS, STEPS = 6, 30
CLEARLY = 1e-4
"""Nats per sample by which a start must end lower than an earlier one to be preferred: ends in the
same minimum differ by rounding alone, which must not choose among them."""

SPREAD_BINS = 1.5
"""Standard deviation by which histograms are smoothed."""

AT_ONCE = 8
"""Likelihoods that are multiplied before a logarithm is taken; none is below 1e-10."""

HEAD_HEIGHT_MM = 170.0
ROTATIONS_RAD = 0.35 * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])
OFFSETS_MM = np.array([[0, 0, 0], [0, 0, 30], [0, 0, -30], [0, 25, 0], [0, -25, 0]], dtype=float)


def _smoothing() -> Vector:
    """Matrix (BINS, BINS) that smooths a row of counts, reflected at both ends."""
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / SPREAD_BINS) ** 2)
    padded = np.pad(np.eye(BINS), ((0, 0), (4, 4)), mode="reflect")
    rows = [np.convolve(row, kernel / kernel.sum(), mode="valid") for row in padded]
    return np.stack(rows)


_SMOOTHING = _smoothing()


@dataclass(frozen=True, eq=False)
class Alignment:
    """Result of :func:`align`.

    Parameters
    ----------
    affine
        4×4, native mm to template mm.
    information
        Gain of log-likelihood over intensities without priors, nats per sample.
    starts
        Number of starting points that were compared.
    """

    affine: Vector
    information: float
    starts: int


@dataclass(frozen=True, eq=False)
class _Objective:
    """Negative log-likelihood of the affine parameters on one set of samples."""

    bins: npt.NDArray[np.uint8]
    samples: Samples
    priors: TissuePriors
    model: AffineModel
    size: SizePrior | None
    passes: int

    def at(self, p: Vector) -> tuple[float, Vector, Vector]:
        """Energy, slope (12,) and Gauss-Newton curvature (12, 12) at parameters `p`."""
        to_prior = np.linalg.inv(self.priors.affine) @ self.model.matrix(p)
        matrix = to_prior @ self.samples.grid.affine
        each = unrolled(len(TISSUES))
        shape = self.samples.grid.shape
        priors, rises = _priors_and_slopes(shape, matrix, self.priors.probabilities, each)
        tables = np.full((BINS, len(TISSUES)), 1.0 / BINS, dtype=np.float32)
        for _ in range(self.passes):
            counts = _counts(self.bins, priors, tables, each).sum(axis=0)
            tables = np.ascontiguousarray(_histograms(counts.T).T)
        terms = _likelihood_terms(shape, self.bins, priors, rises, tables, each)
        energy, slope, curvature = (part.sum(axis=0) for part in terms)
        energy = float(energy)
        jacobian = self._chain(p)
        slope = jacobian @ slope
        curvature = jacobian @ curvature @ jacobian.T
        if self.size is not None:
            extra, pull, stiffness = self.size.energy(p[6:])
            energy += extra
            slope[6:] += pull
            curvature[np.arange(6, 12), np.arange(6, 12)] += stiffness
        return energy, slope, curvature

    def information(self, p: Vector) -> float:
        """Gain of log-likelihood over one class for all voxels, nats per sample.

        Both sides are smoothed alike and neither holds the expectation on size, so that no
        gain is zero whatever the histogram.
        """
        likelihood = replace(self, size=None).at(p)[0]
        counts = np.bincount(self.bins, minlength=BINS).astype(np.float64)
        alone = -float(counts @ np.log(_histograms(counts[None])[0]))
        return (alone - likelihood) / len(self.bins)

    def _chain(self, p: Vector) -> Vector:
        """Differentiate the entries of the node-to-prior matrix by every parameter."""
        linear = np.linalg.inv(self.priors.affine)[:3, :3]
        slopes = self.model.slopes(p)
        homogeneous = np.concatenate([slopes, np.zeros((12, 1, 4))], axis=1)
        chained = homogeneous @ self.samples.grid.affine
        return np.asarray(np.einsum("ij,pjk->pik", linear, chained[:, :3]).reshape(12, 12))


def align(
    image: Image,
    priors: TissuePriors,
    size: SizePrior | None,
    *,
    sizes: Sequence[float] = SIZES,
) -> Alignment:
    """Find the affine map from an image to the priors, from any plausible starting position.

    Parameters
    ----------
    image
        Whole head (or brain-extracted), RAS+, any positive contrast.
    priors
        Tissue priors in template space.
    size
        Expected stretch, or none.
    sizes
        Logarithms of the zooms, relative to the expected one, from which the last refinement
        starts too.

    Notes
    -----
    Thirty-five starts or more (the header's origin and the centre of the head, each turned and
    shifted) are compared at 8 mm with broad priors; the best four are followed, and the best
    of these is refined at 5 mm with all twelve parameters, a few steps from its own size and from
    each of `sizes`, then to the end from the best of them. Under broad priors some heads fit best
    at a size that is a tenth or more too large, from where sharper priors do not find back: 3 of
    the 14 heads of the leave-one-out study from the expected size, and a head much smaller than
    the template (zooms of 17, 20 and 25 %) from none but the largest size.
    """
    broad, fine = coarsened(priors, 4, 12.0), coarsened(priors, 2, 4.0)
    model, starts = _starting_points(image, priors, size)
    coarse = _objective(image, 8.0, broad, model, size, passes=1)
    ranked = sorted(starts, key=lambda p: coarse.at(p)[0])[:STARTS_KEPT]
    followed = [_minimise(coarse, p, steps=25, free=12) for p in ranked]
    best = min(followed, key=lambda result: result[1])[0]
    final = _objective(image, FINAL_SAMPLING_MM, fine, model, size, passes=2)
    zoom = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    resized = [np.concatenate([best[:6], starts[0][6:] + s * zoom]) for s in sizes]
    tried = [_minimise(final, p, steps=TRIED_STEPS, free=12) for p in (best, *resized)]
    chosen = _lowest(tried, CLEARLY * len(final.bins))
    p, _ = _minimise(final, chosen, steps=STEPS, free=12)
    return Alignment(model.matrix(p), final.information(p), len(starts))


def _lowest(tried: Sequence[tuple[Vector, float]], margin: float) -> Vector:
    """Parameters of the first of those whose energy is within a margin of the lowest one."""
    least = min(energy for _, energy in tried)
    return next(p for p, energy in tried if energy <= least + margin)


def _objective(
    image: Image,
    sampling_mm: float,
    priors: TissuePriors,
    model: AffineModel,
    size: SizePrior | None,
    *,
    passes: int,
) -> _Objective:
    samples = block_means(image, sampling_mm)
    top = float(np.percentile(samples.values, 99.5))
    scaled = np.clip(samples.values / max(top, 1e-12), 0.0, 1.0)
    bins = np.minimum(scaled * BINS, BINS - 1).astype(np.uint8)
    return _Objective(bins, samples, priors, model, size, passes)


def _starting_points(
    image: Image, priors: TissuePriors, size: SizePrior | None
) -> tuple[AffineModel, list[Vector]]:
    brain = priors.probabilities[..., 0] + priors.probabilities[..., 1]
    template_mm = _centroid_mm(brain, priors.affine)
    native_mm = _head_centre_mm(image)
    model = AffineModel(native_mm, template_mm)
    stretch = np.zeros(6) if size is None else size.mean
    header_offset = (native_mm - template_mm)[None, :]
    offsets = np.vstack([OFFSETS_MM, header_offset])
    starts = [
        np.concatenate([offset, rotation, stretch])
        for offset in offsets
        for rotation in ROTATIONS_RAD
    ]
    return model, starts


def _head_centre_mm(image: Image) -> Vector:
    """Centre of the head's upper 17 cm: the neck must not pull the start downwards."""
    samples = block_means(image, 6.0)
    points = apply_affine(samples.grid.affine, samples.nodes)
    bright = samples.values > 0.5 * samples.values.mean()
    top = float(np.percentile(points[bright, 2], 99.5)) if bright.any() else np.inf
    upper = bright & (points[:, 2] > top - HEAD_HEIGHT_MM)
    return np.asarray(points[upper if upper.any() else slice(None)].mean(axis=0))


def _centroid_mm(weight: npt.NDArray[np.floating], affine: Vector) -> Vector:
    total = float(weight.sum())
    centre = [
        float((weight.sum(axis=tuple(a for a in range(3) if a != axis)) * np.arange(n)).sum())
        for axis, n in enumerate(weight.shape)
    ]
    return apply_affine(affine, np.array(centre) / total)


def _minimise(
    objective: _Objective, start: Vector, *, steps: int, free: int
) -> tuple[Vector, float]:
    """Levenberg-Marquardt descent."""
    p, damping = start.copy(), 1e-3
    energy, slope, curvature = objective.at(p)
    for _ in range(steps):
        h = curvature[:free, :free]
        step = np.zeros_like(p)
        step[:free] = np.linalg.solve(h + damping * np.diag(np.diag(h) + 1e-9), slope[:free])
        trial = objective.at(p - step)
        if trial[0] < energy:
            gain = energy - trial[0]
            p, (energy, slope, curvature) = p - step, trial
            damping = max(damping * 0.2, 1e-6)
            if gain < 1e-6 * len(objective.bins):
                break
        else:
            damping *= 10.0
            if damping > 1e4:
                break
    return p, energy


def _histograms(counts: Vector) -> npt.NDArray[np.float32]:
    """Smoothed intensity distribution of every class, rows summing to one."""
    smooth = counts @ _SMOOTHING
    smooth += 1e-3 * smooth.sum(axis=1, keepdims=True) / BINS + 1e-6
    return np.asarray(smooth / smooth.sum(axis=1, keepdims=True), dtype=np.float32)


@numba.njit(cache=True, parallel=True)
def _priors_and_slopes(shape, matrix, probabilities, each):  # type: ignore[no-untyped-def]
    """Priors (n, K) of every node of a grid, and their slopes (n, 3, K) per prior voxel."""
    nx, ny, nz = shape
    priors = np.empty((nx * ny * nz, len(each)), np.float32)
    rises = np.empty((nx * ny * nz, 3, len(each)), np.float32)
    for column in numba.prange(nx * ny):
        a, b = column // ny, column % ny
        for c in range(nz):
            x = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
            y = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
            z = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
            s = column * nz + c
            prior_and_slope_at(probabilities, each, x, y, z, priors[s], rises[s])
    return priors, rises


@numba.njit(cache=True, parallel=True)
def _counts(bins, priors, tables, each):  # type: ignore[no-untyped-def]
    """Sum every class's share of the samples in every bin, by chunk, shape (…, BINS, K)."""
    n = len(bins)
    counts = np.zeros((CHUNKS, BINS, len(each)))
    for chunk in numba.prange(CHUNKS):
        joint = np.empty(len(each))
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            prior, table, count = priors[s], tables[bins[s]], counts[chunk, bins[s]]
            total = 0.0
            for k in range(len(each)):
                joint[k] = prior[k] * table[k]
            for k in range(len(each)):
                total += joint[k]
            share = 1.0 / total
            for k in range(len(each)):
                count[k] += joint[k] * share
    return counts


@numba.njit(cache=True, parallel=True)
def _likelihood_terms(shape, bins, priors, rises, tables, each):  # type: ignore[no-untyped-def]
    """Sum energy, slope and curvature for the matrix entries, by chunk.

    A node (a, b, c) pushes entry (i, e) by p_i w_e with w = (a, b, c, 1). Along a column only c
    changes, so that sums of p_i c^m and of p_i p_j c^m are enough until its end.
    """
    nx, ny, nz = shape
    energy = np.zeros(CHUNKS)
    slope = np.zeros((CHUNKS, 12))
    curvature = np.zeros((CHUNKS, 12, 12))
    for chunk in numba.prange(CHUNKS):
        push = np.empty(3)
        for column in range(chunk * nx * ny // CHUNKS, (chunk + 1) * nx * ny // CHUNKS):
            first, second, product = np.zeros((2, 3)), np.zeros((3, 3, 3)), 1.0
            for c in range(nz):
                s = column * nz + c
                product *= _push(priors[s], rises[s], tables[bins[s]], push, each)
                if c % AT_ONCE == 0:
                    energy[chunk] -= np.log(product)
                    product = 1.0
                for i in range(3):
                    first[0, i] += push[i]
                    first[1, i] += push[i] * c
                    for j in range(i + 1):
                        both = push[i] * push[j]
                        second[0, i, j] += both
                        second[1, i, j] += both * c
                        second[2, i, j] += both * c * c
            energy[chunk] -= np.log(product)
            _spread(column // ny, column % ny, first, second, slope[chunk], curvature[chunk])
    return energy, slope, curvature


@numba.njit(cache=True)
def _push(prior, rise, table, push, each):  # type: ignore[no-untyped-def]
    """Σ t_k h_k of a sample; the negative slope of its logarithm goes to `push` (3,)."""
    total, x, y, z = 0.0, 0.0, 0.0, 0.0
    for k in range(len(each)):
        total += prior[k] * table[k]
        x -= table[k] * rise[0, k]
        y -= table[k] * rise[1, k]
        z -= table[k] * rise[2, k]
    push[0], push[1], push[2] = x / total, y / total, z / total
    return total


@numba.njit(cache=True)
def _spread(a, b, first, second, slope, curvature):  # type: ignore[no-untyped-def]
    """Add the sums of a column to the slope (12,) and the curvature (12, 12)."""
    outer = (float(a), float(b), 1.0, 1.0)
    for i in range(3):
        for e in range(4):
            slope[4 * i + e] += outer[e] * first[int(e == 2), i]
            for j in range(3):
                for f in range(4):
                    power = int(e == 2) + int(f == 2)
                    product = second[power, max(i, j), min(i, j)]
                    curvature[4 * i + e, 4 * j + f] += outer[e] * outer[f] * product
