"""Blood RNA-seq: refusals, agreement with R, overlap of lists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from falx.core.errors import FalxNotice, InputError
from falx.core.tables import parse_table
from falx.genes.blood.counts import Counts, check_design, check_formula, merge_symbols, read_counts
from falx.genes.blood.differential import Comparison, Fit, differential, select_genes
from falx.genes.blood.overlap import direction_agreement, overlap, pathway_overlap, spatial_overlap
from falx.genes.files import read_design, source_text

pytest.importorskip("pydeseq2")


@pytest.fixture(scope="module")
def against_r(reference):
    folder = reference / "deseq2"
    counts = read_counts(source_text(folder / "counts.csv.gz"))
    comparison = Comparison("group", ("DRE", "DSE"))
    result = differential(counts, read_design(folder / "meta.csv"), comparison)
    return result, pd.read_csv(folder / "results.csv.gz", index_col=0)


@pytest.mark.slow
def test_agreement_with_r(against_r):
    """R DESeq2 1.38.3; bounds are what PyDESeq2 0.5.4 reaches (notes/genes.md section 8)."""
    ours, r = against_r
    fit = ours.fit
    assert list(ours.genes) == list(r.index)
    np.testing.assert_allclose(fit.size_factors, r["sf"].to_numpy()[:14], rtol=1e-12)
    np.testing.assert_allclose(fit.base_mean, r["baseMean"], rtol=1e-12)
    both = np.isfinite(fit.p) & r["pvalue"].notna().to_numpy()
    assert np.abs(fit.log2_fold_change - r["log2FoldChange"])[both].max() < 2e-4
    apart = np.abs(np.log10(fit.p[both]) - np.log10(r["pvalue"].to_numpy()[both]))
    assert np.quantile(apart, 0.99) < 0.04
    raw = set(select_genes(ours, rule="as_published").genes)
    fdr = set(select_genes(ours, least_fold=1.0).genes)
    r_raw = set(r.index[(r["log2FoldChange"].abs() >= 1) & (r["pvalue"] < 0.05)])
    r_fdr = set(r.index[(r["log2FoldChange"].abs() >= 1) & (r["padj"] < 0.05)])
    assert len(raw & r_raw) / len(raw | r_raw) >= 0.99
    assert len(fdr & r_fdr) / len(fdr | r_fdr) >= 0.997


def small(reference, design="single_factor"):
    folder = reference / "deseq2"
    counts = read_counts(source_text(folder / "small_counts.csv"))
    return counts, read_design(folder / "small_metadata.csv"), folder / f"small_{design}.csv"


@pytest.mark.parametrize(
    ("folder", "formula"),
    [("single_factor", "~condition"), ("multi_factor", "~group + condition")],
)
def test_small_designs_agree_with_r(reference, folder, formula):
    """R DESeq2 1.34.0, distributed with PyDESeq2 (MIT)."""
    counts, design, results = small(reference, folder)
    fit = differential(counts, design, Comparison("condition", ("B", "A"), formula)).fit
    r = pd.read_csv(results, index_col=0)
    np.testing.assert_allclose(fit.log2_fold_change, r["log2FoldChange"], rtol=0.02)
    np.testing.assert_allclose(fit.p, r["pvalue"], rtol=0.02)
    np.testing.assert_allclose(fit.p_adjusted, r["padj"], rtol=0.02)


def test_published_and_corrected_rules_stand_side_by_side(reference):
    counts, design, _ = small(reference)
    result = differential(counts, design, Comparison("condition", ("B", "A")))
    published = select_genes(result, rule="as_published")
    corrected = select_genes(result)
    fold = dict(zip(result.genes, result.fit.log2_fold_change, strict=True))
    assert all(abs(fold[g]) >= 1 for g in published.genes)
    assert all(fold[g] > 0 for g in corrected.up)
    assert all(fold[g] < 0 for g in corrected.down)
    reverse = select_genes(differential(counts, design, Comparison("condition", ("A", "B"))))
    assert set(reverse.up) == set(corrected.down)


def test_prefilter_counts_samples_of_the_smaller_group():
    counts = Counts(
        np.array([[10, 10, 0, 0, 0], [10, 0, 0, 0, 0], [20, 30, 20, 25, 30]]),
        ("kept", "dropped", "high"),
        tuple("abcde"),
    )
    design = design_of("abcde", "xxyyy")

    def backend(used, *_):
        nothing = np.zeros(len(used.genes))
        return Fit(*[nothing] * 6, np.ones(5), nothing)

    comparison = Comparison("g", ("x", "y"), least_count=10)
    result = differential(counts, design, comparison, backend=backend)
    assert result.genes == ("kept", "high")
    assert result.dropped == ("dropped",)


def table(tmp_path, text):
    path = tmp_path / "counts.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("g,a,b\nG1,1.5,2\n", "counts that are not whole.*1.5 for G1 in a"),
        ("g,a,b\nG1,-1,2\n", "negative counts"),
        ("g,a,b\nG1,,2\n", "missing counts"),
        ("g,a,name\nG1,1,brain\n", "counts must be numbers"),
        ("g,a,b\nG1,0,2\n", "a sample has no counts"),
    ],
)
def test_bad_counts_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_counts(source_text(table(tmp_path, text)))


def test_versions_and_repeated_genes(tmp_path):
    counts = Counts(
        np.array([[1, 1], [5, 5], [3, 3]]), ("ENSG01.3", "ENSG01.4", "SP1"), ("a", "b")
    )
    with pytest.warns(FalxNotice, match="the one with most counts is kept"):
        merged = merge_symbols(counts)
    assert merged.genes == ("ENSG01", "SP1")
    assert merged.values.tolist() == [[5, 5], [3, 3]]


def design_of(samples, groups):
    rows = [f"{s},{g}" for s, g in zip(samples, groups, strict=True)]
    return parse_table("\n".join(["sample,g", *rows]), where="design.csv")


def test_designs_that_cannot_be_fitted():
    counts = Counts(np.ones((1, 4), dtype=np.int64), ("G",), tuple("abcd"))
    design = design_of("abcd", "xxxy")
    with pytest.raises(InputError, match=r"one sample.*found: y"):
        check_design(counts, design, "g", ("x", "y"))
    with pytest.raises(InputError, match="different samples"):
        check_design(counts, design_of("abc", "xxx"), "g", ("x", "y"))
    with pytest.raises(InputError, match="no such column"):
        check_design(counts, design, "group", ("x", "y"))
    with pytest.raises(InputError, match=r"not in the design.*choose two of"):
        check_design(counts, design, "g", ("x", "z"))
    with pytest.warns(FalxNotice, match="a group outside the contrast has one sample"):
        check_design(
            Counts(np.ones((1, 5), dtype=np.int64), ("G",), tuple("abcde")),
            design_of("abcde", "xxyyz"), "g", ("x", "y"),
        )  # fmt: skip
    assert check_design(counts, design_of("dcba", "yyxx"), "g", ("x", "y")) == {
        "g": ("x", "x", "y", "y")
    }


COLUMNS = {"g": ("x", "y"), "age": ("30", "41"), "lab": ("A", "n/a"), "time of day": ("1", "2")}


@pytest.mark.parametrize(
    ("formula", "told"),
    [
        ("~g + centre", r"~g \+ centre: the formula names what is no column.*found: centre"),
        ("~age", "leaves out the column that is compared"),
        ("~g + lab", "empty cells.*found: lab"),
        ("~g + `hour of day`", "found: hour of day"),
    ],
)
def test_formulas_that_the_design_cannot_serve(formula, told):
    with pytest.raises(InputError, match=told):
        check_formula(formula, COLUMNS, "g")


@pytest.mark.parametrize(
    "formula", ["~g", "g", "~ g*age", "~C(g, contr.treatment(base='x')) + scale(age)",
                "~`time of day` + g", "~ 0 + g + age:g"],
)  # fmt: skip
def test_formulas_that_the_design_serves(formula):
    check_formula(formula, COLUMNS, "g")


def test_what_the_formula_library_refuses_is_a_sentence():
    counts = Counts(np.arange(12).reshape(3, 4) + 5, tuple("ABC"), tuple("abcd"))
    with pytest.raises(InputError, match="the design cannot be set up"):
        differential(counts, design_of("abcd", "xxyy"), Comparison("g", ("x", "y"), "~g +* g"))


@pytest.mark.parametrize(("factor", "contrast"), [("", ("a", "b")), ("g", ()), ("g", ("a",))])
def test_a_comparison_must_be_stated(factor, contrast):
    with pytest.raises(InputError, match="the comparison is not stated"):
        Comparison(factor, contrast)


# notes/genes.md section 9: what the published overlaps are worth in a universe of 10,027 genes.
@pytest.mark.parametrize(
    ("a", "d", "k", "p"),
    [
        (136, 7, 1, 0.091),
        (237, 7, 1, 0.154),
        (183, 7, 2, 0.0065),
        (416, 7, 2, 0.031),
        (171, 26, 1, 0.36),
    ],
)
def test_published_overlaps(a, d, k, p):
    universe = [f"G{i}" for i in range(10027)]
    result = overlap(universe[:a], universe[a - k : a - k + d], universe)
    assert len(result.common) == k
    assert result.p == pytest.approx(stats.hypergeom.sf(k - 1, 10027, a, d), rel=1e-9)
    assert result.p == pytest.approx(p, rel=0.02)
    assert result.expected == pytest.approx(a * d / 10027)
    assert result.interval[0] < result.odds_ratio < result.interval[1]


def test_universe_limits_the_lists():
    result = overlap(["a", "b", "z"], ["b", "y"], ["a", "b", "c", "d"])
    assert (result.n_first, result.n_second, result.common) == (2, 1, ("b",))
    with pytest.raises(InputError, match="no gene was tested on both sides"):
        overlap(["a"], ["a"], [])


def test_directions():
    same = direction_agreement("abcdefgh", "ijklmnop", "abcdefg", "ijklmno")
    assert same.cells == (7, 0, 0, 7)
    assert same.agree == 1.0
    assert same.p == pytest.approx(stats.fisher_exact([[7, 0], [0, 7]]).pvalue)
    assert direction_agreement("ab", "cd", "ab", "").p is None
    assert direction_agreement("ab", "cd", "", "").agree is None


def test_pathway_pairs_are_corrected_together():
    universe = [f"G{i}" for i in range(500)]
    result = pathway_overlap(
        {"i1": universe[:30], "i2": universe[100:130]},
        {"b1": universe[:20], "b2": universe[300:320]},
        universe,
    )
    assert len(result.pairs) == 4
    assert result.q[0] < 1e-10
    assert result.overlaps[3].p == 1.0


def test_spatial_overlap_counts_null_lists(rng):
    genes = [f"G{i}" for i in range(300)]
    nulls = rng.standard_normal((300, 199))
    statistic = rng.standard_normal(300)
    statistic[:20] += 6
    result = spatial_overlap(statistic, nulls, genes, genes[:20], 40)
    assert result.overlap == 20
    assert result.p_overlap == 1 / 200
    assert result.p_mean == 1 / 200
    null_k = [np.isin(np.argsort(-np.abs(nulls[:, b]))[:40], range(20)).sum() for b in range(199)]
    other = spatial_overlap(nulls[:, 0], nulls, genes, genes[:20], 40)
    assert other.p_overlap == pytest.approx((1 + (np.array(null_k) >= null_k[0]).sum()) / 200)
