"""One set of null maps for the component, the genes and the gene sets.

The choice of null decides the answer: shuffling regions at random rejects a true null in 47 %
of smooth maps at a nominal 5 % (range 25 mm, docs/methods/genes.md). So a random permutation
exists only for comparison with what is published, and says so; so do the two spins that reject
too often as published.

Null models beside each other: Markello & Misic 2021, NeuroImage 236:118052.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, check_option, check_range, notify
from falx.core.grid import Side
from falx.genes.nulls.gaussian import FittedField, fit_field, gaussian_maps
from falx.genes.nulls.lost_smoothness import (
    covariance_after_moran,
    covariance_after_spins,
    restoring_matrix,
)
from falx.genes.nulls.moran import (
    block_means,
    inverse_distance_weights,
    moran_eigenvectors,
    moran_index,
    moran_maps,
    moran_weights,
)
from falx.genes.nulls.spin import SpinMethod, spin_assignments
from falx.genes.nulls.variogram import make_variogram, variogram_maps

__all__ = [
    "NULL_METHODS",
    "BlockQuality",
    "NullMaps",
    "NullMethod",
    "Positions",
    "distances",
    "null_maps",
    "null_plan",
]

Array = npt.NDArray[np.float64]
NullMethod = Literal[
    "moran", "variogram", "gaussian", "spin_nearest", "spin_vasa", "spin_hungarian", "random"
]
NULL_METHODS: tuple[NullMethod, ...] = get_args(NullMethod)
_NAMED: dict[str, NullMethod] = {"spin": "spin_nearest", **{m: m for m in NULL_METHODS}}
AT_FIVE = "at a nominal 5 %, for maps of range 10 and 25 mm"
EXCESSIVE_SPINS: dict[str, tuple[str, str, str]] = {
    "spin_vasa": ("Váša", "8.5 % and 15.0 %", "4.0 % and 3.5 %"),
    "spin_hungarian": ("Hungarian", "8.0 % and 13.0 %", "4.0 % and 4.5 %"),
}
"""Name, and measured error of the component test as published and with smoothness restored, from
the table in docs/methods/genes.md."""
FEWEST_REGIONS = 20
FEWEST_IN_BLOCK = 5


@dataclass(frozen=True, eq=False)
class Positions:
    """Where the regions are.

    Attributes
    ----------
    centroids_mm
        RAS+ mm, shape (n, 3).
    blocks
        ``cortex``, ``subcortex``, ``cerebellum`` … of each region.
    sides
        Needed by spins only.
    sphere
        Points on the cortical sphere, shape (n, 3); rows of regions off the cortex are NaN.
        Needed by spins only.
    projected
        The sphere was made by :func:`falx.genes.nulls.spin.centroid_points`, not from a surface.
    """

    centroids_mm: Array
    blocks: tuple[str, ...]
    sides: tuple[Side | None, ...] | None = None
    sphere: Array | None = None
    projected: bool = False

    def __post_init__(self) -> None:
        n = len(self.centroids_mm)
        lengths = {n, len(self.blocks)}
        lengths |= {len(x) for x in (self.sides, self.sphere) if x is not None}
        if len(lengths) > 1:
            raise InputError("positions differ in length", found=sorted(lengths))


@dataclass(frozen=True)
class BlockQuality:
    """How well null maps keep a block's smoothness.

    Attributes
    ----------
    moran_ratio
        Median Moran's I of the null maps over that of the map; 1 is perfect.
    variogram_error
        Median over null maps of the relative error of the variogram.
    """

    block: str
    n_regions: int
    method: NullMethod
    moran_ratio: float
    variogram_error: float | None


@dataclass(frozen=True, eq=False)
class NullMaps:
    """Null maps of one map, shape (B, n), with their method and quality by block."""

    maps: Array
    method: str
    quality: tuple[BlockQuality, ...]

    def __len__(self) -> int:
        return len(self.maps)


def null_plan(text: str) -> NullMethod | dict[str, NullMethod]:
    """Read a null method, or one for each block; ``spin`` is the nearest spin.

    Examples
    --------
    >>> null_plan("spin"), null_plan("cortex=spin_vasa,subcortex=moran")
    ('spin_nearest', {'cortex': 'spin_vasa', 'subcortex': 'moran'})
    """
    if "=" not in text:
        return _NAMED[check_option("null", text, _NAMED)]
    parts = [part.partition("=") for part in text.split(",")]
    return {
        block.strip(): _NAMED[check_option("null", method.strip(), _NAMED)]
        for block, _, method in parts
    }


def distances(points: npt.ArrayLike) -> Array:
    """Euclidean distances between points of shape (n, 3), in their unit."""
    xyz = np.asarray(points, dtype=np.float64)
    return np.asarray(np.linalg.norm(xyz[:, None] - xyz[None], axis=2))


def null_maps(
    values: npt.ArrayLike,
    positions: Positions,
    n_maps: int,
    rng: np.random.Generator,
    *,
    method: NullMethod | Mapping[str, NullMethod] = "moran",
    restore: bool = True,
) -> NullMaps:
    """Draw null maps.

    Parameters
    ----------
    values
        The map, shape (n,).
    method
        One method for all regions together, or one per block, as in
        ``{"cortex": "spin_hungarian", "subcortex": "moran"}``. A spin covers cortex only.
    restore
        Give spun maps, and maps made block by block, back the smoothness that they lose (see
        :mod:`falx.genes.nulls.lost_smoothness`), take Moran's weights at the map's range, and
        keep the mean of each block of five regions or more: a step from cortex to subcortex is
        no chance of a smooth field. Without it null maps are as published.

    Raises
    ------
    InputError
        Fewer than 20 regions; a block without a method; a spin off the cortex.
    """
    y = np.asarray(values, dtype=np.float64)
    check_range("number of null maps", n_maps, 1)
    _check_map(y, positions)
    if isinstance(method, str):
        plan = {"all": check_option("null", method, NULL_METHODS)}
        members = {"all": np.arange(len(y))}
        positions = replace(positions, blocks=_classes(positions.blocks))
    else:
        plan = {b: check_option("null", m, NULL_METHODS) for b, m in method.items()}
        members = _members(positions.blocks, plan)
    restored = restore and "random" not in plan.values()
    means = block_means(positions.blocks if restored else ("all",) * len(y))
    maps = _about_level(y, means, positions, (plan, members), n_maps, rng, restored)
    out = np.asarray(maps + means @ y, dtype=np.float64)
    quality = [
        _quality(block, plan[block], y[rows], out[:, rows], positions, rows)
        for block, rows in members.items()
    ]
    name = plan["all"] if "all" in plan else "+".join(f"{m}({b})" for b, m in plan.items())
    _tell_of_errors(set(plan.values()), restored, positions.projected)
    return NullMaps(out, name, tuple(quality))


def _classes(blocks: Sequence[str]) -> tuple[str, ...]:
    """Blocks that are large enough for a mean of their own; the others are taken together."""
    size = Counter(blocks)
    return tuple(block if size[block] >= FEWEST_IN_BLOCK else "" for block in blocks)


Plan = tuple[Mapping[str, str], Mapping[str, npt.NDArray[np.intp]]]
"""Method and regions of each block."""


def _about_level(
    values: Array,
    means: Array,
    positions: Positions,
    planned: Plan,
    n_maps: int,
    rng: np.random.Generator,
    restored: bool,
) -> Array:
    """Null maps of what a map has about its level, the mean of all regions or of each block."""
    plan, members = planned
    y = values - means @ values
    if np.ptp(y) < 1e-12 * np.ptp(values):
        raise InputError(
            "the map is constant within each class of regions",
            do="give a map that differs between regions of a class",
        )
    fitted = None
    if restored:
        fitted = fit_field(y, distances(positions.centroids_mm), positions.blocks)
    drawn = {
        block: (rows, _one_block(y, positions, rows, plan[block], n_maps, rng, fitted))
        for block, rows in members.items()
    }
    out = np.empty((n_maps, len(y)))
    for rows, block_maps in drawn.values():
        out[:, rows] = block_maps.maps
    if fitted and (len(plan) > 1 or any(m.startswith("spin_") for m in plan.values())):
        return _restored(out, fitted, list(drawn.values()))
    if fitted and len(set(positions.blocks)) > 1:
        out -= out @ means
    return out


@dataclass(frozen=True, eq=False)
class _BlockMaps:
    """Null maps of one block, and what their making leaves of a field's covariance."""

    maps: Array
    left_of: Callable[[Array], Array]


