"""From the fitted model to tissues: displacements, Bayes' rule, bias, field and clean-up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from falx.anatomy.priors import TISSUES, as_priors
from falx.anatomy.segmentation.bias import BiasField, flat_bias
from falx.anatomy.segmentation.cleanup import clean_up
from falx.anatomy.segmentation.fitting import Fit
from falx.anatomy.segmentation.mixture import Mixture
from falx.anatomy.segmentation.mrf import smooth_labels
from falx.anatomy.segmentation.posterior import displacement_at, posteriors, to_template_mm
from falx.core.grid import Grid, apply_affine
from strategies import affines

SEEDS = st.integers(0, 999)
SIZES = np.array([1.0, 1.0, 1.0])


@settings(deadline=None, max_examples=20)
@given(affine=affines(), seed=SEEDS)
def test_without_displacement_the_map_is_the_affine_one(affine, seed):
    grid = Grid((3, 4, 5), affine)
    to_template = np.eye(4)
    to_template[:3] += 0.1 * np.random.default_rng(seed).normal(size=(3, 4))
    found = to_template_mm(np.zeros((3, 4, 5, 3), np.float32), grid, to_template)
    np.testing.assert_allclose(found, apply_affine(to_template, grid.centres_mm()), atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(affine=affines(), step=st.tuples(*[st.floats(-5, 5)] * 3))
def test_displacements_run_along_the_axes_of_the_image(affine, step):
    grid = Grid((3, 3, 3), affine)
    field = np.broadcast_to(np.array(step, np.float32), (3, 3, 3, 3))
    found = to_template_mm(field, grid, np.eye(4)) - grid.centres_mm()
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(found[1, 1, 1], axes @ step, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(place=st.tuples(*[st.floats(-2, 6)] * 3))
def test_displacements_are_linear_between_nodes_and_held_outside(place):
    nodes = np.moveaxis(np.indices((5, 4, 3)), 0, -1)
    field = (nodes @ np.array([[1, 2, 3], [0, 1, 0], [4, 0, -1.0]]).T).astype(np.float32)
    out = np.empty(3, np.float32)
    displacement_at(field, *place, out)
    held = np.clip(place, 0, [4, 3, 2])
    np.testing.assert_allclose(
        out, np.array([[1, 2, 3], [0, 1, 0], [4, 0, -1.0]]) @ held, atol=1e-4
    )


def fit_of(shape, mixture, stride=2):
    grid = Grid(tuple(-(-n // stride) for n in shape), np.diag([stride, stride, stride, 1.0]))
    still = np.zeros((*grid.shape, 3), np.float32)
    bias = flat_bias(Grid(shape, np.eye(4)), 60.0)
    return Fit(mixture, bias, still, grid, (stride,) * 3, (0.1,))


def test_tissues_are_prior_times_likelihood():
    means = np.array([60.0, 90.0, 30.0, 20.0, 110.0, 5.0])
    mixture = Mixture(means, np.full(6, 200.0), np.ones(6), np.arange(6), np.full(6, 1 / 6),
                      1.0, 160.0)  # fmt: skip
    shape = (8, 8, 8)
    rng = np.random.default_rng(5)
    priors = as_priors(rng.dirichlet(np.ones(6), size=shape), np.eye(4))
    values = rng.uniform(0, 120, shape).astype(np.float32)
    mask = np.ones(shape, bool)
    mask[0, 0, 0] = False
    found = posteriors(values, mask, fit_of(shape, mixture), priors, np.eye(4))
    assert found.box == (slice(0, 8),) * 3
    likelihood = np.exp(-0.5 * (values[..., None] - means) ** 2 / 200.0)
    joint = priors.probabilities * likelihood
    exact = joint / joint.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.inner[mask], exact[mask], atol=5e-3)
    assert found.inner[0, 0, 0].tolist() == [0, 0, 0, 0, 0, 1]
    agree = found.classes[mask] == exact.argmax(-1)[mask]
    assert agree.mean() > 0.99
    assert found.classes[0, 0, 0] == TISSUES.index("air")


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, scale=st.floats(-2, 2))
def test_a_field_is_the_sum_of_its_cosines(seed, scale):
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=(2, 3, 2))
    field = BiasField(coefficients, (8, 9, 10), SIZES)
    whole = field.log_field((1, 1, 1), (8, 9, 10))
    x, y, z = 3, 5, 2
    exact = sum(
        coefficients[a, b, c]
        * np.cos(np.pi * a * (x + 0.5) / 8)
        * np.cos(np.pi * b * (y + 0.5) / 9)
        * np.cos(np.pi * c * (z + 0.5) / 10)
        for a, b, c in np.ndindex(2, 3, 2)
    )
    assert whole[x, y, z] == pytest.approx(exact, abs=1e-4)
    coarse = field.log_field((3, 5, 2), (3, 2, 5))
    np.testing.assert_allclose(coarse[1, 1, 1], whole[3, 5, 2], atol=1e-5)
    scaled = BiasField(scale * coefficients, (8, 9, 10), SIZES).log_field((1, 1, 1), (8, 9, 10))
    np.testing.assert_allclose(scaled, scale * whole, atol=1e-4)


@settings(deadline=None, max_examples=15)
@given(fwhm_mm=st.floats(20, 100), regularisation=st.floats(1e-4, 1.0))
def test_precision_grows_with_frequency_and_with_the_weight(fwhm_mm, regularisation):
    field = BiasField(np.zeros((3, 2, 2)), (30, 40, 50), np.array([2.0, 1.0, 1.0]))
    found = field.precision(fwhm_mm, regularisation)
    sigma = fwhm_mm / np.sqrt(8 * np.log(2))
    assert found[0, 0, 0] == pytest.approx(regularisation * 60 * 40 * 50)
    wave = 2 * np.pi / 60.0
    exponent = min((wave * sigma) ** 2, 60.0)
    expected = regularisation * 30 * 40 * 50 * np.exp(exponent)
    assert found[2, 0, 0] == pytest.approx(expected, rel=1e-6)
    assert np.all(np.diff(found[1:], axis=0) >= 0)


@given(n=st.tuples(*[st.integers(1, 60)] * 3), fwhm_mm=st.floats(10, 100))
def test_as_many_cosines_as_half_widths_fit(n, fwhm_mm):
    grid = Grid(n, np.diag([2.0, 1.0, 3.0, 1.0]))
    order = flat_bias(grid, fwhm_mm).coefficients.shape
    for count, length in zip(order, np.array(n) * [2.0, 1.0, 3.0], strict=True):
        assert count == max(1, int(np.ceil(2 * length / fwhm_mm)))


def random_posteriors(seed, shape=(6, 5, 4)):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(6) * 0.5, size=shape).astype(np.float32)


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, strength=st.floats(0, 5), axis=st.integers(0, 2))
def test_the_field_gives_probabilities_and_keeps_what_is_certain(seed, strength, axis):
    before = random_posteriors(seed)
    before[2, 2, 2] = [0.9995, 0.0005, 0, 0, 0, 0]
    after = smooth_labels(before, SIZES, strength)
    np.testing.assert_allclose(after.sum(axis=-1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(after[2, 2, 2], before[2, 2, 2])
    classes = np.array([5, 3, 1, 0, 2, 4])
    np.testing.assert_allclose(
        smooth_labels(before[..., classes], SIZES, strength), after[..., classes], atol=1e-5
    )


def test_a_neighbour_counts_by_the_square_of_its_distance():
    before = np.full((3, 1, 1, 2), 0.5, np.float32)
    before[0] = before[2] = [0.9999, 0.0001]
    for size, strength in ((1.0, 1.2), (2.0, 1.2), (1.0, 3.0)):
        found = smooth_labels(before, np.array([size, 1.0, 1.0]), strength)[1, 0, 0]
        odds = np.log(found[0] / found[1])
        assert odds == pytest.approx(2 * strength / 6 / size**2 * 0.9998, rel=1e-3)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_clean_up_only_takes_away_and_what_is_left_sums_to_one(seed):
    rng = np.random.default_rng(seed)
    shape = (16, 16, 16)
    raw = ndimage.gaussian_filter(rng.normal(size=(*shape, 6)), (2, 2, 2, 0))
    before = np.exp(40 * raw)
    before = (before / before.sum(-1, keepdims=True)).astype(np.float32)
    after = clean_up(before, SIZES)
    np.testing.assert_allclose(after.sum(axis=-1), 1.0, atol=1e-5)
    assert np.all((after[..., :2] == 0) | (before[..., :2] > 0))
    ratio = after[..., 0] * before[..., 1] - after[..., 1] * before[..., 0]
    np.testing.assert_allclose(ratio, 0.0, atol=1e-5)
    swapped = clean_up(before[..., [1, 0, 2, 3, 4, 5]], SIZES)
    np.testing.assert_allclose(swapped, after[..., [1, 0, 2, 3, 4, 5]], atol=1e-5)
