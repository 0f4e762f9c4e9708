"""``falx vessels`` from files to page, and what ``falx plan`` says of a mask nobody confirmed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from falx.cli.main import main
from falx.core.files import read_json
from falx.core.grid import apply_affine
from falx.images.nifti import load_mask, save
from falx.phantom.heads import load_head
from falx.phantom.nuisances import regridded
from falx.studies.plan.answer import UNCONFIRMED, vessel_notices
from falx.studies.signature.study import STUDY
from falx.studies.vessels.page import ProposedVessels, middle_of, vessel_words
from falx.surgery.tracks.vessels import VesselRule

pytest.importorskip("SimpleITK", reason="falx[vessels] is not installed")

WORDS = ["--participant-label", "07", "--contrast", "tof", "--jobs", "1"]


@pytest.fixture(scope="module")
def imaged(tmp_path_factory):
    """Output folder of a patient, a time-of-flight image on a grid of its own, and the truth."""
    out = tmp_path_factory.mktemp("out")
    head = regridded(load_head("05"), 1.5)
    rng = np.random.default_rng(2)
    tissues = head.tissues()
    brain = tissues <= 2
    grey = np.choose(np.minimum(tissues, 3), [0.7, 1.0, 0.3, 0.1]) * 100
    t1w = (ndimage.gaussian_filter(grey, 0.4) + rng.normal(0, 3, grey.shape)).astype(np.float32)
    targets = np.isin(head.labels, (17, 18, 53, 54))
    lines = np.zeros(brain.shape, bool)
    middle = np.argwhere(targets).mean(axis=0).astype(int)
    for aside in (-14, -6, 8, 15):
        lines[middle[0] + aside, middle[1] - 18 : middle[1] + 18, middle[2] + aside // 3] = True
    lines &= brain
    wide = ndimage.binary_dilation(lines)
    shown = np.where(wide, 220.0, 0.5 * grey + 20)
    shown = (ndimage.gaussian_filter(shown, 0.4) + rng.normal(0, 3, grey.shape)).astype(np.float32)
    for name, data in (
        ("corrected", t1w),
        ("brain_mask", brain.astype(np.uint8)),
        ("structures", head.labels.astype(np.int16)),
    ):
        path = out / STUDY.stage("anatomy").outputs[name].format(subject="07")
        save(path, data, head.affine, sidecar={})
    moved = np.array(head.affine)
    moved[:3, 3] += (3.0, -2.0, 1.0)
    save(out / "tof.nii.gz", shown, moved, sidecar={})
    return out, out / "tof.nii.gz", lines, head.affine


def test_the_command_proposes_on_the_t1w_and_says_that_nobody_confirmed(imaged, capsys):
    out, image, lines, affine = imaged
    assert main(["vessels", str(out), *WORDS, "--image", str(image)]) == 0
    said = capsys.readouterr().out
    assert "Nobody has confirmed it." in said
    assert "without desc-proposed" in said
    anat = out / "sub-07" / "anat"
    mask = load_mask(anat / "sub-07_space-T1w_label-vessels_desc-proposed_mask.nii.gz")
    found = apply_affine(affine, np.argwhere(mask.data))
    true = apply_affine(affine, np.argwhere(lines))
    from scipy.spatial import cKDTree

    assert np.mean(cKDTree(found).query(true)[0] <= 2.0) > 0.9
    assert np.mean(cKDTree(true).query(found)[0] <= 3.0) > 0.8
    record = read_json(anat / "sub-07_desc-proposedVessels_metrics.json")
    assert record["confirmed"] is False
    assert record["contrast"] == "tof"
    assert record["volume_ml"] == pytest.approx(mask.data.sum() * 1.5**3 / 1000, rel=1e-3)
    sidecar = read_json(anat / "sub-07_space-T1w_label-vessels_desc-proposed_mask.json")
    assert sidecar["Confirmed"] is False
    page = (anat / "sub-07_desc-proposedVessels_metrics.html").read_text()
    assert "time of flight" in page
    assert "nobody has confirmed it" in page


def test_a_missing_image_or_patient_is_named(imaged, capsys):
    out, image, _, _ = imaged
    assert main(["vessels", str(out), *WORDS, "--image", str(out / "x.nii")]) == 2
    assert "there is no x.nii" in capsys.readouterr().err
    other = ["vessels", str(out), "--participant-label", "08", "--contrast", "tof"]
    assert main([*other, "--image", str(image)]) == 2
    assert "run falx signature" in capsys.readouterr().err


def test_a_plan_never_takes_a_proposal_without_saying_so(tmp_path):
    name = "sub-07_space-T1w_label-vessels_desc-proposed_mask.nii.gz"
    assert vessel_notices(tmp_path / name) == (UNCONFIRMED,)
    assert vessel_notices(tmp_path / name.replace("_desc-proposed", "")) == ()
    assert vessel_notices(None) == ("Vessels were not checked.",)


def test_no_vessel_is_no_proof():
    found = ProposedVessels("sub-07", "swi", 0.0, None, VesselRule())
    assert "no proof" in vessel_words(found)
    some = ProposedVessels("sub-07", "swi", 1.25, 3.4, VesselRule())
    assert "1.2 ml" in vessel_words(some)
    assert "3.4 mm" in vessel_words(some)
    mask = np.zeros((5, 5, 5), bool)
    mask[1:4, 2, 2] = True
    assert middle_of(mask, np.diag([2.0, 2, 2, 1])) == [4.0, 4.0, 4.0]
