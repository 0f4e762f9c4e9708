"""The tests of the paper's Table 1."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calling import call
from falx.core.errors import InputError
from falx.core.files import write_json
from falx.core.participants import participants_of
from falx.core.tables import parse_table
from falx.studies.resistance.demographics import (
    PersonMeasures,
    compare_numbers,
    compare_words,
    demographics_of,
)
from falx.studies.resistance.files import demographics_stage


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
        controls="",
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
