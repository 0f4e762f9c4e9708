import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from falx.core.errors import GridError
from falx.core.grid import (
    Grid,
    apply_affine,
    check_affine,
    hemisphere,
    in_stored_order,
    is_symmetric,
    mirror,
    normalisation_grid,
    reorient_to_ras,
    side_of,
)
from strategies import ORIENTATIONS, affines, store, symmetric_grids, volumes


def test_normalisation_grid_is_the_published_one() -> None:
    # SPM12 makes 79 × 95 × 79 voxels of Mo 2025's box at 2 mm.
    grid = normalisation_grid(2.0)
    assert grid.shape == (79, 95, 79)
    np.testing.assert_allclose(grid.affine[:3, 3], [-78, -112, -70])


@given(st.floats(0.7, 6.0))
def test_normalisation_grid_is_symmetric_at_any_size(voxel_mm: float) -> None:
    assert is_symmetric(normalisation_grid(voxel_mm))


def test_centres_agree_with_the_affine(rng: np.random.Generator) -> None:
    affine = np.eye(4)
    affine[:3] = rng.normal(size=(3, 4))
    grid = Grid((3, 4, 5), affine)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    np.testing.assert_allclose(grid.centres_mm(), apply_affine(affine, index), atol=1e-12)
    assert grid.voxel_volume_mm3 == pytest.approx(abs(np.linalg.det(affine[:3, :3])))


@given(symmetric_grids(), st.data())
def test_mirror_twice_is_nothing_and_once_swaps_sides(grid: Grid, data: st.DataObject) -> None:
    image = data.draw(volumes(grid.shape))
    np.testing.assert_array_equal(mirror(mirror(image, grid), grid), image)
    left = hemisphere(grid, "left")
    np.testing.assert_array_equal(mirror(left, grid), hemisphere(grid, "right"))
    if left.any():
        assert side_of(left, grid) == "left"


def test_mirror_refuses_a_grid_that_is_not_symmetric() -> None:
    grid = Grid((4, 4, 4), np.eye(4))
    with pytest.raises(GridError, match="not symmetric about x = 0"):
        mirror(np.zeros(grid.shape), grid)


@settings(max_examples=25)
@given(affines(), st.sampled_from(ORIENTATIONS))
def test_storage_order_never_moves_a_value(affine, orientation) -> None:
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    stored, stored_affine = store(values, affine, orientation)
    turned, turned_affine = reorient_to_ras(stored, stored_affine)
    for voxel in [(0, 0, 0), (1, 2, 3), (0, 2, 1)]:
        point = apply_affine(affine, voxel)
        index = np.rint(apply_affine(np.linalg.inv(turned_affine), point)).astype(int)
        assert turned[tuple(index)] == values[voxel]


def test_all_orientations_read_alike() -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    values = np.arange(24).reshape(2, 3, 4)
    for orientation in ORIENTATIONS:
        turned, turned_affine = reorient_to_ras(*store(values, affine, orientation))
        np.testing.assert_array_equal(turned, values)
        np.testing.assert_allclose(turned_affine, affine)


@pytest.mark.parametrize(
    ("affine", "found"),
    [(np.diag([1.0, 0.0, 1.0, 1.0]), "determinant 0"), (np.full((4, 4), np.nan), "not finite")],
)
def test_singular_affine_is_refused(affine, found) -> None:
    with pytest.raises(GridError, match=found):
        check_affine(affine, where="sub-01_T1w.nii.gz")


@pytest.mark.parametrize("seed", range(12))
def test_what_was_turned_to_ras_turns_back_to_how_it_was_stored(seed):
    """Any order and direction of axes, and oblique by up to 40 degrees."""
    rng = np.random.default_rng(seed)
    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    tilt = Rotation.from_rotvec(np.radians(rng.uniform(-23, 23, 3))).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = tilt @ axes @ np.diag([0.8, 1.0, 1.3])
    affine[:3, 3] = rng.normal(0, 50, 3)
    stored = rng.integers(0, 9, (4, 5, 6))
    turned, _ = reorient_to_ras(stored, affine)
    assert np.array_equal(in_stored_order(turned, affine), stored)
