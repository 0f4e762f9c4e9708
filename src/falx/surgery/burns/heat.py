"""Heat that follows the tissue: the bioheat equation around a laser's tip, and what it kills.

Pennes 1948 (J Appl Physiol 1:93), ``ρc ∂T/∂t = k ∇²T - w (T - T_a) + Q``, explicit in time on a
grid of cubes; fluid and large vessels are held at the temperature of the blood, for their flow
carries the heat away; damage is the Arrhenius integral of Henriques 1947 (Arch Pathol 43:489),
``Ω = ∫ A exp(-E / RT) dt`` with his A = 3.1e98 /s and E = 6.28e5 J/mol, dead where Ω ≥ 1. The
light of a diffusing tip is a line source that tissue weakens by its effective attenuation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import check_range
from falx.core.grid import Grid
from falx.core.settings import check_settings, option
from falx.surgery.tracks.geometry import capsule_volume_mm3

__all__ = ["Heating", "Tissue", "burned", "cube_around", "damage_after", "dose_for", "line_source"]

BODY_C = 37.0
GAS_J_PER_MOL_K = 8.314
FREQUENCY_PER_S, ENERGY_J_PER_MOL = 3.1e98, 6.28e5
STABLE = 0.9
"""Share of the longest time step that an explicit scheme bears, h² ρc / 6 k."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tissue:
    """Properties of brain, SI units; usual values, the attenuation a judgement.

    Parameters
    ----------
    conductivity
        W/(m K).
    heat_capacity
        Of a volume, J/(m³ K): 1045 kg/m³ by 3640 J/(kg K).
    perfusion
        Heat that blood carries off, W/(m³ K): 6 kg/(m³ s) by 3840 J/(kg K) where it is on; off
        by default, for heated tissue coagulates.
    attenuation
        Effective, 1/m.
    """

    conductivity: float = 0.527
    heat_capacity: float = 1045.0 * 3640.0
    perfusion: float = 0.0
    attenuation: float = 180.0


@dataclass(frozen=True)
class Heating:
    """Power and time of one burn.

    Parameters
    ----------
    power_w, seconds
        Usual practice is 10 to 12 W for 2 to 3 minutes; no primary source.
    diffuser_mm
        Length of the shining tip; 10 mm is usual.
    efficiency
        Share of the power that heats tissue, the rest leaving with the cooled catheter. It is
        fitted, so that a stop of 10 mm leaves 8 mm of radius in unbounded tissue: a capsule of
        8 mm over 24 mm has the 6,888 mm³ of a published mean ablation (Mayo series 2018).
    """

    power_w: float = option(11.0, help="power of the laser", unit="W", low=0, high=15)
    seconds: float = option(150.0, help="time of a burn", unit="s", low=1, high=600)
    diffuser_mm: float = option(10.0, help="length of the shining tip", unit="mm", low=1, high=20)
    efficiency: float = option(0.75, help="share of the power that heats tissue", low=0, high=1)

    def __post_init__(self) -> None:
        check_settings(self)


def line_source(
    grid: Grid, tip_mm: npt.ArrayLike, way: npt.ArrayLike, heating: Heating, tissue: Tissue
) -> npt.NDArray[np.float32]:
    """Heat of a diffusing tip at every voxel, W/m³, shape (X, Y, Z).

    Its sum over space is the power that heats: what a coarse grid misses is scaled in.

    Parameters
    ----------
    tip_mm, way
        Deepest end of the shining tip, and the unit vector back along the fibre; shape (3,).
    """
    places = (grid.centres_mm() - np.asarray(tip_mm)) / 1000.0
    length = heating.diffuser_mm / 1000.0
    t = np.clip(places @ np.asarray(way), 0.0, length)
    away = np.linalg.norm(places - t[..., None] * np.asarray(way), axis=-1)
    away = np.maximum(away, 0.00083)
    light = np.exp(-tissue.attenuation * away) / away
    whole = light.sum() * grid.voxel_volume_mm3 * 1e-9
    return np.asarray(light * (heating.power_w * heating.efficiency / whole), np.float32)


