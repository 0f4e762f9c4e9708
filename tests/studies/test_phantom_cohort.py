"""A phantom cohort from raw images to the group level: the planted relation is found."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from falx.cli.main import main
from falx.phantom.cohort import OutcomeRelation, simulate_cohort
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec

PLANTED = OutcomeRelation(threshold=0.5, low=0.05, high=0.95)
N = 24

pytestmark = pytest.mark.slow  # 17 minutes on one core


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> tuple[Path, Path]:
    """Dataset and outputs of 24 patients at 2.5 mm."""
    folder = tmp_path_factory.mktemp("cohort")
    bids, out = folder / "bids", folder / "out"
    rng = np.random.default_rng(24)
    specs = simulate_cohort(N, rng, PLANTED, template=PatientSpec(voxel_mm=2.5))
    write_cohort(bids, specs, rng)
    for level in ("participant", "group"):
        assert main(["signature", str(bids), str(out), level, "--serial"]) == 0
    return bids, out


def _table(out: Path, name: str) -> dict[str, dict[str, str]]:
    with (out / f"group/desc-{name}_outcome.tsv").open(encoding="utf-8") as stream:
        return {next(iter(row.values())): row for row in csv.DictReader(stream, delimiter="\t")}


def test_the_rate_of_every_patient_is_found(cohort) -> None:
    bids, out = cohort
    truth = bids / "derivatives/truth"
    patients = _table(out, "patients")
    apart = []
    for subject, row in patients.items():
        planted = json.loads((truth / subject / f"{subject}_truth.json").read_text("utf-8"))
        apart.append(float(row["rate_mesial_temporal"]) - planted["ablative_rate"])
    assert len(apart) == N
    assert abs(np.mean(apart)) < 0.02
    assert np.abs(apart).max() < 0.15  # a voxel of 2.5 mm is much of a small signature
    assert np.std(apart) < 0.06


def test_the_planted_relation_and_its_threshold_are_found(cohort) -> None:
    _, out = cohort
    cuts, models = _table(out, "cuts"), _table(out, "models")
    whole = cuts["rate_mesial_temporal"]
    assert abs(float(whole["cut_best"]) - PLANTED.threshold) < 0.06
    for name in ("rate_hippocampus", "rate_hippocampus_own", "rate_mesial_temporal"):
        assert float(cuts[name]["auc_low"]) > 0.65
        assert float(cuts[name]["p_best_cut"]) < 0.01
        assert float(cuts[name]["balanced_accuracy_nested"]) > 0.75
        assert float(models[name]["p_likelihood_ratio"]) < 0.01


def test_what_has_no_bearing_is_not_found(cohort) -> None:
    _, out = cohort
    cuts = _table(out, "cuts")
    assert float(cuts["ai_pet"]["p_best_cut"]) > 0.05
    assert float(cuts["ai_pet"]["auc_low"]) < 0.5
    groups = _table(out, "groups")
    # FLAIR is not among them: a larger ablation holds less of the bright hippocampus, so its
    # mean asymmetry follows the rate, and with it the outcome.
    for name in ("ai_pet", "ai_gm", "age_years", "duration_years"):
        assert float(groups[name]["welch_p"]) > 0.05


def test_the_threshold_of_the_cohort_survives_cross_validation(cohort) -> None:
    _, out = cohort
    own = _table(out, "thresholds")["default"]
    assert float(own["threshold_low"]) < float(own["threshold"]) < float(own["threshold_high"]) < 0
    assert float(own["balanced_accuracy_nested"]) > 0.7
