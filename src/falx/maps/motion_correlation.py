"""How a map goes with head motion (Power et al. 2012) over people, summarised over voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from falx.core.errors import InputError
from falx.core.possible import Percent

__all__ = ["MotionCorrelation", "motion_correlation"]

LEAST_PEOPLE = 4
ALPHA = 0.05
_BLOCK = 65_536


@dataclass(frozen=True)
class MotionCorrelation:
    """Correlation of mean framewise displacement with a map, over people.

    Parameters
    ----------
    n
        People.
    median, low, high
        Over voxels: median, 5 % and 95 % quantile of r.
    limit
        Beyond ±limit lies a voxel in twenty if motion leaves no trace (two-tailed P = 0.05).
    beyond_percent
        Share of voxels that do, %.
    """

    n: int
    median: float
    low: float
    high: float
    limit: float
    beyond_percent: Percent


def motion_correlation(
    data: npt.NDArray[np.floating], mean_fd_mm: npt.ArrayLike
) -> MotionCorrelation:
    """Correlate maps with head motion voxel by voxel and summarise the map of r.

    Parameters
    ----------
    data
        Shape (n, V): the maps of n people. Voxels without spread are left out.
    mean_fd_mm
        Shape (n,).

    Raises
    ------
    InputError
        If there are fewer than four people, all moved alike, or no voxel varies.

    Notes
    -----
    ``|r| = t / sqrt(n - 2 + t²)`` at the two-tailed 5 % point of Student's t with n - 2
    degrees of freedom.
    """
    fd = np.asarray(mean_fd_mm, dtype=np.float64)
    n = len(fd)
    if n < LEAST_PEOPLE or data.shape[0] != n:
        raise InputError(
            "a correlation with head motion needs four people and one map for each",
            found=f"{n} values, {data.shape[0]} maps",
            do="give more people, or leave the correlation out",
        )
    fd = fd - fd.mean()
    if not np.linalg.norm(fd) > 0:
        raise InputError(
            "mean framewise displacement is the same for everybody",
            found=n,
            do="check the column of head motion",
        )
    r = _correlations(data, fd / np.linalg.norm(fd))
    if not r.size:
        raise InputError(
            "no voxel varies over people",
            found=f"{data.shape[1]} voxels",
            do="check that the maps are those of different people",
        )
    t = float(special.stdtrit(n - 2, 1.0 - ALPHA / 2.0))
    limit = t / float(np.sqrt(n - 2 + t * t))
    low, median, high = (float(q) for q in np.quantile(r, (0.05, 0.5, 0.95)))
    beyond = float(100.0 * (np.abs(r) > limit).mean())
    return MotionCorrelation(n, median, low, high, limit, beyond)


def _correlations(
    data: npt.NDArray[np.floating], unit: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return r at every voxel that varies; blockwise, so that the maps are never copied whole."""
    found, least = [], 1e-12 * max(float(np.abs(data).max()), 1e-30)
    for start in range(0, data.shape[1], _BLOCK):
        block = np.asarray(data[:, start : start + _BLOCK], dtype=np.float64)
        block = block - block.mean(axis=0)
        norm = np.linalg.norm(block, axis=0)
        varies = norm > least
        found.append(unit @ block[:, varies] / norm[varies])
    return np.concatenate(found)
