"""The reproduction of Liu et al. 2024: every verdict, and the arithmetic behind it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.cli.main import main
from falx.core.files import read_table
from falx.data.liu2024 import DURATION, PEAKS, Quartiles
from falx.maps.inference.random_fields import FslClusterTest
from falx.studies.reproduce import files, liu2024
from falx.studies.reproduce.comparison import CONTRADICTED, CONVENTION, REPRODUCED, UNAVAILABLE
from falx.studies.reproduce.liu_genes import overlap_p
from falx.studies.reproduce.liu_maps import largest_smoothness, lattice_misfit
from falx.studies.reproduce.liu_people import anova_p, rank_p_bounds

EXPECTED = {
    REPRODUCED: {1, 2, 3, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 26, 27, 35},
    CONVENTION: {4, 28, 29, 30, 33, 34, 38, 39},
    CONTRADICTED: {7, 10, 24, 25, 31, 32, 36, 37, 40},
    UNAVAILABLE: {5, 6, 41, 42, 43},
}


@pytest.fixture(scope="module")
def items():
    return liu2024.reproduce_liu2024()


def test_every_item_has_the_verdict_of_the_reading(items):
    assert [item.number for item in items] == list(range(1, 44))
    assert {v: {i.number for i in items if i.verdict == v} for v in EXPECTED} == EXPECTED


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (2, "F(2, 71) = 0.2869, P = 0.7515"),
        (4, "Fisher's exact P = 0.2171; Pearson's χ² = 2.9245, P = 0.2317"),
        (7, "25"),
        (10, "temporal 64% resistant, generalised 27%: Fisher's exact P = 0.019"),
        (12, "42.5 (24–57)"),
        (15, "|t| > 2.952 at 45 degrees of freedom; largest P = 0.0031"),
        (19, "|t| > 2.937 at 50 degrees of freedom; largest P = 0.0025"),
        (20, "14 of 14 agree"),
        (23, "misses a peak by 0.50 mm"),
        (24, "misses a peak by 1.00 mm"),
        (29, "at most 2.6 voxels (7.8 mm)"),
        (32, "6 of 6 in the cerebellum"),
        (33, "at least 41 genes"),
        (36, "0.095 expected, P = 0.0912"),
        (38, "P = 0.0065"),
        (39, "P = 0.0314"),
        (40, "P = 0.3610"),
        (41, "8 to 16"),
    ],
)
def test_recomputed_values_are_those_of_the_reading(items, number, said):
    assert said in items[number - 1].as_published


def test_sex_is_fishers_test_by_plain_enumeration():
    # All tables with rows 22, 25, 27 and 33 men; those no more likely than the printed one.
    rows, men = (22, 25, 27), 33
    logs = scipy.special.gammaln(np.arange(80) + 1)

    def weight(a, b, c):
        chosen = zip(rows, (a, b, c), strict=True)
        return np.exp(sum(logs[n] - logs[k] - logs[n - k] for n, k in chosen))

    tables = [
        weight(a, b, men - a - b) for a in range(23) for b in range(26) if 0 <= men - a - b <= 27
    ]
    seen = weight(10, 8, 15)
    p = sum(w for w in tables if w <= seen * (1 + 1e-7)) / sum(tables)
    assert round(p, 3) == 0.217


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(3, 12), min_size=2, max_size=4))
def test_anova_from_summaries_is_that_of_the_values(seed, sizes):
    rng = np.random.default_rng(seed)
    groups = [rng.normal(i, 1 + i, n) for i, n in enumerate(sizes)]
    f, p = anova_p(sizes, [g.mean() for g in groups], [g.std(ddof=1) for g in groups])
    expected = scipy.stats.f_oneway(*groups)
    assert f == pytest.approx(expected.statistic, rel=1e-9)
    assert p == pytest.approx(expected.pvalue, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_rank_probability_lies_within_the_bounds_of_its_quartiles(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 60, 22).astype(float), rng.integers(5, 80, 25).astype(float)
    cut = [tuple(np.quantile(x, (0.25, 0.5, 0.75), method="weibull")) for x in (a, b)]
    low, high = rank_p_bounds(Quartiles(*cut, p=0.5), (22, 25))
    p = scipy.stats.mannwhitneyu(a, b, method="asymptotic").pvalue
    # Ties of the bounding values change the variance a little.
    assert low * 0.9 <= p <= min(1.0, high * 1.2)


def test_quartiles_apart_leave_a_probability_below_one():
    apart = Quartiles((50.0, 60.0, 70.0), (3.0, 5.0, 10.0), 0.5)
    low, high = rank_p_bounds(apart, (22, 25))
    # A quarter of either group may lie anywhere: 17/22 · 19/25 of the pairs are certain.
    assert low < 1e-6
    assert 0.2 < high < 0.4
    assert rank_p_bounds(DURATION, (22, 25))[1] > 0.5


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_points_of_a_lattice_rounded_to_millimetres_fit_it(seed, offset):
    points = np.round(offset + 3.0 * np.random.default_rng(seed).integers(-20, 20, (6, 3)))
    assert lattice_misfit(points, 3.0) <= 0.5 + 1e-9


def test_one_point_off_the_lattice_is_seen():
    points = np.array([[0, 0, 0], [3, 3, 3], [6, 1, 0]])
    assert lattice_misfit(points, 3.0) == pytest.approx(0.5)
    assert lattice_misfit(np.vstack([points, [9, 2, 0]]), 3.0) == pytest.approx(1.0)


def test_largest_smoothness_is_where_the_cluster_just_passes():
    limit = largest_smoothness(46, 70_831)

    def least(fwhm):
        return FslClusterTest(70_831, (4 * np.log(2)) ** 1.5 / fwhm**3).least_extent

    assert least(limit) <= 46 < least(limit + 0.02)
    assert limit == pytest.approx(2.6, abs=0.05)


@given(st.integers(1, 300), st.integers(1, 30), st.integers(0, 5))
def test_overlap_is_the_hypergeometric_tail(first, second, shared):
    shared = min(shared, first, second)
    expected = scipy.stats.hypergeom.sf(shared - 1, 10_027, first, second)
    assert overlap_p(first, second, shared) == pytest.approx(expected, rel=1e-9)


def test_table_of_peaks_is_the_printed_one():
    assert len(PEAKS) == 14
    assert sum(p.voxels for p in PEAKS if p.map == "GMV") == 6953
    assert sum(p.voxels for p in PEAKS if p.map == "ReHo") == 328
    assert sum(p.t for p in PEAKS) == pytest.approx(-46.332)


def test_command_prints_and_writes(tmp_path, capsys):
    assert main(["reproduce", "liu2024", "--output-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "21 reproduced; 8 reproduced under a convention; 9 contradicted" in printed
    assert str(tmp_path / "liu2024.html") in printed
    page = (tmp_path / "liu2024.html").read_text(encoding="utf-8")
    assert "10.1016/j.neuroimage.2024.120908" in page
    assert "Overlap with blood" in page
    table = read_table(tmp_path / "liu2024.tsv")
    assert [row["verdict"] for row in table.records()].count(CONTRADICTED) == 9
    assert len(json.loads((tmp_path / "liu2024.json").read_text("utf-8"))) == 43


def test_forms_of_the_answer(items, capsys):
    assert liu2024.as_text(items).count("verdict  ") == 43
    assert "corrected     " not in liu2024.as_text(items, published_only=True)
    assert main(["reproduce", "liu2024", "--json"]) == 0
    assert capsys.readouterr().out == files.as_json(items)
