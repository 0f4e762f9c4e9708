"""Digests of file contents, remembered by size and time so that nothing is read twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from falx.core.files import write_text

__all__ = [
    "DigestCache", "Values", "digest_file", "digest_value", "read_private", "read_sealed", "seal",
    "stamp", "unseal",
]  # fmt: skip

Values = Mapping[str, Any]
"""Values by name, of any kind that JSON holds: parameters of stages, and what files keep."""

_SEAL = ',\n "seal": "'

_CHUNK = 1 << 20


def digest_file(path: Path | str) -> str:
    """Return the BLAKE2b digest (256 bits, hexadecimal) of a file's content."""
    state = hashlib.blake2b(digest_size=32)
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def digest_value(value: Any) -> str:
    """Return the digest of a JSON value; equal values give equal digests.

    Examples
    --------
    >>> digest_value({"a": 1, "b": 2}) == digest_value({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return digest_text(text)


def digest_text(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def seal(content: Values) -> str:
    """Write JSON whose last key is the digest of all that stands before it.

    Examples
    --------
    >>> unseal(seal({"a": 1}))
    {'a': 1}
    >>> unseal(seal({"a": 1}).replace("1", "2")) is None
    True
    """
    body = json.dumps(content, indent=1, ensure_ascii=False, default=str).removesuffix("\n}")
    return f'{body}{_SEAL}{digest_text(body)}"\n}}\n'


def unseal(text: str) -> Values | None:
    """Return what was sealed; ``None`` if a single character is another one since."""
    body, mark, end = text.rpartition(_SEAL)
    if not mark or end != f'{digest_text(body)}"\n}}\n':
        return None
    return dict(json.loads(body + "\n}"))


def read_sealed(path: Path) -> Values | None:
    """Return what :func:`seal` has written to a file; ``None`` if missing or damaged."""
    try:
        return unseal(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_private(path: Path) -> Values:
    """Return an object of JSON that the engine keeps for itself; empty if missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def stamp(path: Path | str) -> tuple[int, int] | None:
    """Return size in bytes and time of last change in ns; ``None`` for a missing file."""
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns


class DigestCache:
    """Digests of files by path, valid while size and time of last change stay.

    Parameters
    ----------
    path
        Where they are kept between runs. A damaged or missing file counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        self._known: dict[str, list[Any]] = {
            name: entry
            for name, entry in read_private(path).items()
            if isinstance(entry, list) and len(entry) == 3
        }

    def get(self, path: Path | str) -> str | None:
        """Return the digest of a file, ``None`` if it is missing."""
        now = stamp(path)
        if now is None:
            return None
        entry = self._known.get(str(path))
        if entry is not None and (entry[0], entry[1]) == now:
            return str(entry[2])
        digest = digest_file(path)
        self._known[str(path)] = [*now, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Keep what was learned."""
        if self._changed:
            write_text(self._path, json.dumps(self._known))
            self._changed = False
