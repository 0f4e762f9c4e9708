"""Ablative rate, overlap, and bringing an ablation mask home."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ellipsoid_head import rigid
from falx.core.errors import FalxNotice, GridError, InputError, collect_notices
from falx.core.grid import Grid, box_grid
from falx.images.nifti import Image
from falx.surgery.outcome.ablation import (
    ablative_rate,
    bring_mask,
    check_arrival,
    check_side,
    dice,
    rate_of_volumes,
)

MASKS = hnp.arrays(bool, (5, 4, 3))
OBLIQUE = rigid((3, -2, 7), (0.3, -0.2, 0.5)) @ np.diag([0.9, 1.1, 3.0, 1.0])


def test_rate_on_analytic_masks_of_an_oblique_grid():
    signature, ablation, structure = (np.zeros((10, 10, 10), dtype=bool) for _ in range(3))
    structure[2:8, 2:8, 2:8] = True
    signature[:, :, :5] = True
    ablation[:5] = True
    rate = ablative_rate(signature, ablation, structure, OBLIQUE)
    voxel = 0.9 * 1.1 * 3.0
    assert rate.denominator_mm3 == pytest.approx(6 * 6 * 3 * voxel)
    assert rate.numerator_mm3 == pytest.approx(3 * 6 * 3 * voxel)
    assert rate.rate == 0.5
    assert rate.reason is None and rate.notice is None


def test_no_signature_gives_no_rate_but_a_reason():
    empty, full = np.zeros((2, 2, 2), dtype=bool), np.ones((2, 2, 2), dtype=bool)
    rate = ablative_rate(empty, full, full, np.eye(4))
    assert rate.rate is None
    assert rate.reason == "no signature inside the structure"


def test_small_signature_is_called_unstable():
    full = np.ones((2, 2, 2), dtype=bool)
    assert "only 8 mm³" in (ablative_rate(full, full, full, np.eye(4)).notice or "")


@settings(max_examples=50, deadline=None)
@given(MASKS, MASKS, MASKS)
def test_rate_is_a_share_and_grows_with_the_ablation(signature, ablation, structure):
    small = ablative_rate(signature, ablation, structure, np.eye(4)).rate
    large = ablative_rate(signature, np.ones_like(ablation), structure, np.eye(4)).rate
    if small is None:
        assert large is None
    else:
        assert 0 <= small <= large == 1


@settings(max_examples=50, deadline=None)
@given(MASKS, MASKS)
def test_dice_is_symmetric(a, b):
    if a.any() or b.any():
        assert dice(a, b) == dice(b, a)
        assert 0 <= dice(a, b) <= 1
    if a.any():
        assert dice(a, a) == 1


def test_dice_of_nothing_is_refused():
    nothing = np.zeros((2, 2, 2), dtype=bool)
    with pytest.raises(InputError, match="not defined"):
        dice(nothing, nothing)
    with pytest.raises(InputError, match="different shape"):
        dice(nothing, nothing[:1])


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 3.0), st.floats(-0.4, 0.4))
def test_mask_keeps_its_volume_between_grids(voxel_mm, turn):
    grid = box_grid((-30, -30, -30), (30, 30, 30), 1.0)
    ball = np.linalg.norm(grid.centres_mm() - [5, 2, -3], axis=-1) < 12
    target = box_grid((-30, -30, -30), (30, 30, 30), voxel_mm)
    brought = bring_mask(Image(ball, grid.affine), target, matrix=rigid((0, 0, 0), (0, 0, turn)))
    volume = brought.sum() * target.voxel_volume_mm3
    assert volume == pytest.approx(ball.sum(), rel=0.05 + 0.03 * voxel_mm)


def test_aligned_halving_keeps_ties():
    grid = Grid((8, 8, 8), np.eye(4))
    slab = np.zeros(grid.shape, dtype=bool)
    slab[:3] = True
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 0.5
    half = bring_mask(Image(slab, grid.affine), Grid((4, 4, 4), affine))
    assert half[1].all()  # exactly one half


def test_side_of_the_ablation():
    grid = box_grid((-10, -10, -10), (10, 10, 10), 2.0)
    mask = grid.centres_mm()[..., 0] > 3
    check_side(mask, grid, "right")
    with pytest.raises(InputError, match="other side.*on the right, focus on the left"):
        check_side(mask, grid, "left")
    with pytest.raises(GridError, match="empty mask has no side"):
        check_side(np.zeros_like(mask), grid, "left")


def test_mask_that_does_not_arrive():
    grid = Grid((10, 10, 10), np.eye(4))
    mask = Image(np.ones(grid.shape, dtype=bool), np.eye(4))
    nothing = Image(np.zeros(grid.shape, dtype=bool), np.eye(4))
    with pytest.raises(InputError, match="does not lie on the pre-operative T1w"):
        check_arrival(mask, nothing)
    part = np.ones(grid.shape, dtype=bool)
    part[:3] = False
    with pytest.warns(FalxNotice, match="changed its volume"):
        check_arrival(mask, Image(part, np.eye(4)))


def test_masks_of_another_grid_are_refused():
    full = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(GridError, match="different grids"):
        ablative_rate(full, full[:1], full, np.eye(4))


@given(MASKS, MASKS, MASKS, st.floats(0.3, 4.0))
def test_what_was_taken_and_what_was_left_are_the_whole(signature, ablation, structure, size):
    affine = np.diag([size, -size, 2 * size, 1])
    took = ablative_rate(signature, ablation, structure, affine)
    left = ablative_rate(signature, ~ablation, structure, affine)
    assert took.numerator_mm3 + left.numerator_mm3 == pytest.approx(took.denominator_mm3)
    voxels = np.count_nonzero(signature & structure)
    assert took.denominator_mm3 == pytest.approx(voxels * 2 * size**3)
    if voxels:
        assert took.rate + left.rate == pytest.approx(1)
        plain = ablative_rate(signature, ablation, structure, np.eye(4))
        assert took.rate == pytest.approx(plain.rate)


@given(st.floats(0, 500), st.floats(0.1, 500))
def test_a_rate_is_its_volumes_and_says_what_limits_it(part, whole):
    found = rate_of_volumes(min(part, whole), whole)
    assert found.rate == min(part, whole) / whole
    assert (found.notice is not None) == (whole < 100)
    assert found.reason is None
    assert rate_of_volumes(0.0, 0.0).rate is None


@given(MASKS, MASKS)
def test_dice_follows_from_the_share_of_the_union(a, b):
    union, both = np.count_nonzero(a | b), np.count_nonzero(a & b)
    if union:
        jaccard = both / union
        assert dice(a, b) == pytest.approx(2 * jaccard / (1 + jaccard))


@given(MASKS, st.integers(-3, 3), st.integers(-2, 2))
def test_a_shift_by_whole_voxels_moves_a_mask_exactly(mask, right, up):
    grid = Grid(mask.shape, np.diag([2.0, 1.5, 3.0, 1.0]))
    move = np.eye(4)
    move[:3, 3] = [2.0 * right, 0, 3.0 * up]
    found = bring_mask(Image(mask, grid.affine), grid, matrix=move)
    x, y, z = np.indices(mask.shape)
    source = np.stack([x + right, y, z + up])
    inside = ((source[0] >= 0) & (source[0] < 5)) & ((source[2] >= 0) & (source[2] < 3))
    expected = np.zeros_like(mask)
    expected[inside] = mask[tuple(axis[inside] for axis in source)]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("kept", "said"), [(81, False), (79, True), (50, True), (49, None)])
def test_a_loss_is_said_beyond_a_fifth_and_refused_beyond_a_half(kept, said):
    whole = Image(np.ones((10, 10, 1), bool), np.eye(4))
    part = np.zeros(100, bool)
    part[:kept] = True
    arrived = Image(part.reshape(10, 10, 1), np.eye(4))
    with collect_notices() as notices:
        if said is None:
            with pytest.raises(InputError, match="49 of 100 mm³"):
                check_arrival(whole, arrived)
        else:
            check_arrival(whole, arrived)
    assert bool(notices) == bool(said)
