"""``participants.tsv``: what is known of every person besides the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from falx.core.errors import InputError
from falx.core.tables import Table, is_missing

__all__ = ["EXCLUDE", "Participants", "excluded_as", "participants_of"]

EXCLUDE = ("exclude", "excluded", "exclusion")
"""Headers of the column that says who is left out of the group: yes, no, or the reason."""

INCLUDED = ("", "no", "n", "none", "false", "0", "0.0", "include", "included")
EXCLUDED = ("yes", "y", "true", "1", "1.0", "exclude", "excluded")
"""Entries of that column; any other text is the reason. Programs write 0.0 and 1.0 for numbers
where another cell of the column is empty."""


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

    def header(self, *names: str) -> str | None:
        """Return the first of some headers that the table has, case ignored, as it is written.

        Examples
        --------
        >>> Participants({}, ("participant_id", "Sex")).header("gender", "sex")
        'Sex'
        """
        known = {name.casefold(): name for name in self.columns}
        return next((known[n.casefold()] for n in names if n.casefold() in known), None)

    def cell(self, subject: str, *names: str) -> str | None:
        """Return a subject's entry under the first of some headers that has one."""
        row = {name.casefold(): text for name, text in self.rows.get(subject, {}).items()}
        return next((row[n.casefold()] for n in names if n.casefold() in row), None)

    def excluded(self, subject: str) -> str:
        """Why somebody is left out of the group by the table; empty if he is not."""
        return excluded_as(self.cell(subject, *EXCLUDE) or "")


def excluded_as(entry: str) -> str:
    """Return the sentence of an entry of the column of exclusions; empty if nobody is excluded.

    Examples
    --------
    >>> excluded_as("no"), excluded_as("Yes"), excluded_as("moved")
    ('', 'excluded in participants.tsv', 'excluded in participants.tsv: moved')
    >>> excluded_as("0.0"), excluded_as("none"), excluded_as("1.0")
    ('', '', 'excluded in participants.tsv')
    """
    entry = entry.strip()
    if entry.casefold() in INCLUDED:
        return ""
    told = "" if entry.casefold() in EXCLUDED else f": {entry}"
    return f"excluded in participants.tsv{told}"


def participants_of(table: Table) -> Participants:
    """Read the rows of ``participants.tsv`` by subject.

    Raises
    ------
    InputError
        If the table has no ``participant_id``, a row without one, or a subject twice.
    """
    header = table.need(
        "participant_id",
        do="name the first column participant_id and separate columns by tabulators",
    )
    rows: dict[str, dict[str, str]] = {}
    for line, record in zip(table.lines, table.records(), strict=True):
        label = record.pop(header).removeprefix("sub-")
        if is_missing(label):
            raise InputError(f"line {line} names nobody", where=table.where, do="complete it")
        if label in rows:
            raise InputError(
                f"subject {label} stands there twice",
                where=table.where,
                found=f"again in line {line}",
                do="keep one row for each subject",
            )
        rows[label] = {name: cell for name, cell in record.items() if not is_missing(cell)}
    return Participants(rows, table.header)
