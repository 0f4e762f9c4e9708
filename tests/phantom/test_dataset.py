"""The written dataset: valid, complete, reproducible, mirrored."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from falx.bids.index import Index
from falx.core.errors import InputError
from falx.core.grid import apply_affine
from falx.images.nifti import load, load_labels, load_mask
from falx.phantom.cohort import simulate_cohort
from falx.phantom.dataset import write_cohort, write_dataset
from falx.phantom.patient import PatientSpec, mirror_patient


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, patient):
    root = tmp_path_factory.mktemp("phantom") / "bids"
    write_dataset(root, [patient])
    return root


def test_the_validator_finds_no_error(dataset):
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    for folder in (dataset, dataset / "derivatives/masks"):
        done = subprocess.run(
            [validator, str(folder), "--json"], capture_output=True, text=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [i for i in issues if i["severity"] == "error"] == []


def test_the_index_finds_every_image(dataset):
    files = {f.path for f in Index(dataset).files("07")}
    assert files >= {
        "sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz",
        "sub-07/ses-preop/anat/sub-07_ses-preop_FLAIR.nii.gz",
        "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.nii.gz",
        "sub-07/ses-postop/anat/sub-07_ses-postop_T1w.nii.gz",
    }


def test_what_is_read_back_is_what_was_simulated(dataset, patient):
    pet = load(dataset / "sub-07/ses-preop/pet/sub-07_ses-preop_trc-FDG_pet.nii.gz")
    np.testing.assert_array_equal(pet.data, patient.pet.data)
    np.testing.assert_allclose(pet.affine, patient.pet.affine, atol=1e-4)
    truth = dataset / "derivatives/truth/sub-07"
    labels = load_labels(truth / "ses-preop/anat/sub-07_ses-preop_desc-truth_dseg.nii.gz")
    np.testing.assert_array_equal(labels.data, patient.truth.labels.data)


def test_the_written_rate_is_that_of_the_written_masks(dataset):
    truth = dataset / "derivatives/truth/sub-07"
    numbers = json.loads((truth / "sub-07_truth.json").read_text())
    anat = truth / "ses-preop/anat"
    signature = load_mask(anat / "sub-07_ses-preop_desc-signature_mask.nii.gz").data
    ablation = load_mask(anat / "sub-07_ses-preop_desc-ablation_mask.nii.gz").data
    assert (signature & ablation).sum() / signature.sum() == numbers["ablative_rate"]
    assert numbers["asymmetry"] == pytest.approx(-0.3 / 0.85)


def test_the_participants_table_names_side_and_outcome(tmp_path):
    rng = np.random.default_rng(1)
    specs = simulate_cohort(2, rng, template=PatientSpec(voxel_mm=4.0))
    write_cohort(tmp_path / "a", specs, rng)
    head, *rows = (tmp_path / "a/participants.tsv").read_text().splitlines()
    assert head.split("\t")[:2] == ["participant_id", "side"]
    assert [row.split("\t")[1] for row in rows] == ["left", "right"]
    described = json.loads((tmp_path / "a/participants.json").read_text())
    assert set(described) == set(head.split("\t")[1:])


def test_two_runs_write_the_same_bytes(tmp_path):
    specs = [PatientSpec(voxel_mm=4.0)]
    for name in "ab":
        write_cohort(tmp_path / name, specs, np.random.default_rng(9))
    for path in sorted((tmp_path / "a").rglob("*")):
        if path.is_file():
            other = tmp_path / "b" / path.relative_to(tmp_path / "a")
            assert other.read_bytes() == path.read_bytes(), path.name


def test_the_mirrored_dataset_is_the_mirror_image(tmp_path, dataset, patient):
    write_dataset(tmp_path / "m", [mirror_patient(patient)])
    name = "sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz"
    image, other = load(dataset / name), load(tmp_path / "m" / name)
    bright = np.argwhere(image.data > 150)[::500]
    points = apply_affine(image.affine, bright) * [-1, 1, 1]
    found = np.rint(apply_affine(np.linalg.inv(other.affine), points)).astype(int)
    np.testing.assert_array_equal(other.data[tuple(found.T)], image.data[tuple(bright.T)])
    assert "sub-07\tleft" in (tmp_path / "m/participants.tsv").read_text()


def test_a_folder_in_use_and_a_doubled_label_are_refused(dataset, tmp_path, patient):
    with pytest.raises(InputError, match="not empty"):
        write_dataset(dataset, [patient])
    with pytest.raises(InputError, match=r"two patients share a label \(found: 07\)"):
        write_dataset(tmp_path / "d", [patient, patient])
