"""The calibrated signature: foci that noise and healthy asymmetry do not make, and their edges.

A focus is a cluster of low z whose mass is beyond the familywise quantile of maps without a focus
(:mod:`falx.pet.decoy`). Its core is deep enough to be certain and too small to be the whole. The
edge of a blurred step lies where its height is halved; the core's mean is less than the height, and
blur makes thin tissue shallower, so that the edge is taken at :data:`EDGE` of the core's mean
depth (set on twelve phantoms, other seeds than those of the figures in
docs/methods/signature.md). Growth may not leak through threads of noise: what an opening by
:data:`THREAD_MM` cuts off from the core goes.

The probability of a voxel is that of its index being beyond that edge without noise and healthy
asymmetry, times the probability that the focus is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.special import ndtr

from falx.core.grid import SIDES, Grid, Side
from falx.core.settings import check_settings, option
from falx.pet.decoy import (
    CONNECTED,
    Clusters,
    DecoyRate,
    Mask,
    MassNull,
    Search,
    cluster_decoy_rate,
    decoy_rate,
    half_of,
    low_clusters,
    mass_null,
    voxels_per_resel,
    widening,
)
from falx.pet.noise import HalfMaps

__all__ = ["Calibrated", "Calibration", "Focus", "calibrated_signature"]

Floats = npt.NDArray[np.float32]

EDGE = 0.45
"""Share of the core's mean depth at which the edge lies."""

REACH_MM = 8.0
"""How far an edge may lie from the core: about the width of point spread and smoothing together."""

THREAD_MM = 2.0
"""Bridges narrower than twice this are not followed."""

BACK_MM = 2.1
"""What the opening took from the rim is given back within this distance."""

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
        Familywise probability that maps without a focus hold such a one.
    depth
        Mean index of its core.
    volume_mm3
        On the template grid, within its edge.
    peak_mm
        Template mm of its lowest z.
    decoy_rate
        False-discovery rate by the patient's own decoy clusters; with a single focus it cannot
        be below one, and says nothing against it.
    """

    side: Side
    probability: float
    depth: float
    volume_mm3: float
    peak_mm: tuple[float, float, float]
    decoy_rate: float


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The calibrated signature on the template grid.

    Parameters
    ----------
    probability
        Shape (X, Y, Z), of belonging to a focus.
    mask
        Where it exceeds a half.
    z
        Index in its standard deviations.
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
        Of any cluster, accepted or not; 1 without any.
    """

    probability: Floats
    mask: Mask
    z: Floats
    foci: tuple[Focus, ...]
    false_share: float | None
    widened: float
    refuted: bool
    by_voxel: tuple[DecoyRate, ...]
    smallest_probability: float


THRESHOLDS = (-0.06, -0.08, -0.1, -0.12, -0.15, -0.2)


