"""The layer rule: the contracts hold, and a planted import against the arrow breaks them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("import-linter is not installed")
    return subprocess.run(
        [linter, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("images/smooth.py", "import falx.engine.run"),
        ("core/grid.py", "import falx.images.nifti"),
        ("maps/design.py", "import falx.bids.index"),
    ],
)
def test_an_import_against_the_arrow_breaks_a_contract(
    tmp_path: Path, module: str, planted: str
) -> None:
    shutil.copytree(ROOT / "src" / "falx", tmp_path / "falx")
    path = tmp_path / "falx" / module
    path.write_text(path.read_text() + f"\n{planted}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout
    assert planted.removeprefix("import ") in done.stdout


def test_the_package_keeps_the_contracts() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
