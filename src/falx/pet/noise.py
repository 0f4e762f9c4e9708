"""The noise of one PET, measured in it, and what it does to the asymmetry map.

The image is compared with a model of itself: the regional activities, with the grey matter's own
activity fitted anew around every voxel (locally weighted Müller-Gärtner, weights h*p_GM). What is
left, without its slow part, is noise. Its width comes from the correlation of neighbouring
residuals (Kiebel et al. 1999, NeuroImage 10:756) and its strength from their local variance; both
are corrected for what the fit took away, by sending noise of known width and strength through it.

Draws of that noise then go through the very steps that the PET goes through: division by the
blurred grey-matter fraction, warp, smoothing, mirror. Their spread is the standard error of every
voxel; the draws themselves are null maps for :mod:`falx.pet.decoy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.errors import InputError, notify
from falx.core.grid import Grid, mirror
from falx.images.nifti import Image, as_stored
from falx.images.resample import sample
from falx.images.smooth import FWHM_PER_SIGMA, smooth
from falx.pet.maps import MOST, Place
from falx.pet.pvc import Spread, tissue_spill

__all__ = [
    "WIDEST_MM",
    "Chain",
    "HalfMaps",
    "Noise",
    "corrected_noise",
    "defined_half",
    "filter_voxels",
    "index_slope",
    "measure_noise",
    "neighbours_alike",
    "noise_maps",
    "pooled_variance",
    "unfold",
]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.floating]

FIT_MM = 12.0
"""Width over which the activity of the grey matter is fitted, and of the slow part that goes."""

LOCAL_MM = 30.0
"""Width over which the strength is compared with what the activity lets expect."""

INSIDE = 0.5
"""Least blurred fraction of the brain where residuals count: the model knows no scalp."""

ALIKE = 0.98
"""Neighbours as alike as this were filtered so widely that the fit leaves nothing to measure."""

WIDEST_MM = 12.5
"""Noise measured as wider is refused. Of noise filtered by 8, 10 and 12 mm .94 is found in grey
matter; of 16 and 24 mm, which look like up to 15.9 mm, .85 and .78."""

BORDERS = 0.8
"""Residuals correlated as much with what a wider point spread would leave are no noise: 5 % noise
filtered by 5 and 16 mm gives .86 and .88, and would be taken for 2 and 13 times what it is."""

BORDERS_DOUBT = 0.4
"""As a point spread leaves that is 1 mm wider or narrower than was stated (1.1 to 1.3 times)."""

SHARPER_MM = 4.0
"""Width of the change of point spread whose trace is looked for."""

ROUNDS = 4
BINS = 10
SIGMAS = np.linspace(0.2, 6.0, 200)

POOL_MM = 8.0
"""Variances of neighbours are averaged over this width: 40 draws alone are known to 11 %."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of an image: Gaussian, of a local strength, behind a Gaussian filter.

    Parameters
    ----------
    sd
        Shape (X, Y, Z), in the unit of the image, on its own voxels.
    fwhm_mm
        Of the filter along each voxel axis, shape (3,).
    """

    sd: Image
    fwhm_mm: npt.NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw noise, shape (X, Y, Z)."""
        unit = _unit_noise(self.sd.grid, self.fwhm_mm, rng)
        return np.asarray(unit * self.sd.data, dtype=np.float32)

    def stored(self) -> Noise:
        """Return it as it comes back from files, whose axes run to the right, front and top.

        Examples
        --------
        >>> turned = np.eye(4)[[2, 0, 1, 3]]
        >>> Noise(Image(np.ones((2, 3, 4)), turned), np.array([5.0, 6.0, 7.0])).stored().fwhm_mm
        array([7., 5., 6.])
        """
        sd = as_stored(self.sd.data, self.sd.affine)
        alike = np.abs(sd.affine[:3, :3].T @ self.sd.affine[:3, :3])
        sizes = np.linalg.norm(self.sd.affine[:3, :3], axis=0)
        return Noise(sd, self.fwhm_mm[np.argmax(alike / sizes, axis=1)])


