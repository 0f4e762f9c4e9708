"""The desk's application: the routes of every topic behind one guard."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware

from falx.desk import (
    cohort,
    gene_runs,
    importing,
    masks,
    patients,
    planning,
    registration,
    running,
    shells,
)
from falx.desk.answers import HANDLERS
from falx.desk.guard import Guard, Pass
from falx.desk.workspace import Workspace

__all__ = ["make_app"]

TOPICS = (
    shells, patients, importing, running, cohort, masks, registration, planning, gene_runs,
)  # fmt: skip
"""Modules with a list ``ROUTES``."""


def make_app(workspace: Workspace, token: str, port: int) -> Starlette:
    """Return the application of a desk.

    Parameters
    ----------
    workspace
        Its folders; handlers find them as ``request.app.state.workspace``.
    token
        What the address carries, once.
    port
        Port on which it will be served, for the check of the host.
    """
    app = Starlette(
        routes=[route for topic in TOPICS for route in topic.ROUTES],
        middleware=[Middleware(Guard, entry=Pass(token), port=port)],
        exception_handlers=HANDLERS,
    )
    app.state.workspace = workspace
    return app
