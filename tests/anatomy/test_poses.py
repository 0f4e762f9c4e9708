"""Heads in random poses: none is misplaced, and the study of them counts what is.

Head 13, which no shipped prior knows, is much smaller than the template (zooms of 9, 11 and 18 %
where it lies, up to 17, 20 and 25 % when its header is scaled). Until anatomy version 10 three of
its ten poses were misplaced: the last refinement started from too few sizes. The other heads, each
with priors that do not know it, are in ``benchmarks.poses``; their counts stand in
``docs/methods/anatomy.md``.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from benchmarks import poses
from hypothesis import given
from hypothesis import strategies as st

from falx.core.grid import apply_affine, reorient_to_ras
from falx.data.priors import tissue_priors
from falx.phantom.heads import load_head
from falx.phantom.nuisances import regridded

AFFINE = np.array(
    [[2.0, 0.3, 0.0, -4.0], [-0.3, 2.0, 0.1, 7.0], [0.0, -0.1, 1.5, 2.0], [0, 0, 0, 1]]
)

REACHED_BY_13 = 0.894
"""Overlap of head 13 under the affine part of its registered map."""


@given(st.integers(0, 2**32 - 1))
def test_a_storage_orientation_moves_no_voxel(seed):
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    stored, affine = poses._stored(data, AFFINE, np.random.default_rng(seed))
    read, back = reorient_to_ras(stored, affine)
    np.testing.assert_array_equal(read, data)
    np.testing.assert_allclose(back, AFFINE, atol=1e-12)


def test_a_pose_keeps_the_whole_brain_and_its_places():
    head = regridded(load_head("05"), 4.0)
    seen = poses.posed(head, np.random.default_rng(3))
    voxels = apply_affine(np.linalg.inv(seen.image.affine), seen.native_mm)
    assert nib.aff2axcodes(seen.image.affine) == ("R", "A", "S")
    assert voxels.min() > -0.01
    assert (voxels.max(axis=0) < np.array(seen.image.data.shape) - 0.99).all()
    at = seen.image.data[tuple(np.rint(voxels).astype(int).T)]
    # Places and voxels belong together: the brain is brighter than air, bone and neck.
    assert at.mean() > 1.2 * seen.image.data.mean()
    again = poses.posed(head, np.random.default_rng(3))
    np.testing.assert_array_equal(seen.image.data, again.image.data)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({"overlap": 0.9, "sides": 1.0}, False),
        ({"overlap": 0.73, "sides": 1.0}, True),
        ({"overlap": 0.9, "sides": 0.0}, True),
        ({"refused": "no head"}, True),
    ],
)
def test_what_is_elsewhere_or_on_the_wrong_side_is_misplaced(found, wrong):
    assert poses.misplaced(found, REACHED_BY_13) is wrong
    assert poses.misplaced(found, 0.82) is (wrong and found.get("overlap") != 0.73)


def test_the_places_of_a_pose_know_their_tissue():
    head = regridded(load_head("05"), 4.0)
    seen = poses.posed(head, np.random.default_rng(3))
    counts = np.bincount(seen.tissues, minlength=3)
    truth = [int((head.fraction(name) & ~head.mask(24)).sum()) for name in ("GM", "WM", "CSF")]
    assert counts.tolist() == truth
    voxels = np.rint(apply_affine(np.linalg.inv(seen.image.affine), seen.native_mm)).astype(int)
    at = seen.image.data[tuple(voxels.T)]
    grey, white = (np.median(at[seen.tissues == kind]) for kind in (0, 1))
    assert white > 1.2 * grey


def test_a_registered_head_that_is_the_template_reaches_all_of_it():
    priors = tissue_priors()
    inside = priors.probabilities[..., :3].sum(axis=-1) > 0.5
    brain_mm = apply_affine(priors.affine, np.argwhere(inside))
    voxel_mm3 = abs(np.linalg.det(priors.affine[:3, :3]))
    reached = poses.overlap_with_template(np.eye(4), brain_mm, voxel_mm3, priors)
    assert reached == pytest.approx(1.0, abs=1e-6)
    away = np.eye(4)
    away[0, 3] = 500.0
    assert poses.overlap_with_template(away, brain_mm, voxel_mm3, priors) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("pose", range(10))
def test_a_head_in_no_prior_is_placed_from_any_pose(pose, shared):
    head = regridded(load_head("13", shared / "data" / "heads"), poses.VOXEL_MM)
    seen = poses.posed(head, np.random.default_rng([13, pose]))
    found = poses.aligned(seen, tissue_priors())
    assert not poses.misplaced(found, REACHED_BY_13), found
