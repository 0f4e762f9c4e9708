"""A synthetic cohort with a planted relation: enough of the hippocampus ablated, seizure free."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from falx.studies.outcome import OutcomeSettings

THRESHOLD = 0.45
QUICK = OutcomeSettings(n_resamples=60, n_permutations=200, n_iterations=20)


def write_cohort(folder: Path, *, n: int = 40, seed: int = 4) -> tuple[dict[str, Path], Path]:
    """Write one record a patient and ``participants.tsv``; returns both."""
    rng = np.random.default_rng(seed)
    numbers, lines = {}, ["participant_id\tsex\tside\toutcome\tage_onset\tduration\tseeg"]
    for i in range(n):
        rate = float(rng.uniform(0.1, 0.9))
        free = (rate > THRESHOLD) != (rng.random() < 0.08)
        volume = float(rng.normal(2900, 500))
        record = {
            "side": "left" if i % 2 else "right",
            "ai_pet": -0.09 + 0.00002 * (volume - 1900) + float(rng.normal(0, 0.01)),
            "ai_flair": float(rng.normal(0.01, 0.02)),
            "ai_gm": None if i == 3 else float(rng.normal(-0.02, 0.02)),
            "rate_hippocampus": rate,
            "rate_hippocampus_published": 0.95 * rate,
            "rate_amygdala": float(rng.uniform(0.2, 0.9)),
            "ablation_mm3": float(rng.normal(8000, 1500)),
            "hippocampus_ipsi_mm3": volume,
            "hippocampus_difference_mm3": float(rng.normal(-500, 300)),
            "amygdala_ipsi_mm3": float(rng.normal(1800, 250)),
            "amygdala_difference_mm3": float(rng.normal(-100, 200)),
            "tiv_mm3": float(rng.normal(1.45e6, 1.2e5)),
            "notices": ["text is not a number"],
        }
        path = folder / f"sub-{i:02d}.json"
        path.write_text(json.dumps(record), encoding="utf-8")
        numbers[f"{i:02d}"] = path
        ilae = 1 if free else int(rng.integers(3, 6))
        lines.append(
            f"sub-{i:02d}\t{'FM'[i % 2]}\t{'RL'[i % 2]}\t{ilae}\t{rng.integers(5, 40)}"
            f"\t{rng.integers(1, 30)}\t{'yes' if i % 4 == 0 else 'no'}"
        )
    participants = folder / "participants.tsv"
    participants.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return numbers, participants
