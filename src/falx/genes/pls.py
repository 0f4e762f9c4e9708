r"""Partial least squares of one map on gene expression.

With expression :math:`X` (n regions × p genes) and map :math:`y`, both centred, the first
component has weights :math:`w = X^\top y` and scores :math:`t = Xw = Ky` with
:math:`K = XX^\top`. Its explained variance

.. math:: R^2 = \frac{(y^\top K y)^2}{(y^\top K^2 y)(y^\top y)}

needs only K, n × n: thousands of null maps cost one small matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from falx.core.checks import Probabilities
from falx.core.errors import InputError, check_option, check_range
from falx.core.multiplicity import benjamini_hochberg, two_sided_normal_p

__all__ = [
    "CONVENTIONS",
    "BootstrapWeights",
    "Convention",
    "PlsModel",
    "bootstrap_counts",
    "bootstrap_weights",
    "explained_variance",
    "fit_pls",
    "zscore_columns",
]

Array = npt.NDArray[np.float64]
Convention = Literal["unit_scores", "unit_weights"]
CONVENTIONS: tuple[Convention, Convention] = ("unit_scores", "unit_weights")
"""``unit_scores`` divides w by ‖Xw‖ (MATLAB plsregress, the published one); ``unit_weights``
by ‖w‖ (scikit-learn)."""


@dataclass(frozen=True, eq=False)
class PlsModel:
    """Components of a PLS regression of one map on expression.

    Attributes
    ----------
    weights
        Shape (p, k), in `convention`; ``X @ weights`` gives the scores.
    scores
        Shape (n, k); positively correlated with the map.
    explained_variance
        Share of the map's variance that each component explains, shape (k,).
    convention
        How the weights are scaled.
    """

    weights: Array
    scores: Array
    explained_variance: Array
    convention: Convention


@dataclass(frozen=True, eq=False)
class BootstrapWeights:
    """Weights of the first component, their bootstrap errors and what follows from them.

    `p` treats regions as independent: it is a convention of the field and ignores spatial
    dependence.
    """

    weight: Array
    standard_error: Array
    z: Array
    p: Probabilities
    q: Probabilities
    convention: Convention
    n_draws: int


def zscore_columns(values: npt.ArrayLike, *, where: object = "expression") -> Array:
    """Centre each column of a table of shape (n, p) and divide it by its SD (ddof 1).

    Raises
    ------
    InputError
        If a column is constant or not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if not np.isfinite(table).all():
        raise InputError("values are missing", where=where, do="leave those regions or genes out")
    centred = table - table.mean(axis=0)
    spread = centred.std(axis=0, ddof=1)
    constant = np.atleast_1d(spread <= 1e-12 * np.maximum(np.abs(table).max(axis=0), 1e-300))
    if constant.any():
        raise InputError(
            "columns are constant over regions",
            where=where,
            found=f"{int(constant.sum())} of {constant.size}",
            do="remove them",
        )
    return np.asarray(centred / spread)


def fit_pls(
    expression: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    n_components: int = 1,
    convention: Convention = "unit_scores",
) -> PlsModel:
    """SIMPLS for one response (de Jong 1993); columns and map are z-scored first.

    Parameters
    ----------
    expression
        Shape (n, p).
    values
        The map, shape (n,).
    n_components
        At most n - 1.
    convention
        Scale of the weights, see :data:`CONVENTIONS`.
    """
    check_option("convention", convention, CONVENTIONS)
    X, y = zscore_columns(expression), zscore_columns(values, where="map")
    check_range("n_components", n_components, 1, len(y) - 1)
    weights = np.empty((X.shape[1], n_components))
    scores = np.empty((len(y), n_components))
    basis = np.empty((X.shape[1], n_components))
    s = X.T @ y
    for a in range(n_components):
        t = X @ s
        length = np.linalg.norm(t)
        scores[:, a] = t / length
        weights[:, a] = s / (length if convention == "unit_scores" else np.linalg.norm(s))
        loading = X.T @ scores[:, a]
        loading -= basis[:, :a] @ (basis[:, :a].T @ loading)
        basis[:, a] = loading / np.linalg.norm(loading)
        s = s - basis[:, a] * (basis[:, a] @ s)
    covariance = scores.T @ y
    flip = np.where(covariance < 0, -1.0, 1.0)
    explained = covariance**2 / (y @ y)
    return PlsModel(weights * flip, scores * flip, explained, convention)


