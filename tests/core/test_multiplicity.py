"""Adjusted P values, P values from null draws, and their combination."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.multiplicity import (
    benjamini_hochberg,
    cauchy_combination,
    holm,
    monte_carlo_p,
    two_sided_normal_p,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def step_up(p):
    """Benjamini and Hochberg by their definition: min over k ≥ rank of n P_(k) / k."""
    ordered = sorted(p)
    return [min(1.0, *(len(p) * q / k for k, q in enumerate(ordered, 1) if q >= one)) for one in p]


def step_down(p):
    """Holm by his definition: max over k ≤ rank of (n - k + 1) P_(k)."""
    ordered = sorted(p)
    return [
        min(1.0, max((len(p) - k) * q for k, q in enumerate(ordered) if q <= one)) for one in p
    ]


@given(P_VALUES)
def test_benjamini_hochberg_is_its_definition(p):
    np.testing.assert_allclose(benjamini_hochberg(p), step_up(p), rtol=1e-12, atol=1e-300)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12, unique=True))
def test_holm_is_its_definition(p):
    np.testing.assert_allclose(holm(p), step_down(p), rtol=1e-12, atol=1e-300)


@given(P_VALUES)
def test_adjusting_keeps_the_order_and_lies_between_p_and_bonferroni(p):
    values = np.array(p)
    order = np.argsort(values, kind="stable")
    for adjusted in (benjamini_hochberg(p), holm(p)):
        assert np.all(np.diff(adjusted[order]) >= 0)
        assert np.all(adjusted >= values * (1 - 1e-12))
        assert np.all(adjusted <= np.minimum(1, len(p) * values) * (1 + 1e-12))
    assert np.all(benjamini_hochberg(p) <= holm(p) * (1 + 1e-12))


@given(P_VALUES, st.randoms(use_true_random=False))
def test_adjusting_does_not_depend_on_the_order_of_the_tests(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    shuffled = [p[i] for i in order]
    np.testing.assert_allclose(holm(shuffled), holm(p)[order], rtol=1e-12)
    np.testing.assert_allclose(
        benjamini_hochberg(shuffled), benjamini_hochberg(p)[order], rtol=1e-12
    )


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_one_test_needs_no_correction_and_none_gives_none(adjust):
    assert adjust([0.2]).tolist() == [0.2]
    assert adjust([]).tolist() == []


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize(
    ("p", "found"), [([0.2, 1.2], "0.2 to 1.2"), ([-0.1, 0.5], "-0.1 to 0.5")]
)
def test_statistics_are_not_taken_for_p_values(adjust, p, found):
    with pytest.raises(InputError) as refused:
        adjust(p)
    assert str(refused.value) == (
        f"P values lie between 0 and 1 (found: {found}); pass P values, not statistics."
    )
    with pytest.raises(InputError, match="P values has missing values .found: 1 of 2"):
        adjust([0.1, float("nan")])
    assert adjust([0, 1]).tolist() == [0, 1]


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30), st.floats(-3, 3), st.booleans())
def test_monte_carlo_p_counts_the_observed_value_among_the_draws(draws, observed, two_sided):
    p = float(monte_carlo_p(observed, draws, two_sided=two_sided))
    size = abs if two_sided else float
    reached = sum(size(d) >= size(observed) - 1e-12 for d in draws)
    assert p == pytest.approx((1 + reached) / (1 + len(draws)))
    assert 1 / (1 + len(draws)) <= p <= 1


def test_monte_carlo_p_goes_along_the_last_axis_and_counts_ties():
    assert monte_carlo_p(10.0, np.zeros(99), two_sided=True) == 0.01
    p = monte_carlo_p([-2.0, 2.0], [[1.0, -3.0], [2.0 - 1e-15, 0.0]], two_sided=False)
    np.testing.assert_allclose(p, [2 / 3, 2 / 3])
    with pytest.raises(InputError) as refused:
        monte_carlo_p(1.0, [], two_sided=True)
    assert str(refused.value) == "there are no null values; ask for at least one null map."


@pytest.mark.parametrize("p", [1e-30, 1e-4, 0.3, 0.5, 0.9])
def test_cauchy_of_equal_p_is_that_p(p):
    assert cauchy_combination([p] * 7) == pytest.approx(p, rel=1e-12)


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=8))
def test_cauchy_combination_is_its_formula_and_lies_between_its_parts(p):
    mean = np.mean(np.tan((0.5 - np.array(p)) * np.pi))
    assert cauchy_combination(p) == pytest.approx(0.5 - np.arctan(mean) / np.pi, abs=1e-9)
    assert min(p) * (1 - 1e-9) <= cauchy_combination(p) <= max(p) * (1 + 1e-9)


def test_cauchy_combination_at_the_ends():
    assert cauchy_combination([0.0, 0.0]) == pytest.approx(1e-300)
    assert cauchy_combination([0.0, 0.5]) == pytest.approx(2e-300)
    assert cauchy_combination([1.0, 1.0]) == pytest.approx(1.0, abs=1e-12)
    assert cauchy_combination(np.float32([0.25, 0.25])).dtype == np.float64


def test_cauchy_combination_of_opposite_p_values_says_nothing():
    np.testing.assert_allclose(cauchy_combination([[0.01, 0.99], [0.2, 0.8]]), 0.5, atol=1e-12)


@given(st.floats(-8, 8))
def test_normal_p_is_even_and_known(z):
    assert two_sided_normal_p(z) == two_sided_normal_p(-z)
    assert two_sided_normal_p(0.0) == 1.0
    assert two_sided_normal_p(1.6448536269514722) == pytest.approx(0.1, rel=1e-12)
