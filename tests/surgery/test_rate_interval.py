"""The interval of an ablative rate: what widens it, what it is not stated for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.core.grid import box_grid
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.pet.calibrated import Calibration, calibrated_signature
from falx.pet.decoy import NullMaps
from falx.pet.finding import Foci
from falx.pet.maps import Place
from falx.pet.noise import HalfMaps
from falx.pet.shares import ErrorDraws
from falx.phantom.intensities import smooth_noise
from falx.surgery.outcome.focus_rates import ALL, focus_parts, focus_rates, sought_parts
from falx.surgery.outcome.rate_interval import (
    FAR_MM,
    RateErrors,
    RateInterval,
    rate_intervals,
    signed_distance_mm,
)

GRID = box_grid((-60, -39, -39), (60, 39, 39), 3.0)
MM = GRID.centres_mm().astype(np.float32)
STILL = RateErrors(edge_sd_mm=0.0, shift_sd_mm=0.0, rate_draws=60)


def ball(centre, radius):
    return np.linalg.norm(MM - np.array(centre), axis=-1) <= radius


FOCUS = ball((-36.0, 6.0, -9.0), 12.0)
HALF_TAKEN = FOCUS & (MM[..., 1] > 6.0)


@pytest.fixture(scope="module")
def case():
    """A planted ball, found; its null maps; and where things are."""
    rng = np.random.default_rng(17)
    half = GRID.shape[0] // 2
    where = np.ones((half, *GRID.shape[1:]), dtype=bool)

    def field(sd, fwhm_mm):
        drawn = smooth_noise(GRID, rng, fwhm_mm=fwhm_mm)
        return sd * (drawn - drawn[::-1]) / np.sqrt(2.0)

    noise, healthy = (
        HalfMaps(np.stack([field(sd, w)[:half][where] for _ in range(20)]), where, GRID)
        for sd, w in ((0.04, 8.0), (0.02, 21.0))
    )
    step = smooth(-0.3 * FOCUS.astype(np.float32), GRID.voxel_sizes_mm, 8.0)
    index = (step - step[::-1] + 0.5 * field(0.04, 8.0)).astype(np.float32)
    maps = NullMaps(noise, healthy)
    everywhere = np.ones(GRID.shape, bool)
    found = calibrated_signature(
        index, everywhere, maps, Calibration(draws=20, maps=100), side="left",
        rng=np.random.default_rng(2),
    )  # fmt: skip
    assert len(found.foci) == 1
    brain = Image(everywhere, GRID.affine)
    place = Place(GRID, GRID, brain, Image(everywhere.astype(np.int32), GRID.affine), MM, MM)
    return Foci(found, found.probability, found.mask, (), found.regions), maps, place


def interval(case, settings, *, ablation=HALF_TAKEN, structure=FOCUS, factor=1.0, seed=1):
    foci, maps, place = case
    return rate_intervals(
        foci, ErrorDraws(maps, factor), place, Image(ablation, GRID.affine),
        {"it": structure}, settings, np.random.default_rng(seed),
    )["it"]  # fmt: skip


def test_the_planted_rate_lies_within(case):
    found = interval(case, RateErrors(rate_draws=200))
    true = np.count_nonzero(HALF_TAKEN) / np.count_nonzero(FOCUS)
    assert found.low < true < found.high and found.high - found.low < 0.5
    assert found.reason is None


def test_every_source_of_error_widens_it(case):
    def width(settings, factor=1.0):
        one = interval(case, settings, factor=factor)
        return one.high - one.low

    exact = width(STILL, 0.01)
    assert exact < 0.02
    assert width(STILL) > exact + 0.01
    assert width(STILL, 2.0) > width(STILL)
    for settings in (RateErrors(2.0, 0.0, 100), RateErrors(0.0, 2.0, 100)):
        assert width(settings, 0.01) > exact + 0.05


def test_all_or_nothing_taken_is_certain_without_errors_of_the_mask(case):
    everything = interval(case, STILL, ablation=np.ones(GRID.shape, bool))
    assert everything == RateInterval(1.0, 1.0)
    away = interval(case, STILL, ablation=ball((30.0, 0.0, 0.0), 8.0))
    assert away == RateInterval(0.0, 0.0)


def test_a_structure_without_signature_has_no_interval(case):
    found = interval(case, STILL, structure=ball((36.0, 6.0, -9.0), 12.0))
    assert found.low is None and "100% of the draws the structure holds no" in found.reason
    _, maps, place = case
    empty = calibrated_signature(
        np.zeros(GRID.shape, np.float32), np.ones(GRID.shape, bool), maps,
        Calibration(draws=20, maps=100), side="left", rng=np.random.default_rng(2),
    )  # fmt: skip
    nothing = (Foci(empty, empty.probability, empty.mask, (), empty.regions), maps, place)
    assert interval(nothing, STILL).reason == "no signature to take a rate of"


def test_the_same_seed_gives_the_same(case):
    settings = RateErrors(rate_draws=50)
    assert interval(case, settings) == interval(case, settings)
    assert interval(case, settings) != interval(case, settings, seed=2)


def test_signed_distances_change_sign_halfway_between_voxels():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[3:6, 3:6, 3:6] = True
    distance = signed_distance_mm(Image(mask, np.diag([2.0, 2.0, 2.0, 1.0]))).data
    assert distance[4, 4, 4] == -3.0 and distance[3, 4, 4] == -1.0 and distance[2, 4, 4] == 1.0
    np.testing.assert_array_equal(distance <= 0, mask)


def test_distances_within_a_box_are_those_of_the_whole():
    mask, within = np.zeros((2, 12, 11, 9), dtype=bool)
    mask[3:6, 3:6, 3:6], within[4:10, 2:4, 4] = True, True
    image = Image(mask, np.diag([2.0, 1.5, 1.0, 1.0]))
    whole, part = signed_distance_mm(image).data, signed_distance_mm(image, within).data
    assert np.array_equal(part[2:11, 1:7, 2:7], whole[2:11, 1:7, 2:7])
    assert part[0, 0, 0] == FAR_MM


def test_settings_are_checked():
    with pytest.raises(OptionError, match="edge_sd_mm"):
        RateErrors(edge_sd_mm=-1.0)


def test_any_focus_has_a_rate_of_its_own_wherever_it_lies(case):
    foci, maps, place = case
    parts = focus_parts(foci, place)
    assert list(parts) == [ALL, "focus 1"]
    burnt = Image(MM[..., 1] > 6.0, GRID.affine)
    errors = ErrorDraws(maps, 1.0)
    intervals = rate_intervals(foci, errors, place, burnt, parts, STILL, np.random.default_rng(1))
    whole, one = focus_rates(foci, place, burnt, parts, intervals)
    true = np.count_nonzero(HALF_TAKEN) / np.count_nonzero(FOCUS)
    assert whole.rate == one.rate == pytest.approx(true, abs=0.05)
    assert one.interval.low < true < one.interval.high
    volume = np.count_nonzero(FOCUS) * GRID.voxel_volume_mm3
    assert one.expected_mm3 == pytest.approx(volume, rel=0.35)
    none = Image(np.zeros(GRID.shape, bool), GRID.affine)
    assert focus_rates(foci, place, none, parts, intervals)[1].rate == 0.0


def test_without_a_focus_there_is_no_part(case):
    foci, _, place = case
    nothing = Foci(foci.found, 0 * foci.probability, 0 * foci.mask > 0, (), 0 * foci.numbers)
    assert focus_parts(nothing, place) == {}


def test_an_edge_that_was_sought_widens_the_interval_and_a_named_region_does_not(case):
    foci, maps, place = case
    parts = focus_parts(foci, place)
    burnt, errors = Image(MM[..., 1] > 6.0, GRID.affine), ErrorDraws(maps, 1.0)
    assert sought_parts(foci, parts) == (ALL, "focus 1")
    assert sought_parts(foci, {}) == ()

    def width(sought):
        rng = np.random.default_rng(1)
        found = rate_intervals(foci, errors, place, burnt, parts, STILL, rng, sought=sought)
        return found["focus 1"].high - found["focus 1"].low

    assert width(("focus 1",)) > width(()) + 0.1
    assert width((ALL,)) == width(())
    named = replace(foci.found.foci[0], named="mesial temporal")
    only = replace(foci, found=replace(foci.found, foci=(named,)))
    assert sought_parts(only, parts) == ()
