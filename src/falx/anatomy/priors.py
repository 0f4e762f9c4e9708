"""Tissue priors: how probable each tissue is at each place of the template.

Sampled linearly between voxels, as Ashburner & Friston 2005 (NeuroImage 26:839) do, with the
slope that the fit of the deformation needs.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.data.labels import TISSUES
from falx.data.priors import TissuePriors
from falx.images.smooth import smooth

__all__ = [
    "TISSUES",
    "TissuePriors",
    "as_priors",
    "brain_only",
    "coarsened",
    "locate",
    "prior_and_slope_at",
    "prior_at",
]

FLOOR = 1e-4
"""Least prior probability: no place excludes a tissue altogether."""


def as_priors(
    probabilities: npt.NDArray[np.floating], affine: npt.NDArray[np.floating]
) -> TissuePriors:
    """Floor and normalise raw probabilities of shape (X, Y, Z, 6).

    Raises
    ------
    InputError
        If there are not six classes, or values are negative or not finite.
    """
    if probabilities.ndim != 4 or probabilities.shape[3] != len(TISSUES):
        raise InputError(
            "tissue priors need six classes on the last axis",
            found=f"shape {probabilities.shape}",
            do=f"give {', '.join(TISSUES)}",
        )
    values = np.array(probabilities, dtype=np.float32, order="C")
    if not np.all(np.isfinite(values)) or values.min() < 0:
        raise InputError(
            "tissue priors must be finite and not negative",
            do="give probabilities between 0 and 1",
        )
    values /= np.maximum(values.sum(axis=3, keepdims=True), np.float32(1e-6))
    np.maximum(values, np.float32(FLOOR), out=values)
    values /= values.sum(axis=3, keepdims=True)
    return TissuePriors(values, np.array(affine, dtype=np.float64))


def coarsened(priors: TissuePriors, factor: int, fwhm_mm: float) -> TissuePriors:
    """Average blocks of `factor`³ voxels, then smooth; the border's values hold beyond it."""
    pad = [(0, -n % factor) for n in priors.probabilities.shape[:3]]
    whole = np.pad(priors.probabilities, [*pad, (0, 0)], mode="edge")
    x, y, z = (n // factor for n in whole.shape[:3])
    blocks = whole.reshape(x, factor, y, factor, z, factor, len(TISSUES)).mean(axis=(1, 3, 5))
    to_fine = np.diag([factor, factor, factor, 1.0])
    to_fine[:3, 3] = 0.5 * (factor - 1)
    affine = priors.affine @ to_fine
    margin = int(np.ceil(fwhm_mm / float(Grid((x, y, z), affine).voxel_sizes_mm.min())))
    wide = np.pad(blocks, [(margin, margin)] * 3 + [(0, 0)], mode="edge")
    sizes = Grid((x, y, z), affine).voxel_sizes_mm
    inner = (slice(margin, -margin or None),) * 3
    blurred = [smooth(wide[..., k], sizes, fwhm_mm)[inner] for k in range(len(TISSUES))]
    return as_priors(np.stack(blurred, axis=-1), affine)


def brain_only(priors: TissuePriors) -> TissuePriors:
    """Priors for a brain-extracted image: everywhere grey, white or fluid.

    The classes of the head are impossible, not improbable: with a prior of a ten-thousandth
    their global shares grew until they took the ventricles and the thalamus.
    """
    values = priors.probabilities.copy()
    values[..., 3:] = 0.0
    brain = as_priors(values, priors.affine).probabilities
    brain[..., 3:] = 0.0
    brain /= brain.sum(axis=-1, keepdims=True)
    return TissuePriors(brain, priors.affine)


@numba.njit(cache=True)
def locate(position, length):  # type: ignore[no-untyped-def]
    """Lower neighbour, fraction, and whether inside, of a position along an axis.

    Beyond the border the border's value holds, and the slope is zero.
    """
    inside = 0.0 <= position <= length - 1.0
    held = min(max(position, 0.0), length - 1.0)
    lower = min(int(held), length - 2)
    return lower, np.float32(held - lower), inside


@numba.njit(cache=True)
def prior_at(probabilities, x, y, z, out):  # type: ignore[no-untyped-def]
    """Trilinear prior probabilities at voxel position (x, y, z), written to `out` (6,)."""
    nx, ny, nz, classes = probabilities.shape
    i, u, _ = locate(x, nx)
    j, v, _ = locate(y, ny)
    k, w, _ = locate(z, nz)
    one = np.float32(1.0)
    for c in range(classes):
        out[c] = 0.0
    for di in range(2):
        wx = u if di else one - u
        for dj in range(2):
            wxy = wx * (v if dj else one - v)
            lo, hi = wxy * (one - w), wxy * w
            for c in range(classes):
                out[c] += (
                    lo * probabilities[i + di, j + dj, k, c]
                    + hi * probabilities[i + di, j + dj, k + 1, c]
                )


@numba.njit(cache=True)
def prior_and_slope_at(probabilities, x, y, z, out, slope):  # type: ignore[no-untyped-def]
    """Trilinear priors, written to `out` (6,), and their slopes per voxel to `slope` (6, 3)."""
    nx, ny, nz, classes = probabilities.shape
    i, u, in_x = locate(x, nx)
    j, v, in_y = locate(y, ny)
    k, w, in_z = locate(z, nz)
    one = np.float32(1.0)
    for c in range(classes):
        out[c] = slope[c, 0] = slope[c, 1] = slope[c, 2] = 0.0
    for di in range(2):
        wx, sx = (u, one) if di else (one - u, -one)
        for dj in range(2):
            wy, sy = (v, one) if dj else (one - v, -one)
            for c in range(classes):
                low = probabilities[i + di, j + dj, k, c]
                high = probabilities[i + di, j + dj, k + 1, c]
                along = low + w * (high - low)
                out[c] += wx * wy * along
                slope[c, 0] += sx * wy * along
                slope[c, 1] += wx * sy * along
                slope[c, 2] += wx * wy * (high - low)
    for c in range(classes):
        if not in_x:
            slope[c, 0] = 0.0
        if not in_y:
            slope[c, 1] = 0.0
        if not in_z:
            slope[c, 2] = 0.0
