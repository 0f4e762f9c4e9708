"""Everybody's values kept for a page: rounding, coarser grids, and what is too much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.grid import Grid
from falx.maps.cluster_values import adjusted, adjustment
from falx.maps.design import group_design, two_sample_design
from falx.maps.map_sample import MapSample
from falx.maps.people.files import read_person_maps, write_person_maps
from falx.maps.people.person_maps import coded, person_maps, thinned
from falx.maps.sample import Sample

SHAPE, AFFINE = (7, 9, 6), np.diag([2.0, 2.0, 3.0, 1.0])
GROUPS = ("a", "b", "a", "b", "b")


@pytest.fixture
def stacked():
    rng = np.random.default_rng(4)
    mask = rng.random(SHAPE) < 0.8
    people = tuple(f"{k:02d}" for k in range(5))
    sample = Sample(people, GROUPS, {}, {}, ("a", "b"))
    data = 1000 + rng.normal(size=(5, int(mask.sum()))).astype(np.float32)
    return MapSample(sample, data, mask, Grid(SHAPE, AFFINE), {"age": np.arange(5.0)}, None)


@pytest.fixture
def model(stacked):
    design = group_design(GROUPS, stacked.covariates)
    return design, np.eye(2, design.matrix.shape[1])


@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)),
    st.sampled_from([254, 65_535]),
)
def test_a_value_is_kept_to_half_a_step_of_its_voxels_range(values, levels):
    found = coded(values, levels)
    half = np.ptp(values.astype(float), axis=1) / levels / 2
    assert (np.abs(found.values() - values) <= half[:, None] + 1e-6 * np.abs(values) + 1e-30).all()


def test_few_people_keep_every_voxel(stacked, model):
    found = person_maps(stacked, *model)
    assert np.array_equal(found.mask, stacked.mask) and found.people == stacked.sample.subjects
    np.testing.assert_allclose(found.coded.values(), stacked.data.T, atol=1e-3)


def test_many_keep_voxels_farther_apart_with_their_own_values(stacked, model):
    found = person_maps(stacked, *model, most=400)
    assert found.grid.voxel_sizes_mm.tolist() == [4.0, 4.0, 6.0]
    assert 0 < found.mask.sum() * 5 <= 400
    volume = stacked.volume(stacked.data[3])
    for place, value in zip(np.argwhere(found.mask), found.coded.values()[:, 3], strict=True):
        at = np.linalg.inv(AFFINE) @ (found.grid.affine @ [*place, 1.0])
        assert volume[tuple(np.rint(at[:3]).astype(int))] == pytest.approx(value, abs=1e-3)


def test_too_many_keep_nothing_rather_than_a_map_of_8_mm_and_more(stacked, model, tmp_path):
    found = person_maps(stacked, *model, most=20)
    assert not found.mask.any() and found.coded.codes.shape == (0, 5)
    write_person_maps(tmp_path / "p.npz", found)
    assert read_person_maps(tmp_path / "p.npz").coded.values().shape == (0, 5)


def test_files_come_back_and_are_the_same_bytes(stacked, model, tmp_path):
    found = person_maps(stacked, *model)
    for name in ("a.npz", "b.npz"):
        write_person_maps(tmp_path / name, found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = read_person_maps(tmp_path / "a.npz")
    assert (again.people, again.groups) == (found.people, GROUPS)
    assert np.array_equal(again.coded.codes, found.coded.codes)
    np.testing.assert_array_equal(again.grid.affine, found.grid.affine)


def test_thinning_keeps_the_world_of_every_voxel():
    world = Grid(SHAPE, AFFINE).centres_mm()
    for every in (2, 3, 4):
        x, grid = thinned(world[..., 0], Grid(SHAPE, AFFINE), every)
        np.testing.assert_allclose(grid.centres_mm()[..., 0], x)


def test_covariates_are_taken_out_and_groups_stay():
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 60, 10)
    design = two_sample_design(["a"] * 5 + ["b"] * 5, "a", "b", {"age": ages})
    y = 3.0 * (np.arange(10) < 5) + 0.2 * ages
    even = adjustment(design, design.contrast({"a - b": 1.0})) @ y
    np.testing.assert_allclose(even[:5], even[0])
    assert even[0] - even[9] == pytest.approx(3.0) and even.mean() == pytest.approx(y.mean())
    np.testing.assert_allclose(adjusted(y, design, design.contrast({"a - b": 1.0})), even)
