"""The peaks of Liu et al. 2024 carry the names that the paper prints."""

from __future__ import annotations

import numpy as np

from falx.atlas.atlas import make_atlas
from falx.atlas.files import load_group_atlas, read_label_table
from falx.core.errors import collect_notices
from falx.core.grid import apply_affine
from falx.images.nifti import Image, load_labels
from falx.images.resample import sample
from falx.maps.cluster_table import nearest_region

# Tables 2 and 3; the atlas spells Cerebelum.
PEAKS = [
    ("Cerebelum_8_L", (-27, -44, -51)), ("Cerebelum_9_L", (-14, -44, -55)),
    ("Cerebelum_Crus2_L", (-28, -76, -47)), ("Cerebelum_7b_L", (-31, -71, -47)),
    ("Cerebelum_8_L", (-33, -58, -48)), ("Cerebelum_Crus1_L", (-17, -82, -24)),
    ("Cerebelum_9_L", (-17, -42, -52)), ("Cerebelum_Crus2_L", (-42, -58, -46)),
    ("Cerebelum_Crus1_L", (-37, -60, -36)), ("Cerebelum_Crus2_L", (-22, -81, -36)),
    ("Precuneus_R", (14, -49, 22)), ("Cingulum_Ant_L", (-7, 45, -1)),
    ("Frontal_Sup_Medial_L", (-7, 52, 7)), ("Frontal_Sup_Medial_R", (10, 48, 1)),
]  # fmt: skip


def test_labels_of_the_published_peaks(shared):
    """On the volume of the atlas, whose terms forbid to pass it on."""
    folder = shared / "data" / "atlas"
    rows = read_label_table(folder / "aal_Labels.mat")
    assert len(rows) == 116
    image = load_labels(folder / "AAL_space-MNI152NLin6_res-1x1x1.nii.gz")
    # Centres in the label table are (2, 2, 3) mm off the volume: one header is shifted.
    for shift_mm, named in (((0, 0, 0), 13), ((2, 2, 3), 14)):
        affine = image.affine.copy()
        affine[:3, 3] += shift_mm
        with collect_notices() as notices:
            atlas = make_atlas(Image(image.data, affine), rows, name="AAL")
        told = [text for text in notices if "+2.0, +2.0, +3.0 mm" in text]
        assert len(told) == (named == 13)
        hits = [nearest_region(point, atlas) == (name, 0.0) for name, point in PEAKS]
        assert sum(hits) == named


def test_shipped_lobules_at_the_published_peaks():
    """Of ten cerebellar peaks seven carry the printed lobule, three the one next to it.

    The printed names are those of AAL, which was drawn on one person.
    """
    atlas = load_group_atlas(None, None)
    other = {(-31, -71, -47): "Crus 2", (-33, -58, -48): "7b", (-17, -42, -52): "8b"}
    for printed, point in PEAKS[:10]:
        name, apart_mm = nearest_region(point, atlas)
        lobule = printed.split("_")[1].replace("Crus", "Crus ")
        lobule = other.get(point, "8a" if lobule == "8" else lobule)
        assert (name, apart_mm) == (f"left cerebellum {lobule}", 0.0)
    assert nearest_region(PEAKS[11][1], atlas)[0] == "left rostral anterior cingulate"
    assert nearest_region(PEAKS[13][1], atlas)[0] == "right superior frontal"


def test_shipped_lobules_overlap_with_those_of_aal(shared):
    """Most voxels of the large lobules of AAL have the same name here; sides never differ."""
    folder = shared / "data" / "atlas"
    rows = {row.name: row.label for row in read_label_table(folder / "aal_Labels.mat")}
    image = load_labels(folder / "AAL_space-MNI152NLin6_res-1x1x1.nii.gz")
    atlas = load_group_atlas(None, None)
    names = {region.label: region.name for region in atlas.regions}
    for lobule, least in (("Crus1", 0.8), ("Crus2", 0.6), ("6", 0.7), ("8", 0.55)):
        for side, letter in (("left", "L"), ("right", "R")):
            inside = np.argwhere(image.data == rows[f"Cerebelum_{lobule}_{letter}"])
            points = apply_affine(image.affine, inside)
            found = [names.get(int(c), "") for c in sample(atlas.image, points, how="nearest")]
            printed = lobule.replace("Crus", "Crus ")
            same = [name.startswith(f"{side} cerebellum {printed}") for name in found]
            assert np.mean(same) > least, (lobule, side)
            crossed = [name.startswith("right" if side == "left" else "left") for name in found]
            assert np.mean(crossed) < 0.01
