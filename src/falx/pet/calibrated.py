"""The calibrated signature: foci that noise and healthy asymmetry do not make, and their edges.

A focus is a cluster of low z whose mass is beyond the familywise quantile of maps without a focus
(:mod:`falx.pet.decoy`). Its core is deep enough to be certain and too small to be the whole. The
edge of a blurred step lies where its height is halved; the core's mean is less than the height,
and blur makes thin tissue shallower, so that the edge is taken at :data:`EDGE` of the core's mean
depth (set on twelve phantoms, other seeds than those of the figures in
docs/methods/signature.md). Growth may not leak through threads of noise: what an opening by
:data:`THREAD_MM` cuts off from the core goes.

The probability of a voxel is that of its index being beyond that edge without noise and healthy
asymmetry, times the probability that the focus is one. A region named beforehand has a test of its
own, and its voxels the probability of :mod:`falx.pet.named`; where a searched focus meets it, both
are one. :func:`false_shares` draws all voxels and the edge together, which gives the false share
its interval.

Mass of a cluster: Bullmore et al. 1999, IEEE TMI 18:32. Edge and growth have no published source.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr, ndtri

from falx.core.grid import SIDES, Grid, Side, apply_affine
from falx.core.settings import check_settings, option
from falx.pet.decoy import (
    CONNECTED,
    Clusters,
    DecoyRate,
    Mask,
    MassNull,
    NullMaps,
    Search,
    cluster_decoy_rate,
    decoy_rate,
    half_of,
    low_clusters,
    mass_null,
    voxels_per_resel,
    widening,
)
from falx.pet.named import SHARE, NamedRegion, RegionTest, region_chance, region_test

__all__ = [
    "EDGE",
    "Calibrated",
    "Calibration",
    "ErrorDraws",
    "Focus",
    "calibrated_signature",
    "false_shares",
    "still_focus",
]

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
class Calibration:
    """How the calibrated signature is sought."""

    level: float = option(
        0.05, help="familywise rate of false foci that is accepted", low=0.001, high=0.5
    )
    draws: int = option(40, help="draws of noise and of healthy asymmetry", low=20, high=1000)
    maps: int = option(400, help="null maps of the familywise test", low=100, high=100000)
    seed: int = option(1, help="of the draws of noise and healthy asymmetry", low=0, high=2**31)

    def __post_init__(self) -> None:
        check_settings(self)


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
        Mean index of its core; of a named region the depth of the whole region.
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
class Calibrated:
    """The calibrated signature on the template grid.

    Parameters
    ----------
    probability
        Shape (X, Y, Z), of belonging to a focus.
    by_search, by_name
        Of the same shape: what searched foci alone, and the named region alone, make it;
        `probability` is the larger.
    mask
        Where it exceeds a half.
    z, sd
        Index in its standard deviations, and these; zero where no focus was sought.
    regions, cores
        Shape (X, Y, Z): number of the focus, from 1 in the order of `foci`, that a voxel's
        probability belongs to, and of the focus whose core it is in; zero elsewhere.
    foci
        The most certain first.
    false_share
        Expected share of the mask that is no focus, ``None`` for an empty mask.
    widened
        Factor by which the patient's decoys widened the null, 1 for not at all.
    refuted
        Whether a decoy cluster was beyond the null, so that the patient's map has more
        asymmetry than noise and healthy people account for.
    by_voxel
        Target–decoy rates of thresholds.
    smallest_probability
        Of any cluster and of the named region, accepted or not; 1 without any.
    named
        Test of the named region; ``None`` where none was named.
    """

    probability: Floats
    by_search: Floats
    by_name: Floats
    mask: Mask
    z: Floats
    sd: Floats
    regions: npt.NDArray[np.int16]
    cores: npt.NDArray[np.int16]
    foci: tuple[Focus, ...]
    false_share: float | None
    widened: float
    refuted: bool
    by_voxel: tuple[DecoyRate, ...]
    smallest_probability: float
    named: RegionTest | None = None


THRESHOLDS = (-0.06, -0.08, -0.1, -0.12, -0.15, -0.2)


def calibrated_signature(
    index: npt.NDArray[np.floating],
    grey: Mask,
    maps: NullMaps,
    settings: Calibration,
    *,
    side: Side | None,
    rng: np.random.Generator,
    region: NamedRegion | None = None,
) -> Calibrated:
    """Find the foci of an asymmetry map and their edges.

    Parameters
    ----------
    index
        Shape (X, Y, Z) of the grid of `maps`, asymmetry index.
    grey
        Of the same shape: where foci are sought.
    side
        Declared side; ``None`` seeks on both.
    rng
        Pairs the null maps.
    region
        Named before the image was seen, on the declared side.
    """
    grid = maps.noise.grid
    searches = _searches(grey, maps, side)
    null = mass_null(maps, searches, count=settings.maps, rng=rng)
    # On both sides, a focus of one is a decoy of the other: then no cluster of decoys refutes.
    refuting = settings.level if side is not None else 0.0
    checks = [widening(s.z(half_of(index, s.side)), s, null, refuting) for s in searches]
    factor, refuted = max(f for f, _ in checks), any(r for _, r in checks)
    resel = voxels_per_resel(maps.noise, maps.healthy)
    decision = _Decision(maps, null, factor, resel, settings.level, region)
    sided = [decision.on(search, half_of(index, search.side)) for search in searches]
    z_map, sd_map, by_search, by_name = _wholes(sided, grid)
    grown = [focus for one in sided for focus in one.grown]
    grown.sort(key=lambda one: (one.focus.probability, -one.focus.volume_mm3))
    probability, regions, cores = _painted(grown, grid)
    mask = probability > 0.5
    return Calibrated(
        probability=probability,
        by_search=by_search,
        by_name=by_name,
        mask=mask,
        z=z_map,
        sd=sd_map,
        regions=regions,
        cores=cores,
        foci=tuple(one.focus for one in grown),
        false_share=float(1.0 - probability[mask].mean()) if mask.any() else None,
        widened=factor,
        refuted=refuted,
        by_voxel=_by_voxel(index, searches, resel),
        smallest_probability=min((p for one in sided for p in one.chances), default=1.0),
        named=next((one.tested for one in sided if one.tested is not None), None),
    )


def _searches(grey: Mask, maps: NullMaps, side: Side | None) -> tuple[Search, ...]:
    """Where foci are sought: on one side, or on both."""
    usual, where = maps.usual(), maps.noise.where
    sides: tuple[Side, ...] = SIDES if side is None else (side,)
    return tuple(Search(s, where & half_of(grey, s), half_of(usual, s)) for s in sides)


def _wholes(sided: list[_Sided], grid: Grid) -> tuple[Floats, Floats, Floats, Floats]:
    """Index in standard deviations, these, and what search and name make, on the whole grid."""
    z_map, sd_map, by_search, by_name = np.zeros((4, *grid.shape), np.float32)
    for one in sided:
        half_of(z_map, one.half.search.side)[...] = one.half.z
        half_of(sd_map, one.half.search.side)[...] = one.half.search.sd * one.half.search.mask
        half_of(by_search, one.half.search.side)[...] = one.by_search
        half_of(by_name, one.half.search.side)[...] = one.by_name
    return z_map, sd_map, by_search, by_name


def _by_voxel(
    index: npt.NDArray[np.floating], searches: tuple[Search, ...], resel: float
) -> tuple[DecoyRate, ...]:
    """Target–decoy rates of all thresholds over what was searched."""
    inside = np.concatenate([half_of(index, s.side)[s.mask] for s in searches])
    return tuple(decoy_rate(inside, threshold, resel) for threshold in THRESHOLDS)


@dataclass(frozen=True, eq=False)
class _Grown:
    """A focus with its core and the probability of each voxel, on its half."""

    focus: Focus
    core: Mask
    chance: Floats


@dataclass(frozen=True, eq=False)
class _Sided:
    """What was found on one side; `chances` are those of all clusters and of the region."""

    half: _Half
    grown: list[_Grown]
    chances: list[float]
    by_search: Floats
    by_name: Floats
    tested: RegionTest | None


@dataclass(frozen=True, eq=False)
class _Decision:
    """What foci are held against; `widened` by the decoys, `resel` in voxels."""

    maps: NullMaps
    null: MassNull
    widened: float
    resel: float
    level: float
    region: NamedRegion | None

    def on(self, search: Search, index: npt.NDArray[np.floating]) -> _Sided:
        """Find the foci of one side."""
        wider = Search(search.side, search.mask, search.sd * np.float32(self.widened))
        half = _Half.of(np.asarray(index, np.float32), wider, self.maps.noise.grid)
        if self.region is None or self.region.side != search.side:
            chances, own = half.accepted(self.null, 1.0, self.level)
            return _Sided(half, own, chances, _highest(own, half), 0 * half.z, None)
        tested = region_test(half.index, self.region, self.maps, search.sd, self.widened)
        p = min(tested.probability / SHARE, 1.0)
        if p > self.level:
            chances, own = half.accepted(self.null, 1.0 - SHARE, self.level)
            return _Sided(half, own, [p, *chances], _highest(own, half), 0 * half.z, tested)
        named = half.named(self.region, tested.depth, p, self.resel)
        # What the region makes around itself by blur is no further focus.
        rest = half.index - np.float32(tested.depth) * self.region.shape
        left = _Half.of(rest, wider, half.grid)
        chances, own = left.accepted(self.null, 1.0 - SHARE, self.level)
        grown = _joined(named, own, half.grid)
        return _Sided(half, grown, [p, *chances], _highest(own, half), named.chance, tested)


def _highest(foci: list[_Grown], half: _Half) -> Floats:
    """Return the highest probability that foci of one side give its voxels."""
    return np.asarray(np.maximum.reduce([0 * half.z, *(one.chance for one in foci)]))


def _joined(named: _Grown, others: list[_Grown], grid: Grid) -> list[_Grown]:
    """Make one focus of a named region and the searched ones whose cores meet it."""
    met = [one for one in others if (one.core & named.core).any()]
    if not met:
        return [named, *others]
    chance = np.maximum.reduce([named.chance, *(one.chance for one in met)])
    every = [named.focus, *(one.focus for one in met)]
    lowest = min(every, key=lambda focus: focus.lowest_z)
    focus = replace(
        named.focus,
        probability=min(focus.probability for focus in every),
        volume_mm3=float(np.count_nonzero(chance > 0.5) * grid.voxel_volume_mm3),
        peak_mm=lowest.peak_mm,
        lowest_z=lowest.lowest_z,
        decoy_rate=min(focus.decoy_rate for focus in every),
    )
    core = np.logical_or.reduce([named.core, *(one.core for one in met)])
    kept = [one for one in others if not (one.core & named.core).any()]
    return [_Grown(focus, np.asarray(core), chance), *kept]


def _painted(
    grown: list[_Grown], grid: Grid
) -> tuple[Floats, npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Probability, number of its focus, and number of the core, on the whole grid."""
    probability = np.zeros(grid.shape, np.float32)
    regions, cores = np.zeros(grid.shape, np.int16), np.zeros(grid.shape, np.int16)
    for number, one in enumerate(grown, start=1):
        side = one.focus.side
        part = half_of(probability, side)
        more = one.chance > part
        half_of(regions, side)[more] = number
        half_of(cores, side)[one.core] = number
        part[more] = one.chance[more]
    return probability, regions, cores


