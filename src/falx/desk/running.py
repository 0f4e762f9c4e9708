"""Routes of the run page: the command line's own run, started, followed, ended and resumed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from falx.bids.index import Index
from falx.core.errors import InputError, check_option
from falx.core.records import plain
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.processes import (
    Run,
    code_of,
    end,
    is_alive,
    log_of,
    ordered,
    read_run,
    read_runs,
    start,
)
from falx.desk.progress import Progress, progress_of
from falx.desk.sessions import filters_of, read_sessions
from falx.desk.studies import ROLES, STUDIES, out_of, study_of
from falx.desk.workspace import Workspace
from falx.studies.signature.study import STUDY

__all__ = ["PROGRAM", "ROUTES", "Standing", "begun", "standing_of"]

PROGRAM: list[str] = [sys.executable, "-P", "-m", "falx", STUDY.name]
"""The command line that a run of the signature study is; others end in their own name."""

TICK_S = 0.5
SHOWN_BYTES = 200_000
"""End of a log that is shown."""


@dataclass(frozen=True)
class Wish:
    """What the page asks for.

    Parameters
    ----------
    labels
        Patients; empty: all.
    roles
        Role of the resistance study to what its groups are called in the table.
    """

    level: str
    labels: tuple[str, ...] = ()
    preset: str = ""
    study: str = STUDY.name
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Parameters
    ----------
    state
        ``"running"``, ``"finished"``, ``"failed"`` in part, ``"refused"`` as a whole,
        ``"cancelled"``, or ``"interrupted"``: its process is gone without a word.
    now
        Steps that are being done.
    left
        How long the rest may take, as the engine says: ``"about 4 min"``; empty before it does.
    command
        What to type for the same.
    pages
        Names of the pages that there are of its people, or of the group.
    """

    run: Run
    state: str
    progress: Progress
    now: tuple[str, ...]
    elapsed_s: float
    left: str
    command: str
    pages: tuple[str, ...]


async def runs(request: Request) -> Response:
    """Answer with all runs, the newest first."""
    workspace = workspace_of(request)
    found = await run_in_threadpool(read_runs, workspace.private)
    return answer([await run_in_threadpool(standing_of, workspace, run) for run in found[:20]])


async def begin(request: Request) -> Response:
    """Start a run."""
    wish = await asked(request, Wish)
    workspace = workspace_of(request)
    order = await run_in_threadpool(_order, workspace, wish)
    return answer(await run_in_threadpool(begun, workspace, order))


async def cancel(request: Request) -> Response:
    """Ask a run to end."""
    workspace, run = _named(request)
    await run_in_threadpool(end, workspace.private, run)
    return answer(await run_in_threadpool(standing_of, workspace, run))


async def resume(request: Request) -> Response:
    """Give the same command again: what is done is not done twice."""
    workspace, run = _named(request)
    again = await run_in_threadpool(start, workspace.private, run)
    return answer(await run_in_threadpool(standing_of, workspace, again))


async def follow(request: Request) -> Response:
    """Answer with server-sent events until the run has ended."""
    workspace, run = _named(request)
    return StreamingResponse(_events(request, workspace, run), media_type="text/event-stream")


async def log(request: Request) -> Response:
    """Answer with the end of a run's own log."""
    workspace, run = _named(request)
    return PlainTextResponse(_tail(log_of(workspace.private, run.id)))


async def job_log(request: Request) -> Response:
    """Answer with the end of the log of one step."""
    workspace = workspace_of(request)
    out = out_of(workspace, request.query_params.get("study", STUDY.name))
    path = workspace.inside(request.path_params["path"], out / "logs")
    if path.suffix != ".log" or not path.is_file():
        raise InputError("there is no such log", found=path.name, do="run the step again")
    return PlainTextResponse(_tail(path))


async def presets(_request: Request) -> Response:
    """Answer with the sets of choices that a run of each study can be given."""
    found = {name: list(study_of(name).presets) for name in STUDIES}
    return answer({"presets": found})


def begun(workspace: Workspace, order: Run) -> Standing:
    """Start a command and return how it stands."""
    return standing_of(workspace, start(workspace.private, order))


