"""The outline that one fibre leaves: a straight tube with round ends, fitted to what changed.

A laser heats around its fibre, and the fibre is straight: what it takes is a tube, however patchy
the change of the image is inside it (a core may be as grey as the tissue was). The tube is sought
that holds most change over a cut, each voxel of it counting for no more than a cap: a voxel that
did not change costs the cut, so that a rim is enclosed and what lies beyond it is left out. No
published source for the cut and the cap; they were chosen on planted ablations.

The simplex search is that of Nelder & Mead 1965, Comput J 7:308.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.grid import Grid, apply_affine

__all__ = ["Tube", "evidence", "fit_tube", "gain", "tube_along"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

CAP = 0.15
"""Change of a voxel that counts, in units of contrast: what is brighter is a vessel."""

FIRST_RADIUS_MM, WIDEST_MM, TOO_WIDE = 6.0, 12.0, 50.0
"""Where the search starts; a tube that is wider than any ablation is charged."""

STEP_MM, STEP_RADIUS_MM = 3.0, 1.5
"""Size of the first simplex."""

ENDS = 0.12
"""Share of a mask's length that its tube leaves to the round caps, at each end."""

MOST_VOXELS, TRIES = 20_000, 600


@dataclass(frozen=True)
class Tube:
    """All points no farther than a radius from a segment.

    Parameters
    ----------
    ends_mm
        Shape (2, 3), RAS+ mm.
    radius_mm
        Of the tube and its caps.
    """

    ends_mm: Floats
    radius_mm: float

    def depth_mm(self, points_mm: Floats) -> Floats:
        """Distance of points, shape (N, 3), into the tube; negative outside, shape (N,)."""
        first, last = self.ends_mm
        way = last - first
        along = np.clip((points_mm - first) @ way / max(float(way @ way), 1e-9), 0.0, 1.0)
        away = np.linalg.norm(points_mm - first - along[:, None] * way, axis=1)
        return np.asarray(self.radius_mm - away)

    def mask(self, grid: Grid, inside: Mask) -> Mask:
        """Voxels of the tube that lie in a mask, shape (X, Y, Z)."""
        found = np.zeros(grid.shape, bool)
        found[inside] = self.depth_mm(grid.centres_mm()[inside]) >= 0
        return found


def tube_along(mask: Mask, grid: Grid) -> Tube:
    """Return a tube along the longest axis of a mask, shape (X, Y, Z)."""
    sign = _side(mask, grid)
    points = apply_affine(grid.affine, np.argwhere(mask)) * (sign, 1, 1)
    points = points[np.lexsort(points.T)]
    middle = points.mean(axis=0)
    axis = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    axis = axis if axis[1] > 0 else -axis
    rear, front = np.quantile((points - middle) @ axis, [ENDS, 1 - ENDS])
    ends = np.stack([middle + rear * axis, middle + front * axis]) * (sign, 1, 1)
    return Tube(ends, FIRST_RADIUS_MM)


def evidence(difference: npt.NDArray[np.floating], mask: Mask) -> float:
    """Mean change in a mask; both of shape (X, Y, Z)."""
    return float(np.minimum(np.abs(difference[mask]), CAP).mean()) if mask.any() else 0.0


def gain(difference: npt.NDArray[np.floating], mask: Mask, cut: float) -> float:
    """Sum over a mask of what a voxel changed beyond a cut; both of shape (X, Y, Z)."""
    return float((np.minimum(np.abs(difference[mask]), CAP) - cut).sum())


def fit_tube(
    difference: npt.NDArray[np.floating],
    inside: Mask,
    grid: Grid,
    starts: Sequence[Tube],
    cut: float,
) -> Tube:
    """Find the tube that holds most change over a cut.

    Parameters
    ----------
    difference
        Shape (X, Y, Z), in units of contrast.
    inside
        Where the tube is looked for, same shape.
    starts
        Tubes to start from; the best of what they lead to is returned.
    """
    from scipy.optimize import minimize

    sign = _side(inside, grid)
    points = grid.centres_mm()[inside] * (sign, 1, 1)
    order = np.lexsort(points.T)[:: -(-len(points) // MOST_VOXELS)]
    points = points[order]
    worth = np.minimum(np.abs(difference[inside][order]), CAP).astype(float) - cut
    soft_mm = float(np.mean(grid.voxel_sizes_mm))

    def cost(values: Floats) -> float:
        tube = _tube(values)
        share = np.clip(0.5 + tube.depth_mm(points) / soft_mm, 0.0, 1.0)
        return float(TOO_WIDE * max(0.0, tube.radius_mm - WIDEST_MM) ** 2 - worth @ share)

    found = []
    for start in starts:
        values = np.append((start.ends_mm * (sign, 1, 1)).ravel(), start.radius_mm)
        simplex = np.vstack([values, values + np.diag([STEP_MM] * 6 + [STEP_RADIUS_MM])])
        found.append(
            minimize(cost, values, method="Nelder-Mead",
                     options={"initial_simplex": simplex, "maxfev": TRIES, "xatol": 0.05,
                              "fatol": 0.02})
        )  # fmt: skip
    best = _tube(min(found, key=lambda one: float(one.fun)).x)
    return Tube(best.ends_mm * (sign, 1, 1), best.radius_mm)


def _side(mask: Mask, grid: Grid) -> float:
    """Sign that brings a mask, (X, Y, Z), to the right.

    Both sides are fitted in one frame and one order of voxels, so that a mirrored image has the
    mirrored tube.
    """
    x = apply_affine(grid.affine, np.argwhere(mask))[:, 0]
    return 1.0 if float(np.median(x)) >= 0 else -1.0


def _tube(values: Floats) -> Tube:
    return Tube(values[:6].reshape(2, 3), float(values[6]))
