"""Norms from few controls: coverage, regression, outliers, smoothness, mirror images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import nct, t

from falx.core.errors import FalxNotice, InputError, collect_notices
from falx.core.grid import box_grid
from falx.data.asymmetry_norms import healthy_field
from falx.pet.controls import (
    Conditions,
    Norm,
    check_number,
    covariates_of,
    fit_norm,
    fit_voxels,
    healthy_fwhm_mm,
    modified_z,
)

MADE = Conditions("FDG", "MNI", 2.0, "proportional", 6.0, "mg3", 6.0, 0.3)


def norm_of(values, design=None):
    values = np.asarray(values)
    return fit_norm("hippocampus", "regional", values, np.ones((len(values), 1)))


def test_percentiles_are_those_of_student_and_the_noncentral_t():
    values = np.random.default_rng(1).normal(0.01, 0.03, 15)
    z, percentile, low, high = norm_of(values).place(-0.05, np.array([1.0]))
    assert z == pytest.approx((-0.05 - values.mean()) / values.std(ddof=1))
    # Crawford & Howell 1998, equation 1.
    assert percentile == pytest.approx(100 * t.cdf(z / np.sqrt(16 / 15), 14))
    for limit, share in ((low, 0.975), (high, 0.025)):
        from scipy.special import ndtri

        found = nct.cdf(z * np.sqrt(15), 14, ndtri(limit / 100) * np.sqrt(15))
        assert found == pytest.approx(1 - (1 - share), abs=1e-3)


@pytest.mark.parametrize("people", [10, 25])
def test_intervals_hold_the_true_percentile_in_95_of_100(people):
    rng, held = np.random.default_rng(people), 0
    for _ in range(1500):
        norm, index = norm_of(rng.standard_normal(people)), rng.normal(-1.5)
        _, _, low, high = norm.place(index, np.array([1.0]))
        held += low <= 100 * ndtr(index) <= high
    assert held / 1500 == pytest.approx(0.95, abs=0.015)


def test_healthy_people_are_beyond_5_percent_in_5_of_100():
    """A new healthy person among ten controls: z alone would be beyond -1.645 in 7.7 of 100."""
    rng = np.random.default_rng(3)
    low = [
        norm_of(rng.standard_normal(10)).place(rng.standard_normal(), np.array([1.0]))[1] < 5
        for _ in range(4000)
    ]
    assert np.mean(low) == pytest.approx(0.05, abs=0.01)


@given(st.floats(-0.3, 0.3))
def test_the_mirror_image_has_the_mirrored_place(index):
    values = np.random.default_rng(2).normal(0.01, 0.03, 12)
    z, share, low, high = norm_of(values).place(index, np.array([1.0]))
    other = norm_of(-values).place(-index, np.array([1.0]))
    assert other == pytest.approx((-z, 100 - share, 100 - high, 100 - low), abs=1e-6)


def test_age_and_sex_are_regressed_where_there_are_enough():
    rng, n = np.random.default_rng(4), 30
    ages, sexes = rng.uniform(20, 70, n), rng.integers(0, 2, n).astype(float)
    index = 0.001 * (ages - ages.mean()) - 0.02 * (sexes - sexes.mean())
    covariates, design = covariates_of(ages.tolist(), sexes.tolist())
    assert covariates.names == ("age", "sex")
    norm = fit_norm("hippocampus", "regional", index + rng.normal(0, 1e-5, n), design)
    assert norm.coefficients == pytest.approx((0.0, 0.001, -0.02), abs=1e-4)
    row = covariates.row({"age": 40.0, "sex": 1.0})
    expected = 0.001 * (40 - ages.mean()) - 0.02 * (1 - sexes.mean())
    assert norm.mean(row) == pytest.approx(expected, abs=1e-4)
    with pytest.warns(FalxNotice, match="age is outside that of the controls.*90"):
        covariates.row({"age": 90.0, "sex": 0.0})
    with pytest.warns(FalxNotice, match="sex is not given"):
        assert covariates.row({"age": 40.0})[2] == 0.0


def test_few_or_incomplete_covariates_are_not_regressed():
    assert covariates_of([30.0 + i for i in range(19)], [None] * 19)[1].shape == (19, 1)
    with pytest.warns(FalxNotice, match="age is not regressed.*1 controls without it"):
        found, _ = covariates_of([None, *range(20, 44)], [1.0] * 25)
    assert found.names == ()


def test_voxels_are_fitted_like_structures_among_those_who_have_them():
    rng, n = np.random.default_rng(5), 24
    _, design = covariates_of(rng.uniform(20, 70, n).tolist(), [0.0, 1.0] * 12)
    maps = rng.normal(0.01, 0.03, (n, 3)).astype(np.float32)
    present = np.ones((n, 3), bool)
    present[:5, 1] = False
    present[:15, 2] = False
    found = fit_voxels(np.where(present, maps, 0), present, design)
    for voxel, rows in ((0, slice(None)), (1, slice(5, None))):
        norm = fit_norm("x", "regional", maps[rows, voxel], design[rows])
        assert found.coefficients[:, voxel] == pytest.approx(norm.coefficients, abs=1e-6)
        assert found.sd[voxel] == pytest.approx(norm.sd, rel=1e-5)
    assert found.sd[2] == 0 and not found.coefficients[:, 2].any()
    assert not found.residuals[:5, 1].any()


@pytest.mark.parametrize("fwhm_mm", [14.0, 24.0])
def test_the_smoothness_of_the_healthy_part_is_measured_beside_noise(fwhm_mm):
    grid, rng = box_grid((-70, -90, -70), (70, 90, 70), 4.0), np.random.default_rng(6)
    sd, maps = np.full(grid.shape, 0.03, np.float32), []
    for _ in range(12):
        field = healthy_field(sd, grid, rng, fwhm_mm=fwhm_mm)
        noise = healthy_field(sd, grid, rng, fwhm_mm=7.0)
        maps.append((field + noise)[: grid.shape[0] // 2 - 4] / 0.03 / np.sqrt(2))
    assert healthy_fwhm_mm(maps, 0.5, grid.voxel_sizes_mm) == pytest.approx(fwhm_mm, rel=0.12)


def test_what_has_no_smoothness_says_so():
    """Neighbours three and four voxels on are of opposite signs, or equal."""
    y = np.arange(24)[None, :, None]
    waves = np.broadcast_to(np.where(y % 6 < 3, 1.0, -1.0), (6, 24, 8)).astype(np.float32)
    assert healthy_fwhm_mm([waves], 1.0, (4.0, 4.0, 4.0)) is None


def test_the_one_who_is_far_from_the_others_is_seen():
    values = [*np.random.default_rng(8).normal(0, 0.03, 20), 0.4]
    assert np.flatnonzero(np.abs(modified_z(values)) > 3.5).tolist() == [20]


def test_too_few_controls_are_refused_and_few_are_warned_of():
    with pytest.raises(InputError, match="too few controls.*found: 9.*at least 10"):
        check_number(9)
    with pytest.warns(FalxNotice, match="norms of 19 controls are uncertain"):
        check_number(19)
    with collect_notices() as notices:
        check_number(20)
    assert notices == []


def test_differences_are_named():
    other = Conditions("FMZ", "MNI", 2.0, "z", 6.0, "mg3", 6.0, 0.3)
    assert MADE.differences(other) == ["tracer FDG, not FMZ", "scale proportional, not z"]
    assert MADE.differences(MADE) == []


def test_controls_of_one_value_have_no_norm():
    with pytest.raises(InputError, match="equally asymmetric"):
        norm_of([0.01] * 12)
    assert Norm("x", "regional", 10, 9, (0.0,), 0.1, ((0.1,),)).scores == ()
