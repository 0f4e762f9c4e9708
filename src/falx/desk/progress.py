"""How far a run has come, read from the lines that the engine says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from falx.engine.progress import SHOWN_FROM_S

__all__ = ["Progress", "Step", "progress_of"]

_STEP = re.compile(r"^\[ *(\d+) of (\d+)\] (.+?) \((\d+(?:\.\d+)?) s(?:; (.+) left)?\)$")
_FAILED = re.compile(r"^\[ *(\d+) of (\d+)\] (.+?) FAILED: (.*) Log: (.+)$")
_TODO = re.compile(r"^(\d+) of (\d+) steps to do$")
_NOTES = ("notice: ", "check: ", "left out: ")
_SHOWN = ("look at:", "outputs: ")


@dataclass(frozen=True)
class Step:
    """A step that has ended.

    Parameters
    ----------
    title
        ``"sub-07 anatomy"``.
    seconds
        How long it took; 0 if it failed.
    failure
        Its sentence; empty if it succeeded.
    log
        Path of its log below the outputs, of a failed one.
    """

    title: str
    seconds: float
    failure: str = ""
    log: str = ""


@dataclass(frozen=True)
class Progress:
    """What a log says.

    Parameters
    ----------
    total
        Steps to do; 0 before the engine has said.
    notes
        Notices, checks and people left out, in the engine's words.
    sentence
        The error that refused or ended the run as a whole; empty if none did.
    up_to_date
        Whether there was nothing to do.
    left
        How long the others may take, said with the last step that ended; empty if nothing is
        known of it.
    """

    total: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    sentence: str
    up_to_date: bool
    left: str = ""


def progress_of(lines: Iterable[str], out: str = "") -> Progress:
    """Read the lines of a run.

    Parameters
    ----------
    out
        Folder of the outputs, which is taken off the paths of logs.

    Examples
    --------
    >>> said = ["2 of 2 steps to do", "[1 of 2] sub-1 warm (0.5 s)"]
    >>> progress_of(said).total, progress_of(said).steps
    (2, (Step(title='sub-1 warm', seconds=0.5, failure='', log=''),))
    >>> progress_of(["[1 of 2] sub-1 warm (8.1 s; about 12 s left)"]).left
    'about 12 s'
    >>> progress_of(["[1 of 3] sub-1 warm (3.0 s)", "[2 of 3] sub-1 cool (4.0 s)"]).left
    'below 10 s'
    """
    total, sentence, up_to_date, left = 0, "", False, ""
    steps: list[Step] = []
    notes: list[str] = []
    for line in map(str.rstrip, lines):
        if match := _TODO.match(line):
            total = len(steps) + int(match[1])
        elif match := _FAILED.match(line):
            log = match[5].removeprefix(out).lstrip("/")
            steps.append(Step(match[3], 0.0, match[4], log))
        elif match := _STEP.match(line):
            steps.append(Step(match[3], float(match[4])))
            left = match[5] or _short(steps, int(match[1]) < int(match[2]))
        elif line.startswith(_NOTES):
            notes.append(line)
        elif line.startswith("everything is up to date"):
            up_to_date = True
        elif line.startswith("falx: ") or (line.startswith("sub-") and ", so no " in line):
            notes, sentence = _said(line, notes, sentence)
    return Progress(total, tuple(steps), tuple(dict.fromkeys(notes)), sentence, up_to_date, left)


def _short(steps: Sequence[Step], more: bool) -> str:
    """Say what an engine means that has an estimate and finds it too short to print."""
    took = [step.seconds for step in steps if not step.failure]
    return f"below {SHOWN_FROM_S:.0f} s" if more and len(took) > 1 and sum(took) > 0 else ""


def _said(line: str, notes: list[str], sentence: str) -> tuple[list[str], str]:
    """Sort a line into what ended the run and what is only to be known."""
    if line.startswith("falx: "):
        return notes, line.removeprefix("falx: ")
    return [*notes, line], sentence
