"""Heat that follows the tissue: the bioheat equation around a laser's tip, and what it kills.

Pennes 1948 (J Appl Physiol 1:93), ``ρc ∂T/∂t = k ∇²T - w (T - T_a) + Q``, explicit in time on a
grid of cubes; damage is the Arrhenius integral of Henriques 1947 (Arch Pathol 43:489),
``Ω = ∫ A exp(-E / RT) dt`` with his A = 3.1e98 /s and E = 6.28e5 J/mol, dead where Ω ≥ 1. The
light of a diffusing tip is a line source that tissue weakens by its effective attenuation.

Fluid in a thin layer conducts and is slowly mixed, no more: it takes heat along, not away. Only
large vessels and wide fluid keep the temperature of the blood, behind a film at their wall whose
conductance is the exchange coefficient of :class:`Cooling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import check_range
from falx.core.grid import Grid
from falx.core.settings import check_settings, option

__all__ = [
    "FLUID",
    "OPEN",
    "TISSUE",
    "Cooling",
    "Heating",
    "Tissue",
    "burned",
    "cube_around",
    "damage_after",
    "line_source",
]

TISSUE, FLUID, OPEN = 0, 1, 2
"""What a voxel holds: tissue, thin fluid, or what keeps the blood's temperature."""

BODY_C = 37.0
GAS_J_PER_MOL_K = 8.314
FREQUENCY_PER_S, ENERGY_J_PER_MOL = 3.1e98, 6.28e5
STABLE = 0.9
"""Share of the longest time step that an explicit scheme bears, h² ρc / 6 k."""

Media = npt.NDArray[np.uint8]
"""Shape (X, Y, Z): :data:`TISSUE`, :data:`FLUID` or :data:`OPEN` in every voxel."""


@dataclass(frozen=True)
class Cooling:
    """What fluid and vessels do to the heat beside them.

    Parameters
    ----------
    exchange_w_m2k
        Between a wall and the stream or the wide fluid behind it. Both cases that can be
        computed lie near: laminar flow in a vessel of 3 mm, Nu = 4.36, gives 730; free convection
        of 5 mm of water at 20 K, Nu = 0.18 (Ra Pr / (0.2 + Pr))^0.29 (Catton 1978), gives 580
        (both in Incropera & DeWitt 2007, Fundamentals of Heat and Mass Transfer, ch. 8 and 9).
        A site that holds thermometry against the model enters its own.
    stirred
        Conductivity of thin fluid over that of water at rest. Free convection begins at about
        1.4 mm of width at 20 K (Ra = 1708) and has tripled the conduction at 3 mm by the formula
        above; 2 is in the middle.
    open_mm
        Width from which fluid is wide. Thinner layers (sulci, the slit of a temporal horn) warm
        up; a choice of this project.
    """

    exchange_w_m2k: float = option(
        600.0, help="heat exchange at the wall of large vessels and wide CSF", unit="W/(m² K)",
        low=0, high=20_000,
    )  # fmt: skip
    stirred: float = option(
        2.0, help="conductivity of thin CSF over that of water at rest", low=1, high=10
    )
    open_mm: float = option(
        4.0, help="width from which CSF carries heat away", unit="mm", low=1, high=50
    )

    def __post_init__(self) -> None:
        check_settings(self)


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
    fluid_conductivity, fluid_heat_capacity
        Of water at body temperature.
    """

    conductivity: float = 0.527
    heat_capacity: float = 1045.0 * 3640.0
    perfusion: float = 0.0
    attenuation: float = 180.0
    fluid_conductivity: float = 0.62
    fluid_heat_capacity: float = 4.15e6


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
    seconds: float = option(150.0, help="time of one ablation", unit="s", low=1, high=600)
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
    media: Media,
    voxel_mm: float,
    seconds: float,
    tissue: Tissue,
    *,
    cooling: Cooling | None = None,
    after_s: float = 30.0,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Damage, and the temperature at the end of heating, °C, both of shape (X, Y, Z).

    Parameters
    ----------
    source
        W/m³, shape (X, Y, Z); the border is held at body temperature.
    media
        What each voxel holds, same shape.
    voxel_mm
        Edge of the cubic voxels.
    after_s
        Time after the heating during which damage goes on.
    """
    check_range("voxel_mm", voxel_mm, 0.1, 4.0, unit="mm")
    h = voxel_mm / 1000.0
    faces, capacities = _faces(tissue, cooling or Cooling(), h)
    kinds = np.unique(media)
    present = [kind for kind in (TISSUE, FLUID) if kind in kinds]
    fastest = max((faces[kind, kinds].max() / capacities[kind] for kind in present), default=0.0)
    longest = STABLE * h * h / (6.0 * fastest) if fastest else seconds
    steps = max(int(np.ceil(seconds / longest)), 1)
    step = seconds / steps
    spread = step * faces / (capacities[:, None] * h * h)
    cool = int(np.ceil(after_s / step))
    return _heated(  # type: ignore[no-any-return]
        np.asarray(source, np.float32), np.asarray(media, np.uint8), steps, cool, step,
        spread.astype(np.float32), (step / capacities).astype(np.float32),
        np.array([step * tissue.perfusion / tissue.heat_capacity, 0.0, 0.0], np.float32),
    )  # fmt: skip


