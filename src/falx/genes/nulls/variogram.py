"""Variogram-matched surrogate maps (Burt et al. 2020, NeuroImage 220:117038).

A permuted map is smoothed over each region's nearest neighbours until its variogram, scaled
and lifted by white noise, is closest to that of the map. The smoother of each neighbourhood
size is one n × n matrix and the variogram one weight matrix, so all surrogates are made
together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError

__all__ = [
    "FittedVariogram",
    "Variogram",
    "fit_exponential",
    "make_variogram",
    "smoothers",
    "variogram_maps",
]

Array = npt.NDArray[np.float64]
DELTAS = (0.017, 0.033, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Neighbourhood sizes as shares of the regions; two neighbours are the fewest of 123."""
PUBLISHED_DELTAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PUBLISHED_PERCENTILE = 25.0
"""Burt 2020 smooths over a tenth of the regions or more and matches the nearest quarter of the
pairs. With a hundred regions such surrogates hold too much of the longest scales, and a test at
5 % rejects in less than 1 % (docs/methods/genes.md)."""
MAP_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Variogram:
    """Kernel-smoothed variogram of regions at fixed distances.

    Attributes
    ----------
    lags_mm
        Centres of the bins, shape (25,).
    first, second
        Regions of each pair below the distance cut.
    kernel
        Weight of each pair in each bin, columns sum to one, shape (pairs, bins).
    """

    lags_mm: Array
    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    kernel: Array

    def __call__(self, maps: npt.ArrayLike) -> Array:
        """Variogram ½ mean (x_i - x_j)² in each bin; maps (..., n) give (..., bins)."""
        x = np.asarray(maps, dtype=np.float64)
        # Regions as rows: a pair then takes two whole rows, which is several times faster.
        rows = np.ascontiguousarray(np.moveaxis(x, -1, 0))
        difference = rows[self.first]
        difference -= rows[self.second]
        np.square(difference, out=difference)
        return np.asarray(0.5 * np.tensordot(difference, self.kernel, axes=(0, 0)))


@dataclass(frozen=True)
class FittedVariogram:
    """Exponential model: nugget + sill (1 - exp(-h / range))."""

    range_mm: float
    sill: float
    nugget: float


def make_variogram(
    distances_mm: npt.ArrayLike, *, percentile: float = PUBLISHED_PERCENTILE, n_bins: int = 25
) -> Variogram:
    """Prepare the variogram, of distances of shape (n, n), of the pairs below a percentile.

    The kernel is Gaussian, exp(-(2.68 (h - d) / b)² / 2) with b three bin steps.
    """
    d = np.asarray(distances_mm, dtype=np.float64)
    first, second = np.triu_indices(len(d), k=1)
    apart = d[first, second]
    near = apart <= np.percentile(apart, percentile)
    if near.sum() < n_bins:
        raise InputError(
            "too few regions for a variogram", found=f"{near.sum()} pairs", do="use Moran nulls"
        )
    first, second, apart = first[near], second[near], apart[near]
    lags = np.linspace(apart.min(), apart.max(), n_bins)
    width = 3.0 * (lags[1] - lags[0])
    kernel = np.exp(-0.5 * (2.68 * (lags[None, :] - apart[:, None]) / width) ** 2)
    return Variogram(lags, first, second, kernel / kernel.sum(axis=0))


def smoothers(distances_mm: npt.ArrayLike, deltas: tuple[float, ...] = DELTAS) -> Array:
    """Row-normalised smoothing matrices, one per neighbourhood size, shape (len, n, n).

    Weights are exp(-d / d_max) over the k nearest other regions, d_max the farthest of them.
    """
    d = np.asarray(distances_mm, dtype=np.float64)
    n = len(d)
    far = d + np.where(np.eye(n, dtype=bool), -np.inf, 0.0)
    order = np.argsort(far, axis=1, kind="stable")[:, 1:]
    ranked = np.take_along_axis(d, order, axis=1)
    out = np.zeros((len(deltas), n, n))
    for index, delta in enumerate(deltas):
        k = max(int(delta * n), 1)
        weights = np.exp(-ranked[:, :k] / ranked[:, k - 1 : k])
        weights /= weights.sum(axis=1, keepdims=True)
        np.put_along_axis(out[index], order[:, :k], weights, axis=1)
    return out


