"""The intensity inhomogeneity of Ashburner & Friston (2005), section on bias.

The logarithm of the correcting field is a sum of low-frequency cosines. Its coefficients are
found by Gauss-Newton steps on the mixture's likelihood, in which the field also appears as the
Jacobian of the intensity change: without that term the field would shrink the image to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import unrolled
from falx.anatomy.samples import Samples
from falx.anatomy.segmentation.mixture import LEVELS, Mixture, level_of
from falx.core.grid import Grid
from falx.core.threads import CHUNKS
from falx.images.smooth import FWHM_PER_SIGMA

__all__ = ["BiasField", "flat_bias", "improve_bias"]

Vector = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BiasField:
    """Logarithm of the correcting field as a sum of cosines over an image's field of view.

    Parameters
    ----------
    coefficients
        Shape (A, B, C).
    extent
        Image shape in voxels over which the cosines run.
    voxel_sizes_mm
        Of the image.
    """

    coefficients: Vector
    extent: tuple[int, int, int]
    voxel_sizes_mm: Vector

    def bases(self, stride: tuple[int, int, int], shape: tuple[int, ...]) -> list[Vector]:
        """Cosines along each axis at every `stride`-th voxel, three arrays (nodes, order)."""
        result = []
        for axis in range(3):
            voxel = np.arange(shape[axis]) * stride[axis]
            order = np.arange(self.coefficients.shape[axis])
            phase = np.pi * (voxel[:, None] + 0.5) * order / self.extent[axis]
            result.append(np.cos(phase))
        return result

    def log_field(self, stride: tuple[int, int, int], shape: tuple[int, ...]) -> Floats:
        """Logarithm of the correcting field at every `stride`-th voxel, shape `shape`."""
        x, y, z = self.bases(stride, shape)
        field = np.tensordot(x, self.coefficients, axes=1)
        field = np.einsum("xbc,yb->xyc", field, y)
        return np.asarray(field.astype(np.float32) @ z.T.astype(np.float32))

    def precision(self, fwhm_mm: float, regularisation: float) -> Vector:
        """Prior precision of every coefficient, shape (A, B, C).

        The log field is taken as white noise smoothed by a Gaussian of `fwhm_mm`, whose power
        falls with frequency as exp(-w² s²). White noise of precision `regularisation` per mm³
        has, on a cosine, a coefficient whose precision is that times the integral of the
        squared cosine over the field of view.
        """
        width = fwhm_mm / FWHM_PER_SIGMA
        squares, integrals = [], []
        for n, extent, size in zip(
            self.coefficients.shape, self.extent, self.voxel_sizes_mm, strict=True
        ):
            squares.append((np.pi * np.arange(n) / (extent * size)) ** 2)
            integrals.append(extent * size * np.where(np.arange(n) == 0, 1.0, 0.5))
        total = squares[0][:, None, None] + squares[1][:, None] + squares[2]
        mm3 = integrals[0][:, None, None] * integrals[1][:, None] * integrals[2]
        return np.asarray(regularisation * mm3 * np.exp(np.minimum(total * width**2, 60.0)))


def flat_bias(grid: Grid, fwhm_mm: float) -> BiasField:
    """Field without any correction, with as many cosines as `fwhm_mm` allows."""
    extent_mm = np.array(grid.shape) * grid.voxel_sizes_mm
    orders = np.maximum(1, np.ceil(2.0 * extent_mm / fwhm_mm)).astype(int)
    return BiasField(np.zeros(tuple(orders)), grid.shape, grid.voxel_sizes_mm)


def improve_bias(
    field: BiasField,
    samples: Samples,
    priors: Floats,
    mixture: Mixture,
    *,
    fwhm_mm: float,
    regularisation: float,
) -> BiasField:
    """Take one Gauss-Newton step with a line search; keep the field if no step helps.

    Parameters
    ----------
    priors
        Shape (n, K), prior probabilities at the samples.
    """
    shape = samples.grid.shape
    precision = field.precision(fwhm_mm, regularisation)
    log_field = samples.of(field.log_field(samples.stride, shape))
    tables, per_intensity = _tables(mixture)
    arguments = (samples.values, priors, tables, per_intensity, unrolled(priors.shape[1]))
    energy, slope, curvature = _bias_terms(log_field, *arguments)
    step = _newton_step(field, samples, slope, curvature, precision)
    before = float(energy.sum()) + _penalty(field.coefficients, precision)
    for scale in (1.0, 0.5, 0.25, 0.125):
        trial = BiasField(field.coefficients - scale * step, field.extent, field.voxel_sizes_mm)
        log_field = samples.of(trial.log_field(samples.stride, shape))
        energy = _bias_energy(log_field, *arguments)
        if float(energy.sum()) + _penalty(trial.coefficients, precision) < before:
            return trial
    return field


def _penalty(coefficients: Vector, precision: Vector) -> float:
    return 0.5 * float(np.sum(precision * coefficients**2))


def _newton_step(
    field: BiasField, samples: Samples, slope: Floats, curvature: Floats, precision: Vector
) -> Vector:
    """Solve for the step of all coefficients; the constant is left to the mixture."""
    x, y, z = field.bases(samples.stride, samples.grid.shape)
    dense = np.zeros(samples.grid.shape)
    dense.ravel()[samples.places] = slope
    gradient = _project(dense, x, y, z) + precision * field.coefficients
    dense.ravel()[samples.places] = curvature
    pairs = [np.einsum("na,nb->nab", b, b).reshape(len(b), -1) for b in (x, y, z)]
    a, b, c = field.coefficients.shape
    blocks = _project(dense, *pairs).reshape(a, a, b, b, c, c)
    hessian = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(a * b * c, a * b * c)
    hessian = hessian + np.diag(precision.ravel())
    step = np.zeros(a * b * c)
    step[1:] = np.linalg.solve(hessian[1:, 1:], gradient.ravel()[1:])
    return step.reshape(a, b, c)


def _project(dense: Vector, x: Vector, y: Vector, z: Vector) -> Vector:
    """Sum of a volume times separable functions."""
    along_z = dense @ z
    along_y = np.einsum("xyc,yb->xbc", along_z, y, optimize=True)
    return np.asarray(np.tensordot(x, along_y, axes=(0, 0)))


def _tables(mixture: Mixture) -> tuple[Floats, float]:
    """Density, its pull and its stiffness per class, shape (3, LEVELS, K)."""
    density = mixture.densities()
    away = mixture.levels - mixture.means[:, None]
    precision = 1.0 / mixture.variances[:, None]
    rows = [density, density * away * precision, density * precision]
    tables = np.stack([mixture.by_class(row).T for row in rows])
    tables[0] += 1e-9 / mixture.top
    return np.ascontiguousarray(tables, dtype=np.float32), (LEVELS - 1) / mixture.top


@numba.njit(cache=True, fastmath=True)
def _read(table, prior, level, rest, each):  # type: ignore[no-untyped-def]
    """Σ_k t_k of a table (LEVELS, K), linear between two levels."""
    low, high = table[level], table[level + 1]
    total = np.float32(0.0)
    for k in range(len(each)):
        total += prior[k] * (low[k] + rest * (high[k] - low[k]))
    return total


@numba.njit(cache=True, parallel=True, fastmath=True)
def _bias_energy(log_field, values, priors, tables, per_intensity, each):  # type: ignore[no-untyped-def]
    """-Σ [log Σ_k t_k p_k(ρ y) + log ρ], ρ = exp(log field), by chunk; see the module."""
    n = len(priors)
    energy = np.zeros(CHUNKS)
    for chunk in numba.prange(CHUNKS):
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            value = values[s] * np.exp(log_field[s])
            level, rest = level_of(value, per_intensity, tables.shape[1])
            energy[chunk] -= np.log(_read(tables[0], priors[s], level, rest, each)) + log_field[s]
    return energy


@numba.njit(cache=True, parallel=True, fastmath=True)
def _bias_terms(log_field, values, priors, tables, per_intensity, each):  # type: ignore[no-untyped-def]
    """Energy by chunk; slope and curvature of every sample for the log field."""
    n = len(priors)
    energy = np.zeros(CHUNKS)
    slope = np.empty(n, np.float32)
    curvature = np.empty(n, np.float32)
    for chunk in numba.prange(CHUNKS):
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            value = values[s] * np.exp(log_field[s])
            level, rest = level_of(value, per_intensity, tables.shape[1])
            density = _read(tables[0], priors[s], level, rest, each)
            pull = _read(tables[1], priors[s], level, rest, each)
            stiffness = _read(tables[2], priors[s], level, rest, each)
            # d/d(log rho) of -log rho - log p(rho y), and its Gauss-Newton curvature.
            energy[chunk] -= np.log(density) + log_field[s]
            slope[s] = pull / density * value - np.float32(1.0)
            curvature[s] = stiffness / density * value * value + np.float32(1.0)
    return energy, slope, curvature
