"""``falx desk [FOLDER]``: the whole work in a browser, on one's own machine."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path

from falx.core.errors import InputError, check_extra_library, check_range

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("falx-desk"), metavar="FOLDER",
        help="BIDS dataset, or a new folder for patients to be imported; default falx-desk",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port to listen on; a free one if absent"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="only print the address; it is valid once"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve the desk until Ctrl-C."""
    for library in ("starlette", "uvicorn"):
        check_extra_library(library, extra="desk", does="the desk is served")
    from falx.desk.serve import entry_page, serve
    from falx.desk.shells import is_built

    if not is_built():
        raise InputError(
            "this installation has no pages of the desk: it was built without Node",
            do="install a wheel that holds them (make wheel), or install again without "
            "FALX_VIEWER=0",
        )

    def ready(address: str, private: Path) -> None:
        print(f"The desk of {arguments.folder} is open at\n{address}", flush=True)
        print("The address lets one browser in; Ctrl-C ends the desk.", flush=True)
        if not arguments.no_browser and _has_screen():
            webbrowser.open(entry_page(private, address).as_uri())

    check_range("--port", arguments.port, 0, 65535)
    serve(arguments.folder, port=arguments.port, ready=ready)
    print("The desk is closed; a run that was started goes on.", flush=True)
    return 0


def _has_screen() -> bool:
    """Whether a browser could be seen; without one, some systems start one in the terminal."""
    screens = os.environ.keys() & {"DISPLAY", "WAYLAND_DISPLAY"}
    return bool(screens) or sys.platform in ("darwin", "win32")
