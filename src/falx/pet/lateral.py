"""The side that a PET suggests, or that it suggests none.

Two witnesses: foci of the calibrated signature, sought on both sides, and the mesial temporal
asymmetry in the PET as measured, which the spread of healthy people is of, against that spread and
the noise (:mod:`falx.data.asymmetry_norms`). Where they contradict each other, or both sides hold
a focus, the side is undecided. What is stated is how rarely a person without a focus would show as
much; it is not the probability that the side is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from falx.core.grid import SIDES, Side, opposite
from falx.core.possible import Probability
from falx.data.asymmetry_norms import MESIAL_TEMPORAL, asymmetry_norms
from falx.pet.edges import Focus

__all__ = ["SuggestedSide", "mesial_chance", "suggest_side"]


@dataclass(frozen=True)
class SuggestedSide:
    """The side that a PET suggests.

    Parameters
    ----------
    side
        ``None`` where it is undecided.
    probability
        Of as much in a person without a focus; ``None`` where nothing was found.
    reason
        What the suggestion, or its absence, rests on.
    """

    side: Side | None
    probability: Probability | None
    reason: str


def mesial_chance(asymmetry: float, standard_error: float) -> float:
    """Two-sided probability of a mesial temporal asymmetry in a healthy person's noisy image.

    Examples
    --------
    >>> round(mesial_chance(-0.15, 0.02), 4), round(mesial_chance(0.05, 0.02), 2)
    (0.0001, 0.19)
    """
    usual = float(np.hypot(standard_error, asymmetry_norms()[MESIAL_TEMPORAL].about_zero))
    return 2.0 * float(ndtr(-abs(asymmetry) / usual))


def suggest_side(
    foci: Sequence[Focus], left: float | None, standard_error: float | None, *, level: float
) -> SuggestedSide:
    """Suggest the side of the focus.

    Parameters
    ----------
    foci
        Sought on both sides.
    left, standard_error
        Mesial temporal asymmetry of the left side in the PET as measured, and what the noise
        adds to it; ``None`` where there is none.
    level
        Probability in a person without a focus up to which it counts.

    Examples
    --------
    >>> [suggest_side((), index, 0.02, level=0.05).side for index in (-0.15, 0.03)]
    ['left', None]
    """
    best = {
        side: min((f.probability for f in foci if f.side == side), default=None) for side in SIDES
    }
    seen = [side for side in SIDES if best[side] is not None]
    chance = None
    if left is not None and standard_error is not None:
        chance = mesial_chance(left, standard_error)
    lower: Side | None = None
    if chance is not None and left is not None and chance <= level:
        lower = "left" if left < 0 else "right"
    if len(seen) == len(SIDES):
        return SuggestedSide(None, None, "there are foci on both sides")
    if not seen:
        if lower is None:
            return SuggestedSide(
                None,
                chance,
                "no focus was found, and the mesial temporal lobes differ no more than usual",
            )
        return SuggestedSide(
            lower, chance, f"no focus was found; the {lower} mesial temporal lobe is lower"
        )
    side = seen[0]
    if lower == opposite(side):
        return SuggestedSide(
            None,
            None,
            f"a focus lies on the {side}, but the {lower} mesial temporal lobe is lower",
        )
    return SuggestedSide(side, best[side], f"foci were found on the {side} only")
