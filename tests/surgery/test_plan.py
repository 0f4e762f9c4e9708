"""From files to a plan: the command, the plan file, the page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from falx.cli.main import main
from falx.errors import InputError
from falx.images.nifti import load_mask, save
from falx.images.warp import CoordinateMap, save_map
from falx.surgery.planfile import read_plan
from surgery.phantom import head_labels, head_signature


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A patient's files, the words of a command, and what a first run wrote."""
    folder = tmp_path_factory.mktemp("plan")
    labels = head_labels()
    signature = head_signature(labels, "right")
    save(folder / "labels.nii.gz", labels.data, labels.affine)
    save(folder / "signature.nii.gz", signature.data, labels.affine)
    save(folder / "t1w.nii.gz", np.sqrt(labels.data.astype(np.float32)), labels.affine)
    save_map(
        folder / "map.nii.gz",
        CoordinateMap(labels.grid.centres_mm().astype(np.float32), labels.affine),
    )
    words = [
        "plan", str(folder / "out"), "--participant-label", "07", "--side", "right",
        "--structures", str(folder / "labels.nii.gz"),
        "--signature", str(folder / "signature.nii.gz"), "--t1w", str(folder / "t1w.nii.gz"),
        "--to-template", str(folder / "map.nii.gz"), "--draws", "500",
    ]  # fmt: skip
    code = main(words)
    return folder, words, code


def out(folder, name):
    return folder / "out/sub-07/anat" / name


def test_a_patient_is_planned_and_shown(patient):
    folder, _, code = patient
    assert code == 0
    document = json.loads(out(folder, "sub-07_desc-planned_plan.json").read_text())
    option = document["options"][document["suggested"]]
    assert option["plan"]["target_ras_mm"][0] > 0
    assert option["plan"]["target_lps_mm"][0] == -option["plan"]["target_ras_mm"][0]
    assert option["hippocampus"]["rate"] >= 0.496
    assert "Vessels were not checked." in document["notices"]
    mask = load_mask(out(folder, "sub-07_space-T1w_label-ablation_desc-planned_mask.nii.gz"))
    volume = mask.data.sum() * mask.grid.voxel_volume_mm3
    assert volume == pytest.approx(option["ablated_mm3"])
    rows = out(folder, "sub-07_desc-planned_plan.csv").read_text().splitlines()
    assert len(rows) == 1 + len(document["options"])
    page = out(folder, "sub-07_desc-planned_plan.html").read_text()
    for text in ("Vessels were not checked.", "not of seizure freedom", "sub-07", "30 patients"):
        assert text in page


def test_same_seed_same_bytes(patient):
    folder, words, _ = patient
    path = out(folder, "sub-07_desc-planned_plan.json")
    before = path.read_bytes()
    assert main(words) == 0
    assert path.read_bytes() == before


def test_a_given_plan_is_scored_like_the_found_one(patient, capsys):
    folder, words, _ = patient
    found = out(folder, "sub-07_desc-planned_plan.json")
    assert main([*words, "--plan", str(found)]) == 0
    document = json.loads(found.read_text())
    scored = json.loads(out(folder, "sub-07_desc-scored_plan.json").read_text())
    a, b = document["options"][document["suggested"]], scored["options"][0]
    assert a["plan"] == b["plan"]
    for name in ("ablated_mm3", "outside_mm3", "risk_mm", "clearance_mm", "angle_deg"):
        assert a[name] == pytest.approx(b[name], abs=1e-6)
    assert a["hippocampus"] == b["hippocampus"]
    assert "enter at" in capsys.readouterr().out


def test_no_plan_says_what_binds_and_writes_no_ablation(patient, capsys):
    folder, words, _ = patient
    strict = [*words, "--max-length-mm", "40", "--threshold", "0.4"]
    strict[1] = str(folder / "strict")
    assert main(strict) == 1
    text = capsys.readouterr().out
    assert "No plan is suggested" in text
    assert "max_length_mm from 40" in text
    anat = folder / "strict/sub-07/anat"
    assert not list(anat.glob("*_mask.nii.gz"))
    assert "max_length_mm" in (anat / "sub-07_desc-planned_plan.html").read_text()


ENDS = '"entry_ras_mm": [1, 2, 3], "target_ras_mm": [0, 50, 0]'
NOWHERE = '"entry_ras_mm": [NaN, 2, 3], "target_ras_mm": [0, 50, 0]'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "lacks a part of a plan"),
        ('{"entry_ras_mm": [1, 2], "target_ras_mm": [0, 0, 0], "burns": []}', "not a point"),
        (f'{{{NOWHERE}, "burns": [{{"radius_mm": 5}}]}}', "not a point"),
        (f'{{{ENDS}, "burns": [{{"radius_mm": -5}}]}}', "positive radius"),
        (f'{{{ENDS}, "burns": []}}', "one burn"),
    ],
)
def test_bad_plan_files_are_refused(tmp_path, content, message):
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_plan(path)
    assert "plan.json" in str(caught.value)


def test_missing_files_are_named(patient, capsys):
    folder, words, _ = patient
    gone = [str(folder / "none.nii.gz") if "labels" in word else word for word in words]
    assert main(gone) == 2
    assert "label volume with FreeSurfer numbers" in capsys.readouterr().err
