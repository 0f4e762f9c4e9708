"""Reads the tables that R made and the 30 published patients under R's variable names."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from falx.data.mo2025 import load_patients

R_COLUMNS = {
    "side": "left_side",
    "SEEG": "seeg",
    "Onset": "onset_years",
    "Duration": "duration_years",
    "surgery_voxel": "ablation_voxels",
    "adjusted_TIV": "ablation_per_tiv",
    "adjusted_CV": "ablation_per_volume",
    "ipsi_T1": "ai_gm",
    "ipsi_flair": "ai_flair",
    "ipsi_pet": "ai_pet",
    "rate": "rate_hippocampus",
    "rate_amyg": "rate_amygdala",
    "TIV": "tiv_mm3",
    "hav": "both_mm3",
    "haAI": "both_difference_mm3",
    "hv": "hippocampus_mm3",
    "av": "amygdala_mm3",
    "hAI": "hippocampus_difference_mm3",
    "aAI": "amygdala_difference_mm3",
    "T1_100": "ai_gm",
    "fl_100": "ai_flair",
    "pet_100": "ai_pet",
}


def table(reference: Path, name: str) -> list[dict[str, str]]:
    path = reference / "r_statistics" / name
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def number(text: str) -> float:
    return {"Inf": np.inf, "-Inf": -np.inf, "NA": np.nan}.get(text) or float(text)


def column(variable: str) -> np.ndarray:
    """A predictor under the name that R had for it; "_100" is in percentage points."""
    values = load_patients()[R_COLUMNS[variable]]
    if not variable.endswith("_100"):
        return values
    # R read the percentage points, which hold one digit more for patient 9's PET.
    points = np.round(100 * values, 10)
    return np.where(points == 0.4779, 0.47786, points) if variable == "pet_100" else points


def outcome() -> np.ndarray:
    return load_patients()["seizure_free"]