def measure_noise(
    observed: npt.NDArray[np.floating],
    grid: Grid,
    spread: Spread,
    activities: Mapping[str, float],
    rng: np.random.Generator,
) -> Noise:
    """Measure the noise of a PET in its residuals.

    Parameters
    ----------
    observed
        Shape (X, Y, Z), the PET on `grid`.
    spread
        Blurred fractions on it.
    activities
        Regional activities estimated from both.
    rng
        For the noise that calibrates the fit.

    Raises
    ------
    InputError
        If the image holds no noise that could be measured: it is rounded, heavily filtered, or
        blurred more widely than was stated.
    """
    fit = _LocalFit(spread, grid)
    around = np.clip(1.0 - spread.brain, 0.0, None)
    spill = tissue_spill(spread, activities) + activities.get("surroundings", 0.0) * around
    model, residual = fit(np.asarray(observed, dtype=np.float32), np.asarray(spill, np.float32))
    level = float(np.abs(model[fit.inside]).mean())
    roughness = float(residual[fit.inside].std()) / max(level, 1e-12)
    seen = fit.correlations(residual)
    if not (roughness > 1e-4 and seen.max() < ALIKE):
        raise InputError(
            "the noise of the PET cannot be measured",
            found=f"residuals of {roughness:.1e} of the mean, neighbours correlated by "
            f"{seen.max():.3f}",
            do="give the image as reconstructed, neither filtered again nor rounded to few levels",
        )
    _check_borders(fit.borders(model, residual))
    left = np.zeros(grid.shape, dtype=np.float32)
    nothing, target = np.zeros(grid.shape, dtype=np.float32), seen.copy()
    for _ in range(ROUNDS):
        sigma = np.array([filter_voxels(c) for c in target])
        fwhm_mm = sigma * FWHM_PER_SIGMA * grid.voxel_sizes_mm
        _, passed = fit(_unit_noise(grid, fwhm_mm, rng), nothing)
        left += passed**2 / np.float32(ROUNDS)
        target += seen - fit.correlations(passed)
    if fwhm_mm.max() > WIDEST_MM:
        raise InputError(
            "the noise of the PET cannot be measured: the image was filtered too widely",
            found=f"noise of {fwhm_mm.max():.1f} mm FWHM",
            do=f"give the image as reconstructed, filtered by no more than {FIT_MM:g} mm",
        )
    variance = pooled_variance(residual**2, left, model, fit.inside, grid)
    return Noise(Image(np.sqrt(variance), grid.affine), fwhm_mm)


def _check_borders(alike: float) -> None:
    """Refuse an image whose residuals are the borders of tissues, and say where some are."""
    if alike < -BORDERS:
        raise InputError(
            "the noise of the PET cannot be measured: its tissues are blurred more widely than by "
            "the point spread that was stated, as by a filter",
            found=f"residuals correlated by {-alike:.2f} with the trace of such a blur, accepted "
            f"up to {BORDERS:g}",
            do="give the image as reconstructed, or state its whole point spread, pet.psf_fwhm_mm",
        )
    if abs(alike) > BORDERS_DOUBT:
        wider = "wider" if alike < 0 else "narrower"
        notify(
            f"the point spread of the PET seems {wider} than was stated, so that its noise reads "
            "too large and its corrected values are biased",
            found=f"residuals correlated by {alike:+.2f} with the trace of a narrower one",
            do="state pet.psf_fwhm_mm, that of scanner and filters together",
        )


class _LocalFit:
    """Residuals of an image from local grey-matter activities, weighted by Gaussians."""

    def __init__(self, spread: Spread, grid: Grid) -> None:
        self.grid, self.gm = grid, spread.gm
        self.inside: Mask = spread.brain > INSIDE
        weight = np.where(self.inside, spread.gm**2, np.float32(0))
        self._weight = np.maximum(smooth(weight, grid.voxel_sizes_mm, FIT_MM), np.float32(1e-4))
        inside = self.inside.astype(np.float32)
        self._share = np.maximum(smooth(inside, grid.voxel_sizes_mm, FIT_MM), np.float32(1e-6))

    def __call__(self, image: Floats, spill: Floats) -> tuple[Floats, Floats]:
        """Model and residual, ``g h*p_GM + spill`` with ``g = G*(p (I - spill)) / G*p²``."""
        sizes_mm, zero = self.grid.voxel_sizes_mm, np.float32(0)
        grey = np.where(self.inside, self.gm * (image - spill), zero)
        model = smooth(grey, sizes_mm, FIT_MM) / self._weight * self.gm + spill
        rough = np.where(self.inside, image - model, zero)
        slow = smooth(rough, sizes_mm, FIT_MM) / self._share
        rest = np.where(self.inside, rough - slow, zero)
        return np.asarray(model, np.float32), np.asarray(rest, np.float32)

    def borders(self, model: Floats, residual: Floats) -> float:
        """Correlation of residuals with the high frequencies of the model, -1…1.

        Where the image is blurred more widely than the model, its residuals are minus those.
        """
        sharp = model - smooth(model, self.grid.voxel_sizes_mm, SHARPER_MM)
        _, trace = self(sharp, np.zeros_like(sharp))
        a, b = (part[self.inside].astype(np.float64) for part in (residual, trace))
        a, b = a - a.mean(), b - b.mean()
        # Not by dot products, whose sums depend on the number of threads.
        power = float(np.sum(a * a)) * float(np.sum(b * b))
        return float(np.sum(a * b)) / float(np.sqrt(power)) if power > 0 else 0.0

    def correlations(self, residual: Floats) -> npt.NDArray[np.float64]:
        """Correlation of neighbouring voxels along each axis, shape (3,)."""
        return neighbours_alike(residual, self.inside)


