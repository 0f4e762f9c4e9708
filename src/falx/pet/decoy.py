"""Which low places of an asymmetry map are real: decoys from its mirror, and a familywise test.

The asymmetry map is antisymmetric. Where nothing is wrong, a value above +t on one side is as
likely as one below -t: the high values are *decoys* for the low ones, and the false-discovery rate
of a threshold is (decoys + 1)/targets (target–decoy competition: Elias & Gygi 2007, Nat Methods
4:207; the + 1: Barber & Candès 2015, Ann Stat 43:2055, eq. 1.9). Voxels are not independent, so
they are counted in resels.

With one focus this cannot decide by cluster: (0 + 1)/1 is the smallest rate there is. The decision
therefore rests on a familywise test: the mass of each cluster of low z against the largest mass
of maps without a focus (Bullmore et al. 1999, IEEE TMI 18:32), which are draws of this image's
own noise plus draws of healthy people's asymmetry. The decoys then check that null on the patient
himself: where they go beyond it, it is widened.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import betaincinv

from falx.core.errors import check_range
from falx.core.grid import Side
from falx.core.possible import Amount, Share
from falx.pet.masses import largest_masses
from falx.pet.noise import HalfMaps

__all__ = [
    "FORMING_Z",
    "Clusters",
    "DecoyRate",
    "MassNull",
    "NullMaps",
    "Search",
    "cluster_decoy_rate",
    "decoy_rate",
    "half_of",
    "low_clusters",
    "mass_null",
    "voxels_per_resel",
    "widening",
]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FORMING_Z = 2.5
"""Clusters are formed below minus this. Lower values join a focus with the noise around it, higher
ones lose its size: of 1.5, 2, 2.5 and 3, the last two separate planted foci from the null in eight
of eight phantoms, 2 in seven, 1.5 in three."""

CONNECTED = ndimage.generate_binary_structure(3, 2)
USUAL = 0.6744897501960817
"""Median of the absolute value of a standard normal variable."""


def half_of(image: npt.NDArray[Any], side: Side) -> npt.NDArray[Any]:
    """Return one side of a map of a symmetric grid, from the outermost plane inwards.

    Examples
    --------
    >>> half_of(np.arange(5).reshape(5, 1, 1), "right").ravel()
    array([4, 3])
    """
    half = len(image) // 2
    return image[:half] if side == "left" else image[::-1][:half]


@dataclass(frozen=True, eq=False)
class Search:
    """Where foci are sought, and what counts as usual there.

    Parameters
    ----------
    side
        On which side.
    mask
        Shape (X // 2, Y, Z), as :func:`half_of` gives it.
    sd
        Of the same shape: standard deviation of the index where nothing is wrong.
    """

    side: Side
    mask: Mask
    sd: Floats

    def z(self, index: npt.NDArray[np.floating]) -> Floats:
        """Index of this side in its standard deviations, zero outside; shape (X // 2, Y, Z)."""
        usable, divisor = self._usable
        return np.asarray(np.where(usable, index / divisor, 0), dtype=np.float32)

    @cached_property
    def _usable(self) -> tuple[Mask, Floats]:
        """Where the index has a z, and what it is divided by."""
        usable = self.mask & (self.sd > 0)
        return usable, np.where(usable, self.sd, 1)


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters below the forming threshold.

    Parameters
    ----------
    labels
        Shape of the half, numbers from 1.
    mass
        Of each cluster: sum of (-z - forming) over its voxels.
    """

    labels: npt.NDArray[np.int32]
    mass: npt.NDArray[np.float64]

    @property
    def largest(self) -> float:
        """Mass of the largest, zero without any."""
        return float(self.mass.max(initial=0.0))


def low_clusters(z: npt.NDArray[np.floating], forming: float = FORMING_Z) -> Clusters:
    """Find the 18-connected clusters of z below -`forming`.

    Examples
    --------
    >>> found = low_clusters(np.array([[[-3.0, -4.0, 0.0, -2.6, 5.0]]]))
    >>> found.mass.round(2)
    array([2. , 0.1])
    """
    low = -z - forming > 0
    labels, count = ndimage.label(low, CONNECTED)
    mass = np.bincount(labels[low], (-z - forming)[low], count + 1)[1:]
    return Clusters(labels, np.asarray(mass, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class MassNull:
    """Largest cluster mass of maps without a focus, shape (N,)."""

    largest: npt.NDArray[np.float64]

    def probability(self, mass: float) -> float:
        """Familywise probability of a mass, (1 + maps that reach it)/(1 + maps).

        Examples
        --------
        >>> MassNull(np.array([1.0, 2.0, 3.0])).probability(2.5)
        0.5
        """
        reached = np.count_nonzero(self.largest >= mass)
        return float((1.0 + reached) / (1.0 + len(self.largest)))


@dataclass(frozen=True, eq=False)
class NullMaps:
    """Maps of a patient without a focus: noise of his image, and healthy asymmetry."""

    noise: HalfMaps
    healthy: HalfMaps

    def usual(self) -> Floats:
        """Return the standard deviation of the index where nothing is wrong, shape (X, Y, Z)."""
        return np.asarray(np.hypot(self.noise.standard_error(), self.healthy.standard_error()))


def mass_null(
    maps: NullMaps,
    searches: tuple[Search, ...],
    *,
    count: int,
    rng: np.random.Generator,
    forming: float = FORMING_Z,
) -> MassNull:
    """Take the largest cluster mass of maps of noise and healthy asymmetry.

    Each draw of noise is paired with a draw of healthy asymmetry, either with a random sign:
    each is antisymmetric, so its negative, which is its mirror image, is as likely.

    Parameters
    ----------
    searches
        One side or both; the largest mass of all of them counts.
    count
        Maps.
    """
    noise, healthy = maps.noise, maps.healthy
    pairs, signs = np.empty((count, 2), np.int64), np.empty((count, 2), np.float32)
    for row in range(count):
        pairs[row] = rng.integers(noise.count), rng.integers(healthy.count)
        signs[row] = rng.choice(np.array([-1, 1], dtype=np.float32), 2)
    column = np.cumsum(noise.where).reshape(noise.where.shape) - 1
    largest = np.zeros(count)
    for search in searches:
        sought = search.mask & (search.sd > 0) & noise.where
        # Antisymmetric: the right side, from outside inwards, is the negative of the left.
        own = signs if search.side == "left" else -signs
        found = largest_masses(
            (noise.values, healthy.values), pairs, own, column[sought], sought, search.sd[sought],
            forming,
        )  # fmt: skip
        largest = np.maximum(largest, found)
    return MassNull(largest)


def widening(
    z: npt.NDArray[np.floating], search: Search, null: MassNull, level: float
) -> tuple[float, bool]:
    """How much wider than expected the patient's own decoys are, and whether they refute the null.

    Parameters
    ----------
    z
        Shape of the half, of the searched side: only its high values are looked at.
    level
        Decoy clusters rarer than this under the null refute it.

    Returns
    -------
    factor, refuted
        Factor, at least one, that the standard deviations are to be multiplied by. It is the
        median high z over that of a normal variable; where a decoy cluster refutes the null,
        at least what makes its peak an ordinary one.
    """
    high = z[search.mask & (z > 0)]
    if high.size == 0:
        return 1.0, False
    factor = max(float(np.median(high)) / USUAL, 1.0)
    decoys = low_clusters(-z / factor)
    refuted = null.probability(decoys.largest) <= level and decoys.largest > 0
    if refuted:
        factor = max(factor, float(high.max()) / (FORMING_Z + 1.0))
    return factor, refuted


@dataclass(frozen=True)
class DecoyRate:
    """False-discovery rate of a threshold, from the decoys of the same map.

    Parameters
    ----------
    threshold
        Of the asymmetry index, negative.
    targets, decoys
        Resels below it on the searched side, and above its negative.
    rate, low, high
        (decoys + 1)/targets, at most 1, with an interval of 95 %.
    """

    threshold: float
    targets: Amount
    decoys: Amount
    rate: Share
    low: float
    high: float


def decoy_rate(
    index: npt.NDArray[np.floating], threshold: float, voxels_per_resel: float
) -> DecoyRate:
    """Estimate the false-discovery rate of a threshold, by voxel.

    Parameters
    ----------
    index
        Shape (n,): index at the voxels of the searched side.
    voxels_per_resel
        Voxels that count as one; see :func:`voxels_per_resel`.

    Notes
    -----
    Given how many are beyond ±t, decoys are binomial; the interval is that of Clopper and Pearson
    1934 (Biometrika 26:404) for their share q, taken to q/(1 - q).

    Examples
    --------
    >>> found = decoy_rate(np.r_[np.full(99, -0.2), np.full(9, 0.2), np.zeros(50)], -0.1, 1.0)
    >>> round(found.rate, 3), found.targets, found.decoys
    (0.101, 99.0, 9.0)
    """
    check_range("threshold", threshold, -2.0, -1e-9)
    targets = float(np.count_nonzero(index <= threshold)) / voxels_per_resel
    decoys = float(np.count_nonzero(index >= -threshold)) / voxels_per_resel
    low = float(betaincinv(decoys, targets + 1.0, 0.025)) if decoys > 0 else 0.0
    high = float(betaincinv(decoys + 1.0, targets, 0.975)) if targets > 0 else 1.0
    rate = min((decoys + 1.0) / targets, 1.0) if targets > 0 else 1.0
    ratio = [min(float(q / (1.0 - q)), 1.0) if q < 1 else 1.0 for q in (low, high)]
    return DecoyRate(threshold, targets, decoys, rate, ratio[0], max(ratio[1], rate))


def cluster_decoy_rate(
    targets: npt.NDArray[np.float64], decoys: npt.NDArray[np.float64], mass: float
) -> float:
    """False-discovery rate of the clusters of at least a mass; 1 where there is none.

    Masses of targets and decoys have the shapes (n,) and (m,).

    Examples
    --------
    >>> cluster_decoy_rate(np.array([5.0, 9.0, 1.0]), np.array([2.0]), 4.0)
    0.5
    """
    kept = int(np.count_nonzero(targets >= mass))
    return float(min((1.0 + np.count_nonzero(decoys >= mass)) / kept, 1.0)) if kept else 1.0


def voxels_per_resel(*parts: HalfMaps) -> float:
    """Voxels per resolution element of a sum of independent null maps, noise and healthy ones.

    A field of full width w along an axis has 1/w resels per voxel; in a sum, the volumes add with
    the parts' shares of the variance, as the integrals of their autocorrelations do.
    """
    volumes = np.array([_resel_voxels(part) for part in parts])
    power = np.array([float(np.mean(np.square(part.values))) for part in parts])
    return float(volumes @ power / power.sum())


def _resel_voxels(maps: HalfMaps) -> float:
    """Voxels of a resel, from the correlation r of neighbours d apart.

    The width is ``d sqrt(8 ln 2) / sqrt(-4 ln r)`` for a Gaussian autocorrelation.
    """
    products = np.zeros((3, 3))
    half = np.zeros(maps.where.shape, dtype=np.float32)
    for row in maps.values[:8]:
        half[maps.where] = row
        for axis in range(3):
            first = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
            second = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
            both = maps.where[first] & maps.where[second]
            a, b = half[first][both].astype(np.float64), half[second][both].astype(np.float64)
            # Not by dot products, whose sums depend on the number of threads.
            products[axis] += np.sum(a * b), np.sum(a * a), np.sum(b * b)
    correlation = products[:, 0] / np.sqrt(products[:, 1] * products[:, 2])
    bounded = np.clip(correlation, 1e-3, 0.9999)
    widths = np.sqrt(8.0 * np.log(2.0)) / np.sqrt(-4.0 * np.log(bounded))
    return float(np.prod(np.maximum(widths, 1.0)))
