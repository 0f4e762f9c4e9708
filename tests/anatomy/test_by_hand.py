"""Coregistration of an image that somebody has placed by hand."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from ellipsoid_head import make_head, rigid
from falx.anatomy.files import CoregisterFiles, coregister_stage
from falx.anatomy.metrics import CoregistrationMetrics, HandPlacement
from falx.anatomy.registration.coregistration import Placement, coregister, point_distance_mm
from falx.core.errors import InputError
from falx.core.files import read_record, write_json
from falx.core.records import plain
from falx.images.nifti import Image, save

POINTS = np.random.default_rng(0).uniform((-60, -90, -40), (60, 60, 70), (500, 3))
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
FAR = rigid((4, -3, 5), (0.0, 0.0, 2.6))
"""A scanner that turned the head over: no start of the search is near."""


@pytest.fixture(scope="module")
def t1w():
    head = make_head()
    data = head.t1w.astype(np.float32)
    data[60:70, 60:80, 40:60] += 60
    data[20:26, 20:60, 30:34] += 40
    return Image(data, head.grid.affine)


@pytest.fixture(scope="module")
def turned(t1w):
    return Image(t1w.data, FAR @ t1w.affine)


def off(matrix):
    """A placement as a hand makes it: some millimetres and degrees off."""
    return rigid((2.5, -2.0, 1.5), (0.04, 0.03, -0.05)) @ matrix


def test_what_the_search_misses_is_found_from_a_rough_placement(t1w, turned):
    alone = coregister(t1w, turned).matrix
    assert point_distance_mm(alone, FAR, POINTS) > 10
    placed = coregister(t1w, turned, placement=Placement(off(FAR))).matrix
    assert point_distance_mm(placed, FAR, POINTS) < 0.02


def test_a_placement_that_is_to_be_kept_is_kept_to_the_last_bit(t1w, turned):
    placed = off(FAR)
    found = coregister(t1w, turned, placement=Placement(placed, refine=False))
    assert np.array_equal(found.matrix, placed)
    assert found.nmi_after < coregister(t1w, turned, placement=Placement(placed)).nmi_after


def test_a_mirrored_head_with_the_mirrored_placement_gives_the_mirrored_matrix(t1w, turned):
    def mirrored(image):
        back = np.eye(4)
        back[0, 0], back[0, 3] = -1, image.data.shape[0] - 1
        return Image(np.ascontiguousarray(image.data[::-1]), MIRROR @ image.affine @ back)

    placed = off(FAR)
    one = coregister(t1w, turned, placement=Placement(placed)).matrix
    other = coregister(
        mirrored(t1w), mirrored(turned), placement=Placement(MIRROR @ placed @ MIRROR)
    ).matrix
    assert point_distance_mm(MIRROR @ other @ MIRROR, one, POINTS) < 5e-4


@pytest.mark.parametrize(
    "matrix",
    [
        np.diag([1.1, 1, 1, 1]),
        np.diag([-1.0, 1, 1, 1]),
        np.full((4, 4), np.nan),
        np.eye(3),
        np.diag([1.0, 1, 1, 2]),
    ],
)
def test_a_placement_that_stretches_or_mirrors_is_refused(matrix):
    with pytest.raises(InputError, match="does not only move and turn"):
        Placement(matrix)


@pytest.fixture
def placed_files(tmp_path, t1w, turned):
    save(tmp_path / "t1w.nii.gz", t1w.data, t1w.affine)
    save(tmp_path / "postop.nii.gz", turned.data, turned.affine)
    digest = hashlib.blake2b((tmp_path / "postop.nii.gz").read_bytes(), digest_size=32)
    rows = tuple(map(tuple, off(FAR).tolist()))
    asked = HandPlacement(
        rows, False, digest.hexdigest(), (1, 2, 3), (4, 5, 6), rows, "2026-11-28T10:00:00", "Falx"
    )
    write_json(tmp_path / "nudge.json", plain(asked))
    files = CoregisterFiles(
        tmp_path / "t1w.nii.gz", None, tmp_path / "postop.nii.gz", tmp_path / "xfm.json",
        tmp_path / "nudge.json",
    )  # fmt: skip
    return files, asked


@pytest.mark.parametrize(("refine", "word"), [(False, "result"), (True, "start")])
def test_the_stage_takes_the_placement_and_says_so(placed_files, refine, word):
    files, asked = placed_files
    write_json(files.nudge, plain(replace(asked, refine=refine)))
    coregister_stage(files)
    found = read_record(CoregistrationMetrics, files.matrix)
    assert found.by_hand == word
    assert any("by hand, 2026-11-28" in notice for notice in found.notices)
    near = point_distance_mm(np.array(found.matrix), FAR if refine else off(FAR), POINTS)
    assert near < 0.02


def test_without_a_placement_nothing_is_said_of_a_hand(placed_files):
    files, _ = placed_files
    coregister_stage(replace(files, nudge=None))
    found = read_record(CoregistrationMetrics, files.matrix)
    assert found.by_hand == ""
    assert not any("by hand" in notice for notice in found.notices)


def test_a_placement_of_another_image_is_refused(placed_files, t1w):
    files, _ = placed_files
    save(files.moving, t1w.data, t1w.affine)
    with pytest.raises(InputError, match="another one than that which was placed"):
        coregister_stage(files)
    assert not files.matrix.exists()
