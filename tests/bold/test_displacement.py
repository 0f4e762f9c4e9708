"""Motion parameters, framewise displacement and the decision about a run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bold.simulation import matrix_from_parameters
from falx.bold.displacement import (
    MotionLimits,
    beyond_limits,
    fd_jenkinson,
    fd_power,
    fd_van_dijk,
    motion_summary,
    parameters_from_matrices,
    rotation_centre,
)
from falx.core.errors import InputError, OptionError
from falx.core.files import read_table

small = st.floats(-0.4, 0.4)


@given(st.tuples(*[st.floats(-20, 20)] * 3, *[small] * 3), st.tuples(*[st.floats(-90, 90)] * 3))
def test_parameters_and_matrices_are_inverse(parameters, centre):
    matrix = matrix_from_parameters(parameters, centre_mm=centre)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
    back = parameters_from_matrices(matrix, centre_mm=centre)
    np.testing.assert_allclose(back, parameters, atol=1e-9)


def test_convention_of_spm():
    # T Rx Ry Rz with the factor matrices as SPM prints them.
    p = np.array([1.0, -2.0, 3.0, 0.1, 0.2, -0.3])
    (cx, cy, cz), (sx, sy, sz) = np.cos(p[3:]), np.sin(p[3:])
    rx = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    matrix = matrix_from_parameters(p)
    np.testing.assert_allclose(matrix[:3, :3], rx @ ry @ rz, atol=1e-15)
    np.testing.assert_allclose(matrix[:3, 3], p[:3])


def test_fd_of_fmriprep(reference):
    rows = read_table(reference / "motion" / "fmriprep_motion.tsv")
    names = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
    motion = np.column_stack([rows.numbers(name) for name in names])
    published = rows.numbers("framewise_displacement")
    assert len(published) == 16
    np.testing.assert_allclose(fd_power(motion)[1:], published[1:], atol=1e-9)


def test_fd_of_a_translation_is_its_length(rng):
    shift = np.array([0.3, -0.4, 1.2])
    matrices = np.stack([np.eye(4), matrix_from_parameters(np.r_[shift, 0, 0, 0])])
    fd = fd_jenkinson(matrices, rng.normal(size=3))
    np.testing.assert_allclose(fd, [0, np.linalg.norm(shift)])
    motion = np.array([[0.0] * 6, [*shift, 0, 0, 0]])
    np.testing.assert_allclose(fd_van_dijk(motion), [0, 1.3])


def test_fd_jenkinson_is_the_rms_over_a_sphere(rng):
    motion = np.array([0.1, -0.2, 0.3, 0.02, -0.01, 0.03])
    matrices = np.stack([np.eye(4), matrix_from_parameters(motion)])
    centre = np.array([2.0, -5.0, 8.0])
    inside = rng.uniform(-80, 80, (400_000, 3))
    inside = inside[np.linalg.norm(inside, axis=1) <= 80] + centre
    change = np.linalg.inv(matrices[1])
    moved = inside @ change[:3, :3].T + change[:3, 3] - inside
    rms = np.sqrt((moved**2).sum(axis=1).mean())
    assert fd_jenkinson(matrices, centre)[1] == pytest.approx(rms, rel=3e-3)


def test_the_rotation_centre_matters():
    affine = np.diag([3.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-90, -120, -60]
    centre = rotation_centre("volume", (60, 60, 30), affine)
    np.testing.assert_allclose(centre, [-1.5, -31.5, -2.0])
    turn = matrix_from_parameters([0, 0, 0, 0.05, 0, 0], centre_mm=centre)
    about_world = parameters_from_matrices(turn)
    about_volume = parameters_from_matrices(turn, centre_mm=centre)
    assert np.abs(about_volume[:3]).max() < 1e-12
    assert np.abs(about_world[:3]).max() > 1.0


@pytest.mark.parametrize(("spikes", "excluded"), [(25, False), (26, True)])
def test_ten_percent_rule(spikes, excluded):
    # With 250 volumes the rule removes runs of 26 spikes and more.
    motion = np.zeros((250, 6))
    motion[1 : spikes + 1, 0] = 0.25 * (np.arange(spikes) % 2 == 0)
    motion[spikes + 1 :, 0] = motion[spikes, 0]
    summary = motion_summary(motion)
    assert summary.spikes.sum() == spikes
    assert summary.excluded == excluded


def test_reasons_are_sentences():
    motion = np.zeros((100, 6))
    motion[50:, 2] = 3.5
    motion[50:, 4] = np.deg2rad(4.0)
    summary = motion_summary(motion, MotionLimits())
    assert summary.reasons == ("translation 3.50 mm", "rotation 4.00°")
    assert [found.volumes for found in beyond_limits(motion, (3.0, 4.0))] == [50, 0]
    assert summary.mean_fd_mm == pytest.approx((3.5 + 50 * np.deg2rad(4.0)) / 100)
    assert summary.spike_percent == 1.0


def test_a_spike_is_strictly_above():
    motion = np.zeros((3, 6))
    motion[1:, 0] = 0.2
    assert not motion_summary(motion).spikes.any()


def test_volumes_beyond_the_limits_of_dpabi():
    motion = np.zeros((10, 6))
    motion[2, 0], motion[3, 1], motion[3, 5] = -3.2, 0.6, np.deg2rad(2.2)
    motion[4, 3] = np.deg2rad(-0.5)
    found = beyond_limits(motion)
    assert [each.limit for each in found] == [3.0, 2.5, 2.0, 1.5, 1.0, 0.5]
    assert [each.shifted_volumes for each in found] == [1, 1, 1, 1, 1, 2]
    assert [each.turned_volumes for each in found] == [0, 0, 1, 1, 1, 1]
    assert [each.volumes for each in found] == [1, 1, 2, 2, 2, 2]


@given(st.integers(0, 2**32 - 1))
def test_a_lower_limit_never_counts_fewer_volumes(seed):
    motion = np.random.default_rng(seed).normal(size=(20, 6)) * [1, 1, 1, 0.02, 0.02, 0.02]
    counts = [found.volumes for found in beyond_limits(motion)]
    assert counts == sorted(counts)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="six columns"):
        motion_summary(np.zeros((5, 3)))
    with pytest.raises(InputError, match="finite table of six columns"):
        beyond_limits(np.full((5, 6), np.nan))
    with pytest.raises(OptionError, match="fd_threshold_mm is out of range"):
        MotionLimits(fd_threshold_mm=-1)
    with pytest.raises(OptionError, match="centre"):
        rotation_centre("brain", (2, 2, 2), np.eye(4))
