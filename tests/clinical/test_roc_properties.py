"""What must hold of every curve, cut, resample and decision, whatever the scores."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from clinical.cohorts import overlapping, predict, scores
from falx.clinical.counts import (
    areas,
    bootstrap_counts,
    bootstrap_rows,
    fold_labels,
    many_cuts,
)
from falx.clinical.logistic.fit import fit_logistic
from falx.clinical.model_validation import (
    bootstrap_peak,
    leave_one_out_probabilities,
    validate_model,
)
from falx.clinical.roc.curve import auc, delong_test, roc_curve, youden_cut
from falx.clinical.roc.cut_validation import (
    correct_632_plus,
    cut_optimism,
    leave_one_out_cut,
    nested_cut,
)
from falx.clinical.roc.cuts import above_cut, cut_performance, proportion
from falx.clinical.roc.decision import decision_curve, sample_size
from falx.clinical.roc.resampling import (
    bootstrap_auc,
    cut_stability,
    permute_auc,
    permute_youden,
)
from falx.core.errors import InputError, OptionError


def _area(x, y):
    """Area as the share of pairs that the score puts in order."""
    wins = np.sign(x[y][:, None] - x[~y][None, :])
    return float(np.mean((wins + 1) / 2)) if wins.size else float("nan")


@given(scores())
def test_the_area_is_the_share_of_ordered_pairs_and_mann_whitneys_u(cohort):
    x, y = cohort
    found = auc(x, y)
    assert found.auc == pytest.approx(_area(x, y))
    u = scipy.stats.mannwhitneyu(x[y], x[~y], method="asymptotic").statistic
    assert found.auc == pytest.approx(u / (y.sum() * np.sum(~y)))


@given(scores())
def test_the_curve_climbs_from_corner_to_corner(cohort):
    x, y = cohort
    for up in (True, False):
        curve = roc_curve(x, y, higher_is_positive=up)
        assert np.all(np.diff(curve.thresholds) > 0)
        direction = 1 if up else -1
        assert np.all(direction * np.diff(curve.sensitivity) <= 0)
        assert np.all(direction * np.diff(curve.specificity) >= 0)
        ends = [(curve.sensitivity[i], curve.specificity[i]) for i in (0, -1)]
        assert ends[::direction] == [(1, 0), (0, 1)]


@given(scores(), st.floats(0.01, 50), st.floats(-9, 9))
def test_the_area_and_its_interval_know_ranks_only(cohort, scale, shift):
    x, y = cohort
    plain = auc(x, y)
    for other in (scale * x + shift, x**3, np.exp(x)):
        if len(np.unique(other)) == len(np.unique(x)):
            assert auc(other, y) == plain
    turned = auc(-x, y, higher_is_positive=False)
    assert turned == plain


@given(scores())
def test_delongs_interval_mirrors_when_the_outcomes_change_places(cohort):
    x, y = cohort
    one, other = auc(x, y), auc(x, ~y)
    assert other.auc == pytest.approx(1 - one.auc)
    assert other.variance == pytest.approx(one.variance)
    assert other.ci_low == pytest.approx(1 - one.ci_high)
    if one.logit_low is None:
        assert "degenerate" in one.note
    else:
        assert other.logit_low == pytest.approx(1 - one.logit_high)
        assert 0 < one.logit_low < one.auc < one.logit_high < 1
    assert 0 <= one.ci_low <= one.auc <= one.ci_high <= 1


@given(scores())
def test_delongs_variance_is_its_formula(cohort):
    x, y = cohort
    wins = (np.sign(x[y][:, None] - x[~y][None, :]) + 1) / 2
    s10, s01 = np.var(wins.mean(axis=1), ddof=1), np.var(wins.mean(axis=0), ddof=1)
    assert auc(x, y).variance == pytest.approx(s10 / y.sum() + s01 / np.sum(~y), abs=1e-12)


@given(scores(), st.integers(0, 99))
def test_delongs_test_is_antisymmetric_and_blind_to_equal_scores(cohort, seed):
    x, y = cohort
    z = np.random.default_rng(seed).normal(size=len(x))
    one, other = delong_test(x, z, y), delong_test(z, x, y)
    assert (one.difference, one.z) == pytest.approx((-other.difference, -other.z))
    assert one.p == pytest.approx(other.p)
    assert one.difference == pytest.approx(auc(x, y).auc - auc(z, y).auc)
    assert one.p == pytest.approx(2 * scipy.stats.norm.sf(abs(one.z)))
    same = delong_test(x, 2 * x + 1, y)
    assert (same.difference, same.z, same.p) == (0, 0, 1)
    turned = delong_test(-x, z, y, higher_is_positive=(False, True))
    assert turned.z == pytest.approx(one.z)


@given(scores())
def test_the_cut_of_youden_is_the_best_of_all(cohort):
    x, y = cohort
    distinct = np.unique(x)
    middles = (distinct[1:] + distinct[:-1]) / 2
    index = [np.mean(x[y] > c) - np.mean(x[~y] > c) for c in middles]
    if not index or max(index) <= 1e-12:
        with pytest.raises(InputError, match="no cut of the score tells"):
            youden_cut(x, y)
        return
    found = youden_cut(x, y)
    assert found.youden == pytest.approx(max(index))
    assert found.youden == pytest.approx(found.sensitivity + found.specificity - 1)
    best = middles[np.array(index) >= max(index) - 1e-9]
    np.testing.assert_allclose(found.tied, best)
    assert found.threshold == found.tied[0] == min(found.tied)
    rule = cut_performance(x, y, found.threshold)
    assert (rule.sensitivity.value, rule.specificity.value) == pytest.approx(
        (found.sensitivity, found.specificity)
    )
    assert rule.accuracy_p == pytest.approx(
        scipy.stats.binomtest(
            rule.true_positive + rule.true_negative, len(x), max(y.mean(), 1 - y.mean()),
            alternative="greater",
        ).pvalue
    )  # fmt: skip


@given(scores(), st.integers(0, 999))
def test_resamples_equal_the_plain_statistics_of_the_drawn_patients(cohort, seed):
    x, y = cohort
    rows = bootstrap_rows(y, 8, np.random.default_rng(seed))
    counts = bootstrap_counts(rows, len(x))
    assert counts.sum(axis=1).tolist() == [len(x)] * 8
    drawn, cuts = areas(x, y, counts), many_cuts(x, y, counts)
    for k, row in enumerate(rows):
        both = 0 < y[row].sum() < len(row)
        assert cuts.usable[k] == both
        if both:
            assert drawn[k] == pytest.approx(_area(x[row], y[row]))
            assert cuts.youden[k] == pytest.approx(_best_youden(x[row], y[row]), abs=1e-12)
        else:
            assert np.isnan(drawn[k])


def _best_youden(x, y):
    curve = roc_curve(x, y)
    return float((curve.sensitivity + curve.specificity - 1).max())


@given(scores(), st.integers(0, 999))
def test_stratified_resamples_keep_the_number_of_events(cohort, seed):
    _, y = cohort
    rows = bootstrap_rows(y, 5, np.random.default_rng(seed), stratified=True)
    assert y[rows].sum(axis=1).tolist() == [y.sum()] * 5


@given(scores(least=6), st.integers(2, 3), st.integers(0, 999))
def test_folds_part_the_patients_evenly(cohort, folds, seed):
    _, y = cohort
    labels = fold_labels(y, folds, 4, np.random.default_rng(seed))
    for row in labels:
        assert set(row) == set(range(folds))
        assert np.ptp(np.bincount(row)) <= 1
        assert np.ptp(np.bincount(row[y], minlength=folds)) <= 1
        assert np.ptp(np.bincount(row[~y], minlength=folds)) <= 1


@settings(max_examples=15)
@given(scores(least=8, digits=4), st.integers(0, 99))
def test_directions_and_seeds_of_resampling(cohort, seed):
    x, y = cohort

    def rng():
        return np.random.default_rng(seed)

    up = bootstrap_auc(x, y, n_resamples=50, rng=rng())
    down = bootstrap_auc(-x, y, n_resamples=50, rng=rng(), higher_is_positive=False)
    assert up == down == bootstrap_auc(x, y, n_resamples=50, rng=rng())
    assert up.auc == pytest.approx(auc(x, y).auc)
    assert up.resamples + up.skipped == 50
    assert up.percentile_low <= up.percentile_high
    assert up.bca_low <= up.bca_high
    try:
        one = cut_stability(x, y, n_resamples=50, rng=rng())
    except InputError:
        return
    other = cut_stability(-x, y, n_resamples=50, rng=rng(), higher_is_positive=False)
    assert (other.cut, other.median) == pytest.approx((-one.cut, -one.median))
    assert (other.ci_low, other.ci_high) == pytest.approx((-one.ci_high, -one.ci_low))
    assert one.cut == pytest.approx(youden_cut(x, y).threshold)
    assert one.ci_low <= one.q1 <= one.median <= one.q3 <= one.ci_high
    assert one.leave_one_out[0] <= one.leave_one_out[1]
    assert 0 <= one.share_near <= 1


@given(scores(least=6, digits=4), st.integers(0, 99))
def test_permutation_p_is_never_zero_and_counts_the_observed(cohort, seed):
    x, y = cohort
    rng = np.random.default_rng(seed)
    for test in (permute_youden, permute_auc):
        found = test(x, y, n_permutations=19, rng=rng)
        assert 0.05 <= found.p <= 1
        assert found.permutations == 19
        assert (found.p * 20) == pytest.approx(round(found.p * 20))


def test_a_perfect_score_is_hardly_ever_reached_by_chance(rng):
    perfect = permute_youden(np.arange(12.0), np.arange(12) >= 6, n_permutations=999, rng=rng)
    assert perfect.observed == 1
    assert perfect.p == pytest.approx(1 / 924, abs=0.004)  # of 924 arrangements


def test_both_directions_count_for_the_permuted_area(rng):
    y = np.arange(14) >= 7
    up, down = (permute_auc(s * np.arange(14.0), y, n_permutations=199, rng=rng) for s in (1, -1))
    assert up.observed == down.observed == 0.5
    assert max(up.p, down.p) <= 0.02


@given(scores(least=6), st.integers(0, 99))
def test_held_out_cuts_never_see_the_patients_they_call(cohort, seed):
    """A perfect score stays perfect; a constant one calls nobody in order."""
    _, y = cohort
    rng = np.random.default_rng(seed)
    perfect = np.where(y, 2.0, 1.0)
    found = nested_cut(perfect, y, n_repeats=3, rng=rng)
    assert (found.sensitivity, found.specificity, found.balanced_accuracy) == (1, 1, 1)
    assert (found.balanced_accuracy_sd, found.repeats, found.skipped) == (0, 3, 0)
    assert leave_one_out_cut(perfect, y).balanced_accuracy == 1
    optimism = cut_optimism(perfect, y, n_resamples=30, rng=rng)
    assert optimism.apparent == 1
    assert optimism.harrell == pytest.approx(1)
    assert optimism.plus_632 == pytest.approx(1)
    assert optimism.resamples + optimism.skipped == 30


@settings(max_examples=20)
@given(scores(least=6, digits=4))
def test_leave_one_out_is_the_plain_loop(cohort):
    x, y = cohort
    called = np.zeros(len(x), dtype=bool)
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        try:
            called[i] = x[i] > youden_cut(x[rest], y[rest]).threshold
        except InputError:
            called[i] = True  # a cut that is of no use calls everybody
    found = leave_one_out_cut(x, y)
    assert found.sensitivity == pytest.approx(called[y].mean())
    assert found.specificity == pytest.approx((~called[~y]).mean())
    assert found.balanced_accuracy == pytest.approx((found.sensitivity + found.specificity) / 2)


@settings(max_examples=15)
@given(scores(least=8, digits=4), st.integers(0, 99))
def test_optimism_is_mean_drawn_minus_original(cohort, seed):
    x, y = cohort
    found = cut_optimism(x, y, n_resamples=25, rng=np.random.default_rng(seed))
    counts = bootstrap_counts(bootstrap_rows(y, 25, np.random.default_rng(seed)), len(x))
    gaps, out = [], []
    for count in counts:
        rows = np.repeat(np.arange(len(x)), count)
        if not 0 < y[rows].sum() < len(rows):
            continue
        cut = many_cuts(x, y, count[None]).cut[0]
        gaps.append(_balanced(x[rows], y[rows], cut) - _balanced(x, y, cut))
        left = count == 0
        if 0 < y[left].sum() < left.sum():
            out.append(_balanced(x[left], y[left], cut))
    assert found.harrell == pytest.approx(found.apparent - np.mean(gaps))
    assert found.harrell == pytest.approx(
        (found.harrell_sensitivity + found.harrell_specificity) / 2
    )
    assert found.out_of_bag == pytest.approx(np.mean(out))
    assert found.plus_632 == pytest.approx(correct_632_plus(found.apparent, found.out_of_bag))


def _balanced(x, y, cut):
    return (np.mean(x[y] > cut) + np.mean(x[~y] <= cut)) / 2


@given(st.floats(0.5, 1), st.floats(0, 1))
def test_632_plus_is_its_formula(apparent, held_out):
    found = correct_632_plus(apparent, held_out)
    assert correct_632_plus(apparent, apparent) == pytest.approx(apparent)
    worst = max(held_out, 0.5)
    if held_out >= apparent:
        assert found == pytest.approx(0.368 * apparent + 0.632 * held_out)
    else:
        overfit = min(1, (apparent - held_out) / (apparent - 0.5)) if apparent > 0.5 else 0
        weight = 0.632 / (1 - 0.368 * overfit)
        assert found == pytest.approx((1 - weight) * apparent + weight * worst)
        assert min(worst, apparent) - 1e-12 <= found <= apparent + 1e-12


@given(scores())
def test_cuts_call_beyond_or_from_their_value(cohort):
    x, _ = cohort
    at = x[0]
    assert above_cut(x, at).tolist() == (x > at).tolist()
    assert above_cut(x, at, operator="ge").tolist() == (x >= at).tolist()
    assert above_cut(x, at, higher_is_positive=False).tolist() == (x < at).tolist()
    down = above_cut(x, at, operator="ge", higher_is_positive=False)
    assert down.tolist() == (x <= at).tolist()


def test_rules_in_words_and_refusals():
    x, y = [1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1]
    for operator, up, words in (
        ("gt", True, "value > 2.5"), ("ge", True, "value ≥ 2.5"),
        ("gt", False, "value < 2.5"), ("ge", False, "value ≤ 2.5"),
    ):  # fmt: skip
        rule = cut_performance(x, y, 2.5, operator=operator, higher_is_positive=up)
        assert rule.rule == words
    with pytest.raises(OptionError, match="operator"):
        above_cut(np.arange(3.0), 1.0, operator="eq")
    with pytest.raises(InputError, match="at least one patient"):
        proportion(0, 0)
    with pytest.raises(InputError, match="score and outcome differ in length.*3 and 4"):
        auc([1, 2, 3], y)
    with pytest.raises(InputError, match="DeLong's test needs two patients"):
        delong_test([1, 2, 3], [3, 2, 1], [0, 0, 1])


@given(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=20), st.integers(1, 3))
def test_decision_curves_meet_treating_all_and_none_at_their_ends(p, events):
    y = np.arange(len(p)) < events
    curve = decision_curve(p, y, [1e-6, 0.3, 1 - 1e-6])
    assert curve.model[0] == pytest.approx(y.mean(), abs=1e-5) == curve.treat_all[0]
    assert curve.model[-1] == 0
    acts = np.array(p) >= 0.3
    benefit = np.mean(acts & y) - np.mean(acts & ~y) * 0.3 / 0.7
    assert curve.model[1] == pytest.approx(benefit)
    assert curve.treat_all[1] == pytest.approx(y.mean() - (1 - y.mean()) * 0.3 / 0.7)
    assert not curve.treat_none.any()
    best = decision_curve(y.astype(float), y)
    np.testing.assert_allclose(best.model, y.mean())
    assert (best.threshold[0], best.threshold[-1], len(best.threshold)) == (0.05, 0.95, 91)


def test_threshold_probabilities_are_shares():
    for wrong in ([0.0, 0.5], [0.5, 1.0], [50.0]):
        with pytest.raises(InputError, match="threshold probabilities lie between 0 and 1"):
            decision_curve([0.1, 0.9], [0, 1], wrong)


@given(
    st.integers(20, 400), st.floats(0.1, 0.9), st.floats(0.05, 0.6), st.integers(1, 6)
)  # fmt: skip
def test_sample_sizes_are_rileys_formulas(n, share, per_patient, parameters):
    events, ratio = round(share * n), per_patient * n
    found = sample_size(n, events, ratio, parameters)
    r2 = 1 - np.exp(-ratio / n)
    assert found.r2_cox_snell == pytest.approx(r2)
    assert found.shrinkage_n == pytest.approx(parameters / (-0.1 * np.log(1 - r2 / 0.9)))
    share = events / n
    null = 2 * (share * np.log(share) + (1 - share) * np.log(1 - share))
    shrinkage = r2 / (r2 + 0.05 * (1 - np.exp(null)))
    assert found.optimism_n == pytest.approx(
        parameters / ((shrinkage - 1) * np.log(1 - r2 / shrinkage))
    )
    assert found.prevalence_n == pytest.approx((1.96 / 0.05) ** 2 * share * (1 - share))
    largest = max(found.shrinkage_n, found.optimism_n, found.prevalence_n)
    assert largest <= found.needed < largest + 1
    assert found.events_per_parameter == min(events, n - events) / parameters
    excess = 1 - parameters / ratio
    assert found.expected_shrinkage == (pytest.approx(excess) if ratio > parameters else None)
    with pytest.raises(InputError, match="needs both outcomes and a model that fits better"):
        sample_size(n, n, ratio, parameters)


@settings(max_examples=8)
@given(overlapping(), st.integers(0, 99))
def test_leaving_one_out_is_the_plain_loop_and_validation_repeats_with_its_seed(cohort, seed):
    x, y = cohort[0][:, 0], cohort[1]
    found = leave_one_out_probabilities(x, y)
    for i in range(0, len(x), 7):
        rest = np.arange(len(x)) != i
        try:
            expected = predict(fit_logistic(x[rest], y[rest]), x[i])[0]
        except InputError:
            continue
        assert found[i] == pytest.approx(expected, abs=1e-5)
    one, other = (
        validate_model(x, y, n_resamples=20, n_repeats=2, rng=np.random.default_rng(seed))
        for _ in range(2)
    )
    assert one == other
    assert one.auc == pytest.approx(max(auc(x, y).auc, 1 - auc(x, y).auc), abs=1e-9)
    p = predict(fit_logistic(x, y), x)
    assert one.brier == pytest.approx(np.mean((p - y) ** 2), abs=1e-7)
    assert one.brier_null == pytest.approx(y.mean() * (1 - y.mean()))
    assert one.auc_leave_one_out == pytest.approx(_area(found, y), abs=1e-9)
    assert one.resamples + one.skipped == 20


def test_a_planted_peak_is_found(rng):
    x = rng.uniform(0, 1, 300)
    y = rng.random(300) < np.exp(-((x - 0.5) ** 2) / 0.03)
    peak = bootstrap_peak(x, y, kind="maximum", n_resamples=60, rng=rng)
    assert peak.ci_low < 0.5 < peak.ci_high
    assert peak.median == pytest.approx(0.5, abs=0.06)
    assert peak.share_inside == 1
    assert (peak.resamples, peak.skipped, peak.kind) == (60, 0, "maximum")
    trough = bootstrap_peak(x, ~y, kind="minimum", n_resamples=60, rng=rng)
    assert trough.median == pytest.approx(0.5, abs=0.06)
