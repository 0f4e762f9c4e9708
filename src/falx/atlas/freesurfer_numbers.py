"""FreeSurfer's numbers of the structures that Falx names, left and right, in one place.

The numbers are those of ``FreeSurferColorLUT.txt`` (Fischl et al. 2002, Neuron 33:341); FastSurfer
and SynthSeg use the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from falx.core.grid import Side

__all__ = [
    "AMYGDALA",
    "CEREBELLAR_CORTEX",
    "CEREBRAL_CORTEX",
    "HIPPOCAMPUS",
    "MESIAL",
    "MESIAL_NUMBERS",
    "PAIRS",
    "STRIATUM",
    "THALAMUS",
    "sided",
]

THALAMUS = (10, 49)
CEREBRAL_CORTEX = (3, 42)
CEREBELLAR_CORTEX = (8, 47)

PAIRS: Mapping[str, tuple[int, int]] = {
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "thalamus": THALAMUS,
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "lateral ventricle": (4, 43),
    "inferior horn": (5, 44),
    "cerebral cortex": CEREBRAL_CORTEX,
    "cerebral white matter": (2, 41),
    "cerebellar cortex": CEREBELLAR_CORTEX,
}
"""Paired structures, left and right."""


def sided(structure: str) -> dict[Side, int]:
    """Return the number of a paired structure on either side.

    Examples
    --------
    >>> sided("thalamus")
    {'left': 10, 'right': 49}
    """
    left, right = PAIRS[structure]
    return {"left": left, "right": right}


HIPPOCAMPUS: Mapping[Side, int] = sided("hippocampus")
AMYGDALA: Mapping[Side, int] = sided("amygdala")

MESIAL: Mapping[Side, tuple[int, int]] = {
    side: (HIPPOCAMPUS[side], AMYGDALA[side]) for side in HIPPOCAMPUS
}
"""Hippocampus and amygdala of each side."""

MESIAL_NUMBERS: tuple[int, ...] = tuple(n for pair in MESIAL.values() for n in pair)
"""Both hippocampi and both amygdalae."""

STRIATUM = (11, 12, 26, 50, 51, 58)
"""Caudate, putamen and accumbens of both sides."""
