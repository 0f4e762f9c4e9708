"""Ablative rate, overlap, and bringing an ablation mask home."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ellipsoid_head import rigid
from falx.core.errors import FalxNotice, GridError, InputError
from falx.core.grid import Grid, box_grid
from falx.images.nifti import Image
from falx.surgery.outcome.ablation import (
    ablative_rate,
    bring_mask,
    check_arrival,
    check_side,
    dice,
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
