"""The linear model against statsmodels-free textbook formulas and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from falx.core.errors import InputError
from falx.maps.design import (
    group_design,
    orthogonality,
    partition,
    regression_design,
    two_sample_design,
)
from falx.maps.linear import critical_t, fit_contrast, fit_f, standardised_residuals, t_to_z

GROUPS = ["DRE"] * 8 + ["HC"] * 11
FIRST = np.array([1.0, 0.0])


def test_two_samples_are_the_student_test(rng):
    data = rng.normal(5, 2, (19, 50))
    fit = fit_contrast(data, two_sample_design(GROUPS, "DRE", "HC"), FIRST)
    expected = stats.ttest_ind(data[:8], data[8:])
    np.testing.assert_allclose(fit.t, expected.statistic, rtol=1e-10)
    np.testing.assert_allclose(fit.estimate, data[:8].mean(0) - data[8:].mean(0), rtol=1e-10)
    assert fit.dof == 17
    pooled = np.sqrt((7 * data[:8].var(0, ddof=1) + 10 * data[8:].var(0, ddof=1)) / 17)
    np.testing.assert_allclose(fit.hedges_g, (1 - 3 / 67) * fit.estimate / pooled, rtol=1e-10)


def test_covariates_as_in_the_normal_equations(rng):
    age, fd = rng.normal(30, 8, 19), rng.random(19)
    data = rng.normal(size=(19, 30)) + 0.1 * age[:, None]
    design = two_sample_design(GROUPS, "DRE", "HC", {"age": age, "fd": fd})
    c = design.contrast({"DRE - HC": 1})
    fit = fit_contrast(data, design, c)
    x = design.matrix
    beta = np.linalg.solve(x.T @ x, x.T @ data)
    rss = ((data - x @ beta) ** 2).sum(axis=0)
    se = np.sqrt(rss / 15 * (c @ np.linalg.inv(x.T @ x) @ c))
    np.testing.assert_allclose(fit.t, beta[0] / se, rtol=1e-9)
    assert fit.dof == design.dof == 15


def test_regression_is_the_correlation(rng):
    duration, data = rng.normal(size=19), rng.normal(size=(19, 4))
    fit = fit_contrast(data, regression_design("duration", duration), FIRST)
    for v in range(4):
        line = stats.linregress(duration, data[:, v])
        assert fit.estimate[v] == pytest.approx(line.slope)
        assert fit.t[v] == pytest.approx(line.slope / line.stderr)


def test_one_way_f(rng):
    data = rng.normal(size=(19, 20)) + 1000
    groups = ["a"] * 6 + ["b"] * 7 + ["c"] * 6
    design = group_design(groups)
    fit = fit_f(data, design, np.array([[1.0, -1, 0], [0, 1, -1]]))
    expected = stats.f_oneway(data[:6], data[6:13], data[13:])
    np.testing.assert_allclose(fit.f, expected.statistic, rtol=1e-8)
    assert (fit.dof_effect, fit.dof_error) == (2, 16)


def test_f_of_one_contrast_is_t_squared(rng):
    data = rng.normal(size=(19, 20))
    design = two_sample_design(GROUPS, "DRE", "HC", {"age": rng.normal(size=19)})
    c = np.array([1.0, 0, 0])
    f = fit_f(data, design, c[None]).f
    np.testing.assert_allclose(f, fit_contrast(data, design, c).t ** 2, rtol=1e-9)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100), st.floats(-50, 50))
def test_scale_offset_and_sign(seed, scale, offset):
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(19, 5))
    design = two_sample_design(GROUPS, "DRE", "HC")
    t = fit_contrast(data, design, FIRST).t
    np.testing.assert_allclose(fit_contrast(scale * data + offset, design, FIRST).t, t, rtol=1e-6)
    turned = two_sample_design(GROUPS, "HC", "DRE")
    np.testing.assert_allclose(fit_contrast(data, turned, FIRST).t, -t, rtol=1e-8)


def test_partition_is_orthogonal(rng):
    design = two_sample_design(GROUPS, "DRE", "HC", {"age": rng.normal(size=19)})
    parts = partition(design, np.array([1.0, 0, 0]))
    np.testing.assert_allclose(parts.nuisance.T @ parts.effect, 0, atol=1e-12)
    np.testing.assert_allclose(parts.nuisance.T @ parts.nuisance, np.eye(2), atol=1e-12)


def test_standardised_residuals_have_unit_spread(rng):
    design = two_sample_design(GROUPS, "DRE", "HC")
    rest = standardised_residuals(rng.normal(3, 5, (19, 40)), design)
    np.testing.assert_allclose((rest.astype(float) ** 2).sum(0), design.dof, rtol=1e-5)


@pytest.mark.parametrize(("dof", "threshold"), [(45, 2.9521)])
def test_thresholds_of_the_paper(dof, threshold):
    # Liu et al. 2024: DRE against DSE without covariates, two-tailed P = 0.005.
    assert critical_t(0.005, dof) == pytest.approx(threshold, abs=5e-5)
    assert t_to_z(critical_t(0.005, dof), dof) == pytest.approx(2.80703, abs=5e-6)


def test_t_to_z_is_odd_and_exact_in_the_tails():
    t = np.array([-30.0, -3.0, 0.0, 3.0, 30.0])
    z = t_to_z(t, 40)
    np.testing.assert_array_equal(z, -z[::-1])
    np.testing.assert_allclose(stats.norm.sf(z[3:]), stats.t.sf(t[3:], 40), rtol=1e-9)


def test_orthogonality_names_the_confound(rng):
    age = rng.normal(size=19)
    tiv = 2.0 * np.array([g == "DRE" for g in GROUPS]) + 0.1 * rng.normal(size=19)
    design = two_sample_design(GROUPS, "DRE", "HC", {"age": age, "tiv": tiv})
    rows = {row.covariate: row for row in orthogonality(design, np.array([1.0, 0, 0, 0]))}
    assert set(rows) == {"age", "tiv"}
    assert rows["tiv"].correlation > 0.95
    assert rows["tiv"].variance_inflation > 10
    assert rows["age"].variance_inflation < 2


def test_bad_designs_are_named(rng):
    with pytest.raises(InputError, match="group DRE: a group needs at least two images"):
        two_sample_design(["DRE", "HC", "HC"], "DRE", "HC")
    with pytest.raises(InputError, match="neither group .*DSE"):
        two_sample_design(["DRE", "DRE", "HC", "HC", "DSE"], "DRE", "HC")
    age = rng.normal(size=19)
    with pytest.raises(InputError, match="months: a covariate is constant or a combination"):
        two_sample_design(GROUPS, "DRE", "HC", {"age": age, "months": 12 * age + 3})
    with pytest.raises(InputError, match="site: a covariate is constant"):
        two_sample_design(GROUPS, "DRE", "HC", {"site": np.ones(19)})
    with pytest.raises(InputError, match="age: a covariate must hold one finite number"):
        two_sample_design(GROUPS, "DRE", "HC", {"age": np.where(age > 1, np.nan, age)})
    with pytest.raises(InputError, match="age: a covariate has another length"):
        two_sample_design(GROUPS, "DRE", "HC", {"age": age[:5]})
    covariates = {str(k): rng.normal(size=4) for k in range(2)}
    design = two_sample_design(["a", "a", "b", "b"], "a", "b", covariates)
    with pytest.raises(InputError, match="no degrees of freedom"):
        partition(design, np.array([1.0, 0, 0, 0]))


def test_bad_data_are_named(rng):
    design = two_sample_design(GROUPS, "DRE", "HC")
    with pytest.raises(InputError, match="do not fit the design"):
        fit_contrast(rng.normal(size=(18, 3)), design, FIRST)
    data = rng.normal(size=(19, 3))
    data[:, 1] = 4.0
    with pytest.raises(InputError, match="do not vary .* 1 of 3"):
        fit_contrast(data, design, FIRST)
    with pytest.raises(InputError, match="lacks .*HC - DSE"):
        design.contrast({"HC - DSE": 1})
    with pytest.raises(InputError, match="contrast of zeros"):
        fit_contrast(rng.normal(size=(19, 3)), design, np.zeros(2))