def neighbours_alike(residual: Floats, inside: Mask) -> npt.NDArray[np.float64]:
    """Correlation of neighbouring voxels along each axis, shape (3,).

    Parameters
    ----------
    residual, inside
        Shape (X, Y, Z): noise of mean zero, and where it counts.
    """
    found = np.zeros(3)
    for axis in range(3):
        first = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = inside[first] & inside[second]
        a, b = (residual[part][both].astype(np.float64) for part in (first, second))
        # Not by dot products, whose sums depend on the number of threads.
        power = np.sum(a * a) * np.sum(b * b)
        found[axis] = float(np.sum(a * b)) / max(float(np.sqrt(power)), 1e-12)
    return found


def filter_voxels(correlation: float) -> float:
    """Return sigma, in voxels, of the sampled Gaussian that gives neighbours this correlation."""
    taps = np.arange(-30, 31)
    kernels = np.exp(-(taps**2) / (2.0 * SIGMAS[:, None] ** 2))
    power = (kernels**2).sum(axis=1)
    return float(
        np.interp(correlation, (kernels[:, 1:] * kernels[:, :-1]).sum(axis=1) / power, SIGMAS)
    )


def pooled_variance(
    squares: Floats, left: Floats, model: Floats, inside: Mask, grid: Grid
) -> Floats:
    """Variance by the activity of a voxel, times how noisy its surroundings are for theirs.

    Parameters
    ----------
    squares, left, model, inside
        Shape (X, Y, Z): squared residuals, what was left of unit variance in them, activity, and
        where they count.
    """
    edges = np.quantile(model[inside], np.linspace(0.0, 1.0, BINS + 1))
    which = np.clip(np.digitize(model, edges[1:-1]), 0, BINS - 1)
    counted = which[inside]
    total = np.bincount(counted, squares[inside], BINS)
    expected = np.maximum(np.bincount(counted, left[inside], BINS), 1e-12)
    middle = np.bincount(counted, model[inside], BINS) / np.maximum(
        np.bincount(counted, minlength=BINS), 1
    )
    by_activity = np.interp(model, middle, total / expected).astype(np.float32)
    sizes_mm, zero = grid.voxel_sizes_mm, np.float32(0)
    found = smooth(np.where(inside, squares, zero), sizes_mm, LOCAL_MM)
    usual = smooth(np.where(inside, left * by_activity, zero), sizes_mm, LOCAL_MM)
    ratio = np.where(usual > 1e-6 * usual.max(), found / np.maximum(usual, 1e-30), 1.0)
    return np.asarray(by_activity * ratio, dtype=np.float32)


def _unit_noise(grid: Grid, fwhm_mm: npt.ArrayLike, rng: np.random.Generator) -> Floats:
    sigma = np.asarray(fwhm_mm) / FWHM_PER_SIGMA / grid.voxel_sizes_mm
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    field = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3.0)
    return np.asarray(field / field.std(), dtype=np.float32)


def corrected_noise(noise: Noise, gm: Floats, defined: Mask, to_t1: Matrix) -> Noise:
    """Noise of an image after partial-volume correction, which divides by h*p_GM.

    Parameters
    ----------
    gm
        Shape (X, Y, Z) of the PET, blurred grey-matter fraction; ones where nothing is corrected.
    defined
        Of the same shape: where the corrected image is defined; the noise is zero elsewhere.
    to_t1
        Shape (4, 4), PET mm → T1w mm; it goes into the affine.
    """
    sd = np.where(defined, noise.sd.data / np.maximum(gm, np.float32(1e-3)), np.float32(0))
    return Noise(Image(sd.astype(np.float32), to_t1 @ noise.sd.affine), noise.fwhm_mm)


