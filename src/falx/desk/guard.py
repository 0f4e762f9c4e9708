"""Who may talk to the desk: the browser that was handed the token, from the desk's own pages.

A page of the internet can make a browser send requests to this machine, and a name of the
internet can be made to lead here (DNS rebinding). So every request must name this server as its
host, carry the cookie that the one-time token was exchanged for, and, where it changes something,
come from a page of this server. ``docs/desk.md`` is the threat model.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from falx.core.errors import FalxError

__all__ = [
    "HEADERS",
    "LARGEST_BODY",
    "LARGEST_UPLOAD",
    "UPLOADS",
    "Guard",
    "Pass",
    "TooLargeError",
]

LARGEST_BODY = 64 << 20
"""Bytes of a request; a mask of 256³ voxels is 16 MB."""

LARGEST_UPLOAD = 8 << 30
"""Bytes of one uploaded file."""

UPLOADS = "/api/import/upload/"
"""Where requests may be as large as an uploaded file."""

LONGEST_HEAD = 16_000
"""Characters of path, query and headers together."""

SAFE = ("GET", "HEAD")
METHODS = (*SAFE, "POST", "PUT", "DELETE")

POLICY = "; ".join(
    (
        "default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'",
        "img-src 'self' data: blob:", "worker-src 'self' blob:", "connect-src 'self' data: blob:",
        "object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'self'",
    )
)  # fmt: skip
"""Nothing from elsewhere and no script in a page; WebAssembly and blobs are the viewer's."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}


@dataclass
class Pass:
    """The one-time token of an address and the secret that it is exchanged for.

    Parameters
    ----------
    token
        Valid once.
    secret
        Value of the cookie from then on, in this server's life.
    """

    token: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def exchange(self, given: str) -> bool:
        """Whether a token is the one of the address; it is used up by this."""
        fits = bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())
        if fits:
            self.token = ""
        return fits

    def admits(self, given: str) -> bool:
        """Whether a cookie is that of this server."""
        return hmac.compare_digest(given.encode(), self.secret.encode())


class Guard:
    """Middleware in front of everything, assets and server-sent events included.

    Parameters
    ----------
    app
        What is guarded.
    entry
        Token and secret.
    port
        Port the server listens on.
    """

    def __init__(self, app: ASGIApp, entry: Pass, port: int) -> None:
        self.app, self.entry = app, entry
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.cookie = f"falx-desk-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, exchange the token, or pass on with the headers of every answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no part of the desk uses web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        sealed = _with_headers(send)
        answer = self._refused(scope) or self._exchanged(scope)
        if answer is not None:
            await answer(scope, receive, sealed)
            return
        largest = LARGEST_UPLOAD if scope["path"].startswith(UPLOADS) else LARGEST_BODY
        await self.app(scope, _bounded(receive, largest), sealed)

    def _refused(self, scope: Scope) -> Response | None:
        """Answer of a request that no token helps, ``None`` if there is nothing against it."""
        headers, method = Headers(scope=scope), scope["method"]
        if method not in METHODS:
            return _refusal(405, "the desk knows no such method")
        if len(headers.getlist("host")) != 1 or headers["host"] not in self.hosts:
            return _refusal(421, "the request names another server than this desk")
        if self._brings_token(scope):
            return None
        own = {f"http://{host}" for host in self.hosts}
        origins = headers.getlist("origin")
        if len(origins) > 1 or (origins and origins[0] not in own):
            return _refusal(403, "the request comes from a page of another server")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refusal(403, "the request comes from a page of another server")
        if method not in SAFE and not origins:
            return _refusal(403, "the request does not say which page it comes from")
        if sum(len(a) + len(b) for a, b in scope["headers"]) > LONGEST_HEAD:
            return _refusal(431, "the head of the request is too long")
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_HEAD:
            return _refusal(414, "the address is too long")
        return _wrong_length(headers, scope["path"])

    def _brings_token(self, scope: Scope) -> bool:
        """Whether a token stands in the address; the link to it may be anywhere, as in a mail."""
        return scope["path"] == "/" and scope["method"] == "GET" and len(_tokens(scope)) == 1

    def _exchanged(self, scope: Scope) -> Response | None:
        """Answer of a request without the cookie, or with a token in its address."""
        if self._brings_token(scope):
            if self.entry.exchange(_tokens(scope)[0]):
                # No redirection: a browser that comes from elsewhere would not bring the cookie.
                welcome = HTMLResponse(WELCOME)
                welcome.set_cookie(
                    self.cookie, self.entry.secret, httponly=True, samesite="strict"
                )
                return welcome
            if not self._admitted(scope):
                return _refusal(401, "this address has been used; start falx desk again")
            return RedirectResponse("/", status_code=303)
        return None if self._admitted(scope) else _refusal(401, NO_COOKIE)

    def _admitted(self, scope: Scope) -> bool:
        lines = Headers(scope=scope).getlist("cookie")
        found = cookie_parser("; ".join(lines)).get(self.cookie, "")
        return self.entry.admits(found)


WELCOME = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Falx desk</title>'
    '<link rel="icon" href="data:,"><meta http-equiv="refresh" content="0;url=/">'
    '<p><a href="/">Open the desk</a></p></html>'
)

NO_COOKIE = "open the desk by the address that falx desk printed"


def _tokens(scope: Scope) -> list[str]:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [])


def _wrong_length(headers: Headers, path: str) -> Response | None:
    """Answer of a body whose declared length is none, or beyond what is allowed."""
    lengths = headers.getlist("content-length")
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0].isdecimal():
        return _refusal(400, "the length of the request is no number")
    largest = LARGEST_UPLOAD if path.startswith(UPLOADS) else LARGEST_BODY
    return _refusal(413, TOO_LARGE) if int(lengths[0]) > largest else None


TOO_LARGE = "the request is larger than the desk takes"


class TooLargeError(FalxError):
    """A body without a declared length went beyond what is allowed."""


def _bounded(receive: Receive, largest: int) -> Receive:
    """Count what comes in; a body may come in pieces that declare no length."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > largest:
            raise TooLargeError(TOO_LARGE + ".")
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sealed


def _refusal(code: int, what: str) -> Response:
    return JSONResponse({"error": what + "."}, status_code=code)
