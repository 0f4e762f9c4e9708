"""Pages: what stands on them is escaped, printed alike, and asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from falx.images.nifti import Image
from falx.report.figures import new_figure, paletted, png, svg
from falx.report.page import Details, Figure, Notice, Section, Table, Text, format_number, render
from falx.report.slices import Layer, slices


@pytest.fixture(scope="module")
def head() -> Image:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -40.0
    i, j, k = np.mgrid[:41, :41, :41]
    ball = ((i - 20) ** 2 + (j - 20) ** 2 + (k - 20) ** 2 < 300).astype(np.float32)
    ball[i < 20] *= 0.5
    return Image(ball, affine)


def test_page_holds_everything_and_asks_for_nothing(head: Image) -> None:
    picture = slices(head, [Layer(head, kind="contour", label="ball")])
    page = render(
        "sub-01",
        [
            Section("Result", [Text("One.\n\nTwo."), Figure(picture, "A ball.")]),
            Section("Numbers", [Table(["rate"], [[0.39789278], [None]], flags=["fail"])]),
            Section("More", [Notice(["Look <here>."]), Details("Folded", [Text("inside")])]),
        ],
    )
    assert page.count("<p>") == 3
    assert "0.3979" in page and "–" in page and 'class="fail"' in page
    assert "Look &lt;here&gt;." in page
    assert "not decide a treatment" in page
    assert "default-src 'none'" in page
    references = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert references and all(r.startswith(("data:", "#")) for r in references)


def test_script_cannot_end_the_page_early() -> None:
    page = render("t", [], script="const s = '</script>';")
    assert page.count("</script>") == 1


def test_pictures_are_deterministic() -> None:
    def draw() -> tuple[bytes, bytes]:
        figure = new_figure(2, 2)
        figure.subplots().plot([0, 1], [1, 0])
        return png(figure), svg(figure)

    assert draw()[0] == draw()[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.39789278, "0.3979"), (999.96, "1000"), (1000.0, "1000"), (-12345.6, "-12346"),
        (1e-7, "1e-07"), (None, "–"), (float("nan"), "–"), (float("inf"), "–"),
        (True, "yes"), (False, "no"), (123456, "123456"), ("a<b", "a<b"),
    ],
)  # fmt: skip
def test_a_cell_is_printed_with_four_digits(value: object, text: str) -> None:
    assert format_number(value) == text


@given(st.floats(-999, 999, allow_nan=False))
def test_a_printed_number_is_near_what_it_was(value: float) -> None:
    assert float(format_number(value)) == pytest.approx(value, rel=5e-4)


def test_rows_without_a_flag_are_plain_and_numbers_are_marked() -> None:
    table = Table(("a", "b"), [[1, "x"], [True, None], [2.5, 3]], flags=("fail",))
    assert [flag for flag, _ in table.lines] == ["fail", "", ""]
    assert table.lines[0][1] == [("1", True), ("x", False)]
    assert table.lines[1][1] == [("yes", False), ("–", False)]
    assert table.lines[2][1] == [("2.5", True), ("3", True)]


def test_a_picture_knows_its_kind() -> None:
    assert Figure(b"\x89PNG...", "c").uri.startswith("data:image/png;base64,iVBORy4uLg")
    assert Figure(b"<svg/>", "c").uri == "data:image/svg+xml;base64,PHN2Zy8+"


def test_alt_text_is_the_caption_unless_there_is_one() -> None:
    page = render("t", [Section("s", [Figure(b"<svg/>", "seen"), Figure(b"<svg/>", "c", "told")])])
    assert 'alt="seen"' in page and 'alt="told"' in page


def test_only_script_and_style_of_the_page_itself_may_run() -> None:
    page = render("t", [], script="let a = 1;", style=".x { color: red }")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy is not None and style is not None
    for text in ("let a = 1;", style.group(1)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy.group(1).replace("&#43;", "+").replace("&#39;", "'")
    without = render("t", [])
    assert "script-src 'none'" in without.replace("&#39;", "'") and "<script" not in without


def test_titles_lead_to_their_sections_and_are_escaped() -> None:
    page = render("A <b> & c", [Section("First"), Section("Se<cond")], subtitle="<i>")
    assert "A &lt;b&gt; &amp; c" in page and "Se&lt;cond" in page and "&lt;i&gt;" in page
    anchors = re.findall(r'href="#([^"]+)"', page)
    assert len(anchors) >= 2
    assert all(f'id="{anchor}"' in page for anchor in anchors)


def test_a_figure_with_few_colours_keeps_its_size_and_them() -> None:
    figure = new_figure(2, 1)
    figure.subplots().imshow(np.eye(3), cmap="gray")
    few, whole = (Picture.open(io.BytesIO(draw(figure))) for draw in (paletted, png))
    assert few.mode == "P" and few.size == whole.size
    colours = {tuple(c) for c in np.asarray(few.convert("RGB")).reshape(-1, 3)}
    assert {(0, 0, 0), (255, 255, 255)} <= colours
