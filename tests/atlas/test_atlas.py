"""Atlases: names, sides, region means."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from falx.atlas.atlas import LANDMARKS_MM, make_atlas, region_means
from falx.atlas.files import load_atlas, load_group_atlas, read_label_table
from falx.atlas.label_table import LabelRow, side_in_name
from falx.core.errors import FalxNotice, InputError
from falx.core.files import read_table
from falx.data.priors import ATLAS_FILE, DATA
from falx.images.nifti import Image

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = -9.0


def two_blocks() -> Image:
    labels = np.zeros((10, 10, 10), dtype=np.int32)
    labels[1:3, 4:6, 4:6] = 1
    labels[7:9, 4:6, 4:6] = 2
    return Image(labels, AFFINE)


NAMES = (LabelRow(1, "hippo_L", "left"), LabelRow(2, "hippo_R", "right"))


def test_centroid_and_volume():
    atlas = make_atlas(two_blocks(), NAMES)
    assert atlas.regions[0].centroid_mm == pytest.approx((-6.0, 0.0, 0.0))
    assert atlas.regions[0].volume_mm3 == pytest.approx(64.0)


def test_swapped_names_are_refused():
    swapped = (LabelRow(1, "hippo_R", "right"), LabelRow(2, "hippo_L", "left"))
    with pytest.raises(InputError, match="2 regions lie on the other side"):
        make_atlas(two_blocks(), swapped)


def test_mirrored_volume_is_refused():
    image = two_blocks()
    with pytest.raises(InputError, match="other side"):
        make_atlas(Image(image.data[::-1], image.affine), NAMES)


def test_nan_background_is_refused(tmp_path):
    data = two_blocks().data.astype(np.float32)
    data[data == 0] = np.nan
    path = tmp_path / "nan.nii.gz"
    nib.save(nib.Nifti1Image(data, AFFINE), path)
    with pytest.raises(InputError, match="not a number"):
        load_atlas(path)


def test_unnamed_and_absent_labels_are_told():
    with pytest.warns(FalxNotice) as told:
        atlas = make_atlas(two_blocks(), (LabelRow(1, "a_L", "left"), LabelRow(7, "b")))
    assert [r.name for r in atlas.regions] == ["a_L"]
    assert len(told) == 2


def test_region_means_on_another_grid():
    atlas = make_atlas(two_blocks(), NAMES)
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])  # x stored right to left
    affine[:3, 3] = [10.0, -10.0, -10.0]
    x_mm = 10.0 - np.arange(21.0)
    data = np.broadcast_to(x_mm[:, None, None], (21, 21, 21)).astype(np.float32)
    means = region_means(Image(data, affine), atlas)
    assert means.values == pytest.approx([-6.0, 6.0], abs=0.51)


def test_region_without_voxels_is_an_error():
    atlas = make_atlas(two_blocks(), NAMES)
    data = np.full((10, 10, 10), np.nan, dtype=np.float32)
    data[:5] = 1.0
    with pytest.raises(InputError, match=r"1 regions have no voxel.*hippo_R"):
        region_means(Image(data, AFFINE), atlas)


def volume_of(table) -> Image:
    """Label volume with one voxel at the centroid of every region of a reference table."""
    places = np.stack([table.numbers(f"{axis}_mm") for axis in "xyz"], axis=1)
    labels = np.zeros((201, 241, 201), dtype=np.int32)
    there = np.isfinite(places).all(axis=1)
    affine = np.eye(4)
    affine[:3, 3] = [-100, -140, -90]
    voxels = np.rint(places[there] - affine[:3, 3]).astype(int)
    labels[tuple(voxels.T)] = table.numbers("index")[there]
    return Image(labels, affine)


def rows_of(table, column) -> list[LabelRow]:
    return [
        LabelRow(int(row["index"]), row[column], side_in_name(row[column]))
        for row in table.records()
    ]


def test_harvard_oxford_table_is_swapped_in_twenty_names(reference):
    table = read_table(reference / "atlases" / "harvard_oxford_sub.tsv")
    with pytest.raises(InputError, match="20 regions lie on the other side"):
        make_atlas(volume_of(table), rows_of(table, "as_distributed"))
    atlas = make_atlas(volume_of(table), rows_of(table, "label"))
    hippocampus = next(r for r in atlas.regions if r.name == "Left_Hippocampus")
    assert hippocampus.centroid_mm[0] == pytest.approx(-24.8, abs=0.5)


def test_brainnetome_has_as_many_regions_on_both_sides(reference):
    table = read_table(reference / "atlases" / "brainnetome.tsv")
    atlas = make_atlas(volume_of(table), rows_of(table, "label"))
    assert len(atlas.regions) == 246
    assert sum(r.side == "left" for r in atlas.regions) == 123
    assert atlas.midline == ()


def test_doubled_label_number(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("id,label\n1,a\n1,b\n")
    with pytest.raises(InputError, match="occur twice"):
        read_label_table(path)


def test_landmarks_are_those_of_the_shipped_structures():
    atlas = load_atlas(DATA / ATLAS_FILE, DATA / ATLAS_FILE.replace(".nii.gz", ".tsv"))
    centroids = {region.name: region.centroid_mm for region in atlas.regions}
    for name, place in LANDMARKS_MM.items():
        assert centroids[f"right {name}"] == pytest.approx(place, abs=0.06)


def test_names_that_have_slipped_are_refused(reference):
    table = read_table(reference / "atlases" / "aal.tsv")
    with (
        pytest.warns(FalxNotice, match="no voxels"),
        pytest.raises(InputError, match=r"12 of 12 regions do not lie.*41 L_Hippocampus, 20 mm"),
    ):
        make_atlas(volume_of(table), rows_of(table, "as_distributed"))


def test_one_region_out_of_place_is_told():
    labels = np.zeros((60, 60, 60), dtype=np.int32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -60.0
    for number, place in enumerate(("amygdala", "putamen", "thalamus"), start=1):
        voxel = np.rint((np.array(LANDMARKS_MM[place]) + 60) / 2).astype(int)
        labels[tuple(voxel)] = number
    names = ("R_Amygdala", "R_Putamen", "R_Putamen")
    rows = [LabelRow(k, name, "right") for k, name in enumerate(names, start=1)]
    with pytest.warns(FalxNotice, match="far from where their names say .*3 R_Putamen, 28 mm"):
        make_atlas(Image(labels, affine), rows)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.json", '{"R": {"x": 1}}', "a.json: this is not a label table"),
        ("a.mat", "index\tname", "a.mat: this is not a label table"),
        ("a.txt", "1\n", "a.txt: this is not a label table"),
        ("a.tsv", "index\tname\n1.5\tx\n", "a label number is not an integer"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, name, content, found):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=found):
        read_label_table(tmp_path / name)


def test_gyri_of_both_sides_mirror_each_other():
    atlas = load_group_atlas(None, None)
    by_name = {region.name: region for region in atlas.regions}
    left = [region for region in atlas.regions if region.side == "left"]
    assert len(left) == 56 and not atlas.midline
    for region in left:
        other = by_name["right" + region.name.removeprefix("left")]
        # The least alike are those whose sides differ in people, as the rostral cingulate.
        assert 0.6 < other.volume_mm3 / region.volume_mm3 < 1.4, region.name
        apart = np.array(other.centroid_mm) * (-1, 1, 1) - region.centroid_mm
        assert np.linalg.norm(apart) < 4.0, region.name


def test_cerebellar_lobules_follow_each_other():
    """From the top down, then inward, on either side (Schmahmann et al. 1999)."""
    centre = {r.name: r.centroid_mm for r in load_group_atlas(None, None).regions}
    for side in ("left", "right"):
        place = {name: centre[f"{side} cerebellum {name}"] for name in
                 ("1-4", "5", "6", "Crus 1", "Crus 2", "7b", "8a", "8b", "9")}  # fmt: skip
        heights = [place[name][2] for name in ("5", "6", "Crus 1", "Crus 2", "7b", "8a")]
        assert heights == sorted(heights, reverse=True)
        aside = [abs(place[name][0]) for name in ("Crus 1", "8a", "8b", "9")]
        assert aside == sorted(aside, reverse=True)
        assert place["1-4"][1] > place["5"][1] > place["6"][1] > place["Crus 2"][1]