def _restored(
    maps: Array,
    fitted: FittedField,
    drawn: Sequence[tuple[npt.NDArray[np.intp], _BlockMaps]],
) -> Array:
    """Null maps with the covariance of the field that is fitted to the map."""
    wanted = fitted.factor @ fitted.factor.T
    left = np.zeros_like(wanted)
    for rows, block_maps in drawn:
        within = np.ix_(rows, rows)
        left[within] = block_maps.left_of(wanted[within])
    return np.asarray(maps @ restoring_matrix(left, wanted))


def _tell_of_errors(methods: set[str], restored: bool, projected: bool) -> None:
    """Say which of the methods reject a true null more often than they state, or may mislead."""
    if "random" in methods:
        notify(
            "random permutation ignores that neighbouring regions are alike",
            where="null maps",
            found="its P values are far too small for smooth maps",
            do="read the Moran and variogram P beside it",
        )
    for method, (name, raw, better) in EXCESSIVE_SPINS.items():
        if method in methods and not restored:
            notify(
                f"the {name} spin as published rejects a true null too often",
                where="null maps",
                found=f"type-I error {raw} {AT_FIVE}",
                do=f"let its smoothness be restored ({better}), or use moran (5.5 % and 5.0 %)",
            )
    if projected and any(method.startswith("spin_") for method in methods):
        notify(
            "regions are spun by the direction of their centroids, for the atlas has no surface",
            where="null maps",
            found="type-I error of the nearest spin, smoothness restored: "
            f"4.5 % and 3.0 % {AT_FIVE}",
            do="use moran or variogram, which need no sphere, where angles through the folds "
            "mislead",
        )


