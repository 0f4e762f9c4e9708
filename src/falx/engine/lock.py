"""One run at a time in an output folder; the lock of a run that died does not stay.

The lock carries the token of its run, the lease: a job of a run that has lost the folder touches
nothing in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from falx.core.errors import InputError
from falx.core.files import remove_parts, write_text
from falx.engine.digest import read_private

__all__ = ["LOCK", "check_lease", "end_group", "hold", "holds_lease", "lease_of", "register_child"]

LOCK = ".falx/lock.json"

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Lock:
    """Who holds a folder: a process with its host and birth, its lease, and its process group.

    Containers may bear the name of their host, and count processes of their own.
    """

    pid: int = 0
    host: str = ""
    container: str = ""
    born: float = 0.0
    lease: str = ""
    child: int = 0
    child_born: float = 0.0


def lease_of(out: Path) -> str:
    """Return the token of the run that holds the folder; empty if none does."""
    return str(read_private(out / LOCK).get("lease", ""))


def holds_lease(out: Path, lease: str) -> bool:
    """Whether a job may write: its run holds the folder, or it was started by hand."""
    return not lease or lease_of(out) == lease


def check_lease(out: Path, lease: str) -> None:
    """Raise if another run has the folder, or the own one has ended.

    A job on a cluster may outlive the run that ordered it. It asks before it publishes and before
    it deletes.
    """
    if not holds_lease(out, lease):
        raise InputError(
            "the run that ordered this step no longer holds the output folder",
            where=out.name,
            do="nothing was changed; look at the run that holds it now",
        )


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
    own = Lock(pid, socket.gethostname(), _container(), _born(pid), uuid.uuid4().hex)
    while not _claim(path, own):
        _free(path, _read(path))
    try:
        yield path
    finally:
        if _read(path).lease == own.lease:
            path.unlink(missing_ok=True)


def register_child(path: Path, pid: int) -> None:
    """Note the process group that works for the holder of the lock."""
    write_text(path, _text(replace(_read(path), child=pid, child_born=_born(pid))))


def _claim(path: Path, lock: Lock) -> bool:
    """Whether the folder is held by this lock; what stands there counts.

    A disk of the network may have made a link and say that it was there before.
    """
    complete = path.with_name(f"lock.{os.getpid()}")
    complete.write_text(_text(lock), encoding="utf-8")
    try:
        path.hardlink_to(complete)  # appears whole or not at all, on network disks as well
    except FileExistsError:
        pass
    except OSError:  # a disk without hard links
        with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as stream:
            stream.write(_text(lock))
    finally:
        complete.unlink()
    return _read(path) == lock


def _text(lock: Lock) -> str:
    return json.dumps(asdict(lock))


def _read(path: Path) -> Lock:
    """Return the lock that is there; one that says nothing if it is missing or damaged."""
    known = {field.name for field in fields(Lock)}
    return Lock(**{name: value for name, value in read_private(path).items() if name in known})


def _free(path: Path, lock: Lock) -> None:
    if lock != Lock():
        here = lock.host == socket.gethostname() and lock.container in ("", _container())
        if not here or _alive(lock.pid, lock.born):
            raise InputError(
                "another run is working in the output folder",
                where=path.parent.parent,
                found=f"process {lock.pid} on {lock.host}",
                do="wait for it" if here else f"wait for it; if it is gone, delete {path}",
            )
        if _alive(lock.child, lock.child_born) or _has_no_leader(lock.child):
            end_group(lock.child)
        remove_parts(path.parent.parent)
    path.unlink(missing_ok=True)


def _has_no_leader(group: Any) -> bool:
    """Whether what still runs of a process group that was noted can be no other's.

    A process id is not given out again while its group has members.
    """
    import psutil

    return isinstance(group, int) and group > 0 and not psutil.pid_exists(group)


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


def _container() -> str:
    """Return the name of the space in which processes of this one are counted; Linux only."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _born(pid: int) -> float:
    """Return when a process began; on Linux since the start of the machine.

    The system counts from there, and psutil adds the clock of now: while a run goes on, the clock
    may be set.
    """
    import psutil

    start = psutil.boot_time() if sys.platform == "linux" else 0.0
    try:
        return float(psutil.Process(pid).create_time()) - start
    except psutil.Error:
        return 0.0


def _alive(pid: Any, born: Any) -> bool:
    import psutil

    try:
        ended = psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
        return not ended and abs(_born(int(pid)) - float(born)) < 0.02
    except (psutil.Error, TypeError, ValueError):
        return False
