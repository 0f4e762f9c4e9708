"""Label tables: number and name of every region, in the formats atlases come with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falx.core.errors import InputError, side_in
from falx.core.grid import Side
from falx.core.tables import Table

__all__ = [
    "LabelRow",
    "checked_rows",
    "dpabi_rows",
    "json_rows",
    "lut_rows",
    "name_words",
    "side_in_name",
    "table_rows",
]

BACKGROUND_NAMES = ("unknown", "null", "empty", "background")


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
    return side_in(name)


def name_words(name: str) -> set[str]:
    """Words of a region's name in small letters.

    Examples
    --------
    >>> sorted(name_words("Left_Thalamus-Proper"))
    ['left', 'proper', 'thalamus']
    """
    return set(re.split(r"[^a-z0-9]+", name.lower()))


def checked_rows(rows: Sequence[LabelRow], *, where: str) -> tuple[LabelRow, ...]:
    """Return the rows without the background.

    Raises
    ------
    InputError
        If none is left, or a label number occurs twice.
    """
    named = [row for row in rows if row.label != 0 and row.name.lower() not in BACKGROUND_NAMES]
    if not named:
        raise InputError(
            "the label table names no region",
            where=where,
            do="give a table with a number and a name in every row",
        )
    numbers = [row.label for row in named]
    doubled = sorted({n for n in numbers if numbers.count(n) > 1})
    if doubled:
        raise InputError(
            "label numbers occur twice",
            where=where,
            found=doubled[:5],
            do="give every region a number of its own",
        )
    return tuple(named)


def dpabi_rows(reference: Iterable[tuple[object, Any, Iterable[float]]]) -> list[LabelRow]:
    """Rows of the cell array ``Reference``: name, number, and where it is there a centre."""
    return [
        LabelRow(
            int(number),
            str(name),
            side_in_name(str(name)),
            centre_mm=tuple(float(x) for x in centre) or None,
        )
        for name, number, centre in reference
    ]


def json_rows(content: Mapping[str, Any]) -> list[LabelRow]:
    """Rows of JSON: number to name, or number to a record with ``label``, under ``rois`` or not.

    Examples
    --------
    >>> json_rows({"rois": {"3": {"label": "L_A8"}}})
    [LabelRow(label=3, name='L_A8', side='left', structure=None, centre_mm=None)]
    """
    entries = content.get("rois", content)
    names = {
        int(key): str(entry["label"] if isinstance(entry, Mapping) else entry)
        for key, entry in entries.items()
    }
    return [LabelRow(number, name, side_in_name(name)) for number, name in names.items()]


def lut_rows(text: str) -> list[LabelRow]:
    """Rows of a colour table as FreeSurfer writes it: number and name first in every line."""
    pairs = [line.split()[:2] for line in text.splitlines() if line.strip()]
    return [LabelRow(int(number), name, side_in_name(name)) for number, name in pairs]


def table_rows(table: Table) -> list[LabelRow]:
    """Rows of a table with columns of number and name, or of number and name without a header.

    Node files of the Brainnetome toolbox have names alone and number their regions by row.
    """
    number, named = table.find("id", "index"), table.find("label", "name", "region")
    if number is None and table.find("label") is not None:
        names = table.texts(table.need("label"))
        return [_row(str(i), name) for i, name in enumerate(names, 1)]
    if number is None:
        return [_row(row[0], row[1]) for row in (table.header, *table.rows)]
    if named is None:
        raise InputError(
            "the label table has no column of names",
            where=table.where,
            found=[name.lower() for name in table.header],
            do="name one column name, label or region",
        )
    side, structure = table.find("hemisphere", "hemi", "side"), table.find("structure")
    return [
        _row(
            row[number],
            row[named],
            row[side] if side is not None else "",
            row[structure] if structure is not None else "",
        )
        for row in table.records()
    ]


def _row(number: str, name: str, side: str = "", structure: str = "") -> LabelRow:
    try:
        label = int(number)
    except ValueError as error:
        raise InputError(
            "a label number is not an integer", found=repr(number), do="give columns id,label"
        ) from error
    stated = side_in(side) if side else side_in_name(name)
    return LabelRow(label, name, stated, structure or None)
