r"""A result table as text: TSV for programs, LaTeX for a paper, HTML for a browser.

One table, three forms. The TSV holds every column and nothing else, so that any program reads
it; LaTeX and HTML print the columns that have a heading below the lines that say how the
numbers came about.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError
from falx.core.files import write_text
from falx.core.tables import table_text

__all__ = ["TextTable", "escape_latex", "write_forms"]

NOTHING = "–"

LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "×": r"\ensuremath{\times}", "±": r"\ensuremath{\pm}", "²": r"\textsuperscript{2}",
    "–": "--", "\n": " ",
}  # fmt: skip
"""Characters that LaTeX takes for commands, or that no font of its own holds."""

STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
    "caption,th{text-align:left}td,th{padding:.2em .6em;border-bottom:1px solid #ccc}"
    "td{white-space:nowrap}td.number{text-align:right;font-variant-numeric:tabular-nums}"
)


@dataclass(frozen=True)
class TextTable:
    """Rows, what they are called, and what must be known to read them.

    Parameters
    ----------
    title
        What was tested.
    columns
        Name of every column.
    rows
        One sequence a row, as long as `columns`.
    headings
        Column to what is printed above it, in the order of print; a column without a heading
        is not printed.
    facts
        Name and value of each line above the table.
    nothing
        Printed in place of rows where there are none.

    Raises
    ------
    InputError
        If a row does not fit the columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    headings: Mapping[str, str]
    facts: Sequence[tuple[str, str]] = ()
    nothing: str = "Nothing is listed."

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise InputError(
                    "a row does not fit the columns of its table",
                    where=f"{self.title}, row {number}",
                    found=f"{len(row)} cells, {len(self.columns)} columns",
                    do="give every row a cell for every column",
                )

    @property
    def tsv(self) -> str:
        """Every column, names first."""
        return table_text(self.columns, self.rows)

    @property
    def latex(self) -> str:
        r"""Return a ``table`` for ``\input``; it needs no package."""
        head = " & ".join(map(escape_latex, self._heads)) + r" \\"
        lines = [" & ".join(escape_latex(_printed(c)) for c in row) + r" \\" for row in self._body]
        if not lines:
            lines = [
                rf"\multicolumn{{{len(self._heads)}}}{{l}}{{{escape_latex(self.nothing)}}} \\"
            ]
        facts = "; ".join(f"{name}: {value}" for name, value in self.facts)
        kinds = "".join("r" if number else "l" for number in self._numeric)
        caption = f"{self.title}. {facts}." if facts else f"{self.title}."
        return "\n".join(
            [
                r"\begin{table}",
                r"\scriptsize\setlength{\tabcolsep}{3pt}",
                rf"\caption{{{escape_latex(caption)}}}",
                rf"\begin{{tabular}}{{{kinds}}}",
                r"\hline", head, r"\hline", *lines, r"\hline",
                r"\end{tabular}", r"\end{table}", "",
            ]
        )  # fmt: skip

    @property
    def html(self) -> str:
        """A page of its own that requests nothing."""
        name = html.escape(self.title)
        facts = "".join(
            f"<li>{html.escape(key)}: {html.escape(value)}</li>\n" for key, value in self.facts
        )
        head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in self._heads)
        body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>\n" for row in self._body)
        if not body:
            span = len(self._heads)
            body = f'<tr><td colspan="{span}">{html.escape(self.nothing)}</td></tr>\n'
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{name}</title>'
            f"<style>{STYLE}</style></head>\n<body>\n<h1>{name}</h1>\n<ul>\n{facts}</ul>\n"
            f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
            "</body>\n</html>\n"
        )

    @property
    def _places(self) -> list[int]:
        """Columns that are printed, in the order of the headings."""
        columns = list(self.columns)
        return [columns.index(name) for name in self.headings if name in columns]

    @property
    def _heads(self) -> list[str]:
        return [self.headings[self.columns[k]] for k in self._places]

    @property
    def _body(self) -> list[list[object]]:
        return [[row[k] for k in self._places] for row in self.rows]

    @property
    def _numeric(self) -> list[bool]:
        """Whether a printed column holds numbers alone."""
        if not self.rows:
            return [False] * len(self._heads)
        return [all(map(_is_number, cells)) for cells in zip(*self._body, strict=True)]


def write_forms(table: TextTable, *, tsv: Path, latex: Path, html: Path) -> None:
    """Write a table in its three forms."""
    for path, text in ((tsv, table.tsv), (latex, table.latex), (html, table.html)):
        write_text(path, text)


def escape_latex(text: str) -> str:
    r"""Return text that LaTeX prints as it stands.

    Examples
    --------
    >>> escape_latex("Frontal_Sup & 5 %")
    'Frontal\\_Sup \\& 5 \\%'
    """
    return "".join(LATEX.get(character, character) for character in text)


def _printed(value: object) -> str:
    if value is None:
        return NOTHING
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _html_cell(value: object) -> str:
    kind = ' class="number"' if _is_number(value) else ""
    return f"<td{kind}>{html.escape(_printed(value))}</td>"
