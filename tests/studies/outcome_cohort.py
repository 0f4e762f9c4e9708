"""A synthetic cohort with a planted relation: enough of the hippocampus ablated, seizure free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from falx.engine.folder import prepare_folder
from falx.engine.provenance import Record, file_record, write_record
from falx.studies.outcome.outcome import OutcomeSettings
from falx.studies.signature.study import STUDY

THRESHOLD = 0.45
QUICK = OutcomeSettings(resamples=60, permutations=200, iterations=20)
CUTS = [round(-0.5 + 0.05 * i, 3) for i in range(10)]
STRUCTURES = ("hippocampus", "amygdala", "mesial_temporal")


def curve(rate: float, size_mm3: float) -> dict[str, list[float]]:
    """Volumes by threshold: more signature at a lenient cut, the same share of it ablated."""
    whole = [size_mm3 * (cut + 0.5) / 0.45 for cut in CUTS]
    return {"signature_mm3": whole, "ablated_mm3": [rate * mm3 for mm3 in whole]}


def record_of_numbers(i: int, rate: float, rng: np.random.Generator) -> dict[str, Any]:
    """Flat record of one patient, as the participant level writes it."""
    volume = float(rng.normal(2900, 500))
    ai_pet = -0.09 + 0.00002 * (volume - 1900) + float(rng.normal(0, 0.01))
    curves = {name: curve(rate, 1500.0) for name in STRUCTURES}
    return {
        "side": "left" if i % 2 else "right",
        "failed_checks": [],
        "ai_pet": ai_pet,
        "ai_pet_z5": 0.9 * ai_pet,
        "ai_pet_scale": "proportional",
        "ai_flair": float(rng.normal(0.01, 0.02)),
        "ai_gm": None if i == 3 else float(rng.normal(-0.02, 0.02)),
        "rate_hippocampus": rate,
        "rate_hippocampus_published": 0.95 * rate,
        "rate_amygdala": float(rng.uniform(0.2, 0.9)),
        "rate_mesial_temporal": rate,
        "ablation_mm3": float(rng.normal(8000, 1500)),
        "dice_raters": 0.85 if i < 5 else None,
        "hippocampus_ipsi_mm3": volume,
        "hippocampus_difference_mm3": float(rng.normal(-500, 300)),
        "amygdala_ipsi_mm3": float(rng.normal(1800, 250)),
        "amygdala_difference_mm3": float(rng.normal(-100, 200)),
        "tiv_mm3": float(rng.normal(1.45e6, 1.2e5)),
        "notices": ["text is not a number"],
        "rate_curves": {
            "thresholds": CUTS,
            "default": {"scale": "proportional", **curves},
            "published": {"scale": "z5", **curves},
        },
    }


def write_cohort(folder: Path, *, n: int = 40, seed: int = 4) -> tuple[dict[str, Path], Path]:
    """Write one record a patient and ``participants.tsv``; returns both."""
    rng = np.random.default_rng(seed)
    numbers, lines = {}, ["participant_id\tsex\tside\toutcome\tage_onset\tduration\tseeg"]
    for i in range(n):
        rate = float(rng.uniform(0.1, 0.9))
        free = (rate > THRESHOLD) != (rng.random() < 0.08)
        path = folder / f"sub-{i:02d}.json"
        path.write_text(json.dumps(record_of_numbers(i, rate, rng)), encoding="utf-8")
        numbers[f"{i:02d}"] = path
        ilae = 1 if free else int(rng.integers(3, 6))
        lines.append(
            f"sub-{i:02d}\t{'FM'[i % 2]}\t{'RL'[i % 2]}\t{ilae}\t{rng.integers(5, 40)}"
            f"\t{rng.integers(1, 30)}\t{'yes' if i % 4 == 0 else 'no'}"
        )
    participants = folder / "participants.tsv"
    participants.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return numbers, participants


def write_finished_participants(bids: Path, out: Path, *, n: int = 24, seed: int = 4) -> None:
    """Write a dataset, and an output folder as the participant level leaves it.

    Subject 99 is in the dataset, but was never run.
    """
    bids.mkdir()
    numbers, _ = write_cohort(bids, n=n, seed=seed)
    (bids / "dataset_description.json").write_text(
        json.dumps({"Name": "planted", "BIDSVersion": "1.10.0"}), encoding="utf-8"
    )
    (bids / "sub-99").mkdir()
    prepare_folder(out, STUDY.name)
    for subject, made in numbers.items():
        (bids / f"sub-{subject}").mkdir()
        uri = STUDY.stage("numbers").outputs["numbers"].format(subject=subject)
        path = out / uri
        path.parent.mkdir(parents=True)
        made.rename(path)
        write_record(out, _record(subject, uri, path))


def _record(subject: str, uri: str, path: Path) -> Record:
    return Record(
        study=STUDY.reference,
        stage="numbers",
        version=STUDY.stage("numbers").version,
        unit=f"sub-{subject}",
        recipe="planted",
        params={},
        inputs={},
        outputs={"numbers": file_record(uri, path)},
        notices=(),
        started="2025-01-01T00:00:00",
        seconds=0.0,
        threads=1,
        peak_mem_mb=1,
    )
