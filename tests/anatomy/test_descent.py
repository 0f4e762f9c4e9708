"""Quasi-Newton descent: quadratic bowls, mirrored problems, and what ends a search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.anatomy.registration.descent import LONGEST_STEP, MOST_CUTS, descend
from falx.core.errors import InputError


def bowl(seed, size):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    hessian = root @ root.T + np.eye(size)
    lowest = rng.normal(size=size)

    def cost(theta):
        away = theta - lowest
        return 0.5 * float(away @ hessian @ away), hessian @ away

    return cost, hessian, lowest


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), size=st.integers(1, 6))
def test_the_bottom_of_a_quadratic_bowl_is_found(seed, size):
    cost, _, lowest = bowl(seed, size)
    theta, _ = descend(cost, np.eye(size), tolerance=1e-9, iterations=200)
    np.testing.assert_allclose(theta, lowest, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 999), signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4)
)
def test_a_mirrored_problem_has_the_mirrored_solution_to_the_last_bit(seed, signs):
    cost, _, _ = bowl(seed, 4)
    flip = np.array(signs)

    def mirrored(theta):
        value, gradient = cost(flip * theta)
        return value, flip * gradient

    plain, hessian = descend(cost, np.eye(4), tolerance=1e-3)
    turned, turned_hessian = descend(mirrored, np.eye(4), tolerance=1e-3)
    np.testing.assert_array_equal(turned, flip * plain)
    np.testing.assert_array_equal(turned_hessian, hessian * np.outer(flip, flip))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999))
def test_the_exact_inverse_hessian_reaches_the_bottom_in_one_step(seed):
    cost, hessian, lowest = bowl(seed, 3)
    calls = []

    def counted(theta):
        calls.append(theta)
        return cost(theta)

    theta, _ = descend(counted, np.linalg.inv(hessian), tolerance=1e-6)
    np.testing.assert_allclose(calls[1], lowest, atol=1e-9)
    np.testing.assert_allclose(theta, lowest, atol=1e-9)


def test_the_cost_never_rises_on_a_curved_valley():
    values = []

    def rosenbrock(theta):
        x, y = theta
        value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
        gradient = np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
        values.append(value)
        return value, gradient

    theta, _ = descend(rosenbrock, 1e-3 * np.eye(2), tolerance=1e-8, iterations=200)
    np.testing.assert_allclose(theta, [1.0, 1.0], atol=1e-5)
    assert min(values) == pytest.approx(values[-1], abs=1e-9)


def test_a_step_is_cut_to_the_longest():
    places = []

    def slope(theta):
        places.append(theta.copy())
        return -float(theta[0]), np.array([-1.0, 0.0])

    descend(slope, 1e6 * np.eye(2), tolerance=1e-3, iterations=3)
    steps = np.diff([p[0] for p in places])
    assert steps.max() == pytest.approx(LONGEST_STEP)


def test_an_inverse_hessian_that_points_uphill_is_replaced():
    cost, _, lowest = bowl(5, 3)
    theta, _ = descend(cost, -np.eye(3) + 1e-3, tolerance=1e-9, iterations=1)
    assert cost(theta)[0] <= cost(np.zeros(3))[0]
    theta, _ = descend(cost, np.diag([-1.0, 3.0, 3.0]), tolerance=1e-9, iterations=200)
    np.testing.assert_allclose(theta, lowest, atol=1e-6)


def test_a_flat_cost_stays_where_it_is():
    theta, inverse = descend(lambda t: (1.0, np.zeros(2)), np.eye(2), tolerance=1e-3)
    np.testing.assert_array_equal(theta, 0.0)
    np.testing.assert_array_equal(inverse, np.eye(2))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_cost_that_is_no_number_is_refused_and_not_searched_for_ever(wrong):
    with pytest.raises(InputError, match="the images cannot be compared .* no number"):
        descend(lambda t: (wrong, np.ones(2)), np.eye(2), tolerance=1e-3)
    with pytest.raises(InputError, match="no number"):
        descend(lambda t: (1.0, np.array([wrong, 0.0])), np.eye(2), tolerance=1e-3)


@pytest.mark.parametrize("tolerance", [1e-3, 0.0])
def test_a_hole_in_the_cost_is_gone_around_in_a_bounded_number_of_steps(tolerance):
    calls = []

    def holed(theta):
        calls.append(theta)
        away = theta - 0.5
        inside = np.linalg.norm(theta) < 0.9
        return (float(away @ away) if inside else np.nan), 2 * away

    theta, _ = descend(holed, 20 * np.eye(2), tolerance=tolerance, iterations=5)
    assert np.isfinite(theta).all()
    assert holed(theta)[0] < holed(np.zeros(2))[0]
    assert len(calls) <= 5 * MOST_CUTS + 3
