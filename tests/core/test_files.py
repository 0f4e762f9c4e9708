"""Small files: read in a sentence, written whole or not at all."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import FalxNotice, InputError
from falx.core.files import (
    atomic_path,
    read_json,
    read_participants,
    read_table,
    read_text,
    write_json,
    write_table,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def finite(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return None
    if isinstance(value, list):
        return [finite(item) for item in value]
    return {k: finite(v) for k, v in value.items()} if isinstance(value, dict) else value


@given(content=st.dictionaries(st.text(), JSON, max_size=5))
def test_json_comes_back_and_infinity_as_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    write_json(path, content)
    assert read_json(path) == finite(content)


def test_json_takes_what_numpy_and_pathlib_give(tmp_path: Path) -> None:
    content = {
        "array": np.array([[1.0, np.nan], [np.inf, 2.5]]),
        "number": np.float32(0.5),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "pair": (1, Path("a") / "b"),
        3: {"deep": float("nan")},
    }
    write_json(tmp_path / "x.json", content)  # type: ignore[arg-type]
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "array": [[1.0, None], [None, 2.5]],
        "number": 0.5,
        "count": 3,
        "flag": True,
        "pair": [1, "a/b"],
        "3": {"deep": None},
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), min_size=1))
def test_text_comes_back_from_every_encoding_with_a_mark(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, text: str
) -> None:
    path = tmp_path_factory.mktemp("text") / "x.txt"
    path.write_bytes(text.encode(encoding))
    if not text.encode(encoding).startswith((b"PK\x03\x04",)):
        assert read_text(path) == text


def test_latin_1_is_read_with_a_notice_and_packed_text_unpacked(tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_bytes("a\tb\nMüller\t1\n".encode("latin-1"))
    with pytest.warns(FalxNotice, match="is read as Latin-1 .* byte 0xfc at place 5"):
        table = read_table(tmp_path / "l.tsv")
    assert table.texts("a") == ("Müller",)
    (tmp_path / "x.tsv.gz").write_bytes(gzip.compress(b"a\n1\n"))
    assert read_table(tmp_path / "x.tsv.gz").rows == (("1",),)


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("none.tsv", None, r"none\.tsv: the file cannot be read \(found: No such file"),
        (
            "cut.tsv.gz",
            gzip.compress(b"a" * 1000, mtime=0)[:20],
            "cannot be read .*copy the file again",
        ),
        ("flip.tsv.gz", gzip.compress(b"abc", mtime=0)[:-6] + b"\0" * 6, "cannot be read"),
        ("book.tsv", b"PK\x03\x04....", "a spreadsheet or an archive"),
        ("zero.tsv", b"a\0b\0", "zero bytes"),
    ],
    ids=["none", "cut", "flip", "book", "zero"],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, name: str, data: bytes | None, match: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=match):
        read_text(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "[" * 200_000, "9" * 5000])
def test_what_is_no_json_or_too_deep_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: the file is not JSON that can be read"):
        read_json(tmp_path / "x.json")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.txt"
    write_text(path, "old")
    with pytest.raises(TypeError), atomic_path(path) as temporary:
        temporary.write_text(4)  # type: ignore[arg-type]
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_tables_are_written_between_tabulators_or_commas(tmp_path: Path) -> None:
    rows = [("a b", 0.1 + 0.2), (None, float("nan")), (np.float32(1.5), 7)]
    write_table(tmp_path / "x.tsv", ("name", "value"), rows)
    assert (tmp_path / "x.tsv").read_text() == "name\tvalue\na b\t0.3\nn/a\tn/a\n1.5\t7\n"
    write_table(tmp_path / "x.csv", ("name", "value"), [("a,b", 1)])
    assert (tmp_path / "x.csv").read_text() == 'name,value\n"a,b",1\n'
    assert read_table(tmp_path / "x.csv").rows == (("a,b", "1"),)


def test_participants_are_stripped_and_keyed_by_label(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("participant_id\tSide\nsub-01\tL \n02\tn/a\n")
    people = read_participants(tmp_path / "p.tsv")
    assert people.rows == {"01": {"Side": "L"}, "02": {}}
