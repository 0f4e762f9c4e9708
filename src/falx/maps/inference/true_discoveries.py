"""How many voxels of a cluster are truly different? A bound that holds for all sets at once.

A familywise P says that something in a cluster differs, not where. Closed testing bounds the
number of false discoveries of every set S of voxels from above, all sets at once, so that S may
be chosen after looking (Goeman and Solari 2011, Stat Sci 26:584; Rosenblatt et al. 2018,
NeuroImage 181:786). With critical values ``l_u = λ (u - δ) / (m - δ)`` of the u-th smallest of m
tail probabilities,

``false(S) <= min_u (u - 1 + |{i in S: p_i >= l_u}|)``

λ is calibrated on the permutations themselves, each of which gives ``λ_k = min_u p_(u) (m - δ) /
(u - δ)``, as their α-quantile: the bound then needs no assumption on how voxels depend (Blanchard
et al. 2020, Ann Stat 48:1281; Andreella et al. 2023, Stat Med 42:2311), beyond the one on which
every permutation P rests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["SHIFT", "TrueDiscoveries", "calibrated", "least_ratio", "tail_table"]

SHIFT = 0
"""δ: how many extreme voxels the critical values pass over."""

STEP = 0.002
LARGEST = 40.0
"""Statistics are binned in these steps up to here; what it costs is on the safe side."""

Tail = Callable[[npt.NDArray[np.floating]], npt.NDArray[np.floating]]


@dataclass(frozen=True)
class TrueDiscoveries:
    """Critical values of the sorted tail probabilities, which hold together.

    Parameters
    ----------
    slope
        λ.
    voxels
        m, of the whole map.
    confidence
        With which all bounds hold at once.
    """

    slope: float
    voxels: int
    confidence: float

    def at_least(self, tails: npt.NDArray[np.floating]) -> int:
        """Bound the number of voxels that truly differ from below.

        Parameters
        ----------
        tails
            Shape (s,): tail probabilities of the voxels of a set.

        Examples
        --------
        >>> critical = TrueDiscoveries(slope=0.1, voxels=1000, confidence=0.95)
        >>> critical.at_least(np.array([1e-5, 1e-5, 1e-5, 0.5]))
        3
        """
        ordered = np.sort(np.asarray(tails, dtype=np.float64))
        if self.slope <= 0 or not len(ordered):
            return 0
        # The first u whose critical value exceeds a probability; there u - 1 may be false.
        ranks = np.floor(ordered * (self.voxels - SHIFT) / self.slope) + 1 + SHIFT
        false = ranks - 1 + np.arange(len(ordered) - 1, -1, -1)
        return max(0, len(ordered) - int(min(false.min(), len(ordered))))


def tail_table(tail: Tail) -> npt.NDArray[np.float64]:
    """Least tail probability of every bin of the statistic, shape (bins,); 0 in the last."""
    upper = np.arange(1, round(LARGEST / STEP) + 1) * STEP
    return np.append(tail(upper), 0.0)


@numba.njit(cache=True, nogil=True)
def least_ratio(statistic, tails):  # type: ignore[no-untyped-def]
    """Return λ_k of one map (V,): the least ``p_(u) (m - δ) / (u - δ)``, rounded down by bin."""
    last = len(tails) - 1
    counts = np.zeros(last + 1, np.int64)
    for value in statistic:
        counts[min(last, int(abs(value) / STEP))] += 1
    ratio, above = np.inf, 0
    for b in range(last, -1, -1):
        above += counts[b]
        if counts[b] > 0 and above > SHIFT:
            ratio = min(ratio, tails[b] * (len(statistic) - SHIFT) / (above - SHIFT))
    return ratio


def calibrated(ratios: npt.NDArray[np.float64], voxels: int, alpha: float) -> TrueDiscoveries:
    """Choose λ so that at most a share alpha of the rearrangements, shape (N,), lie below it.

    Parameters
    ----------
    ratios
        λ_k of every rearrangement, the identity included.
    voxels
        m.

    Examples
    --------
    >>> calibrated(np.arange(1.0, 101.0) / 128, 5000, 0.0625)
    TrueDiscoveries(slope=0.0546875, voxels=5000, confidence=0.9375)
    """
    ordered = np.sort(ratios)
    return TrueDiscoveries(float(ordered[int(np.floor(alpha * len(ordered)))]), voxels, 1 - alpha)
