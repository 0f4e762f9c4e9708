"""Coregistration: reference matrix, known moves, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from ellipsoid_head import make_head, rigid
from falx.anatomy.coregistration import coregister, point_distance_mm
from falx.errors import InputError
from falx.images.nifti import Image, load

# SPM12, normalised mutual information, default settings: chris T1 mm → PD mm.
SPM12_T1_TO_PD = np.array(
    [
        [0.99977, 0.02018, 0.00701, 0.99256],
        [-0.02102, 0.98797, 0.15319, 1.36480],
        [-0.00383, -0.15330, 0.98817, 7.79870],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
POINTS = np.random.default_rng(0).uniform((-60, -90, -40), (60, 60, 70), (500, 3))


@pytest.fixture(scope="module")
def head():
    return make_head()


def test_known_move_of_the_header_is_recovered(head):
    t1w = Image(head.t1w.astype(np.float32), head.grid.affine)
    # An ellipsoid barely resists rotation; a lump on one side does.
    t1w.data[60:70, 60:80, 40:60] += 60
    move = rigid((8, -5, 6), (0.08, -0.05, 0.06))
    found = coregister(t1w, Image(t1w.data, move @ t1w.affine))
    assert point_distance_mm(found.matrix, move, POINTS) < 0.02
    assert found.nmi_after > found.nmi_before


def test_agrees_with_spm12(shared):
    t1w = load(shared / "data/images/chris_t1.nii.gz")
    pd = load(shared / "data/images/chris_PD.nii.gz")
    found = coregister(t1w, pd, threads=2)
    assert point_distance_mm(found.matrix, SPM12_T1_TO_PD, POINTS) < 0.25


def test_images_without_content_are_refused(head):
    t1w = Image(head.t1w.astype(np.float32), head.grid.affine)
    for value, text in ((0.0, "the value 0 everywhere"), (np.nan, "no finite value")):
        with pytest.raises(InputError, match=text):
            coregister(t1w, Image(np.full_like(t1w.data, value), t1w.affine))


def test_noise_cannot_be_aligned(head, rng):
    t1w = Image(head.t1w.astype(np.float32), head.grid.affine)
    noise = Image(rng.normal(size=(60, 60, 60)).astype(np.float32), np.diag([3.0, 3, 3, 1]))
    with pytest.raises(InputError, match="cannot be aligned"):
        coregister(t1w, noise)
