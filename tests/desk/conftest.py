from __future__ import annotations

import sys
from pathlib import Path

import pytest

import browser
import toy_study
from desk_server import serving
from falx.desk import running, shells

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def started(chromium):
    """One browser for all tests; each has a context of its own, without cookies."""
    if browser.BROWSER is None or not shells.is_built():
        pytest.skip("there is no Chromium on this machine, or the desk was not bundled")
    one = chromium(["--disable-gpu"])
    yield one
    one.close()


def use_toy_program(patch):
    """Let a run of the desk be that of the toy study, whose steps take no time."""
    patch.setenv("PYTHONPATH", f"{TESTS}:{TESTS.parent / 'src'}")
    patch.setattr(running, "PROGRAM", [sys.executable, str(TESTS / "toy_cli.py"), "toy"])


@pytest.fixture
def toy_program(monkeypatch):
    """Run the toy study; see :func:`use_toy_program`."""
    use_toy_program(monkeypatch)


@pytest.fixture
def toy_desk(tmp_path, toy_program):
    """A desk on a dataset of two people."""
    toy_study.write_dataset(tmp_path / "bids", 2)
    with serving(tmp_path / "bids") as desk:
        desk.let_in()
        yield desk


@pytest.fixture
def new_desk(tmp_path, toy_program):
    """A desk in a new folder."""
    with serving(tmp_path / "work") as desk:
        desk.let_in()
        yield desk


@pytest.fixture
def page(started):
    """A page of the browser, 1366 × 768; what it says and asks for is kept."""
    context = started.new_context(viewport={"width": 1366, "height": 768})
    opened = context.new_page()
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.set_default_timeout(30_000)
    yield opened
    context.close()
