"""The mixture of Gaussians of Ashburner & Friston (2005), equations 1 to 18.

Every tissue class is a small mixture of Gaussians. The probability of an intensity at a place
is the sum over classes of the class's prior there, weighted by a global share of the class,
times its mixture.

The Gaussians depend on the intensity alone. So the densities are tabulated over intensity, the
expectation step collects for every class a histogram of responsibility over density, and the
maximisation step reads the moments of every Gaussian from the histograms: the cost per sample
does not grow with the number of Gaussians.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
import numpy.typing as npt

from falx.anatomy.priors import unrolled
from falx.core.threads import CHUNKS

__all__ = [
    "FLUID",
    "GREY",
    "LEVELS",
    "WHITE",
    "Anchor",
    "DensityTable",
    "Mixture",
    "class_evidence",
    "density_table",
    "fit_mixture",
    "from_certain",
    "from_little_fluid",
    "from_moments",
    "initial_mixture",
    "level_of",
    "split",
]

Vector = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

GREY, WHITE, FLUID = 0, 1, 2
"""The first three classes."""

VARIANCE_FLOOR = 1e-4
"""Least variance of a Gaussian, as a share of the variance of all intensities."""

LEVELS = 2048
"""Intensities at which densities are tabulated."""

AT_ONCE = 8
"""Likelihoods that are multiplied before a logarithm is taken, which costs more than all else of a
sample: so few that no product of them is too small for a number."""

CERTAIN = 0.7
"""Prior probability from which a place's tissue is taken as certain."""

LEAST_CERTAIN = 50
"""Fewer certain samples than this say nothing; all of them count by their prior instead."""

QUARTILES_IN_SD = 1.349
"""Distance of a normal distribution's quartiles, in standard deviations."""

FLUID_SPREAD = 0.25
"""Largest standard deviation of a fluid's start, as a share of its distance from grey matter."""

FLUID_OVER_GREY = 0.5
"""Intensity of fluid over grey matter's where an image has too little of it to tell: .48 to .58 in
the phantoms, and T1w images of any field lie between .3 and .7."""

TOP_PERCENTILE, HEADROOM = 99.9, 1.25
"""Intensities beyond this percentile times the headroom count as that bright."""


@dataclass(frozen=True, eq=False)
class Anchor:
    """Expectation on Gaussians: a conjugate prior (Gelman et al. 2013, *Bayesian Data Analysis*).

    Parameters
    ----------
    means, variances
        Shape (J,), expected.
    mass
        Shape (J,), samples that the expectation counts as; 0 where nothing is expected.
    """

    means: Vector
    variances: Vector
    mass: Vector

    def drawn(self, found: Vector, of_mass: Vector, expected: Vector) -> Vector:
        """Mean of what was found in samples `of_mass` and what was expected, shape (J,)."""
        return np.asarray((of_mass * found + self.mass * expected) / (of_mass + self.mass))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Parameters of the intensity model.

    Parameters
    ----------
    means, variances
        Shape (J,), intensities after bias correction.
    weights
        Shape (J,); they sum to one within each class.
    classes
        Shape (J,), class of every Gaussian.
    shares
        Shape (K,), gamma: the global share of each class relative to its prior.
    floor, ceiling
        Least and largest variance.
    top
        Largest intensity that is told apart.
    anchor
        What is expected of means and variances; nothing if absent.
    """

    means: Vector
    variances: Vector
    weights: Vector
    classes: npt.NDArray[np.int64]
    shares: Vector
    floor: float
    top: float
    ceiling: float = np.inf
    anchor: Anchor | None = None

    @property
    def levels(self) -> Vector:
        """Tabulated intensities, shape (LEVELS,)."""
        return np.linspace(0.0, self.top, LEVELS)

    def densities(self) -> Vector:
        """Weighted density of every Gaussian at every level, shape (J, LEVELS)."""
        away = self.levels - self.means[:, None]
        factor = self.weights / np.sqrt(2.0 * np.pi * self.variances)
        return np.asarray(factor[:, None] * np.exp(-0.5 * away**2 / self.variances[:, None]))

    def moments(self) -> Vector:
        """Mean and variance of every class's mixture, shape (2, K)."""
        member = self.classes == np.arange(len(self.shares))[:, None]
        means = member @ (self.weights * self.means)
        squares = member @ (self.weights * (self.variances + self.means**2))
        return np.stack([means, squares - means**2])

    def by_class(self, values: Vector) -> Vector:
        """Sum rows of shape (J, ...) over the Gaussians of each class, times its share."""
        member = (self.classes == np.arange(len(self.shares))[:, None]) * self.shares[:, None]
        return np.asarray(member @ values)


