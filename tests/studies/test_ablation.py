"""``falx ablation`` from files to page, and that a proposal is never taken for an ablation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from falx.atlas.freesurfer_numbers import MESIAL
from falx.cli.main import main
from falx.core.files import read_json
from falx.images.nifti import load_mask, save
from falx.phantom.heads import load_head
from falx.phantom.nuisances import regridded
from falx.studies.signature.study import STUDY
from falx.surgery.outcome.ablation import dice
from surgery.post_operative import Surgery, scan_operated

LATE = Surgery(rate=0.6, rim=0.0, oedema=0.0, core=0.28, late=True, sag_mm=0.5, voxel_mm=2.0)


@pytest.fixture(scope="module")
def operated(tmp_path_factory):
    """Output folder of a patient, the image after and the truth."""
    out = tmp_path_factory.mktemp("out")
    head = regridded(load_head("05"), 2.0)
    made = scan_operated(head, "left", LATE, np.random.default_rng(1))
    labels = np.where(
        np.isin(head.labels, [n for s in MESIAL.values() for n in s]), head.labels, 0
    )
    for name, data in (
        ("corrected", made.before.data),
        ("brain_mask", (head.tissues() <= 2).astype(np.uint8)),
        ("structures", labels.astype(np.int16)),
    ):
        path = out / STUDY.stage("anatomy").outputs[name].format(subject="07")
        save(path, data, head.affine, sidecar={})
    after = out / "after.nii.gz"
    save(after, made.after.data, made.after.affine, sidecar={})
    return out, after, made.ablation


def test_the_command_proposes_and_says_that_nobody_confirmed(operated, capsys):
    out, after, truth = operated
    words = ["ablation", str(out), "--participant-label", "07", "--postop", str(after)]
    assert main([*words, "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "on the left" in said
    assert "Nobody has confirmed it." in said
    stem = out / "sub-07" / "anat" / "sub-07_space-T1w_label-ablation_desc-proposed_mask"
    assert dice(load_mask(Path(f"{stem}.nii.gz")).data.astype(bool), truth) > 0.75
    assert read_json(Path(f"{stem}.json"))["Confirmed"] is False
    record = read_json(out / "sub-07" / "anat" / "sub-07_desc-proposedAblation_metrics.json")
    assert record["side"] == "left"
    page = (out / "sub-07" / "anat" / "sub-07_desc-proposedAblation_metrics.html").read_text()
    assert "nobody has confirmed it" in page


def test_the_same_image_twice_is_no_ablation_and_leaves_no_mask(operated, capsys):
    out, _, _ = operated
    before = out / STUDY.stage("anatomy").outputs["corrected"].format(subject="07")
    words = ["ablation", str(out), "--participant-label", "07", "--postop", str(before)]
    assert main([*words, "--jobs", "1"]) == 0
    assert "No ablation was found" in capsys.readouterr().out
    assert not list(out.rglob("*desc-proposed_mask*"))


def test_a_missing_image_is_named(operated, capsys):
    out, _, _ = operated
    code = main(
        ["ablation", str(out), "--participant-label", "07", "--postop", str(out / "x.nii")]
    )
    assert code == 2
    assert "there is no x.nii" in capsys.readouterr().err


@pytest.mark.parametrize("desc", ["planned", "scored", "proposed", "rater2"])
def test_what_nobody_made_or_confirmed_is_never_the_ablation(desc):
    wanted = STUDY.raw["ablation"].without["desc"]
    assert desc in wanted
