"""Foci that noise and healthy asymmetry do not make, and their edges."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import OptionError
from falx.core.grid import box_grid
from falx.images.smooth import smooth
from falx.pet.calibrated import Calibration, calibrated_signature
from falx.pet.decoy import NullMaps
from falx.pet.edges import _grown
from falx.pet.noise import HalfMaps
from falx.pet.shares import ErrorDraws, false_shares
from falx.phantom.intensities import smooth_noise

GRID = box_grid((-60, -39, -39), (60, 39, 39), 3.0)
HALF = GRID.shape[0] // 2
GREY = np.ones(GRID.shape, dtype=bool)
SETTINGS = Calibration(maps=100)
CENTRE, RADIUS, DEPTH = (-36.0, 6.0, -9.0), 12.0, 0.25


def field(sd, fwhm_mm, rng):
    """One antisymmetric map."""
    drawn = smooth_noise(GRID, rng, fwhm_mm=fwhm_mm)
    return sd * (drawn - drawn[::-1]) / np.sqrt(2.0)


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(17)
    where = np.ones((HALF, *GRID.shape[1:]), dtype=bool)
    noise, healthy = (
        np.stack([field(sd, fwhm_mm, rng)[:HALF][where] for _ in range(30)])
        for sd, fwhm_mm in ((0.04, 8.0), (0.03, 21.0))
    )
    return NullMaps(HalfMaps(noise, where, GRID), HalfMaps(healthy, where, GRID))


def ball(centre=CENTRE, radius=RADIUS):
    return np.linalg.norm(GRID.centres_mm() - np.array(centre), axis=-1) <= radius


def planted(rng, inside=None, depth=DEPTH, quiet=1.0):
    """An index with a ball below its mirror image, blurred, and what is usual."""
    inside = ball() if inside is None else inside
    step = smooth(-depth * inside.astype(np.float32), GRID.voxel_sizes_mm, 8.0)
    return step - step[::-1] + quiet * (field(0.04, 8.0, rng) + field(0.03, 21.0, rng))


def sought(index, maps, side="left", **changes):
    settings = Calibration(maps=100, **changes)
    return calibrated_signature(
        index, GREY, maps, settings, side=side, rng=np.random.default_rng(2)
    )


def test_a_planted_ball_is_found_to_its_edge(maps):
    found = sought(planted(np.random.default_rng(1), quiet=0.5), maps)
    assert len(found.foci) == 1
    focus, inside = found.foci[0], ball()
    assert focus.side == "left" and focus.probability < 0.02
    assert -0.32 < focus.depth < -0.15
    assert np.linalg.norm(np.array(focus.peak_mm) - CENTRE) < RADIUS
    assert (found.mask & inside).sum() / found.mask.sum() > 0.7
    assert (found.mask & inside).sum() / inside.sum() > 0.85
    share = 1 - (found.mask & inside).sum() / found.mask.sum()
    assert found.false_share == pytest.approx(share, abs=0.15)
    assert focus.volume_mm3 == pytest.approx(inside.sum() * 27, rel=0.4)


def test_the_mask_is_where_the_probability_exceeds_a_half(maps):
    found = sought(planted(np.random.default_rng(1)), maps)
    np.testing.assert_array_equal(found.mask, found.probability > 0.5)
    assert 0 < found.probability[~found.mask].max() <= 0.5
    assert found.probability.max() <= 1 - found.foci[0].probability


def test_sides_are_mirror_images(maps):
    index = planted(np.random.default_rng(1))
    left, right = sought(index, maps), sought(index[::-1], maps, "right")
    np.testing.assert_array_equal(left.mask, right.mask[::-1])
    assert right.foci[0].side == "right"
    assert right.foci[0].peak_mm[0] == -left.foci[0].peak_mm[0]
    assert not sought(index, maps, "right").mask.any()


def test_no_declared_side_is_sought_on_both(maps):
    both = ball() | ball((36.0, -18.0, 15.0))
    found = sought(planted(np.random.default_rng(5), both, 0.35, 0.5), maps, None)
    assert {focus.side for focus in found.foci} == {"left", "right"}
    assert found.foci[0].probability <= found.foci[1].probability


def test_without_a_focus_there_is_mostly_none(maps):
    rng = np.random.default_rng(30)
    foci = [len(sought(planted(rng, depth=0.0), maps).foci) for _ in range(14)]
    # .05 of 14: .7 expected; 4 and more have a probability of .004.
    assert np.count_nonzero(foci) <= 3


def test_an_empty_result_states_no_share(maps):
    found = sought(np.zeros(GRID.shape, np.float32), maps)
    assert found.false_share is None and not found.foci and not found.mask.any()
    assert found.smallest_probability == 1.0 and found.widened == 1.0
    assert all(rate.rate == 1.0 for rate in found.by_voxel)


def test_more_asymmetry_than_people_have_is_said_and_widens(maps):
    index = planted(np.random.default_rng(1))
    wild = index + 2 * field(0.05, 12.0, np.random.default_rng(6))
    found = sought(wild, maps)
    assert found.widened > 1.3
    calm = sought(index, maps)
    assert calm.widened < 1.2
    ratio = found.z[wild != 0] / np.where(wild != 0, wild, 1)[wild != 0]
    assert np.nanmax(ratio) < 1 / 0.05


def test_foci_keep_to_the_grey_matter(maps):
    index, grey = planted(np.random.default_rng(1)), GREY.copy()
    grey[GRID.centres_mm()[..., 0] < CENTRE[0]] = False
    found = calibrated_signature(
        index, grey, maps, SETTINGS, side="left", rng=np.random.default_rng(2)
    )
    assert found.mask.any() and not (found.mask & ~grey).any()


def test_edges_do_not_leak_through_a_thread():
    """Two blocks of low index, joined by one voxel's width: only the core's own is followed."""
    low = np.zeros((20, 13, 13), dtype=bool)
    low[2:9, 3:10, 3:10] = True
    low[11:14, 3:10, 3:10] = True
    core = np.zeros_like(low)
    core[4:7, 5:8, 5:8] = True
    grid = box_grid((-39, 0, 0), (39, 24, 24), 2.0)
    bridged = low.copy()
    bridged[9:11, 6, 6] = True
    grown = _grown(core, bridged, grid)
    assert grown[2:9, 3:10, 3:10].mean() > 0.95
    assert not grown[11:].any()
    # Without anything deep enough to be opened the core stays alone.
    np.testing.assert_array_equal(_grown(core & (low > 2), np.zeros_like(low), grid), core & False)


def test_drawn_false_shares_agree_with_the_stated_one_and_grow_with_the_error(maps):
    index = planted(np.random.default_rng(1), quiet=0.5)
    found = sought(index, maps)
    drawn = [
        false_shares(found, ErrorDraws(maps, factor), 100, np.random.default_rng(3))
        for factor in (0.2, 1.0, 2.0)
    ]
    assert np.mean(drawn[1]) == pytest.approx(found.false_share, abs=0.06)
    assert [np.mean(d) for d in drawn] == sorted(np.mean(d) for d in drawn)
    assert np.std(drawn[0]) < np.std(drawn[1])
    share = 1 - (found.mask & ball()).sum() / found.mask.sum()
    low, high = np.quantile(drawn[1], [0.025, 0.975])
    assert low - 0.05 < share < high + 0.05
    nothing = sought(np.zeros(GRID.shape, np.float32), maps)
    assert false_shares(nothing, ErrorDraws(maps, 1.0), 5, np.random.default_rng(1)).size == 0


def test_drawn_errors_are_antisymmetric_and_as_wide_as_usual(maps):
    draws = np.stack([ErrorDraws(maps, 2.0).draw(np.random.default_rng(k)) for k in range(40)])
    np.testing.assert_array_equal(draws, -draws[:, ::-1])
    assert draws.std() == pytest.approx(2.0 * np.hypot(0.04, 0.03), rel=0.15)


def test_every_voxel_with_a_probability_belongs_to_a_focus(maps):
    both = ball() | ball((36.0, -18.0, 15.0))
    found = sought(planted(np.random.default_rng(5), both, 0.35, 0.5), maps, None)
    np.testing.assert_array_equal(found.regions > 0, found.probability > 0)
    for number, focus in enumerate(found.foci, start=1):
        x_mm = GRID.centres_mm()[..., 0][found.regions == number]
        assert (x_mm < 0).all() if focus.side == "left" else (x_mm > 0).all()
        core = found.cores == number
        assert core.any() and found.z[core].min() == pytest.approx(focus.lowest_z)


def test_levels_are_checked():
    with pytest.raises(OptionError, match="level"):
        Calibration(level=0.9)
    with pytest.raises(OptionError, match="draws"):
        Calibration(draws=3)
