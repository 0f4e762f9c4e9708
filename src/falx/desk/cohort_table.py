"""``participants.tsv`` edited in place: checked, written whole, never over another's change."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from falx.core.errors import FalxError, InputError
from falx.core.files import read_participants, read_table, write_text
from falx.core.study import Column, Study
from falx.core.tables import Table, is_missing, parse_table, table_text
from falx.desk.listing import subjects_of
from falx.studies.outcome.coding import read_outcomes

__all__ = ["Cohort", "ConflictError", "Edit", "add_person", "changed", "read_cohort"]

FILE = "participants.tsv"
PERSON = "participant_id"
LONGEST = 200

_WRITING = threading.Lock()
"""One change at a time in this desk; others are found by the digest."""


@dataclass(frozen=True)
class Head:
    """A column of the table.

    Parameters
    ----------
    header
        As the table has it.
    key
        Of the study's column that it is; empty: one that the study does not read.
    what
        What it says, for people.
    entries
        Usual entries; empty: any text or number.
    """

    header: str
    key: str
    what: str
    entries: tuple[str, ...]
    kind: str


GROUP = Head("group", "group", "group of the resistance study", ("DRE", "DSE", "HC"), "text")
"""What that study reads besides age, sex and whatever covariates it is given."""


ENTRIES = {"side": ("left", "right"), "exclude": ("no", "yes", "motion", "image quality")}
"""Usual entries of columns that take others, too: an exclusion takes any reason."""


@dataclass(frozen=True)
class Cohort:
    """The table as the page shows it.

    Parameters
    ----------
    digest
        Of the file, which an edit names so that it changes what its author saw.
    rows
        Label to cells in the order of `heads`; empty texts: not known.
    wrong
        ``"07 age"`` to why the study will not understand the cell.
    offered
        Columns that the study would read and the table lacks.
    """

    digest: str
    heads: tuple[Head, ...]
    rows: Mapping[str, tuple[str, ...]]
    wrong: Mapping[str, str]
    offered: tuple[Head, ...]


@dataclass(frozen=True)
class Edit:
    """A change of one cell, or a new column where `label` is empty.

    Parameters
    ----------
    digest
        Of the table that the author saw.
    """

    digest: str
    header: str
    label: str = ""
    value: str = ""


class ConflictError(InputError):
    """The table is no longer the one that the author of a change saw."""


def read_cohort(bids: Path, study: Study) -> Cohort:
    """Read the table; people with images and without a row have empty cells.

    Raises
    ------
    InputError
        If the table cannot be read as one of participants.
    """
    table, digest = _table(bids)
    known = study.columns
    heads = tuple(_head(header, known) for header in table.header if header != PERSON)
    place = {header: k for k, header in enumerate(table.header)}
    rows = {
        row[place[PERSON]].removeprefix("sub-"): tuple(
            "" if is_missing(row[place[head.header]]) else row[place[head.header]]
            for head in heads
        )
        for row in table.rows
    }
    for label in subjects_of(bids):
        rows.setdefault(label, ("",) * len(heads))
    wrong = {
        f"{label} {head.header}": problem
        for label, cells in rows.items()
        for head, cell in zip(heads, cells, strict=True)
        if cell and (problem := _problem(known.get(head.key), head.key, cell, label))
    }
    have = {head.key for head in heads}
    offered = tuple(_of(c.names[0], key, c) for key, c in known.items() if key not in have)
    if table.find(GROUP.header) is None:
        offered = (*offered, GROUP)
    return Cohort(digest, heads, dict(sorted(rows.items())), wrong, offered)


def changed(bids: Path, study: Study, edit: Edit) -> Cohort:
    """Write one change and return the table as it is then.

    Raises
    ------
    ConflictError
        If the file has changed since: another window, or another program.
    InputError
        If the entry is none that the study understands.
    """
    with _WRITING:
        table, digest = _table(bids)
        if digest != edit.digest:
            raise ConflictError(
                "participants.tsv has been changed since this page read it, elsewhere",
                do="what is there now is shown; give your change again if it still holds",
            )
        known = study.columns
        if not edit.label:
            _write(bids, _with_column(table, edit.header))
            return read_cohort(bids, study)
        if edit.header not in table.header or edit.header == PERSON:
            raise InputError(
                "the table has no such column", found=ascii(edit.header[:40]),
                do="reload the page",
            )  # fmt: skip
        value = _clean(edit.value)
        key = _head(edit.header, known).key
        if value and (problem := _problem(known.get(key), key, value, edit.label)):
            raise InputError(problem.rstrip("."))
        labels = {row[table.header.index(PERSON)].removeprefix("sub-") for row in table.rows}
        if edit.label not in labels and edit.label not in subjects_of(bids):
            raise InputError(
                "there is no such patient", found=ascii(edit.label[:40]), do="reload the page"
            )
        _write(bids, _with_cell(table, edit.label, edit.header, value))
    return read_cohort(bids, study)


def add_person(bids: Path, label: str, cells: Mapping[str, str]) -> None:
    """Write the row of a new person, with what is known; columns that are missing are made."""
    with _WRITING:
        table, _ = _table(bids)
        for header in cells:
            if table.find(header) is None:
                table = _with_column(table, header)
        table = _with_row(table, label)
        for header, value in cells.items():
            table = _with_cell(table, label, str(table.find(header)), _clean(value))
        _write(bids, table)


def _table(bids: Path) -> tuple[Table, str]:
    """Return the table and its digest; a dataset without one has an empty table."""
    path = bids / FILE
    if not bids.is_dir():
        raise InputError("the folder of the dataset is gone", where=bids, do="put it back")
    if not path.is_file():
        return parse_table(PERSON + "\n", where=FILE), ""
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    read_participants(path)  # says what is wrong with it
    table = read_table(path, delimiter="\t")
    header = tuple(PERSON if h == table.find(PERSON) else h for h in table.header)
    return Table(header, table.rows, table.lines, table.where), digest


def _write(bids: Path, table: Table) -> None:
    """Write the table so that it outlives a loss of power."""
    rows = [["n/a" if is_missing(cell) else cell for cell in row] for row in table.rows]
    write_text(bids / FILE, table_text(table.header, rows), durable=True)


def _with_column(table: Table, header: str) -> Table:
    name = _clean(header)
    if not name or table.find(name) is not None:
        raise InputError(
            "a column needs a name of its own", found=ascii(name[:40]), do="choose another"
        )
    rows = tuple((*row, "") for row in table.rows)
    return Table((*table.header, name), rows, table.lines, table.where)


def _with_row(table: Table, label: str) -> Table:
    place = table.header.index(PERSON)
    if any(row[place].removeprefix("sub-") == label for row in table.rows):
        return table
    row = tuple(f"sub-{label}" if k == place else "" for k in range(len(table.header)))
    return Table(table.header, (*table.rows, row), (*table.lines, 0), table.where)


def _with_cell(table: Table, label: str, header: str, value: str) -> Table:
    table = _with_row(table, label)
    person, place = table.header.index(PERSON), table.header.index(header)
    rows = tuple(
        tuple(value if k == place else cell for k, cell in enumerate(row))
        if row[person].removeprefix("sub-") == label
        else row
        for row in table.rows
    )
    return Table(table.header, rows, table.lines, table.where)


def _clean(text: str) -> str:
    if len(text) > LONGEST or any(ord(letter) < 32 for letter in text):
        raise InputError(
            "an entry is one line of at most 200 letters", found=ascii(text[:40]),
            do="shorten it",
        )  # fmt: skip
    return text.strip()


def _head(header: str, known: Mapping[str, Column]) -> Head:
    for key, column in known.items():
        if header.casefold() in {name.casefold() for name in column.names}:
            return _of(header, key, column)
    if header.casefold() == GROUP.header:
        return replace(GROUP, header=header)
    return Head(header, "", "not read by the study", (), "text")


def _of(header: str, key: str, column: Column) -> Head:
    entries: Sequence[str] = ()
    if key in ENTRIES:
        entries = ENTRIES[key]
    elif column.values:
        entries = [entry for entry in column.values if len(entry) > 2 or entry in ("no", "f", "m")]
    return Head(header, key, column.what, tuple(entries), column.kind)


def _problem(column: Column | None, key: str, cell: str, label: str) -> str:
    """Why the study will not understand a cell; empty if it will."""
    if column is None or is_missing(cell):
        return ""
    where = f"sub-{label}"
    if key == "outcome":
        return _outcome_problem(cell, where)
    try:
        value = column.read(cell, where=where)
    except FalxError as error:
        return str(error)
    if column.kind == "number" and not (isinstance(value, int | float) and 0 <= value < math.inf):
        return f"{where}: the {column.what} is below 0 or infinite (found: {cell!r})."
    return ""


def _outcome_problem(cell: str, where: str) -> str:
    for coding in ("ilae", "seizure_free"):
        try:
            read_outcomes({"x": cell}, "outcome", coding=coding)
        except FalxError:
            continue
        return ""
    what = "the seizure outcome is neither an ILAE class (1 to 6) nor seizure-free or not"
    return f"{where}: {what} (found: {cell!r})."
