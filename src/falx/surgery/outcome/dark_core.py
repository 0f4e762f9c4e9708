"""The core of an ablation: tissue that has lost its own grey level, where no rim shows the border.

Tissue that swells stays what it was, a little darker; tissue that was burnt has one grey level,
whatever it was before. Each voxel is weighed between the two by Gaussian likelihoods, neighbours
hold together as in a mean-field approximation of a Markov random field (Zhang, Brady & Smith 2001,
IEEE Trans Med Imaging 20:45), and the level of the core, the loss of the swollen tissue around it
and the sag of the brain are estimated in turn. Weights are choices of this project, made on
planted ablations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from falx.core.grid import Grid
from falx.images.smooth import smooth

__all__ = ["Core", "Levels", "agents_share", "dark_core", "medians_along", "spread_by"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

BINS = 48
FLUID_BELOW, BRIGHTENED = 0.3, 0.45
"""Shares of the contrast: what is darker is fluid, and fluid that brightens by so much holds
contrast agent (plexus, vessels)."""

STARTS, DARKER_THAN = (0.0, 0.25), 0.9
"""Levels of the core from which it is sought, as shares of the contrast above fluid; and the most
that it may be, relative to the structures before."""

GRAIN, OUTLIERS, MOST_EVIDENCE = 0.05, 0.02, 6.0
WEIGHT, HELD_TOGETHER, HELD_FWHM_MM = 0.7, 5.0, 3.0
ROUNDS, FIRST_ROUNDS = 12, 2
SWOLLEN_MM, MOST_SWOLLEN = 5.0, 0.25
SAG_MM, APART_MM = 8.0, 3.0
"""How fast the weight of the tissue around falls, and how far from the core it begins."""

LEAST_NOISE, LEAST_VOXELS = 0.02, 20
LOOSER = 0.7
"""Logarithm of the odds by which the evidence is shifted to see how firm an outline is."""


@dataclass(frozen=True, eq=False)
class Levels:
    """What an image after shows, and what the one before lets expect, in units of white matter.

    Parameters
    ----------
    expected, seen
        float32, shape (X, Y, Z).
    where
        Voxels in which both are known.
    fluid
        Level of fluid.
    """

    expected: Floats
    seen: Floats
    where: Mask
    fluid: float

    def at(self, share: float) -> float:
        """Level that lies at a share of the contrast above fluid."""
        return self.fluid + share * (1.0 - self.fluid)


@dataclass(frozen=True, eq=False)
class Core:
    """A core and how firm it is.

    Parameters
    ----------
    outlines
        Masks (X, Y, Z) with less, the given, and more evidence.
    level
        Grey level, as a share of the contrast above fluid.
    """

    outlines: tuple[Mask, Mask, Mask]
    level: float


def agents_share(levels: Levels) -> float:
    """Share of the fluid before that is bright after: contrast agent in plexus and vessels."""
    fluid = levels.where & (levels.expected < levels.at(FLUID_BELOW))
    risen = levels.seen[fluid] - levels.expected[fluid] > BRIGHTENED * (1.0 - levels.fluid)
    return float(risen.mean()) if risen.size else 0.0


def spread_by(
    slope: npt.NDArray[np.floating], difference: npt.NDArray[np.floating], seen: Mask
) -> Floats:
    """Robust standard deviation of a difference at each steepness of an image, all (X, Y, Z)."""
    places, errors = medians_along(slope[seen], np.abs(difference[seen]))
    return np.asarray(np.interp(slope, places, 1.4826 * errors), dtype=np.float32)


def medians_along(
    values: npt.NDArray[np.floating], others: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Medians of values and of what goes with them, in bins of as many values each.

    Parameters
    ----------
    values, others
        Shape (n,).

    Returns
    -------
    places, medians
        Shape (bins,), the values ascending.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    rows = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    bins = [rows == row for row in range(len(edges) - 1)]
    found = [(np.median(values[own]), np.median(others[own])) for own in bins if own.any()]
    places, medians = np.array(found, dtype=np.float64).T
    return places, medians


def dark_core(levels: Levels, near: Mask, wanted: Mask, grid: Grid) -> Core:
    """Find the core of an ablation in a mask.

    Parameters
    ----------
    near
        Where it is sought, shape (X, Y, Z).
    wanted
        Structures whose level it must fall below, same shape.
    """
    box = _padded(near, grid)
    part = Levels(
        levels.expected[box], levels.seen[box], levels.where[box], levels.fluid
    )  # fmt: skip
    moved = _moved(part, np.ones(part.where.shape, np.float32))
    darkest = DARKER_THAN * float(np.median(part.expected[wanted[box]]))
    found = [
        _Search(moved, near[box], grid, darkest).run(None, moved.at(share)) for share in STARTS
    ]
    q, level, _ = max(found, key=lambda one: one[2])
    outlines = [q > 0.5] * 3
    if outlines[1].any():
        away = ndimage.distance_transform_edt(q <= 0.5, sampling=grid.voxel_sizes_mm)
        around = np.where(away > APART_MM, np.exp(-0.5 * ((away - APART_MM) / SAG_MM) ** 2), 0)
        moved = _moved(part, around.astype(np.float32))
        search = _Search(moved, near[box], grid, darkest, apart=away <= APART_MM)
        q, level, _ = search.run(q, level)
        outlines = [search.run(q, level, shift)[0] > 0.5 for shift in (-LOOSER, 0.0, LOOSER)]
    less, given, more = (np.zeros(grid.shape, bool) for _ in range(3))
    for whole, outline in zip((less, given, more), outlines, strict=True):
        whole[box] = outline
    return Core((less, given, more), (level - levels.fluid) / (1.0 - levels.fluid))


def _padded(near: Mask, grid: Grid) -> tuple[slice, ...]:
    border = np.ceil(12.0 / grid.voxel_sizes_mm).astype(int)
    box = ndimage.find_objects(near.astype(np.uint8))[0]
    return tuple(
        slice(max(one.start - n, 0), one.stop + n) for one, n in zip(box, border, strict=True)
    )


def _moved(levels: Levels, weight: Floats) -> Levels:
    """Shift the image after until it fits the one before where the weight is large.

    Gauss–Newton with Tukey-like weights, so that what was ablated does not pull.
    """
    use = levels.where & (weight > 1e-3)
    slopes = np.moveaxis(np.array(np.gradient(levels.expected)), 0, -1)[use]
    shift = np.zeros(3)
    seen = levels.seen
    for _ in range(4):
        rest = (seen - levels.expected)[use]
        scale = 1.4826 * float(np.median(np.abs(rest))) + 1e-6
        robust = weight[use] / (1 + (rest / (2 * scale)) ** 2) ** 2
        normal = (slopes * robust[:, None]).T @ slopes
        normal += 1e-6 * np.trace(normal) * np.eye(3)
        shift -= np.linalg.solve(normal, (slopes * robust[:, None]).T @ rest)
        seen = ndimage.shift(levels.seen, -shift, order=1, mode="nearest")
    return Levels(levels.expected, seen, levels.where, levels.fluid)


def _density(values: Floats, mean: Floats | float, spread: Floats | float) -> Floats:
    return np.asarray(-0.5 * ((values - mean) / spread) ** 2 - np.log(spread), np.float32)


class _Search:
    """Core, its level and the swelling around it, found in turn."""

    def __init__(
        self, levels: Levels, near: Mask, grid: Grid, darkest: float, apart: Mask | None = None
    ) -> None:
        self.levels, self.near, self.darkest = levels, near, darkest
        self.sizes = grid.voxel_sizes_mm
        slope = np.linalg.norm(np.gradient(levels.expected, *self.sizes), axis=0)
        quiet = levels.where if apart is None else levels.where & ~apart
        rest = levels.seen - levels.expected
        self.noise = np.maximum(spread_by(slope, rest, quiet), LEAST_NOISE)
        self.grain = float(np.hypot(np.median(self.noise), GRAIN))

    def run(
        self, first: Floats | None, level: float, shift: float = 0.0
    ) -> tuple[Floats, float, float]:
        """Probability of the core (X, Y, Z), its level, and the evidence for it."""
        q = np.zeros(self.near.shape, np.float32) if first is None else first
        swollen, loss, size = self.near, 0.0, 0
        evidence = q
        for n in range(ROUNDS):
            evidence = self._evidence(level, swollen, loss) + shift
            held = HELD_TOGETHER * (2 * smooth(q, self.sizes, HELD_FWHM_MM) - 1)
            if first is None and n < FIRST_ROUNDS:
                held += 0.5 * HELD_TOGETHER
            odds = np.clip(WEIGHT * evidence + held, -30, 30)
            q = np.where(self.near, 1 / (1 + np.exp(-odds)), 0).astype(np.float32)
            core = q > 0.5
            last, size = size, int(np.count_nonzero(core))
            if not size or (n > 4 and abs(size - last) <= max(2, 0.005 * size)):
                break
            dark = core & (evidence > 0)
            if np.count_nonzero(dark) > LEAST_VOXELS:
                level = float(np.clip(np.median(self.levels.seen[dark]), 0.0, self.darkest))
            swollen, loss = self._swelling(core)
        return q, level, float((q * evidence)[q > 0.5].sum())

    def _evidence(self, level: float, swollen: Mask, loss: float) -> Floats:
        """Log ratio of the likelihoods of burnt and of kept tissue, (X, Y, Z)."""
        expected, seen = self.levels.expected, self.levels.seen
        dimmed = np.where(swollen, expected * (1 - loss), expected)
        plain = np.logaddexp(_density(seen, expected, self.noise), np.log(OUTLIERS))
        kept = np.logaddexp(_density(seen, dimmed, self.noise), plain)
        ratio = _density(seen, level, self.grain) - kept
        return np.clip(ratio, -MOST_EVIDENCE, MOST_EVIDENCE)

    def _swelling(self, core: Mask) -> tuple[Mask, float]:
        """Tissue around a core, and the share of its signal that it has lost."""
        away = ndimage.distance_transform_edt(~core, sampling=self.sizes)
        tissue = self.levels.expected > self.levels.at(FLUID_BELOW)
        shell = (away > 1.5) & (away <= 4.0) & self.levels.where & tissue
        if np.count_nonzero(shell) <= LEAST_VOXELS:
            return away <= SWOLLEN_MM, 0.0
        left = np.median(self.levels.seen[shell] / self.levels.expected[shell])
        return away <= SWOLLEN_MM, float(np.clip(1 - left, 0.0, MOST_SWOLLEN))
