"""Routes of the patients' page: the list, the names of sessions, and the pages of the study."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from falx.bids.index import Index
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.guard import HEADERS
from falx.desk.listing import overview, subjects_of
from falx.desk.sessions import SessionNames, labels_of, write_sessions
from falx.desk.studies import out_of
from falx.studies.signature.study import STUDY

__all__ = ["ROUTES"]

PAGE_POLICY = (
    "sandbox allow-scripts allow-downloads allow-modals; default-src 'none'; "
    "script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "frame-ancestors 'self'"
)
"""A study's page is one file with its script inside: it runs without an origin, so that nothing
in it, whatever a dataset wrote there, can reach the desk."""


async def patients(request: Request) -> Response:
    """Answer with everybody and how far each has come."""
    return answer(await run_in_threadpool(overview, workspace_of(request), STUDY))


async def sessions(request: Request) -> Response:
    """Store which session is before the operation and which after."""
    workspace = workspace_of(request)
    names = await asked(request, SessionNames)
    known = labels_of(Index(workspace.bids), subjects_of(workspace.bids))
    write_sessions(workspace.private, names, known)
    return answer(await run_in_threadpool(overview, workspace, STUDY))


async def report(request: Request) -> Response:
    """Answer with a page of the outputs, sealed off from the desk."""
    path = _page(request)
    headers = {**HEADERS, "Content-Security-Policy": PAGE_POLICY}
    return FileResponse(path, media_type="text/html", headers=headers)


async def stamp(request: Request) -> Response:
    """Answer with when a page was written, so that one that is open follows it."""
    stat = _page(request).stat()
    return answer({"stamp": f"{stat.st_mtime_ns}-{stat.st_size}"})


def _page(request: Request) -> Path:
    workspace = workspace_of(request)
    out = out_of(workspace, request.query_params.get("study", STUDY.name))
    path = workspace.inside(request.path_params["path"], out)
    if path.suffix != ".html" or not path.is_file():
        raise HTTPException(404)
    return path


ROUTES = [
    Route("/api/patients", patients),
    Route("/api/sessions", sessions, methods=["PUT"]),
    Route("/api/stamp/{path:path}", stamp),
    Route("/reports/{path:path}", report),
]
