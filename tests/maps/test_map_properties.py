"""What must not change a group map, what must change it in a known way, and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy import stats as scipy_stats

from falx.core.grid import Grid
from falx.maps.anova import group_contrasts
from falx.maps.design import group_design, two_sample_design
from falx.maps.deviations.sample import cells_of, pairs_of
from falx.maps.deviations.single import control_deviation, leave_one_out_deviation
from falx.maps.group_maps import common_mask
from falx.maps.head_size import adjust_for_tiv
from falx.maps.inference.clusters import cluster_maxima, find_clusters
from falx.maps.inference.neighbours import neighbour_table
from falx.maps.inference.permutation import MaximaNull, permutation_null
from falx.maps.inference.random_fields import FslClusterTest, SpmField
from falx.maps.inference.rearrangements import permutation_plan
from falx.maps.inference.smoothness import resel_counts
from falx.maps.inference.tfce import tfce
from falx.maps.linear import fit_contrast, fit_f, t_to_z
from falx.maps.map_sample import MapSample
from falx.maps.sample import Sample

SEEDS = st.integers(0, 2**32 - 1)
CONNECTIVITY = st.sampled_from([6, 18, 26])
SHAPES = st.tuples(*[st.integers(2, 6)] * 3)
few = settings(max_examples=15)


def people(seed, n=12, voxels=4):
    """Data, groups and an age of n people."""
    rng = np.random.default_rng(seed)
    groups = ["a"] * 5 + ["b"] * (n - 5)
    return rng.normal(size=(n, voxels)), groups, rng.normal(40, 9, n), rng


def t_of(data, groups, age, first="a", second="b"):
    design = two_sample_design(groups, first, second, {"age": age})
    return fit_contrast(data, design, design.contrast({f"{first} - {second}": 1.0})).t


@few
@given(SEEDS)
def test_order_of_people_changes_no_t(seed):
    data, groups, age, rng = people(seed)
    order = rng.permutation(12)
    shuffled = t_of(data[order], [groups[k] for k in order], age[order])
    np.testing.assert_allclose(shuffled, t_of(data, groups, age), rtol=1e-9)


@few
@given(SEEDS)
def test_exchanged_groups_and_mirrored_data_turn_the_sign(seed):
    data, groups, age, _ = people(seed)
    t = t_of(data, groups, age)
    np.testing.assert_allclose(t_of(data, groups, age, "b", "a"), -t, rtol=1e-9)
    np.testing.assert_allclose(t_of(-data, groups, age), -t, rtol=1e-9)


@few
@given(SEEDS, st.floats(-50, 50), st.floats(-3, 3))
def test_what_the_covariate_explains_changes_no_t(seed, offset, slope):
    data, groups, age, _ = people(seed)
    again = t_of(data + offset + slope * age[:, None], groups, age)
    np.testing.assert_allclose(again, t_of(data, groups, age), rtol=1e-6, atol=1e-9)


@few
@given(SEEDS, st.permutations("abc"))
def test_f_knows_no_first_group(seed, names):
    rng = np.random.default_rng(seed)
    data, age = rng.normal(size=(12, 4)), rng.normal(size=12)

    def f_of(words):
        design = group_design([words[k % 3] for k in range(12)], {"age": age})
        return fit_f(data, design, group_contrasts(design, 3)).f

    np.testing.assert_allclose(f_of("".join(names)), f_of("abc"), rtol=1e-9)


@few
@given(st.floats(-30, 30), st.floats(-30, 30), st.integers(2, 300))
def test_z_has_the_tail_of_t_and_its_order(one, other, dof):
    z = t_to_z([one, other], dof)
    tails = scipy_stats.t.sf(np.abs([one, other]), dof)
    # Beyond |z| of 30 the tail is below what a double holds and is cut.
    np.testing.assert_allclose(scipy_stats.norm.sf(np.abs(z)), tails, rtol=1e-6)
    assert (z[0] < z[1]) == (one < other) or z[0] == pytest.approx(z[1], abs=1e-9)


@settings(max_examples=10)
@given(SEEDS, st.integers(2, 4), st.integers(2, 4))
def test_p_of_all_relabelings_is_the_share_of_larger_t(seed, n_first, n_second):
    rng = np.random.default_rng(seed)
    n = n_first + n_second
    data = rng.normal(size=(n, 3))
    design = two_sample_design(["a"] * n_first + ["b"] * n_second, "a", "b")
    plan = permutation_plan(n, 5000, rng, labels=design.matrix[:, 0])
    null = permutation_null(data, design, np.array([1.0, 0.0]), plan)

    def largest(chosen):
        own = np.isin(np.arange(n), chosen)
        return np.abs(scipy_stats.ttest_ind(data[own], data[~own]).statistic).max()

    every = [largest(c) for c in itertools.combinations(range(n), n_first)]
    observed = largest(range(n_first))
    share = np.mean(np.array(every) >= observed * (1 - 1e-5))
    assert plan.exhaustive and len(plan) == len(every)
    assert null.p_value(observed, null.t) == pytest.approx(share)


@few
@given(SEEDS, st.floats(0.01, 1e4))
def test_sign_and_scale_of_the_data_change_no_null(seed, scale):
    data, groups, age, rng = people(seed)
    design = two_sample_design(groups, "a", "b", {"age": age})
    plan, contrast = permutation_plan(12, 20, rng), design.contrast({"a - b": 1.0})
    null = permutation_null(data, design, contrast, plan).t
    again = permutation_null(-scale * data, design, contrast, plan).t
    np.testing.assert_allclose(again, null, rtol=1e-4)


@few
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=40),
    st.lists(st.floats(0, 100), min_size=2, max_size=9),
)
def test_permutation_p_is_a_share_that_falls(null, observed):
    null = np.array(null)
    p = MaximaNull.p_value(np.sort(observed), null)
    assert np.all(np.diff(p) <= 0)
    assert MaximaNull.p_value(null[0], null) >= 1 / len(null)
    np.testing.assert_allclose(p * len(null), np.round(p * len(null)))
    assert p.min() >= 0 and p.max() <= 1


def field(seed, shape, sigma=0.8):
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    return 2.5 * values / max(values.std(), 1e-9)


@few
@given(SEEDS, SHAPES, CONNECTIVITY)
def test_tfce_is_that_of_another_exact_program(seed, shape, connectivity):
    from tfce import tfce as peer

    values = field(seed, shape).astype(np.float32)
    own = tfce(values.ravel(), neighbour_table(np.ones(shape, bool), connectivity))
    theirs = peer(values, connectivity=connectivity).ravel()
    np.testing.assert_allclose(own, theirs, rtol=2e-5, atol=2e-5 * np.abs(own).max())


@few
@given(SEEDS, SHAPES, CONNECTIVITY, st.floats(0.1, 10))
def test_tfce_grows_with_the_third_power_of_height(seed, shape, connectivity, scale):
    values, table = field(seed, shape).ravel(), neighbour_table(np.ones(shape, bool), connectivity)
    expected = scale**3 * tfce(values, table)
    found = tfce(scale * values, table)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


@few
@given(SEEDS, SHAPES, CONNECTIVITY, st.data())
def test_a_higher_voxel_lowers_no_tfce(seed, shape, connectivity, data):
    values, table = np.abs(field(seed, shape)).ravel(), None
    table = neighbour_table(np.ones(shape, bool), connectivity)
    raised = values.copy()
    raised[data.draw(st.integers(0, values.size - 1))] += data.draw(st.floats(0, 5))
    before = tfce(values, table)
    assert np.all(tfce(raised, table) >= before - 1e-9 * before.max())


@few
@given(SEEDS, SHAPES, CONNECTIVITY, st.floats(0.2, 4))
def test_clusters_are_connected_parts_beyond_the_threshold(seed, shape, connectivity, threshold):
    values = field(seed, shape)
    table = neighbour_table(np.ones(shape, bool), connectivity)
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    extents, masses = [], []
    for sign in (1, -1):
        labels, n = ndimage.label(sign * values >= threshold, structure)
        for k in range(1, n + 1):
            extents.append(int((labels == k).sum()))
            masses.append(float((np.abs(values[labels == k]) - threshold).sum()))
    found = find_clusters(values.ravel(), table, threshold)
    assert [c.extent for c in found] == sorted(extents, reverse=True)
    assert sorted(c.mass for c in found) == pytest.approx(sorted(masses))
    largest = cluster_maxima(values.ravel(), table, threshold)
    assert largest == (max(extents, default=0), pytest.approx(max(masses, default=0.0)))


@few
@given(SEEDS, SHAPES, CONNECTIVITY)
def test_neighbours_are_mutual_and_as_near_as_they_should(seed, shape, connectivity):
    mask = np.random.default_rng(seed).random(shape) < 0.6
    mask[0, 0, 0] = True
    table, place = neighbour_table(mask, connectivity), np.argwhere(mask)
    step = np.abs(place[:, None] - place[None])
    near = (step.max(axis=2) == 1) & (step.sum(axis=2) <= {6: 1, 18: 2, 26: 3}[connectivity])
    found = np.zeros_like(near)
    for row, own in enumerate(table):
        found[row, own[own >= 0]] = True
    assert np.array_equal(found, near)


@few
@given(
    st.integers(1000, 200_000), st.floats(0.01, 0.5), st.floats(1e-4, 0.05), st.floats(0.001, 0.2)
)
def test_the_least_extent_is_the_first_that_passes(n_voxels, dlh, voxel_p, cluster_p):
    test = FslClusterTest(n_voxels, dlh, voxel_p, cluster_p)
    p = [test.p_value(k) for k in (1, 2, 5, 20, 60)]
    assert np.all(np.diff(p) <= 0)
    least = test.least_extent
    assert test.p_value(least) < test.alpha
    assert least == 1 or test.p_value(least - 1) >= test.alpha


@few
@given(
    st.floats(2.0, 8.0), st.floats(2.0, 8.0), st.floats(0, 20), st.floats(0, 20),
    st.floats(1.0, 4.0),
)  # fmt: skip
def test_higher_wider_and_in_less_space_is_rarer(u, v, small, large, wide):
    resels = resel_counts(np.ones((20, 22, 18), bool), 3.0)
    spm, larger = SpmField(resels, "T", 40), SpmField(wide * resels, "T", 40)
    assert spm.p_cluster(max(u, v), 0.0) <= spm.p_cluster(min(u, v), 0.0)
    k, m = min(small, large), max(small, large)
    assert spm.p_cluster(u, m) <= spm.p_cluster(u, k) <= spm.p_cluster(u, 0.0)
    assert larger.p_cluster(u, 0.0) >= spm.p_cluster(u, 0.0)


@few
@given(SHAPES, st.tuples(*[st.floats(1.0, 9.0)] * 3), st.floats(1.1, 4.0))
def test_resels_of_a_box_are_its_sides_over_the_widths(shape, fwhm, scale):
    a, b, c = (np.array(shape) - 1) / np.array(fwhm)
    box = np.ones(shape, bool)
    found = resel_counts(np.pad(box, 1), fwhm)
    np.testing.assert_allclose(found, [1, a + b + c, a * b + a * c + b * c, a * b * c])
    wider = resel_counts(box, np.array(fwhm) * scale)
    np.testing.assert_allclose(wider, found / scale ** np.arange(4))


@few
@given(SEEDS, st.floats(0.01, 100), st.floats(-100, 100))
def test_deviation_is_free_of_scale_and_origin(seed, scale, offset):
    rng = np.random.default_rng(seed)
    controls, patients = rng.normal(size=(9, 5)), rng.normal(size=(3, 5))
    plain = control_deviation(patients, controls)
    moved = control_deviation(scale * patients + offset, scale * controls + offset)
    np.testing.assert_allclose(moved.t, plain.t, rtol=1e-6, atol=1e-7)
    published = control_deviation(patients, controls, as_published=True)
    np.testing.assert_allclose(published.t, plain.t * np.sqrt(1 + 1 / 9))


@few
@given(SEEDS)
def test_one_left_out_is_a_two_sample_t_with_one_in_a_group(seed):
    controls = np.random.default_rng(seed).normal(size=(8, 40))
    found = leave_one_out_deviation(controls)
    for k in range(8):
        others = np.delete(controls, k, axis=0)
        floored = others.std(axis=0, ddof=1) < 0.05 * np.median(others.std(axis=0, ddof=1))
        t = (controls[k] - others.mean(axis=0)) / (others.std(axis=0, ddof=1) * np.sqrt(1 + 1 / 7))
        np.testing.assert_allclose(found.t[k][~floored], t[~floored])
    assert found.dof == 6


@few
@given(SEEDS)
def test_head_size_is_taken_out(seed):
    rng = np.random.default_rng(seed)
    tiv = rng.uniform(1200, 1700, 11)
    maps = rng.normal(size=(11, 6)) + 0.01 * tiv[:, None]
    with pytest.warns(UserWarning, match="TIV was regressed"):
        rest = adjust_for_tiv(maps, tiv, "residual").maps.astype(float)
    centred = rest - rest.mean(axis=0)
    r = (tiv - tiv.mean()) @ centred / np.linalg.norm(centred, axis=0)
    assert np.abs(r).max() < 1e-2 * np.linalg.norm(tiv - tiv.mean())
    np.testing.assert_allclose(rest.mean(axis=0), maps.mean(axis=0), rtol=1e-5)
    scaled = adjust_for_tiv(np.outer(tiv, np.ones(3)), tiv, "proportional").maps
    np.testing.assert_allclose(scaled, tiv.mean(), rtol=1e-6)
    assert adjust_for_tiv(maps, tiv, "ancova").covariate is not None
    assert adjust_for_tiv(maps, tiv, "none").covariate is None


@few
@given(SEEDS, st.integers(1, 5))
def test_common_voxels_lie_in_every_mask(seed, n):
    masks = np.random.default_rng(seed).random((n, 3, 4, 5)) < 0.8
    masks[:, 1, 1, 1] = True
    common = common_mask(masks)
    assert np.array_equal(common, np.logical_and.reduce(masks))


@few
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", ""])), min_size=3,
             max_size=14)
)  # fmt: skip
def test_every_patient_is_averaged_in_the_group_and_in_the_kind(told):
    subjects = tuple(f"{k:02d}" for k in range(len(told)))
    groups = tuple(group for group, _ in told)
    kinds = {s: kind for s, (_, kind) in zip(subjects, told, strict=True)}
    sample = Sample(subjects, groups, {}, {}, ("a", "b", "c"))
    mask = np.ones((1, 1, 2), bool)
    stacked = MapSample(
        sample, np.zeros((len(told), 2)), mask, Grid((1, 1, 2), np.eye(4)), {}, None
    )
    cells = cells_of(stacked, ("a", "b"), kinds, ("x", "y", ""))
    for cell in cells:
        expected = [
            k for k, (group, kind) in enumerate(told)
            if group == cell.group and cell.kind in ("", kind)
        ]  # fmt: skip
        assert list(cell.rows) == expected
        assert cell.title == (f"{cell.group}, {cell.kind}" if cell.kind else cell.group)
    assert [c.group for c in cells if not c.kind] == ["a", "b"]
    for first, second in pairs_of(cells):
        assert (first.group, second.group, first.kind) == ("a", "b", second.kind)
        assert min(len(first.rows), len(second.rows)) >= 2


@few
@given(SEEDS)
def test_values_of_the_mask_come_back_from_a_volume(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((3, 4, 5)) < 0.5
    mask[0, 0, 0], mask[2, 3, 4] = True, False
    values = rng.normal(size=mask.sum()).astype(np.float32)
    sample = MapSample(Sample((), (), {}, {}, ()), values[None], mask, Grid(mask.shape, np.eye(4)),
                       {}, None)  # fmt: skip
    assert np.array_equal(sample.volume(values)[mask], values)
    assert not sample.volume(values)[~mask].any()
    assert np.isnan(sample.volume(values, outside=np.nan)[~mask]).all()
    assert np.isnan(sample.volume(np.nan, outside=np.nan)).all()
