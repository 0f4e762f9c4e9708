"""The page Look: registrations judged by eye, and nudged where they are wrong."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from falx.core.records import plain
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.carrying import carried_canvas, from_query
from falx.desk.placing import Nudge
from falx.desk.placing_files import decide, head_canvas, pairs, placed_canvas

__all__ = ["ROUTES"]


@dataclass(frozen=True)
class Wanted:
    """Which image: a role, or ``"head"`` for the T1w."""

    subject: str
    role: str


async def listed(request: Request) -> JSONResponse:
    """List the registrations of a patient."""
    subject = request.path_params["subject"]
    found = await run_in_threadpool(pairs, workspace_of(request), subject)
    return answer({"pairs": [plain(one) for one in found]})


async def grey(request: Request) -> Response:
    """Send the greys of the T1w, or of an image over it."""
    wanted, workspace = from_query(request, Wanted), workspace_of(request)
    if wanted.role == "head":
        found = await run_in_threadpool(head_canvas, workspace, wanted.subject)
    else:
        found = await run_in_threadpool(placed_canvas, workspace, wanted.subject, wanted.role)
    return carried_canvas(found)


async def decided(request: Request) -> JSONResponse:
    """Store a verdict."""
    nudge = await asked(request, Nudge)
    return answer(await run_in_threadpool(decide, workspace_of(request), nudge))


ROUTES = [
    Route("/api/look/pairs/{subject}", listed),
    Route("/api/look/grey", grey),
    Route("/api/look/decide", decided, methods=["POST"]),
]
