"""Real T1-weighted heads through the participant level.

``chris_t1``: a healthy volunteer; PET and FLAIR are simulated on its own tissue maps, with the
left hippocampus and amygdala a quarter lower. ``openms_p01``: a patient with multiple sclerosis,
T1w of 3 mm slices and a FLAIR of its own, both raw, on different grids; the PET is simulated.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import segment_structures
from falx.cli.main import main
from falx.core.files import write_text
from falx.data.priors import structure_priors, tissue_priors
from falx.images.nifti import Image, load, save
from falx.phantom.pet import PetQuality, observe_pet, true_asymmetry
from falx.phantom.scan import rescan, rigid

DEPTH = 0.25
FLAIR = {"gm": 110.0, "wm": 90.0, "csf": 20.0}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bids(shared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "bids"
    write_text(
        folder / "dataset_description.json",
        json.dumps({"Name": "Real heads", "BIDSVersion": "1.10.0", "DatasetType": "raw"}),
    )
    write_text(folder / "README", "Two public T1-weighted heads with simulated PET.\n")
    write_text(
        folder / "participants.tsv", "participant_id\tside\nsub-chris\tleft\nsub-ms\tleft\n"
    )
    images = shared / "data" / "images"
    _write(folder, "chris", load(images / "chris_t1.nii.gz"), None)
    _write(
        folder,
        "ms",
        load(images / "openms_p01_study2_T1W.nii.gz"),
        load(images / "openms_p01_study2_FLAIR.nii.gz"),
    )
    return folder


def _write(folder: Path, subject: str, t1w: Image, flair: Image | None) -> None:
    rng = np.random.default_rng(1)
    found = segment(t1w, tissue_priors(), threads=2)
    structures = segment_structures(found, structure_priors(), threads=2)
    activity = 4.0 * found.gm + 1.0 * found.wm + 0.1 * found.csf
    activity[np.isin(structures.labels, (17, 18, 53, 54))] *= 0.8
    activity[np.isin(structures.labels, (17, 18))] *= 1.0 - DEPTH
    place = folder / f"sub-{subject}"
    names = {"anat": f"sub-{subject}_", "pet": f"sub-{subject}_trc-FDG_pet.nii.gz"}
    save(place / "anat" / f"{names['anat']}T1w.nii.gz", t1w.data, t1w.affine)
    moved = rigid(rng)
    pet = observe_pet(activity, found.grid, rng, PetQuality(), matrix=moved)
    save(place / "pet" / names["pet"], pet.data, pet.affine, sidecar={"Units": "Bq/mL"})
    if flair is None:
        clean = sum(v * getattr(found, k) for k, v in FLAIR.items())
        clean = clean + 3.0 * rng.standard_normal(clean.shape)
        flair = rescan(clean.astype(np.float32), found.grid, rigid(rng), (1.0, 1.0, 3.0))
    save(place / "anat" / f"{names['anat']}FLAIR.nii.gz", flair.data, flair.affine)


@pytest.fixture(scope="module")
def out(bids, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real_out") / "out"
    assert main(["signature", str(bids), str(folder), "participant", "--serial"]) == 0
    return folder


@pytest.mark.parametrize("subject", ["chris", "ms"])
def test_the_planted_deficit_is_found(out, subject) -> None:
    path = out / f"sub-{subject}/anat/sub-{subject}_desc-numbers_metrics.json"
    numbers = json.loads(path.read_text(encoding="utf-8"))
    assert numbers["side"] == "left"
    found = numbers["mesial_temporal_ai_pet_regional"]
    error = numbers["mesial_temporal_ai_pet_regional_se"]
    assert abs(found - true_asymmetry(DEPTH)) < 3.0 * error
    assert numbers["signature_mm3"] > 1000


def test_the_brain_of_chris_is_as_large_as_in_spm(out) -> None:
    """SPM12 finds 802 + 432 ml; where grey ends and white begins depends on the prior."""
    path = out / "sub-chris/anat/sub-chris_desc-numbers_metrics.json"
    numbers = json.loads(path.read_text(encoding="utf-8"))
    brain_ml = (numbers["gm_mm3"] + numbers["wm_mm3"]) / 1000
    assert brain_ml == pytest.approx(802 + 432, rel=0.03)


def test_the_raw_flair_of_the_patient_is_aligned(out) -> None:
    """Both were taken in one session: they lie near each other, but not on each other."""
    found = json.loads(next(out.rglob("sub-ms_from-T1w_to-FLAIR*xfm.json")).read_text())
    assert found["nmi_after"] > found["nmi_before"]
    assert found["overlap"] > 0.95
    assert found["mean_shift_mm"] < 10


def test_every_page_names_the_standard_error(out) -> None:
    for subject in ("chris", "ms"):
        assert "standard error" in (out / f"sub-{subject}.html").read_text(encoding="utf-8")
