"""The edge of a focus, and the probability of every voxel around it.

The core of a focus is deep enough to be certain and too small to be the whole. The edge of a
blurred step lies where its height is halved; the core's mean is less than the height,
and blur makes thin tissue shallower, so that the edge is taken at :data:`EDGE` of the core's mean
depth (set on twelve phantoms, other seeds than those of the figures in
docs/methods/signature.md). Growth may not leak through threads of noise: what an opening by
:data:`THREAD_MM` cuts off from the core goes. Edge and growth have no published source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr

from falx.core.grid import Grid, Side, apply_affine
from falx.pet.decoy import (
    CONNECTED,
    Clusters,
    Mask,
    MassNull,
    Search,
    cluster_decoy_rate,
    low_clusters,
)
from falx.pet.extent import Extent
from falx.pet.named import NamedRegion

__all__ = ["EDGE", "Focus", "Grown", "Half", "beyond_edge"]

Floats = npt.NDArray[np.float32]

EDGE = 0.45
"""Share of the core's mean depth at which the edge lies."""

REACH_MM = 8.0
"""How far an edge may lie from the core: about the width of point spread and smoothing."""

THREAD_MM = 2.0
"""Bridges narrower than twice this, or than two voxels, are not followed."""

RIM_MM = 6.0
"""How far around a focus probabilities below a half are stated."""


@dataclass(frozen=True)
class Focus:
    """A focus of the calibrated signature.

    Parameters
    ----------
    side
        On which it lies.
    probability
        Familywise probability that maps without a focus hold such a one, by search or in the named
        region; each is divided by its part of the level, so that it is held against the whole.
    depth
        Mean index of its core; of a named region the expected depth of the focus in it.
    volume_mm3
        On the template grid, within its edge.
    peak_mm
        Template mm of its lowest z.
    lowest_z
        Index there in its standard deviations.
    decoy_rate
        False-discovery rate by the patient's own decoy clusters; with a single focus it cannot
        be below one, and says nothing against it. One as well without a cluster of search.
    named
        Name of the region that was named beforehand, if it rests on that.
    """

    side: Side
    probability: float
    depth: float
    volume_mm3: float
    peak_mm: tuple[float, float, float]
    lowest_z: float
    decoy_rate: float
    named: str | None = None


@dataclass(frozen=True, eq=False)
class Grown:
    """A focus with its core and the probability of each voxel, on its half."""

    focus: Focus
    core: Mask
    chance: Floats


@dataclass(frozen=True, eq=False)
class Half:
    """One side of a map, of shape (X // 2, Y, Z) from the outermost plane inwards."""

    index: Floats
    z: Floats
    search: Search
    low: Clusters
    high: Clusters
    grid: Grid

    @classmethod
    def of(cls, index: Floats, search: Search, grid: Grid) -> Half:
        """Take one side of a map, shape (X // 2, Y, Z), in its deviations, with its clusters."""
        z = search.z(index)
        return cls(index, z, search, low_clusters(z), low_clusters(-z), grid)

    def accepted(
        self, null: MassNull, share: float, level: float
    ) -> tuple[list[float], list[Grown]]:
        """Familywise probabilities of all clusters over the share of the level; those within."""
        chances = [min(null.probability(mass) / share, 1.0) for mass in self.low.mass]
        return chances, [self.grow(n, p) for n, p in enumerate(chances, 1) if p <= level]

    def grow(self, number: int, p: float) -> Grown:
        """Accept a cluster: find its edge, and the probability of each voxel of this side."""
        search, grid = self.search, self.grid
        core = self.low.labels == number
        depth = float(self.index[core].mean())
        extent = _grown(core, search.mask & (self.index <= EDGE * depth), grid)
        near = ndimage.distance_transform_edt(~extent, sampling=grid.voxel_sizes_mm) <= RIM_MM
        certainty = ndtr((EDGE * depth - self.index) / np.maximum(search.sd, 1e-6)) * (1.0 - p)
        chance = np.where(extent, certainty, beyond_edge(certainty))
        focus = Focus(
            side=search.side,
            probability=p,
            depth=depth,
            volume_mm3=float(np.count_nonzero(extent) * grid.voxel_volume_mm3),
            peak_mm=self._peak_mm(core),
            lowest_z=float(self.z[core].min()),
            decoy_rate=cluster_decoy_rate(
                self.low.mass, self.high.mass, float(self.low.mass[number - 1])
            ),
        )
        return Grown(focus, core, np.where(near & search.mask, chance, 0.0).astype(np.float32))

    def named(self, region: NamedRegion, extent: Extent, p: float) -> Grown:
        """Accept a named region of this side, with what is known of the extent of the focus."""
        core = region.mask & self.search.mask
        chance = np.where(core, extent.chance_at(region.numbers) * np.float32(1.0 - p), 0)
        chance = chance.astype(np.float32)
        focus = Focus(
            side=self.search.side,
            probability=p,
            depth=float(extent.weight @ extent.depth),
            volume_mm3=float(np.count_nonzero(chance > 0.5) * self.grid.voxel_volume_mm3),
            peak_mm=self._peak_mm(core),
            lowest_z=float(self.z[core].min(initial=0.0)),
            decoy_rate=1.0,
            named=region.name,
        )
        return Grown(focus, core, chance)

    def _peak_mm(self, core: Mask) -> tuple[float, float, float]:
        """Template mm of the lowest z of a core."""
        first, second, third = np.unravel_index(
            int(np.argmin(np.where(core, self.z, 0.0))), self.z.shape
        )
        if self.search.side == "right":
            first = self.grid.shape[0] - 1 - first
        x, y, z = apply_affine(self.grid.affine, [first, second, third]).tolist()
        return (x, y, z)


def beyond_edge(certainty: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Probability of voxels that growth has not come to, given what their index alone makes it.

    Of 9,400 such voxels around 11 simulated foci of cortex .02, .06, .14, .23 and .38 were
    diseased where the index alone says .05, .15, .25, .35 and .45: about twice its square.

    Parameters
    ----------
    certainty
        Any shape; the probability by the index alone.

    Examples
    --------
    >>> beyond_edge(np.array([0.9, 0.5, 0.2]))
    array([0.5 , 0.5 , 0.08])
    """
    return np.asarray(2.0 * np.square(np.minimum(certainty, 0.5)))


def _grown(core: Mask, low: Mask, grid: Grid) -> Mask:
    """Return the core and what of `low` hangs together with it by more than threads."""
    sizes_mm = grid.voxel_sizes_mm
    near = ndimage.distance_transform_edt(~core, sampling=sizes_mm) <= REACH_MM
    low = low & near | core
    thread_mm = max(THREAD_MM, float(sizes_mm.max())) + 1e-3
    deep = ndimage.distance_transform_edt(low, sampling=sizes_mm) > thread_mm
    if not deep.any():
        return core
    opened = ndimage.distance_transform_edt(~deep, sampling=sizes_mm) <= thread_mm
    labels, _ = ndimage.label(opened, CONNECTED)
    met = np.unique(labels[core & opened])
    kept = np.isin(labels, met[met > 0])
    if not kept.any():
        return core
    # The opening rounds off the rim; one step of it is given back.
    back = ndimage.distance_transform_edt(~kept, sampling=sizes_mm) <= thread_mm
    return np.asarray(low & back | core)