def explained_variance(
    expression: npt.ArrayLike, maps: npt.ArrayLike, *, n_components: int = 1
) -> Array:
    """Variance that PLS components explain in each of many maps.

    Kernel form: component a of map y has scores (I - TT')K(I - TT')y, T being the earlier
    components.

    Parameters
    ----------
    expression
        Shape (n, p).
    maps
        Shape (B, n).

    Returns
    -------
    ndarray
        Shape (B, k).
    """
    X = zscore_columns(expression)
    K = X @ X.T
    Y = np.array(maps, dtype=np.float64, ndmin=2)
    if Y.shape[1] != len(K):
        raise InputError(
            "maps and expression differ in regions", found=f"{Y.shape[1]} and {len(K)}"
        )
    Y -= Y.mean(axis=1, keepdims=True)
    total = np.einsum("bi,bi->b", Y, Y)
    earlier: list[Array] = []
    out = np.empty((len(Y), n_components))
    for a in range(n_components):
        t = _without(_without(Y, earlier) @ K, earlier)
        t /= np.sqrt(np.einsum("bi,bi->b", t, t))[:, None]
        out[:, a] = np.einsum("bi,bi->b", t, Y) ** 2 / total
        earlier.append(t)
    return out


def _without(maps: Array, directions: list[Array]) -> Array:
    for t in directions:
        maps = maps - t * np.einsum("bi,bi->b", t, maps)[:, None]
    return maps


def bootstrap_counts(n_regions: int, n_draws: int, rng: np.random.Generator) -> Array:
    """How often each region is drawn, with replacement; shape (n_draws, n_regions)."""
    probability = np.full(n_regions, 1.0 / n_regions)
    return np.asarray(rng.multinomial(n_regions, probability, size=n_draws), dtype=np.float64)


def bootstrap_weights(
    expression: npt.ArrayLike,
    values: npt.ArrayLike,
    counts: npt.ArrayLike,
    *,
    convention: Convention = "unit_scores",
) -> BootstrapWeights:
    r"""Bootstrap error of the first component's weights over resampled regions.

    Resampled rows are re-centred, not re-scaled. A draw's weights are :math:`X^\top z_b` with
    an n-vector :math:`z_b`, so the variance of gene g over draws is
    :math:`x_g^\top \mathrm{Cov}(z_b)\, x_g`: no genes × draws array is ever made. Each draw is
    flipped to correlate with the full-sample weights.

    Parameters
    ----------
    expression
        Shape (n, p).
    values
        The map, shape (n,).
    counts
        From :func:`bootstrap_counts`, shape (B, n).
    """
    check_option("convention", convention, CONVENTIONS)
    X, y = zscore_columns(expression), zscore_columns(values, where="map")
    N = np.asarray(counts, dtype=np.float64)
    K = X @ X.T
    Z = _draw_coefficients(K, y, N, convention)
    full = _draw_coefficients(K, y, np.ones((1, len(y))), convention)[0]
    mean_expression = X.mean(axis=1)
    covariance = Z @ (K @ full) / X.shape[1] - (Z @ mean_expression) * (full @ mean_expression)
    Z[covariance < 0] *= -1.0
    deviation = Z - Z.mean(axis=0)
    C = deviation.T @ deviation / (len(Z) - 1)
    weight = X.T @ full
    error = np.sqrt(np.einsum("ng,ng->g", X, C @ X))
    z = weight / error
    p = two_sided_normal_p(z)
    return BootstrapWeights(weight, error, z, p, benjamini_hochberg(p), convention, len(Z))


def _draw_coefficients(K: Array, y: Array, N: Array, convention: Convention) -> Array:
    """Coefficients z of each draw, with weights w = X'z; one row per draw."""
    n = len(y)
    C = N * (y - (N @ y / n)[:, None])
    U = C @ K
    if convention == "unit_weights":
        square = np.einsum("bi,bi->b", C, U)
    else:
        mean = np.einsum("bi,bi->b", N, U) / n
        square = np.einsum("bi,bi->b", N, (U - mean[:, None]) ** 2)
    if np.any(square <= 0):
        raise InputError(
            "a bootstrap draw holds no variance", do="use a map with more different values"
        )
    return np.asarray(C / np.sqrt(square)[:, None])
