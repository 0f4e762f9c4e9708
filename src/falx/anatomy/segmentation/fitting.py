"""The joint fit of intensities, bias field and deformation, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.anatomy.priors import TissuePriors
from falx.anatomy.registration.deformation import Warp, improve_warp, still, warped_priors
from falx.anatomy.registration.elastic import ElasticEnergy
from falx.anatomy.samples import Samples, take_samples
from falx.anatomy.segmentation.bias import BiasField, flat_bias, improve_bias
from falx.anatomy.segmentation.mixture import (
    Mixture,
    class_evidence,
    fit_mixture,
    from_moments,
)
from falx.anatomy.settings import SegmentationSettings
from falx.core.errors import QualityError
from falx.core.grid import Grid
from falx.images.nifti import Image

__all__ = [
    "Fit",
    "Sampled",
    "Start",
    "fit_model",
    "sampled_at",
    "wrapped",
]

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

Start = Callable[[Floats, Floats, tuple[int, ...]], Mixture]
"""First Gaussians from values (n,), priors (n, K) and the number of Gaussians of each class."""

COARSE_FACTOR = 2.0
COARSE_UNTIL = 4.0
BIAS_STEPS = 3
FIRST_STEPS, FURTHER_STEPS = 8, 3
"""Iterations of the Gaussians before and after every step of the bias field, in the first round
and in the others: always as many, since rounding would decide where a fit stops by its gain."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Fitted parameters of the model.

    Parameters
    ----------
    mixture
        Intensity model, in the units of the image.
    bias
        Correcting field.
    displacement_mm
        Shape (X, Y, Z, 3), float32, along the image axes, on `grid`.
    grid
        Sample grid, native mm.
    stride
        Image voxels per node.
    gains
        Decrease of energy per sample in every round.
    """

    mixture: Mixture
    bias: BiasField
    displacement_mm: Floats
    grid: Grid
    stride: tuple[int, int, int]
    gains: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _State:
    mixture: Mixture | None
    bias: BiasField
    warp: Warp | None


def fit_model(
    image: Image,
    mask: npt.NDArray[np.bool_],
    priors: TissuePriors,
    affine: Vector,
    settings: SegmentationSettings,
    *,
    start: Start = from_moments,
    threads: int,
) -> Fit:
    """Fit the model of Ashburner & Friston (2005) to an image.

    The deformation's energy is relaxed by halves from `settings.relaxation` to one. While it
    is stiff, samples twice as far apart say as much; the last rounds use all of them.

    Parameters
    ----------
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    affine
        4×4, native mm to template mm.
    start
        Where the intensities start.
    """
    state = _State(None, flat_bias(image.grid, settings.bias_fwhm_mm), None)
    fine = take_samples(image, settings.sampling_mm, mask=mask)
    coarse = take_samples(image, COARSE_FACTOR * settings.sampling_mm, mask=mask)
    factors = [max(1.0, settings.relaxation / 2.0**n) for n in range(settings.rounds)]
    stiff = [f for f in factors if f >= COARSE_UNTIL]
    gains: list[float] = []
    for samples, level in ((coarse, stiff), (fine, factors[len(stiff) :])):
        elastic = ElasticEnergy(
            samples.grid.shape,
            samples.grid.voxel_sizes_mm,
            settings.penalties,
            fine.mm3_each,
            threads,
        )
        to_prior = np.linalg.inv(priors.affine) @ affine @ samples.grid.affine
        state = replace(
            state, warp=_started(state.warp, coarse, still(elastic, to_prior), samples)
        )
        for factor in level:
            state, gain = _round(state, samples, priors, elastic, factor, settings, start)
            gains.append(gain / len(samples.values))
    return _finished(state, fine, gains)


def _finished(state: _State, samples: Samples, gains: list[float]) -> Fit:
    assert state.warp is not None
    x, y, z = samples.grid.shape
    field = np.ascontiguousarray(state.warp.displacement_mm[:, :x, :y, :z].transpose(1, 2, 3, 0))
    if state.mixture is None or not np.all(np.isfinite(field)):
        raise QualityError(
            "the segmentation did not converge",
            found="displacements that are not finite",
            do="check that the image is a T1-weighted head",
        )
    return Fit(state.mixture, state.bias, field, samples.grid, samples.stride, tuple(gains))


def _round(
    state: _State,
    samples: Samples,
    priors: TissuePriors,
    elastic: ElasticEnergy,
    factor: float,
    settings: SegmentationSettings,
    start: Start,
) -> tuple[_State, float]:
    """Gaussians and bias in turn, then the deformation."""
    assert state.warp is not None
    at_samples = warped_priors(state.warp, samples, priors)
    mixture, bias = state.mixture, state.bias
    values = corrected_values(samples, bias)
    most = FURTHER_STEPS
    if mixture is None:
        mixture = start(values, at_samples, settings.gaussians)
        most = FIRST_STEPS
    for _ in range(BIAS_STEPS):
        mixture = fit_mixture(mixture, values, at_samples, most=most)
        bias = improve_bias(
            bias,
            samples,
            at_samples,
            mixture,
            fwhm_mm=settings.bias_fwhm_mm,
            regularisation=settings.bias_regularisation,
        )
        values = corrected_values(samples, bias)
    mixture = fit_mixture(mixture, values, at_samples, most=most)
    evidence = class_evidence(mixture, values)
    warp, gain = improve_warp(
        state.warp, samples, evidence, mixture.shares, priors, elastic, factor=factor
    )
    return _State(mixture, bias, warp), gain


@dataclass(frozen=True, eq=False)
class Sampled:
    """What a fit says of an image at its samples.

    Parameters
    ----------
    values
        Shape (n,), intensities after the correcting field.
    priors
        Shape (n, K), warped.
    mm3_each
        Volume that a sample stands for.
    """

    values: Floats
    priors: Floats
    mm3_each: float


def sampled_at(
    fit: Fit,
    image: Image,
    mask: npt.NDArray[np.bool_],
    priors: TissuePriors,
    affine: Vector,
    sampling_mm: float,
) -> Sampled:
    """Corrected values and warped priors at the samples of a fit.

    Parameters
    ----------
    mask
        Shape (X, Y, Z): voxels with a measured intensity.
    affine
        4×4, native mm to template mm.
    """
    samples = take_samples(image, sampling_mm, mask=mask)
    to_prior = np.linalg.inv(priors.affine) @ affine @ samples.grid.affine
    field = np.ascontiguousarray(fit.displacement_mm.transpose(3, 0, 1, 2))
    warp = Warp(field, to_prior, samples.grid.voxel_sizes_mm)
    return Sampled(
        corrected_values(samples, fit.bias),
        warped_priors(warp, samples, priors),
        samples.mm3_each,
    )


def corrected_values(samples: Samples, bias: BiasField) -> Floats:
    """Intensities of the samples after the correcting field, shape (n,)."""
    log_field = bias.log_field(samples.stride, samples.grid.shape)
    return np.asarray(samples.values * np.exp(samples.of(log_field)))


def _started(coarse: Warp | None, before: Samples, fine: Warp, samples: Samples) -> Warp:
    """Carry displacements over to a finer grid with the same origin, if there are any."""
    if coarse is None:
        return fine
    ratio = np.array(samples.stride) / np.array(before.stride)
    inside = tuple(slice(n) for n in before.grid.shape)
    positions = np.meshgrid(
        *[np.arange(n) * r for n, r in zip(samples.grid.shape, ratio, strict=True)], indexing="ij"
    )
    field = np.empty_like(fine.displacement_mm)
    for axis in range(3):
        values = ndimage.map_coordinates(
            coarse.displacement_mm[axis][inside], positions, order=1, mode="nearest"
        )
        field[axis] = wrapped(values, field.shape[1:])
    return replace(fine, displacement_mm=field)


def wrapped(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Fill the margin of the grid of `shape` by ramps from each border to the opposite one."""
    for axis, wide in enumerate(shape):
        n = values.shape[axis]
        first, last = values.take([0], axis), values.take([n - 1], axis)
        steps = np.arange(1, wide - n + 1) / (wide - n + 1.0)
        ramp = steps.reshape([-1 if a == axis else 1 for a in range(3)])
        values = np.concatenate([values, last + ramp * (first - last)], axis=axis)
    return np.asarray(values, dtype=np.float32)
