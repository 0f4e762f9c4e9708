"""What `pip install falx` brings: how large it is, and what it does without."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

LIMIT_MB = 500
OWN_MB = 25
"""Falx itself, with its atlases and the live view; the wheel in an environment of its own."""


def needed() -> set[str]:
    """Names of all packages that the installation without extras brings."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    found: set[str] = set()
    open_ = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
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


def test_large_packages_are_extras() -> None:
    assert needed().isdisjoint({"snakemake", "matplotlib", "pandas", "scikit-learn", "nilearn"})
