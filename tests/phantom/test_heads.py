"""Heads: shipped, symmetric, deformed, mirrored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import InputError, OptionError
from falx.core.files import read_table
from falx.core.grid import apply_affine, box_grid, is_symmetric
from falx.data.labels import head_labels
from falx.phantom.heads import (
    HEADS,
    SHIPPED,
    Head,
    deformation,
    load_head,
    midsagittal,
    mirror_head,
    warp_head,
)


@pytest.mark.parametrize("number", SHIPPED)
def test_shipped_heads_hold_the_original_labels(reference, number):
    head = load_head(number)
    assert set(np.unique(head.labels)) <= set(head_labels().index.tolist())
    counts = dict(zip(*np.unique(head.labels, return_counts=True), strict=True))
    rows = read_table(reference / "synthseg_heads" / "labels.tsv").records()
    original = {int(row["label"]): row for row in rows if row["head"] == number}
    for label, row in original.items():
        # The spinal canal's fluid (24) goes on below the field of view of the shipped heads.
        if label != 24:
            assert counts[label] == int(row["voxels"])
    for label in (17, 54, 16):
        centre = apply_affine(head.affine, np.argwhere(head.mask(label)).mean(axis=0))
        expected = [float(original[label][f"{axis}_mm"]) for axis in "xyz"]
        np.testing.assert_allclose(centre, expected, atol=1e-5)


def test_shipped_heads_are_small_and_name_their_origin():
    record = json.loads((HEADS / "heads.json").read_text())
    assert record["License"] == "Apache-2.0"
    assert len(record["Files"]) == len(SHIPPED)
    assert all((HEADS / name).stat().st_size < 1e6 for name in record["Files"])


def test_a_symmetric_head_is_its_own_mirror_image(head):
    assert is_symmetric(head.grid)
    np.testing.assert_array_equal(mirror_head(head).labels, head.labels)
    assert head.volume_mm3(17) == head.volume_mm3(53) > 2000


def test_left_labels_lie_on_the_left(head):
    for left, right in ((17, 53), (18, 54), (2, 41), (10, 49)):
        x_left = apply_affine(head.affine, np.argwhere(head.mask(left)).mean(axis=0))[0]
        x_right = apply_affine(head.affine, np.argwhere(head.mask(right)).mean(axis=0))[0]
        assert x_left < -5
        assert x_right == pytest.approx(-x_left)


def test_both_sides_hold_the_left_structures_of_the_original(reference, head):
    rows = read_table(reference / "synthseg_heads" / "labels.tsv").records()
    original = {int(row["label"]): int(row["voxels"]) for row in rows if row["head"] == "12"}
    for left, right in ((17, 53), (10, 49), (8, 47)):
        assert head.volume_mm3(left) == head.volume_mm3(right)
        # Resampled once, to 2.5 mm.
        assert head.volume_mm3(left) == pytest.approx(original[left], rel=0.05)


@settings(max_examples=10, deadline=None)
@given(a=st.floats(-6, 6), b=st.floats(-0.15, 0.15), c=st.floats(-0.15, 0.15), flip=st.booleans())
def test_the_midsagittal_plane_is_found(a, b, c, flip):
    grid = box_grid((-40, -40, -40), (40, 40, 40), 1.0)
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    ball = x**2 + y**2 + z**2 < 35**2
    plane = a + b * y + c * z
    labels = np.where(ball & (x < plane), 2, np.where(ball & (x > plane), 41, 0))
    head = Head(labels.astype(np.int16), grid.affine)
    head = mirror_head(head) if flip else head
    points = np.stack([plane[40], y[40], z[40]], axis=-1)[ball[40]]
    points[:, 0] *= -1 if flip else 1
    # A nearly straight plane is one step of half a voxel to either side of the middle; the
    # line of least squares through such a step over a disc is 8 / 3π off at the rim.
    assert np.abs(apply_affine(midsagittal(head), points)[:, 0]).max() < 8 / (3 * np.pi)


def test_a_head_without_white_matter_is_refused():
    with pytest.raises(InputError, match="no cerebral white matter"):
        midsagittal(Head(np.zeros((5, 5, 5), np.int16), np.eye(4)))


def test_an_unknown_head_is_refused():
    with pytest.raises(OptionError, match="unknown value for head"):
        load_head("99")


def test_a_symmetric_deformation_keeps_the_head_symmetric(head, rng):
    warped = warp_head(head, deformation(head.grid, rng, amplitude_mm=4.0))
    np.testing.assert_array_equal(mirror_head(warped).labels, warped.labels)
    changed = (warped.labels != head.labels).mean()
    assert 0.02 < changed < 0.5


def test_a_one_sided_deformation_does_not(head, rng):
    warped = warp_head(head, deformation(head.grid, rng, symmetric=False))
    assert (mirror_head(warped).labels != warped.labels).mean() > 0.02


def test_deformations_are_seeded_smooth_and_do_not_fold(head):
    one, two = (
        deformation(head.grid, np.random.default_rng(3), amplitude_mm=3.0) for _ in range(2)
    )
    np.testing.assert_array_equal(one.coordinates_mm, two.coordinates_mm)
    moved = one.coordinates_mm - one.grid.centres_mm()
    assert 1.0 < np.sqrt((moved**2).sum(axis=-1).mean()) <= 3.001
    gradients = np.stack(np.gradient(one.coordinates_mm, 4.0, axis=(0, 1, 2)), axis=-1)
    assert np.linalg.det(gradients).min() > 0.2


def test_mirroring_twice_is_nothing(rng):
    labels = rng.choice(head_labels().index, (5, 6, 7)).astype(np.int16)
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = [-4.0, 3.0, 1.0]
    twice = mirror_head(mirror_head(Head(labels, affine)))
    np.testing.assert_array_equal(twice.labels, labels)
    np.testing.assert_allclose(twice.affine, affine)
