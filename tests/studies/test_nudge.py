"""A wrong registration from the verdict of the desk to the page: the real study, run again."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from falx.anatomy.files import load_matrix
from falx.cli.main import main
from falx.desk.placing import Nudge, centre_mm, nudged
from falx.desk.placing_files import decide, pairs
from falx.desk.workspace import Workspace
from falx.engine.digest import digest_file
from falx.engine.provenance import read_records
from falx.images.nifti import load
from falx.studies.signature.study import STUDY

MOVE = (1.5, -1.0, 0.5)
RESTS_ON_IT = {"coregister_postop", "ablation", "rates", "numbers", "report"}


def started(out):
    return {record.stage: record.started for record in read_records(out)}


@pytest.mark.slow  # five steps of the study on the phantom
def test_a_nudged_registration_is_used_and_nothing_else_is_done_again(bids, out, tmp_path):
    shutil.copytree(bids, tmp_path / "bids")
    shutil.copytree(out, tmp_path / "out")
    workspace = Workspace(tmp_path / "bids", tmp_path / "out", tmp_path / "private")
    words = ["signature", str(workspace.bids), str(workspace.out), "participant", "--serial"]
    words += ["--signature-method", "threshold"]
    path = workspace.out / STUDY.stage("coregister_postop").outputs["matrix"].format(subject="01")
    head = workspace.out / STUDY.stage("anatomy").outputs["corrected"].format(subject="01")
    before, past = load_matrix(path), started(workspace.out)
    assert past.keys() >= RESTS_ON_IT
    verdict = Nudge("01", "postop", digest_file(path), "nudge", MOVE, refine=False)
    decide(workspace, verdict)
    assert main(words) == 0
    now = started(workspace.out)
    assert {stage for stage in now if now[stage] != past[stage]} == RESTS_ON_IT
    wanted = nudged(before, MOVE, (0, 0, 0), centre_mm(load(head).grid))
    np.testing.assert_array_equal(load_matrix(path), wanted)
    (found,) = [one for one in pairs(workspace, "01") if one.role == "postop"]
    assert found.decided == "used"
    assert "is that of a placement by hand" in (workspace.out / "sub-01.html").read_text()
    record = json.loads((workspace.out / "provenance/sub-01/coregister_postop.json").read_text())
    assert record["inputs"]["nudge"]["uri"].endswith("_to-postop_mode-image_desc-nudge_xfm.json")
