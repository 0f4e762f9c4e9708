"""The reproduction of Mo et al. 2025: verdicts are computed and agree with the reading."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.cli.main import main
from falx.core.files import read_table
from falx.core.records import record_of
from falx.studies.outcome.fields import page_table, rows_of
from falx.studies.reproduce import answer, files, mo2025
from falx.studies.reproduce.comparison import (
    CONTRADICTED,
    CONVENTION,
    EXTENSION,
    REPRODUCED,
    ROUNDING,
    UNAVAILABLE,
    Item,
    Value,
    compare,
)

pytestmark = pytest.mark.processor

EXPECTED = {
    REPRODUCED: {4, 6, 7, 11, 15, 16, 21, 22, 24, 26, 42},
    ROUNDING: {1, 2, 3, 5},
    CONVENTION: {9, 10, 12, 13, 14, 17, 18, 19, 20, 23, 27, 28, 30, 32, 33, 34},
    CONTRADICTED: {8, 25, 29, 31, 35, 36, 43},
    UNAVAILABLE: {37},
    EXTENSION: {38, 39, 40, 41},
}


@pytest.fixture(scope="module")
def items():
    return mo2025.reproduce_mo2025(n_resamples=100, n_iterations=200)


def test_every_item_has_the_verdict_of_the_reading(items):
    assert [item.number for item in items] == list(range(1, 44))
    found = {v: {i.number for i in items if i.verdict == v} for v in EXPECTED}
    assert found == EXPECTED


def test_recomputed_values_are_those_of_the_note(items):
    by_number = {item.number: item for item in items}
    for number, said in {
        11: "t = -2.588, P = 0.0151",
        15: "1.4267 (1.0356–1.9654), P = 0.0297",
        19: "likelihood ratio 0.0450 (rms knots)",
        23: "Wald P = 0.0473 (Hazen's quantiles), 0.0461 (type 7)",
        38: "r = 0.53, P = 0.003",
        39: "P = 0.011 alone, 0.094 adjusted",
        40: "0.735 against 0.693, DeLong P = 0.80",
        41: "P = 0.014 alone, 0.042 adjusted",
        42: "6 / 12, 4 / 4; 15 of 15 rows have 9 and 21",
        43: "maximum at 60.0%",
        30: "χ² = 10.1587, P = 0.00144",
        31: "χ² = 1.4286, P = 0.232",
    }.items():
        assert said in by_number[number].as_published
    for number, said in {
        12: "F(1, 27) = 4.843, P = 0.0365",
        15: "Firth 1.361 (1.051–1.925), P = 0.0173",
        21: "Welch t = -2.089, P = 0.0627",
        26: "0.481–0.990; against the asymmetry of PET P = 0.69",
        29: "balanced accuracy 0.754",
    }.items():
        assert said in by_number[number].corrected


def test_forms_of_the_answer(items):
    text = mo2025.as_text(items)
    assert text.count("verdict") == 43
    assert "corrected     " not in mo2025.as_text(items, published_only=True)
    assert json.loads(files.as_json(items))[28]["verdict"] == CONTRADICTED


def test_verdicts_follow_the_numbers():
    assert compare([Value(0.47, 0.481, allowance=0.02)], convention=True) == CONVENTION
    assert compare([Value(0.47, 0.481, allowance=0.02)]) == ROUNDING
    assert compare([Value(0.47, 0.40)]) == CONTRADICTED


@given(st.floats(-50, 50), st.integers(0, 4))
def test_what_prints_alike_is_reproduced(value, decimals):
    printed = round(value, decimals)
    same = Value(printed, value, decimals)
    assert same.equal_in_print
    assert compare([same]) == REPRODUCED
    assert compare([same, same], convention=True) == CONVENTION
    other = Value(printed + 2 * 10.0**-decimals, value, decimals)
    assert not other.equal_in_print
    assert compare([same, other]) == CONTRADICTED
    allowed = Value(other.printed, value, decimals, allowance=3 * 10.0**-decimals)
    assert allowed.within_allowance
    assert compare([same, allowed]) == ROUNDING
    assert compare([allowed], convention=True) == CONVENTION


def test_json_and_table_hold_the_same_items(items, tmp_path):
    content = json.loads(files.as_json(items))
    assert [record_of(Item, row, where="mo2025.json") for row in content] == list(items)
    header, rows = rows_of(answer.FIELDS, items)
    assert [dict(zip(header, row, strict=True)) for row in rows] == content
    page = page_table(answer.FIELDS, items)
    assert list(page.columns)[:2] == ["#", "statistic"]
    assert page.rows[0][:2] == ["1", items[0].name]


def test_sums_of_verdicts_are_said_in_one_line(items):
    assert answer.summary(items) == (
        "11 reproduced; 4 differs by rounding of the input; 16 reproduced under a convention; "
        "7 contradicted; 1 not available; 4 not in the paper"
    )


def test_command_prints_and_writes(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reproduce", "mo2025", "--resamples", "60", "--output-dir", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "11 reproduced" in printed
    assert str(out / "mo2025.html") in printed
    page = (out / "mo2025.html").read_text(encoding="utf-8")
    assert "Balanced accuracy" in page
    assert "10.5281/zenodo.17042331" in page
    table = read_table(out / "mo2025.tsv")
    assert table.header == tuple(json.loads((out / "mo2025.json").read_text("utf-8"))[0])
    assert len(table) == 43
    assert table.records()[28]["verdict"] == CONTRADICTED
