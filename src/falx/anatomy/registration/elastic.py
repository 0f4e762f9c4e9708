"""The elastic energy of a displacement field, in the frequency domain.

The field lives on a periodic grid that is wider than the head, so that opposite borders do not
feel each other. There every penalty is a 3×3 matrix a(k) I + b k kᵀ per frequency, which is
applied and inverted in closed form (Sherman & Morrison).

Membrane, bending and linear elastic energies as in Ashburner 2007 (NeuroImage 38:95).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt
from scipy import fft

from falx.anatomy.settings import Penalties

__all__ = ["ElasticEnergy"]

Floats = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

MARGIN_NODES = 5


@dataclass(frozen=True, eq=False)
class ElasticEnergy:
    """Quadratic energy ½ uᵀ L u of displacements in mm.

    Parameters
    ----------
    shape
        Nodes that hold data; the periodic grid is wider.
    spacing_mm
        Shape (3,).
    penalties
        Weights per mm³.
    mm3_per_node
        Volume by which the weights are multiplied. Where samples are sparser than in the
        final fit it stays that of the final fit, so that the balance with the data holds.
    threads
        For the Fourier transforms, whose result does not depend on it.
    """

    shape: tuple[int, int, int]
    spacing_mm: npt.NDArray[np.float64]
    penalties: Penalties
    mm3_per_node: float
    threads: int

    @cached_property
    def padded(self) -> tuple[int, int, int]:
        """Shape of the periodic grid."""
        x, y, z = (int(fft.next_fast_len(n + MARGIN_NODES, real=True)) for n in self.shape)
        return x, y, z

    @cached_property
    def waves(self) -> tuple[Floats, Floats, Floats]:
        """Wave numbers 2 sin(πf) / h of each axis, shapes (X,), (Y,) and (Z // 2 + 1,), rad/mm."""
        x, y, z = self.padded
        frequencies = (fft.fftfreq(x), fft.fftfreq(y), fft.rfftfreq(z))
        numbers = [
            (2.0 * np.sin(np.pi * f) / h).astype(np.float32)
            for f, h in zip(frequencies, self.spacing_mm, strict=True)
        ]
        return numbers[0], numbers[1], numbers[2]

    @property
    def _waves_of_parts(self) -> tuple[Floats, Floats, Floats]:
        """As `waves`, the last one for real and imaginary parts in turn, shape (2 (Z // 2 + 1),).

        The penalties are real, so that they act on both parts alike.
        """
        x, y, z = self.waves
        return x, y, np.repeat(z, 2)

    @property
    def weights(self) -> Floats:
        """The five penalties times the volume of a node, shape (5,)."""
        p = self.penalties
        values = [p.absolute, p.membrane, p.bending, p.shear, p.divergence]
        return np.array(values, dtype=np.float32) * np.float32(self.mm3_per_node)

    def to_spectrum(self, field: Floats) -> Spectrum:
        """Transform a field of shape (3, X, Y, Z)."""
        return np.asarray(fft.rfftn(field, axes=(1, 2, 3), workers=self.threads, norm="ortho"))

    def to_field(self, spectrum: Spectrum) -> Floats:
        """Transform back to shape (3, X, Y, Z)."""
        return np.asarray(
            fft.irfftn(spectrum, s=self.padded, axes=(1, 2, 3), workers=self.threads, norm="ortho")
        )

    def force(self, spectrum: Spectrum, factor: float) -> Spectrum:
        """L u in the frequency domain, times `factor`."""
        weights = self.weights * np.float32(factor)
        parts = _apply(spectrum.view(np.float32), *self._waves_of_parts, weights)
        return np.asarray(parts.view(np.complex64))

    def precondition(self, spectrum: Spectrum, factor: float, stiffness: float) -> Spectrum:
        """Solve (factor L + stiffness I) u = spectrum."""
        weights = self.weights * np.float32(factor)
        parts = _solve(
            spectrum.view(np.float32), *self._waves_of_parts, weights, np.float32(stiffness)
        )
        return np.asarray(parts.view(np.complex64))

    def dot(self, a: Spectrum, b: Spectrum) -> float:
        """Inner product of two fields, from their half spectra."""
        counted = np.full(a.shape[3], 2.0, dtype=np.float32)
        counted[0] = 1.0
        if self.padded[2] % 2 == 0:
            counted[-1] = 1.0
        parts = a.view(np.float32), b.view(np.float32), np.repeat(counted, 2)
        return float(_half_dot(*parts).sum())


@numba.njit(cache=True)
def _symbol(square, weights):  # type: ignore[no-untyped-def]
    """Isotropic part a of a(k) I + b k kᵀ, from the square of k."""
    return weights[0] + square * (weights[1] + weights[3] + square * weights[2])


@numba.njit(cache=True, parallel=True)
def _apply(spectrum, wx, wy, wz, weights):  # type: ignore[no-untyped-def]
    """Apply a I + b k kᵀ at every frequency."""
    out = np.empty_like(spectrum)
    _, nx, ny, nz = spectrum.shape
    b = weights[3] + weights[4]
    for i in numba.prange(nx):
        for j in range(ny):
            x, y = wx[i], wy[j]
            u, v, w = spectrum[0, i, j], spectrum[1, i, j], spectrum[2, i, j]
            p, q, r = out[0, i, j], out[1, i, j], out[2, i, j]
            for k in range(nz):
                z = wz[k]
                a = _symbol(x * x + y * y + z * z, weights)
                along = b * (x * u[k] + y * v[k] + z * w[k])
                p[k] = a * u[k] + x * along
                q[k] = a * v[k] + y * along
                r[k] = a * w[k] + z * along
    return out


@numba.njit(cache=True, parallel=True)
def _solve(spectrum, wx, wy, wz, weights, stiffness):  # type: ignore[no-untyped-def]
    """Invert c I + b k kᵀ, c = a + stiffness: (u - b k kᵀu / (c + b k²)) / c (Sherman 1950)."""
    out = np.empty_like(spectrum)
    _, nx, ny, nz = spectrum.shape
    one, b = np.float32(1.0), weights[3] + weights[4]
    for i in numba.prange(nx):
        for j in range(ny):
            x, y = wx[i], wy[j]
            u, v, w = spectrum[0, i, j], spectrum[1, i, j], spectrum[2, i, j]
            p, q, r = out[0, i, j], out[1, i, j], out[2, i, j]
            for k in range(nz):
                z = wz[k]
                square = x * x + y * y + z * z
                c = _symbol(square, weights) + stiffness
                along = b * (x * u[k] + y * v[k] + z * w[k]) / (c + b * square)
                inverse = one / c
                p[k] = (u[k] - x * along) * inverse
                q[k] = (v[k] - y * along) * inverse
                r[k] = (w[k] - z * along) * inverse
    return out


@numba.njit(cache=True, parallel=True)
def _half_dot(a, b, counted):  # type: ignore[no-untyped-def]
    """Inner product by plane; every frequency but the first and Nyquist counts twice.

    Rows are added before their terms are: sums of many terms at once, in the same order whatever
    the processor.
    """
    _, nx, ny, nz = a.shape
    parts = np.zeros(nx)
    for i in numba.prange(nx):
        row = np.zeros(nz)
        for c in range(3):
            for j in range(ny):
                u, v = a[c, i, j], b[c, i, j]
                for k in range(nz):
                    row[k] += u[k] * v[k]
        for k in range(nz):
            parts[i] += counted[k] * row[k]
    return parts
