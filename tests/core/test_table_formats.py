"""One table in three forms says the same in each."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.table_formats import TextTable, escape_latex, write_forms

NASTY = "a_b & <c> 5 % $x$ #1 {y} \\z ~ ^ |d|"
TABLE = TextTable(
    "DRE - HC", ("cluster", "region", "t", "hidden"),
    [(1, NASTY, -4.25, "x"), (2, "Précuneus", None, "y")],
    {"cluster": "cluster", "region": "region", "t": "peak t"},
    (("people", "DRE 22, HC 27"), ("voxel threshold", "P < 0.001, |t| > 3.5")),
)  # fmt: skip


class Cells(HTMLParser):
    """Text of every cell, and the tags that are open."""

    def __init__(self):
        super().__init__()
        self.cells, self.open = [], []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def cells_of(text):
    parser = Cells()
    parser.feed(text)
    parser.close()
    assert not parser.open
    return parser.cells


def test_tsv_holds_every_column_and_nothing_else():
    lines = TABLE.tsv.splitlines()
    assert lines[0] == "cluster\tregion\tt\thidden"
    assert lines[2] == "2\tPrécuneus\tn/a\ty"
    assert len(lines) == 3


def test_html_prints_names_as_they_are_below_the_facts():
    assert cells_of(TABLE.html) == [
        "cluster", "region", "peak t", "1", NASTY, "-4.25", "2", "Précuneus", "–",
    ]  # fmt: skip
    before = html.unescape(TABLE.html.partition("<table>")[0])
    assert "voxel threshold: P < 0.001, |t| > 3.5" in before
    assert "http" not in TABLE.html


def test_latex_has_as_many_cells_as_columns_in_every_row():
    body = TABLE.latex.partition(r"\begin{tabular}{rlr}")[2].partition(r"\end{tabular}")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2, 2, 2]
    assert r"a\_b \& \textless{}c\textgreater{} 5 \% \$x\$ \#1 \{y\}" in rows[1]
    assert r"P \textless{} 0.001, \textbar{}t\textbar{} \textgreater{} 3.5" in TABLE.latex


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\t\n\r\0")))
def test_any_name_survives_both_escapes(name):
    table = TextTable("x", ("region",), [(name,)], {"region": "region"})
    assert cells_of(table.html)[1:] == [name]
    text = escape_latex(name)
    # What is left after commands and escaped signs holds no sign that LaTeX acts on.
    rest = re.sub(r"\\ensuremath\{\\[a-z]+\}|\\[a-z]+\{2?\}|\\[{}$&#%_]", "", text)
    assert not set(rest) & set("\\{}$&#%_~^<>|")


def test_a_table_of_nothing_says_so(tmp_path):
    empty = TextTable("x", ("a", "b"), [], {"a": "a", "b": "b"}, nothing="No cluster passes.")
    paths = {kind: tmp_path / f"table.{kind}" for kind in ("tsv", "latex", "html")}
    write_forms(empty, **paths)
    assert paths["tsv"].read_text() == "a\tb\n"
    assert r"\multicolumn{2}{l}{No cluster passes.}" in paths["latex"].read_text()
    assert cells_of(paths["html"].read_text()) == ["a", "b", "No cluster passes."]


def test_a_row_that_does_not_fit_is_named():
    with pytest.raises(InputError, match="x, row 1.*found: 1 cells, 2 columns"):
        TextTable("x", ("a", "b"), [(1,)], {})