@dataclass(frozen=True, eq=False)
class DensityTable:
    """Share times density of every class at equidistant intensities.

    Parameters
    ----------
    values
        Shape (LEVELS, K), float32.
    per_intensity
        Levels per unit of intensity.
    """

    values: Floats
    per_intensity: float


def density_table(mixture: Mixture) -> DensityTable:
    """Tabulate the class densities; a small floor keeps every intensity possible."""
    values = mixture.by_class(mixture.densities()).T + 1e-9 / mixture.top
    return DensityTable(np.ascontiguousarray(values, dtype=np.float32), (LEVELS - 1) / mixture.top)


def initial_mixture(values: Floats, priors: Floats) -> Mixture:
    """One Gaussian for every class, from moments weighted by the priors.

    Parameters
    ----------
    values
        Shape (n,), not negative.
    priors
        Shape (n, K), prior probabilities at the samples.
    """
    exact = values.astype(np.float64)
    total = priors.sum(axis=0, dtype=np.float64) + 1e-9
    means = exact @ priors / total
    spread = exact**2 @ priors / total - means**2
    floor = VARIANCE_FLOOR * float(exact.var()) + 1e-12
    n_classes = priors.shape[1]
    return Mixture(
        means,
        np.maximum(spread, floor),
        np.ones(n_classes),
        np.arange(n_classes),
        np.full(n_classes, 1.0 / n_classes),
        floor,
        HEADROOM * float(np.percentile(values, TOP_PERCENTILE)),
    )


def split(mixture: Mixture, gaussians: tuple[int, ...]) -> Mixture:
    """Replace the single Gaussian of every class by several, spread over ±1 SD."""
    means, variances, weights, classes = [], [], [], []
    for k, n in enumerate(gaussians):
        sd = np.sqrt(mixture.variances[k])
        offsets = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
        means.append(mixture.means[k] + sd * offsets)
        variances.append(np.full(n, mixture.variances[k] / n))
        weights.append(np.full(n, 1.0 / n))
        classes.append(np.full(n, k))
    return replace(
        mixture,
        means=np.concatenate(means),
        variances=np.maximum(np.concatenate(variances), mixture.floor),
        weights=np.concatenate(weights),
        classes=np.concatenate(classes),
    )


def from_moments(values: Floats, priors: Floats, gaussians: tuple[int, ...]) -> Mixture:
    """Start of the fit: moments weighted by the priors, fitted with one Gaussian a class.

    Parameters
    ----------
    values, priors
        Shapes (n,) and (n, K).
    gaussians
        Number of Gaussians of each class.
    """
    return split(fit_mixture(initial_mixture(values, priors), values, priors, most=8), gaussians)


