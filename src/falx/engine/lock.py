"""One run at a time in an output folder; the lock of a run that died does not stay."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from falx.core.errors import InputError
from falx.core.files import remove_parts
from falx.engine.digest import read_private
from falx.engine.lease import LOCK

__all__ = ["end_group", "hold", "register_child"]

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Lock:
    """Who holds a folder: a process with its host and birth, its lease, and its process group."""

    pid: int = 0
    host: str = ""
    born: float = 0.0
    lease: str = ""
    child: int = 0
    child_born: float = 0.0


@contextmanager
def hold(out: Path) -> Iterator[Path]:
    """Hold the output folder for this process.

    A lock whose process is gone on this host is taken over; the jobs that it left behind are
    ended first, so that they cannot write into the new run.

    Raises
    ------
    InputError
        If another process holds it, here or on another host.
    """
    path = out / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    pid = os.getpid()
    own = Lock(pid, socket.gethostname(), _born(pid), uuid.uuid4().hex)
    while not _create(path, own):
        _free(path, _read(path))
    try:
        yield path
    finally:
        if _read(path).lease == own.lease:
            path.unlink(missing_ok=True)


def register_child(path: Path, pid: int) -> None:
    """Note the process group that works for the holder of the lock."""
    lock = replace(_read(path), child=pid, child_born=_born(pid))
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(_text(lock), encoding="utf-8")
    temporary.replace(path)


def _create(path: Path, lock: Lock) -> bool:
    complete = path.with_name(f"lock.{os.getpid()}")
    complete.write_text(_text(lock), encoding="utf-8")
    try:
        path.hardlink_to(complete)  # appears whole or not at all, on network disks as well
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links
        return _create_plainly(path, lock)
    finally:
        complete.unlink()
    return True


def _create_plainly(path: Path, lock: Lock) -> bool:
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(_text(lock))
    except FileExistsError:
        return False
    return True


def _text(lock: Lock) -> str:
    return json.dumps(asdict(lock))


def _read(path: Path) -> Lock:
    """Return the lock that is there; one that says nothing if it is missing or damaged."""
    known = {field.name for field in fields(Lock)}
    return Lock(**{name: value for name, value in read_private(path).items() if name in known})


def _free(path: Path, lock: Lock) -> None:
    if lock != Lock():
        here = lock.host == socket.gethostname()
        if not here or _alive(lock.pid, lock.born):
            raise InputError(
                "another run is working in the output folder",
                where=path.parent.parent,
                found=f"process {lock.pid} on {lock.host}",
                do="wait for it" if here else f"wait for it; if it is gone, delete {path}",
            )
        if _left_behind(lock):
            end_group(lock.child)
        remove_parts(path.parent.parent)
    path.unlink(missing_ok=True)


def _left_behind(lock: Lock) -> bool:
    """Whether jobs of the dead holder still run.

    A process id is not given out again while its group has members, so a group whose leader
    is gone is the one that was noted.
    """
    import psutil

    if not isinstance(lock.child, int) or not lock.child:
        return False
    return _alive(lock.child, lock.child_born) or not bool(psutil.pid_exists(lock.child))


def end_group(leader: int) -> None:
    """End a process group, kindly first: an interrupt lets a job clean up behind it."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if not _group_runs(leader):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, kind)
        deadline = time.monotonic() + _PATIENCE_S
        while _group_runs(leader) and time.monotonic() < deadline:
            time.sleep(0.05)


def _group_runs(leader: int) -> bool:
    """Whether the group has a member that is not a zombie waiting for a lazy parent."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _born(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _alive(pid: Any, born: Any) -> bool:
    import psutil

    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(born)) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, TypeError, ValueError):
        return False
