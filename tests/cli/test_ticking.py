"""Lines of progress."""

from __future__ import annotations

import threading
import time

import pytest

from falx.cli.ticking import ticking


def test_a_line_comes_while_it_works_and_none_afterwards(capsys):
    before = threading.active_count()
    with ticking("counting", every_s=0.02):
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"counting: 0 s so far"}
    assert threading.active_count() == before
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_an_error_ends_the_lines():
    before = threading.active_count()
    with pytest.raises(ValueError, match="no"), ticking("counting"):
        raise ValueError("no")
    assert threading.active_count() == before
