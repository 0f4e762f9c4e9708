"""What a run says while it works: lines for people, or objects for programs."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from falx.engine.progress import Step, duration

__all__ = ["QUIET_SAYS", "Teller", "say"]

QUIET_SAYS = ("left out: ", "check: ", "notice: ")
"""How lines begin that --quiet does not hold back; those of failed steps are said as well."""

ALIVE_AFTER_S = 30.0


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


class Teller:
    """Prints the lines of a run, and gives a sign of life where none came for a while.

    Parameters
    ----------
    quiet
        Print what went wrong only.
    objects
        Write one JSON object per line and event to standard error.
    """

    def __init__(
        self, *, quiet: bool = False, objects: bool = False, alive_after_s: float = ALIVE_AFTER_S
    ) -> None:
        self.quiet, self.objects, self.alive_after_s = quiet, objects, alive_after_s
        self.last = time.monotonic()
        self.step: Step | None = None

    def say(self, line: str) -> None:
        """Print a line, unless it is one that --quiet holds back."""
        self.last = time.monotonic()
        if not self.quiet or line.startswith(QUIET_SAYS) or " FAILED: " in line:
            say(line)

    def watch(self, step: Step) -> None:
        """Note a step that has ended."""
        self.step, self.last = step, time.monotonic()
        if self.objects:
            self._write({"event": "step", **asdict(step)})

    def end(self, code: int) -> None:
        """Say how the run ended."""
        if self.objects:
            self._write({"event": "end", "code": code})

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Give a sign of life, inside the block, whenever nothing was said for a while."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(self.alive_after_s / 4):
                silent_s = time.monotonic() - self.last
                if silent_s >= self.alive_after_s:
                    self._sign(silent_s)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _sign(self, silent_s: float) -> None:
        self.last = time.monotonic()
        done = "" if self.step is None else f", {self.step.done} of {self.step.total} steps done"
        if self.objects:
            self._write({"event": "alive"})
        elif not self.quiet:
            text = f"still working{done}; nothing has ended for {duration(silent_s)}"
            print(text, file=sys.stderr, flush=True)

    def _write(self, content: dict[str, object]) -> None:
        print(json.dumps(content, ensure_ascii=False), file=sys.stderr, flush=True)
