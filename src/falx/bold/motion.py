"""Head motion: a rigid map from the first volume to every other, by least squares.

Inverse-compositional Gauss-Newton (Baker and Matthews 2004, Int J Comput Vis 56:221): the
derivatives belong to the reference and are computed once. Volumes are never resliced here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError, QualityError
from falx.core.threads import blas_threads
from falx.images.spline import axis_operators, cubic_weights, spline_coefficients, spline_value

__all__ = ["MotionEstimate", "realign", "realign_to_mean"]

SMOOTHING_FWHM_MM = 5.0
GRID_MM = 4.0
EDGE_MM = 4.0
"""Border that is not sampled: smoothing mirrors the image there, which does not move along."""

KEPT_SHARE = 0.65
MAX_ITERATIONS = 30
STEP_MM, STEP_RAD = 1e-3, 2e-5
COARSE_FACTOR = 20.0
COARSE_STRIDE = 5
LEAST_OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class MotionEstimate:
    """Rigid motion of a run.

    Parameters
    ----------
    matrices
        Shape (T, 4, 4): from the reference's mm to the mm of each volume.
    iterations
        Shape (T,): Gauss-Newton steps.
    residual
        Shape (T,): root mean square difference to the reference, as a share of its mean.
    """

    matrices: npt.NDArray[np.float64]
    iterations: npt.NDArray[np.int64]
    residual: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Reference:
    """Sampling points, intensities and derivatives of the reference, full and coarse."""

    centre_mm: npt.NDArray[np.float64]
    points_mm: npt.NDArray[np.float32]
    columns: npt.NDArray[np.float32]
    normal: npt.NDArray[np.float64]
    mean: float

    @cached_property
    def coarse(self) -> _Reference:
        """Every fifth point, for the first steps."""
        points, columns = self.points_mm[::COARSE_STRIDE], self.columns[::COARSE_STRIDE]
        return _Reference(
            self.centre_mm, points.copy(), columns.copy(), _normal(columns), self.mean
        )


def realign(
    volumes: Iterable[npt.NDArray[np.floating]],
    affine: npt.NDArray[np.floating],
    *,
    reference: npt.NDArray[np.floating] | None = None,
    start: npt.NDArray[np.floating] | None = None,
) -> MotionEstimate:
    """Estimate the head's motion, volume by volume.

    Parameters
    ----------
    volumes
        Volumes of shape (X, Y, Z), one at a time; a run need not be in memory.
    affine
        4×4, voxels to RAS+ mm.
    reference
        The image to which volumes are aligned, for example the mean of a first pass; the
        first volume if absent.
    start
        Shape (T, 4, 4): where to start; otherwise each volume starts where the one before it
        ended.

    Raises
    ------
    InputError
        If a volume is empty.
    QualityError
        If a volume leaves the reference's field of view or does not converge.
    """
    with blas_threads(1):
        steps = list(_alignments(volumes, affine, reference, start))
    if not steps:
        raise InputError("a run without volumes has no motion")
    matrices, iterations, residual = zip(*steps, strict=True)
    return MotionEstimate(np.array(matrices), np.array(iterations), np.array(residual))


def realign_to_mean(
    volumes: Iterable[npt.NDArray[np.floating]],
    affine: npt.NDArray[np.floating],
    mean: npt.NDArray[np.floating],
    first: MotionEstimate,
) -> MotionEstimate:
    """Second pass: align every volume to the mean of the realigned run.

    Parameters
    ----------
    mean
        Shape (X, Y, Z): mean of the run after the first pass, on the grid of the run; without a
        rim of zeros where some volume does not reach, for that would pull on the head.
    first
        Motion of the first pass, where the second one starts.

    Returns
    -------
    MotionEstimate
        Matrices from the mm of the first volume, as those of :func:`realign`.
    """
    found = realign(volumes, affine, reference=mean, start=first.matrices)
    from_first = found.matrices @ np.linalg.inv(found.matrices[0])
    return MotionEstimate(from_first, found.iterations, found.residual)


def _alignments(
    volumes: Iterable[npt.NDArray[np.floating]],
    affine: npt.NDArray[np.floating],
    reference: npt.NDArray[np.floating] | None,
    start: npt.NDArray[np.floating] | None,
) -> Iterator[tuple[npt.NDArray[np.float64], int, float]]:
    """Yield matrix, number of steps and residual of every volume."""
    target = None if reference is None else _prepare(reference, affine)
    current = np.eye(4)
    operators: tuple[npt.NDArray[np.float32], ...] = ()
    for k, volume in enumerate(volumes):
        where = f"volume {k + 1}"
        operators = operators or _smoothing_operators(volume.shape, affine)
        if target is None:
            target = _prepare(volume, affine)
            yield current, 0, 0.0
            continue
        coefficients = _coefficients(volume, operators, where=where)
        begin = current if start is None else np.array(start[k], dtype=np.float64)
        current, steps, rms = _align(coefficients, affine, target, begin, where=where)
        yield current, steps, rms


def _prepare(volume: npt.NDArray[np.floating], affine: npt.NDArray[np.floating]) -> _Reference:
    """Sample the reference on a 4 mm grid and keep the points that tell most about motion."""
    operators = _smoothing_operators(volume.shape, affine)
    coefficients = _coefficients(volume, operators, where="the reference volume")
    size_mm = np.linalg.norm(affine[:3, :3], axis=0)
    axes = [
        _inner(np.arange(0.0, n - 1 + 1e-6, GRID_MM / step), n, step)
        for n, step in zip(volume.shape, size_mm, strict=True)
    ]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    sampled = np.empty((len(voxels), 4))
    _value_and_gradient(coefficients, voxels, sampled)
    linear = np.asarray(affine[:3, :3], dtype=np.float64)
    points = voxels @ linear.T + affine[:3, 3]
    gradient = sampled[:, 1:] @ np.linalg.inv(linear)
    centre = points.mean(axis=0)
    columns = np.hstack([gradient, np.cross(points - centre, gradient), sampled[:, :1]])
    weight = (columns[:, :6] ** 2 / (columns[:, :6] ** 2).mean(axis=0)).sum(axis=1)
    keep = weight >= np.quantile(weight, 1.0 - KEPT_SHARE)
    kept = np.ascontiguousarray(columns[keep], dtype=np.float32)
    return _Reference(
        centre, points[keep].astype(np.float32), kept, _normal(kept), float(kept[:, 6].mean())
    )


def _inner(voxels: npt.NDArray[np.float64], n: int, size_mm: float) -> npt.NDArray[np.float64]:
    """Positions along an axis of `n` voxels without its border, an eighth of it at most."""
    edge = min(EDGE_MM / size_mm, (n - 1) / 8) - 1e-6
    return voxels[(voxels >= edge) & (voxels <= n - 1 - edge)]


def _align(
    coefficients: npt.NDArray[np.float32],
    affine: npt.NDArray[np.floating],
    target: _Reference,
    matrix: npt.NDArray[np.float64],
    *,
    where: str,
) -> tuple[npt.NDArray[np.float64], int, float]:
    """Gauss-Newton from `matrix`: few points while steps are large, all at the end."""
    to_voxel = np.linalg.inv(affine)
    level, tolerance = target.coarse, COARSE_FACTOR
    for iteration in range(1, MAX_ITERATIONS + 1):
        step, rms = _gauss_newton_step(coefficients, to_voxel @ matrix, level, where)
        matrix = matrix @ np.linalg.inv(_rigid(step, level.centre_mm))
        small = max(np.abs(step[:3]).max() / STEP_MM, np.abs(step[3:]).max() / STEP_RAD)
        if small > tolerance:
            continue
        if level is target:
            return matrix, iteration, rms
        level, tolerance = target, 1.0
    raise QualityError(
        "head motion could not be estimated",
        where=where,
        found=f"no convergence in {MAX_ITERATIONS} steps",
        do="look at this volume and exclude the run if it is damaged",
    )


def _gauss_newton_step(
    coefficients: npt.NDArray[np.float32],
    to_voxel: npt.NDArray[np.float64],
    level: _Reference,
    where: str,
) -> tuple[npt.NDArray[np.float64], float]:
    """Motion (mm, rad) that explains volume minus scaled reference, and the rms of the rest."""
    moment, lost, squares = np.zeros(7), np.zeros((7, 7)), np.zeros(2)
    _accumulate(
        coefficients, to_voxel.astype(np.float32), level.points_mm, level.columns, moment, lost,
        squares,
    )  # fmt: skip
    n = len(level.points_mm)
    if squares[1] < LEAST_OVERLAP * n:
        raise QualityError(
            "the head left the field of view",
            where=where,
            found=f"{100 * squares[1] / n:.0f} % of the reference is covered",
            do="exclude the run",
        )
    solution = np.linalg.solve(level.normal - lost, moment)
    rest = max(squares[0] - float(solution @ moment), 0.0)
    return solution[:6] / solution[6], float(np.sqrt(rest / squares[1]) / level.mean)


def _rigid(
    step: npt.NDArray[np.float64], centre_mm: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] = scipy.spatial.transform.Rotation.from_rotvec(step[3:]).as_matrix()
    matrix[:3, 3] = step[:3] + centre_mm - matrix[:3, :3] @ centre_mm
    return matrix


def _normal(columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    wide = columns.astype(np.float64)
    return np.asarray(wide.T @ wide)


def _smoothing_operators(
    shape: tuple[int, ...], affine: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float32], ...]:
    size_mm = np.linalg.norm(affine[:3, :3], axis=0)
    return axis_operators(shape, SMOOTHING_FWHM_MM / size_mm)


def _coefficients(
    volume: npt.NDArray[np.floating],
    operators: tuple[npt.NDArray[np.float32], ...],
    *,
    where: str,
) -> npt.NDArray[np.float32]:
    """Spline coefficients of the smoothed volume."""
    if not np.isfinite(volume).all() or not volume.max() > volume.min():
        raise InputError(
            "a BOLD volume is empty or not finite", where=where, do="exclude this run"
        )
    return spline_coefficients(volume, operators)


@numba.njit(cache=True, nogil=True)
def _value_and_gradient(coefficients, voxels, out):  # type: ignore[no-untyped-def]
    """Value and derivative by voxel of the spline at points inside the volume."""
    w, d = np.empty((3, 4)), np.empty((3, 4))
    for p in range(voxels.shape[0]):
        first = np.empty(3, np.int64)
        for a in range(3):
            first[a] = min(int(voxels[p, a]), coefficients.shape[a] - 4)
            u = voxels[p, a] - first[a]
            v = 1 - u
            cubic_weights(u, w[a])
            d[a, 0], d[a, 1] = -v * v / 2, u * (3 * u - 4) / 2
            d[a, 2], d[a, 3] = v * (4 - 3 * v) / 2, u * u / 2
        out[p] = 0.0
        for i in range(4):
            for j in range(4):
                for k in range(4):
                    c = coefficients[first[0] + i, first[1] + j, first[2] + k]
                    out[p, 0] += c * w[0, i] * w[1, j] * w[2, k]
                    out[p, 1] += c * d[0, i] * w[1, j] * w[2, k]
                    out[p, 2] += c * w[0, i] * d[1, j] * w[2, k]
                    out[p, 3] += c * w[0, i] * w[1, j] * d[2, k]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _accumulate(coefficients, to_voxel, points, columns, moment, lost, squares):  # type: ignore[no-untyped-def]
    """Sum columns times sampled volume; gather what points outside the volume take away."""
    nx, ny, nz = coefficients.shape
    wx, wy, wz = np.empty(4, np.float32), np.empty(4, np.float32), np.empty(4, np.float32)
    for p in range(points.shape[0]):
        a, b, c = points[p, 0], points[p, 1], points[p, 2]
        x = to_voxel[0, 0] * a + to_voxel[0, 1] * b + to_voxel[0, 2] * c + to_voxel[0, 3]
        y = to_voxel[1, 0] * a + to_voxel[1, 1] * b + to_voxel[1, 2] * c + to_voxel[1, 3]
        z = to_voxel[2, 0] * a + to_voxel[2, 1] * b + to_voxel[2, 2] * c + to_voxel[2, 3]
        if not (0 <= x <= nx - 3 and 0 <= y <= ny - 3 and 0 <= z <= nz - 3):
            for i in range(7):
                for j in range(7):
                    lost[i, j] += columns[p, i] * columns[p, j]
            continue
        i, j, k = min(int(x), nx - 4), min(int(y), ny - 4), min(int(z), nz - 4)
        cubic_weights(x - np.float32(i), wx)
        cubic_weights(y - np.float32(j), wy)
        cubic_weights(z - np.float32(k), wz)
        value = spline_value(coefficients, i, j, k, wx, wy, wz)
        for m in range(7):
            moment[m] += columns[p, m] * value
        squares[0] += value * value
        squares[1] += 1
