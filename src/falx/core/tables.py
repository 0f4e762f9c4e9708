"""Tables of text: one reader, one writer, one rule for what is missing.

Every table that Falx reads goes through :func:`parse_table` and every table that it writes for
programs through :func:`table_text`. Files are opened in :mod:`falx.core.files`.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from falx.core.errors import InputError, check_option, notify

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "MISSING",
    "Matrix",
    "Table",
    "decode",
    "is_missing",
    "number",
    "parse_matrix",
    "parse_table",
    "rows_as",
    "table_text",
]

T = TypeVar("T")

MISSING = frozenset({"", "n/a", "na", "nan", "null", "#n/a"})
"""Entries that stand for no value, case ignored; BIDS asks for ``n/a``, R writes ``NA``."""

INVISIBLE = "\ufeff\u200b\u200e\u200f"
"""Characters that nobody sees and that ``str.strip`` leaves."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; those of UTF-32 begin like those of UTF-16 and so come first."""


A_NUMBER = "write a number, or n/a where it is not known"


def is_missing(text: str | None) -> bool:
    """Whether a cell holds nothing.

    Examples
    --------
    >>> is_missing(" N/A "), is_missing(None), is_missing("0")
    (True, True, False)
    """
    return text is None or _clean(text).casefold() in MISSING


def number(text: str | None, *, where: str, what: str = "value") -> float:
    """Return the number of a cell, NaN where it holds nothing.

    Raises
    ------
    InputError
        If the cell holds a word, or a number that is infinite.

    Examples
    --------
    >>> number("1.5", where="row 1"), number("n/a", where="row 2")
    (1.5, nan)
    """
    if text is None or is_missing(text):
        return math.nan
    try:
        value = float(_clean(text))
    except ValueError:
        raise InputError(
            f"the {what} is not a number", where=where, found=repr(text), do=A_NUMBER
        ) from None
    if math.isinf(value):
        raise InputError(f"the {what} is infinite", where=where, found=repr(text), do=A_NUMBER)
    return value


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; every cell is stripped of the space around it.

    Parameters
    ----------
    header
        Names of the columns, in order.
    rows
        Cells, as many in each row as in `header`.
    lines
        Line of the file in which each row stands, for sentences.
    where
        Name of the file.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    where: str

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, *names: str) -> str | None:
        r"""Return the first of some headers that the table has, case ignored, as it is written.

        Examples
        --------
        >>> parse_table("Region\tT", where="t.tsv").find("name", "region")
        'Region'
        """
        known = {header.casefold(): header for header in reversed(self.header)}
        return next((known[n.casefold()] for n in names if n.casefold() in known), None)

    def need(self, *names: str, do: str = "") -> str:
        """Return :meth:`find`, or raise with what the table has instead."""
        found = self.find(*names)
        if found is None:
            raise InputError(
                f"the table has no column {' or '.join(names)}",
                where=self.where,
                found=", ".join(self.header) or "an empty file",
                do=do or f"name a column {names[0]}",
            )
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column; its header is given as it is written."""
        place = self.header.index(name)
        return tuple(row[place] for row in self.rows)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column as numbers, shape (n_rows,), NaN where a cell holds nothing.

        Raises
        ------
        InputError
            If a cell holds a word; the sentence names its line.
        """
        import numpy as np

        cells = zip(self.lines, self.texts(name), strict=True)
        return np.array([number(t, where=f"{self.where}, line {i}", what=name) for i, t in cells])

    def records(self) -> list[dict[str, str]]:
        """Return each row as cells by header."""
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


def rows_as(kind: type[T], table: Table, **headers: str) -> list[T]:
    r"""Return the rows of a table as records whose fields name the columns.

    Parameters
    ----------
    kind
        A dataclass. Its fields hold text, numbers or one of some words, or such or None; a float
        is NaN and an optional field None where the cell holds nothing.
    headers
        The column of a field that is called otherwise.

    Raises
    ------
    InputError
        If a column is missing or a cell does not fit; the sentence names its line.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Peak:
    ...     region: str
    ...     voxels: int
    ...     t: float
    >>> rows_as(Peak, parse_table("name\tvoxels\tt\nA\t7\tn/a\n", where="t.tsv"), region="name")
    [Peak(region='A', voxels=7, t=nan)]
    """
    hints = get_type_hints(kind)
    wanted = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    columns = [table.texts(table.need(headers.get(name, name))) for name in wanted]
    kinds = [hints[name] for name in wanted]
    return [
        kind(
            **{
                name: _cell_as(hint, text, f"{table.where}, line {line}", name)
                for hint, text, name in zip(kinds, cells, wanted, strict=True)
            }
        )
        for line, *cells in zip(table.lines, *columns, strict=True)
    ]


