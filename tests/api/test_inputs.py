"""What a notebook may hand over, and the sentence for what it may not."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import falx
from falx.api.inputs import (
    image_of,
    labels_of,
    mask_of,
    name_of,
    numbers_of,
    same_grid,
    settings_of,
    words_of,
)
from falx.core.errors import GridError, InputError, OptionError
from falx.core.grid import apply_affine
from falx.images.nifti import as_stored, load, save
from strategies import ORIENTATIONS, affines, store

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2.0, 0.1, -4], [0, -0.1, 2.5, 3], [0, 0, 0, 1]])
DATA = np.arange(60, dtype=np.float64).reshape(3, 4, 5) / 7


def same(a, b) -> None:
    np.testing.assert_array_equal(a.data, b.data)
    np.testing.assert_array_equal(a.affine, b.affine)


def test_a_path_an_image_and_an_array_are_the_same(tmp_path) -> None:
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(DATA.astype(np.float32), AFFINE), path)
    wanted = load(path)
    for given_ in (path, str(path), nib.load(path), (DATA, AFFINE), falx.Image(DATA, AFFINE)):
        same(image_of(given_, "T1w"), wanted)
    same(falx.read(path), wanted)


def test_whole_numbers_are_taken_as_a_file_gives_them_and_saved_as_they_are(tmp_path) -> None:
    whole = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = falx.save((whole, AFFINE), tmp_path / "a.nii")
    assert nib.load(path).get_data_dtype() == np.uint8
    found = image_of((whole, AFFINE), "x")
    assert found.data.dtype == np.float32
    same(found, load(path))
    mask = falx.save(falx.Image(whole > 30, AFFINE), tmp_path / "m.nii.gz")
    assert nib.load(mask).get_data_dtype() == np.uint8


@given(affines(), st.sampled_from(ORIENTATIONS))
def test_in_memory_equals_by_way_of_a_file(tmp_path_factory, affine, orientation) -> None:
    """Any orientation, any affine: bit for bit what saving and loading gives."""
    data, stored = store(DATA, affine, orientation)
    path = tmp_path_factory.getbasetemp() / "by_way.nii"
    save(path, data, stored)
    same(as_stored(data, stored), load(path))


@given(affines(), st.sampled_from(ORIENTATIONS))
def test_a_value_keeps_its_place_whatever_the_axes(affine, orientation) -> None:
    data, stored = store(DATA, affine, orientation)
    image = image_of((data, stored), "x")
    at = np.argwhere(image.data == image.data.max())[0]
    place = apply_affine(affine, np.argwhere(DATA.max() == DATA)[0])
    np.testing.assert_allclose(apply_affine(image.affine, at), place, atol=1e-3)


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        (DATA, "an array does not say where it lies .*array without an affine.*nibabel image"),
        (DATA.tolist(), "an array does not say where it lies"),
        (7, "this is no image .found: int"),
        (None, "this is no image .found: NoneType"),
        ((DATA, np.eye(3)), "4×4 matrix from voxels to RAS. mm .found: shape 3×3"),
        ((DATA, np.zeros((4, 4))), "singular"),
        ((DATA, "RAS"), "not every value is a number"),
        ((DATA[0], AFFINE), "a 3D image is needed .found: shape 4×5"),
        ((np.ones((2, 2, 2, 3)), AFFINE), "a 3D image is needed .*choose one volume"),
        ((np.array([["a"]]), AFFINE), "an image holds numbers"),
        ((DATA + 1j, AFFINE), "real numbers"),
        ([falx.Image(DATA, AFFINE)], "array without an affine"),
        ((falx.Image(DATA, AFFINE), np.full((4, 4), np.nan)), "not finite|singular"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(given_, sentence) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        image_of(given_, "T1w")
    assert str(caught.value).startswith(("T1w", "affine of T1w"))


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        falx.read(tmp_path / "none.nii.gz")


def test_a_last_axis_of_one_volume_is_dropped_and_a_series_kept() -> None:
    series = np.stack([DATA, DATA], axis=-1)
    assert image_of((series[..., :1], AFFINE), "x").data.shape == (3, 4, 5)
    assert image_of((series, AFFINE), "x", ndim=4).data.shape == (3, 4, 5, 2)


def test_a_result_that_holds_an_image_stands_for_it() -> None:
    @dataclass(frozen=True)
    class Holder:
        image: falx.Image

    same(image_of(Holder(falx.Image(DATA, AFFINE)), "x"), image_of((DATA, AFFINE), "x"))


def test_masks_are_above_one_half_and_not_empty() -> None:
    values = np.array([[[0.0, 0.5, 0.51, 2.0]]])
    assert mask_of((values, np.eye(4)), "mask").data.tolist() == [[[False, False, True, True]]]
    with pytest.raises(InputError, match="lesion: the mask is empty"):
        mask_of((np.zeros((2, 2, 2)), np.eye(4)), "lesion")


def test_labels_are_whole_numbers() -> None:
    assert labels_of((np.full((2, 2, 2), 17.0), np.eye(4)), "aseg").data.dtype == np.int32
    with pytest.raises(InputError, match="aseg: a label volume must hold integers"):
        labels_of((DATA, AFFINE), "aseg")


def test_other_grids_are_told_apart() -> None:
    one = image_of((DATA, np.eye(4)), "a")
    same_grid("a", one, "b", one)
    with pytest.raises(GridError, match="a and b have the same shape but different positions"):
        same_grid("a", one, "b", image_of((DATA, np.diag([1, 1, 2, 1.0])), "b"))


@pytest.mark.parametrize(
    ("given_", "ndim", "sentence"),
    [
        (falx.Image(DATA, AFFINE), 1, "numbers are needed, not an image"),
        ([falx.Image(DATA, AFFINE)], 1, "not every value is a number"),
        (nib.Nifti1Image(DATA.astype(np.float32), AFFINE), 1, "numbers are needed, not an image"),
        ([1, "two"], 1, "not every value is a number"),
        ([[1, 2], [3]], 2, "not every value is a number"),
        (3.0, 1, "a column of numbers is needed .*of one value"),
        ([], 1, "a column of numbers is needed"),
        ([1, 2], 2, "a 2D table is needed .found: shape 2"),
    ],
)
def test_numbers_never_reach_numpy_unread(given_, ndim, sentence) -> None:
    with pytest.raises(InputError, match=f"age: {sentence}"):
        numbers_of(given_, "age", ndim=ndim)


def test_numbers_may_be_missing_but_keep_their_place() -> None:
    assert numbers_of([1, None, 3], "age")[1] != numbers_of([1, None, 3], "age")[1]
    assert numbers_of(((1, 2), (3, 4)), "table", ndim=2).tolist() == [[1, 2], [3, 4]]


def test_words_are_a_list_of_words() -> None:
    assert words_of(np.array(["a", "b"]), "genes") == ("a", "b")
    for wrong in ("TP53", 3, None):
        with pytest.raises(InputError, match="genes: a list of words is needed"):
            words_of(wrong, "genes")


def test_a_choice_that_is_not_there_names_the_nearest() -> None:
    @dataclass(frozen=True)
    class Choices:
        smoothing_fwhm_mm: float = 6.0

    assert settings_of(Choices, {"smoothing_fwhm_mm": 4.0}).smoothing_fwhm_mm == 4.0
    with pytest.raises(OptionError, match="did you mean 'smoothing_fwhm_mm'"):
        settings_of(Choices, {"smoothing_mm": 4.0})
    with pytest.raises(OptionError, match="the choices are smoothing_fwhm_mm"):
        settings_of(Choices, {"qqqq": 4.0})


def test_a_file_is_called_by_its_name(tmp_path) -> None:
    assert name_of(tmp_path / "sub-01_T1w.nii.gz", "T1w") == "sub-01_T1w.nii.gz"
    assert name_of(DATA, "T1w") == "T1w"


def test_what_is_saved_is_read_again(tmp_path) -> None:
    image = image_of((DATA, AFFINE), "x")
    same(falx.read(falx.save(image, tmp_path / "x.nii.gz")), image)
    series = image_of((np.stack([DATA, 2 * DATA], axis=-1), AFFINE), "x", ndim=4)
    for held in (
        series,
        (series.data, series.affine),
        nib.Nifti1Image(series.data, series.affine),
    ):
        same(falx.read(falx.save(held, tmp_path / "s.nii"), ndim=4), series)
    with pytest.raises(InputError, match=r"x\.img: images are written as NIfTI"):
        falx.save(image, tmp_path / "x.img")
    with pytest.raises(InputError, match="does not say where it lies"):
        falx.save(DATA, tmp_path / "x.nii")
