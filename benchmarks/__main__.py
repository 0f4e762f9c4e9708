"""Run every benchmark of this folder, or those named: ``python -m benchmarks anatomy``."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from benchmarks.table import render
from falx.core.threads import WAITING


def main(names: list[str]) -> int:
    """Print one table a room; the exit code is 1 when a target is missed."""
    os.environ.update({**WAITING, **os.environ})
    known = sorted(p.stem[6:] for p in Path(__file__).parent.glob("bench_*.py"))
    if unknown := set(names) - set(known):
        print(
            f"there is no benchmark of {', '.join(sorted(unknown))}; choose of {', '.join(known)}"
        )
        return 2
    short = 0
    for room in names or known:
        rows = importlib.import_module(f"benchmarks.bench_{room}").rows()
        short += sum(not row.passed for row in rows)
        print(f"\n{room}\n{render(rows)}", flush=True)
    return int(short > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
