"""Statistics of gene sets beside the same thing written out gene by gene."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from falx.core.errors import FalxNotice, InputError, OptionError
from falx.genes.association import correlate, gene_correlations, tally, unit_columns
from falx.genes.blood.overlap import (
    direction_agreement,
    overlap,
    pathway_overlap,
    spatial_overlap,
)
from falx.genes.pls import (
    bootstrap_counts,
    bootstrap_weights,
    explained_variance,
    fit_pls,
    zscore_columns,
)
from falx.genes.sets.ensemble import ensemble_enrichment
from falx.genes.sets.library import GeneSetLibrary, Origin, restrict
from falx.genes.sets.ora import hypergeometric_tail, over_representation
from falx.genes.sets.ranked import enrichment_scores, ranked_enrichment
from falx.genes.sets.regulators import Regulation, signed_regulators
from falx.genes.sets.specificity import specific_sets, tissue_specificity
from falx.genes.sets.themes import compare_lists, find_themes, kappa_matrix, theme_network

few = settings(max_examples=12, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
GENES = tuple(f"G{i:02d}" for i in range(30))


def library(sets: dict[str, tuple[str, ...]]) -> GeneSetLibrary:
    return GeneSetLibrary("made", sets, Origin("made"))


def drawn_sets(rng, n_sets=6, smallest=3, largest=12):
    return restrict(
        library({
            f"S{i}": tuple(rng.choice(GENES, rng.integers(smallest, largest + 1), replace=False))
            for i in range(n_sets)
        }),
        GENES,
        smallest=1,
    )  # fmt: skip


# Over-representation


@pytest.mark.parametrize(
    ("k", "M", "n", "N"),
    [(0, 3, 4, 10), (1, 3, 4, 10), (3, 3, 4, 10), (4, 6, 7, 10), (3, 6, 7, 10), (5, 5, 5, 5)],
)
def test_the_tail_counts_lists(k, M, n, N):
    """Exactly: of all lists of n among N, how many share at least k with the first M."""
    reaching = sum(math.comb(M, x) * math.comb(N - M, n - x) for x in range(k, min(M, n) + 1))
    wanted = Fraction(reaching, math.comb(N, n))
    assert hypergeometric_tail([k], [M], n, N)[0] == pytest.approx(float(wanted), abs=1e-15)


def test_the_tail_is_that_of_lists_drawn_one_by_one():
    lists = list(combinations(range(8), 3))
    for k in range(4):
        share = np.mean([sum(i < 5 for i in drawn) >= k for drawn in lists])
        assert hypergeometric_tail([k], [5], 3, 8)[0] == pytest.approx(share)


def test_tails_too_small_for_floats_of_one_keep_their_digits():
    (found,) = hypergeometric_tail([40], [40], 100, 10_000)
    assert 0 < found < 1e-80
    assert found == pytest.approx(stats.hypergeom.sf(39, 10_000, 40, 100), rel=1e-9)


def test_rows_come_by_p_then_overlap_then_name():
    sets = restrict(
        library({"b": GENES[:4], "a": GENES[:4], "wide": GENES[:8], "none": GENES[20:24]}), GENES,
        smallest=1,
    )  # fmt: skip
    result = over_representation(GENES[:4], sets)
    assert [result.names[i] for i in result.order()] == ["a", "b", "wide", "none"]
    assert result.overlap.tolist() == [4, 4, 4, 0]
    assert result.factor.tolist() == [30 / 4, 30 / 4, 30 / 8, 0.0]
    assert result.p[3] == 1.0
    assert (result.list_size, result.universe_size) == (4, 30)
    # Corrected over all sets, those without a gene too.
    assert result.q[0] == pytest.approx(result.p[0] * 4 / 2)


# Ranks


def walked(value, member):
    """Running sum of one set, position by position (Subramanian et al. 2005)."""
    order = sorted(range(len(value)), key=lambda i: (-value[i], i))
    total = sum(abs(value[i]) for i in member)
    at, largest, smallest = 0.0, 0.0, 0.0
    for gene in order:
        at += abs(value[gene]) / total if gene in member else -1.0 / (len(value) - len(member))
        largest, smallest = max(largest, at), min(smallest, at)
    assume(abs(largest + smallest) > 1e-9)  # rounding would choose the sign
    return largest if largest >= -smallest else smallest


@few
@given(SEEDS)
def test_the_running_sum_is_the_papers(seed):
    rng = np.random.default_rng(seed)
    sets = drawn_sets(rng)
    value = rng.standard_normal(30).round(1)  # with ties
    value[value == 0] = 0.1
    found = enrichment_scores(value, sets)
    for name, score in zip(sets.names, found, strict=True):
        member = {GENES.index(g) for g in sets.members(name)}
        assert score == pytest.approx(walked(value, member), abs=1e-12)


@few
@given(SEEDS)
def test_ranked_p_counts_null_scores_of_the_same_sign(seed):
    rng = np.random.default_rng(seed)
    sets = drawn_sets(rng)
    value, nulls = rng.standard_normal(30), rng.standard_normal((30, 24))
    found = ranked_enrichment(value, nulls, sets)
    for i, name in enumerate(sets.names):
        member = {GENES.index(g) for g in sets.members(name)}
        score = walked(value, member)
        null = [walked(nulls[:, b], member) for b in range(24)]
        same = [v for v in null if (v >= 0) == (score >= 0)]
        reached = sum(abs(v) >= abs(score) - 1e-12 for v in same)
        assert found.score[i] == pytest.approx(score)
        assert found.p[i] == pytest.approx((1 + reached) / (1 + len(same)))
        if same:
            assert found.normalised[i] == pytest.approx(score / np.mean(np.abs(same)))


def test_a_set_of_every_tested_gene_has_no_misses():
    """Nothing is subtracted where nothing is outside, and no map can be reached less often."""
    sets = restrict(library({"all": GENES, "some": GENES[:5]}), GENES, smallest=1)
    value = np.linspace(1, 2, 30)
    found = ranked_enrichment(value, np.random.default_rng(1).random((30, 9)) + 0.1, sets)
    assert found.score[0] == pytest.approx(1.0)
    assert found.p[0] == 1.0


def test_ranks_that_say_nothing_are_refused():
    sets = restrict(library({"s": GENES[:3]}), GENES, smallest=1)
    with pytest.raises(InputError, match="statistic and gene sets differ in genes"):
        enrichment_scores(np.ones(29), sets)
    nothing = np.ones(30)
    nothing[:3] = 0
    with pytest.raises(InputError, match="every gene of a set has the statistic 0"):
        enrichment_scores(nothing, sets)
    nothing[0] = 1e-9
    assert np.isfinite(enrichment_scores(nothing, sets)).all()


# The ensemble


@settings(max_examples=4, deadline=None)
@given(SEEDS, st.sampled_from(["pearson", "spearman"]))
def test_ensemble_z_is_of_the_null_scores_themselves(seed, method):
    rng = np.random.default_rng(seed)
    sets = drawn_sets(rng)
    X, y, nulls = rng.standard_normal((9, 30)), rng.standard_normal(9), rng.random((14, 9))
    found = ensemble_enrichment(X, y, nulls, sets, correlation=method)
    corr = stats.pearsonr if method == "pearson" else stats.spearmanr
    null_scores = []
    for name in sets.names:
        columns = [GENES.index(g) for g in sets.members(name)]
        score = np.mean([corr(X[:, c], y)[0] for c in columns])
        null = np.array([np.mean([corr(X[:, c], m)[0] for c in columns]) for m in nulls])
        i = sets.names.index(name)
        assert found.score[i] == pytest.approx(score)
        assert found.z[i] == pytest.approx((score - null.mean()) / null.std(ddof=1))
        assert found.p_gaussian[i] == pytest.approx(2 * stats.norm.sf(abs(found.z[i])))
        assert found.p[i] == pytest.approx((1 + (abs(null) >= abs(score) - 1e-12).sum()) / 15)
        null_scores.append(abs(null))
    largest = np.max(null_scores, axis=0)
    for score, p in zip(found.score, found.p_max, strict=True):
        assert p == pytest.approx((1 + (largest >= abs(score) - 1e-12).sum()) / 15)
    assert found.n_maps == 14


def test_an_ensemble_needs_its_own_genes():
    sets = restrict(library({"s": GENES[:3]}), GENES, smallest=1)
    with pytest.raises(InputError, match=r"differ in genes .found: 29 and 30"):
        ensemble_enrichment(np.ones((9, 29)), np.arange(9), np.ones((4, 9)), sets)
    with pytest.raises(OptionError, match="did you mean 'pearson'"):
        ensemble_enrichment(np.ones((9, 30)), np.arange(9), np.ones((4, 9)), sets,
                            correlation="pearsn")  # fmt: skip


# Correlations and counts


@few
@given(SEEDS)
def test_spearman_is_scipys_with_ties(seed):
    rng = np.random.default_rng(seed)
    X, maps = rng.integers(0, 5, (12, 4)).astype(float), rng.integers(0, 4, (3, 12)).astype(float)
    X[0], X[1], maps[:, 0], maps[:, 1] = 9, 10, 7, 8
    found = correlate(X, maps, correlation="spearman")
    for g in range(4):
        for b in range(3):
            assert found[g, b] == pytest.approx(stats.spearmanr(X[:, g], maps[b])[0])


def test_unit_columns_are_centred_and_of_length_one_and_refuse_what_has_none(rng):
    table = rng.standard_normal((8, 3)) * [1, 50, 1e-3] + [5, 0, -2]
    found = unit_columns(table, "pearson")
    assert found.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert (found**2).sum(axis=0) == pytest.approx(1)
    table[:, 1] = 4.0
    for method in ("pearson", "spearman"):
        with pytest.raises(InputError, match="constant over regions; remove it"):
            unit_columns(table, method)
    table[3, 1] = np.nan
    with pytest.raises(InputError, match="values are missing"):
        unit_columns(table, "pearson")


def test_null_maps_that_equal_the_map_reach_it(rng):
    """Rounding must not decide whether a map reaches itself, nor its mirror image."""
    X, y = rng.standard_normal((15, 6)), rng.standard_normal(15)
    nulls = np.stack([y, -y, 3 * y + 2, rng.permutation(y)])
    found = gene_correlations(X, y, nulls)
    assert (found.reached >= 3).all()
    assert (found.p >= 4 / 5).all()
    assert found.r == pytest.approx(correlate(X, y)[:, 0])
    assert found.n_maps == 4
    with pytest.raises(InputError, match=r"one row a map .found: shape .15,.."):
        gene_correlations(X, y, y)


def test_the_largest_profile_decides_the_familywise_p():
    profiles = np.array([[1.0, 0.0], [0.0, 2.0]])
    maps = np.array([[0.5, 0.0, 0.9], [0.1, 0.4, 0.0]])
    # Products: first (.5, 0, .9), second (.2, .8, 0); largest of each map .5, .8, .9.
    found = tally(profiles, maps, np.array([0.8, 0.5]))
    assert found.reached.tolist() == [1, 1]
    assert found.p.tolist() == [2 / 4, 2 / 4]
    assert found.p_max.tolist() == [3 / 4, 4 / 4]


# The component


@few
@given(SEEDS, st.integers(1, 4))
def test_components_are_uncorrelated_and_explain_what_regression_on_them_does(seed, k):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((14, 9)), rng.standard_normal(14)
    model = fit_pls(X, y, n_components=k)
    assert model.scores.T @ model.scores == pytest.approx(np.eye(k), abs=1e-9)
    z = (y - y.mean()) / y.std(ddof=1)
    fitted = model.scores @ (model.scores.T @ z)
    assert model.explained_variance.sum() == pytest.approx((fitted**2).sum() / (z**2).sum())
    assert (model.scores.T @ z > 0).all()


@few
@given(SEEDS)
def test_the_first_weights_are_the_covariances_of_genes_and_map(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((14, 9)), rng.standard_normal(14)
    weights = fit_pls(X, y, convention="unit_weights").weights[:, 0]
    covariance = np.array([np.corrcoef(X[:, g], y)[0, 1] for g in range(9)])
    assert weights == pytest.approx(covariance / np.linalg.norm(covariance))
    scaled = fit_pls(X, y, convention="unit_scores").weights[:, 0]
    Z = (X - X.mean(axis=0)) / X.std(axis=0, ddof=1)
    assert np.linalg.norm(Z @ scaled) == pytest.approx(1.0)
    assert scaled / np.linalg.norm(scaled) == pytest.approx(weights)


def test_explained_variance_needs_maps_of_these_regions(rng):
    with pytest.raises(InputError, match="differ in regions .found: 7 and 8"):
        explained_variance(rng.random((8, 3)), rng.random((2, 7)))
    for k in (0, 8):
        with pytest.raises(OptionError, match="n_components is out of range"):
            fit_pls(rng.random((8, 3)), rng.random(8), n_components=k)


def test_columns_of_any_scale_are_standardised_and_constant_ones_counted():
    table = np.array([[1.0, 5.0, 1e-9], [2.0, 5.0, 3e-9], [4.0, 5.0, 2e-9]])
    with pytest.raises(InputError, match=r"map: columns are constant over regions .found: 1 of 3"):
        zscore_columns(table, where="map")
    found = zscore_columns(table[:, [0, 2]])
    assert found.std(axis=0, ddof=1) == pytest.approx(1)
    table[0, 0] = np.inf
    with pytest.raises(InputError, match="expression: values are missing"):
        zscore_columns(table)


def test_a_resample_has_as_many_regions_and_all_are_as_likely(rng):
    counts = bootstrap_counts(12, 4000, rng)
    assert counts.shape == (4000, 12)
    assert (counts.sum(axis=1) == 12).all()
    # Each region's share has an SD of sqrt(11 / 12 / 4000).
    assert np.abs(counts.mean(axis=0) - 1).max() < 5 * np.sqrt(11 / 12 / 4000)
    assert counts.var(axis=0) == pytest.approx(11 / 12, rel=0.15)


def test_a_draw_without_variance_is_refused(rng):
    X, y = rng.standard_normal((6, 4)), rng.standard_normal(6)
    counts = np.array([[6.0, 0, 0, 0, 0, 0], [1.0] * 6])
    with pytest.raises(InputError, match="a bootstrap draw holds no variance"):
        bootstrap_weights(X, y, counts)


# Blood


@few
@given(SEEDS)
def test_overlap_written_out(seed):
    rng = np.random.default_rng(seed)
    a = set(rng.choice(GENES, rng.integers(2, 20), replace=False))
    b = set(rng.choice(GENES, rng.integers(2, 20), replace=False))
    found = overlap(sorted(a), sorted(b), GENES)
    k = len(a & b)
    odds = (k + 0.5) * (30 - len(a | b) + 0.5) / ((len(a - b) + 0.5) * (len(b - a) + 0.5))
    error = math.sqrt(sum(1 / (n + 0.5) for n in (k, 30 - len(a | b), len(a - b), len(b - a))))
    assert found.odds_ratio == pytest.approx(odds)
    assert found.interval == pytest.approx(
        (odds * math.exp(-1.96 * error), odds * math.exp(1.96 * error))
    )
    assert found.p == pytest.approx(stats.hypergeom.sf(k - 1, 30, len(a), len(b)))
    assert found.n_universe == 30


def test_directions_count_four_cells_and_are_silent_without_both_signs():
    found = direction_agreement("abcd", "efgh", "abe", "dfg")
    assert found.cells == (2, 1, 1, 2)
    assert found.agree == pytest.approx(4 / 6)
    assert found.p == pytest.approx(stats.fisher_exact([[2, 1], [1, 2]]).pvalue)
    for up, down in (("ab", ""), ("", "d"), ("x", "y")):
        assert direction_agreement("abcd", "efgh", up, down).p is None
    assert direction_agreement("abcd", "efgh", "x", "y").agree is None


def test_pathway_pairs_are_all_of_them_in_order():
    imaging = {"i1": GENES[:5], "i2": GENES[5:9]}
    blood = {"b1": GENES[:4], "b2": GENES[20:]}
    found = pathway_overlap(imaging, blood, GENES)
    assert found.pairs == (("i1", "b1"), ("i1", "b2"), ("i2", "b1"), ("i2", "b2"))
    p = np.array([o.p for o in found.overlaps])
    assert p == pytest.approx([overlap(imaging[a], blood[b], GENES).p for a, b in found.pairs])
    assert found.q == pytest.approx(stats.false_discovery_control(p))
    with pytest.raises(InputError, match="overlap: there is no pair of pathways"):
        pathway_overlap(imaging, {}, GENES)


@pytest.mark.parametrize("n_top", [0, 30])
def test_spatial_overlap_refuses_lists_that_select_nothing(n_top, rng):
    value, nulls = rng.random(30), rng.random((30, 5))
    with pytest.raises(InputError, match=rf"the list size is out of range .found: {n_top}"):
        spatial_overlap(value, nulls, GENES, GENES[:3], n_top)
    with pytest.raises(InputError, match="no blood gene is among the tested genes"):
        spatial_overlap(value, nulls, GENES, ["elsewhere"], 5)


def test_of_equals_at_the_border_the_first_count():
    value = np.array([3.0, -2.0, 2.0, 2.0, 1.0])
    genes = tuple("abcde")
    nulls = np.zeros((5, 3))
    for blood, shared in (("a", 1), ("b", 1), ("c", 1), ("d", 0), ("e", 0), ("abc", 3)):
        assert spatial_overlap(value, nulls, genes, blood, 3).overlap == shared
    found = spatial_overlap(value, nulls, genes, "bc", 3)
    # Every null value is 0, so that the first three of the five form each null list.
    assert found.p_overlap == 1.0
    assert (found.mean_statistic, found.p_mean) == (0.0, 1.0)


# Regulators


def test_a_regulator_is_tested_on_both_tails():
    activated = [Regulation("F", g, ("Activation",), ()) for g in GENES[:6]]
    repressed = [Regulation("F", g, ("Repression",), ()) for g in GENES[6:10]]
    odd = [Regulation("F", g, ("Activation", "Repression"), ()) for g in GENES[10:12]]
    up, down = [*GENES[:5], GENES[6]], [GENES[7], GENES[5]]
    found = signed_regulators([*activated, *repressed, *odd], up, down, GENES)
    # Five activated are up and one repressed is down; one of each the other way.
    assert found.factors == ("F",)
    assert (found.consistent.tolist(), found.opposed.tolist()) == ([6], [2])
    both = [stats.hypergeom.sf(k - 1, 30, 10, 6) for k in (6, 2)]
    assert found.p[0] == pytest.approx(min(1.0, 2 * min(both)))
    with pytest.raises(InputError, match="TRRUST: no regulator has enough signed targets"):
        signed_regulators(activated[:4], up, down, GENES)
    assert signed_regulators(activated[:5], up, down, GENES).factors == ("F",)
    with pytest.raises(InputError, match="enough signed targets"):
        signed_regulators(activated, up, down, GENES, smallest=7)


@pytest.mark.parametrize(
    ("modes", "sign"),
    [
        (("Activation",), 1),
        (("Repression",), -1),
        (("Unknown",), 0),
        (("Activation", "Unknown"), 1),
        (("Unknown", "Repression"), -1),
        (("Activation", "Repression"), 0),
    ],
)
def test_a_contradictory_mode_has_no_sign(modes, sign):
    assert Regulation("F", "T", modes, ()).sign == sign


# Specificity


@few
@given(SEEDS)
def test_specificity_written_out(seed):
    x = np.random.default_rng(seed).random((5, 4)) * 10
    found = tissue_specificity(x, tuple("abcde"), tuple("wxyz"))
    for g in range(5):
        tau = sum(1 - v / max(x[g]) for v in x[g]) / 3
        assert found.tau[g] == pytest.approx(tau)
        for t in range(4):
            assert found.spm[g, t] == pytest.approx(x[g, t] / math.sqrt(sum(v**2 for v in x[g])))


def test_sets_hold_genes_above_the_cut_alone():
    # The share of (3, 4) is .6 and .8 exactly.
    found = tissue_specificity([[3.0, 4.0], [4.0, 3.0], [1.0, 0.0]], tuple("abc"), ("x", "y"))
    assert specific_sets(found, spm_above=0.8).sets == {"x": ("c",)}
    assert specific_sets(found, spm_above=0.79).sets == {"x": ("b", "c"), "y": ("a",)}
    assert specific_sets(found).sets == {"x": ("c",)}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([[1.0, 2.0, 3.0]], r"names do not fit the table .found: shape .1, 3.."),
        ([[1.0, -0.1]], "must be finite and not negative; use TPM"),
        ([[1.0, np.nan]], "must be finite and not negative"),
        ([[0.0, 0.0]], r"genes are expressed nowhere .found: 1.; leave them out"),
    ],
)
def test_expression_that_has_no_specificity(table, told):
    with pytest.raises(InputError, match=told):
        tissue_specificity(table, ("a",), ("x", "y"))


def test_one_tissue_makes_no_gene_specific():
    with pytest.raises(InputError, match="at least two tissues .found: 1"):
        tissue_specificity([[1.0], [2.0]], ("a", "b"), ("brain",))


# Themes


def agreement(a, b, n):
    """Cohen's kappa of two sets among n genes, from its definition."""
    both, neither = len(a & b), n - len(a | b)
    observed = (both + neither) / n
    chance = len(a) / n * len(b) / n + (1 - len(a) / n) * (1 - len(b) / n)
    return (observed - chance) / (1 - chance)


