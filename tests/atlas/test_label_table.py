"""Label tables in every format atlases come with, and numbers that stand once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.atlas.atlas import check_sides, make_atlas, region_means
from falx.atlas.files import load_atlas, read_label_table
from falx.atlas.freesurfer_numbers import (
    AMYGDALA,
    HIPPOCAMPUS,
    MESIAL,
    MESIAL_NUMBERS,
    PAIRS,
    STRIATUM,
)
from falx.atlas.label_table import LabelRow, name_words, side_in_name
from falx.core.errors import FalxNotice, InputError
from falx.core.grid import apply_affine
from falx.data.labels import head_labels
from falx.images.nifti import Image, save
from strategies import affines

TWO = (LabelRow(1, "A8m_L", "left"), LabelRow(2, "A8m_R", "right"))
FORMATS = {
    "lut.txt": "0 Unknown 25 5 25 0\n1 A8m_L 0 255 0 0\n\n2 A8m_R 0 0 255 0\n",
    "a.json": '{"rois": {"0": {"label": "empty"}, "1": {"label": "A8m_L"}, '
    '"2": {"label": "A8m_R", "center": null}}}',
    "flat.json": '{"1": "A8m_L", "2": "A8m_R"}',
    "plain.csv": '1,A8m_L,Frontal Lobe,"SFG, Superior"\n2,A8m_R,Frontal Lobe,"SFG, Superior"\n',
    "header.csv": "ID,Label\n0,null\n1,A8m_L\n2,A8m_R\n",
    "index.tsv": "name\tindex\nA8m_L\t1\nA8m_R\t2\n",
    "region.tsv": "\ufeffindex\tregion\n1\t A8m_L \n2\tA8m_R\n",
    "nodes.csv": "x,y,z,label,module\n-4.6,15.6,53.2,A8m_L,SFG\n6.9,16.4,54.7,A8m_R,SFG\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path, name):
    (tmp_path / name).write_text(FORMATS[name], encoding="utf-8")
    assert read_label_table(tmp_path / name) == TWO


def test_cells_of_dpabi_give_names_and_centres(tmp_path):
    from scipy import io

    cells = np.empty((3, 3), dtype=object)
    cells[0] = ["None", 0, np.zeros(0)]
    cells[1] = ["A8m_L", 1, np.array([-4.0, 15.0, 53.0])]
    cells[2] = ["A8m_R", 2, np.array([6.0, 16.0, 54.0])]
    io.savemat(tmp_path / "labels.mat", {"Reference": cells})
    rows = read_label_table(tmp_path / "labels.mat")
    assert [row.centre_mm for row in rows] == [(-4.0, 15.0, 53.0), (6.0, 16.0, 54.0)]
    assert [row.side for row in rows] == ["left", "right"]


def test_columns_of_side_and_class_come_before_the_name(tmp_path):
    (tmp_path / "a.csv").write_text(
        "id,label,hemisphere,structure\n3,bankssts,R,cortex\n4,x_L,,\n"
    )
    assert read_label_table(tmp_path / "a.csv") == (
        LabelRow(3, "bankssts", "right", "cortex"),
        LabelRow(4, "x_L", "left", None),
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,colour\n1,red\n", "no column of names.*id"),
        ("a.csv", "id,label\n0,null\n", "names no region"),
        ("a.csv", "id,label\n1,a\n1,b\n2,c\n2,d\n", r"occur twice.*\[1, 2\]"),
        ("a.csv", "id,label\n1,a,b,c\n", "line 2 has 4 cells"),
        ("a.tsv", "", "empty"),
        ("a.json", "{", "not JSON"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_label_table(tmp_path / name)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_label_table(tmp_path / "none.tsv")


WORD = st.sampled_from(["hippocampus", "A8m", "gyrus", "area", "7"])
SEPARATOR = st.sampled_from(["_", "-", " ", "."])


@given(words=st.lists(WORD, min_size=1, max_size=3), mark=st.sampled_from(["L", "lh", "Left"]),
       between=SEPARATOR, place=st.integers(0, 3))  # fmt: skip
def test_a_side_is_found_wherever_it_stands_in_a_name(words, mark, between, place):
    place = min(place, len(words))
    words = [*words[:place], mark, *words[place:]]
    name = between.join(words)
    assert side_in_name(name) == "left"
    assert {w.lower() for w in words} == name_words(name)
    other = {"L": "R", "lh": "rh", "Left": "Right"}[mark]
    assert side_in_name(between.join([*words[:place], other, *words[place + 1 :]])) == "right"
    assert side_in_name(between.join([*words, other])) is None


def blocks(affine, shape=(8, 6, 6)):
    """Two regions: the lower and the upper half of the first axis, apart from its ends."""
    data = np.zeros(shape, dtype=np.int32)
    data[1:3, 1:5, 1:5], data[5:7, 1:4, 2:4] = 1, 2
    return Image(data, affine)


NAMED = [LabelRow(1, "one"), LabelRow(2, "two")]


@settings(deadline=None, max_examples=25)
@given(affine=affines())
def test_regions_are_measured_in_millimetres(affine):
    atlas = make_atlas(blocks(affine), NAMED)
    voxel = abs(np.linalg.det(affine[:3, :3]))
    for region, middle, count in zip(
        atlas.regions, ([1.5, 2.5, 2.5], [5.5, 2.0, 2.5]), (32, 12), strict=True
    ):
        np.testing.assert_allclose(region.centroid_mm, apply_affine(affine, middle), atol=1e-6)
        assert region.n_voxels == count
        assert region.volume_mm3 == pytest.approx(count * voxel, rel=1e-6)
    np.testing.assert_array_equal(atlas.labels, [1, 2])
    np.testing.assert_allclose(atlas.centroids_mm[1], atlas.regions[1].centroid_mm)


@settings(deadline=None, max_examples=25)
@given(affine=affines(), slope=st.tuples(*[st.floats(-2, 2)] * 3), offset=st.floats(-9, 9))
def test_the_mean_of_a_plane_is_its_value_at_the_centroid(affine, slope, offset):
    image = blocks(affine)
    plane = image.grid.centres_mm() @ np.array(slope) + offset
    found = region_means(Image(plane, affine), make_atlas(image, NAMED))
    atlas = make_atlas(image, NAMED)
    expected = atlas.centroids_mm @ np.array(slope) + offset
    np.testing.assert_allclose(found.values, expected, atol=1e-6 * (1 + np.abs(plane).max()))
    np.testing.assert_array_equal(found.n_voxels, [32, 12])
    np.testing.assert_allclose(found.coverage, 1.0, rtol=1e-6)


def test_voxels_that_are_not_finite_do_not_count():
    image = blocks(np.eye(4))
    values = np.where(image.data == 1, 3.0, 5.0)
    values[1] = np.nan
    found = region_means(Image(values, np.eye(4)), make_atlas(image, NAMED))
    assert found.values.tolist() == [3.0, 5.0]
    assert found.n_voxels.tolist() == [16, 12]
    assert found.coverage.tolist() == [0.5, 1.0]


@settings(deadline=None, max_examples=20)
@given(x_mm=st.floats(-60, 60), side=st.sampled_from(["left", "right"]))
def test_a_side_is_checked_away_from_the_midline(x_mm, side):
    affine = np.eye(4)
    affine[:3, 3] = [x_mm, -30.0, 5.0]
    data = np.zeros((3, 3, 3), dtype=np.int32)
    data[0, 0, 0] = 1
    row = [LabelRow(1, "region", side)]
    if abs(x_mm) < 2.0:
        assert make_atlas(Image(data, affine), row).midline == ("region",)
    elif (x_mm < 0) == (side == "left"):
        assert make_atlas(Image(data, affine), row).midline == ()
    else:
        with pytest.raises(InputError, match="1 regions lie on the other side"):
            make_atlas(Image(data, affine), row)


def test_only_the_first_three_wrong_regions_are_listed():
    regions = [
        r
        for k in range(5)
        for r in make_atlas(
            Image(np.eye(3, dtype=np.int32)[None].repeat(3, 0), np.diag([30.0, 1, 1, 1])),
            [LabelRow(1, f"r{k}")],
        ).regions
    ]
    wrong = [type(r)(**{**r.__dict__, "side": "left"}) for r in regions]
    with pytest.raises(InputError, match=r"5 regions.*r0.*r1.*r2 at x = 30.0 mm; …"):
        check_sides(wrong)


def test_selected_regions_stay_and_the_others_become_background():
    atlas = make_atlas(blocks(np.eye(4)), NAMED)
    chosen = atlas.select([2])
    assert [region.name for region in chosen.regions] == ["two"]
    assert np.unique(chosen.image.data).tolist() == [0, 2]
    assert np.unique(atlas.image.data).tolist() == [0, 1, 2]


def test_centres_of_a_table_beside_the_volume_are_reported():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    image = blocks(affine)
    middles = [np.array([3.0, 5.0, 5.0]), np.array([11.0, 4.0, 5.0])]
    for shift, beside in ((1.0, False), (2.0, True)):
        rows = [
            LabelRow(k, n, centre_mm=tuple(np.add(m, (shift, 0, 0))))
            for k, n, m in zip((1, 2), ("one", "two"), middles, strict=True)
        ]
        if beside:
            with pytest.warns(FalxNotice, match=r"beside those of.*\+2.0, \+0.0, \+0.0"):
                make_atlas(image, rows)
        else:
            make_atlas(image, rows)


def test_a_volume_without_a_table_names_its_labels_by_number(tmp_path):
    save(tmp_path / "atlas.nii.gz", blocks(np.eye(4)).data, np.eye(4))
    atlas = load_atlas(tmp_path / "atlas.nii.gz")
    assert [region.name for region in atlas.regions] == ["region-1", "region-2"]
    assert atlas.name == "atlas.nii.gz"
    save(tmp_path / "half.nii.gz", 0.5 * blocks(np.eye(4)).data, np.eye(4))
    with pytest.raises(InputError, match="whole, non-negative label numbers"):
        load_atlas(tmp_path / "half.nii.gz")
    with (
        pytest.warns(FalxNotice),
        pytest.raises(InputError, match="no label of the volume is in the table"),
    ):
        load_atlas(tmp_path / "atlas.nii.gz", [LabelRow(9, "nine")])


def test_numbers_are_those_of_the_heads_and_sides_are_mirror_images():
    labels = head_labels()
    mirror = labels.table(labels.mirror)
    side = dict(zip(labels.index.tolist(), labels.side, strict=True))
    name = dict(zip(labels.index.tolist(), labels.name, strict=True))
    for structure, (left, right) in PAIRS.items():
        assert mirror[left] == right
        assert (side[left], side[right]) == ("left", "right")
        if structure != "inferior horn":
            assert structure in name[left]
    assert (HIPPOCAMPUS["left"], AMYGDALA["right"]) == (17, 54)
    assert MESIAL == {"left": (17, 18), "right": (53, 54)}
    assert set(MESIAL_NUMBERS) == {17, 18, 53, 54}
    assert {int(mirror[number]) for number in STRIATUM} == set(STRIATUM)
