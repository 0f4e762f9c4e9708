"""What Falx can fetch: official sources with size, hash and licence; nothing half-written.

Pooch writes a file to a temporary name, tries again where a transfer fails, and checks its hash
before it gives the name. So a download that stops half-way leaves nothing that could be taken for
the file. Nothing is fetched unless a user asks for it by name.
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from falx.core.errors import InputError, check_option
from falx.core.tables import parse_table, rows_as

__all__ = ["Download", "Fetched", "catalogue", "fetch", "groups", "matches"]

PIECE_BYTES = 1 << 20
RETRIES = 2
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
        ``sha256:…`` or ``md5:…``; ``zip`` or ``gzip`` where the source publishes none and the
        archive's own sums are checked; empty where there is nothing to compare with.
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
    table = parse_table(text, where="downloads.tsv")
    return tuple(rows_as(Download, table, n_bytes="bytes"))


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
    if download.checksum in ("zip", "gzip"):
        return _whole_archive(path, download.checksum)
    if not download.checksum:
        return True
    kind, _, expected = download.checksum.partition(":")
    return _digest(path, kind) == expected


def fetch(
    download: Download,
    folder: Path | str,
    *,
    progress: Progress | None = None,
    retries: int | None = None,
) -> Fetched:
    """Fetch one file, or find that it is there already.

    Parameters
    ----------
    progress
        Called with bytes so far and bytes in all (None if unknown).
    retries
        How often a transfer that failed is tried again; :data:`RETRIES` if None.

    Raises
    ------
    InputError
        If the source does not answer, the transfer stops, or size or hash differ; the file then
        does not exist.
    """
    target = Path(folder) / download.path
    if matches(target, download):
        return Fetched(target, _digest(target, "sha256"), fresh=False)
    target.unlink(missing_ok=True)
    _transfer(download, target, progress, RETRIES if retries is None else retries)
    return Fetched(target, _digest(target, "sha256"), fresh=True)


def _transfer(download: Download, target: Path, progress: Progress | None, retries: int) -> None:
    """Let pooch write to a temporary name, try again, check the hash, and give the name."""
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    known = download.checksum if ":" in download.checksum else None
    source = pooch.create(
        path=target.parent,
        base_url="",
        registry={target.name: known},
        urls={target.name: download.url},
        retry_if_failed=retries,
    )
    shown = _Bar(progress, download.n_bytes) if progress is not None else False
    downloader = pooch.HTTPDownloader(
        progressbar=shown, chunk_size=PIECE_BYTES, headers={"User-Agent": "falx"}, timeout=60
    )
    try:
        source.fetch(target.name, downloader=downloader)
        _check(download, target)
    except requests.exceptions.ChunkedEncodingError as error:
        raise InputError(
            "the transfer stopped half-way",
            where=download.path,
            found=error,
            do="run the same command again",
        ) from error
    except requests.exceptions.RequestException as error:
        raise InputError(
            "the source does not answer",
            where=download.url,
            found=error,
            do=f"try again later, or put the file at {target} by hand",
        ) from error
    except ValueError as error:  # pooch's word for another hash
        raise _changed(download, "its hash differs") from error


class _Bar:
    """What pooch calls as bytes arrive."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self.progress, self.known, self.total, self.done = progress, total, 0, 0

    def update(self, n: int) -> None:
        self.done += n
        self.progress(self.done, self.known or self.total or None)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing is left to draw."""


def _check(download: Download, target: Path) -> None:
    """Take back the name of a file whose size or archive is not right."""
    size = target.stat().st_size
    if matches(target, download):
        return
    target.unlink()
    if download.n_bytes is not None and size != download.n_bytes:
        raise InputError(
            "the file has another size than the catalogue says",
            where=download.path,
            found=f"{size} bytes, not {download.n_bytes}",
            do="try again; the source may be cut",
        )
    raise _changed(download, "a damaged archive")


def _changed(download: Download, found: str) -> InputError:
    return InputError(
        "the file is not what the catalogue describes",
        where=download.path,
        found=found,
        do="try again; if it stays so, the source has changed: report it",
    )


def _whole_archive(path: Path, kind: str) -> bool:
    try:
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        with gzip.open(path) as stream:
            while stream.read(PIECE_BYTES):
                pass
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error):
        return False
    return True


def _digest(path: Path, kind: str) -> str:
    # MD5 is what some sources publish; it guards against damage here, not against malice.
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