def damage_after(
    source: npt.NDArray[np.floating],
    sink: npt.NDArray[np.bool_],
    voxel_mm: float,
    seconds: float,
    tissue: Tissue,
    *,
    cooling_s: float = 30.0,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Damage, and the temperature at the end of heating, °C, both of shape (X, Y, Z).

    Parameters
    ----------
    source
        W/m³, shape (X, Y, Z); the border is held at body temperature.
    sink
        Fluid and vessels, held at body temperature, same shape.
    voxel_mm
        Edge of the cubic voxels.
    cooling_s
        Time after the heating during which damage goes on.
    """
    check_range("voxel_mm", voxel_mm, 0.1, 4.0, unit="mm")
    h = voxel_mm / 1000.0
    longest = STABLE * h * h * tissue.heat_capacity / (6.0 * tissue.conductivity)
    steps = max(int(np.ceil(seconds / longest)), 1)
    step = seconds / steps
    cool = int(np.ceil(cooling_s / step))
    free = ~np.asarray(sink, dtype=bool)
    free[[0, -1]] = free[:, [0, -1]] = free[:, :, [0, -1]] = False
    return _heated(  # type: ignore[no-any-return]
        np.asarray(source, np.float32), free, steps, cool, step,
        step * tissue.conductivity / (tissue.heat_capacity * h * h),
        step / tissue.heat_capacity, step * tissue.perfusion / tissue.heat_capacity,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _heated(source, free, steps, cool, step, spread, gain, loss):  # type: ignore[no-untyped-def]
    """Explicit steps of Pennes' equation in rise above body temperature, and the damage."""
    nx, ny, nz = source.shape
    rise = np.zeros((nx, ny, nz), np.float32)
    after = np.zeros((nx, ny, nz), np.float32)
    damage = np.zeros((nx, ny, nz), np.float32)
    hottest = np.zeros((nx, ny, nz), np.float32)
    for n in range(steps + cool):
        on = np.float32(gain if n < steps else 0.0)
        for i in range(1, nx - 1):
            for j in range(1, ny - 1):
                for k in range(1, nz - 1):
                    if not free[i, j, k]:
                        continue
                    here = rise[i, j, k]
                    around = (
                        rise[i - 1, j, k] + rise[i + 1, j, k] + rise[i, j - 1, k]
                        + rise[i, j + 1, k] + rise[i, j, k - 1] + rise[i, j, k + 1]
                    )  # fmt: skip
                    # Water boils at 100 °C: tissue does not get hotter.
                    now = (
                        here + spread * (around - 6.0 * here) - loss * here + on * source[i, j, k]
                    )
                    now = min(now, np.float32(63.0))
                    after[i, j, k] = now
                    if now > 3.0:
                        rate = FREQUENCY_PER_S * np.exp(
                            -ENERGY_J_PER_MOL / (GAS_J_PER_MOL_K * (273.15 + BODY_C + now))
                        )
                        damage[i, j, k] = min(damage[i, j, k] + step * rate, 1e6)
        rise, after = after, rise
        if n == steps - 1:
            hottest[:] = rise
    return damage, hottest + np.float32(BODY_C)


def burned(
    grid: Grid,
    sink: npt.NDArray[np.bool_],
    tip_mm: npt.ArrayLike,
    way: npt.ArrayLike,
    heating: Heating,
    tissue: Tissue | None = None,
) -> npt.NDArray[np.bool_]:
    """Return what one burn kills, shape (X, Y, Z), on a grid of cubic voxels.

    Parameters
    ----------
    sink
        Fluid and large vessels, (X, Y, Z).
    tip_mm, way
        As for :func:`line_source`.
    """
    tissue = tissue or Tissue()
    source = line_source(grid, tip_mm, way, heating, tissue)
    damage, _ = damage_after(
        source, sink, float(grid.voxel_sizes_mm.mean()), heating.seconds, tissue
    )
    return np.asarray((damage >= 1.0) & ~np.asarray(sink, dtype=bool))


def cube_around(point_mm: npt.ArrayLike, half_mm: float, voxel_mm: float) -> Grid:
    """Grid of cubes about a point, axes along RAS+."""
    count = 2 * int(np.ceil(half_mm / voxel_mm)) + 1
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = np.asarray(point_mm) - voxel_mm * (count // 2)
    return Grid((count, count, count), affine)


@lru_cache(maxsize=64)
def dose_for(radius_mm: float, diffuser_mm: float, voxel_mm: float = 1.0) -> Heating | None:
    """Heating whose burn in unbounded tissue has the volume of a capsule; None if none has.

    The power stays, the time is found by halving between 5 and 600 s.

    Parameters
    ----------
    radius_mm, diffuser_mm
        Of the capsule: its radius and the length of its axis.
    """
    wanted = capsule_volume_mm3(radius_mm, diffuser_mm)
    grid = cube_around((0.0, 0.0, 0.0), radius_mm + diffuser_mm / 2 + 12.0, voxel_mm)
    nothing = np.zeros(grid.shape, dtype=bool)
    tip = (0.0, -diffuser_mm / 2, 0.0)

    def volume(seconds: float) -> float:
        dose = replace(Heating(), seconds=seconds, diffuser_mm=diffuser_mm)
        dead = burned(grid, nothing, tip, (0.0, 1.0, 0.0), dose)
        return float(np.count_nonzero(dead)) * voxel_mm**3

    low, high = 5.0, 600.0
    if volume(high) < wanted:
        return None
    while high - low > 2.0:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if volume(middle) < wanted else (low, middle)
    return replace(Heating(), seconds=round(high, 1), diffuser_mm=diffuser_mm)
