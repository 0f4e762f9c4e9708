"""The calibrated signature: foci that noise and healthy asymmetry do not make, and their edges.

A focus is a cluster of low z whose mass is beyond the familywise quantile of maps without a focus
(:mod:`falx.pet.decoy`), grown to its edge (:mod:`falx.pet.edges`). The probability of a voxel is
that of its index being beyond that edge without noise and healthy asymmetry, times the probability
that the focus is one. A region named beforehand has a test of its own (:mod:`falx.pet.named`), and
its voxels the probability of their part being held (:mod:`falx.pet.extent`); where a searched
focus meets it, both are one.

Mass of a cluster: Bullmore et al. 1999, IEEE TMI 18:32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.core.grid import SIDES, Grid, Side
from falx.core.settings import check_settings, option
from falx.pet.decoy import (
    DecoyRate,
    Mask,
    MassNull,
    NullMaps,
    Search,
    decoy_rate,
    half_of,
    mass_null,
    voxels_per_resel,
    widening,
)
from falx.pet.edges import Focus, Grown, Half
from falx.pet.extent import Extent, find_extent
from falx.pet.named import SHARE, NamedRegion, RegionTest, region_test

__all__ = ["Calibrated", "Calibration", "Reach", "calibrated_signature"]

Floats = npt.NDArray[np.float32]


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


@dataclass(frozen=True, eq=False)
class Reach:
    """Where the named region's focus is.

    Parameters
    ----------
    region
        It was named.
    extent
        What is known of its parts.
    number
        Of its focus, from 1.
    numbers
        Shape (X, Y, Z) of the template grid: part of each voxel.
    """

    region: NamedRegion
    extent: Extent
    number: int
    numbers: npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The calibrated signature on the template grid.

    Parameters
    ----------
    probability
        Shape (X, Y, Z), of belonging to a focus.
    by_search
        Of the same shape: what searched foci alone make it.
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
    reach
        Where its focus is; ``None`` where it was not accepted.
    """

    probability: Floats
    by_search: Floats
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
    reach: Reach | None = None


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
    decision = _Decision(maps, null, factor, settings.level, region)
    sided = [decision.on(search, half_of(index, search.side)) for search in searches]
    z_map, sd_map, by_search = _wholes(sided, grid)
    grown = [focus for one in sided for focus in one.grown]
    grown.sort(key=lambda one: (one.focus.probability, -one.focus.volume_mm3))
    probability, regions, cores = _painted(grown, grid)
    mask = probability > 0.5
    return Calibrated(
        probability=probability,
        by_search=by_search,
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
        reach=_reach(sided, grown, grid),
    )


def _searches(grey: Mask, maps: NullMaps, side: Side | None) -> tuple[Search, ...]:
    """Where foci are sought: on one side, or on both."""
    usual, where = maps.usual(), maps.noise.where
    sides: tuple[Side, ...] = SIDES if side is None else (side,)
    return tuple(Search(s, where & half_of(grey, s), half_of(usual, s)) for s in sides)


def _reach(sided: list[_Sided], grown: list[Grown], grid: Grid) -> Reach | None:
    """Put what is known of the named region's focus on the whole grid."""
    for one in sided:
        if one.reach is not None:
            region, extent = one.reach
            named = next(n for n, g in enumerate(grown, start=1) if g.focus.named is not None)
            numbers = np.zeros(grid.shape, np.int16)
            half_of(numbers, region.side)[...] = region.numbers
            return Reach(region, extent, named, numbers)
    return None


def _wholes(sided: list[_Sided], grid: Grid) -> tuple[Floats, Floats, Floats]:
    """Index in standard deviations, these, and what the search makes, on the whole grid."""
    z_map, sd_map, by_search = np.zeros((3, *grid.shape), np.float32)
    for one in sided:
        half_of(z_map, one.half.search.side)[...] = one.half.z
        half_of(sd_map, one.half.search.side)[...] = one.half.search.sd * one.half.search.mask
        half_of(by_search, one.half.search.side)[...] = one.by_search
    return z_map, sd_map, by_search


def _by_voxel(
    index: npt.NDArray[np.floating], searches: tuple[Search, ...], resel: float
) -> tuple[DecoyRate, ...]:
    """Target–decoy rates of all thresholds over what was searched."""
    inside = np.concatenate([half_of(index, s.side)[s.mask] for s in searches])
    return tuple(decoy_rate(inside, threshold, resel) for threshold in THRESHOLDS)


@dataclass(frozen=True, eq=False)
class _Sided:
    """What was found on one side; `chances` are those of all clusters and of the region."""

    half: Half
    grown: list[Grown]
    chances: list[float]
    by_search: Floats
    tested: RegionTest | None = None
    reach: tuple[NamedRegion, Extent] | None = None


@dataclass(frozen=True, eq=False)
class _Decision:
    """What foci are held against; `widened` by the decoys."""

    maps: NullMaps
    null: MassNull
    widened: float
    level: float
    region: NamedRegion | None

    def on(self, search: Search, index: npt.NDArray[np.floating]) -> _Sided:
        """Find the foci of one side."""
        wider = Search(search.side, search.mask, search.sd * np.float32(self.widened))
        half = Half.of(np.asarray(index, np.float32), wider, self.maps.noise.grid)
        if self.region is None or self.region.side != search.side:
            chances, own = half.accepted(self.null, 1.0, self.level)
            return _Sided(half, own, chances, _highest(own, half))
        tested = region_test(half.index, self.region, self.maps, search.sd, self.widened)
        p = min(tested.probability / SHARE, 1.0)
        if p > self.level:
            chances, own = half.accepted(self.null, 1.0 - SHARE, self.level)
            return _Sided(half, own, [p, *chances], _highest(own, half), tested)
        extent = find_extent(
            half.index, self.region.numbers, self.region.shapes, self.maps, search.sd, self.widened
        )
        named = half.named(self.region, extent, p)
        # What the focus in it makes around itself by blur is no further focus.
        blur = np.tensordot(extent.expected.astype(np.float32), self.region.shapes, axes=1)
        rest = np.asarray(half.index - blur, np.float32)
        left = Half.of(rest, wider, half.grid)
        chances, own = left.accepted(self.null, 1.0 - SHARE, self.level)
        grown, outside = _joined(named, own, half.grid), ~self.region.mask
        by_search = _highest(own, half) * outside
        reach = (self.region, extent)
        return _Sided(half, grown, [p, *chances], by_search, tested, reach)


def _highest(foci: list[Grown], half: Half) -> Floats:
    """Return the highest probability that foci of one side give its voxels."""
    return np.asarray(np.maximum.reduce([0 * half.z, *(one.chance for one in foci)]))


def _joined(named: Grown, others: list[Grown], grid: Grid) -> list[Grown]:
    """Make one focus of a named region and the searched ones whose cores meet it."""
    met = [one for one in others if (one.core & named.core).any()]
    if not met:
        return [named, *others]
    beside = np.maximum.reduce([one.chance for one in met])
    chance = np.where(named.core, named.chance, beside)
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
    return [Grown(focus, np.asarray(core), chance), *kept]


def _painted(
    grown: list[Grown], grid: Grid
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
