"""P of the tail from few permutations: a generalised Pareto distribution fitted to it.

Winkler et al. 2016, NeuroImage 141:502. Exceedances over a high quantile are fitted by
probability-weighted moments (Hosking and Wallis 1987, Technometrics 29:339); of several quantiles
the lowest is taken whose fit is not rejected (Kolmogorov and Smirnov).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_EXCEEDANCES", "ParetoTail", "fit_tail"]

QUANTILES = (0.75, 0.8, 0.85, 0.9)
LEAST_EXCEEDANCES = 20
LEAST_FIT_P = 0.05


@dataclass(frozen=True)
class ParetoTail:
    """The tail of a null distribution beyond a threshold.

    Parameters
    ----------
    threshold, share
        Where it begins, and the share of the distribution beyond.
    shape, scale
        Of the generalised Pareto distribution. The shape is at least 0: a tail that ends
        would give P = 0 beyond, so that P is rather too large.
    """

    threshold: float
    share: float
    shape: float
    scale: float

    def p_value(self, observed: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Probability of reaching values beyond the threshold; NaN below it.

        Examples
        --------
        >>> float(ParetoTail(2.0, 0.25, 0.0, 1.0).p_value(3.0).round(4))
        0.092
        """
        beyond = np.asarray(observed, dtype=np.float64) - self.threshold
        z = np.maximum(beyond, 0) / self.scale
        longer = np.log1p(self.shape * z) / self.shape if self.shape else z
        return np.asarray(np.where(beyond > 0, self.share * np.exp(-longer), np.nan))


def fit_tail(null: npt.NDArray[np.float64]) -> ParetoTail | None:
    """Fit the tail of maxima, shape (N,), without the observed one; None if none fits."""
    from scipy import stats  # which few steps of a study need

    for quantile in QUANTILES:
        threshold = float(np.quantile(null, quantile))
        beyond = np.sort(null[null > threshold]) - threshold
        if len(beyond) < LEAST_EXCEEDANCES or np.ptp(beyond) == 0:
            return None
        shape, scale = _weighted_moments(beyond)
        if scale <= 0 or shape >= 0.5:
            continue
        if stats.kstest(beyond, "genpareto", args=(shape, 0.0, scale)).pvalue > LEAST_FIT_P:
            return ParetoTail(threshold, len(beyond) / len(null), shape, scale)
    return None


def _weighted_moments(beyond: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Shape and scale from sorted exceedances, shape (n,); an exponential if the tail ends."""
    n = len(beyond)
    first = float(beyond.mean())
    second = float(((n - 1 - np.arange(n)) / (n - 1) * beyond).mean())
    shape = 2.0 - first / (first - 2.0 * second) if first > 2.0 * second else 0.5
    if shape <= 0:
        return 0.0, first
    return shape, 2.0 * first * second / (first - 2.0 * second)
