"""Call a stage function with the flat arguments that a stage table gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from falx.core.stage import Stage, arguments_of

__all__ = ["call", "taken"]


def call(run: Callable[..., None], **arguments: Any) -> None:
    """Call a stage function as the engine does, records put together from their fields."""
    threads = arguments.pop("threads", 1)
    names = dict.fromkeys(arguments, "")
    Stage(run.__name__, run, inputs={}, outputs={}, params=names).call(arguments, threads=threads)


def taken(run: Callable[..., None], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those of some arguments that a stage function takes."""
    names = arguments_of(run)
    assert names is not None
    return {key: value for key, value in arguments.items() if key in names}
