"""The deformation that brings the priors onto the head.

Every node of the sample grid carries a displacement in mm along the image axes. A Gauss-Newton
step solves (H + L) d = g + L u by conjugate gradients, where g and H come from the slope of the
priors under the current mixture, and L is the elastic energy.

Ashburner & Friston 2005 (NeuroImage 26:839) with displacements in place of cosine warps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import TissuePriors, prior_and_slope_at, prior_at, unrolled
from falx.anatomy.registration.elastic import ElasticEnergy
from falx.anatomy.samples import Samples
from falx.core.threads import CHUNKS

__all__ = ["Found", "Warp", "improve_warp", "still", "warped_priors"]

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Spectrum = npt.NDArray[np.complex64]

CG_STEPS = 4
"""Always as many: a stop that rounding decides parts the results of two processors."""

DAMPING = 4.0
"""Curvature that is added everywhere, as a multiple of the mean one (Levenberg 1944, Quarterly of
Applied Mathematics 2:164). Trilinear priors have kinks, at which undamped steps go back and forth
and make micrometres of rounding into tenths of a millimetre."""

STEEPEST = 1.0
"""Largest slope of a sample's energy, nats per mm; a steeper one counts as this steep.

Where the class that the intensity speaks for has next to no prior, the slope of the logarithm is
hundreds per mm, over less than a voxel. One sample in a hundred was so steep, with squares a
million times the median's: conjugate gradients did not converge, and what came out after their
ten steps was decided by rounding (a millionth on the image moved an amygdala by 1.7 %)."""


@dataclass(frozen=True, eq=False)
class Found:
    """Prior probabilities `values` (n, K) at some samples, from some priors."""

    samples: Samples
    priors: TissuePriors
    values: Floats


@dataclass(frozen=True, eq=False)
class Warp:
    """Displacements on the periodic grid of an elastic energy.

    Parameters
    ----------
    displacement_mm
        Shape (3, PX, PY, PZ), along the image axes; the head fills the lower corner.
    to_prior
        4×4, from node indices of the sample grid to prior voxels, without displacement.
    spacing_mm
        Shape (3,), of the sample grid.
    found
        Priors that were read on the way here, so that they need not be read again.
    """

    displacement_mm: Floats
    to_prior: Vector
    spacing_mm: Vector
    found: Found | None = None

    @property
    def pull(self) -> Vector:
        """Prior voxels per mm of displacement, shape (3, 3)."""
        return np.asarray(self.to_prior[:3, :3] / self.spacing_mm)


def still(energy: ElasticEnergy, to_prior: Vector) -> Warp:
    """Warp without displacement."""
    field = np.zeros((3, *energy.padded), dtype=np.float32)
    return Warp(field, to_prior, energy.spacing_mm)


def warped_priors(warp: Warp, samples: Samples, priors: TissuePriors) -> Floats:
    """Prior probabilities at every sample, shape (n, K)."""
    known = warp.found
    if known is not None and known.samples is samples and known.priors is priors:
        return known.values
    each = unrolled(priors.probabilities.shape[3])
    arguments = (samples.nodes, warp.displacement_mm, warp.to_prior, warp.pull)
    return np.asarray(_warped(*arguments, priors.probabilities, each))


def improve_warp(
    warp: Warp,
    samples: Samples,
    evidence: Floats,
    shares: Vector,
    priors: TissuePriors,
    elastic: ElasticEnergy,
    *,
    factor: float,
) -> tuple[Warp, float]:
    """One Gauss-Newton step with a line search.

    Parameters
    ----------
    evidence
        Shape (n, K), share times likelihood of each class at every sample.
    shares
        Shape (K,), the global shares alone.
    factor
        Multiplies the elastic energy.

    Returns
    -------
    Warp
        The improved warp, or the old one if no step helps.
    float
        The decrease of the whole energy.
    """
    shares = shares.astype(np.float32)
    each = unrolled(priors.probabilities.shape[3])
    place = (warp.to_prior, warp.pull, priors.probabilities, each)
    arguments = (samples.nodes, evidence, shares, *place)
    data, slope, curvature = _warp_terms(warp.displacement_mm, *arguments)
    spectrum = elastic.to_spectrum(warp.displacement_mm)
    force = elastic.force(spectrum, factor)
    before = float(data.sum()) + 0.5 * elastic.dot(spectrum, force)
    step = _solve(elastic, curvature, elastic.to_spectrum(slope) + force, factor)
    cross, square = elastic.dot(step.spectrum, force), elastic.dot(step.spectrum, step.force)
    own = 0.5 * elastic.dot(spectrum, force)
    for scale in (1.0, 0.5, 0.25, 0.125):
        field = warp.displacement_mm - np.float32(scale) * step.field
        bent = own - scale * cross + 0.5 * scale**2 * square
        data, values = _warp_energy(field, *arguments)
        after = float(data.sum()) + bent
        if after < before:
            found = Found(samples, priors, values)
            return Warp(field, warp.to_prior, warp.spacing_mm, found), before - after
    return warp, 0.0


@dataclass(frozen=True, eq=False)
class _Step:
    """A change of the displacements: its spectrum, the elastic force of it, and the field."""

    spectrum: Spectrum
    force: Spectrum
    field: Floats


def _solve(elastic: ElasticEnergy, curvature: Floats, right: Spectrum, factor: float) -> _Step:
    """Preconditioned conjugate gradients for (H + damping + factor L) d = right."""
    mean = max(float(curvature[:3].mean()), 1e-6)
    curvature[:3] += np.float32(DAMPING * mean)
    stiffness = (1.0 + DAMPING) * mean
    step = _Step(np.zeros_like(right), np.zeros_like(right), np.zeros_like(curvature[:3]))
    residual, direction, strength = right, np.zeros_like(right), np.inf
    for _ in range(CG_STEPS):
        z = elastic.precondition(residual, factor, stiffness)
        last, strength = strength, elastic.dot(residual, z)
        if strength <= 0.0:
            break
        _add(z, strength / last, direction)
        direction = z
        field, force = elastic.to_field(direction), elastic.force(direction, factor)
        product = elastic.to_spectrum(_stretch(curvature, field))
        _add(product, 1.0, force)
        length = strength / elastic.dot(direction, product)
        for total, part in (
            (step.spectrum, direction),
            (step.force, force),
            (step.field, field),
        ):
            _add(total, length, part)
        _add(residual, -length, product)
    return step


def _add(total: Floats | Spectrum, scale: float, part: Floats | Spectrum) -> None:
    """Add `scale` times `part` to `total`, in place."""
    _add_scaled(total.view(np.float32), np.float32(scale), part.view(np.float32))


@numba.njit(cache=True, parallel=True)
def _add_scaled(total, scale, part):  # type: ignore[no-untyped-def]
    """In place, without an array between; both of shape (3, X, Y, Z)."""
    _, nx, ny, nz = total.shape
    for i in numba.prange(nx):
        for c in range(3):
            for j in range(ny):
                for k in range(nz):
                    total[c, i, j, k] += scale * part[c, i, j, k]


@numba.njit(cache=True, parallel=True)
def _stretch(curvature, field):  # type: ignore[no-untyped-def]
    """Symmetric 3×3 curvature (xx, yy, zz, xy, xz, yz) of every node times a field."""
    out = np.empty_like(field)
    _, nx, ny, nz = field.shape
    for i in numba.prange(nx):
        for j in range(ny):
            for k in range(nz):
                p, q, r = field[0, i, j, k], field[1, i, j, k], field[2, i, j, k]
                h = curvature[:, i, j, k]
                out[0, i, j, k] = h[0] * p + h[3] * q + h[4] * r
                out[1, i, j, k] = h[3] * p + h[1] * q + h[5] * r
                out[2, i, j, k] = h[4] * p + h[5] * q + h[2] * r
    return out


@numba.njit(cache=True)
def _place(node, field, matrix, pull):  # type: ignore[no-untyped-def]
    """Position A x + P u of a node x in prior voxels, u its displacement and P `pull`."""
    a, b, c = node[0], node[1], node[2]
    u, v, w = field[0, a, b, c], field[1, a, b, c], field[2, a, b, c]
    x = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
    y = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
    z = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
    x += pull[0, 0] * u + pull[0, 1] * v + pull[0, 2] * w
    y += pull[1, 0] * u + pull[1, 1] * v + pull[1, 2] * w
    z += pull[2, 0] * u + pull[2, 1] * v + pull[2, 2] * w
    return x, y, z


@numba.njit(cache=True, parallel=True)
def _warped(nodes, field, matrix, pull, probabilities, each):  # type: ignore[no-untyped-def]
    """Priors t_k(A x + P u(x)) at every sample x, shape (n, K)."""
    n = nodes.shape[0]
    out = np.empty((n, len(each)), np.float32)
    for chunk in numba.prange(CHUNKS):
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            x, y, z = _place(nodes[s], field, matrix, pull)
            prior_at(probabilities, each, x, y, z, out[s])
    return out


@numba.njit(cache=True, parallel=True)
def _warp_energy(field, nodes, evidence, shares, matrix, pull, probabilities, each):  # type: ignore[no-untyped-def]
    """-Σ log (Σ_k e_k t_k / Σ_k γ_k t_k) over the samples, by chunk, and their priors (n, K)."""
    n, classes = len(evidence), len(each)
    energy = np.zeros(CHUNKS)
    priors = np.empty((n, classes), np.float32)
    for chunk in numba.prange(CHUNKS):
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            x, y, z = _place(nodes[s], field, matrix, pull)
            prior = priors[s]
            prior_at(probabilities, each, x, y, z, prior)
            joint, whole = 1e-30, 0.0
            for k in range(classes):
                joint += evidence[s, k] * prior[k]
                whole += shares[k] * prior[k]
            energy[chunk] -= np.log(joint / whole)
    return energy, priors


@numba.njit(cache=True, parallel=True)
def _warp_terms(field, nodes, evidence, shares, matrix, pull, probabilities, each):  # type: ignore[no-untyped-def]
    """Energy by chunk, slope (3, …) and curvature (6, …) of the displacement at every node."""
    n, classes = len(evidence), len(each)
    energy = np.zeros(CHUNKS)
    slope = np.zeros(field.shape, np.float32)
    curvature = np.zeros((6, field.shape[1], field.shape[2], field.shape[3]), np.float32)
    for chunk in numba.prange(CHUNKS):
        prior = np.empty(classes, np.float32)
        rise = np.empty((3, classes), np.float32)
        g = np.empty(3)
        d = np.empty(3)
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            x, y, z = _place(nodes[s], field, matrix, pull)
            prior_and_slope_at(probabilities, each, x, y, z, prior, rise)
            joint, whole = 1e-30, 0.0
            for k in range(classes):
                joint += evidence[s, k] * prior[k]
                whole += shares[k] * prior[k]
            energy[chunk] -= np.log(joint / whole)
            for axis in range(3):
                g[axis] = 0.0
                for k in range(classes):
                    g[axis] -= (evidence[s, k] / joint - shares[k] / whole) * rise[axis, k]
            a, b, c = nodes[s, 0], nodes[s, 1], nodes[s, 2]
            for axis in range(3):
                d[axis] = pull[0, axis] * g[0] + pull[1, axis] * g[1] + pull[2, axis] * g[2]
            steep = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
            held = STEEPEST / max(steep, STEEPEST)
            for axis in range(3):
                d[axis] *= held
                slope[axis, a, b, c] = d[axis]
                curvature[axis, a, b, c] = d[axis] * d[axis]
            curvature[3, a, b, c] = d[0] * d[1]
            curvature[4, a, b, c] = d[0] * d[2]
            curvature[5, a, b, c] = d[1] * d[2]
    return energy, slope, curvature
