"""Small files: text, JSON, TOML and tables, read in a sentence or written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from falx.core.errors import InputError
from falx.core.participants import Participants, participants_of
from falx.core.records import record_of
from falx.core.tables import Table, decode, parse_table, table_text

__all__ = [
    "PART",
    "atomic_path",
    "flush",
    "flush_folders",
    "read_json",
    "read_participants",
    "read_record",
    "read_table",
    "read_text",
    "remove_parts",
    "write_bytes",
    "write_json",
    "write_table",
    "write_text",
]

T = TypeVar("T")

PART = (".falx-", ".part")
"""How the name of a file begins and ends that is not whole yet."""


def read_text(path: Path | str) -> str:
    """Read a text file in any of the encodings of :func:`falx.core.tables.decode`.

    A file that ends in ``.gz`` is unpacked.

    Raises
    ------
    InputError
        If the file is missing, cannot be unpacked or is no text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            "the file cannot be read",
            where=path.name,
            found=getattr(error, "strerror", None) or str(error),
            do="check the path, or copy the file again",
        ) from None
    return decode(data, where=path.name)


def read_table(
    path: Path | str, *, delimiter: str | None = None, unique: bool = True, pad: bool = False
) -> Table:
    """Read a table of text; see :func:`falx.core.tables.parse_table`."""
    path = Path(path)
    return parse_table(
        read_text(path), where=path.name, delimiter=delimiter, unique=unique, pad=pad
    )


def read_participants(path: Path | str) -> Participants:
    """Read ``participants.tsv``; see :func:`falx.core.participants.participants_of`."""
    return participants_of(read_table(path, delimiter="\t"))


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        If the file is missing or not JSON, or a key stands twice in one object: JSON does not say
        which of the two counts.
    """
    path = Path(path)
    try:
        return json.loads(read_text(path), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the file is not JSON that can be read", where=path.name, found=str(error),
            do="repair it there, or take it away",
        ) from None  # fmt: skip


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, whose keys must differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(twice[:3])} twice")
    return found


def read_record(kind: type[T], path: Path | str) -> T:
    """Read the record that a stage wrote as JSON; see :func:`falx.core.records.record_of`."""
    return record_of(kind, read_json(path), where=Path(path).name)


def write_table(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table atomically, its cells between tabulators, or commas for ``.csv``."""
    delimiter = "," if Path(path).name.endswith(".csv") else "\t"
    write_text(path, table_text(header, rows, delimiter=delimiter))


def write_json(path: Path | str, content: Mapping[str, object]) -> None:
    """Write JSON atomically; numbers that are not finite become null."""
    write_text(path, json.dumps(_plain(content), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path | str, text: str, *, durable: bool = False) -> None:
    """Write a text file atomically; a durable one outlives a loss of power from then on."""
    with atomic_path(Path(path), durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a whole file such as a picture, through a temporary name."""
    with atomic_path(Path(path)) as part:
        part.write_bytes(content)


@contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Temporary path that replaces `path` only if the block succeeds.

    Parameters
    ----------
    durable
        Bring the content to the disk before its name, and the name before this returns. Without
        it a loss of power may leave a name without content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PART[0], suffix=PART[1], dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if durable:
            flush(temporary)
        temporary.replace(path)
        if durable:
            flush(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Delete files that a process was writing when it was killed."""
    for path in folder.rglob(f"{PART[0]}*{PART[1]}"):
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk; some disks of networks cannot."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def flush_folders(paths: Iterable[Path], top: Path) -> None:
    """Bring the names of files to the disk, and those of the folders above them up to `top`."""
    folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(top)}
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        flush(folder)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # of numpy, which need not be loaded
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return value.as_posix()
    return value
