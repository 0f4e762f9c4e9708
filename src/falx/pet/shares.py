"""What noise and healthy asymmetry leave open of a signature: draws of it, and its false share.

In each draw the error is taken off the index, of the voxels and of the core that sets the edge, a
focus is none at all with its familywise probability, and in a named region the extent is drawn
from what is known of it (:mod:`falx.pet.extent`), as is
the outline of its structures. No published source: a parametric bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from falx.pet.calibrated import Calibrated
from falx.pet.decoy import Mask, NullMaps
from falx.pet.edges import EDGE, Focus
from falx.pet.extent import OUTLINE_COMMON_MM, Outline

__all__ = ["ErrorDraws", "false_shares", "still_focus"]

Floats = npt.NDArray[np.float32]


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
    found: Calibrated,
    errors: ErrorDraws,
    count: int,
    rng: np.random.Generator,
    outline: Outline | None = None,
) -> npt.NDArray[np.float64]:
    """Draw the share of the mask that is no focus, shape (count,); empty for an empty mask.

    In each draw the error is taken off the index, of the voxels and of the core that sets the
    edge, and a focus is none at all with its familywise probability.

    Parameters
    ----------
    outline
        Of the structures of a named region, for the voxels of the mask; it is moved in every draw.
    """
    if not found.mask.any():
        return np.empty(0)
    wholes, reach = [], found.reach
    for number, focus in enumerate(found.foci, start=1):
        mask = np.asarray(found.mask & (found.regions == number))
        parts = np.zeros(np.count_nonzero(mask), np.int16)
        if reach is not None and reach.number == number:
            parts = reach.numbers[mask]
        wholes.append((found.cores == number, mask, found.probability[mask], parts, focus))
    shares = np.empty(count)
    for row in range(count):
        error, real = errors.draw(rng), 0.0
        moved_mm = OUTLINE_COMMON_MM * rng.standard_normal()
        beyond = 0.0 if outline is None else outline.lost(moved_mm)
        for core, mask, chance, parts, focus in wholes:
            if rng.random() > focus.probability:
                rim = EDGE * float(error[core].mean())
                kept = still_focus(chance, focus, error[mask] - rim, found.sd[mask])
                if reach is not None and parts.any():
                    kept = np.where(parts > 0, reach.extent.draw_at(parts, rng), kept)
                    real -= beyond * np.count_nonzero(kept & (parts > 0))
                real += np.count_nonzero(kept)
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
