"""Parts of the coregistration: matrices, samples, thinning, bins; and joined subfields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.anatomy.registration import coregistration as parts
from falx.anatomy.registration.mutual_information import BINS
from falx.anatomy.structures.freesurfer import AMYGDALA, FISSURE, HIPPOCAMPUS, merge_subfields
from falx.core.errors import InputError
from falx.core.grid import SIDES, apply_affine
from falx.images.nifti import Image
from strategies import affines, volumes

CENTRE = np.array([3.0, -14.0, 22.0])
THETA = st.lists(st.floats(-15, 15), min_size=12, max_size=12).map(np.array)
SEEDS = st.integers(0, 999)


@settings(deadline=None, max_examples=20)
@given(theta=THETA)
def test_six_parameters_turn_about_the_centre_without_a_stretch(theta):
    found = parts._matrix(theta[:6], CENTRE)
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(apply_affine(found, CENTRE), CENTRE + theta[:3], atol=1e-9)
    angle = np.arccos(np.clip((np.trace(found[:3, :3]) - 1) / 2, -1, 1))
    assert angle == pytest.approx(np.linalg.norm(theta[3:6]) / parts.RADIUS_MM, abs=1e-6)
    stretched = parts._matrix(np.append(theta[:6], np.zeros(6)), CENTRE)
    np.testing.assert_allclose(stretched, found, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(theta=THETA)
def test_twelve_parameters_stretch_by_an_exponential(theta):
    found = parts._matrix(theta, CENTRE)
    volume = np.exp(theta[6:9].sum() / parts.RADIUS_MM)
    assert np.linalg.det(found[:3, :3]) == pytest.approx(volume, rel=1e-9)
    np.testing.assert_allclose(apply_affine(found, CENTRE), CENTRE + theta[:3], atol=1e-9)
    zoomed = parts._matrix(np.array([0.0] * 6 + [7.0, 0, 0, 0, 0, 0]), np.zeros(3))
    assert np.diag(zoomed).tolist() == pytest.approx([np.exp(0.1), 1, 1, 1])


@settings(deadline=None, max_examples=10)
@given(theta=THETA, dof=st.sampled_from([6, 12]), seed=SEEDS)
def test_slopes_of_the_matrix_are_its_derivative(theta, dof, seed):
    direction = np.random.default_rng(seed).normal(size=dof)
    slopes = parts._matrix_slopes(theta[:dof], CENTRE)
    assert len(slopes) == dof
    total = sum(d * s for d, s in zip(direction, slopes, strict=True))
    ahead = parts._matrix(theta[:dof] + 1e-4 * direction, CENTRE)
    behind = parts._matrix(theta[:dof] - 1e-4 * direction, CENTRE)
    np.testing.assert_allclose(total, (ahead - behind) / 2e-4, atol=1e-4)


@settings(deadline=None, max_examples=15)
@given(affine=affines(), seed=SEEDS, spacing=st.floats(2.0, 9.0))
def test_samples_fill_the_field_and_are_symmetric_along_the_first_axis(affine, seed, spacing):
    image = Image(np.zeros((11, 9, 10), np.float32), affine)
    points = parts._jittered_points(image, spacing, seed)
    voxels = apply_affine(np.linalg.inv(affine), points)
    assert voxels.min() >= -1e-6
    assert np.all(voxels <= np.array([10, 8, 9]) + 1e-6)
    mirrored = voxels * [-1, 1, 1] + [10, 0, 0]
    order = np.lexsort(np.round(voxels, 5).T)
    other = np.lexsort(np.round(mirrored, 5).T)
    np.testing.assert_allclose(voxels[order], mirrored[other], atol=1e-4)
    again = parts._jittered_points(image, spacing, seed)
    np.testing.assert_array_equal(again, points)
    assert not np.array_equal(parts._jittered_points(image, spacing, seed + 1), points)


@settings(deadline=None, max_examples=15)
@given(size=st.floats(0.4, 1.2), data=volumes((12, 13, 4)))
def test_fine_axes_are_thinned_about_the_middle(size, data):
    image = Image(data, np.diag([size, size, 3.0, 1.0]))
    thin = parts._thinned(image)
    factor = max(int(np.floor(2.0 / size + 0.3)), 1)
    assert thin.data.shape == (max(12 // factor, 1), max(13 // factor, 1), 4)
    middle = apply_affine(image.affine, (np.array(data.shape) - 1) / 2)
    np.testing.assert_allclose(
        apply_affine(thin.affine, (np.array(thin.data.shape) - 1) / 2), middle, atol=1e-9
    )
    np.testing.assert_allclose(thin.grid.voxel_sizes_mm, [factor * size] * 2 + [3.0])


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, scale=st.floats(0.01, 1e4), offset=st.floats(-1e3, 1e3))
def test_bins_do_not_depend_on_the_unit_of_intensity(seed, scale, offset):
    values = np.random.default_rng(seed).gamma(2.0, size=4000)
    bins = parts._binned(values)
    assert bins.min() == 0.0
    assert bins.max() == BINS - 1
    np.testing.assert_allclose(parts._binned(scale * values + offset), bins, atol=1e-2)
    assert np.all(np.diff(bins[np.argsort(values)]) >= 0)


def test_wide_voxels_are_not_smoothed_further():
    data = np.zeros((9, 9, 9), np.float32)
    data[4, 4, 4] = 1.0
    image = Image(data, np.diag([1.0, 1.0, 5.0, 1.0]))
    found = parts._smoothed(image, 4.0).data
    assert found[4, 4, 3] == 0.0
    assert found[3, 4, 4] > 0.0
    assert found[3, 4, 4] == pytest.approx(found[4, 3, 4])
    assert parts._smoothed(image, 0.5) is image


@settings(deadline=None, max_examples=20)
@given(place=st.tuples(*[st.integers(1, 4)] * 3), affine=affines())
def test_the_centre_of_mass_is_in_millimetres(place, affine):
    data = np.zeros((10, 10, 10), np.float32)
    voxel = 2 * np.array(place)
    data[tuple(voxel)] = 3.0
    found = parts._centre_of_mass(Image(data, affine))
    np.testing.assert_allclose(found, apply_affine(affine, voxel), atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, side=st.sampled_from(SIDES))
def test_joined_subfields_keep_every_voxel_but_the_fissure(seed, side):
    known = [0, FISSURE, *sorted(HIPPOCAMPUS | AMYGDALA)]
    labels = np.random.default_rng(seed).choice(known, size=(6, 6, 6))
    labels[0, 0, 0] = 226
    found = merge_subfields(labels, side)
    numbers = {"left": (17, 18), "right": (53, 54)}[side]
    assert set(np.unique(found)) <= {0, *numbers}
    np.testing.assert_array_equal(found == numbers[0], np.isin(labels, list(HIPPOCAMPUS)))
    np.testing.assert_array_equal(found == numbers[1], np.isin(labels, list(AMYGDALA)))


def test_a_volume_of_nothing_but_fissure_is_refused():
    with pytest.raises(InputError, match="no hippocampal or amygdalar label"):
        merge_subfields(np.full((2, 2, 2), FISSURE), "left")
