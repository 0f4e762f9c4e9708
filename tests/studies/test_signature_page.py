"""The page of one patient of the signature study in a real browser."""

from __future__ import annotations

import numpy as np
import pytest

from browser import (
    NEEDED,
    NO_WEBGL,
    SOFTWARE,
    check_switch,
    go,
    nearest_voxel,
    open_page,
    pixels,
    place,
    values,
)
from falx.images.nifti import load

pytestmark = NEEDED

FILES = {
    "t1w": "anat/sub-01_desc-biascorrected_T1w.nii.gz",
    "pet": "pet/sub-01_trc-FDG_space-T1w_desc-pvc_pet.nii.gz",
    "asymmetry": "pet/sub-01_trc-FDG_space-T1w_desc-asymmetry_pet.nii.gz",
    "signature": "anat/sub-01_space-T1w_desc-signature_mask.nii.gz",
    "ablation": "anat/sub-01_space-T1w_label-ablation_mask.nii.gz",
}


@pytest.fixture(scope="module")
def opened(out, chromium):
    browser = chromium(SOFTWARE)
    yield open_page(browser, out / "sub-01.html")
    browser.close()


def test_one_quiet_file_with_the_live_view(out, opened):
    assert (out / "sub-01.html").stat().st_size <= 6_000_000
    assert opened.get_attribute("#falx-viewer", "data-ready") == "yes"
    assert opened.said == []
    assert opened.asked == [(out / "sub-01.html").as_uri()]
    assert "unsafe" not in opened.get_attribute(
        "meta[http-equiv='Content-Security-Policy']", "content"
    )
    assert opened.locator("#falx-whatif").count() == 0


def test_signature_and_brain_are_seen_and_hidden(opened):
    assert (pixels(opened, "planes").max(axis=1) > 60).mean() > 0.1
    assert (pixels(opened, "space").max(axis=1) > 90).sum() > 1000
    check_switch(opened, "signature", least=60)


@pytest.mark.slow  # software rendering: seconds a layer
@pytest.mark.parametrize("name", ["pet", "asymmetry", "hippocampus", "amygdala", "ablation"])
def test_each_layer_appears_and_vanishes_with_its_switch(opened, name):
    check_switch(opened, name, least=60)


def test_values_are_those_of_the_files(out, opened):
    images = {name: load(out / "sub-01" / path) for name, path in FILES.items()}
    middle = place(opened)
    for step in ((0, 0, 0), (2, -8, 2), (-12, 4, 10), (-20, -24, 30)):
        go(opened, middle + step)
        found = values(opened)
        assert set(found) == {*FILES, "hippocampus", "amygdala"}
        for name, image in images.items():
            ceiling = float(np.abs(image.data).max())
            wanted = float(image.data[nearest_voxel(opened, image.affine)])
            assert found[name] == pytest.approx(wanted, rel=1e-3, abs=2e-4 * ceiling), name


def test_pictures_stand_in_where_webgl_is_off(out, chromium):
    browser = chromium(NO_WEBGL)
    page = open_page(browser, out / "sub-01.html")
    assert page.get_attribute("#falx-viewer", "data-ready") == "no"
    assert "needs WebGL2" in page.inner_text("#falx-still")
    assert not page.is_visible("#falx-viewer")
    assert page.locator("figure img").first.is_visible()
    browser.close()
