"""What stands in the headers and sidecars of written images."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.images.nifti import Image, load, load_labels, load_mask, save
from strategies import affines


@settings(deadline=None, max_examples=15)
@given(affine=affines())
def test_both_forms_hold_the_affine_in_millimetres(tmp_path_factory, affine):
    path = tmp_path_factory.mktemp("form") / "image.nii.gz"
    save(path, np.zeros((3, 4, 5), np.float32), affine)
    header = nib.load(path).header
    for form, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        assert code == 2
        np.testing.assert_allclose(form, affine, rtol=1e-4, atol=1e-3)
    assert header.get_xyzt_units() == ("mm", "sec")


@settings(deadline=None, max_examples=20)
@given(low=st.integers(-(2**31), 2**31 - 1), span=st.integers(0, 70_000))
def test_integers_take_the_smallest_type_that_is_exact(tmp_path_factory, low, span):
    high = min(low + span, 2**31 - 1)
    path = tmp_path_factory.mktemp("kind") / "labels.nii.gz"
    data = np.array([low, high], dtype=np.int64).reshape(2, 1, 1)
    save(path, data, np.eye(4))
    stored = nib.load(path)
    assert np.asarray(stored.dataobj).ravel().tolist() == [low, high]
    kinds = [k for k in (np.uint8, np.int16, np.int32)
             if np.iinfo(k).min <= low and high <= np.iinfo(k).max]  # fmt: skip
    assert stored.get_data_dtype() == kinds[0]


def test_labels_beyond_32_bits_are_refused(tmp_path):
    data = np.array([[[2**31]]], dtype=np.int64)
    with pytest.raises(InputError, match="do not fit 32 bits"):
        save(tmp_path / "labels.nii.gz", data, np.eye(4))
    assert not (tmp_path / "labels.nii.gz").exists()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "sub-01_desc-x.y_T1w.nii.gz"])
def test_the_sidecar_has_the_name_of_the_image(tmp_path, name):
    save(tmp_path / name, np.ones((2, 2, 2)), np.eye(4), sidecar={"Type": "Brain"})
    sidecar = tmp_path / (name.split(".nii")[0] + ".json")
    assert json.loads(sidecar.read_text()) == {"Type": "Brain"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, sidecar.name])


def test_masks_take_a_byte_and_floats_four(tmp_path):
    save(tmp_path / "mask.nii.gz", np.array([[[True, False]]]), np.eye(4))
    save(tmp_path / "map.nii.gz", np.array([[[1 / 3]]]), np.eye(4))
    assert nib.load(tmp_path / "mask.nii.gz").get_data_dtype() == np.uint8
    assert nib.load(tmp_path / "map.nii.gz").get_data_dtype() == np.float32
    assert load_mask(tmp_path / "mask.nii.gz").data.ravel().tolist() == [True, False]


@given(value=st.floats(-2.0, 2.0, width=32))
@settings(deadline=None, max_examples=15)
def test_a_mask_is_what_exceeds_one_half(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("half") / "mask.nii.gz"
    save(path, np.full((1, 1, 2), value, np.float32), np.eye(4))
    assert load_mask(path).data.all() == (value > 0.5)
    if value == int(value):
        assert load_labels(path).data.ravel().tolist() == [int(value)] * 2
    else:
        with pytest.raises(InputError, match="fractional values"):
            load_labels(path)


def test_axes_run_to_the_right_however_the_file_stores_them(tmp_path):
    data = np.arange(24.0).reshape(2, 3, 4).astype(np.float32)
    stored = nib.nifti1.Nifti1Image(data[::-1, :, ::-1], np.diag([-1.0, 1.0, -2.0, 1.0]))
    nib.save(stored, tmp_path / "las.nii.gz")
    image = load(tmp_path / "las.nii.gz")
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_array_equal(np.diag(image.affine), [1, 1, 2, 1])
    assert image.affine[:3, 3].tolist() == [-1.0, 0.0, -6.0]
    assert Image(data, image.affine).grid.shape == (2, 3, 4)
