"""What Falx can fetch: official sources with size, hash and licence; nothing half-written.

A file is written to a temporary name, checked while it arrives and after it, and only then gets
its name. So a download that stops half-way leaves nothing that could be taken for the file.
"""

from __future__ import annotations

import csv
import hashlib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from falx.core.errors import InputError, check_option
from falx.core.files import atomic_path

__all__ = ["Download", "Fetched", "catalogue", "fetch", "groups", "matches"]

PIECE_BYTES = 1 << 20
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Download:
    """One file that can be fetched.

    Attributes
    ----------
    group
        Name that a user asks for; a group may hold several files.
    path
        Where the file goes below the download folder.
    n_bytes
        Size, None where the source changes with each release.
    checksum
        ``sha256:…`` or ``md5:…``; ``zip`` where the source publishes none and the archive's own
        sums are checked; empty where there is nothing to compare with.
    licence, note
        Shown before the download.
    """

    group: str
    path: str
    n_bytes: int | None
    checksum: str
    licence: str
    url: str
    note: str


@dataclass(frozen=True)
class Fetched:
    """A file that is there and whole; `fresh` if it was fetched just now."""

    path: Path
    sha256: str
    fresh: bool


def catalogue() -> tuple[Download, ...]:
    """Return everything that can be fetched, in the order of the catalogue."""
    text = (resources.files("falx.data") / "downloads.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return tuple(
        Download(
            row["group"],
            row["path"],
            int(row["bytes"]) if row["bytes"] else None,
            row["checksum"],
            row["licence"],
            row["url"],
            row["note"],
        )
        for row in rows
    )


def groups(name: str) -> tuple[Download, ...]:
    """Return the files of one group; an unknown name is answered with the nearest."""
    known = catalogue()
    check_option("download", name, dict.fromkeys(d.group for d in known))
    return tuple(d for d in known if d.group == name)


def matches(path: Path, download: Download) -> bool:
    """Whether a file on disk is whole, as far as the catalogue can tell."""
    if not path.is_file():
        return False
    if download.n_bytes is not None and path.stat().st_size != download.n_bytes:
        return False
    if download.checksum == "zip":
        return _whole_archive(path)
    if not download.checksum:
        return True
    kind, _, expected = download.checksum.partition(":")
    return _digest(path, kind) == expected


def fetch(download: Download, folder: Path | str, *, progress: Progress | None = None) -> Fetched:
    """Fetch one file, or find that it is there already.

    Parameters
    ----------
    progress
        Called with bytes so far and bytes in all (None if unknown).

    Raises
    ------
    InputError
        If the source does not answer, the transfer stops, or size or hash differ; the file then
        does not exist.
    """
    target = Path(folder) / download.path
    if matches(target, download):
        return Fetched(target, _digest(target, "sha256"), fresh=False)
    try:
        with atomic_path(target) as temporary:
            _transfer(download, temporary, progress)
            _check(download, temporary)
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise InputError(
            "the source does not answer",
            where=download.url,
            found=error,
            do=f"try again later, or put the file at {target} by hand",
        ) from error
    return Fetched(target, _digest(target, "sha256"), fresh=True)


def _transfer(download: Download, temporary: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(download.url, headers={"User-Agent": "falx"})  # noqa: S310 - addresses come from the catalogue
    with urllib.request.urlopen(request, timeout=60) as source, temporary.open("wb") as out:  # noqa: S310
        stated = source.headers.get("Content-Length")
        total = download.n_bytes or (int(stated) if stated else None)
        done = _copy(source, out, total, progress)
    if stated is not None and done != int(stated):
        raise InputError(
            "the transfer stopped half-way",
            where=download.path,
            found=f"{done} of {stated} bytes",
            do="run the same command again",
        )


def _copy(source: BinaryIO, out: BinaryIO, total: int | None, progress: Progress | None) -> int:
    done = 0
    while piece := source.read(PIECE_BYTES):
        out.write(piece)
        done += len(piece)
        if progress is not None:
            progress(done, total)
    return done


def _check(download: Download, temporary: Path) -> None:
    size = temporary.stat().st_size
    if download.n_bytes is not None and size != download.n_bytes:
        raise InputError(
            "the file has another size than the catalogue says",
            where=download.path,
            found=f"{size} bytes, not {download.n_bytes}",
            do="try again; the source may be cut",
        )
    if not matches(temporary, download):
        raise InputError(
            "the file is not what the catalogue describes",
            where=download.path,
            found="its hash differs" if download.checksum != "zip" else "a damaged archive",
            do="try again; if it stays so, the source has changed: report it",
        )


def _whole_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, OSError):
        return False


def _digest(path: Path, kind: str) -> str:
    # MD5 is what some sources publish; it guards against damage here, not against malice.
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
