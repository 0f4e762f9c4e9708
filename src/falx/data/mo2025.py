"""The 30 patients that Mo et al. 2025 publish as their source data, and their Table 1.

Laser ablation for mesial temporal lobe epilepsy, seizure outcome after one year. The numbers
are de-identified facts from the source data of the paper ("Personalized neurometabolic
signature predicts seizure outcomes of laser ablation in mesial temporal lobe epilepsy"; code
and data: Zenodo 10.5281/zenodo.17042331), under clear column names.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from falx.core.errors import check_option
from falx.core.tables import Table, parse_table

__all__ = [
    "COLUMNS",
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

COLUMNS = {
    "seizure_free": "ILAE class 1 at one year (1) or not (0)",
    "left_side": "focus on the left (1) or right (0)",
    "seeg": "implanted (1) or not (0)",
    "onset_years": "age at onset, years",
    "duration_years": "duration of epilepsy, years",
    "ablation_voxels": "ablation mask, voxels",
    "ablation_per_tiv": "ablation volume over intracranial volume, as published",
    "ablation_per_volume": "ablation volume over structure volume, as published",
    "ai_gm": "mean asymmetry of grey matter in the ablation mask (six decimals)",
    "ai_flair": "mean asymmetry of FLAIR in the ablation mask (six decimals)",
    "ai_pet": "mean asymmetry of PET in the ablation mask (six decimals)",
    "ai_gm_full": "the same in full precision",
    "ai_flair_full": "the same in full precision",
    "ai_pet_full": "the same in full precision",
    "rate_amygdala": "ablative rate of the amygdala, 0…1",
    "rate_hippocampus": "ablative rate of the hippocampus, 0…1",
    "hippocampus_mm3": "ipsilateral hippocampus, mm³",
    "hippocampus_difference_mm3": "ipsilateral minus contralateral hippocampus, mm³",
    "amygdala_mm3": "ipsilateral amygdala, mm³",
    "amygdala_difference_mm3": "ipsilateral minus contralateral amygdala, mm³",
    "both_mm3": "hippocampus and amygdala together, mm³",
    "both_difference_mm3": "their difference, ipsilateral minus contralateral, mm³",
    "tiv_mm3": "total intracranial volume, mm³",
}


@dataclass(frozen=True, eq=False)
class Patients:
    """Columns of numbers by name, each (30,), in the order of the published tables."""

    labels: tuple[str, ...]
    values: dict[str, npt.NDArray[np.float64]]

    def __getitem__(self, column: str) -> npt.NDArray[np.float64]:
        """Return one column; an unknown name is an error that suggests the nearest."""
        return self.values[check_option("column", column, self.values)]


@dataclass(frozen=True)
class CountRow:
    """One categorical row of the paper's Table 1.

    `counts` has a row per level and the columns not seizure free, seizure free.
    """

    variable: str
    levels: tuple[str, str]
    counts: tuple[tuple[int, int], tuple[int, int]]
    published_p: float


def _table(name: str) -> Table:
    return parse_table((_FOLDER / name).read_text(encoding="utf-8"), where=name)


def load_patients() -> Patients:
    """Return the 30 patients.

    Examples
    --------
    >>> int(load_patients()["seizure_free"].sum())
    21
    """
    table = _table("patients.tsv")
    return Patients(table.texts("patient"), {name: table.numbers(name) for name in COLUMNS})


def load_table1() -> tuple[CountRow, ...]:
    """Return the 15 categorical rows of Table 1."""
    return tuple(
        CountRow(
            variable=row["variable"],
            levels=(row["level_0"], row["level_1"]),
            counts=(
                (int(row["nsf_0"]), int(row["sf_0"])),
                (int(row["nsf_1"]), int(row["sf_1"])),
            ),
            published_p=float(row["published_p"]),
        )
        for row in _table("table1.tsv").records()
    )
