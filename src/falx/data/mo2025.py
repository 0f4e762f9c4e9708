"""The 30 patients that Mo et al. 2025 publish as their source data, and their Table 1.

Laser ablation for mesial temporal lobe epilepsy, seizure outcome after one year. The numbers
are de-identified facts from the source data of the paper ("Personalized neurometabolic
signature predicts seizure outcomes of laser ablation in mesial temporal lobe epilepsy"; code
and data: Zenodo 10.5281/zenodo.17042331), under clear column names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import resources

from falx.core.checks import Floats
from falx.core.errors import check_option
from falx.core.tables import Table, parse_table, rows_as

__all__ = [
    "MO2025_SOURCE",
    "PUBLISHED_AI_THRESHOLD",
    "PUBLISHED_RATE_CUT",
    "CountRow",
    "Patients",
    "load_patients",
    "load_table1",
]

MO2025_SOURCE = "Mo et al. 2025, source data (Zenodo 10.5281/zenodo.17042331)"

PUBLISHED_AI_THRESHOLD = -0.0578157525
"""Asymmetry index of the PET that bounds the signature: the patients' median, z + 5 scale."""

PUBLISHED_RATE_CUT = 0.39789278
"""Youden cut of the hippocampal ablative rate, printed 39.79 %: the rate of patient 2."""

_FOLDER = resources.files("falx.data") / "mo2025_patients"


@dataclass(frozen=True, eq=False)
class Patients:
    """The published columns, each of shape (30,), in the order of the published tables.

    Attributes
    ----------
    labels
        Numbers of the patients, as printed.
    seizure_free
        ILAE class 1 at one year (1) or not (0).
    left_side
        Focus on the left (1) or right (0).
    seeg
        Implanted (1) or not (0).
    onset_years
        Age at onset, years.
    duration_years
        Duration of epilepsy, years.
    ablation_voxels
        Ablation mask, voxels.
    ablation_per_tiv
        Ablation volume over intracranial volume, as published.
    ablation_per_volume
        Ablation volume over structure volume, as published.
    ai_gm
        Mean asymmetry of grey matter in the ablation mask (six decimals).
    ai_flair
        Mean asymmetry of FLAIR in the ablation mask (six decimals).
    ai_pet
        Mean asymmetry of PET in the ablation mask (six decimals).
    ai_gm_full
        The same in full precision.
    ai_flair_full
        The same in full precision.
    ai_pet_full
        The same in full precision.
    rate_amygdala
        Ablative rate of the amygdala, 0…1.
    rate_hippocampus
        Ablative rate of the hippocampus, 0…1.
    hippocampus_mm3
        Ipsilateral hippocampus, mm³.
    hippocampus_difference_mm3
        Ipsilateral minus contralateral hippocampus, mm³.
    amygdala_mm3
        Ipsilateral amygdala, mm³.
    amygdala_difference_mm3
        Ipsilateral minus contralateral amygdala, mm³.
    both_mm3
        Hippocampus and amygdala together, mm³.
    both_difference_mm3
        Their difference, ipsilateral minus contralateral, mm³.
    tiv_mm3
        Total intracranial volume, mm³.
    """

    labels: tuple[str, ...]
    seizure_free: Floats
    left_side: Floats
    seeg: Floats
    onset_years: Floats
    duration_years: Floats
    ablation_voxels: Floats
    ablation_per_tiv: Floats
    ablation_per_volume: Floats
    ai_gm: Floats
    ai_flair: Floats
    ai_pet: Floats
    ai_gm_full: Floats
    ai_flair_full: Floats
    ai_pet_full: Floats
    rate_amygdala: Floats
    rate_hippocampus: Floats
    hippocampus_mm3: Floats
    hippocampus_difference_mm3: Floats
    amygdala_mm3: Floats
    amygdala_difference_mm3: Floats
    both_mm3: Floats
    both_difference_mm3: Floats
    tiv_mm3: Floats

    @property
    def values(self) -> dict[str, Floats]:
        """Every column of numbers by its name, shape (30,) each."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "labels"}

    def __getitem__(self, column: str) -> Floats:
        """Return one column by name; an unknown name is an error that suggests the nearest."""
        values = self.values
        return values[check_option("column", column, values)]


@dataclass(frozen=True)
class CountRow:
    """One categorical row of the paper's Table 1: counts of its two levels by outcome.

    ``nsf`` counts those who were not seizure free, ``sf`` those who were.
    """

    variable: str
    level_0: str
    level_1: str
    nsf_0: int
    sf_0: int
    nsf_1: int
    sf_1: int
    published_p: float

    @property
    def counts(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """A row per level; columns not seizure free, seizure free."""
        return (self.nsf_0, self.sf_0), (self.nsf_1, self.sf_1)


def _table(name: str) -> Table:
    return parse_table((_FOLDER / name).read_text(encoding="utf-8"), where=name)


def load_patients() -> Patients:
    """Return the 30 patients.

    Examples
    --------
    >>> int(load_patients().seizure_free.sum())
    21
    """
    table = _table("patients.tsv")
    numbers = {f.name: table.numbers(f.name) for f in fields(Patients) if f.name != "labels"}
    return Patients(table.texts("patient"), **numbers)


def load_table1() -> tuple[CountRow, ...]:
    """Return the 15 categorical rows of Table 1."""
    return tuple(rows_as(CountRow, _table("table1.tsv")))
