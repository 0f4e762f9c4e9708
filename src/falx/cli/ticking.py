"""A line now and then while a command computes, so that nobody takes it for dead."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ticking"]


@contextmanager
def ticking(what: str, *, every_s: float = 5.0) -> Iterator[None]:
    """Print to standard error, every few seconds, what is being done and for how long."""
    done = threading.Event()
    start = time.monotonic()

    def tick() -> None:
        while not done.wait(every_s):
            seconds = f"{time.monotonic() - start:.0f} s"
            print(f"{what}: {seconds} so far", file=sys.stderr, flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
