"""The slow intensity field of an MR image, taken out before its asymmetry.

Receive coils make one side brighter: 10 % per 100 mm alone is an asymmetry index of -.056 at the
hippocampus. White matter is nearly uniform in FLAIR, so that the logarithm of its intensity is
fitted by a polynomial of the third degree in template millimetres, robustly (Tukey's weights,
Beaton & Tukey 1974, Technometrics 16:147), since lesions are bright. What is bright in grey matter
alone, as in a sclerotic hippocampus, is not in the fit.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.atlas.freesurfer_numbers import PAIRS
from falx.core.grid import Grid, mirror

__all__ = ["receive_field"]

DEGREE = 3
LEAST_VOXELS = 500
"""White matter that the twenty terms need at the least."""

TUKEY, ROUNDS = 4.685, 8


def receive_field(
    image: npt.NDArray[np.floating],
    defined: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.integer],
    grid: Grid,
) -> npt.NDArray[np.float32] | None:
    """Fit the field of an image on a symmetric grid, in the mean of the white matter one.

    Parameters
    ----------
    image
        Shape (X, Y, Z), intensities.
    defined
        Of the same shape: where they mean something.
    labels
        Of the same shape: FreeSurfer numbers.

    Returns
    -------
    ndarray
        Shape (X, Y, Z), to divide the image by; ``None`` where there is too little white matter.
        It is cut to a third and three, which no coil reaches.
    """
    white = np.isin(labels, PAIRS["cerebral white matter"]) & defined & (image > 0)
    white &= mirror(white, grid)
    inner = ndimage.binary_erosion(white)
    chosen = inner if np.count_nonzero(inner) >= LEAST_VOXELS else white
    if np.count_nonzero(chosen) < LEAST_VOXELS:
        return None
    at = grid.centres_mm() / 100.0
    terms = _terms(at[chosen])
    values = np.log(np.asarray(image[chosen], dtype=np.float64))
    weights = np.ones(len(values))
    for _ in range(ROUNDS):
        weighted = terms * weights[:, None]
        # Summed by einsum, since the sums of a matrix product depend on the number of threads.
        square, right = np.einsum("ni,nj->ij", weighted, terms), weighted.T * values
        solution = np.linalg.lstsq(square, right.sum(axis=1), rcond=1e-10)[0]
        residual = values - np.einsum("ni,i->n", terms, solution)
        spread = max(float(np.median(np.abs(residual))) / 0.6745, 1e-6)
        weights = np.clip(1.0 - (residual / (TUKEY * spread)) ** 2, 0.0, None) ** 2
    field = np.einsum("ni,i->n", _terms(at.reshape(-1, 3)), solution).reshape(grid.shape)
    field -= float(np.average(field[chosen], weights=weights))
    cut = np.clip(field, -np.log(3.0), np.log(3.0))
    return np.asarray(np.exp(cut), dtype=np.float32)


def _terms(at: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Monomials up to :data:`DEGREE` of points of shape (N, 3), shape (N, 20)."""
    powers = [p for p in product(range(DEGREE + 1), repeat=3) if sum(p) <= DEGREE]
    x, y, z = np.asarray(at, dtype=np.float64).T
    return np.stack([x**a * y**b * z**c for a, b, c in powers], axis=1)
