"""The table that `make bench` prints: each row a figure measured here, beside its target."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured figure."""

    what: str
    measured: float
    unit: str
    target: str
    passed: bool
    note: str = ""


def cpu_seconds(call: Callable[[], object], *, repeats: int = 1) -> float:
    """Least CPU time of the whole process over `repeats` calls, seconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        call()
        best = min(best, time.process_time() - start)
    return best


def wall_seconds(call: Callable[[], object], *, repeats: int = 1) -> float:
    """Least wall time over `repeats` calls, seconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def render(rows: list[Row]) -> str:
    """Return the rows as an aligned text table."""
    head = ("what", "measured", "target", "")
    body = [
        (r.what, f"{r.measured:.3g} {r.unit}", r.target, "ok" if r.passed else "SHORT")
        for r in rows
    ]
    widths = [max(len(line[c]) for line in [head, *body]) for c in range(4)]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
        for line in [head, *body]
    ]
    return "\n".join(
        text + (f"  {row.note}" if row and row.note else "")
        for text, row in zip(lines, [None, *rows], strict=True)
    )
