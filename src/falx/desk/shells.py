"""The pages of the desk as they come from the package: shells, styles, bundled scripts."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

__all__ = ["PAGES", "ROUTES", "is_built"]

PAGES = ("patients", "import", "run", "look", "draw", "plan", "cohort", "genes")
"""Names of the pages; each has a shell ``pages/NAME.html`` and a script ``assets/NAME.js``."""

_HERE = Path(__file__).parent
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def is_built() -> bool:
    """Whether the scripts were bundled when this Falx was installed."""
    return all((_HERE / "assets" / f"{page}.js").is_file() for page in ("patients", "run"))


async def shell(request: Request) -> Response:
    """Answer with the shell of a page."""
    name = request.url.path.strip("/") or PAGES[0]
    path = _HERE / "pages" / f"{name}.html"
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type="text/html")


async def asset(request: Request) -> Response:
    """Answer with a script or style: one of those that lie there, named without a folder."""
    name = request.path_params["name"]
    for folder in (_HERE / "assets", _HERE / "pages"):
        found = {p.name: p for p in folder.iterdir() if p.suffix in _KINDS}
        if name in found:
            return FileResponse(found[name], media_type=_KINDS[found[name].suffix])
    raise HTTPException(404)


ROUTES = [
    Route("/", shell),
    *(Route(f"/{page}", shell) for page in (*PAGES, "view")),
    Route("/assets/{name}", asset),
]