@dataclass(frozen=True, eq=False)
class ErrorDraws:
    """Draws of what noise and healthy asymmetry add to the index of a patient.

    Parameters
    ----------
    maps
        Null maps of the patient.
    widened
        Factor that his decoys ask for.
    """

    maps: NullMaps
    widened: float

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw one, shape (X, Y, Z), antisymmetric; zero where the index is not defined."""
        noise, healthy = self.maps.noise, self.maps.healthy
        pair = rng.integers(noise.count), rng.integers(healthy.count)
        own, other = rng.choice(np.array([-1, 1], dtype=np.float32), 2) * np.float32(self.widened)
        half = np.zeros(noise.where.shape, dtype=np.float32)
        half[noise.where] = own * noise.values[pair[0]] + other * healthy.values[pair[1]]
        whole = np.zeros(noise.grid.shape, dtype=np.float32)
        whole[: len(half)] = half
        whole[len(whole) - len(half) :] = -half[::-1]
        return whole


def false_shares(
    found: Calibrated, errors: ErrorDraws, count: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw the share of the mask that is no focus, shape (count,); empty for an empty mask.

    In each draw the error is taken off the index, of the voxels and of the core that sets the
    edge, and a focus is none at all with its familywise probability.
    """
    if not found.mask.any():
        return np.empty(0)
    wholes = []
    for number, focus in enumerate(found.foci, start=1):
        mask = np.asarray(found.mask & (found.regions == number))
        wholes.append((found.cores == number, mask, found.probability[mask], focus))
    shares = np.empty(count)
    for row in range(count):
        error, real = errors.draw(rng), 0
        for core, mask, chance, focus in wholes:
            if rng.random() > focus.probability:
                rim = EDGE * float(error[core].mean())
                kept = still_focus(chance, focus, error[mask] - rim, found.sd[mask])
                real += int(np.count_nonzero(kept))
        shares[row] = 1.0 - real / np.count_nonzero(found.mask)
    return shares


