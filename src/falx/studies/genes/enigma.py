"""The worked example on real data: ENIGMA-Epilepsy effect sizes, which ship with Falx."""

from __future__ import annotations

import numpy as np

from falx.data.enigma import SYNDROMES, load_enigma
from falx.genes.tables import RegionTable

__all__ = ["enigma_table"]


def enigma_table(syndrome: str) -> RegionTable:
    """Cohen's d of one syndrome by region, with positions, as input of the gene analysis.

    Cortical thickness and subcortical volume are different measures: a joint analysis of both
    blocks mixes them, and a note says so.
    """
    enigma = load_enigma(syndrome)
    note = (
        "cortical regions hold thickness and subcortical ones volume; analyse one block "
        "(--blocks cortex) unless you mean to mix them"
    )
    return RegionTable(
        f"ENIGMA-Epilepsy, {SYNDROMES[syndrome]}",
        enigma.names,
        enigma.cohens_d,
        np.array([region.centroid_mm for region in enigma.regions]),
        tuple(region.block for region in enigma.regions),
        tuple(region.side for region in enigma.regions),
        (note,),
    )
