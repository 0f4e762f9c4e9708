"""One coarse phantom patient through the whole participant level, as a user would run it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from falx.cli.main import main
from falx.images.nifti import load_mask
from falx.studies.signature.files import compare_patient
from falx.studies.signature.study import STUDY
from falx.surgery.outcome.ablation import dice


def test_what_was_planted_is_found(bids, out) -> None:
    found = {row.what: row for row in compare_patient(bids / "derivatives" / "truth", out, "01")}
    assert found["side of the focus"].found == "right"
    for where in ("hippocampus", "hippocampus and amygdala"):
        rate = found[f"ablative rate, {where}"]
        assert abs(rate.found - rate.planted) < 0.10  # 2 mm voxels; 0.05 is asked of 1 mm
    for image in ("FDG", "FLAIR", "postop"):
        assert found[f"{image} off its place, mm"].found < 1.0


def test_the_rate_by_threshold_passes_through_the_rate(out) -> None:
    metrics = out / "sub-01/anat/sub-01_desc-numbers_metrics.json"
    numbers = json.loads(metrics.read_text(encoding="utf-8"))
    curves = numbers["rate_curves"]
    at = curves["thresholds"].index(-0.06)
    for structure in ("hippocampus", "amygdala", "mesial_temporal"):
        curve = curves["default"][structure]
        whole, ablated = curve["signature_mm3"], curve["ablated_mm3"]
        assert whole[at] == pytest.approx(numbers[f"rate_{structure}_of_mm3"])
        assert ablated[at] / whole[at] == pytest.approx(numbers[f"rate_{structure}"])
        assert all(np.diff(whole) >= 0)
        # The published threshold lies between two of the curve's: the rate is interpolated.
        thresholds, published = curves["thresholds"], curves["published"][structure]
        rate = np.interp(-0.0578157525, thresholds, published["ablated_mm3"]) / np.interp(
            -0.0578157525, thresholds, published["signature_mm3"]
        )
        assert rate == pytest.approx(numbers[f"rate_{structure}_published"], abs=0.01)
    assert curves["published"]["scale"] == "z5"


def test_the_raters_agree_but_for_a_voxel(bids, out) -> None:
    metrics = out / "sub-01/anat/sub-01_desc-numbers_metrics.json"
    numbers = json.loads(metrics.read_text(encoding="utf-8"))
    masks = bids / "derivatives/masks"
    (drawn,) = masks.rglob("*postop_label-ablation_mask.nii.gz")
    (repeat,) = masks.rglob("*_acq-repeat_label-ablation_mask.nii.gz")
    mask = load_mask(drawn).data
    found = numbers["dice_raters"]
    assert found == pytest.approx(dice(mask, np.roll(mask, 1, axis=0)), abs=0.05)
    assert found < 0.95
    again = dice(mask, load_mask(repeat).data)
    assert numbers["dice_repeat"] == pytest.approx(again, abs=0.05)
    assert abs(again - found) > 0.01  # the two are not exchanged


def test_the_page_shows_the_result_and_no_path(bids, out) -> None:
    page = (out / "sub-01.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 6
    assert "Ablative rate" in page
    assert "must not decide a treatment" in page.replace("\n", " ")
    assert str(bids) not in page
    assert str(out) not in page


def test_nothing_changed_nothing_runs(bids, out, capsys) -> None:
    words = ["signature", str(bids), str(out), "participant", "--serial"]
    assert main([*words, "--signature-method", "threshold"]) == 0
    assert "steps to do" not in capsys.readouterr().out


def test_a_changed_threshold_redoes_only_what_depends_on_it(bids, out, tmp_path, capsys) -> None:
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    words = ["signature", str(bids), str(copy), "participant", "--serial"]
    words += ["--signature-method", "threshold"]
    assert main([*words, "--signature-threshold=-0.1"]) == 0
    said = capsys.readouterr().out
    assert "signature" in said
    assert "report" in said
    for untouched in ("sub-01 anatomy", "coregister", "asymmetry_pet"):
        assert untouched not in said
    before, after = (
        json.loads((folder / "sub-01/anat/sub-01_desc-signature_metrics.json").read_text())
        for folder in (out, copy)
    )
    assert after["volume_mm3"] < before["volume_mm3"]


def test_an_empty_signature_passes_every_later_stage(bids, out, tmp_path, capsys) -> None:
    """Where nothing is as certain as asked the page says so, and no rate is 0/0."""
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    words = ["signature", str(bids), str(copy), "participant", "--serial"]
    assert main([*words, "--signature-level", "0.001"]) == 0
    numbers = json.loads((copy / "sub-01/anat/sub-01_desc-numbers_metrics.json").read_text())
    assert numbers["signature_mm3"] == numbers["certain_mm3"] == numbers["certain_foci"] == 0
    assert numbers["rate_hippocampus"] is None and numbers["rate_hippocampus_of_mm3"] == 0.0
    (truth,) = (bids / "derivatives/truth").rglob("*_truth.json")
    planted = json.loads(truth.read_text())["ablative_rate_hippocampus"]
    assert numbers["ablated_share_hippocampus"] == pytest.approx(planted, abs=0.1)
    assert numbers["rate_hippocampus_published"] is not None
    assert numbers["certain_false_share"] is None and numbers["certain_p"] > 0.001
    assert numbers["hippocampus_healthy_percentile"] < 1
    page = (copy / "sub-01.html").read_text(encoding="utf-8")
    assert "Nothing on the right is certain" in page
    assert "no share of the hippocampus, which holds no signature" in page
    capsys.readouterr()
    assert main(["plan", str(copy), "--participant-label", "01", "--draws", "200"]) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert "No plan is suggested. The signature is empty" in said


def test_outputs_are_a_valid_derivatives_dataset(out) -> None:
    validator = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run([validator, out, "--json"], capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert {issue["code"] for issue in issues} <= {"TOO_FEW_AUTHORS"}  # those of the dataset


def test_every_preset_resolves() -> None:
    from falx.core.settings import resolve

    scales = {
        name: resolve(STUDY.configuration, values).asymmetry.scale
        for name, values in STUDY.presets.items()
    }
    assert scales == {"corrected": "proportional", "mo2025_script": "z5", "mo2025_text": "z"}
