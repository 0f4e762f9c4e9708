"""From the raw run to series in template space with a single interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import apply_affine
from falx.core.threads import blas_threads, over_blocks
from falx.images.spline import axis_operators, sample_spline, spline_coefficients

__all__ = ["RunAverage", "average_run", "covered_voxels", "sample_run"]

LEAST_OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class RunAverage:
    """Mean over time and temporal signal-to-noise of the realigned run, on its own grid."""

    mean: npt.NDArray[np.float32]
    tsnr: npt.NDArray[np.float32]

    @classmethod
    def of(cls, data: npt.NDArray[np.floating]) -> RunAverage:
        """Average a run, shape (X, Y, Z, T), that is aligned already."""
        mean = np.maximum(data.mean(axis=3, dtype=np.float64), 0.0)
        spread = np.stack([plane.std(axis=2, ddof=1, dtype=np.float64) for plane in data])
        tsnr = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
        return cls(mean.astype(np.float32), tsnr.astype(np.float32))


def sample_run(
    data: npt.NDArray[np.floating],
    affine: npt.NDArray[np.floating],
    matrices: npt.NDArray[np.floating],
    points_mm: npt.NDArray[np.floating],
    *,
    threads: int = 1,
) -> npt.NDArray[np.float32]:
    """Series at points of the reference, each volume read where the head was.

    Parameters
    ----------
    data
        Shape (X, Y, Z, T).
    matrices
        Shape (T, 4, 4): reference mm to the mm of each volume.
    points_mm
        Shape (V, 3), mm of the reference.

    Returns
    -------
    ndarray
        Shape (V, T), cubic B-spline interpolation; not a number where a volume does not
        reach.
    """
    operators = axis_operators(data.shape[:3])
    to_voxel = np.linalg.inv(affine)
    points = np.asarray(points_mm, dtype=np.float32)
    series = np.empty((len(points), data.shape[3]), np.float32)

    def volumes(chosen: slice) -> None:
        for k in range(chosen.start, chosen.stop):
            where = (to_voxel @ matrices[k]).astype(np.float32)
            voxels = points @ where[:3, :3].T + where[:3, 3]
            series[:, k] = sample_spline(spline_coefficients(data[..., k], operators), voxels)

    with blas_threads(1):
        over_blocks(volumes, data.shape[3], block=4, threads=threads)
    return series


def average_run(
    data: npt.NDArray[np.floating],
    affine: npt.NDArray[np.floating],
    matrices: npt.NDArray[np.floating],
) -> RunAverage:
    """Mean of the volumes that reach a voxel, and temporal signal-to-noise where all do, else 0.

    Volumes are read one at a time (Welford 1962), so no realigned run is held in memory.
    """
    shape, n = data.shape[:3], data.shape[3]
    points = apply_affine(affine, np.indices(shape).reshape(3, -1).T)
    mean, squares, count = (np.zeros(len(points)) for _ in range(3))
    for k in range(n):
        volume = sample_run(data[..., k : k + 1], affine, matrices[k : k + 1], points)[:, 0]
        reached = np.isfinite(volume)
        count += reached
        change = np.where(reached, volume - mean, 0.0)
        mean += change / np.maximum(count, 1)
        squares += change * np.where(reached, volume - mean, 0.0)
    covered = (count == n) & (squares > 0)
    average = np.maximum(mean, 0.0)
    spread = np.sqrt(np.where(covered, squares, 1.0) / max(n - 1, 1))
    tsnr = np.where(covered, average / spread, 0.0)
    return RunAverage(
        average.reshape(shape).astype(np.float32), tsnr.reshape(shape).astype(np.float32)
    )


def covered_voxels(
    series: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_], *, where: object = None
) -> npt.NDArray[np.bool_]:
    """Rows of a mask's series, shape (V, T), that every volume reaches and that vary: (V,).

    Raises
    ------
    InputError
        If less than half of the mask is covered.
    """
    covered = np.isfinite(series).all(axis=1)
    covered[covered] = np.ptp(series[covered], axis=1) > 0
    share = float(covered.mean()) if covered.size else 0.0
    if share < LEAST_OVERLAP:
        raise InputError(
            "the run does not cover the brain of its T1w",
            where=where,
            found=f"{100 * share:.0f} % of {np.count_nonzero(mask)} voxels",
            do="check the coregistration and that both images are of this person",
        )
    return np.asarray(covered)
