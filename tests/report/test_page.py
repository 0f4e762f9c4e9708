import re

import numpy as np
import pytest

from falx.images.nifti import Image
from falx.report.figures import new_figure, png, svg
from falx.report.page import Details, Figure, Notice, Section, Table, Text, render
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
