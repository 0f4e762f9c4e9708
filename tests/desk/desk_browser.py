"""A desk in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import falx.desk
from browser import BROWSER
from desk_server import TOKEN

ASSETS = Path(falx.desk.__file__).parent / "assets"


def needed(page):
    """Marks of a module that drives a page of the desk."""
    built = (ASSETS / f"{page}.js").is_file()
    return [
        pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
        pytest.mark.skipif(not built, reason="this installation has no pages of the desk"),
    ]


def let_in(browser, desk, *, width=1366, height=768):
    """Return a context that holds the desk's cookie."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.goto(f"{desk.origin}/?token={TOKEN}")
    page.wait_for_selector("body[data-ready='patients']")
    page.close()
    return context


def open_page(context, address):
    """Open a page of the desk; what it says and asks for is kept."""
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    return page


def data(page, selector, name):
    """JSON that an element carries as data."""
    return json.loads(page.get_attribute(selector, f"data-{name}"))
