"""Bodies that are arrays: what is said of them stands in the address, or in a header."""

from __future__ import annotations

import json
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from falx.core.errors import InputError
from falx.core.records import plain, record_of
from falx.desk.drawing import Canvas

__all__ = ["carried", "carried_canvas", "from_query"]

T = TypeVar("T")
BINARY = "application/octet-stream"


def from_query(request: Request, kind: type[T]) -> T:
    """Return the record that an address carries as JSON, beside a body that is a drawing."""
    try:
        content = json.loads(request.query_params.get("about", ""))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError("the request is no JSON object", do="reload the page")
    return record_of(kind, content, where="the request")


def carried(bits: bytes, about: object) -> Response:
    """Answer with a drawing, and what is said of it in a header of ASCII JSON."""
    return Response(bits, media_type=BINARY, headers={"X-About": json.dumps(plain(about))})


def carried_canvas(found: Canvas) -> Response:
    """Answer with greys, uint16 of little end, the first axis fastest."""
    about = {
        "shape": list(found.grid.shape),
        "affine": found.grid.affine.tolist(),
        "voxelMm": found.grid.voxel_sizes_mm.tolist(),
        "low": found.low,
        "step": found.step,
        "window": list(found.window),
    }
    return carried(found.grey.astype("<u2", copy=False).tobytes(order="F"), about)
