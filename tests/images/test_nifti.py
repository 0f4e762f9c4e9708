import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import FalxNotice, GridError, InputError
from falx.core.files import write_json
from falx.images.nifti import Image, load, load_labels, load_mask, save

AFFINE = np.array([[2.0, 0, 0, -10], [0, 2, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


@settings(max_examples=25, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.int32, np.float32]),
        (3, 4, 5),
        elements=st.integers(0, 100),
    )
)
def test_what_is_saved_is_read_back(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("images") / "x.nii.gz"
    save(path, data, AFFINE)
    back = load(path)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.affine, AFFINE)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (np.array([0, 255]), np.uint8),
        (np.array([-1, 255]), np.int16),
        (np.array([0, 40000]), np.int32),
        (np.array([True, False]), np.uint8),
        (np.array([0.5, 1.0]), np.float32),
    ],
)
def test_smallest_exact_type(tmp_path, data, kind) -> None:
    save(tmp_path / "x.nii.gz", data.reshape(2, 1, 1), AFFINE)
    image = nib.load(tmp_path / "x.nii.gz")
    assert image.get_data_dtype() == kind
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.get_sform(coded=True)[1] == 2


def test_same_input_same_bytes(tmp_path) -> None:
    data = np.random.default_rng(1).normal(size=(4, 4, 4))
    save(tmp_path / "a.nii.gz", data, AFFINE)
    save(tmp_path / "b.nii.gz", data, AFFINE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_json_has_no_nan(tmp_path) -> None:
    write_json(tmp_path / "x.json", {"rate": float("nan"), "n": np.int64(3), "v": np.ones(2)})
    assert json.loads((tmp_path / "x.json").read_text()) == {"rate": None, "n": 3, "v": [1, 1]}


def test_mgz_is_read(tmp_path) -> None:
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nib.save(nib.MGHImage(data, AFFINE), tmp_path / "aseg.mgz")
    np.testing.assert_array_equal(load(tmp_path / "aseg.mgz").data, data)


def test_one_frame_is_dropped_and_more_are_refused(tmp_path) -> None:
    save(tmp_path / "one.nii.gz", np.ones((3, 3, 3, 1)), AFFINE)
    assert load(tmp_path / "one.nii.gz").data.shape == (3, 3, 3)
    save(tmp_path / "two.nii.gz", np.ones((3, 3, 3, 2)), AFFINE)
    with pytest.raises(InputError, match="a 3D image is needed .*3×3×3×2"):
        load(tmp_path / "two.nii.gz")


def test_truncated_file(tmp_path) -> None:
    path = tmp_path / "x.nii.gz"
    save(path, np.random.default_rng(0).normal(size=(20, 20, 20)), AFFINE)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="truncated or damaged"):
        load(path)


def test_truncated_uncompressed_file(tmp_path) -> None:
    path = tmp_path / "x.nii"
    save(path, np.ones((20, 20, 20)), AFFINE)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="truncated or damaged"):
        load(path)


def test_not_an_image(tmp_path) -> None:
    with gzip.open(tmp_path / "x.nii.gz", "wb") as stream:
        stream.write(b"nothing" * 100)
    with pytest.raises(InputError, match="not an image"):
        load(tmp_path / "x.nii.gz")
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "absent.nii.gz")


def _write(path, sform, qform) -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4), np.float32), None)
    image.set_sform(sform, code=1)
    image.set_qform(qform, code=1)
    nib.save(image, path)


def test_singular_affine(tmp_path) -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4), np.float32), None)
    image.set_qform(None, code=0)
    image.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), code=1)
    nib.save(image, tmp_path / "x.nii")
    with pytest.raises(GridError, match="singular"):
        load(tmp_path / "x.nii")


def test_form_conflicts(tmp_path) -> None:
    moved = AFFINE.copy()
    moved[1, 3] += 4.0
    _write(tmp_path / "moved.nii", AFFINE, moved)
    with pytest.warns(FalxNotice, match=r"sform is used \(found: up to 4.0 mm"):
        assert load(tmp_path / "moved.nii").affine[1, 3] == AFFINE[1, 3]
    _write(tmp_path / "flipped.nii", AFFINE, AFFINE @ np.diag([-1.0, 1, 1, 1]))
    with pytest.raises(GridError, match="mirrors the other"):
        load(tmp_path / "flipped.nii")


def test_labels_must_be_integers_and_masks_are_cut_at_one_half(tmp_path) -> None:
    save(tmp_path / "x.nii.gz", np.array([0.4, 0.6]).reshape(2, 1, 1), AFFINE)
    with pytest.raises(InputError, match="must hold integers"):
        load_labels(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(load_mask(tmp_path / "x.nii.gz").data.ravel(), [False, True])


def test_image_knows_its_grid() -> None:
    assert Image(np.zeros((2, 3, 4)), AFFINE).grid.voxel_volume_mm3 == pytest.approx(12.0)
