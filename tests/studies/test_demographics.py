"""The tests of the paper's Table 1."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy

from calling import call
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.participants import participants_of
from falx.core.records import record_of
from falx.core.tables import parse_table
from falx.studies.resistance.demographics import (
    PersonMeasures,
    compare_numbers,
    compare_words,
    demographics_of,
)
from falx.studies.resistance.quality_files import demographics_stage


def test_sex_of_liu_2024():
    groups = ["DRE"] * 22 + ["DSE"] * 25 + ["HC"] * 27
    sex = ["M"] * 10 + ["F"] * 12 + ["M"] * 8 + ["F"] * 17 + ["M"] * 15 + ["F"] * 12
    row = compare_words("sex", groups, sex)
    assert row.test == "chi2"
    assert row.p == pytest.approx(0.23172, abs=1e-4)  # printed 0.217; recomputed from counts
    assert row.cells == ("12/10", "17/8", "12/15")


def test_age_from_values_with_the_published_summaries():
    def sample(n, mean, sd):
        x = np.linspace(-1, 1, n)
        return list(mean + sd * (x - x.mean()) / x.std(ddof=1))

    ages = [sample(22, 29.32, 9.44), sample(25, 28.08, 12.97), sample(27, 30.48, 11.34)]
    row = compare_numbers("age", ages, normal=True)
    assert row.p == pytest.approx(0.75146, abs=1e-4)
    assert row.cells[0] == "29.32 ± 9.44"


def test_few_people_are_tested_exactly():
    assert compare_words("sex", ["a"] * 4 + ["b"] * 4, list("FFFMMMMF")).test == "Fisher"


def test_a_group_without_the_word_keeps_its_place():
    row = compare_words("type", ["a"] * 3, ["x", "y", "y"], names=("b", "a"))
    assert row.cells == ("–", "1/2")
    assert row.test == "none: one group"
    assert row.p is None


def test_table_without_the_groups_is_refused(tmp_path):
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tgroup\tage\nsub-01\tX\t3\n")
    write_json(tmp_path / "m.json", {})
    names = {"group_column": "group", "resistant": "DRE", "sensitive": "", "controls": "HC"}
    names["others"] = ()
    given = {
        "participants": table,
        "metrics": {"01": tmp_path / "m.json"},
        "moved": None,
        "reho": None,
    }
    with pytest.raises(InputError, match="nobody belongs to a group"):
        call(demographics_stage, **given, demographics=tmp_path / "d.json", **names)
    lines = ["sub-01\tDRE\t3", "sub-02\tHC\t4", "sub-03\tDRE\t5", "sub-04\tHC\t6"]
    table.write_text("\n".join(["participant_id\tgroup\tage", *lines]) + "\n")
    for k in range(1, 5):
        measured = {"tiv_ml": 1400.0 + k, "mean_fd_mm": 0.1 * k, "residual_fwhm_mm": [k, k, 8 * k]}
        write_json(tmp_path / f"{k}.json", measured)
    files = {f"{k:02d}": tmp_path / f"{k}.json" for k in range(1, 5)}
    given = {"participants": table, "metrics": files, "moved": files, "reho": files}
    call(demographics_stage, **given, demographics=tmp_path / "d.json", **names)
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["groups"] == ["DRE", "HC"]
    cells = {row["variable"]: row["cells"] for row in found["rows"]}
    assert cells["people"] == ["2", "2"]
    assert cells["intracranial volume, mL"] == ["1402.00 ± 1.41", "1403.00 ± 1.41"]
    assert cells["mean FD, mm"] == ["0.2 (0.15, 0.25)", "0.3 (0.25, 0.35)"]
    smoothness = next(row for row in found["rows"] if row["variable"].startswith("smoothness"))
    assert smoothness["cells"] == ["4 (3, 5)", "6 (5, 7)"]
    assert smoothness["test"] == "Mann-Whitney"


def test_runs_that_are_left_out_do_not_count(tmp_path):
    lines = ["participant_id\tgroup", *[f"sub-{k}\t{'AB'[k % 2]}" for k in range(6)]]
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    for k in range(6):
        measured = {"mean_fd_mm": 9.0 if k == 5 else 0.1, "excluded": k == 5}
        write_json(tmp_path / f"{k}.json", {**measured, "residual_fwhm_mm": [6.0 + k] * 3})
        write_json(tmp_path / f"{k}_grey.json", {"tiv_ml": 1400.0})
    runs = {str(k): tmp_path / f"{k}.json" for k in range(6)}
    call(
        demographics_stage, participants=tmp_path / "participants.tsv", moved=runs, reho=runs,
        metrics={str(k): tmp_path / f"{k}_grey.json" for k in range(6)},
        demographics=tmp_path / "d.json", group_column="group", resistant="A", sensitive="B",
        controls="", others=(),
    )  # fmt: skip
    found = json.loads((tmp_path / "d.json").read_text())["rows"]
    assert found[-2]["cells"] == ["0.1 (0.1, 0.1)", "0.1 (0.1, 0.1)"]
    assert found[-1]["cells"] == ["8 (7, 9)", "8 (7.5, 8.5)"]


def rows_of(*lines, columns="sex"):
    """Rows by variable of people of groups A and B, from lines of a table."""
    text = "\n".join([f"participant_id\tgroup\t{columns}", *lines]) + "\n"
    people = participants_of(parse_table(text, where="participants.tsv"))
    found = demographics_of(
        people, "group", ("A", "B"), {s: PersonMeasures() for s in people.rows}, {}, {}
    )
    return {row.variable: row for row in found.rows}


def sexes(*words):
    """Lines for people who belong to A and B in turn."""
    return [f"sub-{k:02d}\t{'AB'[k % 2]}\t{word}" for k, word in enumerate(words)]


def test_sex_in_numbers_is_counted_as_sex_in_words():
    coded = [1, 1, 2, 1, 2, 2] * 8
    numbers = rows_of(*sexes(*coded))["sex (1/2)"]
    words = rows_of(*sexes(*("FM"[code - 1] for code in coded)))["sex (F/M)"]
    assert (numbers.cells, numbers.test, numbers.p) == (words.cells, "chi2", words.p)
    assert sum(int(n) for cell in numbers.cells for n in cell.split("/")) == 48
    assert "Gender (0/1)" in rows_of(*sexes(*[0, 1, 1] * 8), columns="Gender")


def test_numbers_that_are_no_sex_stay_numbers():
    row = rows_of(*sexes(*[1, 2, 2] * 8), columns="seizures")["seizures"]
    assert row.test == "Mann-Whitney"


@pytest.mark.parametrize("nothing", ["NA", "n/a", "NaN", "", " na "])
def test_nothing_is_no_sex(nothing):
    found = rows_of(*sexes(*["M", "F", "F", "M"] * 6, nothing, "F"))
    assert "sex (F/M)" in found
    total = sum(int(n) for cell in found["sex (F/M)"].cells for n in cell.split("/"))
    assert total == 25
    assert found["people"].cells == ("13", "13")


def test_a_blank_behind_a_group_loses_nobody():
    found = rows_of("sub-01\tA \tM", "sub-02\t A\tF", "sub-03\tB\tF", "sub-04\tC\tM")
    assert found["people"].cells == ("2", "1")


def test_numbers_of_two_and_of_three_groups_are_those_of_scipy():
    a, b, c = [1.0, 4.0, 2.0, 8.0], [5.0, 7.0, 9.0], [2.0, 3.0, 6.0, 10.0, 11.0]
    two = compare_numbers("duration", [a, b], normal=False)
    assert (two.variable, two.test) == ("duration", "Mann-Whitney")
    assert two.p == pytest.approx(scipy.stats.mannwhitneyu(a, b, method="exact").pvalue)
    assert two.cells == ("3 (1.75, 5)", "7 (6, 8)")
    three = compare_numbers("duration", [a, b, c], normal=False)
    assert (three.variable, three.test) == ("duration", "Kruskal-Wallis")
    assert three.p == pytest.approx(scipy.stats.kruskal(a, b, c).pvalue)
    normal = compare_numbers("age", [a, b, c], normal=True)
    assert (normal.variable, normal.test) == ("age", "analysis of variance")
    assert normal.p == pytest.approx(scipy.stats.f_oneway(a, b, c).pvalue)
    assert normal.cells[1] == "7.00 ± 2.00"


@pytest.mark.parametrize("normal", [True, False])
def test_a_group_of_one_has_no_spread_and_takes_no_part(normal):
    row = compare_numbers("age", [[1.0], [2.0, 3.0, 5.0], [4.0, 9.0, 6.0]], normal=normal)
    without = compare_numbers("age", [[2.0, 3.0, 5.0], [4.0, 9.0, 6.0]], normal=normal)
    assert row.cells == ("–", *without.cells)
    assert (row.test, row.p) == (without.test, without.p)
    assert "–" not in compare_numbers("age", [[1.0, 2.0], [3.0, 4.0]], normal=normal).cells


@pytest.mark.parametrize("values", [[[1.0, 2.0], [3.0]], [[2.0, 2.0], [2.0, 2.0]], [[], []]])
def test_numbers_without_two_groups_or_without_difference_have_no_p(values):
    row = compare_numbers("age", values, normal=True)
    assert (row.variable, row.test, row.p) == ("age", "none: one group", None)


def test_counts_choose_their_test_by_the_least_expected():
    # Ten and ten of twenty expect five of each: the Pearson test may be used.
    words = ["x"] * 6 + ["y"] * 4 + ["x"] * 4 + ["y"] * 6
    groups = ["a"] * 10 + ["b"] * 10
    row = compare_words("side", groups, words)
    assert (row.variable, row.test, row.cells) == ("side (x/y)", "chi2", ("6/4", "4/6"))
    table = [[6, 4], [4, 6]]
    assert row.p == pytest.approx(scipy.stats.chi2_contingency(table, correction=False).pvalue)
    fewer = compare_words("side", groups[1:], words[1:])
    assert fewer.test == "Fisher"
    assert fewer.p == pytest.approx(scipy.stats.fisher_exact([[5, 4], [4, 6]]).pvalue)


def test_one_kind_of_word_is_no_comparison():
    row = compare_words("side", ["a", "b"], ["x", "x"])
    assert (row.variable, row.cells) == ("side (x)", ("1", "1"))
    assert (row.test, row.p) == ("none: one kind", None)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        compare_words("side", ["a", "b"], ["x"])


def test_groups_stand_in_the_order_that_was_asked_for():
    row = compare_words("side", ["a"] * 3 + ["b"] * 2, list("xxyyy"), names=("b", "a", "c"))
    assert row.cells == ("0/2", "2/1", "–")
    assert compare_words("side", ["b", "a", "b"], list("xyx")).cells == ("2/0", "0/1")


def test_columns_of_names_or_remarks_are_no_factor():
    five = [*("vwxyz" * 4)]
    assert "site (v/w/x/y/z)" in rows_of(*sexes(*five), columns="site")
    assert not [v for v in rows_of(*sexes(*five, "six"), columns="site") if v.startswith("site")]
    assert not [v for v in rows_of(*sexes(*["v"] * 8), columns="site") if v.startswith("site")]


def test_the_group_itself_and_the_label_are_not_compared():
    found = rows_of(*sexes(*["M", "F"] * 6), columns="sex")
    assert [name.partition(" (")[0] for name in found] == ["people", "sex"]


def test_who_is_excluded_in_the_table_is_not_described():
    lines = [f"sub-{k}\t{'AB'[k % 2]}\t{'moved' if k == 3 else 'no'}" for k in range(8)]
    text = "\n".join(["participant_id\tgroup\texclude", *lines]) + "\n"
    people = participants_of(parse_table(text, where="p.tsv"))
    metrics = {
        str(k): record_of(PersonMeasures, {"tiv_ml": 1000.0 + k}, where="m") for k in range(8)
    }
    found = demographics_of(people, "group", ("A", "B"), metrics, {}, {})
    assert (found.rows[0].variable, found.rows[0].cells) == ("people", ("4", "3"))
    assert len(found.rows) == 2


def measured_rows(metrics, moved, reho):
    lines = ["participant_id\tgroup", *(f"sub-{s}\t{'AB'[int(s) % 2]}" for s in metrics)]
    people = participants_of(parse_table("\n".join(lines) + "\n", where="p.tsv"))
    records = [
        {s: record_of(PersonMeasures, content, where=s) for s, content in measured.items()}
        for measured in (metrics, moved, reho)
    ]
    found = demographics_of(people, "group", ("A", "B"), *records)
    return {row.variable: row for row in found.rows}


def test_what_was_measured_is_compared_in_those_who_have_it():
    metrics = {str(k): {"tiv_ml": 1000.0 + 100 * k} for k in range(8)}
    moved = {str(k): {"mean_fd_mm": 0.1 * (k + 1)} for k in range(8)} | {"99": {"mean_fd_mm": 9.0}}
    reho = {str(k): {"residual_fwhm_mm": [2.0, 4.0, 8.0 * (k + 1)]} for k in range(6)}
    reho["6"] = {}
    found = measured_rows(metrics, moved, reho)
    volume, shift, width = list(found.values())[1:]
    assert volume.test == "analysis of variance"
    assert volume.cells == ("1300.00 ± 258.20", "1400.00 ± 258.20")
    assert (shift.test, width.test) == ("Mann-Whitney", "Mann-Whitney")
    assert shift.cells == ("0.4 (0.25, 0.55)", "0.5 (0.35, 0.65)")
    # Geometric means of the axes: the cube root of 64 (k + 1).
    wide = [4 * (k + 1) ** (1 / 3) for k in range(6)]
    q1, median, q3 = np.quantile(wide[::2], [0.25, 0.5, 0.75])
    assert width.cells[0] == f"{median:.4g} ({q1:.4g}, {q3:.4g})"
    assert width.p == pytest.approx(
        scipy.stats.mannwhitneyu(wide[::2], wide[1::2], method="exact").pvalue
    )


def test_what_nobody_has_gets_no_row():
    metrics = {str(k): {"tiv_ml": None} for k in range(4)}
    assert list(measured_rows(metrics, {}, {})) == ["people"]


def test_groups_that_nobody_belongs_to_have_no_column():
    people = participants_of(
        parse_table("participant_id\tgroup\nsub-1\tA\nsub-2\tC\nsub-3\tA\n", where="p.tsv")
    )
    measured = dict.fromkeys("132", PersonMeasures())
    found = demographics_of(people, "group", ("B", "A"), measured, {}, {})
    assert found.groups == ("A",)
    assert found.rows[0].cells == ("2",)
    with pytest.raises(InputError) as caught:
        demographics_of(people, "group", ("X", "Y"), {"1": PersonMeasures()}, {}, {})
    assert str(caught.value) == (
        "participants.tsv: nobody belongs to a group (found: column group, groups X, Y); name "
        "column and groups as the table does."
    )
