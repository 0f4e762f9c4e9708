"""A run of fMRIPrep: its confounds are taken, its grid stays, and ReHo is that of the run."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bold.chosen import MOTION, REHO
from calling import call
from falx.bold.cleaning import Band, clean, cleaning_basis
from falx.bold.confounds import friston24, spike_regressors
from falx.bold.displacement import fd_power, matrices_from_parameters, parameters_from_matrices
from falx.bold.files import motion_stage, reho_stage
from falx.bold.reho import regional_homogeneity
from falx.core.errors import InputError
from falx.images.nifti import load, save

SHAPE, VOLUMES, TR_S = (12, 14, 12), 230, 2.0
AFFINE = np.diag([4.0, 4, 4, 1])
AFFINE[:3, 3] = [-30, -50, -20]
NAMES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "csf", "white_matter")


@given(st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6))
def test_matrices_and_parameters_are_each_other_s_inverse(values):
    parameters = np.array(values)
    back = parameters_from_matrices(matrices_from_parameters(parameters))
    np.testing.assert_allclose(back, parameters, atol=1e-9)


@pytest.fixture
def folder(tmp_path):
    """Write a run in the template with its mask and its confounds, as fMRIPrep does."""
    rng = np.random.default_rng(1)
    series = np.cumsum(rng.standard_normal((*SHAPE, VOLUMES)), axis=3) * 0.3
    series = 800 + 5 * (series + rng.standard_normal(series.shape))
    image = nib.Nifti1Image(series.astype(np.float32), AFFINE)
    image.header.set_zooms((4, 4, 4, TR_S))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "bold.nii.gz")
    mask = np.zeros(SHAPE, bool)
    mask[2:-2, 2:-2, 2:-2] = True
    save(tmp_path / "mask.nii.gz", mask, AFFINE)
    steps = rng.standard_normal((VOLUMES, 6)) * [0.02, 0.02, 0.02, 0.0003, 0.0003, 0.0003]
    table = np.column_stack([np.cumsum(steps, axis=0), rng.standard_normal((VOLUMES, 2))])
    write_confounds(tmp_path, NAMES, table)
    return tmp_path, series.astype(np.float32), mask, table


def write_confounds(path, names, table):
    rows = ["\t".join(names), *("\t".join(f"{x:.9g}" for x in row) for row in table)]
    (path / "confounds.tsv").write_text("\n".join(rows) + "\n")


def run_motion(path, **changed):
    call(
        motion_stage, bold=None, prepared=path / "bold.nii.gz",
        confounds=path / "confounds.tsv", reference=path / "reference.nii.gz",
        tsnr=path / "tsnr.nii.gz", motion=path / "motion.json", repetition_time_s=None,
        slice_times_s=None, slice_direction=None, **{**MOTION, **changed},
    )  # fmt: skip
    return json.loads((path / "motion.json").read_text())


def run_reho(path, **changed):
    call(
        reho_stage, bold=None, prepared=path / "bold.nii.gz",
        prepared_mask=path / "mask.nii.gz", confounds=path / "confounds.tsv",
        motion=path / "motion.json", matrix=None, to_native=path / "none",
        brain_mask=path / "none", wm=path / "none", csf=path / "none",
        **{n: path / f"{n}.nii.gz" for n in ("reho", "smoothed", "share", "neighbours_used")},
        mask=path / "reho_mask.nii.gz", carpet=path / "carpet.npz",
        metrics=path / "metrics.json", slice_times_s=None, slice_direction=None,
        **{**REHO, "low_hz": 0.01, "high_hz": 0.08, **changed},
    )  # fmt: skip
    return json.loads((path / "metrics.json").read_text())


def test_motion_is_that_of_the_table(folder):
    path, _, _, table = folder
    found = run_motion(path)
    np.testing.assert_allclose(found["parameters"], table[5:, :6], atol=1e-6)
    np.testing.assert_allclose(found["fd_power_mm"], fd_power(table[5:, :6]), atol=1e-6)
    assert found["volumes"] == VOLUMES - 5 and "another program" in found["convention"]
    assert found["residual"] == []  # none was measured, and zero would say that all fits
    assert any("preprocessed by another program" in notice for notice in found["notices"])


def test_reho_is_that_of_the_same_run_computed_directly(folder):
    path, series, mask, table = folder
    motion = run_motion(path)
    metrics = run_reho(path)
    spikes = np.zeros(VOLUMES - 5, bool)
    spikes[list(motion["spikes"])] = True
    nuisance = np.hstack(
        [friston24(table[5:, :6]), spike_regressors(spikes), table[5:, [7]], table[5:, [6]]]
    )
    basis = cleaning_basis(nuisance, TR_S, band=Band(0.01, 0.08))
    direct = regional_homogeneity(clean(series[mask][:, 5:], basis), mask)
    found = load(path / "reho.nii.gz")
    np.testing.assert_allclose(found.affine, AFFINE)
    assert np.corrcoef(found.data[mask], direct.w[mask])[0, 1] > 0.9999
    assert metrics["dof_left"] == basis.dof
    assert metrics["nuisance_columns"]["white matter"] == 1
    assert metrics["mean_fd_mm"] == motion["mean_fd_mm"]


def test_a_table_of_another_run_or_without_a_column_is_refused(folder):
    path, _, _, table = folder
    write_confounds(path, NAMES, table[:-3])
    with pytest.raises(InputError, match="of another run.*227 rows for 230 volumes"):
        run_motion(path)
    write_confounds(path, NAMES[1:], table[:, 1:])
    with pytest.raises(InputError, match="no column trans_x.*--no-bold-prepared"):
        run_motion(path)
    table[40, 3] = np.nan
    write_confounds(path, NAMES, table)
    with pytest.raises(InputError, match=r"rot_x.*no value for some volumes|no value.*rot_x"):
        run_motion(path)


def test_components_are_asked_for_by_name(folder):
    path, _, _, _ = folder
    run_motion(path)
    with pytest.raises(InputError, match="no column w_comp_cor_00"):
        run_reho(path, compcor_components=2)


def test_a_mask_of_another_grid_is_refused(folder):
    path, _, mask, _ = folder
    run_motion(path)
    save(path / "mask.nii.gz", mask[1:], AFFINE)
    with pytest.raises(InputError, match="brain mask"):
        run_reho(path)
