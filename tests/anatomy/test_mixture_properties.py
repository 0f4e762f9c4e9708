"""The mixture against its formulas: densities, moments, Bayes' rule and the EM update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.anatomy.segmentation.mixture import (
    Anchor,
    Mixture,
    class_evidence,
    density_table,
    fit_mixture,
    initial_mixture,
    split,
)
from falx.anatomy.structures.groups import GROUPS, N_GROUPS, fit_groups, group_of
from falx.core.errors import InputError

SEEDS = st.integers(0, 9999)


def draw(seed, n=3000):
    """Values of three classes, the priors they were drawn by, and the means."""
    rng = np.random.default_rng(seed)
    priors = rng.dirichlet(np.ones(3) * 0.3, size=n).astype(np.float32)
    classes = (rng.random(n)[:, None] > np.cumsum(priors, axis=1)).sum(axis=1).clip(0, 2)
    means = np.array([30.0, 90.0, 150.0])
    values = (means[classes] + rng.normal(0, 6, n)).astype(np.float32)
    return np.maximum(values, 0), priors, means


def log_likelihood(mixture, values, priors):
    """Mean of log Σ_k γ_k t_k p_k(y) / Σ γ_k t_k, by the definition."""
    normal = np.exp(-0.5 * (values[:, None] - mixture.means) ** 2 / mixture.variances) / np.sqrt(
        2 * np.pi * mixture.variances
    )
    member = mixture.classes == np.arange(len(mixture.shares))[:, None]
    by_class = (normal * mixture.weights) @ member.T
    weighted = priors * mixture.shares
    return float(np.log((weighted * by_class).sum(1) / weighted.sum(1) + 1e-300).mean())


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS)
def test_the_start_has_the_weighted_moments_of_every_class(seed):
    values, priors, _ = draw(seed)
    start = initial_mixture(values, priors)
    for k in range(3):
        mean = np.average(values.astype(float), weights=priors[:, k])
        spread = np.average((values - mean) ** 2, weights=priors[:, k])
        assert start.means[k] == pytest.approx(mean, rel=1e-4)
        assert start.variances[k] == pytest.approx(max(spread, start.floor), rel=1e-3)
    assert start.shares.tolist() == pytest.approx([1 / 3] * 3)
    assert start.weights.tolist() == [1.0] * 3
    assert start.top > values.max() * 0.9


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, gaussians=st.tuples(*[st.integers(1, 4)] * 3))
def test_splitting_keeps_the_mean_of_a_class_and_its_weight(seed, gaussians):
    whole = initial_mixture(*draw(seed)[:2])
    parts = split(whole, gaussians)
    assert len(parts.means) == sum(gaussians)
    for k, n in enumerate(gaussians):
        own = parts.classes == k
        assert own.sum() == n
        assert parts.weights[own].sum() == pytest.approx(1.0)
        assert parts.means[own].mean() == pytest.approx(whole.means[k])
        reach = np.sqrt(whole.variances[k]) if n > 1 else 0.0
        assert np.ptp(parts.means[own]) == pytest.approx(2 * reach)
        np.testing.assert_allclose(parts.variances[own], whole.variances[k] / n)


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, steps=st.integers(1, 6))
def test_no_step_lowers_the_likelihood(seed, steps):
    values, priors, _ = draw(seed)
    before = split(initial_mixture(values, priors), (1, 2, 1))
    after = fit_mixture(before, values, priors, most=steps, tolerance=-np.inf)
    gain = log_likelihood(after, values, priors) - log_likelihood(before, values, priors)
    assert gain > -1e-3
    assert after.shares.sum() == pytest.approx(1.0)
    for k in range(3):
        assert after.weights[after.classes == k].sum() == pytest.approx(1.0)


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS)
def test_the_means_that_were_drawn_are_found(seed):
    values, priors, means = draw(seed)
    fitted = fit_mixture(initial_mixture(values, priors), values, priors, most=50)
    np.testing.assert_allclose(fitted.means, means, atol=1.2)
    np.testing.assert_allclose(np.sqrt(fitted.variances), 6.0, rtol=0.12)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_one_step_is_that_of_the_equations(seed):
    values, priors, _ = draw(seed, 400)
    start = initial_mixture(values, priors)
    # On levels of the table the tabulated densities are exact.
    values = start.levels[np.rint(values / start.top * (len(start.levels) - 1)).astype(int)]
    found = fit_mixture(start, values.astype(np.float32), priors, most=1)
    density = np.exp(-0.5 * (values[:, None] - start.means) ** 2 / start.variances)
    density /= np.sqrt(2 * np.pi * start.variances)
    joint = priors * start.shares * density
    belongs = joint / joint.sum(axis=1, keepdims=True)
    means = belongs.T @ values / belongs.sum(axis=0)
    np.testing.assert_allclose(found.means, means, rtol=2e-3)
    spread = (belongs * (values[:, None] - means) ** 2).sum(0) / belongs.sum(0)
    np.testing.assert_allclose(found.variances, np.maximum(spread, start.floor), rtol=1e-2)
    possible = priors / (priors @ start.shares)[:, None]
    shares = belongs.sum(0) / possible.sum(0)
    np.testing.assert_allclose(found.shares, shares / shares.sum(), rtol=2e-3)


def mixture(**changes):
    standard = Mixture(
        means=np.array([20.0, 60.0, 70.0]),
        variances=np.array([9.0, 16.0, 100.0]),
        weights=np.array([1.0, 0.25, 0.75]),
        classes=np.array([0, 1, 1]),
        shares=np.array([0.4, 0.6]),
        floor=1.0,
        top=128.0,
    )
    return replace(standard, **changes)


def test_densities_integrate_to_their_weights():
    densities = mixture().densities()
    step = mixture().levels[1]
    np.testing.assert_allclose(densities.sum(axis=1) * step, [1.0, 0.25, 0.75], rtol=1e-4)
    np.testing.assert_allclose(
        mixture().by_class(densities).sum(axis=1) * step, [0.4, 0.6], rtol=1e-4
    )


def test_a_table_holds_share_times_density_between_two_levels():
    table = density_table(mixture())
    assert table.per_intensity == pytest.approx((len(table.values) - 1) / 128.0)
    level = round(60.0 * table.per_intensity)
    y = level / table.per_intensity
    wanted = 0.6 * (
        0.25 * np.exp(-0.5 * (y - 60) ** 2 / 16) / np.sqrt(2 * np.pi * 16)
        + 0.75 * np.exp(-0.5 * (y - 70) ** 2 / 100) / np.sqrt(2 * np.pi * 100)
    )
    assert table.values[level, 1] == pytest.approx(wanted, rel=1e-4)


@settings(deadline=None, max_examples=20)
@given(value=st.floats(1.0, 120.0))
def test_evidence_is_the_ratio_of_the_class_densities(value):
    model = mixture(variances=np.array([400.0, 600.0, 900.0]))
    found = class_evidence(model, np.array([value], np.float32))[0]
    normal = np.exp(-0.5 * (value - model.means) ** 2 / model.variances)
    normal /= np.sqrt(2 * np.pi * model.variances)
    exact = np.array([0.4 * normal[0], 0.6 * (0.25 * normal[1] + 0.75 * normal[2])])
    np.testing.assert_allclose(found, exact / exact.max(), rtol=2e-3)


def test_variances_stay_between_floor_and_ceiling():
    values, priors, _ = draw(1)
    start = replace(initial_mixture(values, priors), floor=50.0, ceiling=60.0)
    fitted = fit_mixture(start, values, priors, most=10)
    assert fitted.variances.min() >= 50.0
    assert fitted.variances.max() <= 60.0


def test_trusted_shares_stay():
    values, priors, _ = draw(2)
    start = replace(initial_mixture(values, priors), shares=np.array([0.2, 0.3, 0.5]))
    fitted = fit_mixture(start, values, priors, most=10, fixed_shares=True)
    assert fitted.shares.tolist() == [0.2, 0.3, 0.5]
    assert fit_mixture(start, values, priors, most=10).shares.tolist() != [0.2, 0.3, 0.5]


def test_groups_of_structures_share_no_member_and_both_sides_one_group():
    members = [number for group in GROUPS for number in group]
    assert len(set(members)) == len(members)
    for left, right in ((17, 53), (10, 49), (4, 43), (2, 41)):
        assert group_of(left) == group_of(right)
    assert group_of(17) == group_of(3) != group_of(10)
    with pytest.raises(InputError, match="no intensity group"):
        group_of(999)


def test_the_groups_means_are_found_in_spite_of_blurred_priors(rng):
    n = 20000
    group = rng.integers(0, N_GROUPS, n)
    means = np.linspace(20, 200, N_GROUPS)
    means[[1, -1]] = means[[-1, 1]]  # no nucleus is brighter than white matter
    values = (means[group] + rng.normal(0, 4, n)).astype(np.float32)
    priors = np.full((n, N_GROUPS), 0.03, np.float32)
    priors[np.arange(n), group] = 1 - 0.03 * (N_GROUPS - 1)
    tissues = _tissues_at(means[:3], 16.0, values)
    fitted = fit_groups(values, priors, tissues)
    single = [k for k in range(N_GROUPS) if (fitted.classes == k).sum() == 1]
    found = [fitted.means[fitted.classes == k][0] for k in single]
    np.testing.assert_allclose(found, means[single], atol=1.0)
    again = fit_groups(values, priors, tissues, fitted)
    np.testing.assert_allclose(again.means, fitted.means, atol=0.5)


def test_grey_matter_is_that_of_the_tissues_though_half_of_where_it_lies_is_fluid(rng):
    """Under noise, in a head of wide sulci, it came to lie between the two."""
    n = 6000
    group = rng.choice([0, 1, 2], n, p=[0.4, 0.3, 0.3])
    values = (np.array([80.0, 120.0, 35.0])[group] + rng.normal(0, 14, n)).astype(np.float32)
    priors = np.full((n, N_GROUPS), 1e-4, np.float32)
    priors[:, :3] = np.eye(3)[group] * 0.6 + 0.2
    misplaced = (group == 2) & (rng.random(n) < 0.5)
    priors[misplaced, :3] = [0.5, 0.05, 0.45]
    priors /= priors.sum(axis=1, keepdims=True)
    tissues = _tissues_at(np.array([80.0, 120.0, 35.0]), 14.0**2, values)
    fitted = fit_groups(np.maximum(values, 0), priors, tissues)
    means, variances = fitted.moments()
    np.testing.assert_allclose(means[:3], [80, 120, 35], atol=6.0)
    assert np.sqrt(variances[0]) < 1.15 * 14.0


def test_fluid_that_the_tissues_held_is_held_in_the_groups(rng):
    """In a head stripped to the brain, where the priors expect fluid lies cortex."""
    n = 6000
    group = rng.choice([0, 1, 2], n, p=[0.4, 0.3, 0.3])
    values = (np.array([80.0, 120.0, 80.0])[group] + rng.normal(0, 5, n)).astype(np.float32)
    priors = np.full((n, N_GROUPS), 1e-4, np.float32)
    priors[:, :3] = np.eye(3)[group] * 0.6 + 0.2
    priors /= priors.sum(axis=1, keepdims=True)
    tissues = _tissues_at(np.array([80.0, 120.0, 40.0]), 25.0, values)
    mass = np.array([0.0, 0.0, n])
    held = replace(tissues, anchor=Anchor(tissues.means, tissues.variances, mass))
    free, kept = (fit_groups(values, priors, found).moments()[0, 2] for found in (tissues, held))
    assert free > 60
    assert kept == pytest.approx(40, abs=1)


def _tissues_at(means, variance, values):
    first = initial_mixture(values, np.ones((len(values), 3), np.float32))
    return replace(first, means=means, variances=np.full(3, variance))
