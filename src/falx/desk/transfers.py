"""Files on their way into the dataset: kept apart, under names of the desk, and deleted again."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from starlette.concurrency import run_in_threadpool

from falx.core.disk import free_mb
from falx.core.errors import InputError
from falx.desk.archives import unpack
from falx.desk.workspace import inside

__all__ = ["Transfer", "open_transfer", "purge"]

FOLDER = "uploads"
MOST_FILES = 50_000
MOST_MB = 20_000
SPARE_MB = 500
"""Space that must stay free on the disk."""

_ID = re.compile(r"[0-9a-f]{16}")


class Transfer:
    """The files of one import.

    Parameters
    ----------
    folder
        Its folder in the desk's private one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.converted = folder / "converted"

    @classmethod
    def new(cls, private: Path) -> Transfer:
        """Open an import."""
        made = cls(private / FOLDER / secrets.token_hex(8))
        made.files.mkdir(parents=True, mode=0o700)
        return made

    @property
    def id(self) -> str:
        """Name of the import."""
        return self.folder.name

    def place(self, name: str) -> Path:
        """Return where a file goes that the browser calls `name`, folders in front of it.

        Only letters that are safe in a name are kept; files of one folder stay together.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or "\0" in name or name.startswith(("/", "\\")):
            raise InputError(
                "the name of a file leads elsewhere", found=ascii(name[:60]),
                do="choose the folder again",
            )  # fmt: skip
        folder = hashlib.blake2b("/".join(parts[:-1]).encode(), digest_size=4).hexdigest()
        tag = hashlib.blake2b(parts[-1].encode(), digest_size=4).hexdigest()
        safe = re.sub(r"[^A-Za-z0-9._+-]", "_", parts[-1])[-80:].lstrip(".")
        return self.files / folder / f"{tag}_{safe}"

    async def receive(self, name: str, stream: AsyncIterator[bytes]) -> int:
        """Write a file as it comes in; half a file leaves nothing.

        Raises
        ------
        InputError
            If it is one too many, or the disk would be full.
        """
        path = self.place(name)
        await run_in_threadpool(self._check_room)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".falx-{secrets.token_hex(4)}.part")
        size = 0
        try:
            with part.open("wb") as target:
                async for block in stream:
                    size += target.write(block)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return size

    def unpacked(self) -> None:
        """Unpack what are zip files by their first bytes, and forget the archives."""
        for path in [path for path in self.files.rglob("*") if path.is_file()]:
            with path.open("rb") as stream:
                zipped = stream.read(4) == b"PK\x03\x04"
            if zipped:
                unpack(path, lambda name, own=path.stem: self.place(f"{own}/{name}"))  # type: ignore[misc]
                path.unlink()

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_room(self) -> None:
        count = sum(1 for _ in self.files.glob("*/*"))
        if count >= MOST_FILES:
            raise InputError(
                "these are too many files for one import", found=f"more than {MOST_FILES}",
                do="choose the folder of one patient",
            )  # fmt: skip
        if free_mb(self.files) < SPARE_MB:
            raise InputError(
                "the disk is nearly full", where=self.files.parents[2],
                found=f"{free_mb(self.files):.0f} MB free", do="free some and import again",
            )  # fmt: skip


def open_transfer(private: Path, transfer_id: str) -> Transfer:
    """Return an import that is under way.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    found = Transfer(inside(f"{FOLDER}/{transfer_id}", private))
    if not _ID.fullmatch(transfer_id) or not found.files.is_dir():
        raise InputError(
            "this import is no longer under way", do="choose the folder again; nothing was written"
        )
    return found


def purge(private: Path) -> None:
    """Delete what imports left behind that never ended: it may name patients."""
    shutil.rmtree(private / FOLDER, ignore_errors=True)
