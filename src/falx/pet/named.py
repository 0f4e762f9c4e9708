"""A region named before the image was seen: its own test beside the search, and its extent.

A search over a whole side pays for every place that it looks at. The mesial temporal structures of
the declared side are named beforehand in mesial temporal epilepsy, and one test of one region
pays for one. It gets :data:`SHARE` of the accepted familywise level and the search the rest, so
that both together keep the level (weighted Bonferroni: Holm 1979, Scand J Stat 6:65).

What a region that is lower by d as a whole would look like in the map is known: `d f(x)`, with f
the share of the region in the grey matter that a voxel's index is a mean of. The depth is the
least-squares fit of f to the index, and its error that of the same fit to maps of noise and of
healthy asymmetry. Which parts of an accepted region the focus holds is told by
:mod:`falx.pet.extent`; what it makes around itself is taken off before further foci are sought,
for it is blur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from falx.core.grid import Side
from falx.core.possible import Probability
from falx.images.smooth import smooth
from falx.pet.decoy import NullMaps, half_of
from falx.pet.extent import Parts
from falx.pet.noise import Chain

__all__ = ["SHARE", "NamedRegion", "RegionTest", "named_region", "region_test"]

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SHARE = 0.5
"""Of the familywise level, for the named region."""

FLOOR = 0.05
"""Least blurred grey matter that a share is taken of."""


@dataclass(frozen=True, eq=False)
class NamedRegion:
    """A region of one side.

    Parameters
    ----------
    name
        For tables.
    side
        On which it lies.
    mask
        Shape (X // 2, Y, Z), as :func:`falx.pet.decoy.half_of` gives it: its voxels.
    shapes
        Shape (K, X // 2, Y, Z): the index that a depth of one in each part would give.
    numbers
        Shape of `mask`: part of each voxel, from 1.
    parts
        How it is cut.
    """

    name: str
    side: Side
    mask: Mask
    shapes: Floats
    numbers: npt.NDArray[np.int16]
    parts: Parts

    @property
    def shape(self) -> Floats:
        """Index that a depth of one in the whole region would give, shape (X // 2, Y, Z)."""
        return np.asarray(self.shapes.sum(axis=0))


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
    labels: npt.NDArray[np.integer],
    grey: npt.NDArray[np.floating],
    chain: Chain,
    psf_fwhm_mm: float,
) -> NamedRegion | None:
    """Say how a region would look if it were lower as a whole; ``None`` where nothing is defined.

    Parameters
    ----------
    labels, grey
        Shape (X, Y, Z) of the template grid: FreeSurfer numbers, zero where nothing is sought,
        and the fraction of grey matter.
    psf_fwhm_mm
        Point spread that the correction divided by.
    """
    template = chain.place.template
    y_mm = template.centres_mm()[..., 1]
    parts = Parts.of(labels, y_mm, side)
    numbers = parts.numbers(labels, y_mm)
    numbers[grey <= FLOOR] = 0
    mask = half_of(numbers > 0, side) & chain.where
    if not mask.any():
        return None
    every = smooth(np.asarray(grey, np.float32), template.voxel_sizes_mm, psf_fwhm_mm)
    shapes = np.zeros((parts.count, *mask.shape), np.float32)
    for number in range(1, parts.count + 1):
        own = np.where(numbers == number, grey, 0).astype(np.float32)
        own = smooth(own, template.voxel_sizes_mm, psf_fwhm_mm)
        share = np.where(every > FLOOR, own / np.maximum(every, FLOOR), 0).astype(np.float32)
        shapes[number - 1] = half_of(chain.smooth(share), side)
    return NamedRegion(name, side, mask, shapes, np.where(mask, half_of(numbers, side), 0), parts)


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
    return RegionTest(depth, error, float(stdtr(draws, depth / max(error, 1e-12))))
