"""What the errors of a disk mean."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from falx.core.errors import InputError

__all__ = ["existing_parent", "explain", "free_mb"]

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.EILSEQ)
NO_ANSWER = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN)
NO_PERMISSION = (errno.EROFS, errno.EACCES, errno.EPERM)


def explain(error: OSError, *, where: object) -> InputError | None:
    """Turn an error of the disk into one that says what to do; ``None`` for other kinds.

    Examples
    --------
    >>> print(explain(OSError(errno.EROFS, "Read-only file system", "/mnt/x.nii"), where="sub-07"))
    sub-07: x.nii cannot be read or written (found: Read-only file system); ask for access.
    """
    if error.errno in NO_SPACE:
        return InputError(
            "there is no space left on the disk of the output folder",
            where=where,
            do="free some and run the same command again; nothing half-written is left",
        )
    if error.errno in NO_NAME:
        name = str(error.filename or "")
        return InputError(
            "a path is none that this disk can hold",
            where=where,
            found=f"{error.strerror}: {name[:40]}{' …' if len(name) > 40 else ''}",
            do="check the path",
        )
    if error.errno in NO_ANSWER:
        return InputError(
            "the disk did not answer",
            where=where,
            found=error.strerror,
            do="see that it is there, and run the same command again",
        )
    if error.errno in NO_PERMISSION:
        name = Path(str(error.filename or "a file")).name
        return InputError(
            f"{name} cannot be read or written",
            where=where,
            found=error.strerror,
            do="ask for access",
        )
    return None


def existing_parent(path: Path) -> Path:
    """Return the path itself or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def free_mb(path: Path) -> float:
    """Return the free space of the disk that holds, or would hold, a path."""
    return shutil.disk_usage(existing_parent(path)).free / 1e6