def _check_map(y: Array, positions: Positions) -> None:
    if len(y) != len(positions.centroids_mm):
        raise InputError(
            "the map and the positions differ in regions",
            found=f"{len(y)} and {len(positions.centroids_mm)}",
        )
    if len(y) < FEWEST_REGIONS:
        raise InputError(
            "too few regions for spatial statistics",
            where="map",
            found=f"{len(y)} regions",
            do=f"use an atlas with at least {FEWEST_REGIONS} regions, or give the table of the "
            "other regions as well",
        )
    if not np.isfinite(y).all():
        raise InputError("the map has missing values", do="leave those regions out")
    if np.ptp(y) == 0:
        raise InputError("the map is constant", do="check what was averaged")


def _members(blocks: Sequence[str], plan: Mapping[str, str]) -> dict[str, npt.NDArray[np.intp]]:
    unplanned = sorted(set(blocks) - set(plan))
    if unplanned:
        raise InputError("blocks have no null method", found=unplanned, do="name one for each")
    members = {b: np.flatnonzero(np.array(blocks) == b) for b in plan}
    small = {b: len(rows) for b, rows in members.items() if len(rows) < FEWEST_IN_BLOCK}
    if small:
        raise InputError(
            "a block is too small for null maps of its own",
            found=small,
            do="use one joint null for all regions",
        )
    return members


def _one_block(
    y: Array,
    positions: Positions,
    rows: npt.NDArray[np.intp],
    method: str,
    n_maps: int,
    rng: np.random.Generator,
    fitted: FittedField | None,
) -> _BlockMaps:
    """Null maps of one block's values about the level of the map."""
    values = y[rows]
    if method == "random":
        return _BlockMaps(rng.permuted(np.tile(values, (n_maps, 1)), axis=1), lambda C: C)
    if method.startswith("spin_"):
        return _spin(values, positions, rows, method.removeprefix("spin_"), n_maps, rng)  # type: ignore[arg-type]
    d = distances(positions.centroids_mm[rows])
    if method == "moran":
        range_mm = fitted.range_mm if fitted else None
        blocks = [positions.blocks[i] for i in rows] if fitted else None
        basis = moran_eigenvectors(moran_weights(d, range_mm), blocks)
        return _BlockMaps(
            moran_maps(values, d, n_maps, rng, range_mm=range_mm, blocks=blocks),
            lambda C: covariance_after_moran(C, basis),
        )
    draw = {"variogram": variogram_maps, "gaussian": gaussian_maps}[method]
    return _BlockMaps(draw(values, d, n_maps, rng), lambda C: C)


def _spin(
    values: Array,
    positions: Positions,
    rows: npt.NDArray[np.intp],
    method: SpinMethod,
    n_maps: int,
    rng: np.random.Generator,
) -> _BlockMaps:
    if positions.sphere is None or positions.sides is None:
        raise InputError(
            "a spin needs the regions on the cortical sphere",
            do="give centroids, blocks and sides, or use moran or variogram",
        )
    off = ~np.isfinite(positions.sphere[rows]).all(axis=1)
    if off.any():
        raise InputError(
            "a spin is undefined off the cortex",
            found=f"{int(off.sum())} regions without a place on the sphere",
            do="keep to --blocks cortex, give a null per block, such as "
            "cortex=spin_nearest,subcortex=moran, or use moran or variogram",
        )
    sides = [positions.sides[i] for i in rows]
    if None in sides:
        raise InputError("a spun region has no side")
    chosen = [side for side in sides if side is not None]
    moved = spin_assignments(positions.sphere[rows], chosen, n_maps, rng, method=method)
    return _BlockMaps(values[moved], lambda C: covariance_after_spins(C, moved))


def _quality(
    block: str,
    method: str,
    values: Array,
    maps: Array,
    positions: Positions,
    rows: npt.NDArray[np.intp],
) -> BlockQuality:
    d = distances(positions.centroids_mm[rows])
    W = inverse_distance_weights(d)
    sample = maps[:500]
    spread = sample.std(axis=1)
    sample = sample[spread > 1e-9 * values.std()]
    ratio = float(np.median(moran_index(sample, W)) / moran_index(values, W))
    error: float | None = None
    if len(rows) >= FEWEST_REGIONS:
        variogram = make_variogram(d)
        target = variogram(values)
        relative = np.abs(variogram(sample) - target) / target
        error = float(np.median(relative.mean(axis=1)))
    return BlockQuality(block, len(rows), method, ratio, error)  # type: ignore[arg-type]
