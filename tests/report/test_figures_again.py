"""Pictures are files of a study: drawn by any process, they hold the same bytes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from falx.report.figures import paletted, png, svg

WRITERS: tuple[Callable[[Figure], bytes], ...] = (png, paletted, svg)
PROGRAM = """
import hashlib, sys
from matplotlib.figure import Figure
from falx.report import figures

figure = Figure(figsize=(3, 2))
axes = figure.subplots(1, 2)
axes[0].imshow([[0, 1], [2, 3]])
axes[1].plot([0, 1, 2], [1, 0, 2], marker="o")
axes[1].set_xlim(0.5, 1.5)
print(hashlib.sha256(getattr(figures, sys.argv[1])(figure)).hexdigest())
"""


def drawn() -> Figure:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots(1, 2)
    axes[0].imshow([[0, 1], [2, 3]])
    axes[1].plot([0, 1, 2], [1, 0, 2], marker="o")
    axes[1].set_xlim(0.5, 1.5)
    return figure


@pytest.mark.parametrize("write", WRITERS)
def test_a_picture_has_the_same_bytes_in_every_process(write: Callable[[Figure], bytes]) -> None:
    words = [sys.executable, "-c", PROGRAM, write.__name__]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert told == hashlib.sha256(write(drawn())).hexdigest()


def test_what_is_clipped_has_a_name_in_an_svg_and_the_settings_of_a_caller_stay() -> None:
    import matplotlib as mpl

    assert b'clip-path="url(#p' in svg(drawn())
    assert mpl.rcParams["svg.hashsalt"] is None
