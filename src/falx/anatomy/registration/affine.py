"""The affine map from native to template millimetres, and how large heads are expected.

The linear part is a rotation times a symmetric stretch, ``expm([r]×) expm(S)``, so that no
parameter value mirrors the head: left and right cannot be swapped by optimisation.

The prior on zooms and shears is that of Ashburner et al. 1997 (NeuroImage 6:344).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import check_option

__all__ = ["AffineModel", "SizePrior", "size_prior"]

Vector = npt.NDArray[np.float64]

SERIES_TERMS = 20

_ROTATIONS = np.zeros((3, 3, 3))
for _axis, (_i, _j) in enumerate([(2, 1), (0, 2), (1, 0)]):
    _ROTATIONS[_axis, _i, _j], _ROTATIONS[_axis, _j, _i] = 1.0, -1.0
_STRETCHES = np.zeros((6, 3, 3))
for _n, (_i, _j) in enumerate([(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]):
    _STRETCHES[_n, _i, _j] = _STRETCHES[_n, _j, _i] = 1.0


@dataclass(frozen=True, eq=False)
class SizePrior:
    """Gaussian on the logarithmic stretch from native to template.

    Parameters
    ----------
    mean, sd
        Shape (6,): log zooms in x, y, z, then the three log shears (xy, xz, yz).
    """

    mean: Vector
    sd: Vector

    def energy(self, stretch: Vector) -> tuple[float, Vector, Vector]:
        """Half the squared Mahalanobis length, its slope and its diagonal curvature."""
        precision = 1.0 / self.sd**2
        away = stretch - self.mean
        return 0.5 * float(away @ (precision * away)), precision * away, precision


_EUROPEAN_MEAN = np.array([0.06, 0.02, 0.08, 0.0, 0.0, 0.0])
_EUROPEAN_SD = np.array([0.05, 0.05, 0.07, 0.02, 0.02, 0.03])


def size_prior(name: str) -> SizePrior | None:
    """Return the prior on head size by name.

    ``european`` is provisional: a judgement wide enough not to pull, not yet an estimate from
    heads. ``east_asian`` has the same mean with twice the spread of the zooms: no estimate from
    East Asian heads with a free licence is known, and a wider prior lets the image decide.
    """
    check_option("affine_prior", name, ("european", "east_asian", "none"))
    if name == "none":
        return None
    widen = np.array([2.0, 2.0, 2.0, 1.0, 1.0, 1.0]) if name == "east_asian" else 1.0
    return SizePrior(_EUROPEAN_MEAN.copy(), _EUROPEAN_SD * widen)


@dataclass(frozen=True, eq=False)
class AffineModel:
    """Affine maps with a fixed centre, by twelve parameters.

    ``A(x) = expm([r]×) expm(S) (x - native) + template + t``; the parameters are t (mm),
    r (rad) and the six entries of S.
    """

    native_mm: Vector
    template_mm: Vector

    def matrix(self, p: Vector) -> Vector:
        """Return the 4×4 matrix of parameters of shape (12,)."""
        linear = _exponential(_skew(p)) @ _exponential(_stretch(p))
        return self._assemble(linear, self.template_mm + p[:3])

    def slopes(self, p: Vector) -> Vector:
        """Differentiate the upper 3×4 part by every parameter, shape (12, 3, 4)."""
        rotation, stretch = _exponential(_skew(p)), _exponential(_stretch(p))
        slopes = np.zeros((12, 3, 4))
        slopes[:3, :, 3] = np.eye(3)
        linear = np.concatenate(
            [
                _exponential_slopes(_skew(p), _ROTATIONS) @ stretch,
                rotation @ _exponential_slopes(_stretch(p), _STRETCHES),
            ]
        )
        for n, part in enumerate(linear, start=3):
            slopes[n, :, :3] = part
            slopes[n, :, 3] = -part @ self.native_mm
        return slopes

    def _assemble(self, linear: Vector, target: Vector) -> Vector:
        matrix = np.eye(4)
        matrix[:3, :3] = linear
        matrix[:3, 3] = target - linear @ self.native_mm
        return matrix


@numba.njit(cache=True)
def _exponential(matrix):  # type: ignore[no-untyped-def]
    """Matrix exponential of a small 3×3 matrix by its series."""
    power, total = np.eye(3), np.eye(3)
    for n in range(1, SERIES_TERMS):
        power = _product(power, matrix) / n
        total += power
    return total


@numba.njit(cache=True)
def _exponential_slopes(matrix, directions):  # type: ignore[no-untyped-def]
    """Differentiate the exponential along directions of shape (n, 3, 3), by the same series.

    With P_n = M^n / n!, its derivative along E is (M P'_{n-1} + E P_{n-1}) / n.
    """
    total = np.zeros_like(directions)
    for d in range(len(directions)):
        power, slope = np.eye(3), np.zeros((3, 3))
        for n in range(1, SERIES_TERMS):
            slope = (_product(matrix, slope) + _product(directions[d], power)) / n
            power = _product(matrix, power) / n
            total[d] += slope
    return total


@numba.njit(cache=True)
def _product(a, b):  # type: ignore[no-untyped-def]
    """Product of two 3×3 matrices."""
    out = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
    return out


def _skew(p: Vector) -> Vector:
    x, y, z = p[3:6]
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def _stretch(p: Vector) -> Vector:
    xx, yy, zz, xy, xz, yz = p[6:12]
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
