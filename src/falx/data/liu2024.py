"""Numbers that Liu et al. 2024 print, as facts, each with its place in the paper.

"Structural and functional alterations in MRI-negative drug-resistant epilepsy and associated gene
expression features", NeuroImage 2024, 120908. The patients' data are not public; only what the
text and its tables print is here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AGE",
    "AGE_P",
    "CONTRASTS",
    "DONOR_AGES",
    "DURATION",
    "GROUP_SIZES",
    "LIU2024_SOURCE",
    "MEN",
    "ONSET",
    "OVERLAPS",
    "PEAKS",
    "SEX_P",
    "SYNDROMES",
    "Contrast",
    "ListOverlap",
    "Peak",
    "Quartiles",
]

LIU2024_SOURCE = "Liu et al. 2024, text and tables (10.1016/j.neuroimage.2024.120908)"

GROUP_SIZES = {"DRE": 22, "DSE": 25, "HC": 27}
"""Resistant, sensitive, controls: Table 1 and section 2.1."""

AGE = {"DRE": (29.32, 9.44), "DSE": (28.08, 12.97), "HC": (30.48, 11.34)}
"""Mean and SD, years: Table 1."""

AGE_P = 0.751
MEN = {"DRE": (10, 12), "DSE": (8, 17), "HC": (15, 12)}
"""Men and women: Table 1."""

SEX_P = 0.217

SYNDROMES = {"TLE": (16, 9), "IGE": (6, 16)}
"""Resistant and sensitive patients of each syndrome: section 3.6, which prints 27 and 22."""

DONOR_AGES = (24, 39, 57, 31, 49, 55)
"""Years of the six donors, from the Allen Institute's table of donors, not from the paper."""


@dataclass(frozen=True)
class Quartiles:
    """Lower quartile, median, upper quartile of two groups, and the printed P (Table 1)."""

    resistant: tuple[float, float, float]
    sensitive: tuple[float, float, float]
    p: float


DURATION = Quartiles((8.75, 15.5, 20.5), (3.0, 5.0, 10.0), 0.005)
ONSET = Quartiles((8.0, 12.5, 19.25), (11.0, 15.0, 30.0), 0.100)


@dataclass(frozen=True)
class Peak:
    """A row of Table 2 (`map` "GMV") or Table 3 ("ReHo"): MNI mm, voxels in the region, t."""

    map: str
    contrast: tuple[str, str]
    region: str
    mm: tuple[int, int, int]
    voxels: int
    t: float


@dataclass(frozen=True)
class Contrast:
    """Two groups compared, the map, and the direction that the text states (-1 is less)."""

    map: str
    groups: tuple[str, str]
    direction: int


_RS, _RC, _SC = ("DRE", "DSE"), ("DRE", "HC"), ("DSE", "HC")

PEAKS = (
    Peak("GMV", _RS, "Cerebellum_8_L", (-27, -44, -51), 2087, -3.755),
    Peak("GMV", _RS, "Cerebellum_9_L", (-14, -44, -55), 649, -6.629),
    Peak("GMV", _RS, "Cerebellum_Crus2_L", (-28, -76, -47), 242, -3.352),
    Peak("GMV", _RS, "Cerebellum_7b_L", (-31, -71, -47), 224, -3.123),
    Peak("GMV", _RC, "Cerebellum_8_L", (-33, -58, -48), 2506, -4.555),
    Peak("GMV", _RC, "Cerebellum_Crus1_L", (-17, -82, -24), 510, -3.347),
    Peak("GMV", _RC, "Cerebellum_9_L", (-17, -42, -52), 395, -3.325),
    Peak("GMV", _RC, "Cerebellum_Crus2_L", (-42, -58, -46), 340, -3.372),
    Peak("ReHo", _RS, "Cerebellum_Crus1_L", (-37, -60, -36), 74, -3.982),
    Peak("ReHo", _RS, "Cerebellum_Crus2_L", (-22, -81, -36), 59, -3.974),
    Peak("ReHo", _RC, "Precuneus_R", (14, -49, 22), 46, 3.739),
    Peak("ReHo", _SC, "Cingulum_Ant_L", (-7, 45, -1), 62, -3.700),
    Peak("ReHo", _SC, "Frontal_Sup_Medial_L", (-7, 52, 7), 41, -3.185),
    Peak("ReHo", _SC, "Frontal_Sup_Medial_R", (10, 48, 1), 46, -3.772),
)

CONTRASTS = (
    Contrast("GMV", _RS, -1),
    Contrast("GMV", _RC, -1),
    Contrast("ReHo", _RS, -1),
    Contrast("ReHo", _RC, 1),
    Contrast("ReHo", _SC, -1),
)
"""Directions of sections 3.2 and 3.3."""


@dataclass(frozen=True)
class ListOverlap:
    """Genes of the map's terms (largest first), genes of the blood's term, and those shared.

    The paper compares the terms with the blood's term one by one; a gene may be in several.
    """

    what: str
    section: str
    map_terms: tuple[int, ...]
    blood_term: int
    shared: tuple[str, ...]


OVERLAPS = (
    ListOverlap("nervous system development, GMV", "3.5.1", (136, 101), 7, ("TUBB2A",)),
    ListOverlap("neuron projection development, ReHo", "3.5.1", (183, 118, 115), 7,
                ("SEMA6B", "TUBB2B")),
    ListOverlap("adaptive immunity, GMV", "3.5.2", (171,), 26, ("HLA-DRB5",)),
)  # fmt: skip
