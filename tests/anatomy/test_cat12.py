"""Grey matter that CAT12 has modulated is taken as it is, and said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.anatomy.cat12 import read_volumes
from falx.anatomy.files import GreyVolumeFiles, grey_volume_stage
from falx.anatomy.metrics import GreyMetrics
from falx.anatomy.morphometry import GreySettings
from falx.core.errors import InputError
from falx.core.files import read_record
from falx.core.grid import box_grid
from falx.images.nifti import load, save

REPORT = """<?xml version="1.0"?><S><subjectmeasures>
<vol_abs_CGW>[310.25 652.5 487 0 12]</vol_abs_CGW><vol_TIV>1449.75</vol_TIV>
</subjectmeasures></S>"""


@pytest.fixture
def given(tmp_path) -> GreyVolumeFiles:
    """A ball of grey matter on CAT12's grid of 1.5 mm, and tissues that would give another."""
    native = box_grid((-60, -60, -60), (60, 60, 60), 4.0)
    for name in ("gm", "wm", "csf"):
        save(tmp_path / f"{name}.nii.gz", np.full(native.shape, 0.1, np.float32), native.affine)
    grid = box_grid((-90, -126, -72), (90, 90, 108), 1.5)
    apart = np.linalg.norm(grid.centres_mm() - [20, -30, 10], axis=-1)
    save(tmp_path / "mwp1sub-01_T1w.nii", (0.8 * (apart < 30)).astype(np.float32), grid.affine)
    (tmp_path / "cat_sub-01_T1w.xml").write_text(REPORT)
    return GreyVolumeFiles(
        gm=tmp_path / "gm.nii.gz", wm=tmp_path / "wm.nii.gz", csf=tmp_path / "csf.nii.gz",
        to_native=tmp_path / "absent.nii.gz", volume=tmp_path / "volume.nii.gz",
        smoothed=tmp_path / "smoothed.nii.gz", metrics=tmp_path / "metrics.json",
        cat12=tmp_path / "mwp1sub-01_T1w.nii", cat12_report=tmp_path / "cat_sub-01_T1w.xml",
    )  # fmt: skip


def test_amount_and_head_size_are_those_of_cat12(given):
    grey_volume_stage(given, GreySettings(voxel_mm=3.0, smoothing_fwhm_mm=6.0))
    found = read_record(GreyMetrics, given.metrics)
    assert found.tiv_ml == 1449.75
    assert (found.gm_ml, found.wm_ml, found.csf_ml) == (652.5, 487.0, 310.25)
    ball_ml = 0.8 * 4 / 3 * np.pi * 3.0**3
    assert found.template_gm_ml == pytest.approx(ball_ml, rel=0.02)
    assert any("grey matter is that of CAT12" in text for text in found.notices)
    volume = load(given.volume)
    apart = np.linalg.norm(volume.grid.centres_mm() - [20, -30, 10], axis=-1)
    assert volume.data.flat[np.argmin(apart)] == pytest.approx(0.8, abs=1e-5)


def test_without_a_report_head_size_is_our_own_and_said_so(given):
    grey_volume_stage(replace(given, cat12_report=None), GreySettings(voxel_mm=6.0))
    found = read_record(GreyMetrics, given.metrics)
    assert found.tiv_ml == pytest.approx(0.3 * load(given.gm).data.size * 0.064, rel=1e-4)
    assert any("head size is Falx's own" in text for text in found.notices)


def test_what_is_no_modulated_grey_matter_is_refused(given):
    with pytest.raises(InputError, match="a concentration is asked for"):
        grey_volume_stage(given, GreySettings(voxel_mm=6.0, modulate=False))
    image = load(given.cat12)
    save(given.cat12, image.data - 0.5, image.affine)
    with pytest.raises(InputError, match="no modulated grey matter"):
        grey_volume_stage(given, GreySettings(voxel_mm=6.0))


@pytest.mark.parametrize("part", ["vol_TIV", "vol_abs_CGW"])
def test_a_report_without_volumes_is_named(part):
    with pytest.raises(InputError, match=f"no {part}"):
        read_volumes(REPORT.replace(part, "other"), where="cat_sub-01_T1w.xml")
