"""What ``import falx`` offers, and what it costs."""

from __future__ import annotations

import ast
import inspect
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import falx

PACKAGE = Path(falx.__file__).parent
NAMES = [name for name in falx.__all__ if name != "__version__"]
FUNCTIONS = [name for name in NAMES if name.islower()]


def run(code: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )


def test_the_import_is_quick_and_brings_nothing_along() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    heavy = "{'numpy', 'scipy', 'nibabel', 'numba', 'matplotlib', 'pandas'}"
    done = run(f"import falx, sys; print({heavy} & {{*sys.modules}}, len(dir(falx)) > 20)")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout == "set() True\n"
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.3


def test_there_are_few_names_and_each_is_there() -> None:
    assert len(NAMES) <= 25
    assert set(NAMES) <= set(dir(falx))
    for name in NAMES:
        assert getattr(falx, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'segmnt'"):
        falx.segmnt  # noqa: B018


def test_the_stub_names_the_same_things_from_the_same_modules() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    stub = {
        alias.asname: f"{node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert stub == {name: f"falx.{home}" for name, home in falx._HOMES.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_takes(name) -> None:
    function = getattr(falx, name)
    text = inspect.getdoc(function)
    assert text
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in ("threads", "expression", "score"):
            assert parameter.name in text or not parameter.name.islower(), parameter.name


def test_the_front_page_shows_five_lines_that_run_by_these_names() -> None:
    readme = (PACKAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## In Python")[2].partition("```python\n")[2].partition("```")[0]
    lines = [line for line in section.splitlines() if line.strip()]
    assert 3 <= len(lines) <= 5
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(section))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert {"segment", "correct_pet", "asymmetry", "signature"} <= called
    assert called <= {*NAMES, "plot"}
