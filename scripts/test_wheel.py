"""Install the wheel of a folder into an empty environment, without Node, and use it.

usage: python scripts/test_wheel.py dist
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

NEEDED = ("falx/py.typed", "falx/report/assets/page.html.j2", "licenses/LICENSE")
"""Ends of paths that a wheel must hold."""


def main(arguments: list[str]) -> int:
    """Check the archives, install, and run; 1 if anything is missing."""
    folder = Path(arguments[0])
    (wheel,), (source,) = folder.glob("falx-*.whl"), folder.glob("falx-*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    missing = [end for end in NEEDED if not any(name.endswith(end) for name in names)]
    viewer = any(name.endswith("viewer.js") for name in names)
    for path in (wheel, source):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"live view of reports: {'in the wheel' if viewer else 'absent'}")
    with tempfile.TemporaryDirectory() as empty:
        venv.create(empty, with_pip=True)
        python = Path(empty) / "bin" / "python"
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
            "PATH": "/usr/bin:/bin"
        }
        constraints = Path(__file__).parents[1] / "constraints.txt"
        pip = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, "-c", constraints, f"{wheel.resolve()}[pages,genes]"], check=True)
        for words in (
            ["--version"],
            ["outcome", "phantom", f"{empty}/cohort", "--patients", "24"],
        ):
            subprocess.run([python, "-m", "falx", *words], check=True, env=clean, cwd=empty)
    for end in missing:
        print(f"the wheel holds no {end}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
