"""A sentence on a printed page, and the page without it."""

from __future__ import annotations

import io
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from falx.report.banner import BANNERS, CLOSE, OPEN, bare_pdf, html_with_banner, pdf_with_banner

SENTENCE = "sub-02: this (plan) is outdated, for anatomy was done again since \u2013 look."


@pytest.fixture(scope="module")
def page() -> bytes:
    figure = Figure(figsize=(8.27, 11.69))
    figure.text(0.1, 0.5, "Laser plan")
    stream = io.BytesIO()
    figure.savefig(stream, format="pdf", metadata={"CreationDate": None})
    return stream.getvalue()


def objects(pdf: bytes) -> dict[int, bytes]:
    """Follow the tables from the last to the first, as a reader does."""
    found: dict[int, bytes] = {}
    place = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    while True:
        table, _, trailer = pdf[place:].partition(b"trailer")
        for first, count, rows in re.findall(rb"(\d+) (\d+)\n((?:\d{10} \d{5} [nf] \n)+)", table):
            entries = [rows[20 * k : 20 * k + 20].split() for k in range(int(count))]
            for number, (offset, _, used) in enumerate(entries, int(first)):
                if used == b"n" and number not in found:
                    assert pdf[int(offset) :].startswith(b"%d 0 obj" % number)
                    found[number] = pdf[int(offset) :].partition(b"endobj")[0]
        before = re.match(rb"\s*<<[^>]*/Prev (\d+)", trailer)
        if before is None:
            return found
        place = int(before[1])


def test_the_sentence_is_drawn_after_the_page_and_in_a_font_of_its_own(page: bytes) -> None:
    marked = pdf_with_banner(page, SENTENCE)
    assert marked.startswith(page)
    read, before = objects(marked), objects(page)
    (number,) = read.keys() - before.keys()
    changed = [read[n] for n in before if read[n] != before[n]]
    assert len(changed) == 2
    assert any(b"0 R %d 0 R ]" % number in one for one in changed)
    assert any(b"/FalxBanner << /Type /Font" in one for one in changed)
    words = b" ".join(re.findall(rb"\((.*?)\) Tj", read[number])).decode("cp1252")
    assert words.replace("\\", "") == SENTENCE


def test_taken_off_again_the_page_has_its_bytes(page: bytes) -> None:
    once = pdf_with_banner(page, SENTENCE)
    assert pdf_with_banner(once, SENTENCE) == once
    assert bare_pdf(once) == bare_pdf(page) == page


@settings(max_examples=30)
@given(text=st.text(min_size=1, max_size=300))
def test_any_words_leave_a_page_that_can_be_read(page: bytes, text: str) -> None:
    marked = pdf_with_banner(page, text)
    (number,) = objects(marked).keys() - objects(page).keys()
    said, _, stream = objects(marked)[number].partition(b"stream\n")
    length = int(re.search(rb"/Length (\d+)", said)[1])  # type: ignore[index]
    assert marked[marked.index(stream) :][length:].startswith(b"\nendstream")


@pytest.mark.parametrize("other", [b"", b"%PDF-1.4\nof another program", b"\x00" * 40])
def test_what_is_no_such_page_stays_as_it_is(other: bytes) -> None:
    assert pdf_with_banner(other, SENTENCE) == other


def test_an_independent_reader_sees_both(page: bytes, tmp_path) -> None:
    reader = shutil.which("pdftotext")
    if reader is None:
        return  # the tables above are followed by hand as well
    (tmp_path / "x.pdf").write_bytes(pdf_with_banner(page, SENTENCE))
    said = subprocess.run(
        [reader, tmp_path / "x.pdf", "-"], capture_output=True, text=True, check=True
    )
    assert said.stderr == ""
    assert "this (plan) is outdated" in said.stdout
    assert "Laser plan" in said.stdout


@pytest.mark.parametrize(
    ("page", "where"),
    [
        ('<html><body class="x"><main id="m"><h1>a</h1>', '<main id="m">'),
        ('<html><body class="x"><h1>a</h1>', '<body class="x">'),
    ],
)
def test_a_page_says_it_first_once_and_takes_it_back(page: str, where: str) -> None:
    once = html_with_banner(page.encode(), "old & <outdated>")
    assert f"{where}{OPEN}old &amp; &lt;outdated&gt;{CLOSE}<h1>" in once.decode()
    assert html_with_banner(once, "old & <outdated>") == once
    assert html_with_banner(html_with_banner(once, "another"), "") == page.encode()


def test_what_has_no_place_for_a_sentence_stays_as_it_is() -> None:
    assert html_with_banner(b"<p>a</p>", "old") == b"<p>a</p>"
    assert BANNERS[".pdf"](b"no page", "") == b"no page"
