"""What a handler reads and answers: a record of JSON in, JSON or one sentence out."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from falx.core.disk import explain
from falx.core.errors import FalxError, InputError
from falx.core.records import plain, record_of
from falx.desk.guard import HEADERS, TooLargeError
from falx.desk.workspace import Workspace

__all__ = ["HANDLERS", "answer", "asked", "workspace_of"]

T = TypeVar("T")


async def asked(request: Request, kind: type[T]) -> T:
    """Return the body of a request as a record.

    Raises
    ------
    InputError
        If it is no JSON object, or its fields are not those of the record.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InputError("the desk takes JSON here", do="reload the page")
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise InputError("the request is no JSON", do="reload the page") from None
    if not isinstance(content, dict):
        raise InputError("the request is no JSON object", do="reload the page")
    return record_of(kind, content, where="the request")


def answer(record: object) -> JSONResponse:
    """Answer with a record, a mapping or a list of them as JSON."""
    return JSONResponse(plain(record))


def workspace_of(request: Request) -> Workspace:
    """Return the folders that the desk works on."""
    found: Workspace = request.app.state.workspace
    return found


def refused(_request: Request, error: Exception) -> Response:
    """Answer with the sentence of a known error."""
    code = 413 if isinstance(error, TooLargeError) else 400
    return JSONResponse({"error": str(error)}, status_code=code)


def disk_failed(_request: Request, error: Exception) -> Response:
    """Answer with what a full disk, a vanished folder or a lost permission means."""
    assert isinstance(error, OSError)
    known = explain(error, where="the desk")
    if known is not None:
        return JSONResponse({"error": str(known)}, status_code=507)
    name = getattr(error, "filename", None) or "a file"
    what = f"{name}: {error.strerror or error}; put it back, or reload the page."
    return JSONResponse({"error": what}, status_code=500)


def unknown(_request: Request, error: Exception) -> Response:
    """Answer where there is no such page, or another method."""
    code = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: "the desk has no such page.", 405: "the desk knows no such method."}
    return JSONResponse({"error": text.get(code, "the request failed.")}, status_code=code)


def broken(_request: Request, error: Exception) -> Response:
    """Answer of an error that nobody foresaw; the terminal shows where it arose."""
    what = f"an error that the desk does not know ({type(error).__name__}: {error})"
    return JSONResponse({"error": f"{what}; please report it."}, status_code=500, headers=HEADERS)


def gone(_request: Request, _error: Exception) -> Response:
    """Answer nobody: the browser hung up."""
    return Response(status_code=400)


HANDLERS: dict[Any, Any] = {
    FalxError: refused,
    OSError: disk_failed,
    HTTPException: unknown,
    ClientDisconnect: gone,
    Exception: broken,
}
"""Answer of each kind of error."""
