"""One coarse phantom patient, studied once for all tests of the study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from falx.cli.main import main
from falx.images.nifti import load_mask, save
from falx.phantom.dataset import write_cohort
from falx.phantom.patient import PatientSpec


@pytest.fixture(scope="session")
def bids(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "bids"
    spec = PatientSpec("01", "right", voxel_mm=2.0, head="12", ablative_rate=0.6)
    write_cohort(folder, [spec], np.random.default_rng(3))
    _second_rater(folder)
    return folder


def _second_rater(folder: Path) -> None:
    """Draw the ablation again, one voxel further along the first axis; and once more.

    The same rater's second mask is one voxel smaller at either end of the second axis.
    """
    (drawn,) = (folder / "derivatives/masks").rglob("*_label-ablation_mask.nii.gz")
    mask = load_mask(drawn)
    again = drawn.with_name(drawn.name.replace("_mask", "_desc-rater2_mask"))
    save(again, np.roll(mask.data, 1, axis=0), mask.affine)
    repeat = drawn.with_name(drawn.name.replace("_label-", "_acq-repeat_label-"))
    inside = np.asarray(mask.data, dtype=bool)
    smaller = inside & np.roll(inside, 1, axis=1) & np.roll(inside, -1, axis=1)
    save(repeat, smaller, mask.affine)


@pytest.fixture(scope="session")
def out(bids, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("signature") / "out"
    words = ["signature", str(bids), str(folder), "participant", "--serial"]
    # Voxels of 2 mm leave nothing certain: what is made of an empty signature has its own test.
    assert main([*words, "--signature-method", "threshold"]) == 0
    return folder