def _faces(
    tissue: Tissue, cooling: Cooling, h: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Conductivity between the centres of neighbours by what they hold, and heat capacities.

    Of two halves in a row it is their harmonic mean; towards what is open, half a voxel and the
    film at the wall.
    """
    k = np.array([tissue.conductivity, cooling.stirred * tissue.fluid_conductivity])
    faces = np.zeros((3, 3))
    faces[:2, :2] = 2 * k[:, None] * k / (k[:, None] + k)
    if cooling.exchange_w_m2k > 0:
        faces[:2, OPEN] = h / (h / (2 * k) + 1 / cooling.exchange_w_m2k)
    capacities = np.array([tissue.heat_capacity, tissue.fluid_heat_capacity, 1.0])
    return faces, capacities


@numba.njit(cache=True, nogil=True)
def _heated(source, media, steps, cool, step, spread, gain, loss):  # type: ignore[no-untyped-def]
    """Explicit steps of Pennes' equation in rise above body temperature, and the damage."""
    nx, ny, nz = source.shape
    rise = np.zeros((nx, ny, nz), np.float32)
    after = np.zeros((nx, ny, nz), np.float32)
    damage = np.zeros((nx, ny, nz), np.float32)
    hottest = np.zeros((nx, ny, nz), np.float32)
    for n in range(steps + cool):
        on = np.float32(1.0 if n < steps else 0.0)
        for i in range(1, nx - 1):
            for j in range(1, ny - 1):
                for k in range(1, nz - 1):
                    own = media[i, j, k]
                    if own == 2:
                        continue
                    here, way = rise[i, j, k], spread[own]
                    flow = (
                        way[media[i - 1, j, k]] * (rise[i - 1, j, k] - here)
                        + way[media[i + 1, j, k]] * (rise[i + 1, j, k] - here)
                        + way[media[i, j - 1, k]] * (rise[i, j - 1, k] - here)
                        + way[media[i, j + 1, k]] * (rise[i, j + 1, k] - here)
                        + way[media[i, j, k - 1]] * (rise[i, j, k - 1] - here)
                        + way[media[i, j, k + 1]] * (rise[i, j, k + 1] - here)
                    )
                    now = here + flow - loss[own] * here + on * gain[own] * source[i, j, k]
                    # Water boils at 100 °C: tissue does not get hotter.
                    now = min(now, np.float32(63.0))
                    after[i, j, k] = now
                    if own == 0 and now > 3.0:
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
    media: Media,
    tip_mm: npt.ArrayLike,
    way: npt.ArrayLike,
    heating: Heating,
    tissue: Tissue | None = None,
    cooling: Cooling | None = None,
) -> npt.NDArray[np.bool_]:
    """Return what tissue one burn kills, shape (X, Y, Z), on a grid of cubic voxels.

    Parameters
    ----------
    media
        What each voxel holds, (X, Y, Z).
    tip_mm, way
        As for :func:`line_source`.
    """
    tissue = tissue or Tissue()
    source = line_source(grid, tip_mm, way, heating, tissue)
    damage, _ = damage_after(
        source, media, float(grid.voxel_sizes_mm.mean()), heating.seconds, tissue, cooling=cooling
    )
    return np.asarray((damage >= 1.0) & (media == TISSUE))


def cube_around(point_mm: npt.ArrayLike, half_mm: float, voxel_mm: float) -> Grid:
    """Grid of cubes about a point, axes along RAS+."""
    count = 2 * int(np.ceil(half_mm / voxel_mm)) + 1
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = np.asarray(point_mm) - voxel_mm * (count // 2)
    return Grid((count, count, count), affine)
