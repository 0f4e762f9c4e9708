"""The shipped priors: symmetric, sided, in the template's place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from falx.atlas.files import load_atlas
from falx.core.errors import InputError, OptionError
from falx.core.files import read_table
from falx.core.grid import is_symmetric
from falx.data.labels import TISSUES
from falx.data.priors import (
    ATLAS_FILE,
    DATA,
    structure_priors,
    template,
    tissue_priors,
    write_structures,
)
from falx.images.nifti import Image, load
from falx.images.resample import resample


@pytest.fixture(scope="module")
def tissues():
    return tissue_priors()


@pytest.fixture(scope="module")
def structures():
    return structure_priors()


def centroid_mm(image: Image):
    weights = image.data.astype(np.float64)
    points = image.grid.centres_mm()
    return np.tensordot(weights, points, axes=3) / weights.sum()


def test_tissues_are_probabilities_above_the_floor(tissues):
    p = tissues.probabilities
    assert p.dtype == np.float32
    assert tissues.names == TISSUES
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-5)
    assert p.min() >= 0.9e-4


def test_tissues_are_symmetric_to_the_last_bit(tissues):
    assert is_symmetric(tissues.grid)
    np.testing.assert_array_equal(tissues.probabilities[::-1], tissues.probabilities)


@pytest.mark.parametrize(
    ("tissue", "point_mm"),
    [
        ("WM", (-28, -25, 28)),  # corona radiata
        ("GM", (-27, 8, 0)),  # putamen
        ("CSF", (0, 5, -12)),  # above the chiasm: suprasellar cistern
        ("air", (0, -130, 100)),
        ("air", (0, 0, 117)),  # the border of the grid
        ("soft", (0, -95, -75)),  # muscle of the neck
    ],
)
def test_a_known_place_holds_its_tissue(tissues, tissue, point_mm):
    at = np.rint(np.linalg.inv(tissues.affine) @ [*point_mm, 1])[:3].astype(int)
    assert tissues.names[int(np.argmax(tissues.probabilities[tuple(at)]))] == tissue


def test_tissue_volumes_are_those_of_a_head(tissues):
    litres = tissues.probabilities.sum(axis=(0, 1, 2)) * tissues.grid.voxel_volume_mm3 / 1e6
    volume = dict(zip(tissues.names, litres, strict=True))
    assert 1.4 < volume["GM"] + volume["WM"] < 2.1  # larger than life
    assert 0.2 < volume["CSF"] < 0.7
    assert 0.3 < volume["bone"] < 1.2


def test_grey_matter_lies_where_the_templates_does(tissues):
    gm = resample(template("gm"), tissues.grid)
    brain = resample(template("brain"), tissues.grid) > 0.5
    assert np.corrcoef(gm[brain], tissues.probabilities[brain, 0])[0, 1] > 0.9


def test_structures_are_mirror_images_with_names_swapped(structures):
    for name in structures.names:
        other = name.replace("left", "R").replace("right", "left").replace("R", "right")
        np.testing.assert_array_equal(
            structures.probability(name)[::-1], structures.probability(other)
        )


def test_every_sided_structure_lies_on_its_side(structures):
    assert is_symmetric(structures.grid)
    for name, side in zip(structures.names, structures.sides, strict=True):
        x_mm = centroid_mm(structures.image(name))[0]
        assert (
            (x_mm < -5) if side == "left" else (x_mm > 5) if side == "right" else abs(x_mm) < 0.01
        )


@pytest.mark.parametrize(
    ("name", "volume_ml", "centre_mm"),
    [
        # Volumes of the heads times the template's enlargement; centres as in Harvard-Oxford.
        ("left hippocampus", (3.0, 7.0), (-26, -22, -15)),
        ("left amygdala", (0.9, 3.0), (-23, -5, -19)),
        ("left thalamus", (6.0, 13.0), (-11, -19, 7)),
        ("left caudate", (3.0, 6.5), (-13, 10, 10)),
        ("brainstem", (18.0, 40.0), (0, -30, -32)),
    ],
)
def test_size_and_place_of_structures(structures, name, volume_ml, centre_mm):
    image = structures.image(name)
    assert volume_ml[0] < image.data.sum() / 1000 < volume_ml[1]
    assert np.linalg.norm(centroid_mm(image) - centre_mm) < 6


def test_image_and_whole_grid_agree(structures):
    image = structures.image(17)
    whole = structures.probability("left hippocampus")
    np.testing.assert_allclose(resample(image, structures.grid), whole, atol=1e-6)


def test_structure_probabilities_sum_to_at_most_one(structures):
    total = np.zeros(structures.grid.shape, np.float32)
    for name in structures.names:
        total += structures.probability(name)
    assert total.max() <= 1.0 + 0.5 * len(structures.names) / 255


def test_an_unknown_structure_is_refused(structures):
    with pytest.raises(OptionError, match="did you mean 'left hippocampus'"):
        structures.image("left hipocampus")
    with pytest.raises(InputError, match="no prior for this structure"):
        structures.image(999)


def test_the_atlas_loads_with_its_sides_and_is_symmetric():
    atlas = load_atlas(DATA / ATLAS_FILE, DATA / ATLAS_FILE.replace(".nii.gz", ".tsv"))
    assert {r.side for r in atlas.regions if "hippocampus" in r.name} == {"left", "right"}
    by_name = {r.name: r.label for r in atlas.regions}
    for name, number in by_name.items():
        if name.startswith("left "):
            mirrored = atlas.image.data[::-1] == by_name[name.replace("left", "right")]
            np.testing.assert_array_equal(atlas.image.data == number, mirrored)


def test_the_files_name_their_inputs_and_stay_small(reference):
    record = json.loads((DATA / "priors.json").read_text())
    assert len(record["Heads"]) == 14
    digests = read_table(reference / "synthseg_heads" / "sha256.tsv").texts("sha256")
    assert {digest.removeprefix("sha256:") for digest in record["Heads"].values()} <= {*digests}
    assert sum(p.stat().st_size for p in Path(DATA).iterdir() if p.is_file()) < 12e6


def test_the_template_is_symmetric_and_an_unknown_kind_refused():
    image = template("t1")
    assert is_symmetric(image.grid)
    np.testing.assert_array_equal(image.data, image.data[::-1])
    with pytest.raises(OptionError, match="unknown value for kind"):
        template("flair")


def test_templates_are_those_of_nilearn():
    import nilearn
    from nilearn import datasets

    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    for kind in ("t1", "gm", "wm"):
        theirs = load(folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")
        ours = template(kind)
        np.testing.assert_array_equal(ours.data, theirs.data / theirs.data.max())
        np.testing.assert_array_equal(ours.affine, theirs.affine)
    mask = datasets.load_mni152_brain_mask(resolution=1)
    np.testing.assert_array_equal(template("brain").data, mask.get_fdata())


def test_left_out_heads_go_to_another_folder(tmp_path, structures):
    values = np.zeros((len(structures.ids), *structures.grid.shape), np.float32)
    values[structures.ids.index(17), 40:50, 80:90, 60:70] = 0.8
    write_structures(values, structures.grid, tmp_path)
    again = structure_priors(tmp_path)
    assert again.ids == (17, 53)
    assert again.probability(53)[::-1][45, 85, 65] == pytest.approx(0.8)
