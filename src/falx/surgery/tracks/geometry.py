"""A laser plan in millimetres: the track of the fibre and the burns along it.

A burn heats a capsule: every point within `radius_mm` of a piece of the track. With target T
(the tip), unit direction d from entry to target, tip offset s and pull-back b, a point P is
ablated when ``|P - (T - t d)| <= r`` with ``t = clip((T - P)·d, s, s + b)``. A plan ablates
the union of its burns. Mo et al. 2025 give neither fibre nor power, so the shape is a choice of
this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Grid, apply_affine
from falx.surgery.tracks.kernels import SURFACE_MM2

__all__ = [
    "Burn",
    "LaserPlan",
    "Trajectory",
    "ablated",
    "ablation_mask",
    "ablation_voxels",
    "capsule_volume_mm3",
    "mirrored_plan",
]

Point = tuple[float, float, float]
SHORTEST_TRACK_MM = 10.0


@dataclass(frozen=True)
class Burn:
    """One burn of the fibre.

    Parameters
    ----------
    radius_mm
        Radius of the heated tissue around the track.
    pull_back_mm
        Length by which the fibre is withdrawn while it heats; zero gives a sphere.
    tip_offset_mm
        Distance of the deepest heated centre from the target, back along the track.
    """

    radius_mm: float
    pull_back_mm: float = 0.0
    tip_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        values = (self.radius_mm, self.pull_back_mm, self.tip_offset_mm)
        if not np.all(np.isfinite(values)) or self.radius_mm <= 0 or min(values) < 0:
            raise InputError(
                "a burn needs a positive radius and no negative length",
                found=f"radius {values[0]}, pull-back {values[1]}, tip offset {values[2]} mm",
                do="correct the burn",
            )


@dataclass(frozen=True)
class Trajectory:
    """The straight way of the fibre, from the entry at the skull to the target, RAS+ mm."""

    entry_mm: Point
    target_mm: Point

    def __post_init__(self) -> None:
        for name in ("entry_mm", "target_mm"):
            point = tuple(float(value) for value in getattr(self, name))
            if len(point) != 3 or not np.all(np.isfinite(point)):
                raise InputError(
                    f"the {name.split('_')[0]} is not a point in millimetres",
                    found=point,
                    do="give three finite coordinates, right, anterior, superior",
                )
            object.__setattr__(self, name, point)
        if self.length_mm < SHORTEST_TRACK_MM:
            raise InputError(
                "entry and target are too close for a track",
                found=f"{self.length_mm:.1f} mm apart",
                do=f"place them at least {SHORTEST_TRACK_MM:g} mm apart",
            )

    @property
    def length_mm(self) -> float:
        """Distance from entry to target, mm."""
        return float(np.linalg.norm(np.subtract(self.target_mm, self.entry_mm)))

    @property
    def direction(self) -> npt.NDArray[np.float64]:
        """Unit vector from entry to target, shape (3,)."""
        return np.asarray(np.subtract(self.target_mm, self.entry_mm) / self.length_mm)


@dataclass(frozen=True)
class LaserPlan:
    """A track and the burns along it."""

    trajectory: Trajectory
    burns: tuple[Burn, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "burns", tuple(self.burns))
        if not self.burns:
            raise InputError("a plan needs at least one burn", do="add a burn")

    def burn_table(self) -> npt.NDArray[np.float64]:
        """Burns as rows of tip offset, far end and radius, shape (B, 3), mm."""
        return np.array(
            [[b.tip_offset_mm, b.tip_offset_mm + b.pull_back_mm, b.radius_mm] for b in self.burns]
        )


def capsule_volume_mm3(radius_mm: float, pull_back_mm: float) -> float:
    """Volume of one burn, mm³.

    Examples
    --------
    >>> round(capsule_volume_mm3(8.0, 24.0))
    6970
    """
    return float(np.pi * radius_mm**2 * (pull_back_mm + 4.0 / 3.0 * radius_mm))


def ablated(points_mm: npt.ArrayLike, plan: LaserPlan) -> npt.NDArray[np.bool_]:
    """Whether each point of shape (..., 3), RAS+ mm, is heated by any burn of the plan."""
    points = np.asarray(points_mm, dtype=np.float64)
    inside = _inside(
        np.ascontiguousarray(points.reshape(-1, 3)),
        np.asarray(plan.trajectory.target_mm),
        plan.trajectory.direction,
        plan.burn_table(),
    )
    return np.asarray(inside.reshape(points.shape[:-1]))


def ablation_voxels(plan: LaserPlan, grid: Grid) -> tuple[npt.NDArray[np.intp], ...]:
    """Return the indices of the N voxels that the plan heats, three of shape (N,)."""
    target, direction = np.asarray(plan.trajectory.target_mm), plan.trajectory.direction
    table = plan.burn_table()
    axis = np.concatenate([target - table[:, :1] * direction, target - table[:, 1:2] * direction])
    reach = table[:, 2].max()
    sides = zip(axis.min(axis=0) - reach, axis.max(axis=0) + reach, strict=True)
    corners = np.array(np.meshgrid(*sides)).reshape(3, -1).T
    voxels = apply_affine(np.linalg.inv(grid.affine), corners)
    low = np.clip(np.floor(voxels.min(axis=0)).astype(int), 0, grid.shape)
    high = np.clip(np.ceil(voxels.max(axis=0)).astype(int) + 1, 0, grid.shape)
    spans = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    box = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1)
    inside = box[ablated(apply_affine(grid.affine, box), plan)]
    return tuple(inside.T)


def ablation_mask(plan: LaserPlan, grid: Grid) -> npt.NDArray[np.bool_]:
    """Voxels of a grid whose centre the plan heats, shape (X, Y, Z)."""
    mask = np.zeros(grid.shape, dtype=bool)
    mask[ablation_voxels(plan, grid)] = True
    return mask


def mirrored_plan(plan: LaserPlan) -> LaserPlan:
    """Return the same plan on the other side, mirrored about x = 0 mm."""
    (ex, ey, ez), (tx, ty, tz) = plan.trajectory.entry_mm, plan.trajectory.target_mm
    return LaserPlan(Trajectory((-ex, ey, ez), (-tx, ty, tz)), plan.burns)


@numba.njit(cache=True, nogil=True)
def _inside(points, target, direction, burns):  # type: ignore[no-untyped-def]
    """Which points the burns heat; |P - (T - t d)|² = |T - P|² - ((T - P)·d)² + (along - t)²."""
    out = np.zeros(points.shape[0], np.bool_)
    for n in range(points.shape[0]):
        x, y, z = target[0] - points[n, 0], target[1] - points[n, 1], target[2] - points[n, 2]
        along = x * direction[0] + y * direction[1] + z * direction[2]
        across2 = x * x + y * y + z * z - along * along
        for k in range(burns.shape[0]):
            beyond = along - min(max(along, burns[k, 0]), burns[k, 1])
            if across2 + beyond * beyond <= burns[k, 2] * burns[k, 2] + SURFACE_MM2:
                out[n] = True
                break
    return out
