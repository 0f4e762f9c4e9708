"""What must not change a cleaned run, its motion or its homogeneity, and what must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bold.simulation import matrix_from_parameters
from falx.bold.cleaning import Band, clean, cleaning_basis, fourier_columns, ideal_filter
from falx.bold.confounds import friston24, polynomial_trends, spike_regressors
from falx.bold.displacement import (
    MotionLimits,
    fd_jenkinson,
    fd_power,
    fd_van_dijk,
    motion_summary,
    parameters_from_matrices,
)
from falx.bold.normalise import sample_run
from falx.bold.reho import regional_homogeneity
from falx.bold.reho_run import Nuisance
from falx.bold.settings import MotionSettings, RehoSettings
from falx.bold.slice_timing import correct_slice_timing, shift_series
from falx.bold.standardised import relative, standardise
from falx.core.errors import OptionError

SEEDS = st.integers(0, 2**32 - 1)
TR = 2.0
few = settings(max_examples=15)


def run(seed, n=80, columns=5):
    rng = np.random.default_rng(seed)
    nuisance = rng.normal(size=(n, columns)).cumsum(axis=0)
    return rng.normal(size=(6, n)).astype(np.float32), nuisance, rng


@few
@given(SEEDS, st.floats(-20, 20))
def test_what_is_cleaned_out_can_be_added_without_a_trace(seed, amount):
    series, nuisance, rng = run(seed)
    basis = cleaning_basis(nuisance, TR, band=Band(), least_dof=1)
    added = amount * nuisance @ rng.normal(size=(nuisance.shape[1], 6))
    trend = np.linspace(0, amount, len(nuisance))[:, None]
    again = clean((series + (added + trend).T).astype(np.float32), basis)
    np.testing.assert_allclose(again, clean(series, basis), atol=1e-4 * (1 + np.abs(added).max()))


@few
@given(SEEDS)
def test_a_clean_run_stays_as_it_is_and_is_free_of_nuisance(seed):
    series, nuisance, _ = run(seed)
    basis = cleaning_basis(nuisance, TR, band=Band(), least_dof=1)
    once = clean(series, basis)
    np.testing.assert_allclose(clean(once, basis), once, atol=1e-5)
    centred = nuisance - nuisance.mean(axis=0)
    inner = once.astype(float) @ (centred / np.linalg.norm(centred, axis=0))
    assert np.abs(inner).max() < 1e-5
    assert np.abs(once.mean(axis=1)).max() < 1e-6
    np.testing.assert_allclose(basis.kept.T @ basis.kept, np.eye(basis.dof), atol=1e-9)


@few
@given(SEEDS)
def test_cleaning_is_linear(seed):
    series, nuisance, _ = run(seed)
    basis = cleaning_basis(nuisance, TR, band=Band(), least_dof=1)
    mixed = 2.0 * series[:3] - 3.0 * series[3:]
    expected = 2.0 * clean(series[:3], basis) - 3.0 * clean(series[3:], basis)
    np.testing.assert_allclose(clean(mixed, basis), expected, atol=1e-4)


@few
@given(st.integers(20, 120), st.floats(0.02, 0.08), st.floats(0.09, 0.2))
def test_fourier_columns_are_what_the_band_lacks(n, low, high):
    columns = fourier_columns(n, TR, Band(low, high))
    frequency = np.fft.rfftfreq(n, TR)[1:]
    outside = (frequency < low - 1e-9) | (frequency > high + 1e-9)
    nyquist = n % 2 == 0 and outside[-1]
    assert columns.shape == (n, 2 * outside.sum() - nyquist)
    gram = columns.T @ columns
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-8)
    power = np.abs(np.fft.rfft(columns, axis=0)[1:]).max(axis=1)
    assert np.array_equal(power > 1e-6, outside)


@few
@given(SEEDS, st.sampled_from([0.012, 0.03, 0.06, 0.076]), st.floats(0, 6.28))
def test_the_ideal_filter_keeps_a_wave_of_the_band_and_no_other(seed, frequency, phase):
    time = np.arange(256) * TR
    at = round(frequency * 256 * TR) / (256 * TR)
    wave = np.sin(2 * np.pi * at * time + phase)
    other = np.sin(2 * np.pi * (50 / (256 * TR)) * time + phase)
    kept = ideal_filter(np.array([wave, wave + other, other]), TR, Band(0.01, 0.08))
    np.testing.assert_allclose(kept[:2], [wave, wave], atol=1e-5)
    assert np.abs(kept[2]).max() < 1e-5


@few
@given(st.integers(2, 60), st.integers(0, 5))
def test_trends_span_the_powers_of_time(n, order):
    columns, time = polynomial_trends(n, order), np.linspace(0, 1, n)
    powers = np.vander(time, order + 1)
    fitted = columns @ np.linalg.lstsq(columns, powers, rcond=None)[0]
    assert columns.shape == (n, order + 1)
    np.testing.assert_allclose(fitted, powers, atol=1e-8)


@few
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 3), st.integers(0, 3))
def test_each_marked_volume_has_one_column(spikes, previous, later):
    found = spike_regressors(np.array(spikes), previous=previous, later=later)
    n = len(spikes)
    near = [
        any(spikes[k] for k in range(max(0, t - later), min(n, t + previous + 1)))
        for t in range(n)
    ]
    assert np.array_equal(found.sum(axis=1) > 0, near)
    assert np.array_equal(found.sum(axis=0), np.ones(sum(near)))


@few
@given(SEEDS)
def test_motion_nuisance_holds_motion_its_past_and_squares(seed):
    motion = np.random.default_rng(seed).normal(size=(9, 6))
    found = friston24(motion)
    assert np.array_equal(found[:, :6], motion)
    assert np.array_equal(found[1:, 6:12], motion[:-1]) and not found[0, 6:12].any()
    np.testing.assert_allclose(found[:, 12:], found[:, :12] ** 2)


@few
@given(SEEDS, st.booleans(), st.integers(0, 2))
def test_nuisance_has_the_parts_that_are_asked_for(seed, whole, beside):
    series, _, rng = run(seed)
    spikes = np.zeros(80, bool)
    spikes[10] = True
    chosen = RehoSettings(global_signal=whole, spikes_before=beside)
    found = Nuisance.of_run(rng.normal(size=(80, 6)), spikes, {}, series, chosen)
    assert list(found.parts) == ["motion", "spikes", *["global signal"][: int(whole)]]
    assert found.columns.shape == (80, 24 + 1 + beside + whole)
    if whole:
        np.testing.assert_allclose(found.columns[:, -1], series.mean(axis=0), atol=1e-6)


@few
@given(
    st.floats(0.01, 0.2), st.floats(0, 6.28), st.floats(-1, 1), st.floats(-5, 5), st.floats(-5, 5)
)
def test_a_shifted_wave_on_a_line_is_the_wave_later(frequency, phase, shift, slope, level):
    time = np.arange(160) * TR

    def at(t):
        return np.sin(2 * np.pi * frequency * t + phase) + slope * t / 100 + level

    found = shift_series(at(time), shift, TR)
    np.testing.assert_allclose(found[25:-25], at(time + shift)[25:-25], atol=4e-3)


@few
@given(SEEDS, st.floats(-2, 2))
def test_a_shift_there_and_back_leaves_a_periodic_series(seed, shift):
    series = np.random.default_rng(seed).normal(size=(3, 65))
    there = shift_series(series, shift, TR, pad="none")
    np.testing.assert_allclose(shift_series(there, -shift, TR, pad="none"), series, atol=1e-9)


@few
@given(SEEDS, st.integers(0, 2), st.sampled_from(["odd", "spm"]))
def test_only_slices_of_another_time_change(seed, axis, pad):
    bold = np.random.default_rng(seed).normal(size=(3, 3, 3, 40)).astype(np.float32)
    times = np.array([1.0, 0.2, 1.7])
    found = correct_slice_timing(bold, times, TR, slice_axis=axis, pad=pad)
    for k in range(3):
        own, raw = np.take(found, k, axis), np.take(bold, k, axis)
        expected = shift_series(raw, 1.0 - times[k], TR, pad=pad)
        np.testing.assert_allclose(own, expected, atol=1e-5)
    np.testing.assert_allclose(np.take(found, 0, axis), np.take(bold, 0, axis), atol=1e-5)


motions = st.lists(
    st.tuples(*[st.floats(-8, 8)] * 3, *[st.floats(-0.6, 0.6)] * 3), min_size=2, max_size=8
)


@few
@given(motions, st.tuples(*[st.floats(-50, 50)] * 3))
def test_a_rigid_matrix_turns_about_its_centre(parameters, centre):
    matrix = matrix_from_parameters(parameters, centre_mm=centre)
    turn = matrix[:, :3, :3]
    np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), [np.eye(3)] * len(turn), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(turn), 1.0)
    moved = turn @ np.array(centre) + matrix[:, :3, 3]
    np.testing.assert_allclose(moved - centre, np.array(parameters)[:, :3], atol=1e-9)
    back = parameters_from_matrices(matrix, centre_mm=centre)
    np.testing.assert_allclose(back, parameters, atol=1e-9)


@few
@given(motions, st.tuples(*[st.floats(-9, 9)] * 6))
def test_displacement_knows_no_origin_and_no_direction_of_time(parameters, origin):
    p = np.array(parameters)
    fd = fd_power(p)
    np.testing.assert_allclose(fd_power(p + origin), fd, atol=1e-7)
    np.testing.assert_allclose(fd_power(p[::-1])[1:], fd[:0:-1], atol=1e-9)
    change = np.abs(np.diff(p, axis=0)) * [1, 1, 1, 50, 50, 50]
    np.testing.assert_allclose(fd[1:], change.sum(axis=1), atol=1e-9)
    assert fd[0] == 0
    length = np.linalg.norm(p[:, :3], axis=1)
    np.testing.assert_allclose(fd_van_dijk(p)[1:], np.abs(np.diff(length)), atol=1e-9)


@few
@given(motions, st.tuples(*[st.floats(-0.5, 0.5)] * 6))
def test_jenkinson_knows_no_first_position_of_the_head(parameters, first):
    matrices = matrix_from_parameters(parameters)
    moved = matrices @ matrix_from_parameters(first)
    centre = np.array([3.0, -20.0, 10.0])
    found = fd_jenkinson(matrices, centre)
    np.testing.assert_allclose(fd_jenkinson(moved, centre), found, atol=1e-6)
    shifts = np.array(parameters) * [1, 1, 1, 0, 0, 0]
    only = fd_jenkinson(matrix_from_parameters(shifts), centre)
    np.testing.assert_allclose(only[1:], np.linalg.norm(np.diff(shifts[:, :3], axis=0), axis=1),
                               atol=1e-7)  # fmt: skip


@few
@given(motions, st.floats(0.1, 5), st.floats(0.1, 5))
def test_a_wider_limit_excludes_no_more(parameters, one, other):
    low, high = sorted((one, other))
    p = np.array(parameters)

    def excluded(limit):
        return motion_summary(p, MotionLimits(limit, limit, limit, 100)).excluded

    assert excluded(low) >= excluded(high)
    largest = max(np.abs(p[:, :3]).max(), np.rad2deg(np.abs(p[:, 3:]).max()))
    assert excluded(low) == (largest > low)


@settings(max_examples=10)
@given(SEEDS, st.sampled_from([7, 19, 27]), st.sampled_from(["none", "corrected", "cpac"]))
def test_the_order_of_volumes_changes_no_homogeneity(seed, neighbours, ties):
    rng = np.random.default_rng(seed)
    bold = rng.integers(0, 20, (4, 4, 4, 15)).astype(np.float32)
    mask = rng.random((4, 4, 4)) < 0.8
    mask[1, 1, 1] = True
    options = {"neighbours": neighbours, "ties": ties}
    found = regional_homogeneity(bold[mask], mask, **options)
    mixed = regional_homogeneity(bold[..., rng.permutation(15)][mask], mask, **options)
    assert np.array_equal(found.w, mixed.w)
    assert found.w.min() >= 0
    assert found.w.max() <= 1 + (ties == "corrected") * 1e-12
    mirrored = regional_homogeneity(-bold[mask], mask, neighbours=neighbours)
    plain = regional_homogeneity(bold[mask], mask, neighbours=neighbours)
    np.testing.assert_allclose(mirrored.w, plain.w, atol=1e-12)


@settings(max_examples=10)
@given(SEEDS, st.floats(0.1, 50), st.floats(-50, 50))
def test_scale_and_mean_of_each_voxel_change_no_homogeneity(seed, scale, offset):
    rng = np.random.default_rng(seed)
    mask = np.ones((3, 3, 4), bool)
    # Whole numbers below 2^12 keep their order and ties under a power of two and a shift.
    series = rng.integers(0, 4096, (36, 20)).astype(np.float32)
    power = np.float32(2.0) ** rng.integers(-3, 4, (36, 1)).astype(np.float32)
    moved = series * power + np.float32(round(offset) * 8)
    one, two = (regional_homogeneity(s, mask) for s in (series, moved))
    assert np.array_equal(one.w, two.w)
    assert one.w.max() <= 1


@few
@given(SEEDS, st.tuples(*[st.integers(-2, 2)] * 3))
def test_a_head_that_moved_by_voxels_is_read_where_it_went(seed, steps):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(11, 12, 10)).astype(np.float32)
    affine = np.diag([3.0, 2.0, 4.0, 1.0])
    affine[:3, 3] = [-10, 5, 2]
    moved = np.roll(base, steps, axis=(0, 1, 2))
    shift = np.eye(4)
    shift[:3, 3] = affine[:3, :3] @ np.array(steps, float)
    inner = np.argwhere(np.ones((3, 4, 2), bool)) + 4
    points = inner @ affine[:3, :3] + affine[:3, 3]
    data = np.stack([base, moved], axis=-1)
    found = sample_run(data, affine, np.stack([np.eye(4), shift]), points)
    # Reading wraps nowhere: 4 voxels from the edge the spline of either volume is the same.
    np.testing.assert_allclose(found[:, 1], found[:, 0], atol=0.02)
    np.testing.assert_allclose(found[:, 0], base[tuple(inner.T)], atol=1e-4)


@few
@given(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_standard_maps_know_no_unit(seed, scale, offset):
    rng = np.random.default_rng(seed)
    values, mask = rng.random((4, 4, 4)) + 1, rng.random((4, 4, 4)) < 0.7
    z = standardise(values, mask)
    np.testing.assert_allclose(standardise(scale * values + offset, mask), z, atol=1e-9)
    np.testing.assert_allclose([z[mask].mean(), z[mask].std(ddof=1)], [0, 1], atol=1e-9)
    share = relative(values, mask)
    np.testing.assert_allclose(relative(scale * values, mask), share)
    assert share[mask].mean() == pytest.approx(1.0)
    assert not z[~mask].any() and not share[~mask].any()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"neighbours": 8}, "neighbours"),
        ({"neighbours": 7, "least_neighbours": 8}, "least_neighbours is out of range .*1 to 7"),
        ({"low_hz": 0.1, "high_hz": 0.05}, "high edge of the band"),
        ({"order": "both"}, "order"),
        ({"ties": "some"}, "ties"),
        ({"voxel_mm": 9.0}, "voxel_mm is out of range .*1.5 to 6 mm"),
    ],
)
def test_choices_of_reho_that_cannot_be_are_refused(changed, said):
    with pytest.raises(OptionError, match=said):
        RehoSettings(**changed)


@pytest.mark.parametrize(
    "changed", [{"motion_passes": 3}, {"centre": "nose"}, {"slice_padding": "none"},
                {"least_volumes": 5}, {"fd_threshold_mm": -0.1}]
)  # fmt: skip
def test_choices_of_motion_that_cannot_be_are_refused(changed):
    with pytest.raises(OptionError, match=next(iter(changed))):
        MotionSettings(**changed)
