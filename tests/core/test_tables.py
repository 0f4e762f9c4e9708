"""One reader of tables: every encoding, every mark between cells, nothing lost in silence."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import FalxError, InputError, collect_notices
from falx.core.files import read_participants, read_record, read_table, write_json, write_table
from falx.core.tables import decode, is_missing, number, parse_table, rows_as, table_text

WORDS = st.text(
    st.characters(blacklist_categories=("C", "Z")),
    min_size=1,
    max_size=8,
)


@given(st.lists(st.lists(WORDS, min_size=2, max_size=2), max_size=5), st.sampled_from("\t,;"))
def test_what_is_written_is_read_again(rows: list[list[str]], delimiter: str) -> None:
    text = table_text(["a", "b"], rows, delimiter=delimiter)
    table = parse_table(text, where="t", delimiter=delimiter)
    assert table.header == ("a", "b")
    assert table.rows == tuple(map(tuple, rows))


@given(st.floats(allow_nan=True, allow_infinity=False, width=32))
def test_numbers_keep_nine_digits(value: float) -> None:
    read = parse_table(table_text(["v"], [[value]]), where="t").numbers("v")
    np.testing.assert_allclose(read, [value], rtol=1e-8)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_and_without_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "participants.tsv"
    path.write_text("participant_id\tcentre\r\nsub-01\tLiège\r\n", encoding=encoding)
    assert read_participants(path).cell("01", "Centre") == "Liège"


def test_latin_1_is_read_with_a_notice() -> None:
    with collect_notices() as notices:
        assert decode("Liège".encode("latin-1"), where="t.tsv") == "Liège"
    assert "read as Latin-1" in notices[0]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"PK\x03\x04rest", "spreadsheet or an archive"),
        ("a\tb".encode("utf-16-le"), "zero bytes, as of UTF-16"),
        (b"\xff\xfea", "begins as UTF-16"),
    ],
)
def test_bytes_that_are_no_table(data: bytes, match: str) -> None:
    with pytest.raises(InputError, match=match):
        decode(data, where="participants.tsv")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the table is empty"),
        ("a\tA\n1\t2", "differ in case alone.*a, A"),
        ("a\tb\n1\n", "line 2 has 1 cells under 2 headers"),
        ("a\tb\n1\t2\t3\n", "line 2 has 3 cells under 2 headers"),
        ('a\tb\n"1\t2\n3\t4\n', "quotation mark"),
    ],
)
def test_tables_that_are_refused(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_table(text, where="t.tsv")


def test_cells_are_stripped_and_empty_lines_passed_over() -> None:
    table = parse_table("\ufeffid\tgroup \n 01\tDRE \n\n\u00a002\t HC\u200b\n", where="t")
    assert table.records() == [{"id": "01", "group": "DRE"}, {"id": "02", "group": "HC"}]
    assert table.lines == (2, 4)


@pytest.mark.parametrize("text", ["", " ", "n/a", "N/A", "NA", "nan", "NaN", "NULL", None])
def test_one_rule_says_what_is_missing(text: str | None) -> None:
    assert is_missing(text)
    assert np.isnan(number(text, where="t"))


def test_a_word_among_numbers_names_its_line() -> None:
    with pytest.raises(InputError, match="t.tsv, line 3"):
        parse_table("age\n31\nold\n", where="t.tsv").numbers("age")


def test_short_rows_may_be_completed() -> None:
    assert parse_table("a,b\n1\n", where="t", pad=True).rows == (("1", ""),)


def test_packed_tables(tmp_path: Path) -> None:
    path = tmp_path / "genes.csv.gz"
    path.write_bytes(gzip.compress(b"gene,t\nSCN1A,2.5\n"))
    assert read_table(path).numbers("t") == [2.5]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_table(path)


def test_the_ending_decides_what_stands_between_cells(tmp_path: Path) -> None:
    for name in ("t.csv", "t.tsv"):
        write_table(tmp_path / name, ["a", "b"], [[1, None]])
    assert (tmp_path / "t.csv").read_text() == "a,b\n1,n/a\n"
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n1\tn/a\n"


@dataclass(frozen=True)
class Volume:
    name: str
    volume_mm3: float
    parts: tuple[float, ...] = ()


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "volume.json"
    write_json(path, {"name": "amygdala", "volume_mm3": float("nan"), "parts": [1.0, 2.0]})
    read = read_record(Volume, path)
    assert (read.name, read.parts) == ("amygdala", (1.0, 2.0))
    assert np.isnan(read.volume_mm3)


def test_a_record_of_another_version_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "volume.json", {"name": "amygdala", "volume": 3})
    with pytest.raises(InputError, match=r"volume.json.*volume_mm3"):
        read_record(Volume, tmp_path / "volume.json")


@dataclass(frozen=True)
class _Burn:
    label: str
    side: Literal["left", "right"]
    voxels: int
    t: float
    p: float | None


def test_rows_become_records_with_every_kind_of_cell():
    text = "name\tside\tVoxels\tt\tp\nA\tleft\t7\t1.5\t0.25\nB\tright\t8.0\tn/a\tNA\n"
    first, second = rows_as(_Burn, parse_table(text, where="t.tsv"), label="name")
    assert first == _Burn("A", "left", 7, 1.5, 0.25)
    assert (second.voxels, second.p) == (8, None) and math.isnan(second.t)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A\tup\t7\t1\t1", "unknown value for side"),
        ("A\tleft\t7.5\t1\t1", "voxels is not a whole number"),
        ("A\tleft\tn/a\t1\t1", "voxels is not a whole number"),
        ("A\tleft\t7\tmany\t1", "the t is not a number"),
    ],
)
def test_a_cell_that_does_not_fit_its_record_is_named_with_its_line(row, said):
    table = parse_table(f"label\tside\tvoxels\tt\tp\nA\tleft\t7\t1\t1\n{row}\n", where="t.tsv")
    with pytest.raises(FalxError, match=said) as caught:
        rows_as(_Burn, table)
    assert "t.tsv, line 3" in str(caught.value)


def test_a_record_without_its_column_is_refused():
    with pytest.raises(InputError, match="no column side"):
        rows_as(_Burn, parse_table("label\nA\n", where="t.tsv"))
