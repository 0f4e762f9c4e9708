import numpy as np
import pytest

from falx.anatomy.structures.delineation import Structures
from falx.anatomy.structures.freesurfer import (
    adopt,
    check_side,
    is_subfields,
    merge_subfields,
    side_in_name,
)
from falx.core.errors import InputError
from falx.core.grid import box_grid
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap

HIPPOCAMPUS = {
    "full": [203, 211, 212, 226, *range(233, 247)],
    "HBT": [226, 231, 232],
    "FS60": [203, 204, 205, 206, 208, 209, 210, 211, 212, 214, 226],
}
AMYGDALA = [7001, 7003, 7005, 7006, 7007, 7008, 7009, 7010, 7015]


@pytest.mark.parametrize("variant", HIPPOCAMPUS)
@pytest.mark.parametrize(("side", "numbers"), [("left", (17, 18)), ("right", (53, 54))])
def test_all_variants_give_whole_structures(variant, side, numbers):
    labels = np.zeros((60, 2, 1), dtype=int)
    hippocampus = HIPPOCAMPUS[variant]
    labels[: len(hippocampus), 0, 0] = hippocampus
    labels[: len(AMYGDALA), 1, 0] = AMYGDALA
    labels[59, 0, 0] = 215
    merged = merge_subfields(labels, side)
    assert (merged == numbers[0]).sum() == len(hippocampus)
    assert (merged == numbers[1]).sum() == len(AMYGDALA)
    assert merged[59, 0, 0] == 0


def test_an_unknown_subfield_is_named():
    with pytest.raises(InputError, match=r"unknown hippocampal.*\[229\]"):
        merge_subfields(np.array([[[226, 229]]]), "left")


def test_a_missing_side_is_an_error():
    with pytest.raises(InputError, match=r"keep lh\. or rh\."):
        merge_subfields(np.array([[[226]]]), None)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("lh.hippoAmygLabels-T1.v22.FSvoxelSpace.mgz", "left"),
        ("sub-01_hemi-R_dseg.nii.gz", "right"),
        ("aparc+aseg.mgz", None),
        ("sub-rhea_dseg.nii.gz", None),
    ],
)
def test_side_from_the_name(name, side):
    assert side_in_name(name) == side


def test_subfields_are_told_from_standard_labels():
    assert is_subfields(np.array([0, 226, 7001]))
    assert not is_subfields(np.array([0, 2, 17, 53, 251]))


def _map():
    grid = box_grid((-40, -40, -40), (40, 40, 40), 4.0)
    return grid, CoordinateMap(grid.centres_mm().astype(np.float32), grid.affine)


def test_labels_on_the_wrong_side_are_refused():
    grid, identity = _map()
    data = np.zeros(grid.shape, dtype=np.int32)
    data[-4:, 10, 10] = 17
    with pytest.raises(InputError, match="disagree about the side"):
        check_side(Image(data, grid.affine), identity, where="aseg.mgz")


def test_site_labels_replace_the_built_in_ones():
    grid, _ = _map()
    own = np.full(grid.shape, 2, dtype=np.int32)
    own[2:6, 8:12, 8:12] = 17
    site = np.zeros(grid.shape, dtype=np.int32)
    site[3:5, 9:11, 9:11] = 17
    structures = Structures(own, {17: 1.0, 2: 2.0}, {17: 0.9, 2: 0.9})
    merged = adopt(structures, Image(site, grid.affine), grid)
    np.testing.assert_array_equal(merged.labels == 17, site == 17)
    assert merged.volumes_mm3[17] == 8 * grid.voxel_volume_mm3
    assert 17 not in merged.confidence
    assert merged.confidence[2] == 0.9


def test_labels_elsewhere_are_refused():
    grid, _ = _map()
    structures = Structures(np.ones(grid.shape, dtype=np.int32), {}, {})
    far = np.eye(4)
    far[:3, 3] = 500
    labels = Image(np.full((4, 4, 4), 17, dtype=np.int32), far)
    with pytest.raises(InputError, match="does not overlap"):
        adopt(structures, labels, grid)
