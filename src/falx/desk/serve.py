"""Serving a desk: on the loopback only, until Ctrl-C."""

from __future__ import annotations

import fcntl
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from falx.core.errors import InputError
from falx.desk.app import make_app
from falx.desk.transfers import purge
from falx.desk.workspace import Workspace

__all__ = ["entry_page", "serve"]

HOST = "127.0.0.1"


def serve(folder: Path, *, port: int, ready: Callable[[str, Path], None]) -> None:
    """Serve the desk of a folder until the process is asked to end.

    Parameters
    ----------
    port
        0: any that is free.
    ready
        Called once when the server listens, with the address that lets one browser in, and
        with the desk's private folder.

    Raises
    ------
    InputError
        If the folder is none for a desk, or the port is taken.
    """
    workspace = Workspace.open(folder)
    with _only_desk(workspace.private):
        purge(workspace.private)
        _listen(workspace, port, ready)


@contextmanager
def _only_desk(private: Path) -> Iterator[None]:
    """Hold the folder for this server; the system lets go of it however the server ends."""
    with (private / "desk.lock").open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another desk has this folder open",
                where=private.parent,
                do="use that one: it may have several windows; or end it first",
            ) from None
        except OSError as error:  # a disk of the network, often
            raise InputError(
                "the folder cannot be held for this desk alone",
                where=private.parent,
                found=error.strerror,
                do="put the study on a disk of this machine",
            ) from None
        yield


def _listen(workspace: Workspace, port: int, ready: Callable[[str, Path], None]) -> None:
    import uvicorn

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise InputError(
                "the desk cannot listen at this port",
                where=f"--port {port}",
                found=error.strerror,
                do="leave --port away: any free one is then taken",
            ) from None
        port = listening.getsockname()[1]
        listening.listen()
        token = secrets.token_urlsafe(24)
        app = make_app(workspace, token, port)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", server_header=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        ready(f"http://{HOST}:{port}/?token={token}", workspace.private)
        with suppress(KeyboardInterrupt):  # which the server hands on once it has closed
            uvicorn.Server(config).run(sockets=[listening])


def entry_page(private: Path, address: str) -> Path:
    """Write a page that leads to the address, for its owner only.

    A browser is started with this file and not with the address: the arguments of a process can
    be read by everybody on the machine.
    """
    path = private / "open.html"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(
        f'<!doctype html><title>Falx desk</title><meta http-equiv="refresh" '
        f'content="0;url={address}"><a href="{address}">Open the desk</a>',
        encoding="utf-8",
    )
    return path
