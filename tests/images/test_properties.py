"""Images under mirrors, maps, splines, resampling and smoothing: what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from falx.core.errors import InputError, OptionError
from falx.core.grid import Grid, apply_affine
from falx.core.threads import CHUNKS, kernel_threads
from falx.images.mirror import FLIP, mirror_affine, mirror_image, turned_over
from falx.images.nifti import Image, save
from falx.images.resample import pull, resample, sample
from falx.images.smooth import FWHM_PER_SIGMA, smooth
from falx.images.spline import (
    axis_operators,
    cubic_weights,
    sample_spline,
    spline_coefficients,
)
from falx.images.warp import CoordinateMap, load_map, save_map
from strategies import ORIENTATIONS, affines, store, volumes

SHAPE = (6, 5, 4)
SIZES = st.tuples(*[st.floats(0.5, 4.0)] * 3)


@settings(deadline=None, max_examples=25)
@given(affine=affines(), data=volumes(SHAPE))
def test_a_mirrored_image_has_every_value_at_minus_x(affine, data):
    image = Image(data, affine)
    turned = mirror_image(image)
    points = image.grid.centres_mm()
    there = sample(turned, apply_affine(FLIP, points), how="nearest")
    np.testing.assert_array_equal(there, data)
    back = mirror_image(turned)
    np.testing.assert_array_equal(back.data, data)
    np.testing.assert_allclose(back.affine, affine, atol=1e-9)
    assert np.linalg.det(turned.affine) * np.linalg.det(affine) > 0


@given(affine=affines(), length=st.integers(1, 9))
def test_the_first_and_the_last_voxel_change_places(affine, length):
    turned = mirror_affine(affine, length)
    first, last = apply_affine(turned, [0, 2, 3]), apply_affine(affine, [length - 1, 2, 3])
    np.testing.assert_allclose(first, last * [-1, 1, 1], atol=1e-9)
    assert turned_over(np.arange(length)).tolist() == list(range(length))[::-1]


@settings(deadline=None, max_examples=25)
@given(affine=affines(), data=volumes(SHAPE), seed=st.integers(0, 99))
def test_interpolated_values_lie_between_their_neighbours(affine, data, seed):
    image = Image(data, affine)
    voxels = np.random.default_rng(seed).uniform(0, np.array(SHAPE) - 1.001, size=(30, 3))
    points = apply_affine(affine, voxels)
    low, high = np.floor(voxels).astype(int), np.floor(voxels).astype(int) + 1
    cells = [
        data[tuple(slice(a, b + 1) for a, b in zip(lo, hi, strict=True))]
        for lo, hi in zip(low, high, strict=True)
    ]
    linear = sample(image, points)
    slack = 1e-3 * (1 + data.max())
    assert all(c.min() - slack <= v <= c.max() + slack for c, v in zip(cells, linear, strict=True))
    assert np.isin(sample(image, points, how="nearest"), data).all()


@settings(deadline=None, max_examples=20)
@given(affine=affines(), data=volumes(SHAPE), turn=st.sampled_from(ORIENTATIONS))
@pytest.mark.parametrize("how", ["linear", "nearest"])
def test_how_an_image_is_stored_changes_no_sample(how, affine, data, turn):
    points = apply_affine(affine, np.random.default_rng(1).uniform(0.1, 2.9, size=(20, 3)))
    stored = Image(*store(data, affine, turn))
    np.testing.assert_allclose(
        sample(stored, points, how=how), sample(Image(data, affine), points, how=how), atol=0.02
    )


@settings(deadline=None, max_examples=20)
@given(affine=affines(), other=affines(), data=volumes(SHAPE))
def test_a_matrix_moves_the_points_and_nothing_else(affine, other, data):
    image = Image(data, affine)
    grid = Grid((4, 4, 4), other)
    matrix = affine @ np.linalg.inv(other)
    direct = resample(Image(data, other), grid)
    moved = resample(image, grid, matrix=matrix)
    np.testing.assert_allclose(moved, direct, atol=0.02)
    np.testing.assert_array_equal(pull(image, grid.centres_mm(), matrix=matrix), moved)


@pytest.mark.parametrize("how", ["linear", "nearest", "cubic"])
def test_outside_the_field_of_view_is_the_value_asked_for(how):
    image = Image(np.full(SHAPE, 7.0, np.float32), np.eye(4))
    points = np.array([[2.0, 2.0, 2.0], [-0.51, 2.0, 2.0], [2.0, 4.6, 2.0], [2.0, 2.0, 90.0]])
    assert sample(image, points, how=how, outside=-3.0).round(4).tolist() == [7.0, -3, -3, -3]


@settings(deadline=None, max_examples=15)
@given(data=volumes((7, 6, 5)))
def test_cubic_sampling_passes_through_the_voxels(data):
    image = Image(data, np.diag([2.0, 1.0, 3.0, 1.0]))
    found = sample(image, image.grid.centres_mm(), how="cubic")
    inner = (slice(2, -2), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(found[inner], data[inner], atol=0.05 * (1 + data.max()))


@settings(deadline=None, max_examples=25)
@given(sizes=SIZES, fwhm=st.floats(0.0, 8.0), data=volumes((9, 8, 7)), factor=st.floats(-3, 3))
def test_smoothing_is_linear_and_symmetric(sizes, fwhm, data, factor):
    once = smooth(data, sizes, fwhm)
    slack = 1e-4 * (1 + np.abs(data).max())
    np.testing.assert_allclose(smooth(factor * data, sizes, fwhm), factor * once, atol=4 * slack)
    np.testing.assert_allclose(smooth(data[::-1], sizes, fwhm), once[::-1], atol=slack)
    assert once.max() <= data.max() + slack
    assert once.sum(dtype=float) <= data.sum(dtype=float) * (1 + 1e-4) + slack
    if fwhm == 0.0:
        np.testing.assert_array_equal(once, data)


@settings(deadline=None, max_examples=15)
@given(fwhm=st.floats(2.5, 6.0), axis=st.integers(0, 2))
def test_the_width_is_in_millimetres_along_every_axis(fwhm, axis):
    sizes = np.array([1.0, 1.5, 2.0])
    impulse = np.zeros((41, 41, 41), np.float32)
    impulse[20, 20, 20] = 1.0
    widths = np.zeros(3)
    widths[axis] = fwhm
    profile = np.moveaxis(smooth(impulse, sizes, widths), axis, 0)[:, 20, 20].astype(float)
    place_mm = (np.arange(41) - 20) * sizes[axis]
    assert profile.sum() == pytest.approx(1.0, abs=1e-3)
    variance = (profile * place_mm**2).sum() / profile.sum()
    assert np.sqrt(variance) * FWHM_PER_SIGMA == pytest.approx(fwhm, rel=0.05)


@settings(deadline=None, max_examples=15)
@given(data=volumes((8, 7, 6)), seed=st.integers(0, 99), fwhm=st.floats(1.0, 6.0))
def test_what_lies_outside_a_mask_has_no_influence_inside(data, seed, fwhm):
    rng = np.random.default_rng(seed)
    mask = rng.random(data.shape) < 0.6
    other = np.where(mask, data, 1e3 * rng.random(data.shape)).astype(np.float32)
    found = smooth(data, (1, 1, 1), fwhm, mask=mask)
    np.testing.assert_array_equal(smooth(other, (1, 1, 1), fwhm, mask=mask), found)
    assert not found[~mask].any()
    inside = data[mask]
    if inside.size:
        slack = 1e-3 * (1 + inside.max())
        assert inside.min() - slack <= found[mask].min()
        assert found[mask].max() <= inside.max() + slack


@pytest.mark.parametrize("fwhm", [-1.0, 101.0, (2.0, 2.0, -0.1)])
def test_an_impossible_width_is_refused(fwhm):
    with pytest.raises(OptionError, match="fwhm_mm is out of range"):
        smooth(np.zeros((3, 3, 3)), (1, 1, 1), fwhm)


@settings(deadline=None, max_examples=20)
@given(u=st.floats(0.0, 1.0))
def test_spline_weights_are_those_of_the_cubic_b_spline(u):
    found = np.empty(4)
    cubic_weights(u, found)
    distance = np.abs(np.array([1.0 + u, u, 1.0 - u, 2.0 - u]))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    expected = np.where(distance < 1, inner, np.maximum(2 - distance, 0) ** 3 / 6)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.sum() == pytest.approx(1.0)


@settings(deadline=None, max_examples=10)
@given(data=volumes((7, 8, 6)), seed=st.integers(0, 99))
def test_the_spline_equals_scipys_with_mirrored_ends(data, seed):
    coefficients = spline_coefficients(data, axis_operators(data.shape))
    assert coefficients.shape == (9, 10, 8)
    voxels = np.random.default_rng(seed).uniform(0, np.array(data.shape) - 1, size=(40, 3))
    expected = ndimage.map_coordinates(data.astype(np.float64), voxels.T, order=3, mode="mirror")
    found = sample_spline(coefficients, voxels.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=2e-3 * (1 + data.max()))


def test_a_spline_ends_at_the_outermost_centres(rng):
    data = rng.random((5, 5, 5)).astype(np.float32)
    coefficients = spline_coefficients(data, axis_operators(data.shape))
    places = np.array([[0, 0, 0], [4, 4, 4], [4.001, 2, 2], [2, -0.001, 2]], np.float32)
    found = sample_spline(coefficients, places, outside=-1.0)
    np.testing.assert_allclose(found[:2], [data[0, 0, 0], data[4, 4, 4]], atol=1e-5)
    assert found[2:].tolist() == [-1.0, -1.0]


def test_a_smoothing_spline_smooths(rng):
    data = rng.random((9, 9, 9)).astype(np.float32)
    operators = axis_operators(data.shape, (2.0, 0.0, 3.0))
    voxels = np.argwhere(np.ones(data.shape)).astype(np.float32)
    found = sample_spline(spline_coefficients(data, operators), voxels).reshape(data.shape)
    expected = data.astype(float)
    for axis, fwhm in ((0, 2.0), (2, 3.0)):
        sigma = fwhm / FWHM_PER_SIGMA
        expected = ndimage.gaussian_filter1d(expected, sigma, axis=axis, mode="mirror")
    np.testing.assert_allclose(found, expected, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(affine=affines(), seed=st.integers(0, 99))
def test_a_map_of_an_affine_is_that_affine_everywhere(affine, seed):
    rng = np.random.default_rng(seed)
    linear = np.eye(4)
    linear[:3] += 0.2 * rng.normal(size=(3, 4))
    grid = Grid((5, 4, 6), affine)
    mapping = CoordinateMap(apply_affine(linear, grid.centres_mm()).astype(np.float32), affine)
    inside = apply_affine(affine, rng.uniform(0, [4, 3, 5], size=(20, 3)))
    np.testing.assert_allclose(mapping.at(inside), apply_affine(linear, inside), atol=2e-3)
    # Beyond the grid the displacement of the border holds.
    corner, beyond = apply_affine(affine, [4, 3, 5]), apply_affine(affine, [7, 3, 9])
    moved = apply_affine(linear, corner) - corner
    np.testing.assert_allclose(mapping.at(beyond) - beyond, moved, atol=2e-3)


@settings(deadline=None, max_examples=10)
@given(affine=affines(), data=volumes((3, 4, 2, 3)))
def test_a_map_is_read_as_it_was_written(tmp_path_factory, affine, data):
    path = tmp_path_factory.mktemp("map") / "map.nii.gz"
    mapping = CoordinateMap(data - 500, affine)
    save_map(path, mapping)
    again = load_map(path)
    points = mapping.grid.centres_mm()
    np.testing.assert_allclose(again.at(points), mapping.at(points), atol=0.05)


def test_what_is_no_map_is_refused(tmp_path):
    save(tmp_path / "map.nii.gz", np.zeros((3, 3, 3, 2), np.float32), np.eye(4))
    with pytest.raises(InputError, match=r"three values a voxel.*found: 2"):
        load_map(tmp_path / "map.nii.gz")


@pytest.mark.parametrize("threads", [0, -2, 5000])
def test_an_impossible_number_of_threads_is_refused(threads):
    with pytest.raises(OptionError, match="threads is out of range"), kernel_threads(threads):
        pytest.fail("the block must not begin")


def test_the_number_of_threads_is_put_back_even_after_an_error():
    import numba

    before = numba.get_num_threads()
    with kernel_threads(1) as allowed:
        assert allowed == numba.get_num_threads() == 1
    with pytest.raises(ZeroDivisionError), kernel_threads(1):
        numba.get_num_threads() / 0
    assert numba.get_num_threads() == before
    with kernel_threads(1000) as allowed:
        assert allowed == numba.config.NUMBA_NUM_THREADS
    assert CHUNKS % 4 == 0  # the mixture cuts its sums into a quarter of the parts