def calibrated_signature(
    index: npt.NDArray[np.floating],
    grid: Grid,
    grey: Mask,
    noise: HalfMaps,
    healthy: HalfMaps,
    settings: Calibration,
    *,
    side: Side | None,
    rng: np.random.Generator,
) -> Calibrated:
    """Find the foci of an asymmetry map and their edges.

    Parameters
    ----------
    index
        Shape (X, Y, Z) of `grid`, asymmetry index.
    grey
        Of the same shape: where foci are sought.
    noise, healthy
        Null maps of the image's own noise and of healthy people.
    side
        Declared side; ``None`` seeks on both.
    rng
        Pairs the null maps.
    """
    usual = np.hypot(noise.standard_error(), healthy.standard_error())
    sides: tuple[Side, ...] = SIDES if side is None else (side,)
    searches = tuple(
        Search(s, noise.where & half_of(grey, s), half_of(usual, s)) for s in sides
    )
    null = mass_null(noise, healthy, searches, count=settings.maps, rng=rng)
    checks = [widening(s.z(half_of(index, s.side)), s, null, settings.level) for s in searches]
    factor, refuted = max(f for f, _ in checks), any(r for _, r in checks)
    z_map, probability = np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32)
    foci: list[Focus] = []
    every: list[float] = []
    for search in searches:
        own = np.asarray(half_of(index, search.side))
        z = search.z(own) / np.float32(factor)
        half_of(z_map, search.side)[...] = z
        found, decoys = low_clusters(z), low_clusters(-z)
        every += [null.probability(m) for m in found.mass]
        part = half_of(probability, search.side)
        for number in range(1, len(found.mass) + 1):
            focus, chance = _focus(number, found, decoys, own, z, search, factor, grid, null, settings)
            if focus is not None:
                foci.append(focus)
                np.maximum(part, chance, out=part)
    mask = probability > 0.5
    inside = np.concatenate([half_of(index, s.side)[s.mask] for s in searches])
    resel = voxels_per_resel(noise)
    return Calibrated(
        probability,
        mask,
        z_map,
        tuple(sorted(foci, key=lambda focus: (focus.probability, -focus.volume_mm3))),
        float(1.0 - probability[mask].mean()) if mask.any() else None,
        factor,
        refuted,
        tuple(decoy_rate(inside, t, resel) for t in THRESHOLDS),
        min(every, default=1.0),
    )


def _focus(
    number: int,
    found: Clusters,
    decoys: Clusters,
    index: Floats,
    z: Floats,
    search: Search,
    factor: float,
    grid: Grid,
    null: MassNull,
    settings: Calibration,
) -> tuple[Focus | None, Floats]:
    """Accept a cluster or not, and give the probability of each voxel around it."""
    mass = float(found.mass[number - 1])
    p = null.probability(mass)
    if p > settings.level:
        return None, np.zeros(0, np.float32)
    core = found.labels == number
    depth = float(index[core].mean())
    extent = _grown(core, search.mask & (index <= EDGE * depth), grid)
    near = ndimage.distance_transform_edt(~extent, sampling=grid.voxel_sizes_mm) <= RIM_MM
    near &= search.mask
    # A voxel beyond the edge that growth did not reach hangs on a thread: even chances at most.
    chance = ndtr((EDGE * depth - index) / np.maximum(factor * search.sd, 1e-6)) * (1.0 - p)
    chance = np.where(extent, chance, np.minimum(chance, 0.5))
    lowest = np.unravel_index(int(np.argmin(np.where(core, z, 0.0))), z.shape)
    first = lowest[0] if search.side == "left" else grid.shape[0] - 1 - lowest[0]
    peak = grid.affine[:3, :3] @ np.array([first, *lowest[1:]]) + grid.affine[:3, 3]
    focus = Focus(
        side=search.side,
        probability=p,
        depth=depth,
        volume_mm3=float(np.count_nonzero(extent) * grid.voxel_volume_mm3),
        peak_mm=(float(peak[0]), float(peak[1]), float(peak[2])),
        decoy_rate=cluster_decoy_rate(found.mass, decoys.mass, mass),
    )
    return focus, np.where(near, chance, 0.0).astype(np.float32)


def _grown(core: Mask, low: Mask, grid: Grid) -> Mask:
    """What of `low` hangs together with the core by more than threads; the core itself."""
    sizes_mm = grid.voxel_sizes_mm
    near = ndimage.distance_transform_edt(~core, sampling=sizes_mm) <= REACH_MM
    low = low & near | core
    deep = ndimage.distance_transform_edt(low, sampling=sizes_mm) > THREAD_MM + 1e-3
    if not deep.any():
        return core
    opened = ndimage.distance_transform_edt(~deep, sampling=sizes_mm) <= THREAD_MM + 1e-3
    labels, _ = ndimage.label(opened, CONNECTED)
    met = np.unique(labels[core & opened])
    kept = np.isin(labels, met[met > 0])
    if not kept.any():
        return core
    return low & (ndimage.distance_transform_edt(~kept, sampling=sizes_mm) <= BACK_MM) | core