def from_certain(values: Floats, priors: Floats, gaussians: tuple[int, ...]) -> Mixture:
    """Start of the fit: medians and quartiles where the tissue is certain, in the order of T1w.

    Parameters
    ----------
    values, priors
        Shapes (n,) and (n, K); the first three classes are grey, white and fluid.
    gaussians
        Number of Gaussians of each class.

    Notes
    -----
    A class of several Gaussians can take another tissue's peak: fluid, of two, that of grey
    matter. Where fluid is darker than white matter, so that the image is not T2-weighted, the
    three start in the order fluid, grey, white, and both Gaussians of fluid below grey matter.
    """
    first = initial_mixture(values, priors)
    quartiles = np.array([_certain_quartiles(values, column) for column in priors.T])
    means = quartiles[:, 1].copy()
    spread = (quartiles[:, 2] - quartiles[:, 0]) / QUARTILES_IN_SD
    if means[FLUID] < means[WHITE]:
        means[FLUID], means[GREY], means[WHITE] = np.sort(means[:3])
        spread[FLUID] = min(spread[FLUID], FLUID_SPREAD * (means[GREY] - means[FLUID]))
    return split(
        replace(first, means=means, variances=np.maximum(spread**2, first.floor)), gaussians
    )


def from_little_fluid(values: Floats, priors: Floats, gaussians: tuple[int, ...]) -> Mixture:
    """:func:`from_certain`, with fluid held at half of grey matter's intensity.

    Parameters
    ----------
    values, priors
        Shapes (n,) and (n, K).
    gaussians
        Number of Gaussians of each class.

    Notes
    -----
    An image that was stripped to the brain has next to no fluid. Where the priors expect it lies
    cortex, and a fluid that is free takes the intensity of grey matter, and a third of every
    hippocampus with it. Where fluid is brighter than white matter nothing is held.
    """
    start = from_certain(values, priors, gaussians)
    means, variances = start.moments()
    fluid = start.classes == FLUID
    if means[FLUID] >= means[WHITE]:
        return start
    held = np.where(fluid, FLUID_OVER_GREY * means[GREY], start.means)
    spread = np.where(fluid, variances[GREY], start.variances)
    mass = np.where(fluid, float(len(values)), 0.0)
    return replace(start, means=held, variances=spread, anchor=Anchor(held, spread, mass))


def _certain_quartiles(values: Floats, prior: Floats) -> Vector:
    """Quartiles of the samples, shape (3,), weighted by the prior (n,) where it is certain."""
    certain = prior >= CERTAIN
    weight = np.where(certain, prior, 0.0) if certain.sum() >= LEAST_CERTAIN else prior
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weight[order], dtype=np.float64)
    places = np.searchsorted(mass, np.array([0.25, 0.5, 0.75]) * mass[-1])
    return np.asarray(values[order][np.minimum(places, len(values) - 1)], dtype=np.float64)


def fit_mixture(
    mixture: Mixture,
    values: Floats,
    priors: Floats,
    *,
    most: int,
    tolerance: float = -np.inf,
    fixed_shares: bool = False,
) -> Mixture:
    """Expectation-maximisation.

    Parameters
    ----------
    values
        Shape (n,), bias-corrected intensities.
    priors
        Shape (n, K).
    most
        Most iterations.
    tolerance
        Stop when the gain of log-likelihood per sample falls below this. The fits of a head take
        all their iterations: rounding would decide where they stop.
    fixed_shares
        Trust the priors' proportions of the classes.
    """
    levels = _nearest_levels(values, (LEVELS - 1) / mixture.top)
    each = unrolled(priors.shape[1])
    energy = np.inf
    for _ in range(most):
        table = density_table(mixture)
        histograms, prior_mass, energies = _expectation(
            levels, priors, table.values, mixture.shares.astype(np.float32), each
        )
        last, energy = energy, float(energies.sum())
        fitted = _maximise(mixture, histograms.sum(axis=0).T, prior_mass.sum(axis=0))
        mixture = replace(fitted, shares=mixture.shares) if fixed_shares else fitted
        if last - energy < tolerance * len(values):
            break
    return mixture


