r"""Giving null maps back the smoothness that their making took.

A spin moves regions to the places of others, which never fit exactly, so neighbours end up apart
and the null map is rougher than the map. Null maps made block by block lose what one block shares
with its neighbour. Both make a test reject too often.

With the covariance C of a field fitted to the map, what a method leaves of it is known: C_s, the
mean of :math:`P C P^\top` over the rotations' assignments P, or the diagonal part of C in the
Moran basis. The linear map closest to the identity that turns C_s into C,

.. math:: A = C_s^{-1/2} (C_s^{1/2} C C_s^{1/2})^{1/2} C_s^{-1/2},

(Knott and Smith 1984: optimal transport between normal laws) is applied to every null map.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["covariance_after_moran", "covariance_after_spins", "restoring_matrix"]

Array = npt.NDArray[np.float64]
SPINS_FOR_COVARIANCE = 1000
LEAST_EIGENVALUE = 1e-6


def covariance_after_spins(covariance: Array, assignments: npt.NDArray[np.intp]) -> Array:
    """Mean covariance of spun fields, from the first thousand assignments of shape (B, n)."""
    some = assignments[:SPINS_FOR_COVARIANCE]
    total = np.zeros_like(covariance)
    for moved in some:
        total += covariance[np.ix_(moved, moved)]
    return np.asarray(total / len(some))


def covariance_after_moran(covariance: Array, eigenvectors: Array) -> Array:
    """Covariance of Moran surrogates of a field, shape (n, n): its mean and its Moran spectrum."""
    centre = np.full((len(covariance), 1), len(covariance) ** -0.5)
    basis = np.hstack([eigenvectors, centre])
    spectrum = np.einsum("ik,ij,jk->k", basis, covariance, basis)
    return np.asarray((basis * spectrum) @ basis.T)


def restoring_matrix(left: Array, wanted: Array) -> Array:
    """Symmetric matrix closest to the identity that turns covariance `left` into `wanted`.

    Examples
    --------
    >>> restoring_matrix(np.diag([4.0, 1.0]), np.eye(2)).round(6).tolist()
    [[0.5, 0.0], [0.0, 1.0]]
    """
    values, vectors = np.linalg.eigh(left)
    root = np.sqrt(np.maximum(values, LEAST_EIGENVALUE * values.max()))
    half, inverse = (vectors * root) @ vectors.T, (vectors / root) @ vectors.T
    values, vectors = np.linalg.eigh(half @ wanted @ half)
    middle = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return np.asarray(inverse @ middle @ inverse)
