"""The page on the quality of the sample, and the decisions that it saves."""

from __future__ import annotations

import numpy as np
import pytest

from browser import BROWSER, NO_WEBGL
from falx.core.errors import InputError
from falx.core.files import read_participants
from falx.core.grid import normalisation_grid
from falx.core.participants import Participants
from falx.images.nifti import Image
from falx.maps.sample import left_out_by_hand
from falx.report.page import render
from falx.studies.resistance.quality import (
    PersonQuality,
    homogeneity_of,
    quality_script,
    quality_sections,
    tsnr_of,
)

GRID = normalisation_grid(6.0)
RUN = {"mean_fd_mm": 0.12, "spike_percent": 3.0, "largest_mm": 1.0, "tsnr": 55.0, "dof": 60}
PEOPLE = [
    PersonQuality("sub-01", "yes", "", "DRE", 1400.0, 0.5, **RUN, reho_alike_z=0.1),
    PersonQuality("sub-02", "no", 'wrap "around" <b>', "HC", 1510.0, -3.4, reho_alike_z=None),
    PersonQuality("sub-03", "yes", "", None, 1390.0, 0.2, **RUN, reho_alike_z=-0.2),
]


def volumes() -> dict[str, Image]:
    near = np.exp(-(np.linalg.norm(GRID.centres_mm() / 70, axis=-1) ** 2)).astype(np.float32)
    return {one.participant_id[4:]: Image(near, GRID.affine) for one in PEOPLE}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("quality") / "quality.html"
    sections = quality_sections(PEOPLE, volumes(), {"77": "left out by hand: moved away"})
    path.write_text(render("Quality of the sample", sections, script=quality_script(PEOPLE)))
    return path


def test_everybody_stands_there_with_what_was_measured(page):
    text = page.read_text()
    assert text.count("data-person=") == 3 and text.count(" checked>") == 2
    assert "Maps unlike all others (z below -3): sub-02" in text
    assert "wrap &#34;around&#34; &lt;b&gt;" in text or "wrap &quot;around&quot; &lt;b&gt;" in text
    assert "Decided upon without having a map: sub-77" in text
    assert text.count('src="data:image/png;base64,') == 1


def test_the_odd_map_is_found():
    rng = np.random.default_rng(4)
    usual = rng.random((8, 8, 8)) + 0.5
    maps = {f"{k:02d}": usual + 0.05 * rng.normal(size=usual.shape) for k in range(20)}
    maps["20"] = usual[::-1].copy()
    z = homogeneity_of(maps)
    assert min(z, key=z.get) == "20" and z["20"] < -3
    assert homogeneity_of(dict(list(maps.items())[:2])) == {}
    assert homogeneity_of({**maps, "21": np.ones((3, 3, 3))}) == {}


def test_tsnr_is_that_of_the_head_not_of_the_air():
    head = np.zeros((10, 10, 10), bool)
    head[3:7, 3:7, 3:7] = True
    reference = np.where(head, 900.0, 40.0)
    tsnr = np.where(head, 80.0, 1.9)
    assert tsnr_of(Image(tsnr, GRID.affine), Image(reference, GRID.affine)) == 80.0
    assert tsnr_of(Image(0 * tsnr, GRID.affine), Image(reference, GRID.affine)) is None


def test_decisions_are_yes_or_no():
    columns = ("participant_id", "include", "reason")
    table = Participants({"01": {"include": "No"}, "02": {"include": "yes"}, "03": {}}, columns)
    assert left_out_by_hand(table) == {"01": "left out by hand: no reason was written"}
    with pytest.raises(InputError, match="neither yes nor no"):
        left_out_by_hand(Participants({"01": {"include": "maybe"}}, columns))
    with pytest.raises(InputError, match="no column include"):
        left_out_by_hand(Participants({"01": {}}, ("participant_id",)))


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_the_saved_table_is_obeyed(page, tmp_path, chromium):
    """Untick one and tick another, in a browser; the page asks the network for nothing."""
    started = chromium(NO_WEBGL)
    tab = started.new_context(accept_downloads=True).new_page()
    asked, errors = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page.as_uri())
    row = tab.locator('tr[data-person="sub-03"]')
    row.locator("input[type=checkbox]").uncheck()
    row.locator("input[type=text]").fill("  ghost\tin the\nfluid ")
    tab.locator('tr[data-person="sub-02"] input[type=checkbox]').check()
    with tab.expect_download() as download:
        tab.locator("#save-decisions").click()
    download.value.save_as(tmp_path / "decisions.tsv")
    started.close()
    assert not errors and all(url.startswith(("file:", "blob:", "data:")) for url in asked)
    people = read_participants(tmp_path / "decisions.tsv")
    assert left_out_by_hand(people) == {"03": "left out by hand: ghost in the fluid"}
    assert people.cell("01", "tsnr") == "55" and people.cell("02", "reason") is None
