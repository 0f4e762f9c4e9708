"""The noise of a PET from its own frames: what differs between them and is no kinetics.

Over a window of late frames the activity of a voxel is a line in time, fitted by least squares
with the frames' durations as weights; what is left of every frame is noise, whose variance falls
with the duration. So the spread of the mean over the window follows without a model of the image:
its variance is that of a frame times duration over the total duration. A voxel has few frames, so
that variances are pooled by activity and neighbourhood. Smoothness from the correlation of
neighbouring residuals (Kiebel et al. 1999, NeuroImage 10:756). The rest has no published source.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from falx.core.errors import notify
from falx.images.nifti import Image
from falx.images.smooth import FWHM_PER_SIGMA
from falx.pet.noise import (
    WIDEST_MM,
    Noise,
    filter_voxels,
    neighbours_alike,
    pooled_variance,
)

__all__ = ["LEAST_FRAMES", "noise_of_frames"]

Floats = npt.NDArray[np.float32]

LEAST_FRAMES = 4
"""A line takes two degrees of freedom; fewer frames leave too little to measure."""

INSIDE = 0.2
"""Of the brightest voxels' mean: where residuals count for the smoothness."""


def noise_of_frames(
    frames: npt.NDArray[np.floating],
    affine: npt.NDArray[np.floating],
    durations: Sequence[float],
    *,
    where: object = None,
) -> Noise | None:
    """Measure the noise of the duration-weighted mean of some frames.

    Parameters
    ----------
    frames
        Shape (X, Y, Z, T), one window in the order of time.
    durations
        Of each frame, T in any unit.

    Returns
    -------
    Noise or None
        ``None``, with a notice, where frames are too few or their residuals no noise: as smooth
        as kinetics or motion are.
    """
    weights = np.asarray(durations, dtype=np.float64)
    count = len(weights)
    if count < LEAST_FRAMES:
        return None
    weights = weights / weights.sum()
    middle = np.cumsum(weights) - 0.5 * weights
    time = middle - np.sum(weights * middle)
    flow = np.sum(weights * time**2)
    mean = _sum(frames, weights)
    slope = _sum(frames, weights * time) / np.float32(flow)
    variance = np.zeros(mean.shape, dtype=np.float32)
    inside = mean > INSIDE * float(np.mean(np.sort(mean.ravel())[-max(mean.size // 100, 1) :]))
    sizes_mm = Image(mean, np.asarray(affine, np.float64)).grid.voxel_sizes_mm
    alike = np.zeros(3)
    for number in range(count):
        rest = frames[..., number] - mean - slope * np.float32(time[number])
        variance += np.float32(weights[number]) * np.square(rest, dtype=np.float32)
        alike += neighbours_alike(np.where(inside, rest, np.float32(0)), inside) / count
    # Var(frame k) is rate / w_k, and that of the mean, with all weights summing to one, the rate.
    variance /= np.float32(count - 2)
    sigma = np.array([filter_voxels(value) for value in alike])
    fwhm_mm = sigma * FWHM_PER_SIGMA * sizes_mm
    if fwhm_mm.max() > WIDEST_MM or not variance[inside].any():
        notify(
            "the frames of the PET differ by more than noise, as by motion or fast kinetics; its "
            "noise is measured in the residuals of the mean image",
            where=where,
            found=f"differences of {fwhm_mm.max():.1f} mm FWHM",
            do="choose late frames of a head that kept still",
        )
        return None
    grid = Image(mean, np.asarray(affine, np.float64)).grid
    pooled = pooled_variance(variance, np.ones_like(mean), mean, inside, grid)
    return Noise(Image(np.sqrt(np.maximum(pooled, 0)), grid.affine), fwhm_mm)


def _sum(frames: npt.NDArray[np.floating], weights: npt.NDArray[np.float64]) -> Floats:
    total = np.zeros(frames.shape[:3], dtype=np.float32)
    for number, weight in enumerate(weights):
        total += np.float32(weight) * frames[..., number]
    return total