def still_focus(
    chance: npt.NDArray[np.floating],
    focus: Focus,
    error: npt.NDArray[np.floating],
    sd: npt.NDArray[np.floating],
) -> Mask:
    """Whether voxels are still part of a focus, given a drawn error of their index.

    Over all draws, a voxel is as often as its probability says, and voxels whose errors go
    together are together.

    Parameters
    ----------
    chance, error, sd
        Shape (n,): probability of belonging to the focus, drawn error and its standard deviation.

    Examples
    --------
    >>> sure = Focus("left", 0.0, -0.2, 1.0, (0.0, 0.0, 0.0), -4.0, 1.0)
    >>> still_focus(np.array([0.9, 0.9]), sure, np.array([-0.03, -0.06]), np.array([0.04, 0.04]))
    array([ True, False])
    """
    within = np.clip(np.asarray(chance, np.float64) / (1.0 - focus.probability), 1e-9, 1 - 1e-9)
    return np.asarray(error >= -ndtri(within) * sd)


@dataclass(frozen=True, eq=False)
class _Half:
    """One side of a map, of shape (X // 2, Y, Z) from the outermost plane inwards."""

    index: Floats
    z: Floats
    search: Search
    low: Clusters
    high: Clusters
    grid: Grid

    @classmethod
    def of(cls, index: Floats, search: Search, grid: Grid) -> _Half:
        z = search.z(index)
        return cls(index, z, search, low_clusters(z), low_clusters(-z), grid)

    def accepted(
        self, null: MassNull, share: float, level: float
    ) -> tuple[list[float], list[_Grown]]:
        """Familywise probabilities of all clusters over the share of the level; those within."""
        chances = [min(null.probability(mass) / share, 1.0) for mass in self.low.mass]
        return chances, [self.grow(n, p) for n, p in enumerate(chances, 1) if p <= level]

    def grow(self, number: int, p: float) -> _Grown:
        """Accept a cluster: find its edge, and the probability of each voxel of this side."""
        search, grid = self.search, self.grid
        core = self.low.labels == number
        depth = float(self.index[core].mean())
        extent = _grown(core, search.mask & (self.index <= EDGE * depth), grid)
        near = ndimage.distance_transform_edt(~extent, sampling=grid.voxel_sizes_mm) <= RIM_MM
        certainty = ndtr((EDGE * depth - self.index) / np.maximum(search.sd, 1e-6)) * (1.0 - p)
        # Beyond the edge without growth having come there: even chances at most.
        chance = np.where(extent, certainty, np.minimum(certainty, 0.5))
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
        return _Grown(focus, core, np.where(near & search.mask, chance, 0.0).astype(np.float32))

    def named(self, region: NamedRegion, depth: float, p: float, resel: float) -> _Grown:
        """Accept a named region of this side; `resel` in voxels."""
        core = region.mask & self.search.mask
        chance = region_chance(self.index, region, depth, self.search.sd, resel)
        chance = np.where(core, chance * np.float32(1.0 - p), np.float32(0))
        focus = Focus(
            side=self.search.side,
            probability=p,
            depth=depth,
            volume_mm3=float(np.count_nonzero(chance > 0.5) * self.grid.voxel_volume_mm3),
            peak_mm=self._peak_mm(core),
            lowest_z=float(self.z[core].min(initial=0.0)),
            decoy_rate=1.0,
            named=region.name,
        )
        return _Grown(focus, core, chance)

    def _peak_mm(self, core: Mask) -> tuple[float, float, float]:
        """Template mm of the lowest z of a core."""
        first, second, third = np.unravel_index(
            int(np.argmin(np.where(core, self.z, 0.0))), self.z.shape
        )
        if self.search.side == "right":
            first = self.grid.shape[0] - 1 - first
        x, y, z = apply_affine(self.grid.affine, [first, second, third]).tolist()
        return (x, y, z)


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
