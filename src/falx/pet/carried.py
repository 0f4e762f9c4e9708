"""The cuts of Mo et al. 2025 carried over to the calibrated signature, with what is not known.

A rate or an index belongs to the definition that it was made with. The published chain takes the
PET without correction on the z + 5 scale, by one threshold on both sides; the calibrated signature
takes certain foci of the corrected PET on the proportional scale. Both were run on the same
simulated heads (``benchmarks/carried_over.py``): the ablation whose published rate is 39.79 % has
a calibrated rate, and as much of hippocampus and amygdala as lies below the published -.0578 lies
below some index on this scale. Between heads both differ widely, so a cut is a range. No published
source; no real patient, and outcomes are not carried over with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from falx.core.possible import AsymmetryIndex, Share
from falx.pet.metrics import Definition

__all__ = [
    "CARRIED_INDEX",
    "CARRIED_RATE",
    "CARRIED_TO",
    "Carried",
    "carried_index_words",
    "carried_rate_words",
]

CARRIED_TO = Definition("calibrated", "mg3", "proportional", 0.05)
"""The only definition that the published cuts were carried over to."""


@dataclass(frozen=True)
class Carried:
    """A published cut on the scale of :data:`CARRIED_TO`.

    Parameters
    ----------
    value, low, high
        Its mean, and where it lies in another head with 95 %.
    heads
        Simulated heads behind it.
    """

    value: Share | AsymmetryIndex
    low: Share | AsymmetryIndex
    high: Share | AsymmetryIndex
    heads: int


CARRIED_RATE = Carried(0.37, 0.16, 0.64, 10)
"""The published cut of the hippocampal ablative rate, 39.79 %; seeds 1001 to 1012, where found."""

CARRIED_INDEX = Carried(-0.10, -0.15, -0.05, 12)
"""The published asymmetry index, -.0578 on the z + 5 scale of the uncorrected PET; same seeds."""


def carried_index_words(correction: str) -> str:
    """Say what the published index is of a PET corrected so, on the proportional scale."""
    if correction != CARRIED_TO.correction:
        return ""
    cut = CARRIED_INDEX
    return (
        f"By equal shares of hippocampus and amygdala that index is {cut.value:.2f} on the scale "
        f"of this run, in another head between {cut.low:.2f} and {cut.high:.2f} ({cut.heads} "
        "simulated heads)."
    )


def carried_rate_words(definition: Definition, rate: float | None = None) -> str:
    """Say what the published cut of the rate is by a definition, and where a rate lies to it.

    Examples
    --------
    >>> carried_rate_words(Definition("threshold", "mg3", "proportional", -0.06))
    'To this definition the published cut was not carried over.'
    """
    if definition != CARRIED_TO:
        return "To this definition the published cut was not carried over."
    cut = CARRIED_RATE
    said = (
        f"Carried over to it, the cut is {cut.value:.0%}, in another head between {cut.low:.0%} "
        f"and {cut.high:.0%} ({cut.heads} simulated heads, no outcomes)"
    )
    if rate is None:
        return f"{said}."
    if cut.low <= rate <= cut.high:
        return f"{said}: on which side of it this rate lies cannot be said."
    return f"{said}: this rate lies {'above' if rate > cut.high else 'below'} that range."
