"""Unpacking an archive that nobody vouches for: no path of it is followed, no promise believed."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from falx.core.errors import InputError

__all__ = ["MOST_BYTES", "MOST_FILES", "MOST_RATIO", "unpack"]

MOST_FILES = 50_000
MOST_BYTES = 16 << 30
MOST_RATIO = 200
"""Unpacked over packed size of the whole archive; images of a head pack to a tenth at best."""

SMALL = 1 << 20
"""Below this many bytes the ratio says nothing."""

BLOCK = 1 << 20


def unpack(archive: Path, place: Callable[[str], Path]) -> int:
    """Unpack a zip file and return how many files it held.

    Parameters
    ----------
    place
        Gives the path to write to for the name of an entry; it is the caller's own.

    Raises
    ------
    InputError
        If it is damaged or encrypted, an entry leads out of the archive or is a link, or there
        are more files, bytes, or a higher ratio than :data:`MOST_FILES` and so on allow. Bytes
        are counted as they come out, whatever the archive says of itself.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if len(entries) > MOST_FILES:
                raise _refused("too many files", f"{len(entries)}; at most {MOST_FILES}")
            for entry in entries:
                _check(entry)
            most = min(max(archive.stat().st_size * MOST_RATIO, SMALL), MOST_BYTES)
            for entry in entries:
                most -= _copy(opened, entry, place(entry.filename), most)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "the zip file cannot be unpacked",
            found=str(error),
            do="pack it again, or choose the folder itself",
        ) from None
    return len(entries)


def _check(entry: zipfile.ZipInfo) -> None:
    name, mode = entry.filename, entry.external_attr >> 16
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or ":" in name or "\0" in name:
        raise _refused("a file would be written elsewhere", ascii(name[:60]))
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise _refused("an entry is no plain file", ascii(name[:60]))
    if entry.flag_bits & 1:
        raise _refused("it is encrypted", ascii(name[:60]))


def _copy(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, most: int) -> int:
    written = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(entry) as source, path.open("wb") as target:
        while block := source.read(BLOCK):
            written += len(block)
            if written > most:
                raise _refused("it unpacks to more than images do", f"more than {most:,} bytes")
            target.write(block)
    return written


def _refused(what: str, found: str) -> InputError:
    return InputError(
        f"the zip file is refused: {what}", found=found, do="choose the folder itself"
    )
