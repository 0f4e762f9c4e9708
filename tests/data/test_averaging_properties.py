"""Averages of heads: weights, mirrors and places; labels sent through their table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.grid import box_grid, normalisation_grid
from falx.data.averaging import (
    RegisteredHead,
    average_structures,
    average_tissues,
    combine_tissues,
    cut_below_skull,
    structure_ids,
)
from falx.data.labels import TISSUES, head_labels, recode, swap_sides, t1_intensities
from falx.data.priors import template
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap

GRID = box_grid((-15, -12, -9), (15, 12, 9), 3.0)
KNOWN = head_labels().index
LABELS = st.integers(0, 9999).map(
    lambda seed: np.random.default_rng(seed).choice(KNOWN, size=GRID.shape).astype(np.int32)
)


def registered(labels, shift_mm=(0.0, 0.0, 0.0)):
    image = Image(labels, GRID.affine)
    points = GRID.centres_mm() + np.array(shift_mm)
    return RegisteredHead(image, CoordinateMap(points.astype(np.float32), GRID.affine))


@settings(deadline=None, max_examples=8)
@given(labels=LABELS)
def test_a_head_and_its_mirror_image_count_one_half_each(labels):
    found = average_tissues([registered(labels)], GRID)
    table = head_labels().table(head_labels().tissue_number)
    own = np.eye(len(TISSUES))[table[labels]]
    np.testing.assert_allclose(found, 0.5 * (own + own[::-1]), atol=1e-4)
    np.testing.assert_array_equal(found, found[::-1])


@settings(deadline=None, max_examples=6)
@given(first=LABELS, second=LABELS)
def test_the_average_of_heads_is_the_mean_of_their_averages_in_any_order(first, second):
    one, two = (average_structures([registered(h)], GRID) for h in (first, second))
    both = average_structures([registered(first), registered(second)], GRID)
    np.testing.assert_allclose(both, 0.5 * (one + two), atol=1e-4)
    turned = average_structures([registered(second), registered(first)], GRID)
    np.testing.assert_allclose(turned, both, atol=1e-6)
    assert both.sum(axis=0).max() <= 1 + 1e-5


@settings(deadline=None, max_examples=6)
@given(labels=LABELS)
def test_the_average_of_a_mirrored_head_is_the_same(labels):
    mirrored = swap_sides(labels[::-1]).astype(np.int32)
    np.testing.assert_allclose(
        average_structures([registered(mirrored)], GRID),
        average_structures([registered(labels)], GRID),
        atol=1e-4,
    )


@settings(deadline=None, max_examples=6)
@given(labels=LABELS)
def test_the_mirror_image_of_a_left_structure_is_the_right_one(labels):
    found = average_structures([registered(labels)], GRID)
    ids = structure_ids()
    for left, right in ((17, 53), (18, 54), (2, 41)):
        np.testing.assert_array_equal(found[ids.index(left)], found[ids.index(right)][::-1])


def test_a_map_between_two_voxels_shares_their_labels():
    labels = np.full(GRID.shape, 2, dtype=np.int32)
    labels[:, 4] = 3
    found = average_tissues([registered(labels, (0.0, 0.75, 0.0))], GRID)
    # A quarter of the way from row 4 to row 5, and three quarters of the way from row 3.
    np.testing.assert_allclose(found[5, 4, 3, :2], [0.75, 0.25], atol=1e-3)
    np.testing.assert_allclose(found[5, 3, 3, :2], [0.25, 0.75], atol=1e-3)
    np.testing.assert_allclose(found[5, 5, 3, :2], [0.0, 1.0], atol=1e-3)


def test_beyond_a_head_is_air_but_not_below_it():
    labels = np.full(GRID.shape, 2, dtype=np.int32)
    side = average_tissues([registered(labels, (0.0, 30.0, 0.0))], GRID)
    np.testing.assert_allclose(side[..., TISSUES.index("air")], 1.0)


@settings(deadline=None, max_examples=6)
@given(weight=st.floats(0.0, 1.0), seed=st.integers(0, 99))
def test_combined_tissues_are_symmetric_probabilities(weight, seed):
    rng = np.random.default_rng(seed)
    heads = rng.dirichlet(np.ones(6), size=GRID.shape).astype(np.float32)
    heads = 0.5 * (heads + heads[::-1])
    gm = rng.random(GRID.shape) * 0.5
    wm = rng.random(GRID.shape) * 0.5
    found = combine_tissues(heads, gm, wm, GRID, template_weight=weight, fwhm_mm=0.0)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(found, found[::-1])
    both_gm = 0.5 * (gm + gm[::-1])
    expected = weight * both_gm + (1 - weight) * heads[..., 0]
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-4)


def test_fluid_below_the_foramen_is_soft_tissue_and_above_it_is_not():
    labels = np.full((3, 3, 30), 24, dtype=np.int32)
    labels[1, 1, 15] = 8
    affine = np.eye(4)
    affine[2, 3] = -40.0
    found = cut_below_skull(Image(labels, affine)).data
    assert np.all(found[0, 0, :10] == 507)
    assert np.all(found[0, 0, 10:] == 24)
    assert found[1, 1, 15] == 8
    assert np.all(labels[0, 0] == 24)


@settings(deadline=None, max_examples=15)
@given(labels=LABELS)
def test_sides_swapped_twice_are_as_before_and_tissues_stay(labels):
    swapped = swap_sides(labels)
    np.testing.assert_array_equal(swap_sides(swapped), labels)
    for column in (head_labels().tissue_number, head_labels().t1_column):
        table = head_labels().table(column)
        np.testing.assert_array_equal(table[swapped], table[labels])
    unsided = head_labels().index[np.array(head_labels().side) == "none"]
    same = np.isin(labels, unsided)
    np.testing.assert_array_equal((swapped == labels), same)


@settings(deadline=None, max_examples=15)
@given(labels=LABELS)
def test_stored_labels_come_back(labels):
    known = head_labels()
    stored = recode(labels, known.table(known.stored))
    assert stored.max() < 256
    back = recode(stored, known.table(known.index, stored=True))
    np.testing.assert_array_equal(back, labels)


@given(strange=st.integers(-5, 5000).filter(lambda n: n not in set(KNOWN.tolist())))
def test_every_unknown_label_is_named(strange):
    with pytest.raises(InputError, match=rf"\[{strange}\]"):
        recode(np.array([2, strange]), head_labels().table(head_labels().mirror))


def test_labels_are_found_by_tissue_and_by_structure():
    known = head_labels()
    assert 17 in known.ids(tissue="GM")
    assert 2 in known.ids(tissue="WM")
    assert set(known.ids(tissue="GM")) & set(known.ids(tissue="WM")) == set()
    assert known.ids(structure=17) == [17]
    assert sum(len(known.ids(tissue=t)) for t in TISSUES) == len(known.index)
    assert len(t1_intensities().name) == 25


@pytest.mark.parametrize("kind", ["t1", "gm", "wm", "brain"])
def test_the_template_covers_the_box_of_the_study(kind):
    image = template(kind)
    assert image.data.shape == (197, 233, 189)
    assert image.data.min() == 0.0
    assert image.data.max() == 1.0
    low, high = image.grid.centres_mm()[0, 0, 0], image.grid.centres_mm()[-1, -1, -1]
    own = normalisation_grid(2.0).centres_mm()
    assert np.all(low <= own[0, 0, 0])
    assert np.all(high >= own[-1, -1, -1])
    assert (image.affine @ [98, 134, 72, 1]).tolist() == [0, 0, 0, 1]


def test_grey_and_white_matter_of_the_template_make_up_its_brain():
    tissue = template("gm").data + template("wm").data
    brain = template("brain").data > 0
    assert tissue[~brain].mean() < 0.05
    assert tissue[brain].mean() > 0.7
    assert 1.2e6 < brain.sum() < 2.1e6
