"""How far the noise of a PET can move the asymmetry of a small structure.

The smoothness of the noise comes from the correlation of neighbouring residuals, as in Forman et
al. 1995, Magn Reson Med 33:636; its propagation is the delta method, see
:func:`asymmetry_standard_errors`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from falx.core.grid import SIDES, Grid
from falx.images.smooth import FWHM_PER_SIGMA, smooth
from falx.pet.noise import Noise
from falx.pet.pvc import RegionalDesign, Spread
from falx.pet.regions import PARTS, volume_weights

__all__ = ["asymmetry_standard_errors"]

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

NOT_NOISE_MM = 16.0
"""Residuals smoother than this are regional differences that the model has no column for."""

LOCAL_MM = 30.0
"""Width over which the strength of the noise is averaged: it grows with the activity."""


def asymmetry_standard_errors(
    observed: npt.NDArray[np.floating],
    grid: Grid,
    spread: Spread,
    activities: Mapping[str, float],
    known: Noise | None = None,
) -> dict[str, float]:
    """Find the standard error of each structure's regional asymmetry, from the noise of the image.

    Parameters
    ----------
    observed
        Shape (X, Y, Z), the PET.
    grid
        Its grid.
    spread
        Blurred fractions on that grid.
    activities
        Regional activities estimated from both.
    known
        Noise of the image, measured by a finer model than regions are; without it, what the
        regions leave counts as noise, and an activity that varies within them makes it too large.

    Returns
    -------
    dict
        Structure to standard error, for structures that both sides have.

    Notes
    -----
    The asymmetry is a function of linear estimates, a = Wᵀy, so by the delta method its
    variance is gᵀ Wᵀ K W g with the gradient g. The covariance K of the noise has the local
    variance of the residuals on its diagonal and falls off as the autocorrelation of white
    noise behind a Gaussian filter, exp(-d²/4σ²), whose σ comes from the correlation of
    neighbouring residuals. Errors of segmentation and coregistration are not in it.
    """
    design = spread.design
    estimates = np.array([activities[name] for name in design.names])
    if known is not None:
        strength, filter_mm = known.sd.data, known.fwhm_mm / FWHM_PER_SIGMA
    else:
        noise = _noise(observed, design, estimates, grid)
        strength = np.sqrt(smooth(noise**2, grid.voxel_sizes_mm, LOCAL_MM, mask=design.domain))
        filter_mm = _filter_sigma_mm(noise, design.domain, grid)
    errors: dict[str, float] = {}
    for structure, parts in PARTS.items():
        gradient = _gradient(parts, design, estimates, spread)
        if gradient is not None:
            weights = np.zeros(grid.shape, dtype=np.float32)
            weights[design.domain] = design.columns @ (design.inverse @ gradient)
            errors[structure] = _standard_deviation(weights * strength, filter_mm, grid)
    return errors


def _noise(
    observed: npt.NDArray[np.floating], design: RegionalDesign, estimates: Vector, grid: Grid
) -> Floats:
    """Residuals without what is too smooth to be noise."""
    residual = np.zeros(grid.shape, dtype=np.float32)
    residual[design.domain] = observed[design.domain] - design.columns @ estimates
    slow = smooth(residual, grid.voxel_sizes_mm, NOT_NOISE_MM, mask=design.domain)
    return np.asarray(np.where(design.domain, residual - slow, np.float32(0)))


def _filter_sigma_mm(noise: Floats, domain: npt.NDArray[np.bool_], grid: Grid) -> Vector:
    """Width of the filter behind the noise along each axis, from neighbours' correlation."""
    sigmas = np.zeros(3)
    for axis, size_mm in enumerate(grid.voxel_sizes_mm):
        first = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = domain[first] & domain[second]
        a, b = noise[first][both].astype(np.float64), noise[second][both].astype(np.float64)
        # Not by dot products, whose sums depend on the number of threads.
        power = np.sum(a * a) * np.sum(b * b)
        correlation = float(np.sum(a * b)) / max(float(np.sqrt(power)), 1e-12)
        if correlation > 0.0:
            sigmas[axis] = size_mm / np.sqrt(-4.0 * np.log(min(correlation, 0.99)))
    return sigmas


def _gradient(
    parts: tuple[str, ...], design: RegionalDesign, estimates: Vector, spread: Spread
) -> Vector | None:
    """Slope of 2 (l - r)/(l + r) by the activities, l and r weighted by volume."""
    sides = []
    for side in SIDES:
        shares = volume_weights(parts, side, design.names, spread)
        if shares is None:
            return None
        sides.append(np.array([shares.get(name, 0.0) for name in design.names]))
    left, right = sides
    own, other = float(left @ estimates), float(right @ estimates)
    if own + other <= 0:
        return None
    return np.asarray(4.0 * (other * left - own * right) / (own + other) ** 2)


def _standard_deviation(weights: Floats, filter_mm: Vector, grid: Grid) -> float:
    """Return the standard deviation of `weights` summed over smooth noise of unit variance."""
    spread_mm = np.sqrt(2.0) * filter_mm
    smoothed = smooth(weights, grid.voxel_sizes_mm, spread_mm * FWHM_PER_SIGMA)
    in_voxels = spread_mm / grid.voxel_sizes_mm
    # A Gaussian of peak one is this many times the Gaussian of sum one.
    peak = float(np.prod(np.maximum(np.sqrt(2.0 * np.pi) * in_voxels, 1.0)))
    total = np.sum(weights * smoothed, dtype=np.float64)
    return float(np.sqrt(max(peak * float(total), 0.0)))
