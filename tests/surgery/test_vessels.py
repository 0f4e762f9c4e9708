"""Vessels planted in label maps: how many are found, and how much is found that is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from falx.core.errors import FalxError
from falx.surgery.tracks.vessels import CONTRASTS, VesselRule, excess_of, tubeness, vessels_in
from surgery.vessel_tree import (
    Tree,
    box_grid,
    grown_tree,
    length_of,
    recall_and_false,
    scanned,
    tube_share,
)

pytest.importorskip("SimpleITK", reason="falx[vessels] is not installed")

SHAPE = (56, 56, 56)


def tissue(rng):
    """Folded classes without any head: fluid 0, grey 1, white 2."""
    wavy = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 4)
    return np.digitize(wavy / wavy.std(), [-1.0, 0.2])


def planted(contrast, seed, *, null=False, noise=0.05):
    rng = np.random.default_rng(seed)
    classes = tissue(rng)
    tree = grown_tree(SHAPE, rng, trunks=3, generations=2)
    share = tube_share(tree, SHAPE) * (not null)
    image = scanned(classes, share, contrast, rng, noise=noise)
    t1w = scanned(classes, share, "t1w", rng, noise=noise)
    return image, t1w, np.ones(SHAPE, bool), box_grid(SHAPE), tree


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_planted_vessels_are_found_and_little_else(contrast):
    image, t1w, everywhere, grid, tree = planted(contrast, 3)
    found = vessels_in(image, t1w, everywhere, everywhere, grid, contrast=contrast)
    recall, false = recall_and_false(found, grid, tree)
    assert recall >= 0.85
    assert false <= 0.2


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_where_there_is_no_vessel_hardly_any_is_proposed(contrast):
    image, t1w, everywhere, grid, tree = planted(contrast, 4, null=True)
    found = vessels_in(image, t1w, everywhere, everywhere, grid, contrast=contrast)
    voxels = np.argwhere(found)
    assert length_of(voxels.astype(float)) < 0.1 * length_of(tree.points_mm)


def test_dark_vessels_are_not_sought_in_a_bright_image_nor_bright_ones_in_a_dark():
    image, t1w, everywhere, grid, tree = planted("tof", 5)
    wrong = vessels_in(image, t1w, everywhere, everywhere, grid, contrast="swi")
    recall, _ = recall_and_false(wrong, grid, tree)
    assert recall < 0.5


def test_scale_and_receive_field_change_nothing():
    image, t1w, everywhere, grid, _ = planted("tof", 6)
    first = vessels_in(image, t1w, everywhere, everywhere, grid, contrast="tof")
    again = vessels_in(image * 37.0, t1w * 0.02, everywhere, everywhere, grid, contrast="tof")
    assert np.mean(first != again) < 1e-4
    ramp = np.linspace(0.7, 1.4, SHAPE[0], dtype=np.float32)[:, None, None]
    tilted = vessels_in(image * ramp, t1w, everywhere, everywhere, grid, contrast="tof")
    assert (first & tilted).sum() > 0.9 * (first | tilted).sum()


def test_a_mirrored_image_has_the_mirrored_vessels():
    image, t1w, everywhere, grid, _ = planted("t1ce", 7)
    first = vessels_in(image, t1w, everywhere, everywhere, grid, contrast="t1ce")
    flipped = vessels_in(
        np.ascontiguousarray(image[::-1]), np.ascontiguousarray(t1w[::-1]), everywhere,
        everywhere, grid, contrast="t1ce",
    )  # fmt: skip
    assert np.mean(flipped[::-1] != first) < 1e-3


def test_stricter_rules_and_a_narrower_place_find_less():
    image, t1w, everywhere, grid, _ = planted("t1ce", 8)
    first = vessels_in(image, t1w, everywhere, everywhere, grid, contrast="t1ce")
    strict = vessels_in(image, t1w, everywhere, everywhere, grid, contrast="t1ce",
                        rule=VesselRule(strictness=2.0))  # fmt: skip
    assert not (strict & ~first).any()
    assert strict.sum() < first.sum()
    half = everywhere.copy()
    half[:28] = False
    assert not vessels_in(image, t1w, everywhere, half, grid, contrast="t1ce")[:28].any()
    pieces, number = ndimage.label(first, structure=np.ones((3, 3, 3)))
    assert np.bincount(pieces.ravel())[1:].min() >= VesselRule().least_mm3
    assert number >= 1


def test_a_tube_is_stronger_than_a_sheet_and_a_ball():
    grid, x = box_grid((40, 40, 40)), np.indices((40, 40, 40)) - 20.0
    shapes = {
        "tube": np.hypot(x[0], x[1]) <= 1.5,
        "sheet": np.abs(x[0]) <= 1.5,
        "ball": np.sqrt((x**2).sum(0)) <= 3,
    }
    found = {
        name: tubeness(shape.astype(np.float32), grid, dark=False, widths_mm=(1.0, 1.5))[
            20, 20, 20
        ]
        for name, shape in shapes.items()
    }
    assert found["tube"] > 2 * max(found["sheet"], found["ball"])
    inverted = tubeness(-shapes["tube"].astype(np.float32), grid, dark=True, widths_mm=(1.5,))
    assert inverted[20, 20, 20] > 0.1


def test_tissue_cancels_and_the_vessels_stay():
    image, t1w, everywhere, grid, tree = planted("t1ce", 9, noise=0.02)
    excess = excess_of(image, t1w, everywhere, grid)
    inside = tube_share(tree, SHAPE) > 0.9
    away = ~ndimage.binary_dilation(tube_share(tree, SHAPE) > 0, iterations=3)
    assert excess[inside].mean() > 0.6
    assert abs(np.median(excess[away])) < 0.05


def test_what_cannot_be_is_refused_in_a_sentence():
    image, t1w, everywhere, grid, _ = planted("tof", 10)
    with pytest.raises(FalxError, match="contrast"):
        vessels_in(image, t1w, everywhere, everywhere, grid, contrast="pet")
    with pytest.raises(FalxError, match="less than half of the brain"):
        vessels_in(image * 0, t1w, everywhere, everywhere, grid, contrast="tof")
    with pytest.raises(FalxError, match="strictness"):
        VesselRule(strictness=0)


def test_the_measures_of_the_study_measure():
    """A tree is its own mask; half of it is half of the recall; a line elsewhere is false."""
    line = np.c_[np.full(80, 20.0), np.full(80, 20.0), np.linspace(5, 45, 80)]
    tree, grid = Tree(line, np.ones(80)), box_grid((50, 50, 50))
    mask = np.zeros((50, 50, 50), bool)
    mask[19:21, 19:21, 5:45] = True
    assert recall_and_false(mask, grid, tree) == (1.0, 0.0)
    upper = mask.copy()
    upper[:, :, :25] = False
    recall, false = recall_and_false(upper, grid, tree)
    assert recall == pytest.approx(0.55, abs=0.05)
    assert false == 0
    both = mask.copy()
    both[40:42, 40:42, 5:45] = True
    assert recall_and_false(both, grid, tree)[1] == pytest.approx(0.5, abs=0.05)
    assert recall_and_false(np.zeros_like(mask), grid, tree) == (0.0, 0.0)
