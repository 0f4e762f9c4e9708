"""Coregistration: reference matrix, known moves, cut and thick images, mirror, bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from ellipsoid_head import make_head, pet_grid, rigid
from falx.anatomy.files import CoregisterFiles, coregister_stage, load_matrix
from falx.anatomy.registration.coregistration import (
    LEAST_SHARPNESS,
    coregister,
    point_distance_mm,
    sharpness,
)
from falx.anatomy.registration.mutual_information import BINS, nmi, nmi_of_histogram
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.images.nifti import Image, load, save

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
MOVE = rigid((8, -5, 6), (0.08, -0.05, 0.06))
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def t1w():
    head = make_head()
    data = head.t1w.astype(np.float32)
    # Ellipsoids barely resist rotation; lumps do.
    data[60:70, 60:80, 40:60] += 60
    data[20:26, 20:60, 30:34] += 40
    return Image(data, head.grid.affine)


@pytest.fixture(scope="module")
def pet(t1w):
    return make_head().pet(pet_grid(), matrix=MOVE)


def part(image: Image, low: int, high: int, axis: int) -> Image:
    """Cut a slab out of an image, keeping its place in the world."""
    affine = image.affine.copy()
    affine[:3, 3] += low * affine[:3, axis]
    return Image(np.take(image.data, range(low, high), axis=axis), affine)


def mirrored(image: Image) -> Image:
    """Mirror the anatomy about x = 0."""
    back = np.eye(4)
    back[0, 0], back[0, 3] = -1, image.data.shape[0] - 1
    return Image(np.ascontiguousarray(image.data[::-1]), MIRROR @ image.affine @ back)


def test_known_move_of_the_header_is_recovered(t1w):
    found = coregister(t1w, Image(t1w.data, MOVE @ t1w.affine))
    assert point_distance_mm(found.matrix, MOVE, POINTS) < 0.02
    assert found.nmi_after > found.nmi_before


def test_header_far_off_is_recovered(t1w):
    move = rigid((150, -80, 40), (0.3, 0.2, -0.3))
    found = coregister(t1w, Image(t1w.data, move @ t1w.affine))
    assert point_distance_mm(found.matrix, move, POINTS) < 0.02


def test_scaling_is_recovered_with_twelve_degrees_of_freedom(t1w):
    stretch = MOVE @ np.diag([1.04, 0.97, 1.02, 1.0])
    found = coregister(t1w, Image(t1w.data, stretch @ t1w.affine), dof=12)
    assert point_distance_mm(found.matrix, stretch, POINTS) < 0.05


@pytest.mark.parametrize(("low", "high", "axis"), [(35, 81, 2), (0, 60, 1)])
def test_cut_field_of_view(t1w, low, high, axis):
    moved = part(Image(t1w.data, MOVE @ t1w.affine), low, high, axis)
    assert point_distance_mm(coregister(t1w, moved).matrix, MOVE, POINTS) < 0.1


def test_thick_slices(t1w):
    thick = t1w.data[:, :, :78].reshape(*t1w.data.shape[:2], 26, 3).mean(axis=3)
    affine = t1w.affine @ np.diag([1.0, 1.0, 3.0, 1.0])
    affine[:3, 3] += t1w.affine[:3, 2]
    found = coregister(t1w, Image(thick, MOVE @ affine))
    assert point_distance_mm(found.matrix, MOVE, POINTS) < 0.3


def test_mirrored_images_give_the_mirrored_matrix(t1w):
    moved = Image(t1w.data, MOVE @ t1w.affine)
    plain = coregister(t1w, part(moved, 5, 80, 0)).matrix
    other = coregister(mirrored(t1w), mirrored(part(moved, 5, 80, 0))).matrix
    # Rounding decides which side of a kink the last steps take, hence not to the last bit.
    assert point_distance_mm(MIRROR @ other @ MIRROR, plain, POINTS) < 5e-4


def test_result_does_not_depend_on_the_threads(t1w):
    moved = Image(t1w.data, MOVE @ t1w.affine)
    one, two = (coregister(t1w, moved, threads=n) for n in (1, 2))
    assert np.array_equal(one.matrix, two.matrix)


def test_mask_leaves_a_changed_part_out(t1w):
    changed = t1w.data.copy()
    changed[50:75, 30:60, 20:50] = 0
    mask = np.ones(t1w.data.shape, dtype=bool)
    mask[48:77, 28:62, 18:52] = False
    moving = Image(t1w.data, MOVE @ t1w.affine)
    found = coregister(Image(changed, t1w.affine), moving, mask=mask)
    assert point_distance_mm(found.matrix, MOVE, POINTS) < 0.02


def test_agrees_with_spm12(shared):
    t1w = load(shared / "data/images/chris_t1.nii.gz")
    pd = load(shared / "data/images/chris_PD.nii.gz")
    found = coregister(t1w, pd, threads=2)
    assert point_distance_mm(found.matrix, SPM12_T1_TO_PD, POINTS) < 0.25


def test_flair_of_three_millimetre_slices(reference):
    t1w = load(reference / "openms" / "T1W.nii.gz")
    flair = load(reference / "openms" / "FLAIR.nii.gz")
    assert coregister(t1w, flair, threads=2).mean_shift_mm < 2.0


def test_gradient_is_that_of_the_value(rng):
    points = rng.uniform(-8, 8, (20000, 3))
    noise = ndimage.gaussian_filter(rng.normal(size=(24, 24, 24)), 2)
    moving = ((noise - noise.min()) / np.ptp(noise) * (BINS - 1)).astype(np.float32)
    fixed = ((points[:, 0] + 8) / 16 * 0.9 * (BINS - 1)).astype(np.float32)
    to_voxel = np.eye(4)
    to_voxel[:3, 3] = 6.0  # a third of the samples fade out or fall outside
    found = nmi(points, fixed, moving, to_voxel)
    assert 0.5 < found.overlap < 0.7
    step = 1e-4
    for row, column in ((0, 3), (1, 3), (1, 0), (2, 2)):
        change = np.zeros((4, 4))
        change[row, column] = step
        up = nmi(points, fixed, moving, to_voxel + change).value
        down = nmi(points, fixed, moving, to_voxel - change).value
        # Values have kinks where a sample passes a voxel or a bin, hence 1e-4.
        assert found.gradient[row, column] == pytest.approx((up - down) / (2 * step), abs=1e-4)


def test_nmi_of_identical_and_independent_images():
    assert nmi_of_histogram(np.ones((BINS, BINS)))[0] == pytest.approx(1.0)
    assert nmi_of_histogram(np.eye(BINS))[0] > 1.4


def test_images_without_content_are_refused(t1w):
    for value, text in ((0.0, "the value 0 everywhere"), (np.nan, "no finite value")):
        with pytest.raises(InputError, match=text):
            coregister(t1w, Image(np.full_like(t1w.data, value), t1w.affine))


def test_noise_cannot_be_aligned(t1w, rng):
    noise = Image(rng.normal(size=(60, 60, 60)).astype(np.float32), np.diag([3.0, 3, 3, 1]))
    with pytest.raises(InputError, match="cannot be aligned"):
        coregister(t1w, noise)


def test_dof_must_be_known(t1w):
    with pytest.raises(InputError, match="dof must be 6 or 12"):
        coregister(t1w, t1w, dof=9)


def test_stage_writes_the_matrix_and_its_meaning(t1w, pet, tmp_path):
    save(tmp_path / "t1w.nii.gz", t1w.data, t1w.affine)
    save(tmp_path / "mask.nii.gz", make_head().brain, t1w.affine)
    save(tmp_path / "pet.nii.gz", np.stack([pet.data, 2 * pet.data], axis=3), pet.affine)
    files = CoregisterFiles(
        fixed=tmp_path / "t1w.nii.gz", fixed_mask=tmp_path / "mask.nii.gz",
        moving=tmp_path / "pet.nii.gz", matrix=tmp_path / "matrix.json",
    )  # fmt: skip
    coregister_stage(files)
    facts = json.loads((tmp_path / "matrix.json").read_text())
    assert "fixed image (pre-operative T1w) to RAS+" in facts["convention"]
    assert "frames were averaged" in facts["notices"][0]
    assert point_distance_mm(load_matrix(tmp_path / "matrix.json"), MOVE, POINTS) < 1.0


def test_file_without_a_matrix_is_refused(tmp_path):
    write_json(tmp_path / "matrix.json", {"matrix": [[1, 2], [3, 4]]})
    with pytest.raises(InputError, match="no 4×4 matrix"):
        load_matrix(tmp_path / "matrix.json")
    assert np.array_equal(load_matrix(None), np.eye(4))


def test_sharpness_tells_a_right_place_from_a_wrong_one(t1w):
    exact = np.eye(4)
    right = sharpness(t1w, t1w, exact)
    wrong = sharpness(t1w, t1w, rigid((3, 3, 3), (0.0, 0.0, 0.0)))
    over = sharpness(t1w, t1w, rigid((0, 0, 0), (0.0, 0.0, np.pi / 2)))
    assert right > LEAST_SHARPNESS > max(wrong, over)
