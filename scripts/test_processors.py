"""Run the tests that compare numbers as other processors would compute them.

    python scripts/test_processors.py [--workers N] [--slow] [--only NAME] [PYTEST ARGUMENTS]

Matrix products (OpenBLAS), compiled kernels (numba), array functions (numpy) and exponentials
(the C library) choose their instructions by the processor. Each can be told to take those of an
older one, so one machine shows how far figures move between machines. Every setting runs all
tests with the marker ``processor``, with a folder of compiled kernels of its own. A setting that
this processor cannot run is skipped and named. The last table has, for every golden figure, the
difference from the kept one in per mille.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CHOICES = (
    "OPENBLAS_CORETYPE",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "GLIBC_TUNABLES",
)
ALSO_CALLED = {"Prescott": "Katmai"}
"""Kernels that OpenBLAS names after the oldest processor that shares them."""

WITHOUT_FMA = ",".join(
    f"-{name}{end}" for name in ("AVX2", "FMA", "FMA4", "AVX512F") for end in ("", "_Usable")
)
PROBE = """
import numba, numpy as np, scipy.linalg, threadpoolctl
a = np.random.default_rng(0).standard_normal((200, 200))
for b in (a, a.astype(np.float32)):
    assert np.isfinite(np.linalg.solve(b @ b.T + 100 * np.eye(200, dtype=b.dtype), b)).all()
    assert np.isfinite(scipy.linalg.svd(b)[1]).all() and np.isfinite(np.exp(np.sort(b))).all()
@numba.njit(fastmath=True)
def total(a):
    s = 0.0
    for i in range(a.size):
        s += a[i] * a[i] + np.exp(-a[i])
    return s
assert np.isfinite(total(a.ravel())) and np.isfinite(total(a.ravel().astype(np.float32)))
found = {b.get("architecture") for b in threadpoolctl.threadpool_info()}
print(*sorted(name for name in found if name))
"""


@dataclass(frozen=True)
class Setting:
    """How one processor computes, by the variables that libraries read as they load."""

    name: str
    blas: str = ""
    kernels: str = ""
    numpy: tuple[str, ...] = ()
    fused: bool = True

    def environment(self, cache: Path) -> dict[str, str]:
        """Environment of a process under this setting, its compiled kernels in `cache`."""
        chosen = {
            "OPENBLAS_CORETYPE": self.blas,
            "NUMBA_CPU_NAME": self.kernels,
            "NPY_DISABLE_CPU_FEATURES": " ".join(self.numpy),
            "GLIBC_TUNABLES": "" if self.fused else f"glibc.cpu.hwcaps={WITHOUT_FMA}",
        }
        inherited = {name: value for name, value in os.environ.items() if name not in CHOICES}
        told = {name: value for name, value in chosen.items() if value}
        return inherited | told | {"NUMBA_CACHE_DIR": str(cache)}


@dataclass
class Outcome:
    """What the tests said under one setting; `away` is relative, by golden figure."""

    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    away: dict[str, float] = field(default_factory=dict)


def settings() -> tuple[Setting, ...]:
    """All settings, this machine's own first."""
    every = numpy_features()
    wide = tuple(name for name in every if name.startswith(("AVX512", "X86_V4")))
    return (
        Setting("this machine"),
        Setting("OpenBLAS of Haswell", blas="Haswell"),
        Setting("kernels of any", kernels="generic"),
        Setting("Haswell", blas="Haswell", kernels="haswell", numpy=wide),
        # Many builds of OpenBLAS have no kernels of Zen and take those of Haswell there.
        Setting("Zen 2", blas="Haswell", kernels="znver2", numpy=wide),
        Setting("Skylake-X", blas="SkylakeX", kernels="skylake-avx512"),
        Setting("Sandy Bridge", "Sandybridge", "sandybridge", every, fused=False),
        Setting("any x86-64", "Prescott", "generic", every, fused=False),
    )