def _cell_as(hint: Any, text: str, where: str, what: str) -> object:
    """Return a cell as text, a number or one of some words."""
    if type(None) in get_args(hint):
        kept = next(kind for kind in get_args(hint) if kind is not type(None))
        return None if is_missing(text) else _cell_as(kept, text, where, what)
    if get_origin(hint) is Literal:
        return check_option(what, text, get_args(hint), where=where)
    if hint is str:
        return text
    value = number(text, where=where, what=what)
    if hint is float:
        return value
    if not value.is_integer():
        raise InputError(
            f"the {what} is not a whole number", where=where, found=repr(text),
            do="write a whole number, or n/a where it is not known",
        )  # fmt: skip
    return int(value)


def decode(data: bytes, *, where: str) -> str:
    """Turn the bytes of a text file into text.

    UTF-8 with or without a byte order mark and UTF-16 and UTF-32 with one are read. Anything
    else that is text is read as Latin-1, with a notice.

    Raises
    ------
    InputError
        If the bytes are a spreadsheet, an archive or no text at all.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding, where)
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(
            "the table is a spreadsheet or an archive, not a text",
            where=where,
            do="save it as tab-separated or comma-separated text",
        )
    if b"\x00" in data:
        raise InputError(
            "the table is not a text that can be read",
            where=where,
            found="zero bytes, as of UTF-16 without a byte order mark",
            do="save it as UTF-8",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        notify(
            "the table is not UTF-8 and is read as Latin-1",
            where=where,
            found=f"byte {data[error.start]:#04x} at place {error.start}",
            do="save it as UTF-8 if names look wrong",
        )
        return data.decode("latin-1")


def _decoded(data: bytes, encoding: str, where: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"the table begins as {encoding.removesuffix('-sig').upper()} but does not go on so",
            where=where,
            found=str(error),
            do="save it again as UTF-8",
        ) from None


def parse_table(
    text: str,
    *,
    where: str,
    delimiter: str | None = None,
    unique: bool = True,
    pad: bool = False,
) -> Table:
    """Read a table whose first line holds the names of its columns.

    Parameters
    ----------
    text
        Content of the file.
    where
        Its name, for sentences.
    delimiter
        Between cells; otherwise the tabulator, comma or semicolon that the first line has, in
        this order.
    unique
        Refuse two headers that differ in nothing but case, as BIDS demands of its tables.
    pad
        Complete short rows with empty cells instead of refusing them.

    Raises
    ------
    InputError
        If there is no header, a row does not fit it, two headers are alike, or a quotation mark
        is not closed.
    """
    between = delimiter or _delimiter_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    kept: list[tuple[int, tuple[str, ...]]] = []
    try:
        for cells in reader:
            cleaned = tuple(_clean(cell) for cell in cells)
            if any(cleaned):
                kept.append((reader.line_num, cleaned))
    except csv.Error as error:
        raise InputError(
            "the table cannot be taken apart into cells",
            where=f"{where}, line {reader.line_num}",
            found=str(error),
            do="look for a quotation mark that is not closed",
        ) from None
    if not kept:
        raise InputError("the table is empty", where=where, do="fill it, or give another one")
    header = _without_tail(kept[0][1])
    if unique:
        _check_unique(header, where)
    rows = [_fitted(cells, header, i, where, pad=pad) for i, cells in kept[1:]]
    return Table(header, tuple(rows), tuple(i for i, _ in kept[1:]), where)


def _clean(cell: str) -> str:
    return cell.strip().strip(INVISIBLE).strip()


def _delimiter_of(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return next((mark for mark in "\t,;" if mark in first), "\t")


def _without_tail(header: tuple[str, ...]) -> tuple[str, ...]:
    """Headers without the nameless ones behind the last name, which spreadsheets leave."""
    named = [i for i, name in enumerate(header) if name]
    return header[: named[-1] + 1]


def _check_unique(header: Sequence[str], where: str) -> None:
    counts = Counter(name.casefold() for name in header)
    twice = [name for name in header if counts[name.casefold()] > 1]
    if twice:
        raise InputError(
            "two columns have the same name, or names that differ in case alone",
            where=where,
            found=", ".join(twice),
            do="rename or remove one of them",
        )


def _fitted(
    cells: tuple[str, ...], header: Sequence[str], line: int, where: str, *, pad: bool
) -> tuple[str, ...]:
    """Cells of a row, as many as there are headers."""
    if len(cells) > len(header):
        cells = cells[: len(header)] if not any(cells[len(header) :]) else cells
    if pad and len(cells) < len(header):
        cells += ("",) * (len(header) - len(cells))
    if len(cells) != len(header):
        raise InputError(
            f"line {line} has {len(cells)} cells under {len(header)} headers",
            where=where,
            do="write n/a where a value is missing",
        )
    return cells


def table_text(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, delimiter: str = "\t"
) -> str:
    r"""Return a table as text for programs; nothing and NaN become ``n/a``.

    Numbers keep nine significant digits, more than any image holds.

    Examples
    --------
    >>> table_text(["a", "b"], [[1.5, None]])
    'a\tb\n1.5\tn/a\n'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, Real) and not isinstance(value, Integral):  # those of numpy as well
        return "n/a" if math.isnan(value) else f"{float(value):.9g}"
    return str(value)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Numbers under names of rows and columns.

    Attributes
    ----------
    values
        Shape (n_rows, n_columns); NaN where a cell holds nothing.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]


