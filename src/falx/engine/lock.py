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
from pathlib import Path
from typing import Any

from falx.core.errors import InputError
from falx.core.files import remove_parts
from falx.engine.digest import read_private
from falx.engine.lease import LOCK

__all__ = ["end_group", "hold", "register_child"]

_PATIENCE_S = 10.0


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
    content = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "born": _born(os.getpid()),
        "lease": uuid.uuid4().hex,
    }
    while not _create(path, content):
        _free(path, read_private(path))
    try:
        yield path
    finally:
        if read_private(path).get("lease") == content["lease"]:
            path.unlink(missing_ok=True)


def register_child(path: Path, pid: int) -> None:
    """Note the process group that works for the holder of the lock."""
    content = read_private(path) | {"child": pid, "child_born": _born(pid)}
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def _create(path: Path, content: dict[str, Any]) -> bool:
    complete = path.with_name(f"lock.{os.getpid()}")
    complete.write_text(json.dumps(content), encoding="utf-8")
    try:
        path.hardlink_to(complete)  # appears whole or not at all, on network disks as well
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links
        return _create_plainly(path, content)
    finally:
        complete.unlink()
    return True


def _create_plainly(path: Path, content: dict[str, Any]) -> bool:
    try:
        with path.open("x", encoding="utf-8") as stream:
            json.dump(content, stream)
    except FileExistsError:
        return False
    return True


def _free(path: Path, lock: dict[str, Any]) -> None:
    if lock:
        here = lock.get("host") == socket.gethostname()
        if not here or _alive(lock.get("pid"), lock.get("born")):
            raise InputError(
                "another run is working in the output folder",
                where=path.parent.parent,
                found=f"process {lock.get('pid')} on {lock.get('host')}",
                do="wait for it" if here else f"wait for it; if it is gone, delete {path}",
            )
        if _left_behind(lock):
            end_group(int(lock["child"]))
        remove_parts(path.parent.parent)
    path.unlink(missing_ok=True)


def _left_behind(lock: dict[str, Any]) -> bool:
    """Whether jobs of the dead holder still run.

    A process id is not given out again while its group has members, so a group whose leader
    is gone is the one that was noted.
    """
    import psutil

    child = lock.get("child")
    if not isinstance(child, int):
        return False
    return _alive(child, lock.get("child_born")) or not bool(psutil.pid_exists(child))


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
