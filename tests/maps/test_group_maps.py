"""A planted effect is found, located and named; what is not there is not found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.grid import Grid
from falx.images.nifti import Image
from falx.maps.cluster_table import ClusterRow, TableSpace, cluster_table, nearest_region
from falx.maps.design import two_sample_design
from falx.maps.deviations.single import control_deviation, leave_one_out_deviation
from falx.maps.group_maps import common_mask, compare
from falx.maps.settings import InferenceOptions

SHAPE = (22, 24, 20)
GROUPS = ["DRE"] * 12 + ["HC"] * 12
FIRST = np.array([1.0, 0.0])
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
AFFINE[:3, 3] = [-31.5, -40.0, -20.0]


def smooth_noise(rng, n, sigma=1.5):
    fields = [ndimage.gaussian_filter(rng.normal(size=SHAPE), sigma) for _ in range(n)]
    return np.array(fields) / np.std(fields)


@pytest.fixture(scope="module")
def planted():
    """Loss in a ball on the left of 24 people, half of them patients."""
    rng = np.random.default_rng(3)
    maps = smooth_noise(rng, 24)
    centre = np.array([5, 8, 9])
    ball = np.linalg.norm(np.indices(SHAPE).T - centre, axis=-1).T < 3.2
    maps[:12, ball] -= 3.0
    mask = np.zeros(SHAPE, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    return maps[:, mask].astype(np.float32), mask, ball


@pytest.fixture(scope="module")
def result(planted):
    data, mask, _ = planted
    options = InferenceOptions(n_permutations=200)
    design = two_sample_design(GROUPS, "DRE", "HC")
    return compare(data, mask, design, FIRST, np.random.default_rng(0), options=options)


@pytest.fixture(scope="module")
def halves():
    """One region a side, parted at x = 0, leaving the lowest slices unlabelled."""
    labels = np.ones(SHAPE, np.int32)
    labels[11:] = 2
    labels[:, :, :3] = 0
    rows = [LabelRow(1, "Half_L", "left"), LabelRow(2, "Half_R", "right")]
    return make_atlas(Image(labels, AFFINE), rows, name="halves")


def test_the_planted_loss_is_found_by_every_correction(planted, result):
    _, mask, ball = planted
    for by in ("fsl", "spm", "extent", "mass"):
        found = result.significant(by)
        assert len(found) >= 1
        assert found[0].cluster.sign == -1
        inside = ball[mask][found[0].cluster.rows]
        assert inside.mean() > 0.5
    assert (result.p_tfce[ball[mask]] < 0.05).mean() > 0.9
    assert result.p_voxel.min() == pytest.approx(1 / 200)
    assert (result.q[ball[mask]] < 0.05).mean() > 0.9
    assert np.sign(result.tfce[np.argmax(np.abs(result.tfce))]) == -1
    assert result.fsl_test.least_extent > 1
    assert result.resels[0] == 1


def test_table_names_region_peak_and_share(planted, result, halves):
    _, mask, ball = planted
    grid = Grid(SHAPE, AFFINE)
    space = TableSpace(mask, grid, halves)
    rows = cluster_table(result, result.significant("extent"), space, "DRE - HC")
    first = rows[0]
    assert (first.region, first.code, first.sign) == ("Half_L", 1, -1)
    assert first.x_mm < 0
    index = np.rint((np.array([first.x_mm, first.y_mm, first.z_mm]) - AFFINE[:3, 3]) / 3)
    assert ball[tuple(index.astype(int))]
    assert first.t == pytest.approx(result.fit.t.min())
    assert first.cluster_ml == pytest.approx(first.cluster_voxels * 0.027)
    assert first.percent_of_region == pytest.approx(100 * first.voxels / (10 * 22 * 16))
    assert first.p_tfce <= 0.05
    assert sum(r.voxels for r in rows if r.cluster == 1) == first.cluster_voxels
    assert ClusterRow.columns()[:3] == ("contrast", "cluster", "cluster_voxels")


def test_small_and_unlabelled_parts_are_summed(planted, result, halves):
    _, mask, _ = planted
    grid = Grid(SHAPE, AFFINE)
    space = TableSpace(mask, grid, halves, min_region_voxels=10_000)
    rows = cluster_table(result, result.clusters[:1], space, "x")
    assert len(rows) == 1
    assert rows[0].code == 0
    assert rows[0].region.startswith("other / unlabelled (peak in Half_L")
    assert rows[0].percent_of_region is None
    name, distance = nearest_region([-31.5, -40.0, -20.0], halves)
    assert (name, distance) == ("Half_L", 9.0)


def test_mirrored_images_give_the_mirrored_table(planted, halves):
    data, mask, _ = planted
    maps = np.zeros((24, *SHAPE), np.float32)
    maps[:, mask] = data
    options = InferenceOptions(n_permutations=1, enhance=False)
    design = two_sample_design(GROUPS, "DRE", "HC")
    rng = np.random.default_rng(0)
    turned = compare(maps[:, ::-1][:, mask[::-1]], mask[::-1], design, FIRST, rng, options=options)
    space = TableSpace(mask[::-1], Grid(SHAPE, AFFINE), halves)
    row = cluster_table(turned, turned.significant(), space, "x")[0]
    assert row.region == "Half_R"
    assert row.x_mm > 0
    assert (row.p_extent, row.p_mass, row.p_tfce) == (None, None, None)
    assert turned.significant("extent") == ()


def test_published_setting_is_named_and_warned_of(planted):
    data, mask, _ = planted
    options = InferenceOptions.as_published(n_permutations=1)
    assert (options.voxel_p, options.cluster_p, options.two_tailed) == (0.005, 0.05, True)
    design = two_sample_design(GROUPS, "DRE", "HC")
    with pytest.warns(FalxNotice, match="not safe at this voxel threshold"):
        found = compare(data, mask, design, FIRST, np.random.default_rng(0), options=options)
    assert found.critical_t == pytest.approx(stats.t.isf(0.0025, 22))


def test_rough_maps_are_warned_of(rng):
    data = rng.normal(size=(24, 1000)).astype(np.float32)
    design = two_sample_design(GROUPS, "DRE", "HC")
    options = InferenceOptions(n_permutations=1, enhance=False)
    with pytest.warns(FalxNotice, match="too rough for random-field formulas"):
        compare(data, np.ones((10, 10, 10), bool), design, FIRST, rng, options=options)


def test_common_mask():
    masks = np.zeros((4, 2, 2, 2), bool)
    masks[:, 0] = True
    masks[0, 0, 0, 0] = False
    assert common_mask(masks).sum() == 3
    with pytest.raises(InputError, match="no voxel is covered"):
        common_mask(np.stack([masks[0], ~masks[0]]))


def test_deviation_is_a_single_case_t_test(rng):
    # Crawford and Howell 1998: t = (x - mean) / (s sqrt(1 + 1/n)).
    controls, person = rng.normal(10, 3, (20, 200)), rng.normal(10, 3, (1, 200))
    found = control_deviation(person, controls)
    s = controls.std(axis=0, ddof=1)
    np.testing.assert_allclose(
        found.t[0], (person[0] - controls.mean(0)) / (s * np.sqrt(1 + 1 / 20)), rtol=1e-9
    )
    assert found.dof == 19
    published = control_deviation(person, controls, as_published=True)
    np.testing.assert_allclose(published.t[0], (person[0] - controls.mean(0)) / s, rtol=1e-9)


def test_controls_deviate_by_chance_only(rng):
    # Leave-one-out z: mean zero, t distribution with n - 2 degrees of freedom.
    controls = rng.normal(5, 2, (16, 1))
    found = leave_one_out_deviation(rng.normal(5, 2, (16, 4000)))
    assert found.dof == 14
    assert found.t.mean() == pytest.approx(0, abs=0.02)
    assert stats.kstest(found.t[0], stats.t(14).cdf).pvalue > 0.01
    age = rng.normal(40, 10, (16, 1))
    aged = control_deviation(
        2 * age[:1], 2 * age + 0.01 * controls, covariates=age[:1], control_covariates=age
    )
    assert abs(aged.t[0, 0]) < 5


def test_bad_input_is_named(rng, planted):
    with pytest.raises(OptionError, match="voxel_p"):
        InferenceOptions(voxel_p=0.5)
    with pytest.raises(InputError, match="too few controls"):
        control_deviation(rng.normal(size=(1, 5)), rng.normal(size=(1, 5)))
    with pytest.raises(InputError, match="people and controls alike"):
        control_deviation(
            rng.normal(size=(1, 5)), rng.normal(size=(9, 5)), covariates=np.ones((1, 1))
        )
    with pytest.raises(InputError, match="controls do not vary"):
        control_deviation(rng.normal(size=(1, 5)), np.ones((9, 5)))
