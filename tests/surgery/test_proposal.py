"""Which look proposes an ablation, and that the core is found by its own grey level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from falx.core.grid import Grid
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.cavity import CavityRule, matched
from falx.surgery.outcome.dark_core import agents_share, dark_core, spread_by
from falx.surgery.outcome.proposal import propose

SHAPE, VOXEL_MM = (60, 48, 40), 1.5
FLUID, GREY, WHITE = 55.0, 100.0, 160.0


def grid():
    affine = np.diag([VOXEL_MM] * 3 + [1.0])
    affine[:3, 3] = [-VOXEL_MM * (SHAPE[0] - 1) / 2, -30, -30]
    return Grid(SHAPE, affine)


def ball(centre_mm, radius_mm):
    return np.linalg.norm(grid().centres_mm() - np.array(centre_mm), axis=-1) <= radius_mm


LEFT, RIGHT = (-24.0, 5.0, 0.0), (24.0, 5.0, 0.0)
TARGETS = {"left": ball(LEFT, 9.0), "right": ball(RIGHT, 9.0)}
BRAIN = np.ones(SHAPE, bool)
BURNT = ball((-24.0, 7.0, 0.0), 8.0)
AROUND = ball((-24.0, 7.0, 0.0), 12.0) & ~BURNT


def tissue():
    """Two grey structures in white matter, with fluid between and outside them."""
    x, _, z = np.moveaxis(grid().centres_mm(), -1, 0)
    image = np.full(SHAPE, WHITE)
    image[TARGETS["left"] | TARGETS["right"] | (np.abs(z - 18) < 5)] = GREY
    image[(np.abs(x) < 5) | (z < -22)] = FLUID
    return image


def scans(after, seed=1, noise=5.0):
    rng = np.random.default_rng(seed)
    return tuple(
        (ndimage.gaussian_filter(one, 0.5) + rng.normal(0, noise, SHAPE)).astype(np.float32)
        for one in (tissue(), after)
    )


def proposed(after, **more):
    return propose(*scans(after), BRAIN, TARGETS, grid(), **more)


@pytest.mark.parametrize("loss", [0.0, 0.15])
def test_a_core_darker_than_grey_matter_is_found_through_oedema(loss):
    after = tissue()
    after[AROUND] *= 1 - loss
    after[BURNT] = 70.0
    found = proposed(after)
    assert found.side == "left"
    assert dice(found.mask, BURNT) > 0.85
    assert found.confidence > CavityRule().least_confidence
    assert np.all(found.share[found.mask] > 0.3)
    assert found.volume_mm3 == pytest.approx(found.mask.sum() * VOXEL_MM**3)


def test_an_old_cavity_is_outlined_a_little_larger_than_it_is():
    after = tissue()
    after[BURNT] = FLUID
    found = proposed(after)
    assert found.side == "left"
    assert dice(found.mask, BURNT) > 0.85
    assert (BURNT & ~found.mask).sum() < 0.05 * BURNT.sum()


def test_swelling_without_a_core_is_refused():
    after = tissue()
    after[AROUND | BURNT] *= 0.85
    found = proposed(after)
    assert not found.found and not found.mask.any()
    assert "became darker than swollen tissue would" in found.reason


def test_the_same_head_again_and_another_window_have_no_ablation():
    for after in (tissue(), 3 * tissue() + 20):
        assert not proposed(after).found


def test_a_core_on_both_sides_is_no_ablation():
    after = tissue()
    after[BURNT | ball((24.0, 7.0, 0.0), 8.0)] = 70.0
    found = proposed(after)
    assert not found.found
    assert "the other side changed nearly as much" in found.reason


def test_a_mirrored_head_has_the_mirrored_proposal():
    after = tissue()
    after[BURNT] = 70.0
    first, second = scans(after)
    left = propose(first, second, BRAIN, TARGETS, grid())
    right = propose(
        np.ascontiguousarray(first[::-1]), np.ascontiguousarray(second[::-1]), BRAIN, TARGETS,
        grid(),
    )  # fmt: skip
    assert (left.side, right.side) == ("left", "right")
    assert dice(left.mask, right.mask[::-1]) > 0.98


def test_the_agent_is_seen_in_fluid():
    after = tissue()
    x, y, _ = np.moveaxis(grid().centres_mm(), -1, 0)
    after[(np.abs(x) < 4) & (np.abs(y) < 6)] = 200.0
    levels = [matched(*scans(one), BRAIN, grid()).levels for one in (tissue(), after)]
    assert agents_share(levels[0]) < 0.001
    assert agents_share(levels[1]) > 0.02


def test_the_level_of_a_core_and_what_it_takes_to_be_firm():
    after = tissue()
    after[BURNT] = 70.0
    levels = matched(*scans(after), BRAIN, grid()).levels
    near = ball(LEFT, 20.0)
    core = dark_core(levels, near, TARGETS["left"], grid())
    less, given, more = core.outlines
    assert less.sum() <= given.sum() <= more.sum()
    assert levels.at(core.level) == pytest.approx(70 / WHITE, abs=0.05)


def test_tissue_that_moved_beside_a_core_is_followed():
    after = tissue()
    after[BURNT] = 70.0
    first, second = scans(ndimage.shift(after, (0, 1, 0), order=1, mode="nearest"))
    levels = matched(first, second, BRAIN, grid()).levels
    core = dark_core(levels, ball(LEFT, 20.0), TARGETS["left"], grid()).outlines[1]
    still = replace(levels, seen=np.roll(levels.seen, -1, axis=1))
    known = dark_core(still, ball(LEFT, 20.0), TARGETS["left"], grid()).outlines[1]
    assert dice(core, known) > 0.9


def test_spread_is_found_at_each_steepness(rng):
    slope = rng.uniform(0, 1, SHAPE).astype(np.float32)
    difference = (rng.standard_normal(SHAPE) * (0.1 + slope)).astype(np.float32)
    found = spread_by(slope, difference, BRAIN)
    assert np.abs(found / (0.1 + slope) - 1).mean() < 0.05
