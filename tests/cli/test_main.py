"""``falx`` itself: what it costs to ask for help, and how it refuses."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import falx as package
from falx.cli.main import COMMANDS

Run = Callable[..., tuple[int, str, str]]
SOURCE = str(Path(package.__file__).parents[1])


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = python("-X", "importtime", "-m", "falx", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command.name in done.stdout
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.split("\n")
    }
    assert not loaded & {"numpy", "scipy", "snakemake", "nibabel", "numba", "psutil", "pandas"}
    cpu_s = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    assert cpu_s < 0.3


def test_version(falx: Run) -> None:
    assert falx("--version")[:2] == (0, f"falx {package.__version__}\n")


def test_no_command_and_an_unknown_one_are_refused(falx: Run) -> None:
    code, printed, errors = falx()
    assert (code, printed) == (2, "")
    assert "commands:" in errors
    assert falx("signatur")[0] == 2


def test_every_command_explains_itself(falx: Run) -> None:
    for command in COMMANDS:
        code, printed, _ = falx(command.name, "--help")
        assert code == 0
        assert command.help.partition(" (")[0] in printed.replace("\n", " ")


def test_every_module_of_the_engine_and_bids_imports_without_the_science() -> None:
    modules = "falx.engine.run, falx.engine.verify, falx.bids.query, falx.cli.app"
    heavy = "{'numpy', 'snakemake', 'nibabel'}"
    done = python("-c", f"import {modules}, sys; print({heavy} & {{*sys.modules}})")
    assert done.stdout == "set()\n", done.stderr
