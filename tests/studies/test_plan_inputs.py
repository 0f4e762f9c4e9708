"""A plan finds what the signature study wrote, under the names that the study has."""

from __future__ import annotations

import json
import shutil

import pytest

from falx.cli.main import main
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.records import plain
from falx.studies.plan.files import find_files
from falx.studies.plan.inputs import NEEDED, OFFERED
from falx.studies.signature.study import STUDY
from studies.signature_metrics import calibrated, signature


def write(out, names, *, subject="07"):
    for stage, output in names:
        path = out / STUDY.stage(stage).outputs[output].format(subject=subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")


NEEDED_NAMES = [place[:2] for place in NEEDED.values()]


def test_everything_the_study_writes_is_found(tmp_path):
    write(tmp_path, [*NEEDED_NAMES, *(place[:2] for place in OFFERED.values())])
    metrics = tmp_path / STUDY.stage("signature").outputs["metrics"].format(subject="07")
    write_json(metrics, plain(signature("right", calibrated("right"))))
    files = find_files(tmp_path, "07", {})
    assert files.side == "right"
    assert files.t1w.name == "sub-07_desc-biascorrected_T1w.nii.gz"
    assert files.signature.name == "sub-07_space-T1w_desc-signature_mask.nii.gz"
    assert files.pet is not None
    assert files.ablation is not None


def test_what_is_offered_may_be_absent_and_what_is_given_goes_first(tmp_path):
    write(tmp_path, NEEDED_NAMES)
    own = tmp_path / "own.nii.gz"
    own.write_bytes(b"x")
    files = find_files(tmp_path, "07", {"structures": own}, side="left")
    assert (files.pet, files.asymmetry, files.ablation) == (None, None, None)
    assert files.structures == own
    assert files.side == "left"


def test_a_missing_output_names_the_step_that_writes_it(tmp_path):
    write(tmp_path, [name for name in NEEDED_NAMES if name[0] != "signature"])
    with pytest.raises(InputError, match="signature mask.*step signature.*--signature"):
        find_files(tmp_path, "07", {}, side="left")


def test_a_missing_side_is_asked_for(tmp_path):
    write(tmp_path, NEEDED_NAMES)
    with pytest.raises(InputError, match="side of the focus.*--side"):
        find_files(tmp_path, "07", {})


def test_another_patient_another_folder_and_no_folder_are_told_apart(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no such output folder"):
        find_files(out, "07", {})
    write(out / "signature", NEEDED_NAMES)
    with pytest.raises(InputError, match=r"out/signature"):
        find_files(out, "07", {})
    with pytest.raises(InputError, match=r"sub-08.*found: sub-07.*choose"):
        find_files(out / "signature", "08", {})


def test_a_given_file_that_does_not_exist_is_an_error(tmp_path):
    write(tmp_path, NEEDED_NAMES)
    with pytest.raises(InputError, match="PET in T1w space is missing.*correct the path"):
        find_files(tmp_path, "07", {"pet": tmp_path / "none.nii.gz"}, side="left")


def test_a_plan_stands_on_what_the_study_wrote(out, tmp_path, capsys):
    """No file is named on the command line; side, PET and ablation are found as well."""
    copy = tmp_path / "out"
    shutil.copytree(out / "sub-01", copy / "sub-01")
    code = main(["plan", str(copy), "--participant-label", "sub-01", "--draws", "200"])
    said = capsys.readouterr().out
    assert code == 0
    plan = json.loads((copy / "sub-01/anat/sub-01_desc-planned_plan.json").read_text())
    numbers = json.loads((copy / "sub-01/anat/sub-01_desc-numbers_metrics.json").read_text())
    assert ("enter at" in said) == (plan["suggested"] is not None)
    assert ("No plan is suggested" in said) == (plan["suggested"] is None)
    assert plan["side"] == "right"
    assert plan["expected"] is None and plan["made"]["expected"] is None
    assert any("modelled on rates of another definition" in said for said in plan["notices"])
    rate = plan["made"]["hippocampus"]["rate"]
    assert rate == pytest.approx(numbers["rate_hippocampus"], abs=1e-6)
    assert (copy / "sub-01/anat/sub-01_desc-planned_plan.html").is_file()
