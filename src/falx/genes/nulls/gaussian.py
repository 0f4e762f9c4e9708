r"""Gaussian random maps with a covariance fitted to the map by maximum likelihood.

Spectral and permutation surrogates lose calibration on very smooth maps, because one map holds
few independent values. This null draws new maps from
:math:`\mathcal N(\mu, \sigma^2[(1-\nu)e^{-d/\lambda} + \nu I])` with range λ and nugget ν
estimated by restricted maximum likelihood (Patterson and Thompson 1971, Biometrika 58:545). It
assumes a stationary normal field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = ["FittedField", "fit_field", "gaussian_maps"]

Array = npt.NDArray[np.float64]
NUGGETS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
N_RANGES = 30


@dataclass(frozen=True, eq=False)
class FittedField:
    """Exponential covariance of a map.

    Attributes
    ----------
    range_mm, nugget
        Distance over which correlation falls to 1/e, and the share of white variance.
    mean, variance
        Of the field; the mean over regions where blocks have their own.
    factor
        Cholesky factor of the correlation matrix, shape (n, n).
    """

    range_mm: float
    nugget: float
    mean: float
    variance: float
    factor: Array


def fit_field(
    values: npt.ArrayLike, distances_mm: npt.ArrayLike, blocks: Sequence[str] | None = None
) -> FittedField:
    """Fit range and nugget to a map of shape (n,) on a grid by restricted maximum likelihood.

    The field has one mean, or with `blocks` one for each of them.

    Raises
    ------
    InputError
        If two regions share a position.
    """
    y = np.asarray(values, dtype=np.float64)
    d = np.asarray(distances_mm, dtype=np.float64)
    apart = d[np.triu_indices(len(d), k=1)]
    if apart.min() <= 0:
        raise InputError("two regions share a position", do="give each region its own centroid")
    ranges = np.geomspace(apart.min() / 2.0, 4.0 * apart.max(), N_RANGES)
    names = np.array(blocks or ("all",) * len(y))
    design = (names[:, None] == np.unique(names)[None]).astype(np.float64)
    fits = [
        _restricted_likelihood(y, d, design, float(r), nugget)
        for r in ranges
        for nugget in NUGGETS
    ]
    return max(fits, key=lambda pair: pair[0])[1]


def _restricted_likelihood(
    y: Array, d: Array, design: Array, range_mm: float, nugget: float
) -> tuple[float, FittedField]:
    n, n_means = design.shape
    correlation = (1.0 - nugget) * np.exp(-d / range_mm)
    np.fill_diagonal(correlation, 1.0 + 1e-10)
    factor = np.asarray(np.linalg.cholesky(correlation), dtype=np.float64)
    white = np.linalg.solve(factor, np.column_stack([y, design]))
    precision = white[:, 1:].T @ white[:, 1:]
    means = np.linalg.solve(precision, white[:, 1:].T @ white[:, 0])
    left = white[:, 0] - white[:, 1:] @ means
    variance = left @ left / (n - n_means)
    log_likelihood = -0.5 * (
        (n - n_means) * np.log(variance)
        + 2.0 * np.log(np.diag(factor)).sum()
        + np.linalg.slogdet(precision)[1]
    )
    mean = float((design @ means).mean())
    return float(log_likelihood), FittedField(range_mm, nugget, mean, float(variance), factor)


def gaussian_maps(
    values: npt.ArrayLike,
    distances_mm: npt.ArrayLike,
    n_maps: int,
    rng: np.random.Generator,
) -> Array:
    """Draw maps from the fitted field, shape (n_maps, n)."""
    field = fit_field(values, distances_mm)
    noise = rng.standard_normal((n_maps, len(field.factor)))
    return np.asarray(field.mean + np.sqrt(field.variance) * noise @ field.factor.T)
