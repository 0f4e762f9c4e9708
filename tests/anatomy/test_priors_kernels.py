"""Tissue priors: floor and sum, linear sampling between voxels, slopes, coarser copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from falx.anatomy.priors import (
    FLOOR,
    as_priors,
    brain_only,
    coarsened,
    locate,
    prior_and_slope_at,
    prior_at,
    unrolled,
)
from falx.core.errors import InputError
from falx.core.grid import apply_affine
from strategies import affines

SHAPE = (5, 6, 7)
INSIDE = st.tuples(*[st.floats(0.0, n - 1.001) for n in SHAPE])
ANYWHERE = st.tuples(*[st.floats(-4.0, n + 4.0) for n in SHAPE])


@pytest.fixture(scope="module")
def probabilities():
    raw = np.random.default_rng(3).dirichlet(np.ones(6), size=SHAPE)
    return as_priors(raw, np.eye(4)).probabilities


def value_at(probabilities, place):
    out = np.empty(6, np.float32)
    prior_at(probabilities, unrolled(6), *place, out)
    return out


@settings(deadline=None, max_examples=30)
@given(place=ANYWHERE)
def test_sampling_is_linear_and_holds_the_border(probabilities, place):
    held = np.clip(place, 0, np.array(SHAPE) - 1.0)
    expected = [
        ndimage.map_coordinates(probabilities[..., k], held[:, None], order=1)[0] for k in range(6)
    ]
    found = value_at(probabilities, place)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert found.sum() == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(place=INSIDE)
def test_slope_is_the_derivative_inside_a_cell(probabilities, place):
    start = np.floor(place) + 0.25 + 0.5 * (np.array(place) - np.floor(place))
    out, slope = np.empty(6, np.float32), np.empty((3, 6), np.float32)
    prior_and_slope_at(probabilities, unrolled(6), *start, out, slope)
    np.testing.assert_allclose(out, value_at(probabilities, start), atol=1e-6)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 0.125
        rise = value_at(probabilities, start + step) - value_at(probabilities, start - step)
        np.testing.assert_allclose(slope[axis], rise / 0.25, atol=2e-5)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("beyond", [-0.5, 9.0])
def test_slope_is_zero_beyond_the_border_along_that_axis_alone(probabilities, axis, beyond):
    place = np.array([1.3, 2.4, 3.2])
    place[axis] = beyond
    out, slope = np.empty(6, np.float32), np.empty((3, 6), np.float32)
    prior_and_slope_at(probabilities, unrolled(6), *place, out, slope)
    assert np.all(slope[axis] == 0.0)
    others = [k for k in range(3) if k != axis]
    assert np.all(np.abs(slope[others]).max(axis=1) > 0.0)


@given(position=st.floats(-20, 20), length=st.integers(2, 12))
def test_neighbour_and_fraction_make_up_the_held_position(position, length):
    lower, fraction, inside = locate(position, length)
    assert 0 <= lower <= length - 2
    assert 0.0 <= fraction <= 1.0
    assert lower + fraction == pytest.approx(np.clip(position, 0, length - 1), abs=1e-5)
    assert inside == (0.0 <= position <= length - 1)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), scale=st.floats(0.1, 1e4))
def test_priors_sum_to_one_above_the_floor_whatever_their_scale(seed, scale):
    raw = np.random.default_rng(seed).random((3, 3, 3, 6)) ** 8 + 1e-4
    once, other = (as_priors(f * raw, np.eye(4)).probabilities for f in (1.0, scale))
    np.testing.assert_allclose(once.sum(axis=-1), 1.0, atol=1e-6)
    assert once.min() >= FLOOR / 1.001
    np.testing.assert_allclose(other, once, rtol=1e-4)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.ones((3, 3, 3, 5)), "six classes on the last axis"),
        (np.ones((3, 3, 6)), "six classes on the last axis"),
        (np.full((3, 3, 3, 6), np.nan), "finite and not negative"),
        (np.full((3, 3, 3, 6), -0.1), "finite and not negative"),
    ],
)
def test_what_is_no_prior_is_refused(raw, message):
    with pytest.raises(InputError, match=message):
        as_priors(raw, np.eye(4))


def test_nowhere_else_than_brain_in_an_extracted_brain(probabilities):
    brain = brain_only(as_priors(probabilities, np.eye(4))).probabilities
    assert np.all(brain[..., 3:] == 0.0)
    np.testing.assert_allclose(brain.sum(axis=-1), 1.0, rtol=1e-5)
    ratio = probabilities[..., 0] / probabilities[..., 1]
    np.testing.assert_allclose(brain[..., 0] / brain[..., 1], ratio, rtol=1e-4)


@settings(deadline=None, max_examples=10)
@given(affine=affines(), factor=st.integers(1, 3))
def test_a_coarser_copy_of_uniform_priors_is_uniform_in_the_same_place(affine, factor):
    share = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    fine = as_priors(np.broadcast_to(share, (6, 6, 6, 6)), affine)
    coarse = coarsened(fine, factor, 0.0)
    assert coarse.probabilities.shape[:3] == (6 // factor,) * 3
    np.testing.assert_allclose(
        coarse.probabilities, np.broadcast_to(share, coarse.probabilities.shape), atol=1e-5
    )
    middle = [(n - 1) / 2 for n in coarse.probabilities.shape[:3]]
    np.testing.assert_allclose(
        apply_affine(coarse.affine, middle), apply_affine(affine, [2.5] * 3), atol=1e-6
    )


def test_a_coarser_copy_averages_blocks(probabilities):
    coarse = coarsened(as_priors(probabilities, np.eye(4)), 2, 0.0)
    block = probabilities[2:4, 0:2, 4:6].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(coarse.probabilities[1, 0, 2], block, rtol=1e-4)
