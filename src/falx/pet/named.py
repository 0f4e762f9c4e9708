"""A region named before the image was seen: its own test beside the search, and its extent.

A search over a whole side pays for every place that it looks at. The mesial temporal structures of
the declared side are named beforehand in mesial temporal epilepsy, and one test of one region
pays for one. It gets :data:`SHARE` of the accepted familywise level and the search the rest, so
that both together keep the level (weighted Bonferroni: Holm 1979, Scand J Stat 6:65).

What a region that is lower by d as a whole would look like in the map is known: `d f(x)`, with f
the share of the region in the grey matter that a voxel's index is a mean of. The depth is the
least-squares fit of f to the index, and its error that of the same fit to maps of noise and of
healthy asymmetry. A voxel of the accepted region belongs to the focus with the posterior
probability of `d f` against zero; the share of such voxels is that of highest likelihood
(two-component mixture: Dempster, Laird & Rubin 1977, J R Stat Soc B 39:1). A focus that takes a
part only is deeper than the region: probabilities are averaged over depths up to
:data:`DEEPER` times the fitted one, weighted by their likelihood with voxels counted in resels.
Outside the region, `d f` is taken off before further foci are sought, for it is blur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy
from scipy.special import expit, logit

from falx.core.grid import Side
from falx.core.possible import Probability
from falx.images.smooth import smooth
from falx.pet.decoy import NullMaps, half_of
from falx.pet.noise import Chain

__all__ = ["SHARE", "NamedRegion", "RegionTest", "named_region", "region_chance", "region_test"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SHARE = 0.5
"""Of the familywise level, for the named region."""

FLOOR = 0.05
"""Least blurred grey matter that a share is taken of."""

DEEPER = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5)
"""Depths of a focus over that of its region, equally likely beforehand."""

ROUNDS = 30
LEAST, MOST = 0.02, 0.98
"""Bounds of the share of a region that a focus may take."""


@dataclass(frozen=True, eq=False)
class NamedRegion:
    """A region of one side.

    Parameters
    ----------
    name
        For tables.
    side
        On which it lies.
    mask, shape
        Shape (X // 2, Y, Z), as :func:`falx.pet.decoy.half_of` gives it: its voxels, and the index
        that a depth of one would give.
    """

    name: str
    side: Side
    mask: Mask
    shape: Floats


@dataclass(frozen=True)
class RegionTest:
    """The test of a named region.

    Parameters
    ----------
    depth, standard_error
        Asymmetry index of the region, and what noise and healthy asymmetry give it.
    probability
        Of as low a depth without a focus, one-sided.
    """

    depth: float
    standard_error: float
    probability: Probability


def named_region(
    name: str,
    side: Side,
    inside: npt.NDArray[np.bool_],
    grey: npt.NDArray[np.floating],
    chain: Chain,
    psf_fwhm_mm: float,
) -> NamedRegion | None:
    """Say how a region would look if it were lower as a whole; ``None`` where nothing is defined.

    Parameters
    ----------
    inside, grey
        Shape (X, Y, Z) of the template grid: the region, and the fraction of grey matter.
    psf_fwhm_mm
        Point spread that the correction divided by.
    """
    sizes_mm = chain.place.template.voxel_sizes_mm
    own, every = (
        smooth(np.asarray(part, np.float32), sizes_mm, psf_fwhm_mm)
        for part in (np.where(inside, grey, 0), grey)
    )
    share = np.where(every > FLOOR, own / np.maximum(every, FLOOR), 0).astype(np.float32)
    mask = half_of(inside & (grey > FLOOR), side) & chain.where
    if not mask.any():
        return None
    return NamedRegion(name, side, mask, np.asarray(half_of(chain.smooth(share), side)))


def region_test(
    index: npt.NDArray[np.floating],
    region: NamedRegion,
    maps: NullMaps,
    sd: Floats,
    widened: float,
) -> RegionTest:
    """Test a region against noise and healthy asymmetry.

    Parameters
    ----------
    index
        Shape (X // 2, Y, Z), of the side of the region.
    sd
        Of the same shape: usual standard deviation of the index.
    widened
        Factor that the patient's decoys ask for.
    """
    mask = region.mask & (sd > 0)
    if not mask.any():
        return RegionTest(0.0, 0.0, 1.0)
    shape = region.shape[mask].astype(np.float64)
    weight = shape / np.square(sd[mask].astype(np.float64))
    weight /= np.sum(weight * shape)
    depth = float(np.sum(weight * index[mask]))
    columns = mask[maps.noise.where]
    variance = sum(
        float(np.mean(np.square(np.sum(part.values[:, columns] * weight, axis=1))))
        for part in (maps.noise, maps.healthy)
    )
    error = widened * float(np.sqrt(variance))
    draws = min(maps.noise.count, maps.healthy.count)
    return RegionTest(depth, error, float(scipy.stats.t.cdf(depth / max(error, 1e-12), draws)))


def region_chance(
    index: npt.NDArray[np.floating],
    region: NamedRegion,
    depth: float,
    sd: Floats,
    voxels_per_resel: float,
) -> Floats:
    """Probability that a voxel of an accepted region is part of the focus, shape (X // 2, Y, Z).

    Parameters
    ----------
    index
        Shape (X // 2, Y, Z).
    depth
        Negative, of the region.
    sd
        Of the same shape: standard deviation of the index, widened.
    voxels_per_resel
        Voxels that count as one in the weight of a depth.

    Examples
    --------
    >>> ones = np.ones((1, 1, 4), np.float32)
    >>> region = NamedRegion("block", "left", ones > 0, ones)
    >>> index = np.array([[[-0.2, -0.2, 0.0, 0.0]]])
    >>> region_chance(index, region, -0.1, 0.03 * ones, 1.0).round(2).ravel()
    array([1., 1., 0., 0.], dtype=float32)
    """
    mask = region.mask & (sd > 0)
    shape, values = region.shape[mask].astype(np.float64), index[mask].astype(np.float64)
    variance = np.square(sd[mask].astype(np.float64))
    chances, likelihoods = [], []
    for deeper in DEEPER:
        expected = deeper * depth * shape
        evidence = (expected * values - 0.5 * expected**2) / variance
        share, chance = 0.5, np.zeros(0)
        for _ in range(ROUNDS):
            chance = expit(logit(share) + evidence)
            share = float(np.clip(np.mean(chance), LEAST, MOST))
        chances.append(chance)
        likelihoods.append(float(np.sum(np.logaddexp(np.log1p(-share), np.log(share) + evidence))))
    weight = scipy.special.softmax(np.array(likelihoods) / voxels_per_resel)
    whole = np.zeros(mask.shape, np.float32)
    whole[mask] = sum(w * chance for w, chance in zip(weight, chances, strict=True))
    return whole
