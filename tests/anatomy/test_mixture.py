from dataclasses import replace

import numpy as np
import pytest

from falx.anatomy.segmentation.mixture import class_evidence, fit_mixture, initial_mixture, split


def two_classes(rng, n=40000):
    first = rng.random(n) < 0.3
    values = np.where(first, rng.normal(40, 4, n), rng.normal(100, 9, n)).astype(np.float32)
    priors = np.where(first[:, None], [0.7, 0.3], [0.3, 0.7]).astype(np.float32)
    return np.maximum(values, 0), priors, first


def test_recovers_two_gaussians(rng):
    values, priors, _ = two_classes(rng)
    fitted = fit_mixture(initial_mixture(values, priors), values, priors, most=60, tolerance=1e-7)
    np.testing.assert_allclose(fitted.means, [40, 100], atol=0.2)
    np.testing.assert_allclose(np.sqrt(fitted.variances), [4, 9], rtol=0.03)
    np.testing.assert_allclose(fitted.shares.sum(), 1.0)


def test_recovers_a_class_of_two_gaussians(rng):
    n = 60000
    dark = rng.random(n) < 0.25
    values = np.where(dark, rng.normal(30, 5, n), rng.normal(80, 6, n)).astype(np.float32)
    values = np.maximum(values, 0)
    priors = np.ones((n, 1), dtype=np.float32)
    start = split(initial_mixture(values, priors), (2,))
    fitted = fit_mixture(start, values, priors, most=200, tolerance=1e-8)
    order = np.argsort(fitted.means)
    np.testing.assert_allclose(fitted.means[order], [30, 80], atol=0.3)
    np.testing.assert_allclose(fitted.weights[order], [0.25, 0.75], atol=0.01)


def test_scaling_intensities_scales_the_means(rng):
    values, priors, _ = two_classes(rng)
    one = fit_mixture(initial_mixture(values, priors), values, priors, most=20)
    big = 1000 * values
    other = fit_mixture(initial_mixture(big, priors), big, priors, most=20)
    np.testing.assert_allclose(other.means, 1000 * one.means, rtol=2e-3)
    np.testing.assert_allclose(other.shares, one.shares, rtol=2e-3)


def test_evidence_prefers_the_right_class(rng):
    values, priors, first = two_classes(rng)
    fitted = fit_mixture(initial_mixture(values, priors), values, priors, most=60)
    evidence = class_evidence(fitted, values)
    assert np.mean((evidence[:, 0] > evidence[:, 1]) == first) > 0.99
    np.testing.assert_allclose(evidence.max(axis=1), 1.0)


def test_values_beyond_the_table_are_as_bright_as_its_end(rng):
    values, priors, _ = two_classes(rng)
    fitted = fit_mixture(initial_mixture(values, priors), values, priors, most=5)
    odd = np.array([fitted.top, 1e6 * fitted.top], dtype=np.float32)
    evidence = class_evidence(fitted, odd)
    np.testing.assert_array_equal(evidence[0], evidence[1])


def test_a_class_that_no_prior_allows_keeps_its_share(rng):
    """Its share grew in a brain-extracted image until it took ventricles and thalamus."""
    values = np.concatenate([rng.normal(60, 5, 4000), rng.normal(120, 5, 4000)]).astype(np.float32)
    priors = np.full((8000, 3), 0.5, np.float32)
    priors[:, 2] = 0.0
    start = split(initial_mixture(values, priors), (1, 1, 2))
    start = replace(start, means=np.array([70.0, 110.0, 0.0, 0.0]))
    found = fit_mixture(start, values, priors, most=300, tolerance=0.0)
    assert np.all(np.isfinite(found.shares))
    assert found.shares[2] > 0.05
    np.testing.assert_allclose(found.means[:2], [60, 120], atol=1.0)


def test_moments_are_those_of_the_whole_mixture(rng):
    values = np.concatenate([rng.normal(60, 5, 4000), rng.normal(80, 5, 4000)]).astype(np.float32)
    priors = np.ones((8000, 1), np.float32)
    fitted = fit_mixture(split(initial_mixture(values, priors), (2,)), values, priors, most=200)
    mean, variance = fitted.moments()[:, 0]
    assert mean == pytest.approx(values.mean(), abs=0.1)
    assert variance == pytest.approx(values.var(), rel=0.02)
