"""P of the tail from few permutations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from falx.core.errors import collect_notices
from falx.maps.design import two_sample_design
from falx.maps.group_maps import compare
from falx.maps.inference.pareto import ParetoTail, fit_tail
from falx.maps.inference.permutation import MaximaNull
from falx.maps.inference.rearrangements import permutation_plan
from falx.maps.settings import InferenceOptions


def maxima(rng: np.random.Generator, n: int) -> np.ndarray:
    """Largest |t| of 300 voxels and 30 degrees of freedom."""
    return np.abs(stats.t.rvs(30, size=(n, 300), random_state=rng)).max(axis=1)


def test_parameters_of_a_pareto_distribution_are_found():
    rng = np.random.default_rng(1)
    drawn = 5.0 + stats.genpareto.rvs(0.2, scale=2.0, size=40_000, random_state=rng)
    tail = fit_tail(drawn)
    assert tail.shape == pytest.approx(0.2, abs=0.04)
    assert tail.p_value(30.0) == pytest.approx(stats.genpareto.sf(25.0, 0.2, scale=2.0), rel=0.25)


def test_small_p_of_250_maxima_are_those_of_many():
    """P = .001, which 250 cannot count, within a factor of two, and rather too large (1.5)."""
    rng = np.random.default_rng(2)
    # P of the largest of 300 independent |t| is known.
    level = stats.t.isf((1 - (1 - 0.001) ** (1 / 300)) / 2, 30)
    found = [fit_tail(maxima(rng, 250)) for _ in range(120)]
    p = [float(tail.p_value(level)) for tail in found if tail is not None]
    assert len(p) > 100
    assert 0.0008 < np.median(p) < 0.002
    assert np.mean(np.array(p) < 0.0001) < 0.05


def test_error_at_five_percent_is_kept():
    rng, hits = np.random.default_rng(3), 0
    plan = permutation_plan(40, 200, rng)
    for _ in range(600):
        drawn = maxima(rng, 200)
        null = MaximaNull(drawn, drawn[:, None], drawn[:, None], None, plan, tail="pareto")
        hits += float(null.familywise(drawn[0], drawn)) <= 0.05
    assert stats.binomtest(hits, 600, 0.05).pvalue > 0.001


def test_a_tail_is_never_zero_and_never_fitted_to_few_or_equal_values():
    assert ParetoTail(2.0, 0.25, 0.0, 1.0).p_value(30.0) > 0
    assert np.isnan(ParetoTail(2.0, 0.25, 0.0, 1.0).p_value(1.0))
    assert fit_tail(np.ones(500)) is None
    assert fit_tail(np.arange(30.0)) is None
    ended = fit_tail(np.random.default_rng(4).random(4000))
    assert ended is None or ended.shape == 0.0


def test_a_strong_effect_has_a_p_that_few_permutations_cannot_count():
    rng = np.random.default_rng(5)
    data = ndimage.gaussian_filter(rng.normal(size=(30, 8, 8, 8)), (0, 1, 1, 1))
    data[:15, 3:6, 3:6, 3:6] += 2.0
    data = data.reshape(30, -1).astype(np.float32)
    design = two_sample_design(["a"] * 15 + ["b"] * 15, "a", "b", {"age": rng.normal(size=30)})
    found = {}
    for tail in ("counted", "pareto"):
        options = InferenceOptions(n_permutations=200, tail=tail, voxel_p=0.01)
        with collect_notices():  # such small maps are too rough for random fields
            result = compare(
                data, np.ones((8, 8, 8), bool), design, np.array([1.0, 0, 0]),
                np.random.default_rng(6), options=options, groups=["a"] * 15 + ["b"] * 15,
            )  # fmt: skip
        found[tail] = result.p_voxel.min()
    assert found["counted"] == pytest.approx(1 / 200)
    assert 0 < found["pareto"] < 1 / 2000