def variogram_maps(
    values: npt.ArrayLike,
    distances_mm: npt.ArrayLike,
    n_maps: int,
    rng: np.random.Generator,
    *,
    keep_histogram: bool = False,
    as_published: bool = False,
) -> Array:
    """Variogram-matched surrogates, shape (n_maps, n).

    Parameters
    ----------
    keep_histogram
        Give the surrogate the map's own values, by rank. The variogram then fits less well.
    as_published
        Neighbourhoods and pairs as in Burt 2020; otherwise small neighbourhoods count too and
        the variogram is matched over all pairs.
    """
    y = np.asarray(values, dtype=np.float64)
    percentile = PUBLISHED_PERCENTILE if as_published else 100.0
    variogram = make_variogram(distances_mm, percentile=percentile)
    S = smoothers(distances_mm, PUBLISHED_DELTAS if as_published else DELTAS)
    target = variogram(y)
    out = np.empty((n_maps, len(y)))
    permuted = y[rng.permuted(np.tile(np.arange(len(y)), (n_maps, 1)), axis=1)]
    noise = rng.standard_normal((n_maps, len(y)))
    for start in range(0, n_maps, MAP_BLOCK):
        block = slice(start, start + MAP_BLOCK)
        out[block] = _match(permuted[block], noise[block], S, variogram, target)
    if keep_histogram:
        rank = np.argsort(np.argsort(out, axis=1, kind="stable"), axis=1)
        out = np.sort(y)[rank]
    return out


def _match(permuted: Array, noise: Array, S: Array, variogram: Variogram, target: Array) -> Array:
    least = np.full(len(permuted), np.inf)
    out = np.empty_like(permuted)
    centred_target = target - target.mean()
    for smoother in S:
        smooth = permuted @ smoother.T
        v = variogram(smooth)
        mean = v.mean(axis=1)
        v -= mean[:, None]
        beta = v @ centred_target / np.einsum("bh,bh->b", v, v)
        alpha = target.mean() - beta * mean
        left = ((centred_target - beta[:, None] * v) ** 2).sum(axis=1)
        better = left < least
        least[better] = left[better]
        out[better] = (
            np.sqrt(np.abs(beta[better]))[:, None] * smooth[better]
            + np.sqrt(np.abs(alpha[better]))[:, None] * noise[better]
        )
    return out


def fit_exponential(values: npt.ArrayLike, distances_mm: npt.ArrayLike) -> FittedVariogram:
    """Fit nugget + sill (1 - exp(-h / range)) to the variogram of a map of shape (n,)."""
    y = np.asarray(values, dtype=np.float64)
    d = np.asarray(distances_mm, dtype=np.float64)
    variogram = make_variogram(d, percentile=50.0)
    observed = variogram(y)
    shortest, longest = float(variogram.lags_mm[0]), float(d.max())

    def misfit(log_range: float) -> float:
        return _linear_part(observed, variogram.lags_mm, float(np.exp(log_range)))[2]

    best = scipy.optimize.minimize_scalar(
        misfit, bounds=(np.log(shortest / 5.0), np.log(longest)), method="bounded"
    )
    range_mm = float(np.exp(best.x))
    nugget, sill, _ = _linear_part(observed, variogram.lags_mm, range_mm)
    return FittedVariogram(range_mm, sill, nugget)


def _linear_part(observed: Array, lags_mm: Array, range_mm: float) -> tuple[float, float, float]:
    """Non-negative nugget and sill for a range, and the residual."""
    design = np.column_stack([np.ones_like(lags_mm), 1.0 - np.exp(-lags_mm / range_mm)])
    (nugget, sill), left = scipy.optimize.nnls(design, observed)
    return float(nugget), float(sill), float(left)
