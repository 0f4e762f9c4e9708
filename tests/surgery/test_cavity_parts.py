"""The parts of an ablation's proposal on small analytic images, where each can be held apart."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.cavity import (
    CUTS,
    CavityRule,
    changed,
    matched,
    predicted,
    propose_cavity,
)

SHAPE = (60, 48, 40)
VOXEL_MM = 1.5


def grid():
    affine = np.diag([VOXEL_MM] * 3 + [1.0])
    affine[:3, 3] = [-VOXEL_MM * (SHAPE[0] - 1) / 2, -30, -30]
    return Grid(SHAPE, affine)


def ball(centre_mm, radius_mm):
    away = grid().centres_mm() - np.array(centre_mm)
    return np.linalg.norm(away, axis=-1) <= radius_mm


LEFT, RIGHT = (-24.0, 5.0, 0.0), (24.0, 5.0, 0.0)
TARGETS = {"left": ball(LEFT, 9.0), "right": ball(RIGHT, 9.0)}
BRAIN = np.ones(SHAPE, bool)
LATE = ball((-24.0, 7.0, 0.0), 8.0)


def darkened(mask, by=0.5):
    return np.where(mask, -by, 0.0).astype(np.float32)


def propose(difference, **more):
    return propose_cavity(difference, BRAIN, TARGETS, grid(), **more)


def test_an_image_is_predicted_by_its_median_at_each_grey_level(rng):
    first = rng.uniform(0, 100, SHAPE).astype(np.float32)
    second = (3.0 * np.sqrt(first) + 7.0).astype(np.float32)
    error = np.abs(predicted(first, second, BRAIN) - second)
    assert error.mean() < 0.02
    # 48 levels; a root is steep at zero, and beyond the last level's median nothing rises.
    assert error[(first > 20) & (first < 98)].max() < 0.1
    noisy = second + rng.normal(0, 2.0, SHAPE).astype(np.float32)
    assert np.abs(predicted(first, noisy, BRAIN) - second).mean() < 0.3


def test_what_is_not_seen_does_not_decide_what_is_predicted(rng):
    first = rng.uniform(0, 100, SHAPE).astype(np.float32)
    second = first.copy()
    hidden = ball((0, 0, 0), 20.0)
    second[hidden] = 1e4
    found = predicted(first, second, ~hidden)
    assert np.abs(found - first).max() < 3.0


def scans(rng, mask=None, *, factor=1.0, noise=2.0):
    """Two images of smooth tissue, the second with something darker or brighter in it."""
    x, y, z = np.moveaxis(grid().centres_mm(), -1, 0)
    clean = 100 + 30 * np.sin(x / 9) * np.cos(y / 11) + 20 * np.cos(z / 8)
    after = np.where(mask, clean * factor, clean) if mask is not None else clean
    return tuple(
        (image + rng.normal(0, noise, SHAPE)).astype(np.float32) for image in (clean, after)
    )


def test_noise_alone_is_no_change(rng):
    before, after = scans(rng)
    assert np.mean(changed(matched(before, after, BRAIN, grid()), grid()) != 0) < 0.02


@pytest.mark.parametrize(("factor", "sign"), [(0.5, -1), (1.5, 1)])
def test_what_darkens_is_negative_and_what_brightens_positive(rng, factor, sign):
    before, after = scans(rng, LATE, factor=factor)
    found = changed(matched(before, after, BRAIN, grid()), grid())
    assert np.median(np.sign(found[LATE])) == sign
    assert np.mean(found[~ball((-24.0, 7.0, 0.0), 12.0)] != 0) < 0.03


def test_a_smooth_receive_field_is_taken_out(rng):
    before, after = scans(rng, LATE, factor=0.5)
    x = grid().centres_mm()[..., 0]
    tilted = (after * np.exp(0.15 * x / np.abs(x).max())).astype(np.float32)
    first, second = (
        changed(matched(before, image, BRAIN, grid()), grid()) for image in (after, tilted)
    )
    assert np.abs(second[~LATE]).mean() < 0.01
    assert np.median(second[LATE]) == pytest.approx(np.median(first[LATE]), abs=0.12)


def test_an_image_of_half_the_brain_is_refused(rng):
    before, after = scans(rng)
    after[: SHAPE[0] * 2 // 3] = 0
    with pytest.raises(InputError, match="covers less than half of the brain"):
        changed(matched(before, after, BRAIN, grid()), grid())


def test_a_dark_ball_is_proposed_as_it_is_on_its_side():
    found = propose(darkened(LATE))
    assert found.side == "left"
    assert dice(found.mask, LATE) > 0.85
    assert found.confidence > 0.75
    assert found.volume_mm3 == pytest.approx(found.mask.sum() * VOXEL_MM**3)
    assert found.other_mm3 == 0
    steps = np.unique(np.rint(found.share * len(CUTS)) / len(CUTS))
    assert np.allclose(np.unique(found.share), steps)
    assert np.all(found.share[found.mask] > 0.3)


def test_a_mirrored_difference_has_the_mirrored_proposal():
    left = propose(darkened(LATE))
    right = propose(np.ascontiguousarray(darkened(LATE)[::-1]))
    assert right.side == "right"
    assert np.array_equal(right.mask[::-1], left.mask)
    assert right.confidence == pytest.approx(left.confidence)


def test_a_core_with_a_bright_rim_is_one_piece():
    rim = ball((-24.0, 7.0, 0.0), 9.5) & ~ball((-24.0, 7.0, 0.0), 7.5)
    core = ball((-24.0, 7.0, 0.0), 6.0)
    difference = darkened(core) + np.where(rim, 0.6, 0.0).astype(np.float32)
    found = propose(difference)
    assert (found.mask & rim).sum() > 0.97 * rim.sum()
    # What is averaged spreads: the outline lies about a millimetre outside a bright rim.
    assert not (found.mask & ~ball((-24.0, 7.0, 0.0), 9.5 + 2 * VOXEL_MM)).any()


def test_brightening_without_any_darkening_is_plexus_and_no_ablation():
    found = propose(-darkened(LATE))
    assert not found.found
    assert "no more than 0 mm³ changed" in found.reason


def test_what_is_far_from_the_targets_is_not_looked_at():
    far = ball((-24.0, 38.0, 25.0), 6.0)
    alone = propose(darkened(far))
    assert not alone.found
    both = propose(darkened(LATE | far))
    assert both.side == "left"
    assert not (both.mask & far).any()


def test_a_small_change_is_answered_by_its_volume():
    found = propose(darkened(ball(LEFT, 4.0)))
    assert not found.found
    assert "(1500 mm³ are wanted; what brightened" in found.reason
    assert not found.share.any()
    more = propose(darkened(ball(LEFT, 4.0)), rule=CavityRule(least_mm3=100.0))
    assert more.side == "left"


def test_of_two_sides_the_larger_is_proposed_only_where_it_is_much_larger():
    small = ball(RIGHT, 5.0)
    found = propose(darkened(LATE | small))
    assert found.side == "left"
    assert found.other_mm3 > 0
    near = propose(darkened(LATE | ball(RIGHT, 7.5)))
    assert not near.found
    assert "the other side changed nearly as much" in near.reason
    told = propose(darkened(LATE | small), side="right")
    assert not told.found


def test_a_prior_leads_the_search():
    other = ball((-24.0, 7.0, 22.0), 7.0)
    difference = darkened(LATE | other)
    led = propose(difference, prior=ball((-24.0, 7.0, 24.0), 3.0), side="left",
                  rule=CavityRule(least_mm3=500.0, reach_mm=10.0))  # fmt: skip
    assert dice(led.mask, other) > 0.8
    assert not (led.mask & ball((-24.0, 5.0, -3.0), 3.0)).any()


def test_a_proposal_stays_inside_the_brain():
    brain = BRAIN.copy()
    brain[:, :, :20] = False
    found = propose_cavity(darkened(LATE), brain, TARGETS, grid(),
                           rule=CavityRule(least_mm3=300.0))  # fmt: skip
    assert found.side == "left"
    assert not (found.mask & ~brain).any()
    empty = propose_cavity(darkened(LATE), np.zeros(SHAPE, bool), TARGETS, grid())
    assert not empty.found


def test_a_stronger_wish_for_agreement_refuses_what_fades_out():
    away = np.linalg.norm(grid().centres_mm() - np.array((-24.0, 7.0, 0.0)), axis=-1)
    fading = (-0.6 * np.clip(1 - away / 16.0, 0, None)).astype(np.float32)
    crisp = propose(darkened(LATE))
    loose = propose(fading)
    assert loose.confidence < crisp.confidence
    between = (loose.confidence + crisp.confidence) / 2
    assert not propose(fading, rule=CavityRule(least_confidence=between)).found
    assert propose(darkened(LATE), rule=CavityRule(least_confidence=between)).found


def test_what_lies_between_small_changes_is_no_ablation():
    """Small places that changed, far apart, whose hull is mostly what did not."""
    away = [(-24.0, 7.0 + 12.0 * n, 4.0 * (-1) ** n) for n in (-1, 0, 1)]
    scattered = darkened(np.any([ball(middle, 4.0) for middle in away], axis=0))
    loose = CavityRule(least_change=0.0, least_confidence=0.0)
    assert propose(scattered, rule=loose).found
    strict = CavityRule(least_change=0.12, least_confidence=0.0)
    refused = propose(scattered, rule=strict)
    assert not refused.found and "there may be two ablations" in refused.reason
    assert propose(darkened(LATE), rule=strict).found
