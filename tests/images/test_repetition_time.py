"""The header of a series holds its repetition time."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from falx.images.nifti import save


def test_repetition_time_is_in_the_header(tmp_path):
    save(tmp_path / "run.nii.gz", np.zeros((3, 3, 3, 4)), np.eye(4), repetition_time_s=2.5)
    assert nib.load(tmp_path / "run.nii.gz").header.get_zooms()[3] == 2.5
