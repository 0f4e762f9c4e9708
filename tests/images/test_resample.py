import numpy as np
import pytest
from hypothesis import given, settings

from falx.core.errors import InputError, OptionError
from falx.core.grid import Grid, apply_affine, reorient_to_ras
from falx.images.nifti import Image, save
from falx.images.resample import pull, resample, sample
from falx.images.smooth import FWHM_PER_SIGMA, smooth
from falx.images.warp import CoordinateMap, load_map, save_map
from strategies import ORIENTATIONS, affines, store


def ramp(affine: np.ndarray, shape=(8, 9, 10)) -> Image:
    """Image whose value is 2x - y + 0.5z in world millimetres."""
    return Image(Grid(shape, affine).centres_mm() @ [2.0, -1.0, 0.5], affine)


@settings(max_examples=30, deadline=None)
@given(affines())
def test_linear_is_exact_on_a_linear_image(affine) -> None:
    image = ramp(affine)
    points = apply_affine(affine, [[1.3, 2.7, 3.1], [6.9, 0.1, 8.5]])
    expected = points @ [2.0, -1.0, 0.5]
    np.testing.assert_allclose(sample(image, points), expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("how", ["nearest", "linear", "cubic"])
def test_own_grid_gives_own_values(rng, how) -> None:
    image = Image(rng.normal(size=(6, 7, 8)).astype(np.float32), np.diag([2.0, 1, 3, 1]))
    np.testing.assert_allclose(resample(image, image.grid, how=how), image.data, atol=1e-5)


def test_outside_is_outside_and_the_border_voxel_reaches_half_a_voxel() -> None:
    image = Image(np.ones((3, 3, 3), np.float32), np.eye(4))
    points = [[-0.4, 1, 1], [-0.6, 1, 1], [2.5, 1, 1], [50, 50, 50]]
    for how in ("nearest", "linear", "cubic"):
        np.testing.assert_array_equal(
            sample(image, points, how=how, outside=-7.0), [1.0, -7.0, 1.0, -7.0]
        )


def test_thread_count_changes_nothing(rng) -> None:
    image = Image(rng.normal(size=(20, 20, 20)).astype(np.float32), np.eye(4))
    points = rng.uniform(-2, 22, size=(5000, 3))
    np.testing.assert_array_equal(sample(image, points), sample(image, points, threads=2))


def test_storage_orientation_changes_nothing(rng) -> None:
    affine = np.diag([1.0, 2.0, 1.5, 1.0])
    data = rng.normal(size=(5, 6, 7)).astype(np.float32)
    target = Grid((4, 4, 4), np.diag([1.1, 1.7, 2.0, 1.0]))
    expected = resample(Image(data, affine), target)
    for orientation in ORIENTATIONS:
        turned = reorient_to_ras(*store(data, affine, orientation))
        np.testing.assert_allclose(resample(Image(*turned), target), expected, atol=1e-4)


def test_matrix_and_map_are_one_interpolation() -> None:
    image = ramp(np.eye(4), (30, 30, 30))
    matrix = np.eye(4)
    matrix[:3, 3] = [1.5, -0.5, 2.25]
    grid = Grid((5, 5, 5), np.diag([1.0, 1.0, 1.0, 1.0]) + np.eye(4, k=3) * 8)
    map_mm = grid.centres_mm() + 3.0
    expected = (map_mm + matrix[:3, 3]) @ [2.0, -1.0, 0.5]
    np.testing.assert_allclose(pull(image, map_mm, matrix=matrix), expected, atol=1e-4)


def test_coordinate_map_interpolates_and_holds_its_displacement(tmp_path) -> None:
    grid = Grid((6, 6, 6), np.diag([3.0, 3.0, 3.0, 1.0]))
    linear = np.diag([1.1, 0.9, 1.0, 1.0])
    linear[:3, 3] = [5, -4, 2]
    moved = apply_affine(linear, grid.centres_mm()).astype(np.float32)
    mapping = CoordinateMap(moved, grid.affine)
    inside = np.array([[1.0, 2.0, 14.0], [7.5, 7.5, 7.5]])
    np.testing.assert_allclose(mapping.at(inside), apply_affine(linear, inside), atol=1e-4)
    beyond = mapping.at([[100.0, 0.0, 0.0]])[0] - [100.0, 0.0, 0.0]
    edge = mapping.at([[15.0, 0.0, 0.0]])[0] - [15.0, 0.0, 0.0]
    np.testing.assert_allclose(beyond, edge, atol=1e-4)
    save_map(tmp_path / "x_xfm.nii.gz", mapping)
    np.testing.assert_allclose(load_map(tmp_path / "x_xfm.nii.gz").coordinates_mm, moved)
    save(tmp_path / "bad.nii.gz", np.zeros((2, 2, 2, 2)), np.eye(4))
    with pytest.raises(InputError, match="three values a voxel"):
        load_map(tmp_path / "bad.nii.gz")


def test_smoothing_gives_the_width_it_says() -> None:
    # The second moment of a smoothed point is the kernel's variance.
    point = np.zeros((41, 41, 41), np.float32)
    point[20, 20, 20] = 1.0
    blurred = smooth(point, (1.0, 2.0, 1.0), 8.0)
    assert blurred.sum() == pytest.approx(1.0, abs=1e-3)
    for axis, size in enumerate((1.0, 2.0, 1.0)):
        offset = (np.arange(41) - 20.0) * size
        profile = blurred.sum(axis=tuple({0, 1, 2} - {axis}))
        width = np.sqrt((profile * offset**2).sum()) * FWHM_PER_SIGMA
        assert width == pytest.approx(8.0, rel=0.01)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_smoothing_does_not_truncate_integers(kind) -> None:
    image = np.full((9, 9, 9), 3, dtype=kind)
    image[4, 4, 4] = 4
    np.testing.assert_allclose(smooth(image, (1, 1, 1), 3.0), smooth(image.astype(float), 1, 3.0))


def test_masked_smoothing_keeps_a_constant() -> None:
    mask = np.zeros((12, 12, 12), bool)
    mask[3:9, 3:9, 3:9] = True
    image = np.where(mask, 5.0, 1000.0)
    smoothed = smooth(image, (1, 1, 1), 6.0, mask=mask)
    np.testing.assert_allclose(smoothed[mask], 5.0, rtol=1e-5)
    assert not smoothed[~mask].any()


def test_zero_width_changes_nothing_and_nonsense_is_refused(rng) -> None:
    image = rng.normal(size=(5, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(smooth(image, (1, 1, 1), 0.0), image)
    with pytest.raises(OptionError, match="fwhm_mm is out of range"):
        smooth(image, (1, 1, 1), -1.0)
