"""One patient's expected outcome from a cohort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.clinical.bayes import LITERATURE, WEAK, chances, posterior
from falx.clinical.logistic.fit import fit_logistic
from falx.core.errors import InputError, OptionError
from falx.data.mo2025 import load_patients
from falx.surgery.outcome.prognosis import fit_prognosis, prognosis, published_prognosis


@pytest.fixture(scope="module")
def model():
    return published_prognosis(rng=np.random.default_rng(1))


def test_probability_is_that_of_the_cohorts_model(model):
    patients = load_patients()
    x, free = patients["rate_hippocampus"], patients["seizure_free"]
    found = prognosis(0.5, model)
    (expected,), (weak,) = (chances(posterior(x, free, p), [0.5]) for p in (LITERATURE, WEAK))
    assert (found.probability, found.ci_low, found.ci_high) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    said = found.sentences[0]
    assert f"in {expected.mean:.0%} (95 % interval {expected.low:.0%} to" in said
    assert f"without the literature {weak.mean:.0%}, {weak.low:.0%} to {weak.high:.0%})" in said
    # Maximum likelihood says nearly the same at the middle, and is steeper at the ends.
    fit = fit_logistic(x, free)
    low, middle, high = (
        1 / (1 + np.exp(-fit.coefficients @ [1.0, rate])) for rate in (0.3, 0.5, 0.75)
    )
    assert found.probability == pytest.approx(middle, abs=0.05)
    assert low < prognosis(0.3, model).probability
    assert high > prognosis(0.75, model).probability
    assert (found.n, found.events) == (30, 21)
    assert found.auc == pytest.approx(0.7354, abs=1e-4)
    # Optimism on these patients is 0.005 (400 resamples; the note gives .735 -> .730).
    assert found.auc_corrected == pytest.approx(0.730, abs=0.02)
    assert "includes chance" in " ".join(found.sentences)


def test_more_than_the_median_is_not_rewarded(model):
    low, high = prognosis(model.median, model), prognosis(0.79, model)
    assert high.probability > low.probability
    assert high.planning_probability == pytest.approx(low.planning_probability)
    assert "has not been shown to help" in " ".join(high.sentences)


@pytest.mark.parametrize(("rate", "inside"), [(0.2, False), (0.3, True), (0.9, False)])
def test_outside_the_cohort_nothing_is_said(model, rate, inside):
    found = prognosis(rate, model)
    assert found.inside_range == inside
    numbers = (found.probability, found.ci_low, found.ci_high, found.planning_probability)
    assert all((number is not None) == inside for number in numbers)
    if not inside:
        (said,) = found.sentences
        assert said.startswith(f"No seizure freedom is predicted: an ablative rate of {rate:.0%}")
        assert "25% to 80%" in said


def test_a_separated_cohort_stays_finite():
    rate = np.linspace(0.1, 0.9, 12)
    model = fit_prognosis(rate, rate > 0.5, source="toy", rng=np.random.default_rng(1))
    found = prognosis(0.5, model)
    assert found.auc_corrected is None
    assert 0.2 < found.probability < 0.8
    assert prognosis(0.9, model).ci_high < 1


def test_bad_input_is_refused(model):
    with pytest.raises(OptionError, match="ablative rate is out of range"):
        prognosis(60, model)
    with pytest.raises(InputError, match="too small for a prognosis"):
        fit_prognosis([0.1, 0.9], [0, 1], source="toy", rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="not per cent"):
        fit_prognosis(
            np.arange(12.0) * 8, np.arange(12) % 2, source="toy", rng=np.random.default_rng(1)
        )


INSIDE = st.floats(0.25, 0.79)


@given(INSIDE, INSIDE)
def test_more_coverage_never_lowers_what_is_expected(model, one, other):
    low, high = (prognosis(rate, model) for rate in sorted((one, other)))
    assert low.probability <= high.probability
    assert low.planning_probability <= high.planning_probability + 1e-12
    for found in (low, high):
        assert 0 < found.ci_low <= found.probability <= found.ci_high < 1
        assert found.planning_probability <= found.probability
        if found.rate > model.median + 1e-6:
            assert found.planning_probability < found.probability


@given(st.floats(0, 1))
def test_every_sentence_stands_for_its_fact(model, rate):
    found = prognosis(rate, model)
    said = " ".join(found.sentences)
    assert found.inside_range == (found.cohort_low <= rate <= found.cohort_high)
    assert ("No seizure freedom is predicted" in said) == (not found.inside_range)
    if found.inside_range:
        assert ("not been shown to help" in said) == (rate > model.median)
        assert f"{found.probability:.0%}" in said
        assert "30 patients of whom 21" in said
