"""Routes of the cohort's page: the table of participants and the group level."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from falx.desk.answers import answer, asked, workspace_of
from falx.desk.cohort_table import ConflictError, Edit, changed, read_cohort
from falx.desk.studies import STUDIES, out_of
from falx.studies.signature.study import STUDY

__all__ = ["ROUTES"]


async def table(request: Request) -> Response:
    """Answer with the table."""
    return answer(await run_in_threadpool(read_cohort, workspace_of(request).bids, STUDY))


async def edit(request: Request) -> Response:
    """Write one change; 409 with a sentence if the table is no longer what the author saw."""
    change = await asked(request, Edit)
    try:
        now = await run_in_threadpool(changed, workspace_of(request).bids, STUDY, change)
    except ConflictError as error:
        return JSONResponse({"error": str(error)}, status_code=409)
    return answer(now)


async def results(request: Request) -> Response:
    """Answer with the studies that have a page of the group."""
    workspace = workspace_of(request)
    return answer({name: (out_of(workspace, name) / "group.html").is_file() for name in STUDIES})


ROUTES = [
    Route("/api/cohort", table),
    Route("/api/cohort", edit, methods=["PUT"]),
    Route("/api/results", results),
]