def numpy_features() -> tuple[str, ...]:
    """Features that numpy uses here and can do without; the names differ between versions."""
    from numpy._core import _multiarray_umath as core

    here = getattr(core, "__cpu_features__", {})
    return tuple(name for name in getattr(core, "__cpu_dispatch__", ()) if here.get(name))


def obstacle(setting: Setting, cache: Path) -> str:
    """Why this processor cannot run a setting; empty if it can."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=setting.environment(cache), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == -signal.SIGILL:
        return "illegal instruction"
    if done.returncode != 0:
        return ([*done.stderr.strip().splitlines(), f"exit code {done.returncode}"])[0]
    found = set(done.stdout.lower().split())
    names = {setting.blas.lower(), ALSO_CALLED.get(setting.blas, "").lower()}
    if setting.blas and not names & found:
        return f"the matrix library stays with {done.stdout.strip() or 'its own choice'}"
    return ""


def run(setting: Setting, folder: Path, arguments: list[str]) -> tuple[int, Outcome]:
    """Run the tests under a setting; the exit code of pytest and what its report says."""
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         f"--junitxml={report}", *arguments],
        cwd=ROOT, env=setting.environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, -signal.SIGILL):
        print(done.stdout, done.stderr, sep="\n")
    return done.returncode, read(report) if report.is_file() else Outcome()


def read(report: Path) -> Outcome:
    """Read counts and golden figures from a report that pytest wrote."""
    outcome = Outcome()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - made here
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif case.find("skipped") is not None:
            outcome.skipped += 1
        else:
            outcome.passed += 1
        for one in case.iter("property"):
            kind, _, figure = str(one.get("name")).partition(" ")
            if kind == "golden":
                outcome.away[figure] = float(str(one.get("value")))
    return outcome


def table(outcomes: dict[str, Outcome]) -> str:
    """Golden figures by setting, per mille away from the kept figures."""
    figures = sorted({figure for o in outcomes.values() for figure in o.away})
    if not figures:
        return ""
    wide = max(len(figure) for figure in figures)
    lines = [
        "per mille away from the kept figure",
        " ".join([" " * wide, *(f"{name:>{max(8, len(name))}}" for name in outcomes)]),
    ]
    for figure in figures:
        cells = [
            f"{1e3 * o.away.get(figure, np.nan):{max(8, len(name))}.3f}"
            for name, o in outcomes.items()
        ]
        lines.append(" ".join([f"{figure:{wide}}", *cells]))
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--workers", type=int, default=1, help="processes of pytest")
    parser.add_argument("--slow", action="store_true", help="the tests of minutes as well")
    parser.add_argument("--only", action="append", help="name of a setting; may be repeated")
    given, rest = parser.parse_known_args()
    marked = "processor" if given.slow else "processor and not slow"
    arguments = ["-m", marked, *(["-n", str(given.workers)] if given.workers > 1 else []), *rest]
    outcomes: dict[str, Outcome] = {}
    bad = False
    for setting in settings():
        if given.only and setting.name not in given.only:
            continue
        with tempfile.TemporaryDirectory(prefix="falx-processors-") as folder:
            reason = obstacle(setting, Path(folder)) if setting.name != "this machine" else ""
            start = time.monotonic()
            code, outcome = (0, Outcome()) if reason else run(setting, Path(folder), arguments)
        if code == -signal.SIGILL and setting.name != "this machine":
            reason = "illegal instruction"
        if reason:
            print(f"{setting.name:20} skipped, this processor cannot run it: {reason}", flush=True)
            continue
        outcomes[setting.name] = outcome
        bad = bad or code != 0
        print(
            f"{setting.name:20} {outcome.passed} passed, {len(outcome.failed)} failed, "
            f"{outcome.skipped} skipped in {time.monotonic() - start:.0f} s"
            + (f"; pytest ended with {code}" if code else ""),
            *(f"{'':20} {name}" for name in outcome.failed),
            sep="\n", flush=True,
        )  # fmt: skip
    print(table(outcomes))
    return int(bad or not outcomes)


if __name__ == "__main__":
    sys.exit(main())
