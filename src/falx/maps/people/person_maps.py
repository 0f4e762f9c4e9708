"""Everybody's map as it was compared, small enough for a page: fewer voxels, 16 bits a value.

Every voxel has a range of its own, that of the people there, so that a value is kept to 1/65,535
of how far people lie apart at that place, whatever the level of the map; no published source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from falx.core.grid import Grid
from falx.maps.cluster_values import adjustment
from falx.maps.design import Design
from falx.maps.map_sample import MapSample

__all__ = [
    "COARSEST_MM",
    "MOST_VALUES",
    "Coded",
    "PersonMaps",
    "coded",
    "person_maps",
    "thinned",
]

MOST_VALUES = 6_000_000
"""People times voxels that are kept: 60 people at 100,000 voxels."""

COARSEST_MM = 8.0
"""Voxels farther apart than this are no map; maps are smoothed by 6 to 8 mm."""

LEVELS = 65_535

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Coded:
    """Values in whole steps of a voxel's own range.

    Parameters
    ----------
    codes
        Shape (V, n): value = low + step × code.
    low, step
        Shape (V,), in units of the map.
    """

    codes: npt.NDArray[np.unsignedinteger]
    low: npt.NDArray[np.float32]
    step: npt.NDArray[np.float32]

    def values(self) -> npt.NDArray[np.float32]:
        """Return the values, shape (V, n)."""
        return np.asarray(self.low[:, None] + self.step[:, None] * self.codes, np.float32)


@dataclass(frozen=True, eq=False)
class PersonMaps:
    """Everybody's values at every kept voxel of a comparison.

    Parameters
    ----------
    people, groups
        Labels and groups, n each.
    mask
        Shape (X, Y, Z), on `grid`: the V voxels that are kept, none if even the coarsest
        grid holds too many.
    coded
        Of the map as it was compared.
    adjust
        Shape (n, n): what takes the n values of a voxel to the mean of every covariate.
    """

    people: tuple[str, ...]
    groups: tuple[str, ...]
    grid: Grid
    mask: npt.NDArray[np.bool_]
    coded: Coded
    adjust: npt.NDArray[np.float64]


def coded(values: npt.NDArray[np.floating], levels: int = LEVELS) -> Coded:
    """Round values, shape (V, n), to steps of each voxel's range.

    Examples
    --------
    >>> found = coded(np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]]), levels=100)
    >>> found.codes.tolist(), found.values()[0].tolist()
    ([[0, 100, 50], [0, 0, 0]], [1.0, 3.0, 2.0])
    """
    wide = np.asarray(values, np.float64)
    low, high = wide.min(axis=1, initial=np.inf), wide.max(axis=1, initial=-np.inf)
    step = (high - low) / levels
    safe = np.where(step > 0, step, 1.0)
    kind = np.uint8 if levels <= np.iinfo(np.uint8).max else np.uint16
    codes = np.rint((wide - low[:, None]) / safe[:, None]).clip(0, levels).astype(kind)
    return Coded(codes, low.astype(np.float32), step.astype(np.float32))


def thinned(volume: npt.NDArray[T], grid: Grid, every: int) -> tuple[npt.NDArray[T], Grid]:
    """Keep every n-th voxel of a volume, shape (X, Y, Z), along each axis, and its grid.

    What is kept lies about the middle of the grid, to within a voxel.
    """
    window = tuple(slice((n - 1) % every // 2, None, every) for n in volume.shape)
    affine = np.array(grid.affine)
    affine[:3, 3] = affine[:3, :3] @ [part.start for part in window] + affine[:3, 3]
    affine[:3, :3] *= every
    kept = np.ascontiguousarray(volume[window])
    x, y, z = kept.shape
    return kept, Grid((x, y, z), affine)


def person_maps(
    stacked: MapSample,
    design: Design,
    contrast: npt.NDArray[np.floating],
    *,
    most: int = MOST_VALUES,
) -> PersonMaps:
    """Take everybody's map on the finest grid of every n-th voxel that holds few enough values.

    Parameters
    ----------
    design, contrast
        The model, and what is tested in it, shape (p,) or (q, p).
    most
        People times voxels.
    """
    sample, finest = stacked.sample, float(stacked.grid.voxel_sizes_mm.max())
    n, every = len(sample.subjects), 1
    kept, grid = stacked.mask, stacked.grid
    while n * int(kept.sum()) > most and (every + 1) * finest <= COARSEST_MM:
        every += 1
        kept, grid = thinned(stacked.mask, stacked.grid, every)
    if n * int(kept.sum()) > most:
        kept = np.zeros_like(kept)
    number = np.full(stacked.mask.shape, -1, np.int64)
    number[stacked.mask] = np.arange(int(stacked.mask.sum()))
    rows = thinned(number, stacked.grid, every)[0][kept] if every > 1 else number[kept]
    return PersonMaps(
        sample.subjects,
        sample.groups,
        grid,
        kept,
        coded(stacked.data[:, rows].T),
        adjustment(design, contrast),
    )
