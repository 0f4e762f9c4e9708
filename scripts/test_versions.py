"""Run the fast tests with the lowest and with the newest versions that pyproject.toml allows.

Each set gets an environment of its own under ``.versions``. The lowest are the figures behind
``>=``, for what Falx asks for directly; what these need is left to pip.

usage: python scripts/test_versions.py [--which lowest|newest|both] [--workers N] [--print]
       [-- ARGUMENTS OF PYTEST]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("genes", "pages", "rnaseq", "dicom", "completion")


def requirements(extras: Iterable[str] = EXTRAS) -> list[str]:
    """Return what Falx asks for itself, with the extras that bring dependencies of the science."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in extras for one in optional[extra])]


def lowest(requirement: str) -> str:
    """Return the requirement with its least version pinned.

    Examples
    --------
    >>> lowest("numpy>=2.0"), lowest("pydicom>=3"), lowest("pooch")
    ('numpy==2.0.*', 'pydicom==3.0.*', 'pooch')
    """
    found = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement.replace(" ", ""))
    if found is None:
        return requirement
    name, version = found.groups()
    version += ".0" if "." not in version else ""
    return f"{name}=={version}{'.*' if version.count('.') < 2 else ''}"


def main(arguments: list[str]) -> int:
    """Make the environments, run the tests, and print what was installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--which", choices=("lowest", "newest", "both"), default="both")
    parser.add_argument("--workers", default="2")
    parser.add_argument("--print", action="store_true", help="only say what would be installed")
    parser.add_argument("pytest", nargs="*", default=["-m", "not slow"])
    chosen = parser.parse_args(arguments)
    failed = []
    for which in ("lowest", "newest") if chosen.which == "both" else (chosen.which,):
        wanted = [lowest(one) if which == "lowest" else one for one in requirements()]
        print(f"{which}: {' '.join(wanted)}", flush=True)
        if not chosen.print and not _passes(which, wanted, chosen.workers, chosen.pytest):
            failed.append(which)
    for which in failed:
        print(f"failed with the {which} versions")
    return 1 if failed else 0


def _passes(which: str, wanted: list[str], workers: str, pytest: list[str]) -> bool:
    folder = ROOT / ".versions" / which
    venv.create(folder, with_pip=True, clear=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--upgrade"]
    if which == "newest":
        pip += ["--upgrade-strategy", "eager"]
    subprocess.run([*pip, "-e", f"{ROOT}[test]", *wanted], check=True)
    subprocess.run([python, "-m", "pip", "freeze", "--exclude-editable"], check=True)
    run = [python, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", *pytest]
    return subprocess.run(run, check=False, cwd=ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