def index_slope(image: npt.NDArray[np.floating], grid: Grid, valid: Mask) -> tuple[Floats, Floats]:
    """Slopes of the asymmetry index by a voxel and by its mirror: 4 b/(a+b)² and -4 a/(a+b)².

    Examples
    --------
    >>> from falx.core.grid import box_grid
    >>> grid = box_grid((-0.5, 0, 0), (0.5, 0, 0), 1.0)
    >>> own, other = index_slope(np.array([[[1.0]], [[1.0]]]), grid, np.ones((2, 1, 1), bool))
    >>> own.ravel(), other.ravel()
    (array([1., 1.], dtype=float32), array([-1., -1.], dtype=float32))
    """
    here = np.asarray(image, dtype=np.float64)
    there = mirror(here, grid)
    square = np.where(valid, (here + there) ** 2, 1.0)
    own, other = (
        np.where(valid, 4.0 * there / square, 0.0),
        np.where(valid, 4.0 * here / square, 0),
    )
    return np.asarray(own, dtype=np.float32), np.asarray(-other, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HalfMaps:
    """Antisymmetric maps: what stands at x < 0 is all.

    Parameters
    ----------
    values
        Shape (N, n): N maps at the n voxels of `where`.
    where
        Shape (X // 2, Y, Z) of a symmetric grid: where the index is defined.
    grid
        The whole grid.
    """

    values: Floats
    where: Mask
    grid: Grid

    @property
    def count(self) -> int:
        """Number of maps."""
        return len(self.values)

    def standard_error(self) -> Floats:
        """Spread of the maps about zero, shape (X, Y, Z), variances pooled over neighbours."""
        return self._spread

    @cached_property
    def _spread(self) -> Floats:
        half = np.zeros(self.where.shape, dtype=np.float32)
        half[self.where] = np.mean(np.square(self.values), axis=0)
        variance, defined = unfold(half, self.grid), unfold(self.where, self.grid)
        return np.sqrt(smooth(variance, self.grid.voxel_sizes_mm, POOL_MM, mask=defined))


def unfold(half: npt.NDArray[Any], grid: Grid) -> npt.NDArray[Any]:
    """Symmetric map, shape (X, Y, Z), from its half at x < 0; a middle plane stays zero."""
    whole = np.zeros(grid.shape, dtype=half.dtype)
    whole[: len(half)] = half
    whole[len(whole) - len(half) :] = half[::-1]
    return whole


def defined_half(image: npt.NDArray[np.floating], grid: Grid) -> Mask:
    """Where a voxel at x < 0 and its mirror image both hold something, shape (X // 2, Y, Z)."""
    defined = np.asarray(image) != 0
    return np.asarray((defined & mirror(defined, grid))[: grid.shape[0] // 2])


@dataclass(frozen=True, eq=False)
class Chain:
    """The steps from a corrected PET to the index, for small changes of it.

    Parameters
    ----------
    place
        The patient's anatomy.
    image
        Shape (X, Y, Z) of the template grid, the PET there after smoothing, in its own unit;
        zero where it is not defined.
    smoothing_fwhm_mm
        That it was smoothed by.
    """

    place: Place
    image: npt.NDArray[np.floating]
    smoothing_fwhm_mm: float

    @cached_property
    def defined(self) -> Mask:
        """Where the image is defined."""
        return np.asarray(np.asarray(self.image) != 0)

    @cached_property
    def where(self) -> Mask:
        """Half of the grid in which the index is defined."""
        return np.asarray(defined_half(self.image, self.place.template), dtype=np.bool_)

    @cached_property
    def weight(self) -> Floats:
        """Share of the smoothing kernel inside the image, shape (X, Y, Z)."""
        return np.maximum(self._smooth(self.defined.astype(np.float32)), np.float32(1e-6))

    def smooth(self, values: Floats) -> Floats:
        """Smooth a map of shape (X, Y, Z), the template's, as the PET was, inside it."""
        return np.asarray(self._smooth(np.where(self.defined, values, 0)) / self.weight)

    def _smooth(self, values: npt.NDArray[np.floating]) -> Floats:
        return smooth(values, self.place.template.voxel_sizes_mm, self.smoothing_fwhm_mm)


def noise_maps(noise: Noise, chain: Chain, count: int, rng: np.random.Generator) -> HalfMaps:
    """Send draws of noise through the steps of the PET, to asymmetry maps of noise alone.

    Parameters
    ----------
    noise
        Of the *corrected* image, from :func:`corrected_noise`; zero where that is not defined.
    count
        Draws.
    """
    grid, defined = chain.place.template, chain.defined
    n = grid.shape[0] // 2
    own, other = (slope[:n] for slope in index_slope(chain.image, grid, defined))
    points, affine = chain.place.to_native_mm[defined], noise.sd.affine
    inside = Image((noise.sd.data > 0).astype(np.float32), affine)
    share = np.maximum(sample(inside, points, threads=chain.place.threads), np.float32(MOST))
    maps = np.empty((count, np.count_nonzero(chain.where)), dtype=np.float32)
    values = np.zeros(grid.shape, dtype=np.float32)
    for row in maps:
        drawn = Image(noise.draw(rng), affine)
        values[defined] = sample(drawn, points, threads=chain.place.threads) / share
        smoothed = chain.smooth(values)
        row[:] = (own * smoothed[:n] + other * mirror(smoothed, grid)[:n])[chain.where]
    return HalfMaps(maps, chain.where, grid)