def _maximise(mixture: Mixture, histograms: Vector, prior_mass: Vector) -> Mixture:
    """Equations 9 to 13: new means, variances, weights and shares.

    Parameters
    ----------
    histograms
        Shape (K, LEVELS), sum of prior over density of all samples at a level.
    prior_mass
        Shape (K,), sum of the normalised priors.
    """
    shared = mixture.shares[mixture.classes, None] * mixture.densities()
    mass_at = histograms[mixture.classes] * shared
    mass = mass_at.sum(axis=1) + 1e-9
    means = mass_at @ mixture.levels / mass
    if mixture.anchor is not None:
        means = mixture.anchor.drawn(means, mass, mixture.anchor.means)
    away = mixture.levels - means[:, None]
    spread = (mass_at * away**2).sum(axis=1) / mass
    if mixture.anchor is not None:
        spread = mixture.anchor.drawn(spread, mass, mixture.anchor.variances)
    variances = np.clip(spread, mixture.floor, mixture.ceiling)
    class_mass = np.bincount(mixture.classes, weights=mass, minlength=len(prior_mass))
    # A class that no prior allows keeps its share: nothing is known of it.
    shares = np.where(prior_mass > 0.0, (class_mass + 1e-6) / (prior_mass + 1e-6), mixture.shares)
    return replace(
        mixture,
        means=means,
        variances=variances,
        weights=mass / class_mass[mixture.classes],
        shares=shares / shares.sum(),
    )


def class_evidence(mixture: Mixture, values: Floats) -> Floats:
    """Share times likelihood of every class for every value, shape (n, K), largest one 1."""
    table = density_table(mixture)
    each = unrolled(table.values.shape[1])
    return np.asarray(_evidence(values, table.values, table.per_intensity, each))


def _nearest_levels(values: Floats, per_intensity: float) -> npt.NDArray[np.uint16]:
    scaled = np.minimum(values * np.float32(per_intensity) + np.float32(0.5), LEVELS - 1)
    return np.asarray(np.maximum(scaled, 0), dtype=np.uint16)


@numba.njit(cache=True)
def level_of(value, per_intensity, n_levels):  # type: ignore[no-untyped-def]
    """Lower tabulated level of an intensity and the fraction towards the next."""
    place = min(max(value * per_intensity, 0.0), n_levels - 1.001)
    lower = int(place)
    return lower, np.float32(place - lower)


@numba.njit(cache=True, parallel=True, fastmath=True)
def _expectation(levels, priors, densities, shares, each):  # type: ignore[no-untyped-def]
    """Histograms of prior over density, prior mass of every class and energy, by chunk."""
    n, classes = len(priors), len(each)
    parts = CHUNKS // 4
    histograms = np.zeros((parts, len(densities), classes))
    prior_mass = np.zeros((parts, classes))
    energy = np.zeros(parts)
    for part in numba.prange(parts):
        mass, product = np.zeros(classes), 1.0
        for s in range(part * n // parts, (part + 1) * n // parts):
            prior, density = priors[s], densities[levels[s]]
            whole, total = np.float32(0.0), np.float32(0.0)
            for k in range(classes):
                whole += shares[k] * prior[k]
                total += density[k] * prior[k]
            product *= float(total / whole)
            if s % AT_ONCE == 0:
                energy[part] -= np.log(product)
                product = 1.0
            share, scale = np.float32(1.0) / total, np.float32(1.0) / whole
            histogram = histograms[part, levels[s]]
            for k in range(classes):
                histogram[k] += prior[k] * share
                mass[k] += prior[k] * scale
        prior_mass[part] = mass
        energy[part] -= np.log(product)
    return histograms, prior_mass, energy


@numba.njit(cache=True, parallel=True, fastmath=True)
def _evidence(values, densities, per_intensity, each):  # type: ignore[no-untyped-def]
    """γ_k p_k(y), linear between two levels of the table, over the largest of a value."""
    n, classes = values.shape[0], len(each)
    out = np.empty((n, classes), np.float32)
    for chunk in numba.prange(CHUNKS):
        for s in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            level, rest = level_of(values[s], per_intensity, densities.shape[0])
            own, low, high = out[s], densities[level], densities[level + 1]
            most = np.float32(0.0)
            for k in range(classes):
                own[k] = low[k] + rest * (high[k] - low[k])
                most = max(most, own[k])
            for k in range(classes):
                own[k] /= most
    return out
