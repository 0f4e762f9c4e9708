"""Label tables: number and name of every region, in the formats atlases come with."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falx.core.errors import InputError
from falx.core.grid import Side

__all__ = ["LabelRow", "name_words", "read_label_table", "side_in_name"]

BACKGROUND_NAMES = ("unknown", "null", "empty", "background")
_SIDE_WORDS: dict[str, Side] = {
    "left": "left",
    "lh": "left",
    "l": "left",
    "right": "right",
    "rh": "right",
    "r": "right",
}


@dataclass(frozen=True)
class LabelRow:
    """One row of a label table; side, class and centre (mm) where the table gives them."""

    label: int
    name: str
    side: Side | None = None
    structure: str | None = None
    centre_mm: tuple[float, ...] | None = None


def side_in_name(name: str) -> Side | None:
    """Side that a region name claims, or None.

    Examples
    --------
    >>> side_in_name("Left_Hippocampus"), side_in_name("A8m_R"), side_in_name("vermis")
    ('left', 'right', None)
    """
    found = {_SIDE_WORDS[word] for word in name_words(name) if word in _SIDE_WORDS}
    return found.pop() if len(found) == 1 else None


def name_words(name: str) -> set[str]:
    """Words of a region's name in small letters.

    Examples
    --------
    >>> sorted(name_words("Left_Thalamus-Proper"))
    ['left', 'proper', 'thalamus']
    """
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def read_label_table(path: Path | str) -> tuple[LabelRow, ...]:
    """Read a label table: CSV, TSV, FreeSurfer-style LUT, JSON, or ``Reference`` of DPABI.

    Raises
    ------
    InputError
        If it is none of these, no labels are found, or a label number occurs twice.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("the label table does not exist", where=path, do="check the path")
    try:
        rows = _rows(path)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            "this is not a label table",
            where=path.name,
            found=f"{type(error).__name__}: {error}",
            do="give columns index and name (TSV), or JSON of number to name",
        ) from error
    rows = [row for row in rows if row.label != 0 and row.name.lower() not in BACKGROUND_NAMES]
    if not rows:
        raise InputError("the label table names no region", where=path.name)
    numbers = [row.label for row in rows]
    doubled = sorted({n for n in numbers if numbers.count(n) > 1})
    if doubled:
        raise InputError("label numbers occur twice", where=path.name, found=doubled[:5])
    return tuple(rows)


def _rows(path: Path) -> list[LabelRow]:
    if path.suffix == ".mat":
        return _dpabi_rows(path)
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".json":
        return _json_rows(text)
    if path.suffix in {".txt", ".lut"}:
        return [_lut_row(line) for line in text.splitlines() if line.strip()]
    return _delimited_rows(text, "\t" if path.suffix == ".tsv" else ",", path)


def _dpabi_rows(path: Path) -> list[LabelRow]:
    """Read the cell array ``Reference``: name, number, and where it is there a centre."""
    from scipy import io
    from scipy.io.matlab import MatReadError

    try:
        content: dict[str, Any] = io.loadmat(path, squeeze_me=True)
    except MatReadError as error:
        raise ValueError(str(error)) from error
    return [
        LabelRow(
            int(number),
            str(name),
            side_in_name(str(name)),
            centre_mm=tuple(float(x) for x in centre) or None,
        )
        for name, number, centre in content["Reference"]
    ]


def _json_rows(text: str) -> list[LabelRow]:
    content = json.loads(text)
    entries = content.get("rois", content)
    rows = []
    for key, entry in entries.items():
        name = entry["label"] if isinstance(entry, Mapping) else str(entry)
        rows.append(LabelRow(int(key), str(name), side_in_name(str(name))))
    return rows


def _lut_row(line: str) -> LabelRow:
    number, name = line.split()[:2]
    return LabelRow(int(number), name, side_in_name(name))


def _delimited_rows(text: str, delimiter: str, path: Path) -> list[LabelRow]:
    table = [
        [cell.strip() for cell in row]
        for row in csv.reader(text.splitlines(), delimiter=delimiter)
    ]
    table = [row for row in table if any(row)]
    header = [cell.lower() for cell in table[0]] if table else []
    if "label" in header and "id" not in header and "index" not in header:
        # Node files of the Brainnetome toolbox number their regions by row.
        return [_row(str(i), row[header.index("label")]) for i, row in enumerate(table[1:], 1)]
    number = next((header.index(name) for name in ("id", "index") if name in header), None)
    if number is None:
        return [_row(row[0], row[1]) for row in table]
    named = next((header.index(n) for n in ("label", "name", "region") if n in header), None)
    if named is None:
        raise InputError("the label table has no column of names", where=path.name, found=header)
    side = next((header.index(n) for n in ("hemisphere", "hemi", "side") if n in header), None)
    structure = header.index("structure") if "structure" in header else None
    return [
        _row(
            row[number],
            row[named],
            row[side] if side is not None else "",
            row[structure] if structure is not None else "",
        )
        for row in table[1:]
    ]


def _row(number: str, name: str, side: str = "", structure: str = "") -> LabelRow:
    try:
        label = int(number)
    except ValueError as error:
        raise InputError(
            "a label number is not an integer", found=repr(number), do="give columns id,label"
        ) from error
    stated = _SIDE_WORDS.get(side.lower()) if side else side_in_name(name)
    return LabelRow(label, name, stated, structure or None)
