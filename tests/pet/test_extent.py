"""How far a focus reaches in a named region: told where it can be, left open where not."""

from __future__ import annotations

import numpy as np
import pytest

from falx.atlas.freesurfer_numbers import MESIAL
from falx.pet.decoy import NullMaps
from falx.pet.extent import (
    DEPTH,
    DEPTH_SD,
    DEPTHS,
    OUTLINE_COMMON_MM,
    OUTLINE_SD_MM,
    PIECES,
    Extent,
    Outline,
    Parts,
    find_extent,
    stretches,
)
from falx.pet.noise import HalfMaps
from falx.phantom.heads import load_head

GRID_SHAPE = (4, 28, 2)
NUMBERS = np.repeat(np.arange(1, 8), 4)[None, :, None] * np.ones(GRID_SHAPE, np.int16)
BLUR = 0.5 * np.eye(7) + 0.25 * (np.eye(7, k=1) + np.eye(7, k=-1))
SHAPES = BLUR.T[:, NUMBERS - 1].astype(np.float32)


def maps(sd, rng, count=40):
    """Null maps of white noise, as strong in all parts."""
    where = np.ones(GRID_SHAPE, bool)

    def drawn():
        means = rng.normal(0.0, sd, (count, 7)).astype(np.float32)
        return HalfMaps(means[:, NUMBERS[where] - 1], where, None)

    return NullMaps(drawn(), drawn())


def index_of(held, depth, error=0.0):
    by_part = depth * (BLUR @ np.array(held, float)) + error
    return by_part[NUMBERS - 1]


def found(index, null):
    ones = np.ones(GRID_SHAPE, np.float32)
    return find_extent(index, NUMBERS, SHAPES, null, ones, 1.0)


@pytest.mark.parametrize(
    "held", [(1,) * 7, (0, 0, 0, 0, 1, 1, 1), (0, 0, 0, 0, 0, 0, 1), (0, 1, 1, 1, 0, 0, 0)]
)
def test_without_much_noise_the_extent_and_its_depth_are_found(held):
    extent = found(index_of(held, -0.25), maps(0.005, np.random.default_rng(1)))
    np.testing.assert_allclose(extent.chance, held, atol=0.05)
    np.testing.assert_allclose(extent.expected, -0.25 * np.array(held), atol=0.02)


def test_where_nothing_can_be_told_it_stays_with_what_was_thought_before():
    extent = found(index_of((1,) * 7, 0.0), maps(30.0, np.random.default_rng(2)))
    held, prior = zip(*stretches(PIECES), strict=True)
    np.testing.assert_allclose(extent.weight, prior, rtol=0.02)
    assert extent.held.tolist() == [list(one) for one in held]


def test_stated_chances_are_true_over_many_foci():
    """Of parts that are said to be held with p, p are held: drawn from what is thought before."""
    rng = np.random.default_rng(3)
    held, prior = (np.array(part) for part in zip(*stretches(PIECES), strict=True))
    stated, true = [], []
    for _ in range(300):
        own = held[rng.choice(len(prior), p=prior)]
        error = rng.normal(0.0, 0.06, 7)
        depth = min(rng.normal(DEPTH, DEPTH_SD), DEPTHS[-1])
        extent = found(index_of(own, depth, error), maps(0.06 / np.sqrt(2), rng))
        stated += extent.chance.tolist()
        true += own.tolist()
    stated, true = np.array(stated), np.array(true)
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 0.95)):
        chosen = (stated >= low) & (stated < high)
        assert chosen.sum() > 40
        assert true[chosen].mean() == pytest.approx(stated[chosen].mean(), abs=0.12)


def test_parts_are_of_equal_volume_and_none_lies_on_the_other_side():
    y_mm = np.broadcast_to(np.arange(60.0), (2, 60))
    labels = np.stack([np.full(60, 17), np.r_[np.full(50, 53), np.full(10, 18)]])
    parts = Parts.of(labels, y_mm, "left")
    numbers = parts.numbers(labels, y_mm)
    assert np.bincount(numbers[0])[1:].tolist() == [10] * 6
    assert set(numbers[1].tolist()) == {0, 7}


def test_draws_follow_the_weights():
    extent = Extent(
        np.array([[True, False], [True, True]]), np.array([0.3, 0.7]), np.array([-0.2, -0.1])
    )
    rng = np.random.default_rng(4)
    drawn = np.array([extent.draw_at(np.array([0, 1, 2]), rng) for _ in range(400)])
    assert not drawn[:, 0].any() and drawn[:, 1].all()
    assert drawn[:, 2].mean() == pytest.approx(0.7, abs=0.08)
    np.testing.assert_allclose(extent.chance_at(np.array([0, 1, 2])), [0, 1, 0.7])
    np.testing.assert_allclose(extent.expected, [-0.13, -0.07])


def test_an_outline_loses_what_it_is_said_to_lose():
    """Redrawn by its common and its local part, a slab loses what the chances expect."""
    inside = np.zeros((40, 8, 8), bool)
    inside[15:25] = True
    outline = Outline.of(inside, np.ones(3))
    rng = np.random.default_rng(5)
    drawn = np.mean([outline.lost(OUTLINE_COMMON_MM * rng.standard_normal()) for _ in range(4000)])
    assert drawn == pytest.approx(1.0 - outline.chance.mean(), abs=0.002)
    # Outwards and inwards by an outline of SD s: s/sqrt(2 pi) of each of two faces, of ten voxels.
    assert drawn == pytest.approx(2 * OUTLINE_SD_MM / np.sqrt(2 * np.pi) / 10, rel=0.05)
    assert outline.lost(1.0) == pytest.approx(0.2, abs=0.01) and outline.lost(-2.0) < 1e-6


def test_the_outline_of_mesial_structures_is_as_good_as_measured():
    """Expected Dice of .94, as of 14 unseen heads (docs/methods/anatomy.md): .95 in this one."""
    head = load_head("10")
    mesial = np.isin(head.labels, MESIAL["left"])
    lost = 1.0 - Outline.of(mesial, head.grid.voxel_sizes_mm).chance.mean()
    assert lost == pytest.approx(0.06, abs=0.01)
