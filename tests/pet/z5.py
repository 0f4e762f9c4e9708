"""The index on the z + 5 scale from that on the proportional scale, and back, by formula."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def z5_from_proportional(
    index: npt.ArrayLike, pair_sum: npt.ArrayLike, mean: float, sd: float
) -> npt.NDArray[np.float64]:
    """Asymmetry index on the z + 5 scale from that on the proportional scale, in any shape (...).

    ``AI_z5 = AI S / (S - 2 m + 10 s)`` with S the sum of the unscaled intensities of voxel and
    mirror, m and s their mean and standard deviation in the reference mask. The two agree only
    if m = 5 s.

    Examples
    --------
    >>> float(z5_from_proportional(-0.1, 2.0, 1.0, 0.2))
    -0.1
    """
    total, proportional = np.asarray(pair_sum, np.float64), np.asarray(index, np.float64)
    return np.asarray(proportional * total / (total - 2.0 * mean + 10.0 * sd))


def proportional_from_z5(
    index: npt.ArrayLike, pair_sum: npt.ArrayLike, mean: float, sd: float
) -> npt.NDArray[np.float64]:
    """Inverse of :func:`z5_from_proportional`, in any shape (...)."""
    total, z5 = np.asarray(pair_sum, np.float64), np.asarray(index, np.float64)
    return np.asarray(z5 * (total - 2.0 * mean + 10.0 * sd) / total)