@few
@given(SEEDS)
def test_kappa_written_out(seed):
    sets = drawn_sets(np.random.default_rng(seed))
    members = [set(sets.members(name)) for name in sets.names]
    rows = [3, 0, 5]
    found = kappa_matrix(sets, rows)
    wanted = [[agreement(members[i], members[j], 30) for j in rows] for i in rows]
    assert found == pytest.approx(np.array(wanted))


def themed():
    sets = restrict(
        library({
            "first": GENES[:6], "second": GENES[:7], "apart": GENES[10:15],
            "thin": GENES[18:20], "broad": GENES[:25],
        }),
        GENES,
        smallest=1,
    )  # fmt: skip
    return sets, over_representation([*GENES[:6], *GENES[10:15], *GENES[18:20]], sets)


def test_a_term_needs_p_overlap_and_factor():
    sets, result = themed()
    # "thin" shares two genes; "broad" is 11 of 25 where 13 of 30 are expected.
    groups = find_themes(result, sets, p_below=0.2)
    assert [theme.terms for theme in groups.themes] == [("first", "second"), ("apart",)]
    alone = find_themes(result, sets, p_below=0.2, smallest_overlap=2)
    assert ("thin",) in [theme.terms for theme in alone.themes]
    assert len(find_themes(result, sets, p_below=float(result.p.min())).themes) == 0
    factor = float(result.factor[0])
    kept = find_themes(result, sets, p_below=0.2, factor_above=factor).terms
    assert "first" not in kept


