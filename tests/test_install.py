"""What `pip install falx` brings: how large it is, and what it does without."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from falx.core.errors import InputError
from falx.genes.network.analysis import layout
from falx.genes.network.interactions import Network
from falx.genes.sets.library import Origin, SourceText
from falx.genes.sets.ontology import read_obo
from falx.report.figures import new_figure

LIMIT_MB = 500
OWN_MB = 25
"""Falx itself, with its atlases and the live view; the wheel in an environment of its own."""


def needed(extra: str = "") -> set[str]:
    """Names of all packages that the installation brings, without extras or with one."""
    path = Path(__file__).parents[1] / "pyproject.toml"
    found: set[str] = set()
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    open_ = list(project["dependencies"])
    open_ += project["optional-dependencies"][extra] if extra else []
    while open_:
        requirement = Requirement(open_.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name not in found and wanted:
            found.add(name)
            open_ += importlib.metadata.requires(name) or []
    return found


def size_mb(name: str) -> float:
    """Room on the disk of a package, compiled files included."""
    files = importlib.metadata.files(name) or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_blocks * 512 for path in paths if path.exists()) / 2**20


def test_the_installation_stays_small() -> None:
    names = needed()
    assert names >= {"numpy", "scipy", "numba", "llvmlite"}
    total = OWN_MB + sum(map(size_mb, names))
    assert 300 < total <= LIMIT_MB, f"{total:.0f} MB: {sorted(names, key=size_mb)[-6:]}"


def test_the_desk_adds_little() -> None:
    added = needed("desk") - needed()
    assert added >= {"starlette", "uvicorn"}
    total = sum(map(size_mb, added))
    assert 1 < total <= 5, f"{total:.1f} MB: {added}"


def test_large_packages_are_extras() -> None:
    extras = {"snakemake", "matplotlib", "networkx", "pandas", "scikit-learn", "nilearn"}
    assert needed().isdisjoint(extras)


def test_what_needs_an_extra_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib.figure", "networkx", "obonet"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(InputError, match=r"drawn by matplotlib.*pip install 'falx\[pages\]'"):
        new_figure()
    with pytest.raises(InputError, match=r"laid out .* by networkx.*'falx\[genes\]'"):
        layout(Network({"A": frozenset("B"), "B": frozenset("A")}, Origin("x")))
    with pytest.raises(InputError, match=r"read by obonet.*'falx\[genes\]'"):
        read_obo(SourceText("go.obo", "[Term]\nid: GO:1\n"))
