"""Validation of models of one number beside refits one by one (scikit-learn without penalty)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score

from falx.clinical import model_validation as validation
from falx.clinical.counts import bootstrap_rows, fold_labels
from falx.clinical.logistic.splines import place_knots, spline_basis
from falx.clinical.model_validation import (
    bootstrap_peak,
    leave_one_out_probabilities,
    validate_model,
)
from falx.clinical.roc.cut_validation import correct_632_plus
from falx.core.errors import InputError, OptionError

few = settings(max_examples=3, deadline=None)
SEEDS = st.integers(0, 10_000)


def drawn(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    event = rng.random(n) < 1 / (1 + np.exp(-0.8 * x))
    event[:6] = [True, False] * 3
    return x, event.astype(int)


def refit(x, event, rows, n_knots=None):
    """Linear predictor of everybody from a fit on some rows, without penalty."""
    design = x[:, None]
    if n_knots:
        design = spline_basis(x, place_knots(x[rows], n_knots, "quantile"))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    model.fit(design[rows], event[rows])
    return model.decision_function(design)


@few
@given(SEEDS)
def test_each_patient_is_foretold_by_the_others(seed) -> None:
    x, event = drawn(seed)
    found = leave_one_out_probabilities(x, event)
    for i in (0, 7, 19, 39):
        rows = np.delete(np.arange(40), i)
        assert found[i] == pytest.approx(1 / (1 + np.exp(-refit(x, event, rows)[i])), abs=1e-4)


@few
@given(SEEDS)
def test_apparent_figures_are_those_of_one_fit(seed) -> None:
    x, event = drawn(seed)
    found = validate_model(x, event, n_resamples=20, n_repeats=2, rng=np.random.default_rng(seed))
    eta = refit(x, event, np.arange(40))
    p = 1 / (1 + np.exp(-eta))
    assert found.auc == pytest.approx(roc_auc_score(event, eta))
    assert found.brier == pytest.approx(brier_score_loss(event, p), abs=1e-6)
    assert found.brier_null == pytest.approx(event.mean() * (1 - event.mean()))
    assert found.model == "linear" and found.resamples + found.skipped == 20
    loo = leave_one_out_probabilities(x, event)
    assert found.auc_leave_one_out == pytest.approx(roc_auc_score(event, loo))


def test_optimism_is_the_mean_over_resamples_refitted_one_by_one() -> None:
    x, event = drawn(5, 60)
    found = validate_model(x, event, n_resamples=12, n_repeats=3, rng=np.random.default_rng(8))
    rng = np.random.default_rng(8)
    aucs, briers, outside, slopes = [], [], [], []
    for rows in bootstrap_rows(event.astype(bool), 12, rng):
        eta = refit(x, event, rows)
        p = 1 / (1 + np.exp(-eta))
        aucs.append(roc_auc_score(event[rows], eta[rows]) - roc_auc_score(event, eta))
        briers.append(brier_score_loss(event[rows], p[rows]) - brier_score_loss(event, p))
        left = np.setdiff1d(np.arange(60), rows)
        outside.append(roc_auc_score(event[left], eta[left]))
        model = LogisticRegression(C=np.inf, tol=1e-10).fit(eta[:, None], event)
        slopes.append(model.coef_[0, 0])
    assert found.auc_harrell == pytest.approx(found.auc - np.mean(aucs), abs=1e-5)
    assert found.brier_harrell == pytest.approx(found.brier - np.mean(briers), abs=1e-5)
    assert found.auc_632 == pytest.approx(correct_632_plus(found.auc, float(np.mean(outside))))
    assert found.slope == pytest.approx(np.median(slopes), abs=1e-3)
    areas = []
    for labels in fold_labels(event.astype(bool), 5, 3, rng):
        eta = np.empty(60)
        for fold in range(5):
            rows = np.flatnonzero(labels != fold)
            eta[labels == fold] = refit(x, event, rows)[labels == fold]
        areas.append(roc_auc_score(event, eta))
    assert found.auc_folds == pytest.approx(np.mean(areas), abs=1e-5)


def test_splines_are_placed_anew_and_named() -> None:
    x, event = drawn(3, 50)
    found = leave_one_out_probabilities(x, event, n_knots=3)
    for i in (4, 30):
        rows = np.delete(np.arange(50), i)
        assert found[i] == pytest.approx(1 / (1 + np.exp(-refit(x, event, rows, 3)[i])), abs=1e-3)
    whole = validate_model(x, event, n_knots=3, n_resamples=20, n_repeats=1,
                           rng=np.random.default_rng(1))  # fmt: skip
    assert whole.model == "spline, 3 knots (quantile)"


@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [2, 0, 1, 3], [0, 1, 1, 0]])
def test_areas_count_weighted_pairs_and_half_of_ties(weights) -> None:
    eta, event = np.array([[2.0, 1.0, 1.0, 0.0]]), np.array([True, True, False, False])
    w = np.array([weights], float)
    pairs = [(i, j) for i in (0, 1) for j in (2, 3)]
    total = sum(w[0, i] * w[0, j] for i, j in pairs)
    won = sum(w[0, i] * w[0, j] * (1.0 if eta[0, i] > eta[0, j] else 0.5) for i, j in pairs)
    assert validation._auc_rows(eta, event, w)[0] == pytest.approx(won / total)
    alone = validation._auc_rows(eta, event, np.array([[1.0, 1, 0, 0]]))
    assert np.isnan(alone[0])
    brier = validation._brier_rows(eta, event, w)[0]
    p = 1 / (1 + np.exp(-eta[0]))
    assert brier == pytest.approx((w[0] * (p - event) ** 2).sum() / w[0].sum())


def test_a_number_that_never_varies_allows_no_model() -> None:
    event = np.array([0, 1] * 6)
    with pytest.raises(InputError, match=r"no resample allows a fit .found: 1 resamples"):
        validate_model(np.ones(12), event, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("kind", "sign"), [("maximum", 1), ("minimum", -1)])
def test_a_peak_lies_where_it_was_planted(kind, sign) -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(-2, 2, 400)
    event = rng.random(400) < 1 / (1 + np.exp(-sign * (2 - 3 * (x - 0.3) ** 2)))
    found = bootstrap_peak(x, event, kind=kind, n_resamples=60, rng=rng)
    assert found.kind == kind and found.ci_low < found.median < found.ci_high
    assert found.median == pytest.approx(0.3, abs=0.2)
    assert found.share_inside == 1.0 and found.resamples == 60 and found.skipped == 0
    # The other extreme of such a curve is at an end of the range.
    other = bootstrap_peak(
        x, event, kind={"maximum": "minimum", "minimum": "maximum"}[kind], n_resamples=30, rng=rng
    )
    assert other.share_inside == 0.0
    assert min(abs(other.median - x.min()), abs(other.median - x.max())) < 1e-6


def test_an_extreme_is_a_maximum_or_a_minimum() -> None:
    x, event = drawn(1)
    with pytest.raises(OptionError, match="kind.*did you mean 'maximum'"):
        bootstrap_peak(x, event, kind="maximums", rng=np.random.default_rng(0))
