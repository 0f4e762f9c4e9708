"""participants.tsv."""

from __future__ import annotations

from pathlib import Path

import pytest

from falx.bids.participants import read_participants
from falx.core.errors import InputError
from falx.core.study import Column

SIDE = Column("side of the focus", ("side", "hemisphere"), {"L": "left", "R": "right"})
ONSET = Column("age at onset", ("onset_years",), kind="number")


def write(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n", encoding=encoding)
    return folder


def test_values_under_any_accepted_header(tmp_path: Path) -> None:
    write(
        tmp_path,
        "participant_id\tHemisphere\tonset_years",
        "sub-01\tl\t12.5",
        "02\tright\tn/a",
        "",
        encoding="utf-8-sig",
    )
    table = read_participants(tmp_path)
    assert table.columns == ("participant_id", "Hemisphere", "onset_years")
    assert [SIDE.of(table, label) for label in ("01", "02", "03")] == ["left", "right", None]
    assert [ONSET.of(table, label) for label in ("01", "02")] == [12.5, None]


def test_a_dataset_without_the_table_knows_nothing(tmp_path: Path) -> None:
    assert SIDE.of(read_participants(tmp_path), "01") is None


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["id\tside", "01\tL"], "no column participant_id"),
        (["participant_id,side"], "no column participant_id"),
        (["participant_id\tside", "01"], "line 2 has 1 cells under 2 headers"),
        (["participant_id", "sub-01", "01"], "subject 01 stands there twice .*line 3"),
        ([""], "the table is empty"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, lines: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_participants(write(tmp_path, *lines))


def test_entries_that_mean_nothing_are_named_with_the_accepted(tmp_path: Path) -> None:
    table = read_participants(
        write(tmp_path, "participant_id\tside\tonset_years", "01\tboth\ttwelve")
    )
    with pytest.raises(InputError, match=r"sub-01: the side .* \(found: 'both'\); write one of l"):
        SIDE.of(table, "01")
    with pytest.raises(InputError, match="age at onset is not a number"):
        ONSET.of(table, "01")