def test_a_network_of_themes_is_cut_where_it_says():
    sets, result = themed()
    themes = find_themes(result, sets, p_below=0.2)
    whole = theme_network(themes)
    assert whole.nodes == (("first", 0), ("second", 0), ("apart", 1))
    [(a, b, kappa)] = whole.edges
    assert (a, b) == ("first", "second")
    assert kappa == pytest.approx(agreement(set(GENES[:6]), set(GENES[:7]), 30))
    assert theme_network(themes, n_themes=1).nodes == (("first", 0), ("second", 0))
    assert theme_network(themes, terms_per_theme=1).nodes == (("first", 0), ("apart", 1))
    assert theme_network(themes, n_terms=1).nodes == (("first", 0),)
    assert theme_network(themes, kappa_above=kappa).edges == ()


def test_lists_share_terms_by_their_q():
    sets, _ = themed()
    lists = {"x": GENES[:6], "y": GENES[:7], "z": GENES[10:15]}
    found = compare_lists(lists, sets)
    passing = [
        {n for n, q in zip(found.results[k].names, found.results[k].q, strict=True) if q < 0.05}
        for k in lists
    ]
    for i, a in enumerate(passing):
        for j, b in enumerate(passing):
            wanted = len(a & b) / len(a | b) if a | b else 0.0
            assert found.term_overlap[i, j] == pytest.approx(wanted)
    assert found.gene_overlap[0].tolist() == pytest.approx([1, 6 / 7, 0])
    assert found.q_best == pytest.approx(stats.false_discovery_control(found.p_best))
    assert found.q_combined == pytest.approx(stats.false_discovery_control(found.p_combined))
    assert found.results["union"].list_size == 12
    with pytest.raises(InputError, match="at least two gene lists .found: 1"):
        compare_lists({"x": GENES[:6]}, sets)


def test_a_list_that_is_partly_unknown_says_how_much():
    sets = restrict(library({"s": GENES[:5]}), GENES, smallest=1)
    told = "made: genes outside the tested ones do not count .found: 2"
    with pytest.warns(FalxNotice, match=told):
        found = over_representation([*GENES[:3], "X1", "X2"], sets)
    assert found.list_size == 3
