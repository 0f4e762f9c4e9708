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
    "unrolled",
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
    blocks = _block_means(priors.probabilities, factor, unrolled(len(TISSUES)))
    x, y, z = blocks.shape[:3]
    to_fine = np.diag([factor, factor, factor, 1.0])
    to_fine[:3, 3] = 0.5 * (factor - 1)
    affine = priors.affine @ to_fine
    margin = int(np.ceil(fwhm_mm / float(Grid((x, y, z), affine).voxel_sizes_mm.min())))
    wide = np.pad(blocks, [(margin, margin)] * 3 + [(0, 0)], mode="edge")
    sizes = Grid((x, y, z), affine).voxel_sizes_mm
    inner = (slice(margin, -margin or None),) * 3
    blurred = [smooth(wide[..., k], sizes, fwhm_mm)[inner] for k in range(len(TISSUES))]
    return as_priors(np.stack(blurred, axis=-1), affine)


@numba.njit(cache=True)
def _block_means(probabilities, factor, each):  # type: ignore[no-untyped-def]
    """Means of blocks of `factor`³ voxels, shape (x, y, z, K); the border goes on beyond it."""
    nx, ny, nz, _ = probabilities.shape
    shape = (-(-nx // factor), -(-ny // factor), -(-nz // factor), len(each))
    blocks = np.zeros(shape, np.float32)
    for i in range(shape[0] * factor):
        for j in range(shape[1] * factor):
            column = probabilities[min(i, nx - 1), min(j, ny - 1)]
            out = blocks[i // factor, j // factor]
            for k in range(shape[2] * factor):
                own, block = column[min(k, nz - 1)], out[k // factor]
                for c in range(len(each)):
                    block[c] += own[c]
    return blocks / np.float32(factor**3)


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


def unrolled(count: int) -> tuple[int, ...]:
    """Tuple of `count` zeros, to tell a kernel the number of classes.

    Other than the shape of an array, the length of a tuple is known when a kernel is compiled:
    its loops over the classes become a few vector instructions.
    """
    return (0,) * count


@numba.njit(cache=True)
def prior_at(probabilities, each, x, y, z, out):  # type: ignore[no-untyped-def]
    """Trilinear prior probabilities at voxel position (x, y, z), written to `out` (K,).

    `each` is :func:`unrolled` (K).
    """
    nx, ny, nz, _ = probabilities.shape
    i, u, _ = locate(x, nx)
    j, v, _ = locate(y, ny)
    k, w, _ = locate(z, nz)
    one = np.float32(1.0)
    q, r, s, t = (one - u) * (one - v), (one - u) * v, u * (one - v), u * v
    left, right = probabilities[i], probabilities[i + 1]
    a0, b0, c0, d0 = left[j, k], left[j + 1, k], right[j, k], right[j + 1, k]
    a1, b1, c1, d1 = left[j, k + 1], left[j + 1, k + 1], right[j, k + 1], right[j + 1, k + 1]
    for c in range(len(each)):
        low = q * a0[c] + r * b0[c] + s * c0[c] + t * d0[c]
        high = q * a1[c] + r * b1[c] + s * c1[c] + t * d1[c]
        out[c] = low + w * (high - low)


@numba.njit(cache=True)
def prior_and_slope_at(probabilities, each, x, y, z, out, slope):  # type: ignore[no-untyped-def]
    """Trilinear priors, written to `out` (K,), and their slopes per voxel to `slope` (3, K).

    `each` is :func:`unrolled` (K).
    """
    nx, ny, nz, _ = probabilities.shape
    i, u, in_x = locate(x, nx)
    j, v, in_y = locate(y, ny)
    k, w, in_z = locate(z, nz)
    on_x, on_y, on_z = np.float32(in_x), np.float32(in_y), np.float32(in_z)
    left, right = probabilities[i], probabilities[i + 1]
    a0, b0, c0, d0 = left[j, k], left[j + 1, k], right[j, k], right[j + 1, k]
    a1, b1, c1, d1 = left[j, k + 1], left[j + 1, k + 1], right[j, k + 1], right[j + 1, k + 1]
    for c in range(len(each)):
        a, b, e, f = a1[c] - a0[c], b1[c] - b0[c], c1[c] - c0[c], d1[c] - d0[c]
        at_a, at_b = a0[c] + w * a, b0[c] + w * b
        at_e, at_f = c0[c] + w * e, d0[c] + w * f
        at_left, at_right = at_a + v * (at_b - at_a), at_e + v * (at_f - at_e)
        out[c] = at_left + u * (at_right - at_left)
        slope[0, c] = on_x * (at_right - at_left)
        slope[1, c] = on_y * ((at_b - at_a) + u * ((at_f - at_e) - (at_b - at_a)))
        up_left, up_right = a + v * (b - a), e + v * (f - e)
        slope[2, c] = on_z * (up_left + u * (up_right - up_left))
