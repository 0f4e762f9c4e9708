"""Targets, decoys and the familywise test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import OptionError
from falx.core.grid import Grid, box_grid
from falx.pet.decoy import (
    Clusters,
    MassNull,
    NullMaps,
    Search,
    cluster_decoy_rate,
    decoy_rate,
    half_of,
    low_clusters,
    mass_null,
    voxels_per_resel,
    widening,
)
from falx.pet.noise import HalfMaps
from falx.phantom.intensities import smooth_noise

GRID = box_grid((-60, -48, -48), (60, 48, 48), 4.0)
HALF = GRID.shape[0] // 2


def fields(count, sd, fwhm_mm, rng):
    where = np.ones((HALF, *GRID.shape[1:]), dtype=bool)
    values = [sd * smooth_noise(GRID, rng, fwhm_mm=fwhm_mm)[:HALF][where] for _ in range(count)]
    return HalfMaps(np.stack(values), where, GRID)


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(8)
    return NullMaps(fields(40, 0.04, 10.0, rng), fields(40, 0.03, 24.0, rng))


def search(maps, side="left"):
    return Search(side, maps.noise.where, half_of(maps.usual(), side))


@given(st.integers(3, 9))
def test_halves_are_mirror_images(planes):
    image = np.arange(planes, dtype=float).reshape(planes, 1, 1)
    left, right = half_of(image, "left"), half_of(image, "right")
    assert left.shape == right.shape == (planes // 2, 1, 1)
    np.testing.assert_array_equal(right, half_of(image[::-1], "left"))


def test_clusters_touch_by_edges_but_not_by_corners():
    z = np.zeros((3, 3, 3))
    z[0, 0, 0], z[0, 1, 1], z[1, 2, 2] = -3.5, -4.5, -3.0
    z[2, 0, 0] = 9.0
    found = low_clusters(z, 2.5)
    assert sorted(found.mass) == pytest.approx([0.5, 3.0])
    z[0, 1, 1] = 0.0
    assert sorted(low_clusters(z, 2.5).mass) == pytest.approx([0.5, 1.0])
    assert low_clusters(np.zeros((2, 2, 2))).largest == 0.0


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=40), st.floats(0, 10))
def test_probabilities_count_the_null(largest, mass):
    null = MassNull(np.array(largest))
    p = null.probability(mass)
    assert p == (1 + sum(value >= mass for value in largest)) / (1 + len(largest))
    assert null.probability(mass + 1) <= p


def test_the_usual_deviation_joins_noise_and_people(maps):
    assert maps.usual()[maps.noise.where.shape[0] // 2, 12, 12] == pytest.approx(0.05, rel=0.15)


def test_the_test_keeps_its_level(maps):
    rng = np.random.default_rng(9)
    where = search(maps)
    null = mass_null(maps, (where,), count=200, rng=rng)
    fresh = NullMaps(fields(60, 0.04, 10.0, rng), fields(60, 0.03, 24.0, rng))
    p = [
        null.probability(low_clusters(where.z((a + b).reshape(where.mask.shape))).largest)
        for a, b in zip(fresh.noise.values, fresh.healthy.values, strict=True)
    ]
    # 60 draws: 3 of .05 expected, 8 and more have a probability of .01.
    assert np.count_nonzero(np.array(p) <= 0.05) <= 7
    assert 0.35 < np.mean(p) < 0.65


def test_both_sides_find_larger_masses_than_one(maps):
    one = mass_null(maps, (search(maps),), count=150, rng=np.random.default_rng(1))
    both = mass_null(
        maps, (search(maps), search(maps, "right")), count=150, rng=np.random.default_rng(1)
    )
    assert np.all(both.largest >= one.largest) and both.largest.mean() > 1.05 * one.largest.mean()


def test_decoys_as_expected_widen_nothing_much_and_wilder_ones_do(maps):
    where, rng = search(maps), np.random.default_rng(3)
    null = mass_null(maps, (where,), count=200, rng=rng)
    z = where.z((maps.noise.values[0] + maps.healthy.values[0]).reshape(where.mask.shape))
    assert widening(z, where, null, 0.001)[0] < 1.2
    factor, refuted = widening(2 * z, where, null, 0.05)
    assert factor == pytest.approx(2.0, rel=0.25)
    peak = z.copy()
    peak[10:13, 10:13, 10:13] = 9.0
    assert widening(peak, where, null, 0.05) == (9.0 / 3.5, True)
    # Low values are what is sought: however many there are, they widen nothing.
    low = np.where(z > 0, z, 3 * z)
    assert widening(low, where, null, 0.001) == widening(z, where, null, 0.001)
    assert widening(-np.abs(z), where, null, 0.05) == (1.0, False)
    assert not refuted or factor >= 2.0


def test_rates_of_voxels_are_decoys_over_targets():
    values = np.r_[np.full(60, -0.2), np.full(20, 0.2), np.full(500, 0.01)]
    found = decoy_rate(values, -0.1, 2.0)
    assert (found.targets, found.decoys) == (30.0, 10.0)
    assert found.rate == pytest.approx(11 / 30)
    assert found.low < 10 / 30 < found.high
    assert decoy_rate(values, -0.3, 2.0).rate == 1.0
    with pytest.raises(OptionError, match="threshold"):
        decoy_rate(values, 0.1, 1.0)


@given(st.integers(1, 400), st.integers(0, 400))
def test_intervals_hold_the_share(targets, decoys):
    values = np.r_[np.full(targets, -1.0), np.full(decoys, 1.0)]
    found = decoy_rate(values, -0.5, 1.0)
    assert 0 <= found.low <= min(decoys / targets, 1.0) <= found.high <= 1
    assert found.rate <= found.high


def test_equal_halves_are_all_false(rng):
    values = rng.standard_normal(20_000)
    assert decoy_rate(values, -1.0, 1.0).rate == pytest.approx(1.0, abs=0.06)


def test_a_single_focus_cannot_be_judged_by_its_decoys():
    assert cluster_decoy_rate(np.array([50.0]), np.array([]), 50.0) == 1.0
    twenty = np.arange(1.0, 21.0)
    assert cluster_decoy_rate(twenty, np.array([]), 1.0) == pytest.approx(1 / 20)
    assert cluster_decoy_rate(twenty, np.array([5.0, 0.5]), 1.0) == pytest.approx(2 / 20)
    assert cluster_decoy_rate(twenty, twenty, 99.0) == 1.0


def test_resels_follow_the_smoothness(rng):
    rough, smooth = fields(8, 1.0, 10.0, rng), fields(8, 1.0, 24.0, rng)
    assert voxels_per_resel(rough) == pytest.approx((10 / 4) ** 3, rel=0.15)
    assert voxels_per_resel(smooth) == pytest.approx((24 / 4) ** 3, rel=0.15)
    mixed = voxels_per_resel(rough, smooth)
    assert mixed == pytest.approx(
        (voxels_per_resel(rough) + voxels_per_resel(smooth)) / 2, rel=0.15
    )


def test_z_is_zero_outside():
    mask = np.array([[[True, False, True]]])
    where = Search("left", mask, np.array([[[0.5, 0.5, 0.0]]], dtype=np.float32))
    assert where.z(np.ones((1, 1, 3))).ravel().tolist() == [2.0, 0.0, 0.0]
    assert Clusters(np.zeros(1, np.int32), np.zeros(0)).largest == 0.0


@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")])
def test_null_masses_are_those_of_the_clusters_of_every_map_bit_for_bit(sides):
    shape, rng = (9, 11, 10), np.random.default_rng(3)
    where = rng.random(shape) < 0.8
    grid = Grid((18, 11, 10), np.diag([2.0, 2.0, 2.0, 1.0]))
    drawn = rng.standard_normal((2, 7, np.count_nonzero(where))).astype(np.float32)
    maps = NullMaps(HalfMaps(drawn[0], where, grid), HalfMaps(drawn[1], where, grid))
    searches = tuple(
        Search(side, rng.random(shape) < 0.9, rng.uniform(0.0, 0.9, shape).astype(np.float32))
        for side in sides
    )
    found = mass_null(maps, searches, count=60, rng=np.random.default_rng(5)).largest
    again, expected = np.random.default_rng(5), []
    for _ in range(60):
        pair = again.integers(7), again.integers(7)
        own, other = again.choice(np.array([-1, 1], dtype=np.float32), 2)
        half = np.zeros(shape, dtype=np.float32)
        half[where] = own * drawn[0, pair[0]] + other * drawn[1, pair[1]]
        expected.append(
            max(low_clusters(s.z(half if s.side == "left" else -half)).largest for s in searches)
        )
    assert found.tolist() == expected
    assert found.min() > 0.0
