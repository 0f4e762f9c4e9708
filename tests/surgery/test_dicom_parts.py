"""Places, series and outlines of DICOM without a file."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from falx.core.errors import InputError, collect_notices
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.surgery.dicom.converted_series import (
    KEPT_FIELDS,
    Converted,
    kept_fields,
    pick,
    without_free_text,
)
from falx.surgery.dicom.segmentation import check_masks
from falx.surgery.dicom.series import LPS, DonorSeries, chosen_series, onto_series, series_grid
from falx.surgery.dicom.structure_set import inner_border, slice_contours
from strategies import affines


class Slice(SimpleNamespace):
    """A data set of one slice, as far as geometry asks."""

    def __contains__(self, name):
        return hasattr(self, name)

    def get(self, name, default=None):
        return getattr(self, name, default)


def slices_of(affine, shape=(6, 5, 4), **changes):
    """Slices of a volume whose voxels go to RAS+ mm by an affine."""
    lps = LPS @ affine
    row, column = lps[:3, 0], lps[:3, 1]
    steps = np.linalg.norm(row), np.linalg.norm(column)
    facts = {
        "SOPInstanceUID": "1",
        "StudyInstanceUID": "1",
        "SeriesInstanceUID": "1",
        "FrameOfReferenceUID": "1",
        "ImageOrientationPatient": [*(row / steps[0]), *(column / steps[1])],
        "PixelSpacing": [steps[1], steps[0]],
        "Columns": shape[0],
        "Rows": shape[1],
        **changes,
    }
    return [
        Slice(ImagePositionPatient=apply_affine(lps, np.array([0.0, 0, k])), **facts)
        for k in range(shape[2])
    ]


def right_handed(affine):
    """The same voxels with slices that ascend along the normal of rows and columns."""
    lps = LPS @ affine
    if np.cross(lps[:3, 0], lps[:3, 1]) @ lps[:3, 2] < 0:
        affine = affine.copy()
        affine[:3, 3] += 3 * affine[:3, 2]
        affine[:3, 2] *= -1
    return affine


POINTS = hnp.arrays(np.float64, (7, 3), elements=st.floats(-200, 200))


@given(POINTS)
def test_the_frames_turn_into_each_other_and_back(points):
    there = apply_affine(LPS, points)
    assert np.array_equal(there, points * [-1, -1, 1])
    assert np.array_equal(apply_affine(LPS, there), points)
    assert np.linalg.det(LPS[:3, :3]) == 1  # a turn, not a mirror


@given(affines(), st.permutations(range(4)))
def test_a_series_gives_back_the_affine_it_was_cut_from(affine, order):
    assume(np.linalg.norm(affine[:3, 2]) > 0.5)
    slices = slices_of(affine)
    found = series_grid([slices[n] for n in order])
    assert found.grid.shape == (6, 5, 4)
    assert np.allclose(found.grid.affine, right_handed(affine), atol=1e-6)


def test_a_single_slice_is_as_thick_as_it_says():
    affine = np.diag([-0.9, -1.1, 3.0, 1.0])
    for thickness, step in ((2.5, 2.5), (None, 1.0), (0, 1.0)):
        one = slices_of(affine, (6, 5, 1), SliceThickness=thickness)
        assert np.allclose(series_grid(one).grid.affine[:3, 2], [0, 0, step])


AXIAL = np.diag([-1.0, -1.0, 2.0, 1.0])


def moved(by, *, at=2):
    slices = slices_of(AXIAL)
    slices[at].ImagePositionPatient = slices[at].ImagePositionPatient + np.array(by)
    return slices


def changed(name, value):
    slices = slices_of(AXIAL)
    setattr(slices[-1], name, value)
    return slices


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (moved((0, 0, 0.2)), "has missing slices"),
        (moved((0, 0, -2.0)), "holds slices twice"),
        (slices_of(np.diag([-1.0, -1.0, 2.0, 1.0]))[::2] + slices_of(AXIAL)[3:], "missing slices"),
        (changed("Rows", 9), "mixes slice sizes.*5×6 and 9×6"),
        (changed("PixelSpacing", [1.0, 1.2]), "mixes slice sizes"),
        (changed("ImageOrientationPatient", [0, 1, 0, 0, 0, -1]), "mixes orientations"),
    ],
)
def test_a_series_that_fills_no_grid_is_refused(slices, message):
    with pytest.raises(InputError, match=message):
        series_grid(slices, where="scan")


def test_a_slice_that_does_not_say_where_it_lies_is_refused():
    slices = slices_of(AXIAL)
    del slices[1].FrameOfReferenceUID
    with pytest.raises(InputError, match="no FrameOfReferenceUID"):
        series_grid(slices)


def test_slices_that_are_sheared_are_refused():
    sheared = AXIAL.copy()
    sheared[0, 2] = 0.06
    with pytest.raises(InputError, match=r"aslant.*0\.06 mm"):
        series_grid(slices_of(sheared))
    sheared[0, 2] = 0.04
    assert series_grid(slices_of(sheared)).grid.shape == (6, 5, 4)


def test_one_series_is_chosen_by_number_or_description():
    groups = {
        "a": [Slice(SeriesNumber=3, SeriesDescription="T1 MPRAGE")],
        "b": [Slice(SeriesNumber=4, SeriesDescription="T2")],
    }
    assert chosen_series(groups, "3") is groups["a"]
    assert chosen_series(groups, "T2") is groups["b"]
    assert chosen_series({"a": groups["a"]}, None) is groups["a"]
    with pytest.raises(InputError, match="several image series.*3 T1 MPRAGE, 4 T2"):
        chosen_series(groups, None)
    with pytest.raises(InputError, match="no image series fits"):
        chosen_series(groups, "5")
    with pytest.raises(InputError, match="none.*check the folder"):
        chosen_series({}, None)


MASKS = hnp.arrays(bool, (7, 6))


@given(MASKS)
def test_outlines_enclose_every_voxel_and_no_other(mask):
    """The even-odd rule over all outlines gives the slice back."""
    outlines = slice_contours(mask)
    inside = np.zeros(mask.shape, int)
    for line in outlines:
        assert len(line) >= 4
        for place in np.ndindex(mask.shape):
            inside[place] += crossings(line, place)
    assert np.array_equal(inside % 2 == 1, mask)


def crossings(line, place):
    """How often a ray from a voxel centre along its row meets an outline."""
    x, y = place
    count = 0
    for (ax, ay), (bx, by) in zip(line, np.roll(line, -1, axis=0), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            count += 1
    return count


def test_a_block_has_one_outline_half_a_voxel_around_it():
    mask = np.zeros((8, 9), bool)
    mask[2:6, 3:5] = True
    (line,) = slice_contours(mask)
    assert line.min(axis=0).tolist() == [1.5, 2.5]
    assert line.max(axis=0).tolist() == [5.5, 4.5]
    assert slice_contours(np.zeros((4, 4), bool)) == []


@given(hnp.arrays(bool, (6, 5, 3)))
def test_the_border_is_what_has_a_neighbour_outside_within_its_slice(mask):
    padded = np.pad(mask, ((1, 1), (1, 1), (0, 0)))
    whole = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    assert np.array_equal(inner_border(mask), mask & ~whole)


@settings(max_examples=20)
@given(affines())
def test_a_mask_on_the_grid_of_the_series_arrives_as_it_is(affine):
    grid = Grid((6, 5, 4), affine)
    mask = np.zeros(grid.shape, bool)
    mask[1:4, 2:4, 1:3] = True
    assert np.array_equal(onto_series(Image(mask, affine), DonorSeries((), grid)), mask)
    away = affine.copy()
    away[:3, 3] += 40 * affine[:3, 0]
    with pytest.raises(InputError, match="does not lie on the DICOM series"):
        onto_series(Image(mask, away), DonorSeries((), grid))


def test_masks_that_cannot_be_handed_over():
    donor = DonorSeries((), Grid((3, 3, 3), np.eye(4)))
    full = np.ones((3, 3, 3), bool)
    check_masks({"a": full}, donor)
    with pytest.raises(InputError, match="no mask to hand over"):
        check_masks({}, donor)
    with pytest.raises(InputError, match="mask b is empty"):
        check_masks({"a": full, "b": ~full}, donor)
    with pytest.raises(InputError, match="mask a is not on the grid"):
        check_masks({"a": full[:2]}, donor)


def series(number, description):
    return Converted("", str(number), description, {})


@pytest.mark.parametrize(
    ("description", "role"),
    [
        ("T1 MPRAGE SAG", "t1w"),
        ("3D_BRAVO", "t1w"),
        ("Brain FDG AC", "pet"),
        ("SAG 3D FLAIR", "flair"),
        ("T1 MPRAGE post GD", None),
        ("T1 FLAIR", "flair"),
        ("FDG NAC", None),
        ("PET CT", None),
        ("DWI b1000", None),
    ],
)
def test_a_description_speaks_for_one_role_at_most(description, role):
    with collect_notices() as notices:
        found = {r for r in ("t1w", "flair", "pet") if pick((series(1, description),), r, None)}
    assert found == ({role} if role else set())
    assert len(notices) == len(found)


def test_a_named_series_is_taken_without_a_word_and_doubt_is_refused():
    both = (series(2, "T1 MPRAGE"), series(5, "T1 BRAVO"))
    with collect_notices() as notices:
        assert pick(both, "t1w", "5") is both[1]
        assert pick(both, "pet", "T1 MPRAGE") is both[0]
    assert notices == []
    with pytest.raises(InputError, match="2 series fit t1w.*--t1w"):
        pick(both, "t1w", None)
    with pytest.raises(InputError, match="no series fit t1w"):
        pick(both, "t1w", "9")


@given(
    st.dictionaries(st.sampled_from([*KEPT_FIELDS, "PatientName", "InstitutionName"]), st.text())
)
def test_a_sidecar_keeps_facts_of_the_image_alone(sidecar):
    kept = kept_fields(sidecar)
    assert set(kept) == set(sidecar) & set(KEPT_FIELDS)
    assert all(kept[name] == sidecar[name] for name in kept)


@given(st.binary(min_size=348, max_size=348), st.integers(352, 420), st.binary(max_size=40))
def test_free_text_and_extensions_go_and_voxels_stay(header, start, voxels):
    content = bytearray(header) + bytes(range(256)) * 2
    content[108:112] = np.float32(start).tobytes()
    image = bytes(content[:start]) + voxels
    found = without_free_text(image)
    assert found[352:] == voxels
    assert np.frombuffer(found[108:112], "<f4")[0] == 352
    assert found[348:352] == bytes(4)
    text = {*range(4, 32), *range(148, 252), *range(328, 344)}
    for place in range(348):
        if place in text:
            assert found[place] == 0
        elif not 108 <= place < 112:
            assert found[place] == header[place]
