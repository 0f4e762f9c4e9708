"""What must hold of comparisons of two groups and of tables of counts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from falx.clinical.ancova import ancova
from falx.clinical.contingency import association, chi_square, cross_table, fisher_exact
from falx.clinical.group_tests import levene, mann_whitney, student_t, summarise, welch_t
from falx.core.errors import InputError

GROUP = st.lists(st.integers(-50, 50), min_size=3, max_size=12)
MARGINS = st.integers(0, 6)
TABLE = st.integers(2, 3).flatmap(
    lambda columns: st.lists(
        st.lists(MARGINS, min_size=columns, max_size=columns), min_size=2, max_size=3
    )
)


def _useful(table):
    t = np.array(table)
    return (t.sum(axis=0) > 0).sum() > 1 and (t.sum(axis=1) > 0).sum() > 1


@given(GROUP, GROUP)
def test_changing_the_groups_changes_signs_only(a, b):
    assume(len(set(a)) > 1 and len(set(b)) > 1)
    for test in (student_t, welch_t):
        one, other = test(a, b), test(b, a)
        assert one.p == pytest.approx(other.p)
        assert (one.t, one.difference) == pytest.approx((-other.t, -other.difference))
        assert (one.ci_low, one.ci_high) == pytest.approx((-other.ci_high, -other.ci_low))
        assert (one.p < 0.05) == (one.ci_low > 0 or one.ci_high < 0)
    ranks, back = mann_whitney(a, b), mann_whitney(b, a)
    assert ranks.p == pytest.approx(back.p)
    assert ranks.u + back.u == len(a) * len(b)
    assert ranks.effect + back.effect == pytest.approx(1)


@given(GROUP, GROUP, st.floats(0.1, 100), st.floats(-100, 100))
def test_units_do_not_matter_to_any_test(a, b, scale, shift):
    a, b = np.array(a, dtype=float), np.array(b, dtype=float)
    assume(np.ptp(a) > 0 and np.ptp(b) > 0)
    for test in (student_t, welch_t):
        plain, other = test(a, b), test(scale * a + shift, scale * b + shift)
        assert other.t == pytest.approx(plain.t, rel=1e-6, abs=1e-9)
        assert other.df == pytest.approx(plain.df)
        assert other.difference == pytest.approx(scale * plain.difference, rel=1e-6, abs=1e-8)


@given(GROUP, GROUP)
def test_equal_variances_and_sizes_make_welch_student(a, b):
    assume(len(set(a)) > 1)
    same = [x + 7 for x in a]
    one, other = student_t(a, same), welch_t(a, same)
    assert (one.t, one.df, one.p) == pytest.approx((other.t, other.df, other.p))
    assert one.df == 2 * len(a) - 2
    assert one.difference == pytest.approx(-7)
    spread = [1.0 * x for x in b] + [1e3, -1e3]
    assert welch_t(a, spread).df <= student_t(a, spread).df + 1e-9


@given(st.lists(st.integers(-99, 99), min_size=4, max_size=14, unique=True), st.integers(1, 3))
def test_exact_ranks_need_distinct_values(values, first):
    a, b = values[:first], values[first:]
    found = mann_whitney(a, b)
    assert found.exact
    assert found.p == pytest.approx(scipy.stats.mannwhitneyu(a, b, method="exact").pvalue)
    normal = mann_whitney(a, b, method="normal")
    assert not normal.exact
    assert normal.u == found.u == sum(x > y for x in a for y in b)
    tied = mann_whitney([*a, b[0]], b)
    assert not tied.exact
    with pytest.raises(InputError, match="exact rank test needs distinct values.*1 ties"):
        mann_whitney([*a, b[0]], b, method="exact")
    assert not mann_whitney(np.arange(50.0), np.arange(50.0) + 0.5).exact


def test_half_a_pair_from_the_middle_is_no_difference():
    a, b = [1, 4, 4, 6], [2, 3, 5, 4]
    found, theirs = mann_whitney(a, b), scipy.stats.mannwhitneyu(a, b, method="asymptotic")
    assert (found.u, found.p) == (9.0, pytest.approx(theirs.pvalue))
    near = mann_whitney([1, 4], [2, 4])
    assert (near.u, near.p) == (1.5, 1.0)  # of four pairs, where two are the middle
    assert mann_whitney([1.0, 2, 2], [1, 2, 2]).p == 1
    with pytest.raises(InputError, match="all values are equal, so ranks say nothing.*found: 3"):
        mann_whitney([3, 3], [3, 3, 3])


@given(GROUP)
def test_a_group_is_summed_up(values):
    found = summarise(values)
    assert (found.n, found.mean) == (len(values), pytest.approx(np.mean(values)))
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert [found.q1, found.median, found.q3] == np.percentile(values, [25, 50, 75]).tolist()
    assert np.isnan(summarise([4.0]).sd)


def test_groups_without_any_spread_are_refused():
    with pytest.raises(InputError, match="both groups are constant.*means 1 and 2"):
        welch_t([1, 1], [2, 2, 2])
    with pytest.raises(InputError, match="Levene's test has no error.*groups of 2 and 3"):
        levene([1, 3], [5, 5, 5])
    with pytest.raises(InputError, match="the second group needs at least 2 values"):
        student_t([1, 2], [3])
    assert welch_t([1, 1, 1], [2, 3, 4]).df == pytest.approx(2)


@settings(max_examples=60)
@given(TABLE.filter(_useful), st.randoms(use_true_random=False))
def test_order_and_side_of_a_table_do_not_matter(table, random):
    t = np.array(table)
    rows, columns = list(range(t.shape[0])), list(range(t.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    for other in (t.T, t[rows][:, columns], np.vstack([t, 0 * t[:1]])):
        assert fisher_exact(other).p == pytest.approx(fisher_exact(t).p, rel=1e-9)
        one, two = chi_square(t), chi_square(other)
        assert (one.statistic, one.df) == (pytest.approx(two.statistic), two.df)


@settings(max_examples=30)
@given(TABLE.filter(_useful))
def test_fishers_p_is_the_share_of_tables_that_are_no_likelier(table):
    """All tables with these margins, by drawing every arrangement of the labels at random."""
    t = np.array(table)
    found = fisher_exact(t)
    assert 0 < found.p <= 1 + 1e-12
    assert found.tables >= 1
    assert found.standard_error is None
    drawn = scipy.stats.random_table(t.sum(axis=1), t.sum(axis=0))
    samples = drawn.rvs(3000, random_state=np.random.default_rng(1))
    likelihood = drawn.pmf(samples)
    share = np.mean(likelihood <= drawn.pmf(t) * (1 + 1e-7))
    assert share == pytest.approx(found.p, abs=5 * np.sqrt(0.25 / 3000))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=4, max_size=30))
def test_cross_tables_count_pairs(pairs):
    first, second = ([p[k] for p in pairs] for k in (0, 1))
    table = cross_table(first, second)
    assert table.sum() == len(pairs)
    for i, a in enumerate(sorted(set(first))):
        for j, b in enumerate(sorted(set(second))):
            assert table[i, j] == pairs.count((a, b))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 2, 3], "counts in rows and columns"),
        ([[1, -1], [2, 2]], "counts in rows and columns"),
        ([[3, 4], [0, 0]], "two rows and two columns that are not empty.*1 × 2"),
        ([[3, 0], [4, 0]], "two rows and two columns that are not empty.*2 × 1"),
    ],
)
def test_tables_that_are_none(table, message):
    for test in (chi_square, fisher_exact):
        with pytest.raises(InputError, match=message):
            test(table)


def test_small_expected_counts_ask_for_the_exact_test():
    assert association([[5, 5], [5, 5]]) == chi_square([[5, 5], [5, 5]])
    assert association([[5, 4], [5, 5]]) == fisher_exact([[5, 4], [5, 5]])
    assert chi_square([[8, 2], [1, 9]], yates=True).statistic == pytest.approx(7.27272727)
    assert chi_square([[8, 2, 1], [1, 9, 1]], yates=True).method == "Pearson chi-square"


def test_large_tables_are_not_listed():
    big = np.full((4, 4), 30)
    found = fisher_exact(big, rng=np.random.default_rng(2), samples=500)
    assert found.method == "Fisher, Monte Carlo"
    assert found.p == 1
    assert found.tables == 500
    assert found.standard_error == 0
    with pytest.raises(InputError, match="more than 2000000.*pass rng"):
        fisher_exact(big)


def test_covariates_that_leave_no_patient_over_are_refused(rng):
    y, group = rng.normal(size=5), [0, 0, 1, 1, 1]
    with pytest.raises(InputError, match="collinear or too many|too few patients"):
        ancova(y, group, rng.normal(size=(5, 4)))
    with pytest.raises(
        InputError, match="too few patients for this many covariates.*5 patients, 3"
    ):
        ancova(y, group, rng.normal(size=(5, 3)))
