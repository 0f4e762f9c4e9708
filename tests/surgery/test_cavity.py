"""The proposal of an ablation: what it finds, and when it says that it found nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.atlas.freesurfer_numbers import MESIAL
from falx.core.grid import Grid
from falx.images.resample import resample
from falx.phantom.heads import load_head
from falx.phantom.nuisances import regridded
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.cavity import CavityRule, changed, matched, propose_cavity
from surgery.post_operative import Surgery, scan_operated

LATE = Surgery(rate=0.6, rim=0.0, oedema=0.0, core=0.28, late=True, sag_mm=0.5, voxel_mm=2.0)


@pytest.fixture(scope="module")
def head():
    return regridded(load_head("05"), 2.0)


def seen(head, side, surgery, seed=1):
    """Difference, brain, targets and truth of one operation, in a box around the targets."""
    made = scan_operated(head, side, surgery, np.random.default_rng(seed))
    targets = {one: head.mask(*MESIAL[one]) for one in ("left", "right")}
    voxels = np.argwhere(targets["left"] | targets["right"])
    box = tuple(
        slice(max(a - 12, 0), b + 13)
        for a, b in zip(voxels.min(axis=0), voxels.max(axis=0), strict=True)
    )
    affine = np.array(head.affine)
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    before = made.before.data[box]
    grid = Grid(before.shape, affine)
    after = resample(made.after, grid, matrix=made.to_after)
    brain = (head.tissues() <= 2)[box]
    boxed = {one: mask[box] for one, mask in targets.items()}
    return (
        changed(matched(before, after, brain, grid), grid),
        brain,
        boxed,
        grid,
        made.ablation[box],
    )


@pytest.fixture(scope="module")
def late(head):
    return seen(head, "left", LATE)


def test_a_late_cavity_is_found_on_its_side(late):
    difference, brain, targets, grid, truth = late
    found = propose_cavity(difference, brain, targets, grid)
    assert found.side == "left"
    assert dice(found.mask, truth) > 0.8
    assert np.array_equal(found.mask, found.mask & brain)
    assert found.share[found.mask].min() > 0
    assert found.confidence >= CavityRule().least_confidence


def test_a_contrast_rim_is_found_through_oedema(head):
    surgery = replace(LATE, rim=1.3, oedema=0.12, core=0.35, late=False, contrast=True)
    difference, brain, targets, grid, truth = seen(head, "right", surgery, seed=3)
    found = propose_cavity(difference, brain, targets, grid)
    assert found.side == "right"
    assert dice(found.mask, truth) > 0.7


def test_without_an_operation_nothing_is_proposed(head):
    difference, brain, targets, grid, _ = seen(head, "left", replace(LATE, rate=0.0))
    found = propose_cavity(difference, brain, targets, grid)
    assert not found.found
    assert not found.mask.any()
    assert "mm³ changed" in found.reason


def test_what_changed_on_both_sides_is_no_ablation(late):
    difference, brain, targets, grid, _ = late
    both = np.where(np.abs(difference) > np.abs(difference[::-1]), difference, difference[::-1])
    symmetric = {"left": targets["left"], "right": targets["left"][::-1]}
    found = propose_cavity(both, brain | brain[::-1], symmetric, grid)
    assert not found.found
    assert "the other side changed nearly as much" in found.reason


def test_a_known_side_without_an_ablation_is_answered_by_nothing(late):
    difference, brain, targets, grid, _ = late
    found = propose_cavity(difference, brain, targets, grid, side="right")
    assert not found.found


def test_a_loose_outline_is_not_proposed(late):
    difference, brain, targets, grid, _ = late
    strict = CavityRule(least_confidence=1.0)
    assert (
        "depends on where" in propose_cavity(difference, brain, targets, grid, rule=strict).reason
    )


def test_a_seed_far_away_finds_nothing(late):
    difference, brain, targets, grid, _ = late
    seed = np.zeros_like(brain)
    seed[:2, :2, :2] = True
    assert not propose_cavity(difference, brain, targets, grid, prior=seed).found


def test_another_window_of_the_image_changes_nothing(late):
    _, brain, _, grid, _ = late
    rng = np.random.default_rng(0)
    before = rng.uniform(40, 160, brain.shape).astype(np.float32)
    plain = changed(matched(before, before, brain, grid), grid)
    stretched = changed(matched(before, 3.0 * before + 20.0, brain, grid), grid)
    assert np.abs(plain).max() < 0.05
    assert np.abs(stretched).max() < 0.1
