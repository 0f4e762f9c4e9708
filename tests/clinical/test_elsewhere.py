"""A model on another centre's patients, and several centres' results as one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from statsmodels.stats.meta_analysis import combine_effects

from falx.clinical.external import validate_probabilities
from falx.clinical.pooling import pool
from falx.clinical.roc.curve import auc
from falx.core.errors import InputError


def test_a_true_model_is_calibrated_and_a_false_one_is_not(rng):
    eta = rng.normal(0.5, 1, 4000)
    y = rng.random(4000) < expit(eta)
    good = validate_probabilities(expit(eta), y)
    assert good.intercept.low < 0 < good.intercept.high
    assert good.slope.low < 1 < good.slope.high
    assert good.brier < good.brier_null
    bold = validate_probabilities(expit(2 * eta), y)
    assert bold.slope.value == pytest.approx(good.slope.value / 2)
    high = validate_probabilities(expit(eta + 1), y)
    assert high.intercept.value == pytest.approx(good.intercept.value - 1)
    assert high.slope.value == pytest.approx(good.slope.value)
    assert high.area.auc == pytest.approx(good.area.auc) == auc(eta, y).auc


def test_in_the_large_brings_the_expected_number_to_the_found(rng):
    p = rng.uniform(0.2, 0.9, 40)
    y = rng.random(40) < 0.4
    found = validate_probabilities(p, y)
    assert expit(logit(p) + found.intercept.value).sum() == pytest.approx(y.sum())
    a, b = found.recalibrated
    assert expit(a + b * logit(p)).sum() == pytest.approx(y.sum())
    assert found.expected == pytest.approx(p.mean())


def test_separated_outcomes_have_a_penalised_slope():
    p = np.linspace(0.1, 0.9, 20)
    found = validate_probabilities(p, p > 0.5)
    assert found.penalised
    assert np.isfinite(found.slope.value)
    assert not validate_probabilities(p, (np.arange(20) % 3) > 0).penalised


def test_what_cannot_be_validated_is_refused():
    with pytest.raises(InputError, match="five patients of each outcome .found: 4"):
        validate_probabilities(np.linspace(0.1, 0.9, 20), np.arange(20) < 4)
    with pytest.raises(InputError, match="the same probability"):
        validate_probabilities(np.full(20, 0.5), np.arange(20) < 10)


CENTRES = st.lists(
    st.tuples(st.floats(-2, 2), st.floats(0.05, 1.0)),
    min_size=3,
    max_size=12,
    unique_by=lambda c: round(c[0], 3),
)


@given(CENTRES)
@settings(max_examples=40, deadline=None)
def test_the_pooled_estimate_equals_statsmodels(centres):
    y, se = (np.array(column) for column in zip(*centres, strict=True))
    found = pool(y, se)
    other = combine_effects(y, se**2, method_re="pm", use_t=True, atol=1e-12)
    between = found.between_sd**2
    weight = 1 / (se**2 + between)
    q = np.sum(weight * (y - found.value) ** 2)
    if between > 0:
        assert q == pytest.approx(len(y) - 1, rel=1e-6)
    else:
        assert q <= len(y) - 1 + 1e-9
    if other.tau2 == 0 < between:  # statsmodels stops at nought where its first step is negative
        return
    assert between == pytest.approx(other.tau2, abs=1e-6)
    assert found.value == pytest.approx(other.mean_effect_re, abs=1e-5)
    classical, knapp = other.sd_eff_w_re, other.sd_eff_w_re_hksj
    assert found.se == pytest.approx(max(classical, knapp), rel=1e-4)
    assert found.new_low <= found.low + 1e-9 or len(y) == 3


def test_thirteen_trials_of_bcg():
    """Log risk ratios of Colditz 1994; statsmodels 0.15 gives the same by Paule–Mandel."""
    trials = [
        (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619),
        (33, 5036, 47, 5761), (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892),
        (29, 7470, 45, 7232), (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ]  # fmt: skip
    a, b, c, d = np.array(trials, dtype=float).T
    found = pool(
        np.log(a / (a + b) * (c + d) / c), np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    )
    assert found.value == pytest.approx(-0.7150, abs=1e-4)
    assert found.between_sd**2 == pytest.approx(0.3181, abs=1e-4)
    assert found.se == pytest.approx(0.1809, abs=1e-4)


def test_alike_centres_have_no_spread_and_two_give_no_range_for_a_third():
    found = pool([0.5, 0.5], [0.2, 0.1])
    assert (found.between_sd, found.value, found.new_low) == (0, 0.5, None)
    assert found.se == pytest.approx((1 / (1 / 0.04 + 1 / 0.01)) ** 0.5)
    with pytest.raises(InputError, match="at least two centres"):
        pool([0.5], [0.1])
    with pytest.raises(InputError, match="above zero"):
        pool([0.5, 0.4], [0.1, 0.0])