def standing_of(workspace: Workspace, run: Run) -> Standing:
    """Read how a run stands."""
    alive = is_alive(run)  # first: what it says and leaves afterwards is then all there
    code, out = code_of(workspace.private, run), out_of(workspace, run.study)
    path = log_of(workspace.private, run.id)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    progress = progress_of(text.splitlines(), str(out.absolute()))
    started = datetime.fromisoformat(run.started)
    written = path.stat().st_mtime if path.is_file() else started.timestamp()
    until = time.time() if alive else written
    elapsed = max(0.0, until - started.timestamp())
    return Standing(
        run,
        _state(run, alive=alive, code=code),
        progress,
        _now(out) if alive else (),
        round(elapsed),
        progress.left if alive else "",
        _typed(run.words),
        _pages(out, run),
    )


def _state(run: Run, *, alive: bool, code: int | None) -> str:
    if alive:
        return "running"
    if code == 0:
        return "finished"
    if run.cancelled:
        return "cancelled"
    return {1: "failed", 2: "refused"}.get(-1 if code is None else code, "interrupted")


def _now(out: Path) -> tuple[str, ...]:
    """Titles of the steps that the engine has opened a work folder for."""
    found = sorted((out / ".falx" / "work").glob("*/*/*"))
    return tuple(f"{path.parent.name} {path.name}" for path in found if path.is_dir())


def _pages(out: Path, run: Run) -> tuple[str, ...]:
    """Names of the pages of a run's people, or of the group."""
    if run.page:
        names = [run.page]
    elif run.level == "group":
        names = ["group.html", "overlays.html", "quality.html"]
    elif run.labels:
        names = [f"sub-{label}.html" for label in run.labels]
    else:
        names = sorted(path.name for path in out.glob("sub-*.html"))
    return tuple(name for name in names if (out / name).is_file())


def _order(workspace: Workspace, wish: Wish) -> Run:
    """Return the command of a wish.

    Raises
    ------
    InputError
        If a patient, the study, the level, the preset or a role does not exist.
    """
    check_option("level", wish.level, ["participant", "group"])
    study, out = study_of(wish.study), out_of(workspace, wish.study)
    program = PROGRAM if wish.study == STUDY.name else [*PROGRAM[:-1], wish.study]
    words = [*program, str(workspace.bids.absolute()), str(out.absolute()), wish.level]
    if wish.preset:
        words += ["--preset", check_option("the preset", wish.preset, list(study.presets))]
    for text in filters_of(read_sessions(workspace.private), study):
        words += ["--filter", text]
    if wish.study != STUDY.name:  # in one word each, so that none can be another option
        for role, name in wish.roles.items():
            check_option("the role", role, list(ROLES))
            words.append(f"--groups-{role}={_entry(name)}")
    chosen = Index(workspace.bids).choose(wish.labels) if wish.labels else ()
    words += ["--participant-label", *chosen] if chosen else []
    return ordered(wish.level, chosen, words, wish.study)


def _entry(name: str) -> str:
    """Return what a group is called in the table: one line of it."""
    if len(name) > 100 or any(ord(letter) < 32 for letter in name):
        raise InputError(
            "the name of a group is one short line", found=ascii(name[:40]),
            do="give the entry as it stands in the table",
        )  # fmt: skip
    return name.strip()


def _typed(words: tuple[str, ...]) -> str:
    """Return the command as one would type it, with ``falx`` for the interpreter in front."""
    import shlex

    front = PROGRAM[:-1]
    head = len(front) if list(words[: len(front)]) == front else 0
    return ("falx " if head else "") + shlex.join(words[head:])


def _named(request: Request) -> tuple[Workspace, Run]:
    workspace = workspace_of(request)
    return workspace, read_run(workspace.private, request.path_params["run"])


def _tail(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - SHOWN_BYTES))
        return stream.read().decode("utf-8", errors="replace")


async def _events(request: Request, workspace: Workspace, run: Run) -> AsyncIterator[str]:
    """Yield an event whenever something has changed, and a sign of life at every tick."""
    before = ""
    while not await request.is_disconnected():
        run = read_run(workspace.private, run.id)
        standing = await run_in_threadpool(standing_of, workspace, run)
        text = json.dumps(plain(standing))
        yield ": still there\n\n" if text == before else f"data: {text}\n\n"
        if standing.state != "running":
            return
        before = text
        await anyio.sleep(TICK_S)


ROUTES = [
    Route("/api/runs", runs),
    Route("/api/runs", begin, methods=["POST"]),
    Route("/api/runs/{run}/events", follow),
    Route("/api/runs/{run}/log", log),
    Route("/api/runs/{run}/cancel", cancel, methods=["POST"]),
    Route("/api/runs/{run}/resume", resume, methods=["POST"]),
    Route("/api/logs/{path:path}", job_log),
    Route("/api/presets", presets),
]
