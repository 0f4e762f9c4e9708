"""The page Plan: plans scored by the planner's own rules, kept, compared and handed over."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from falx.core.records import plain
from falx.desk.answers import answer, asked, workspace_of
from falx.desk.carrying import carried, from_query
from falx.desk.drawing import pack
from falx.desk.plan_files import (
    bench_of,
    forget_plan,
    hand_over,
    keep_plan,
    kept_plans,
    layer,
    planned_options,
    score,
    search_plan,
)
from falx.desk.planned import figures_of
from falx.desk.workspace import Workspace
from falx.studies.plan.records import PlanDocument
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory

__all__ = ["ROUTES"]

Point = tuple[float, float, float]


@dataclass(frozen=True)
class PlanWords:
    """A plan as the page holds it, RAS+ mm of the T1w."""

    entry_ras_mm: Point
    target_ras_mm: Point
    burns: tuple[Burn, ...]

    @property
    def plan(self) -> LaserPlan:
        """The plan."""
        return LaserPlan(Trajectory(self.entry_ras_mm, self.target_ras_mm), self.burns)


@dataclass(frozen=True)
class Scored:
    """A plan to be scored or, with a name, kept."""

    subject: str
    plan: PlanWords
    name: str = ""


@dataclass(frozen=True)
class Named:
    """A plan that was kept, or a mask; and where the DICOM series lies that it goes onto."""

    subject: str
    name: str = ""
    series: str = ""


async def opened(request: Request) -> JSONResponse:
    """Say what there is to plan with."""
    subject = request.path_params["subject"]
    return answer(await run_in_threadpool(_opened, workspace_of(request), subject))


def _opened(workspace: Workspace, subject: str) -> dict[str, object]:
    document, bench = planned_options(workspace, subject), bench_of(workspace, subject)
    options = [] if document is None else list(document.shown)
    suggested = None if document is None else document.suggested
    if document is not None and suggested is None and options:
        suggested = document.compromises.get("both", 0)
    return {
        "side": bench.side,
        "limits": plain(bench.choices.limits),
        "goal": plain(bench.choices.goal),
        "notices": list(bench.notices),
        "options": [plain(option) for option in options],
        "found_with": [] if document is None else _found_with(document),
        "suggested": suggested,
        "kept": [plain(one) for one in kept_plans(workspace, subject)],
    }


def _found_with(document: PlanDocument) -> list[str]:
    """Return under which relaxation each plan was found; empty under the limits as they are."""
    more = [found.words for found in document.trade_offs if found.option is not None]
    return [""] * len(document.options) + more


async def mask(request: Request) -> Response:
    """Send a mask that is shown."""
    wanted = from_query(request, Named)
    bits = await run_in_threadpool(layer, workspace_of(request), wanted.subject, wanted.name)
    return carried(pack(bits), {"name": wanted.name})


async def scored(request: Request) -> JSONResponse:
    """Score the plan under the hand."""
    given = await asked(request, Scored)
    return answer(await run_in_threadpool(_scored, workspace_of(request), given))


def _scored(workspace: Workspace, given: Scored) -> object:
    return figures_of(score(bench_of(workspace, given.subject), given.plan.plan))


async def kept(request: Request) -> JSONResponse:
    """Keep a plan under a name."""
    given, workspace = await asked(request, Scored), workspace_of(request)
    plan = given.plan.plan
    return answer(await run_in_threadpool(keep_plan, workspace, given.subject, given.name, plan))


async def forgotten(request: Request) -> JSONResponse:
    """Delete a plan that was kept."""
    named = from_query(request, Named)
    await run_in_threadpool(forget_plan, workspace_of(request), named.subject, named.name)
    return answer({})


async def searched(request: Request) -> JSONResponse:
    """Look for plans as the command line does."""
    named, workspace = await asked(request, Named), workspace_of(request)
    await run_in_threadpool(search_plan, workspace, named.subject)
    return answer(await run_in_threadpool(_opened, workspace, named.subject))


async def handed(request: Request) -> JSONResponse:
    """Write a kept plan as PDF and DICOM into a folder."""
    named = await asked(request, Named)
    written = await run_in_threadpool(
        hand_over, workspace_of(request), named.subject, named.name, named.series
    )
    return answer({"written": written})


ROUTES = [
    Route("/api/plan/open/{subject}", opened),
    Route("/api/plan/mask", mask),
    Route("/api/plan/score", scored, methods=["POST"]),
    Route("/api/plan/keep", kept, methods=["POST"]),
    Route("/api/plan/keep", forgotten, methods=["DELETE"]),
    Route("/api/plan/search", searched, methods=["POST"]),
    Route("/api/plan/hand-over", handed, methods=["POST"]),
]
