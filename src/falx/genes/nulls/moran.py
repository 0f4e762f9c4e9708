r"""Moran spectral randomisation (Wagner and Dray 2015).

With spatial weights W and the centring matrix H, the eigenvectors V of HWH carry the map:
coefficients :math:`a = V^\top (y - \bar y)`. A surrogate is :math:`\bar y + V(s \circ a)` with
random signs s. Mean, variance and Moran's I by W stay exactly the same; the histogram does not.

As published W is 1/d. The signs are a group under which a normal field does not change where the
columns of V are the eigenvectors of its covariance, so with :math:`W_{ij} = e^{-d_{ij}/\lambda}`
at the map's own range λ the test is exact up to how well λ is known. With 1/d it is not, and the
tail of the null is thin (docs/methods/genes.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError

__all__ = [
    "block_means",
    "inverse_distance_weights",
    "moran_eigenvectors",
    "moran_index",
    "moran_maps",
    "moran_weights",
]

Array = npt.NDArray[np.float64]
ZERO_EIGENVALUE = 1e-9


def inverse_distance_weights(distances_mm: npt.ArrayLike) -> Array:
    """W = 1/d off the diagonal and 0 on it, shape (n, n).

    Raises
    ------
    InputError
        If two regions share a position.
    """
    d = np.asarray(distances_mm, dtype=np.float64)
    off_diagonal = ~np.eye(len(d), dtype=bool)
    if np.any(d[off_diagonal] <= 0):
        raise InputError("two regions share a position", do="give each region its own centroid")
    W = np.zeros_like(d)
    W[off_diagonal] = 1.0 / d[off_diagonal]
    return W


def moran_weights(distances_mm: npt.ArrayLike, range_mm: float | None = None) -> Array:
    """Spatial weights exp(-d / range), or 1/d (as published) without a range, shape (n, n)."""
    if range_mm is None:
        return inverse_distance_weights(distances_mm)
    return np.asarray(np.exp(-np.asarray(distances_mm, dtype=np.float64) / range_mm))


def moran_index(maps: npt.ArrayLike, weights: npt.ArrayLike) -> Array:
    """Moran's I of each map, (n / ΣW) (z'Wz) / (z'z); maps of shape (..., n)."""
    W = np.asarray(weights, dtype=np.float64)
    z = np.asarray(maps, dtype=np.float64)
    z = z - z.mean(axis=-1, keepdims=True)
    cross = np.einsum("...i,...i->...", z @ W, z)
    return np.asarray(len(W) / W.sum() * cross / np.einsum("...i,...i->...", z, z))


def moran_eigenvectors(weights: npt.ArrayLike, blocks: Sequence[str] | None = None) -> Array:
    """Eigenvectors of the doubly centred weights, shape (n, n - 1), those of zero left out.

    With `blocks` the means of all blocks are taken out, not that of all regions alone.
    """
    W = np.asarray(weights, dtype=np.float64)
    out = np.eye(len(W)) - block_means(blocks or ("all",) * len(W))
    centred = out @ W @ out
    values, vectors = np.linalg.eigh((centred + centred.T) / 2)
    kept = np.abs(values) > ZERO_EIGENVALUE * np.abs(values).max()
    return np.asarray(vectors[:, kept])


def block_means(blocks: Sequence[str]) -> Array:
    """Matrix that replaces each region's value by the mean of its block, shape (n, n)."""
    names = np.array(blocks)
    same = names[:, None] == names[None]
    return np.asarray(same / same.sum(axis=1))


def moran_maps(
    values: npt.ArrayLike,
    distances_mm: npt.ArrayLike,
    n_maps: int,
    rng: np.random.Generator,
    *,
    range_mm: float | None = None,
    blocks: Sequence[str] | None = None,
) -> Array:
    """Singleton Moran surrogates, shape (n_maps, n), by :func:`moran_weights`.

    They keep the mean of the map, and with `blocks` that of each block.
    """
    y = np.asarray(values, dtype=np.float64)
    level = block_means(blocks or ("all",) * len(y)) @ y
    V = moran_eigenvectors(moran_weights(distances_mm, range_mm), blocks)
    a = V.T @ (y - level)
    # One random bit a coefficient; bytes are unpacked because that is the cheapest source.
    bits = np.unpackbits(
        np.frombuffer(rng.bytes(n_maps * ((len(a) + 7) // 8)), dtype=np.uint8).reshape(n_maps, -1),
        axis=1,
        count=len(a),
    )
    signs = 1.0 - 2.0 * bits
    return np.asarray(level + (signs * a) @ V.T)
