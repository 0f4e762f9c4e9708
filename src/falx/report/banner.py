"""A sentence at the head of a printed page that was made before, and may be taken off again.

A PDF grows at its end: what is written there replaces objects before it, and whoever cuts it off
has the former bytes again (ISO 32000-1, 7.5.6, incremental updates). Matplotlib keeps fonts and
content in objects of their own, without compressed tables: this is all there is to do, and needs
no library.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Mapping

__all__ = ["BANNERS", "bare_pdf", "html_with_banner", "pdf_with_banner"]

MARK = b"\n% what follows was added by Falx: this page is outdated\n"
_PAGE = re.compile(rb"(\d+) 0 obj\s*(<< /Type /Page /Parent.*?>>)\s*endobj", re.DOTALL)
_CONTENT = re.compile(rb"/Contents (\d+ 0 R)")
_MEDIA = re.compile(rb"/MediaBox \[ \S+ \S+ (\S+) (\S+) \]")
OPEN, CLOSE = '<ul class="notice fail" data-falx="outdated"><li>', "</li></ul>"
_BAND = re.compile(re.escape(OPEN) + ".*?" + re.escape(CLOSE), re.DOTALL)
_HEADS = (re.compile(r"<main[^>]*>"), re.compile(r"<body[^>]*>"))
"""Where the sentence goes: behind the first that the page has."""
LINE_PT, SIZE_PT, CHARACTERS = 11, 8, 125


def bare_pdf(pdf: bytes) -> bytes:
    """Return a page without the sentence that :func:`pdf_with_banner` wrote on it."""
    return pdf.partition(MARK)[0]


def html_with_banner(page: bytes, sentence: str) -> bytes:
    """Return a page with a sentence before anything else; an empty one takes it off again."""
    bare = _BAND.sub("", page.decode())
    places = [found.end() for head in _HEADS if (found := head.search(bare))]
    if not sentence or not places:
        return bare.encode()
    return f"{bare[: places[0]]}{OPEN}{html.escape(sentence)}{CLOSE}{bare[places[0] :]}".encode()


def pdf_with_banner(pdf: bytes, sentence: str) -> bytes:
    """Return a page of Matplotlib with a sentence on a red band at its head.

    Parameters
    ----------
    pdf
        One page; what is no such page comes back as it is.
    sentence
        An empty one takes the band off again.
    """
    if not sentence:
        return bare_pdf(pdf)
    pdf = bare_pdf(pdf)
    page = _PAGE.search(pdf)
    font = page and _referenced(pdf, b"/Font")
    old = page and _CONTENT.search(page[2])
    size = page and _MEDIA.search(page[2])
    start = re.search(rb"startxref\s+(\d+)\s+%%EOF\s*$", pdf)
    trailer = re.search(rb"trailer\s*<< /Size (\d+) (/Root .*?)>>", pdf, re.DOTALL)
    if not (page and font and old and size and start and trailer):
        return pdf
    free = int(trailer[1])
    stream = _band(sentence, float(size[1]), float(size[2]))
    fonts = font[1].rstrip()[:-2] + b"/FalxBanner << /Type /Font /Subtype /Type1 /BaseFont "
    fonts += b"/Helvetica-Bold /Encoding /WinAnsiEncoding >> >>"
    objects = {
        int(page[1]): page[2].replace(old[0], b"/Contents [ %b %d 0 R ]" % (old[1], free)),
        font[0]: fonts,
        free: b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    }
    out, table = pdf + MARK, b"xref\n"
    for number, content in sorted(objects.items()):
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    end = b"trailer\n<< /Size %d %b/Prev %b >>\nstartxref\n%d\n%%%%EOF\n"
    return out + table + end % (free + 1, trailer[2], start[1], len(out))


def _referenced(pdf: bytes, key: bytes) -> tuple[int, bytes] | None:
    """Return number and dictionary of the object that a key refers to."""
    name = re.search(key + rb" (\d+) 0 R", pdf)
    found = name and re.search(rb"\n%b 0 obj\s*(<<.*?>>)\s*endobj" % name[1], pdf, re.DOTALL)
    return (int(name[1]), found[1]) if name and found else None


def _band(sentence: str, width: float, height: float) -> bytes:
    """Return what draws the sentence; the state of the page before is unknown, so it is kept."""
    lines = textwrap.wrap(sentence, CHARACTERS)
    below = height - LINE_PT * (len(lines) + 1)
    drawn = [f"q 0.7 0.1 0.1 rg 0 {below:g} {width:g} {height - below:g} re f Q q BT 1 1 1 rg"]
    drawn += [f"/FalxBanner {SIZE_PT} Tf {LINE_PT} TL 20 {height - LINE_PT * 1.3:g} Td"]
    for line in lines:
        drawn.append("(" + re.sub(r"([()\\])", r"\\\1", line) + ") Tj T*")
    return "\n".join([*drawn, "ET Q"]).encode("cp1252", "replace")


BANNERS: Mapping[str, Callable[[bytes, str], bytes]] = {
    ".html": html_with_banner,
    ".pdf": pdf_with_banner,
}
"""What puts a sentence on a page of that ending, or takes it off."""
