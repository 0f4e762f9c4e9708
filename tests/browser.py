"""A report page in a real browser, and what a reader does with it."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest

from falx.report.viewer import is_built

SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_WEBGL = ["--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis"]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDED = [
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not is_built(), reason="this installation has no live view"),
]


def launcher():
    """Yield a function that starts the browser with some flags."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:

        def start(flags):
            words = ["--no-sandbox", "--disable-dev-shm-usage", *flags]
            return driver.chromium.launch(executable_path=BROWSER, args=words)

        yield start


def open_page(browser, path):
    """Open a page and wait until it is ready; all that it said and asked for is kept."""
    page = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("#falx-viewer[data-ready]", state="attached", timeout=180_000)
    return page


def pixels(page, canvas):
    """Colours of a canvas as the browser shows it, shape (N, 3)."""
    return picture(page, canvas).reshape(-1, 3)


def picture(page, canvas):
    """Colours of a canvas as the browser shows it, shape (rows, columns, 3)."""
    from matplotlib.image import imread

    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    shot = page.locator(f"#falx-{canvas}").screenshot()
    return np.rint(imread(io.BytesIO(shot))[..., :3] * 255).astype(int)


def values(page):
    """Value of every layer under the crosshair."""
    return json.loads(page.get_attribute("#falx-values", "data-values"))


def place(page):
    """Where the crosshair stands, mm."""
    return np.array(json.loads(page.get_attribute("#falx-values", "data-mm")))


def nearest_voxel(page, affine):
    """Index of the voxel under the crosshair; the crosshair must lie clearly in one voxel."""
    voxel = np.linalg.inv(affine) @ [*place(page), 1.0]
    assert np.abs(voxel - np.floor(voxel) - 0.5)[:3].min() > 1e-3
    return tuple(np.rint(voxel[:3]).astype(int))


def go(page, mm):
    """Move the crosshair with the keyboard until it is at a place, in whole millimetres."""
    page.focus("#falx-planes")
    keys = (("ArrowRight", "ArrowLeft"), ("ArrowUp", "ArrowDown"), ("PageUp", "PageDown"))
    for (more, less), a, b in zip(keys, place(page), mm, strict=True):
        for _ in range(round(abs(b - a))):
            page.keyboard.press(more if b > a else less)


def check_switch(page, name, least):
    """Check that a layer's pixels appear and vanish with its switch."""
    switch = page.locator(f"input[data-layer='{name}']")
    was = switch.is_checked()
    switch.uncheck()
    without = pixels(page, "planes")
    switch.check()
    changed = np.abs(pixels(page, "planes") - without).max(axis=1) > 8
    assert changed.sum() > least
    switch.uncheck()
    assert np.abs(pixels(page, "planes") - without).max() <= 2
    switch.set_checked(was)
