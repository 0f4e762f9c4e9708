"""Commands of Falx as processes that outlive the desk: started, found again, ended.

A run belongs to nobody's browser and to no server: it is ``falx …`` as one would type it, in a
session of its own, with its words in a log and its exit code in a file. A desk that is started
again reads both.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

import falx
from falx.core.errors import FalxError, InputError
from falx.core.files import flush, read_record, write_json
from falx.core.records import plain
from falx.desk.workspace import inside

__all__ = [
    "Run",
    "code_of",
    "end",
    "is_alive",
    "log_of",
    "ordered",
    "read_run",
    "read_runs",
    "start",
]

KEEP_CODE = 'trap : TERM INT; "$@" >>"$FALX_LOG" 2>&1 </dev/null; echo $? >"$FALX_CODE"'
"""Runs the words it is given, and keeps how they ended even if the desk is gone by then; the
trap lets a request to end reach the command and leaves the shell to note its code."""

_NAME = "runs"


@dataclass(frozen=True)
class Run:
    """A command that was started from the desk.

    Parameters
    ----------
    id
        Names its files; sorts by time.
    title
        For people: ``"sub-01, sub-02"``.
    level
        ``"participant"``, ``"group"`` or the name of another command.
    labels
        Patients; empty: all.
    words
        The command line.
    started
        UTC, ISO 8601.
    pid, born
        Its process, and when that was created: a number is given out again, a birth is not.
    cancelled
        Whether the user ended it.
    study
        Whose it is, or the name of another folder of outputs.
    page
        The page that it writes, where that is not one of a study's: a path in the outputs.
    """

    id: str
    title: str
    level: str
    labels: tuple[str, ...]
    words: tuple[str, ...]
    started: str
    pid: int = 0
    born: float = 0.0
    cancelled: bool = False
    study: str = "signature"
    page: str = ""


_STARTING = threading.Lock()
"""Two windows that start a run in the same moment would both find that none is under way."""

_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""Processes of this desk, to be waited for: a dead child that nobody waits for looks alive."""


def ordered(
    level: str, labels: Sequence[str], words: Sequence[str], study: str = "signature"
) -> Run:
    """Return a command that was not started yet."""
    who = ", ".join(f"sub-{label}" for label in labels) or "all patients"
    title = "the group" if level == "group" else who
    return Run("", title, level, tuple(labels), tuple(words), "", study=study)


def start(private: Path, order: Run) -> Run:
    """Start a command and note it.

    Parameters
    ----------
    order
        Of :func:`ordered`, or an earlier run that is to be done again.

    Raises
    ------
    InputError
        If another one that was started here still runs.
    """
    with _STARTING:
        for other in read_runs(private):
            if is_alive(other):
                raise InputError(
                    "another run is under way", found=other.title, do="wait for it, or cancel it"
                )
        return _started(private, order)


def _started(private: Path, order: Run) -> Run:
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    run = replace(order, id=name, started=now.isoformat(timespec="seconds"), cancelled=False)
    write_json(_record(private, run.id), plain(run))
    here = str(Path(falx.__file__).parents[1])
    paths = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"FALX_LOG": str(log_of(private, run.id)), "FALX_CODE": str(_code(private, run.id))}
    process = subprocess.Popen(  # noqa: S603 - fixed words; the shell gets the others as arguments
        ["/bin/sh", "-c", KEEP_CODE, "falx", *run.words],
        cwd=private,
        env={**os.environ, **own, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _CHILDREN[process.pid] = process
    run = replace(run, pid=process.pid, born=psutil.Process(process.pid).create_time())
    write_json(_record(private, run.id), plain(run))
    flush(_record(private, run.id))
    return run


def end(private: Path, run: Run) -> None:
    """Ask a run to end, as Ctrl-C would; it goes on where it stopped when it is started again."""
    if is_alive(run):
        write_json(_record(private, run.id), plain(replace(run, cancelled=True)))
        os.killpg(run.pid, signal.SIGTERM)


def is_alive(run: Run) -> bool:
    """Whether the process of a run works."""
    child = _CHILDREN.get(run.pid)
    if child is not None and child.poll() is not None:
        del _CHILDREN[run.pid]
    if not run.pid:
        return False
    try:
        process = psutil.Process(run.pid)
        same = abs(process.create_time() - run.born) < 1
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def code_of(private: Path, run: Run) -> int | None:
    """Return the exit code, ``None`` if the command did not come to its end."""
    path = _code(private, run.id)
    text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    return int(text) if text.isdecimal() else None


def log_of(private: Path, run_id: str) -> Path:
    """Return where the words of a run lie."""
    return inside(f"{_NAME}/{run_id}.log", private)


def read_run(private: Path, run_id: str) -> Run:
    """Read the note of a run.

    Raises
    ------
    InputError
        If there is none.
    """
    path = _record(private, run_id)
    if "/" in run_id or not path.is_file():
        raise InputError("there is no such run", found=ascii(run_id[:40]), do="reload the page")
    return read_record(Run, path)


def read_runs(private: Path) -> list[Run]:
    """Read the notes of all runs, the newest first; a damaged one is passed over."""
    found = []
    for path in sorted((private / _NAME).glob("*.json"), reverse=True):
        try:
            found.append(read_record(Run, path))
        except FalxError:
            continue
    return found


def _record(private: Path, run_id: str) -> Path:
    return inside(f"{_NAME}/{run_id}.json", private)


def _code(private: Path, run_id: str) -> Path:
    return inside(f"{_NAME}/{run_id}.code", private)
