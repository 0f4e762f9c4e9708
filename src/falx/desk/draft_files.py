"""Files of drafts: drawings that were not saved yet, in the private folder."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from falx.core.errors import FalxError, InputError
from falx.core.files import atomic_path
from falx.core.records import plain, record_of
from falx.desk.drawing import Draft, MaskTarget, unpack
from falx.desk.workspace import Workspace
from falx.engine.digest import digest_text

__all__ = ["discard", "drafts", "keep_draft", "read_draft"]

LONGEST_LINE = 1 << 16


def keep_draft(
    workspace: Workspace, draft: Draft, packed: bytes, shape: tuple[int, int, int]
) -> Draft:
    """Keep a drawing so that neither a killed server nor a closed browser loses it.

    Parameters
    ----------
    packed
        As :func:`falx.desk.drawing.pack` packs it.
    shape
        Of the image, RAS+.
    """
    unpack(packed, shape)  # what is no drawing replaces none
    now = replace(draft, updated=datetime.now(UTC).isoformat(timespec="milliseconds"))
    about = json.dumps(plain(now), ensure_ascii=False).encode()
    # One file, whose first line says what the rest is, so that both change together.
    with atomic_path(_place(workspace, now), durable=True) as part:
        part.write_bytes(about + b"\n" + packed)
    return now


def drafts(workspace: Workspace, target: MaskTarget) -> list[Draft]:
    """List the drafts of a mask, the newest first; one that cannot be read is passed over."""
    found = []
    for path in _folder(workspace, target).glob("*.draft"):
        with contextlib.suppress(FalxError, OSError):
            found.append(_read(path)[0])
    return sorted(found, key=lambda draft: draft.updated, reverse=True)


def read_draft(workspace: Workspace, target: MaskTarget, window: str) -> tuple[Draft, bytes]:
    """Read a draft and its drawing, packed.

    Raises
    ------
    InputError
        If there is none of this window, or its file is damaged.
    """
    return _read(_place(workspace, Draft(target, window, "", None, "")))


def discard(workspace: Workspace, target: MaskTarget, window: str) -> None:
    """Delete a draft, if it is there."""
    _place(workspace, Draft(target, window, "", None, "")).unlink(missing_ok=True)


def _place(workspace: Workspace, draft: Draft) -> Path:
    return _folder(workspace, draft.target) / f"{draft.window}.draft"


def _folder(workspace: Workspace, target: MaskTarget) -> Path:
    image = digest_text(target.image)[:8]
    return workspace.private / "drafts" / f"sub-{target.subject}" / f"{target.key}_{image}"


def _read(path: Path) -> tuple[Draft, bytes]:
    if not path.is_file():
        raise InputError("there is no such draft", do="open the mask again")
    about, _, packed = path.read_bytes().partition(b"\n")
    try:
        content = json.loads(about[:LONGEST_LINE])
    except ValueError:
        raise InputError("the draft is damaged", where=path.name, do="discard it") from None
    return record_of(Draft, content, where=path.name), packed
