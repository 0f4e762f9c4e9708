"""Group models, head size and tables beside the same things computed one voxel at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.maps.anova import effect_and_nuisance, group_contrasts
from falx.maps.cluster_table import (
    OTHER,
    ClusterRow,
    EffectRow,
    TableSpace,
    cluster_table,
    nearest_region,
    region_name,
    regions_of,
)
from falx.maps.design import (
    check_groups,
    group_design,
    orthogonality,
    partition,
    regression_design,
    two_sample_design,
)
from falx.maps.deviations.sample import (
    BEYOND_Z,
    Cell,
    Deviations,
    cells_of,
    deviations_of,
    pairs_of,
)
from falx.maps.deviations.single import control_deviation, leave_one_out_deviation
from falx.maps.group_maps import common_mask, compare
from falx.maps.head_size import adjust_for_tiv, sample_homogeneity
from falx.maps.linear import critical_t, fit_contrast, fit_f, standardised_residuals, t_to_z
from falx.maps.map_sample import MapSample, adjusted_sample, sample_described
from falx.maps.motion_correlation import motion_correlation
from falx.maps.sample import Measured, Sample
from falx.maps.settings import InferenceOptions, MapModel, SampleSettings, Selection
from falx.maps.unequal import group_weights, members_of, variance_ratios, welch

few = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
GROUPS = ["a"] * 5 + ["b"] * 6 + ["c"] * 4
TWO = ["a"] * 6 + ["b"] * 8


def drawn(seed, n=15, voxels=4):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(10, 2, (n, voxels)), rng.uniform(20, 60, n)


# Designs


@few
@given(SEEDS)
def test_t_and_estimate_are_statsmodels(seed):
    _, data, age = drawn(seed, n=14)
    design = two_sample_design(TWO, "a", "b", {"age": age})
    fit = fit_contrast(data, design, design.contrast({"a - b": 1}))
    group = np.array([g == "a" for g in TWO], float)
    for v in range(4):
        model = sm.OLS(data[:, v], np.column_stack([group, np.ones(14), age])).fit()
        assert fit.estimate[v] == pytest.approx(model.params[0])
        assert fit.t[v] == pytest.approx(model.tvalues[0])
        assert 2 * fit.p[v] == pytest.approx(model.pvalues[0])
        assert np.sign(fit.z[v]) == np.sign(fit.t[v])
        assert scipy.stats.norm.sf(abs(fit.z[v])) == pytest.approx(fit.p[v])
        g = model.params[0] / math.sqrt(model.mse_resid) * (1 - 3 / (4 * 11 - 1))
        assert fit.hedges_g[v] == pytest.approx(g)
    assert fit.dof == 11


@few
@given(SEEDS, st.floats(0.01, 100))
def test_the_estimate_has_the_weight_of_the_contrast(seed, weight):
    _, data, age = drawn(seed, n=14)
    design = two_sample_design(TWO, "a", "b", {"age": age})
    one, many = (fit_contrast(data, design, design.contrast({"age": w})) for w in (1, weight))
    assert many.t == pytest.approx(one.t)
    slope = sm.OLS(data[:, 0], design.matrix).fit().params[2]
    assert one.estimate[0] == pytest.approx(slope)
    assert many.estimate == pytest.approx(weight * one.estimate)


@few
@given(SEEDS)
def test_f_is_that_of_two_nested_models(seed):
    _, data, age = drawn(seed)
    design = group_design(GROUPS, {"age": age})
    found = fit_f(data, design, group_contrasts(design, 3))
    for v in range(4):
        whole = sm.OLS(data[:, v], design.matrix).fit()
        nested = sm.OLS(data[:, v], np.column_stack([np.ones(15), age])).fit()
        f, _, dof = whole.compare_f_test(nested)
        assert found.f[v] == pytest.approx(f)
        assert (found.dof_effect, found.dof_error) == (int(dof), 11)


def test_contrasts_of_groups_are_against_the_first():
    design = group_design(GROUPS, {"age": np.arange(15.0)})
    assert design.names == ("a", "b", "c", "age")
    assert group_contrasts(design, 3).tolist() == [[-1, 1, 0, 0], [-1, 0, 1, 0]]
    effect, nuisance = effect_and_nuisance(design, group_contrasts(design, 3))
    both = np.column_stack([effect, nuisance])
    assert both.T @ both == pytest.approx(np.eye(4), abs=1e-9)
    # Together they span the design.
    assert both @ (both.T @ design.matrix) == pytest.approx(design.matrix)


@few
@given(SEEDS)
def test_a_partition_spans_the_design_and_its_effect_estimates(seed):
    _, data, age = drawn(seed, n=14)
    design = two_sample_design(TWO, "a", "b", {"age": age})
    contrast = np.array([1.0, 0.0, 0.02])
    parts = partition(design, contrast)
    coefficients = np.linalg.lstsq(design.matrix, data, rcond=None)[0]
    estimate = parts.effect @ data / (parts.effect @ parts.effect)
    assert estimate == pytest.approx(contrast @ coefficients)
    assert parts.nuisance.T @ parts.effect == pytest.approx(0, abs=1e-9)
    assert parts.nuisance.T @ parts.nuisance == pytest.approx(np.eye(2), abs=1e-9)
    rest = parts.residualise(data)
    assert parts.nuisance.T @ rest == pytest.approx(0, abs=1e-8)
    assert parts.dof == 11
    with pytest.raises(InputError, match="a contrast of zeros tests nothing; give it a weight"):
        partition(design, np.zeros(3))


def test_covariates_are_centred_and_columns_named_in_order():
    design = two_sample_design(TWO, "b", "a", {"age": np.arange(14.0), "sex": [0, 1] * 7})
    assert design.names == ("b - a", "mean", "age", "sex")
    assert design.matrix[:, 0].tolist() == [0.0] * 6 + [1.0] * 8
    assert design.matrix[:, 2:].mean(axis=0) == pytest.approx(0)
    assert design.matrix[:, 2] == pytest.approx(np.arange(14) - 6.5)
    assert design.dof == 10
    slope = regression_design("duration", np.arange(5.0) ** 2)
    assert slope.names == ("duration", "mean")
    assert slope.matrix[:, 0].tolist() == [-6.0, -5.0, -2.0, 3.0, 10.0]
    assert design.contrast({"sex": -2, "b - a": 1}).tolist() == [1, 0, 0, -2]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: two_sample_design(["a", "b", "b"], "a", "b"),
         r"^group a: a group needs at least two images .found: 1.; check the participants"),
        (lambda: two_sample_design(["a", "a", "b", "b", "c"], "a", "b"),
         r"^an image belongs to neither group .found: c.; leave the image out, or give its group"),
        (lambda: two_sample_design(TWO, "a", "b", {"age": np.ones(14)}),
         r"^age: a covariate is constant or a combination .*columns a - b, mean, age"),
        (lambda: two_sample_design(TWO, "a", "b", {"g": np.arange(14) < 6}),
         "^g: a covariate is constant or a combination of the other columns"),
        (lambda: two_sample_design(TWO, "a", "b", {"age": np.arange(13.0)}),
         r"^age: a covariate has another length than the groups .found: 13 values for 14"),
        (lambda: two_sample_design(TWO, "a", "b", {"age": [*range(12), np.nan, np.inf]}),
         r"^age: a covariate must hold one finite number an image .found: shape .14,., 2 missing"),
        (lambda: regression_design("x", np.ones((3, 2))), r"^x: .*shape .3, 2., 0 missing"),
        (lambda: two_sample_design(TWO, "a", "b").contrast({"b - a": 1, "age": 2}),
         r"lacks .found: age, b - a.; choose from a - b, mean"),
        (lambda: group_contrasts(group_design(["a", "a"]), 1),
         r"an analysis of variance needs two groups .found: 1"),
        (lambda: partition(two_sample_design(["a", "a", "b", "b"], "a", "b",
                                             {"x": [0, 1, 0, 0], "y": [0, 0, 0, 1]}),
                           np.array([1.0, 0, 0, 0])),
         r"no degrees of freedom .found: 4 images and 4 independent columns"),
    ],
)  # fmt: skip
def test_designs_that_cannot_be(make, told):
    with pytest.raises(InputError, match=told):
        make()


def test_two_images_are_enough_for_a_group():
    check_groups(["a", "a", "b"], ["a"])
    with pytest.raises(InputError, match="group b: .*found: 1"):
        check_groups(["a", "a", "b"], ["a", "b"])


def test_inflation_is_one_over_what_others_do_not_explain(rng):
    age, volume = rng.normal(size=14), rng.normal(size=14)
    volume += age
    design = two_sample_design(TWO, "a", "b", {"age": age, "volume": volume})
    found = {o.covariate: o for o in orthogonality(design, design.contrast({"a - b": 1}))}
    assert list(found) == ["age", "volume"]
    group = design.matrix[:, 0]
    r2 = sm.OLS(volume, np.column_stack([np.ones(14), age, group])).fit().rsquared
    assert found["volume"].variance_inflation == pytest.approx(1 / (1 - r2))
    assert found["volume"].correlation == pytest.approx(np.corrcoef(volume, group)[0, 1])
    turned = {o.covariate: o for o in orthogonality(design, design.contrast({"a - b": -3}))}
    assert turned["age"].correlation == pytest.approx(-found["age"].correlation)


# Statistics


@pytest.mark.parametrize("dof", [3, 12, 45.5])
def test_thresholds_have_their_probability(dof):
    for p in (0.001, 0.05):
        assert scipy.stats.t.sf(critical_t(p, dof), dof) == pytest.approx(p / 2)
        assert scipy.stats.t.sf(critical_t(p, dof, two_tailed=False), dof) == pytest.approx(p)
    t = np.array([-40.0, -1.0, 0.0, 2.0])
    z = t_to_z(t, dof)
    assert scipy.stats.norm.sf(np.abs(z)) == pytest.approx(scipy.stats.t.sf(np.abs(t), dof))
    assert np.sign(z).tolist() == [-1, -1, 0, 1]


def test_t_beyond_all_probability_stays_finite():
    assert np.isfinite(t_to_z([1e6, -1e6], 200)).all()
    assert t_to_z(1e6, 200) == pytest.approx(37.0471, abs=1e-3)


@few
@given(SEEDS)
def test_residuals_are_over_their_own_spread(seed):
    _, data, age = drawn(seed, n=14)
    design = two_sample_design(TWO, "a", "b", {"age": age})
    found = standardised_residuals(data, design)
    for v in range(4):
        model = sm.OLS(data[:, v], design.matrix).fit()
        wanted = model.resid / math.sqrt(model.mse_resid)
        assert found[:, v] == pytest.approx(wanted, abs=1e-5)
    assert (np.asarray(found, float) ** 2).sum(axis=0) == pytest.approx(11, rel=1e-5)


def test_voxels_that_never_vary_are_counted(rng):
    data = rng.normal(size=(14, 5))
    data[:, 1] = 3.0
    data[2, 4] = np.nan
    design = two_sample_design(TWO, "a", "b")
    for run in (lambda: fit_contrast(data, design, np.array([1.0, 0])),
                lambda: standardised_residuals(data, design)):  # fmt: skip
        with pytest.raises(InputError, match=r"do not vary or are not finite .*found: 2 of 5"):
            run()
    with pytest.raises(InputError, match="13"):
        fit_contrast(data[1:], design, np.array([1.0, 0]))


@few
@given(SEEDS)
def test_satterthwaite_written_out(seed):
    rng = np.random.default_rng(seed)
    data = np.vstack([rng.normal(0, 1, (6, 3)), rng.normal(1, 3, (8, 3))])
    design = two_sample_design(TWO, "a", "b")
    t, dof = welch(data, design, np.array([1.0, 0]), TWO)
    va, vb = data[:6].var(axis=0, ddof=1) / 6, data[6:].var(axis=0, ddof=1) / 8
    assert t == pytest.approx((data[:6].mean(axis=0) - data[6:].mean(axis=0)) / np.sqrt(va + vb))
    assert dof == pytest.approx((va + vb) ** 2 / (va**2 / 5 + vb**2 / 7))
    fit = fit_contrast(data, design, np.array([1.0, 0]), TWO)
    assert (fit.t == t).all() and fit.dof == pytest.approx(np.median(dof))
    assert fit.p == pytest.approx(scipy.stats.t.sf(np.abs(t), dof))
    # The effect size keeps the pooled spread.
    pooled = (5 * data[:6].var(axis=0, ddof=1) + 7 * data[6:].var(axis=0, ddof=1)) / 12
    g = (data[:6].mean(axis=0) - data[6:].mean(axis=0)) / np.sqrt(pooled) * (1 - 3 / 47)
    assert fit.hedges_g == pytest.approx(g)


def test_group_weights_are_the_shares_of_the_means():
    design = two_sample_design(TWO, "a", "b")
    c, free = group_weights(design, np.array([1.0, 0]), TWO)
    assert free == pytest.approx([5, 7])
    # Var = σa²/6 + σb²/8, of an effect of squared length 1/6 + 1/8.
    assert c * free == pytest.approx(np.array([1 / 6, 1 / 8]) / (1 / 6 + 1 / 8))
    assert {k: v.sum() for k, v in members_of(["b", "a", "b"]).items()} == {"b": 2, "a": 1}
    with pytest.raises(InputError, match=r"group b: a group is too small for a variance"):
        group_weights(regression_design("x", [0.0, 1, 2, 3, 9]), np.array([1.0, 0]),
                      ["a", "a", "a", "a", "b"])  # fmt: skip


def test_ratios_of_variances_count_both_sides():
    spread = np.array([[1.0, 3.0, 0.4, 1.9]])
    base = np.linspace(-1, 1, 6)[:, None]
    base = base / base.std(ddof=1)
    data = np.vstack([base * np.sqrt(spread), base * np.ones((1, 4)), 2 * base * np.ones((1, 4))])
    groups = ["a"] * 6 + ["b"] * 6 + ["c"] * 6
    first, second = variance_ratios(data, group_design(groups), groups)
    assert (first.first, first.second, second.second) == ("a", "b", "c")
    assert first.median == pytest.approx(np.median([1, 3, 0.4, 1.9]))
    assert (first.limit, first.beyond_percent) == (2.0, 50.0)
    assert second.beyond_percent == 75.0  # .25, .75, .1 and .475
    f = scipy.stats.f(5, 5)
    assert first.by_chance_percent == pytest.approx(100 * (f.sf(2) + f.cdf(0.5)))


# Deviations


@few
@given(SEEDS)
def test_a_person_is_predicted_from_controls_alone(seed):
    rng = np.random.default_rng(seed)
    controls, people = rng.normal(5, 2, (12, 3)), rng.normal(5, 2, (2, 3))
    table, own = rng.normal(40, 9, (12, 2)), rng.normal(40, 9, (2, 2))
    found = control_deviation(people, controls, covariates=own, control_covariates=table)
    assert found.dof == 9
    for v in range(3):
        model = sm.OLS(controls[:, v], sm.add_constant(table)).fit()
        row = np.column_stack([np.ones(2), own])
        error = np.sqrt(model.mse_resid + np.diag(row @ model.cov_params() @ row.T))
        assert found.t[:, v] == pytest.approx((people[:, v] - row @ model.params) / error)


def test_published_deviation_is_z_of_the_controls(rng):
    controls, people = rng.normal(5, 2, (12, 40)), rng.normal(5, 2, (2, 40))
    plain = control_deviation(people, controls)
    published = control_deviation(people, controls, as_published=True)
    z = (people - controls.mean(axis=0)) / controls.std(axis=0, ddof=1)
    assert published.t == pytest.approx(z)
    assert plain.t == pytest.approx(z / math.sqrt(1 + 1 / 12))
    assert (plain.dof, plain.n_floored) == (11, 0)


def test_a_spread_below_a_twentieth_of_the_median_is_raised_to_it(rng):
    controls = rng.normal(0, 1, (10, 9))
    controls /= controls.std(axis=0, ddof=1)
    controls[:, 0] *= 0.04
    controls[:, 1] *= 0.06
    person = controls.mean(axis=0)[None] + 0.3
    found = control_deviation(person, controls, as_published=True)
    assert found.n_floored == 1
    assert found.t[0, :3] == pytest.approx([0.3 / 0.05, 0.3 / 0.06, 0.3])


@pytest.mark.parametrize(
    ("n", "given", "told"),
    [
        (1, {}, r"too few controls for a deviation map .found: 1 controls, 1 columns"),
        (4, {"covariates": np.ones((1, 1))}, "needed for people and controls alike"),
        (4, {"control_covariates": np.ones((4, 1))}, "needed for people and controls alike"),
        (3, {"covariates": np.ones((1, 2)), "control_covariates": np.eye(3)[:, :2]},
         "3 controls, 3 columns"),
        (5, {"covariates": np.ones((1, 1)), "control_covariates": np.ones((5, 1))},
         "5 controls, 2 columns"),
        (5, {"covariates": np.ones((1, 1)), "control_covariates": np.arange(5.0)[:, None],
             "as_published": True}, "the published deviation takes no covariates"),
    ],
)  # fmt: skip
def test_controls_that_tell_nothing(n, given, told):
    with pytest.raises(InputError, match=told):
        control_deviation(np.ones((1, 3)), np.random.default_rng(0).random((n, 3)), **given)
    with pytest.raises(InputError, match="the controls do not vary; check the maps"):
        control_deviation(np.ones((1, 3)), np.ones((4, 3)))


def test_each_control_is_left_out_in_turn(rng):
    controls, age = rng.normal(size=(7, 4)), rng.normal(size=(7, 1))
    found = leave_one_out_deviation(controls, control_covariates=age)
    for k in range(7):
        others = np.arange(7) != k
        one = control_deviation(controls[[k]], controls[others], covariates=age[[k]],
                                control_covariates=age[others])  # fmt: skip
        assert found.t[k] == pytest.approx(one.t[0])
    assert found.dof == 4


# Samples


def sample_of(groups=TWO, **covariates):
    subjects = tuple(f"{i:02d}" for i in range(len(groups)))
    values = {k: np.asarray(v, float) for k, v in covariates.items()}
    return Sample(subjects, tuple(groups), values, {"99": "no map"}, ("a", "b", "none"))


def grid_of(shape):
    return Grid(shape, np.diag([2.0, 2.0, 2.0, 1.0]))


def stacked(rng, groups=TWO, tiv="none", metrics=None, **covariates):
    """Maps of a sample; `metrics` are the numbers measured by subject."""
    measured = {subject: Measured(numbers) for subject, numbers in (metrics or {}).items()}
    stack = rng.normal(5, 1, (len(groups), 3, 2, 2)).astype(np.float32)
    mask = np.ones((3, 2, 2), bool)
    mask[0, 0, 0] = False
    return adjusted_sample(
        sample_of(groups, **covariates), stack, mask, grid_of(mask.shape), measured, tiv
    )


def test_maps_are_read_inside_the_mask_and_put_back(rng):
    found = stacked(rng)
    assert found.data.shape == (14, 11)
    assert found.mean_fd_mm is None and dict(found.covariates) == {}
    volume = found.volume(found.data[3], outside=-7)
    assert volume[0, 0, 0] == -7 and volume.dtype == np.float32
    assert (volume[found.mask] == found.data[3]).all()
    assert found.volume(2.0)[0, 0].tolist() == [0.0, 2.0]


@pytest.mark.parametrize("how", ["ancova", "proportional", "residual"])
def test_head_size_enters_where_it_should(how, rng):
    metrics = {f"{i:02d}": {"tiv_ml": 1300.0 + 20 * i, "mean_fd_mm": 0.1 * i} for i in range(14)}
    seed = int(rng.integers(1000))
    plain = stacked(np.random.default_rng(seed), metrics=metrics)
    run = lambda: stacked(np.random.default_rng(seed), tiv=how, metrics=metrics, age=range(14))  # noqa: E731
    if how == "residual":
        with pytest.warns(FalxNotice, match="TIV was regressed before the group model"):
            found = run()
    else:
        found = run()
    tiv = np.array([m["tiv_ml"] for m in metrics.values()])
    assert list(found.covariates) == ["age", *(["tiv_ml"] if how == "ancova" else [])]
    assert found.mean_fd_mm == pytest.approx(0.1 * np.arange(14))
    if how == "ancova":
        assert (found.data == plain.data).all()
        assert found.covariates["tiv_ml"] == pytest.approx(tiv)
    elif how == "proportional":
        assert found.data == pytest.approx(plain.data * (tiv.mean() / tiv)[:, None], rel=1e-5)
    else:
        for v in range(3):
            slope = np.polyfit(tiv, plain.data[:, v].astype(float), 1)[0]
            wanted = plain.data[:, v] - slope * (tiv - tiv.mean())
            assert found.data[:, v] == pytest.approx(wanted, abs=1e-4)


def test_a_head_without_size_is_refused(rng):
    metrics = {f"{i:02d}": {"tiv_ml": 1300.0} for i in range(13)}
    with pytest.raises(InputError, match="tiv_ml was not measured; choose none for head size"):
        stacked(rng, tiv="ancova", metrics=metrics)
    for tiv in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match=r"positive intracranial volume .found: .3,. for 3"):
            adjust_for_tiv(np.ones((3, 2)), [1300, tiv, 1400])
    with pytest.raises(InputError, match=r"found: .2,. for 3"):
        adjust_for_tiv(np.ones((3, 2)), [1300, 1400])
    with pytest.raises(OptionError, match="did you mean 'ancova'"):
        adjust_for_tiv(np.ones((3, 2)), [1, 2, 3], "ancov")


@few
@given(SEEDS)
def test_homogeneity_is_the_mean_of_the_other_correlations(seed):
    maps = np.random.default_rng(seed).normal(size=(6, 30)) + np.linspace(0, 3, 30)
    found = sample_homogeneity(maps)
    r = np.corrcoef(maps)
    means = [np.mean([r[i, j] for j in range(6) if j != i]) for i in range(6)]
    assert found.mean_correlation == pytest.approx(means)
    assert found.z == pytest.approx((means - np.mean(means)) / np.std(means, ddof=1))


def test_the_odd_map_is_named_by_its_person(rng):
    found = stacked(rng, groups=["a"] * 16 + ["b"] * 16)
    common = rng.normal(size=11)
    data = (5 + common + 0.05 * rng.normal(size=(32, 11))).astype(np.float32)
    data[20] = 5 - common
    told = sample_described(MapSample(found.sample, data, found.mask, found.grid, {}, None))
    assert told.odd_ones_out == ("20",)
    assert told.homogeneity_z["20"] == min(told.homogeneity_z.values()) < -3
    assert told.group_sizes == {"a": 16, "b": 16, "none": 0}
    assert told.subjects["20"] == "b" and told.left_out == {"99": "no map"}
    assert told.motion is None
    same = sample_homogeneity(np.tile(common, (4, 1)))
    assert same.z.tolist() == [0] * 4 and same.outliers == ()
    with pytest.raises(InputError, match=r"needs at least three maps .found: 2"):
        sample_homogeneity(np.ones((2, 5)))


def test_motion_is_told_where_people_moved_differently(rng):
    metrics = {f"{i:02d}": {"mean_fd_mm": 0.1 * (i % 3)} for i in range(14)}
    found = stacked(rng, metrics=metrics)
    told = sample_described(found)
    assert told.motion == motion_correlation(found.data, found.mean_fd_mm)
    still = {s: {"mean_fd_mm": 0.2} for s in metrics}
    assert sample_described(stacked(rng, metrics=still)).motion is None


# Patients by group and kind


def test_patients_are_those_who_are_no_controls(rng):
    groups = ["hc"] * 8 + ["p"] * 3 + ["q"] * 2 + ["hc"]
    sample = stacked(rng, groups=groups, age=rng.normal(40, 5, 14))
    found = deviations_of(sample, "hc", as_published=False)
    assert found.rows == (8, 9, 10, 11, 12)
    own = np.array([g == "hc" for g in groups])
    age = sample.covariates["age"][:, None]
    t = control_deviation(sample.data[~own], sample.data[own], covariates=age[~own],
                          control_covariates=age[own])  # fmt: skip
    assert found.z == pytest.approx(t_to_z(t.t, t.dof)) and found.dof == 7
    chance = leave_one_out_deviation(sample.data[own], control_covariates=age[own])
    beyond = np.abs(t_to_z(chance.t, chance.dof)) > BEYOND_Z
    assert found.controls_beyond_percent == pytest.approx(100 * beyond.mean())


def test_cells_hold_the_kinds_that_somebody_is_of(rng):
    groups = ["hc", "p", "p", "q", "p", "q", "hc"]
    sample = stacked(rng, groups=groups)
    kinds = dict(zip(sample.sample.subjects, ["", "L", "R", "R", "L", "", ""], strict=True))
    cells = cells_of(sample, ["p", "q"], kinds, ["L", "R", "", "X"])
    assert [(c.title, c.rows) for c in cells] == [
        ("p", (1, 2, 4)), ("p, L", (1, 4)), ("p, R", (2,)), ("q", (3, 5)), ("q, R", (3,)),
    ]  # fmt: skip
    # A kind of one person is not compared, nor one that only one group has.
    assert [(a.title, b.title) for a, b in pairs_of(cells)] == [("p", "q")]
    found = Deviations(np.zeros((5, 1)), (1, 2, 3, 4, 5), 1, 0.0)
    assert found.of(cells[1]) == [0, 3]
    assert found.of(cells[2], cells[3]) == [1, 2, 4]


def test_three_groups_make_no_pair():
    assert list(pairs_of([Cell(g, "", (1, 2)) for g in "abc"])) == []
    assert len(list(pairs_of([Cell(g, "", (1, 2)) for g in "ab"]))) == 1


# Tables


def halves():
    labels = np.zeros((6, 5, 4), np.int32)
    labels[:2], labels[4:] = 7, 9
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-5, 0, 10]
    rows = (LabelRow(7, "left one", "left"), LabelRow(9, "right one", "right"))
    return make_atlas(Image(labels, affine), rows)


def test_the_nearest_region_is_measured_to_the_centres_of_its_voxels():
    atlas = halves()
    assert nearest_region([-5.0, 4, 12], atlas) == ("left one", 0.0)
    assert nearest_region([5.0, 4, 12], atlas) == ("right one", 0.0)
    # x = -1 mm lies outside; the next centres are at -3 and 3 mm.
    assert nearest_region([-1.0, 4, 12], atlas) == ("left one", 2.0)
    name, distance = nearest_region([1.5, 4, 20], atlas)
    assert (name, distance) == ("right one", pytest.approx(math.hypot(1.5, 4)))
    assert region_name(9, np.array([1.0, 4, 12]), atlas) == "right one"
    assert region_name(0, np.array([-1.0, 4, 12]), atlas) == f"{OTHER} (peak 2.0 mm from left one)"
    assert region_name(0, np.array([-3.0, 4, 12]), atlas) == f"{OTHER} (peak in left one)"


def test_regions_come_by_size_then_number_and_small_ones_together():
    codes = np.array([5, 5, 5, 2, 2, 2, 0, 8, 8, 1])
    found = regions_of(np.arange(10), codes, 2)
    assert [(code, rows.tolist()) for code, rows in found] == [
        (2, [3, 4, 5]), (5, [0, 1, 2]), (0, [6, 7, 8, 9]),
    ]  # fmt: skip
    found = regions_of(np.array([0, 1, 7, 8]), codes, 0)
    assert [(code, rows.tolist()) for code, rows in found] == [(5, [0, 1]), (8, [7, 8])]


@pytest.fixture(scope="module")
def compared():
    rng = np.random.default_rng(4)
    shape = (6, 5, 4)
    data = rng.normal(0, 1, (20, 120)).astype(np.float32)
    data[:10].reshape(10, *shape)[:, :2, :2, :2] += 3
    data[:10].reshape(10, *shape)[:, 5, 4, 3] -= 4
    groups = ["a"] * 10 + ["b"] * 10
    design = two_sample_design(groups, "a", "b")
    options = InferenceOptions(voxel_p=0.01, n_permutations=49, enhance=False, connectivity=6)
    with pytest.warns(FalxNotice):
        return compare(data, np.ones(shape, bool), design, np.array([1.0, 0]),
                       np.random.default_rng(1), options=options, groups=groups)  # fmt: skip


def test_rows_of_a_table_add_up(compared):
    atlas = halves()
    space = TableSpace(np.ones((6, 5, 4), bool), Grid((6, 5, 4), atlas.image.affine), atlas, 1)
    rows = cluster_table(compared, compared.clusters, space, "a - b")
    assert {row.cluster for row in rows} == set(range(1, len(compared.clusters) + 1))
    for number, found in enumerate(compared.clusters, start=1):
        mine = [row for row in rows if row.cluster == number]
        assert sum(row.voxels for row in mine) == found.cluster.extent == mine[0].cluster_voxels
        assert mine[0].cluster_ml == pytest.approx(found.cluster.extent * 8 / 1000)
        assert {row.sign for row in mine} == {found.cluster.sign}
        assert {row.p_extent for row in mine} == {found.p_extent}
        assert mine[0].error_extent == pytest.approx(compared.plan.error(found.p_extent))
        largest = max(mine, key=lambda row: abs(row.t))
        assert largest.t == pytest.approx(compared.fit.t[found.cluster.peak_row])
        for row in mine:
            if row.code:
                assert row.percent_of_region == pytest.approx(100 * row.voxels / 40)
            assert row.p_tfce is None
    first = rows[0]
    assert (first.region, first.sign, first.contrast) == ("left one", 1, "a - b")
    assert first.x_mm in (-5.0, -3.0)
    assert ClusterRow.columns()[:3] == ("contrast", "cluster", "cluster_voxels")
    assert "f" in EffectRow.columns() and "f" not in ClusterRow.columns()


def test_corrections_count_what_is_rarer_than_alpha(compared):
    for by in ("fsl", "spm", "extent", "mass"):
        p = [getattr(found, f"p_{by}") for found in compared.clusters]
        assert len(compared.significant(by)) == sum(v < 0.05 for v in p)
        assert all(0 < v <= 1 for v in p)
    with pytest.raises(OptionError, match="did you mean 'extent'"):
        compared.significant("extend")
    fraction = scipy.stats.false_discovery_control(2 * compared.fit.p)
    assert compared.q == pytest.approx(fraction)
    assert compared.critical_t == pytest.approx(critical_t(0.01, compared.fit.dof))


def test_masks_without_a_common_voxel_say_how_full_they_are():
    masks = np.zeros((3, 2, 2, 2), bool)
    masks[0, 0], masks[1, 1], masks[2] = True, True, True
    with pytest.raises(InputError, match=r"masks of all images .found: 4 to 8 voxels an image"):
        common_mask(masks)
    assert common_mask(masks[1:]).sum() == 4


# Choices


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: InferenceOptions(voxel_p=0.2), "voxel_p is out of range"),
        (lambda: InferenceOptions(voxel_p=0.0), "voxel_p is out of range"),
        (lambda: InferenceOptions(n_permutations=0), "n_permutations is out of range"),
        (lambda: InferenceOptions(variance="equals"), "did you mean 'equal'"),
        (lambda: MapModel(head_size="anova"), "did you mean 'ancova'"),
        (lambda: MapModel(least_value=1.1), "least_value is out of range"),
        (
            lambda: SampleSettings(least_share=0.99),
            r"least_share: a voxel must lie in .*found: 0.99",
        ),
        (lambda: Selection(columns="age"), "columns must be a list"),
    ],
)
def test_choices_out_of_range(make, told):
    with pytest.raises(OptionError, match=told):
        make()


def test_the_published_setting_is_that_of_the_paper():
    found = InferenceOptions.as_published(99)
    assert (found.voxel_p, found.n_permutations, found.variance) == (0.005, 99, "equal")
    assert found.two_tailed and found.cluster_p == 0.05
    assert InferenceOptions.as_published().n_permutations == 5000
