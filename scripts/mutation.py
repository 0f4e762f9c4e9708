"""Would a test notice? Change the code of some modules in small ways and run their tests.

``python scripts/mutation.py [MODULE ...]`` asks mutmut for the mutants of each module
(``clinical/roc/curve.py``, relative to ``src/falx``) and runs the test files that name the module
on them, in a copy of the repository. Without a module, ten are drawn at random; ``--seed`` says
which. It prints killed and surviving mutants of each module and fails below ``--least``.

mutmut 3 forks from a process that has imported everything, which cosmic-ray does not: one mutant
costs its tests and not a start of Python with numba and scipy (about 3 s). It does not change
decorated functions, so that compiled kernels are judged by their callers' mutants only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "falx"
LINES = 40
"""A module that is drawn has at least this many lines."""


@dataclass(frozen=True)
class Tally:
    """Mutants of one module by what became of them; those that no test reaches survive."""

    module: str
    killed: int
    survived: int
    whole: int
    names: tuple[str, ...]

    @property
    def share(self) -> float:
        """Killed mutants among those tried: 1 if there are none, 0 if time was up before any."""
        tried = self.killed + self.survived
        return self.killed / tried if tried else float(self.whole == 0)


def drawn(seed: int, number: int) -> list[str]:
    """Return modules drawn at random, relative to the package."""
    modules = sorted(
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and len(path.read_text("utf-8").splitlines()) >= LINES
    )
    return sorted(random.Random(seed).sample(modules, number))


def tests_of(module: str) -> list[str]:
    """Test files of its room that name the module; otherwise all that do, and the room's folder.

    A module that every room uses would otherwise be tried on the tests of every room, of which
    one mutant then costs minutes.
    """
    name = "falx." + module.removesuffix(".py").replace("/", ".")
    parent, _, own = name.rpartition(".")
    files = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if name in (text := path.read_text("utf-8")) or f"from {parent} import {own}" in text
    ]
    room = f"tests/{module.partition('/')[0]}"
    return [file for file in files if file.startswith(f"{room}/")] or [*files, room]


def tried(module: str, share: float, seconds: int, seed: int, folder: Path) -> Tally:
    """Run the mutants of one module in a copy of the repository."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    table = (ROOT / "pyproject.toml").read_text("utf-8") + "\n".join([
        "\n[tool.mutmut]",
        'source_paths = ["src"]',
        f'only_mutate = ["src/falx/{module}"]',
        f"pytest_add_cli_args_test_selection = {json.dumps(tests_of(module))}",
        'pytest_add_cli_args = ["-p", "no:cacheprovider"]\n',
    ])  # fmt: skip
    (folder / "pyproject.toml").write_text(table, "utf-8")
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (folder.parent / "shared").symlink_to(shared)
    # Mutants are numbered through each function: some last digits are a sample of all of them.
    digits = random.Random(seed).sample(range(10), max(1, round(10 * share)))
    names = [] if share >= 1 else [f"*__mutmut_*{digit}" for digit in digits]
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    mutmut = [sys.executable, "-m", "mutmut"]
    running = subprocess.Popen(
        [*mutmut, "run", *names], cwd=folder, env=surroundings, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said = running.communicate(timeout=seconds)[0][-4000:]
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)  # with the workers that it has forked
        running.communicate()
        said = f"stopped after {seconds} s"
        print(f"{module}: {said}, the rest is not tried", flush=True)
    subprocess.run([*mutmut, "export-cicd-stats"], cwd=folder, env=surroundings, check=False,
                   capture_output=True)  # fmt: skip
    stats = folder / "mutants" / "mutmut-cicd-stats.json"
    if not stats.is_file():
        sys.exit(f"{module}: the tests do not run unchanged\n{said}")
    counts = json.loads(stats.read_text("utf-8"))
    listed = subprocess.run([*mutmut, "results"], cwd=folder, env=surroundings, check=False,
                            capture_output=True, text=True).stdout  # fmt: skip
    lost = [line.split(":")[0].strip() for line in listed.splitlines()
            if line.endswith((": survived", ": no tests"))]  # fmt: skip
    return Tally(
        module,
        killed=counts["killed"] + counts["timeout"] + counts["segfault"] + counts["suspicious"],
        survived=counts["survived"] + counts["no_tests"],
        whole=counts["total"],
        names=tuple(lost),
    )


def main() -> int:
    """Try every module; 1 if too many mutants survive."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--seed", type=int, default=13, help="of the draw (13)")
    parser.add_argument("--number", type=int, default=10, help="of modules drawn (10)")
    parser.add_argument("--share", type=float, default=0.3, help="of the mutants tried (0.3)")
    parser.add_argument("--seconds", type=int, default=300, help="for each module (300)")
    parser.add_argument("--least", type=float, default=0.8, help="share that is killed (0.8)")
    parser.add_argument("--names", action="store_true", help="list the survivors")
    given = parser.parse_args()
    modules = [m.removeprefix("src/falx/") for m in given.modules]
    tallies = []
    for module in modules or drawn(given.seed, given.number):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "falx"
            folder.mkdir()
            tally = tried(module, given.share, given.seconds, given.seed, folder)
        tallies.append(tally)
        killed = f"{tally.killed} of {tally.killed + tally.survived}"
        print(f"{tally.share:5.0%}  {killed:>11} killed (of {tally.whole})  {module}", flush=True)
        if given.names:
            print("".join(f"       survived: {name}\n" for name in tally.names), end="")
    whole = Tally("", sum(t.killed for t in tallies), sum(t.survived for t in tallies), 0, ())
    print(f"{whole.share:5.0%}  {whole.killed} of {whole.killed + whole.survived} killed in all")
    untried = [t.module for t in tallies if t.whole and not t.killed + t.survived]
    if untried:
        print(f"not tried, for want of time (--seconds): {', '.join(untried)}")
    return int(whole.share < given.least or bool(untried))


if __name__ == "__main__":
    sys.exit(main())
