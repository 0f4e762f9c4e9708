"""Pages of genes in a browser 1300 px wide and on paper: nothing clipped, no word under 6 pt."""

from __future__ import annotations

import base64
import re

import pytest

import browser
from falx.studies.genes.demo import run
from falx.studies.resistance.made_maps import draw_figures

pytest.importorskip("pydeseq2", reason="the extra rnaseq is not installed")
pytestmark = [
    pytest.mark.slow,  # a minute: three groups of maps and their figures
    pytest.mark.skipif(browser.BROWSER is None, reason="there is no Chromium on this machine"),
]

PAPER = {"width": 688, "height": 1032}
"""A4 without the margins of the page, in px of 1/96 inch."""

LOOK = """() => {
  const wide = document.documentElement.clientWidth;
  const clipped = [], small = [];
  for (const e of document.querySelectorAll('table, td, th, img, pre, p')) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > wide + 1) clipped.push(e.tagName + ' ' + box.right);
  }
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const pt = parseFloat(getComputedStyle(e).fontSize) * 0.75;
    if (own && e.getBoundingClientRect().width && pt < 6) small.push(e.tagName + ' ' + pt);
  }
  const images = [...document.images].map(i => [i.src, i.getBoundingClientRect().width]);
  return {clipped, small, images};
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    run(out / "map", n_maps=500)
    draw_figures(out / "maps", seed=7)
    return [
        out / "map" / "report.html", out / "maps" / "grey_together.html",
        out / "maps" / "reho_together.html", out / "maps" / "blood.html",
    ]  # fmt: skip


def smallest_pt(source: str, shown_px: float) -> float:
    """Least size of a word in a picture as it is shown, in points of paper."""
    if not source.startswith("data:image/svg"):
        return 7.0 * shown_px / 720.0 if shown_px < 720 else 7.0  # PNG: drawn with at least 7 pt
    drawn = base64.b64decode(source.partition(",")[2]).decode()
    width_pt = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', drawn)[1])
    # Words are drawn as shapes of 100 units an em, scaled to their size in points.
    sizes = [100 * float(size) for size in re.findall(r"scale\(([\d.]+) -[\d.]+\)", drawn)]
    assert sizes
    return min(sizes) * shown_px * 0.75 / width_pt


@pytest.mark.parametrize("medium", ["screen", "print"])
def test_nothing_is_clipped_and_no_word_is_under_six_points(pages, chromium, medium):
    started = chromium(browser.NO_WEBGL)
    size = {"width": 1300, "height": 900} if medium == "screen" else PAPER
    for path in pages:
        page = started.new_context(viewport=size).new_page()
        page.emulate_media(media=medium)
        page.goto(path.as_uri())
        found = page.evaluate(LOOK)
        assert found["clipped"] == [], path.name
        assert found["small"] == [], path.name
        assert found["images"]
        for source, shown_px in found["images"]:
            assert smallest_pt(source, shown_px) >= 6, (path.name, shown_px)


def test_every_axis_of_a_drawn_picture_has_a_name(pages):
    named = ("mean t", "score", "-log10 P", "SD of null maps", "explained variance", "null maps",
             "SD from the gene")  # fmt: skip
    found = " ".join(
        base64.b64decode(part).decode()
        for path in pages
        for part in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", path.read_text())
    )
    drawn = [path.read_text() for path in (pages[1].parent / "figures").glob("*.svg")]
    everything = found + " ".join(drawn)
    assert [name for name in named if name not in everything] == []


def test_figures_one_to_five_are_left_as_svg_and_png(pages):
    figures = pages[1].parent / "figures"
    for name in ("1_grey", "2_reho", "3_grey", "3_reho", "4_grey", "4_reho", "5_grey", "5_reho"):
        for kind in ("svg", "png"):
            assert (figures / f"figure-{name}.{kind}").stat().st_size > 10_000
