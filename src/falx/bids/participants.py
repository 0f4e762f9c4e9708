"""``participants.tsv``: what is known of every subject besides its images."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from falx.core.errors import InputError
from falx.core.study import Column

__all__ = ["Participants", "read_participants"]

MISSING = ("", "n/a", "na", "nan")
"""Entries that stand for no value; BIDS asks for ``n/a``."""


@dataclass(frozen=True)
class Participants:
    """The rows of ``participants.tsv``.

    Parameters
    ----------
    rows
        Subject label (without ``sub-``) to its cells by header; missing values are left out.
    columns
        Headers in the order of the file.
    """

    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    def value(self, subject: str, column: Column) -> str | float | None:
        """Return a subject's value of a column, ``None`` where there is none."""
        cells = {name.casefold(): text for name, text in self.rows.get(subject, {}).items()}
        for name in column.names:
            if name.casefold() in cells:
                return column.read(cells[name.casefold()], where=f"sub-{subject}")
        return None


def read_participants(dataset: Path) -> Participants:
    """Read ``participants.tsv`` of a dataset; a dataset without one has no rows.

    Raises
    ------
    InputError
        If the file has no ``participant_id``, a row of the wrong length, or a subject twice.
    """
    path = dataset / "participants.tsv"
    if not path.is_file():
        return Participants()
    with path.open(encoding="utf-8-sig", newline="") as stream:
        table = list(csv.reader(stream, delimiter="\t"))
    header = table[0] if table else []
    if "participant_id" not in header:
        raise InputError(
            "the table has no column participant_id",
            where=path.name,
            found=", ".join(header) or "an empty file",
            do="name the first column participant_id and separate columns by tabulators",
        )
    rows: dict[str, dict[str, str]] = {}
    for number, cells in enumerate(table[1:], start=2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            raise InputError(
                f"line {number} has {len(cells)} cells under {len(header)} headers",
                where=path.name,
                do="write n/a where a value is missing",
            )
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        label = row.pop("participant_id").removeprefix("sub-")
        if label in rows:
            raise InputError(
                f"subject {label} stands there twice",
                where=path.name,
                found=f"again in line {number}",
                do="keep one row for each subject",
            )
        rows[label] = {k: v for k, v in row.items() if v.casefold() not in MISSING}
    return Participants(rows, tuple(header))
