"""The test of a region that was named beforehand, and which of its voxels a focus takes."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.grid import box_grid
from falx.images.smooth import smooth
from falx.pet.calibrated import Calibration, calibrated_signature
from falx.pet.decoy import NullMaps, half_of
from falx.pet.extent import Parts
from falx.pet.named import NamedRegion, region_test
from falx.pet.noise import HalfMaps
from falx.phantom.intensities import smooth_noise

GRID = box_grid((-60, -39, -39), (60, 39, 39), 3.0)
HALF = GRID.shape[0] // 2
GREY = np.ones(GRID.shape, dtype=bool)
BLUR_MM = 8.0
MM = GRID.centres_mm()


def ball(radius=10.0):
    return np.linalg.norm(MM - np.array((-36.0, 6.0, -9.0)), axis=-1) <= radius


def blurred(inside):
    return smooth(inside.astype(np.float32), GRID.voxel_sizes_mm, BLUR_MM)


def region(side="left"):
    """A ball as a hippocampus in six slabs from back to front, without an amygdala."""
    labels = np.where(ball() if side == "left" else ball()[::-1], 17 if side == "left" else 53, 0)
    parts = Parts.of(labels, MM[..., 1], side)
    numbers = parts.numbers(labels, MM[..., 1])
    shapes = [half_of(blurred(numbers == n), side) for n in range(1, parts.count + 1)]
    own = half_of(numbers, side)
    return NamedRegion("ball", side, own > 0, np.array(shapes), own, parts)


def field(sd, fwhm_mm, rng):
    drawn = smooth_noise(GRID, rng, fwhm_mm=fwhm_mm)
    return sd * (drawn - drawn[::-1]) / np.sqrt(2.0)


def index_of(inside, depth):
    step = -depth * blurred(inside)
    return step - step[::-1]


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(17)
    where = np.ones((HALF, *GRID.shape[1:]), dtype=bool)
    noise, healthy = (
        np.stack([field(sd, fwhm_mm, rng)[:HALF][where] for _ in range(30)])
        for sd, fwhm_mm in ((0.04, 8.0), (0.03, 21.0))
    )
    return NullMaps(HalfMaps(noise, where, GRID), HalfMaps(healthy, where, GRID))


def sought(index, maps, of, side="left"):
    return calibrated_signature(
        index, GREY, maps, Calibration(maps=100), side=side, rng=np.random.default_rng(2),
        region=of,
    )  # fmt: skip


def test_the_depth_of_a_region_that_is_lower_as_a_whole_is_exact(maps):
    sd = half_of(maps.usual(), "left")
    for widened in (1.0, 2.0):
        found = region_test(half_of(index_of(ball(), 0.2), "left"), region(), maps, sd, widened)
        assert found.depth == pytest.approx(-0.2, abs=1e-6)
        assert 0.02 < found.standard_error / widened < 0.06
    opposite = region_test(half_of(-index_of(ball(), 0.2), "left"), region(), maps, sd, 1.0)
    assert opposite.probability > 0.99


def test_healthy_maps_pass_as_often_as_stated(maps):
    rng, sd = np.random.default_rng(5), half_of(maps.usual(), "left")
    p = [
        region_test(
            half_of(field(0.04, 8.0, rng) + field(0.03, 21.0, rng), "left"),
            region(),
            maps,
            sd,
            1.0,
        ).probability
        for _ in range(60)
    ]
    # 6 expected below .1 and 30 below .5; limits of 99.9 %.
    assert np.count_nonzero(np.array(p) < 0.1) <= 14
    assert 17 <= np.count_nonzero(np.array(p) < 0.5) <= 43


def test_a_region_too_shallow_to_be_searched_is_found_by_its_name(maps):
    index = index_of(ball(), 0.15)
    unnamed, named = sought(index, maps, None), sought(index, maps, region())
    assert not unnamed.foci and unnamed.named is None
    assert [focus.named for focus in named.foci] == ["ball"]
    assert named.foci[0].probability == pytest.approx(2 * named.named.probability)
    assert (named.mask & ball()).sum() / ball().sum() > 0.95
    assert not (named.mask & ~ball()).any() and not named.by_search.any()
    assert named.reach.number == 1 and named.reach.extent.chance[:6].min() > 0.5


def test_what_blur_makes_around_it_is_no_further_focus_and_another_is(maps):
    alone = sought(index_of(ball(), 0.5), maps, region())
    assert len(alone.foci) == 1 and not (alone.mask & ~ball()).any()
    second = np.linalg.norm(MM - np.array((-30.0, -24.0, 21.0)), axis=-1) <= 11.0
    both = sought(index_of(ball() | second, 0.4), maps, region())
    assert sorted(str(focus.named) for focus in both.foci) == ["None", "ball"]
    assert (both.mask & second).sum() / second.sum() > 0.7


def test_of_a_region_that_is_half_diseased_about_half_is_taken(maps):
    front = ball() & (MM[..., 1] > 6.0)
    found = sought(index_of(front, 0.4), maps, region())
    rear = ball() & ~front
    assert (found.mask & front).sum() / front.sum() > 0.9
    assert found.probability[front].mean() > found.probability[rear].mean() + 0.3
    held = found.reach.extent
    assert held.chance[5] > 0.9 > 0.5 > held.chance[0]


def test_sides_are_mirror_images(maps):
    index = index_of(ball(), 0.2)
    left = sought(index, maps, region())
    right = sought(index[::-1], maps, region("right"), "right")
    np.testing.assert_array_equal(left.mask, right.mask[::-1])
    assert left.named == right.named and right.foci[0].side == "right"
