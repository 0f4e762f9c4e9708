"""A receiver operating characteristic with everything that a new cohort would take off it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import falx
from falx.core.errors import FalxError

QUICK = {"resamples": 60, "repeats": 5}


@pytest.fixture(scope="module")
def found():
    cohort = falx.published_cohort()
    return falx.roc(cohort["rate_hippocampus"], cohort["seizure_free"], **QUICK)


def test_the_published_cohort_gives_its_area_and_cut(found) -> None:
    assert found.area.auc == pytest.approx(0.735, abs=5e-4)
    assert found.cut.threshold == pytest.approx(0.396118, abs=1e-6)
    assert (len(found.outcome), found.outcome.sum()) == (30, 21)
    assert found.optimism.harrell < found.optimism.apparent
    assert found.held_out.balanced_accuracy < found.optimism.apparent


def test_it_prints_and_draws_itself(found) -> None:
    text = repr(found)
    for words in ("30, 21", "0.735", "above 0.3961", "100.0 %", "nested cross-validation"):
        assert words in text
    axis = found.plot().axes[0]
    assert axis.get_xlabel() == "1 - specificity"
    x, y = axis.lines[2].get_data()
    assert (x[0], y[0]) == pytest.approx((1 - found.cut.specificity, found.cut.sensitivity))


def test_the_seed_decides_and_is_the_same_everywhere() -> None:
    cohort = falx.published_cohort()
    pair = cohort["rate_hippocampus"], cohort["seizure_free"]
    one, two, other = (falx.roc(*pair, seed=seed, **QUICK) for seed in (1, 1, 2))
    assert one.bootstrap == two.bootstrap and one.held_out == two.held_out
    assert one.bootstrap != other.bootstrap


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=12, max_size=12))
def test_a_turned_score_has_the_same_area(values) -> None:
    score, event = np.array(values, float), np.arange(12) % 2
    score[0], score[1] = -1.0, 10.0  # at least one pair in order
    up = falx.roc(score, event, **QUICK)
    down = falx.roc(-score, event, higher_is_positive=False, **QUICK)
    assert up.area.auc == pytest.approx(down.area.auc)
    assert up.cut.youden == pytest.approx(down.cut.youden)


def test_what_cannot_be_judged_is_refused() -> None:
    image = falx.Image(np.zeros((2, 2, 2)), np.eye(4))
    for call, sentence in (
        (lambda: falx.roc(image, [0, 1]), "score: numbers are needed, not an image"),
        (lambda: falx.roc([1, 2, 3], [0, 1]), "differ in length .found: 3 and 2"),
        (lambda: falx.roc([1, 2, 3], [0, 1, 2]), "coded 0 and 1"),
        (lambda: falx.roc([1, 2, 3], [1, 1, 1]), "only one class"),
        (lambda: falx.roc([1, np.nan, 3], [0, 1, 1]), "missing values"),
        (lambda: falx.roc([1, 2, 3, 4], [0, 1, 0, 1], resamples=1), "resamples"),
        (lambda: falx.published_cohort()["rate"], "rate_amygdala|did you mean"),
    ):
        with pytest.raises(FalxError, match=sentence):
            call()


def test_two_scores_of_the_same_patients_are_compared(found) -> None:
    cohort = falx.published_cohort()
    other = falx.roc(cohort["rate_amygdala"], cohort["seizure_free"], **QUICK)
    test = found.compare(other)
    assert test.difference == pytest.approx(found.area.auc - other.area.auc)
    assert 0 < test.p < 1 and np.sign(test.z) == np.sign(test.difference)
    assert other.compare(found).p == pytest.approx(test.p)
    turned = falx.roc(-found.score, found.outcome, higher_is_positive=False, **QUICK)
    assert found.compare(turned).difference == pytest.approx(0)
    with pytest.raises(FalxError, match="on the same patients"):
        found.compare(falx.roc([1, 2, 3, 4], [0, 1, 0, 1], **QUICK))