def parse_matrix(text: str, *, where: str, what: str = "values", headed: bool = True) -> Matrix:
    r"""Read a table of numbers whose first column, and first line, are names.

    Rows are turned into numbers at once, so that ten thousand columns are no burden.

    Parameters
    ----------
    what
        What the numbers are, for sentences.
    headed
        Whether there is a line of names; columns are numbered from 1 otherwise. A line of names
        may lack the one of the first column, as R writes it.

    Raises
    ------
    InputError
        If there is no row, rows differ in length, a row or a column has no name, or a cell holds
        a word.

    Examples
    --------
    >>> parse_matrix("region,G1,G2\nA,1,\nB,3,4\n", where="t.csv").values
    array([[ 1., nan],
           [ 3.,  4.]])
    """
    import numpy as np

    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter_of(text))
    lines = ((reader.line_num, row) for row in reader if any(row))
    header = next(lines, (0, []))[1] if headed else None
    names: list[str] = []
    values: list[list[float]] = []
    width = 0 if header is None else len(header)
    for line, cells in lines:
        if not names:
            width = len(cells) if header is None or len(cells) == width + 1 else width
        if len(cells) != width:
            raise InputError(
                f"line {line} has {len(cells)} cells, others have {width}",
                where=where,
                do="give every row the columns of the first",
            )
        names.append(_clean(cells[0]))
        values.append(_row_of_numbers(cells[1:], f"{where}, line {line}", what))
    if header == []:
        raise InputError("the table is empty", where=where, do="fill it, or give another one")
    if header is None:
        columns = tuple(map(str, range(1, width)))
    else:
        columns = tuple(map(_clean, header[len(header) + 1 - width :]))
    if not all(names) or not all(columns):
        raise InputError(
            "a row or a column has no name",
            where=where,
            found=", ".join(f"row {i}" for i, name in enumerate(names, 1) if not name)
            or f"{columns.count('')} of {len(columns)} columns",
            do="name it, or remove it",
        )
    return Matrix(tuple(names), columns, np.array(values).reshape(len(names), len(columns)))


def _row_of_numbers(cells: Sequence[str], where: str, what: str) -> list[float]:
    try:
        found = list(map(float, cells))
        if math.inf not in map(abs, found):
            return found
    except ValueError:  # an empty cell, or a word
        pass
    try:
        return [number(cell, where=where) for cell in cells]
    except InputError as error:
        raise InputError(
            f"{what} must be numbers",
            where=where,
            found=error.found,
            do="leave out units and text, or write n/a where there is no number",
        ) from None
