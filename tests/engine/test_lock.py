"""The lock of an output folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from falx.core.errors import InputError
from falx.engine.lock import end_group, hold, register_child

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def leave(out: Path, **content: object) -> Path:
    path = out / ".falx" / "lock.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return path


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lock_is_held_and_let_go(tmp_path: Path) -> None:
    with hold(tmp_path) as path:
        assert json.loads(path.read_text())["pid"] == os.getpid()
        with pytest.raises(InputError, match=rf"process {os.getpid()} on .*; wait for it\."):
            hold(tmp_path).__enter__()
    assert not path.exists()


def test_the_lock_of_another_host_is_respected(tmp_path: Path) -> None:
    path = leave(tmp_path, pid=1, host="elsewhere", born=0)
    with pytest.raises(InputError, match="if it is gone, delete .*lock.json"):
        hold(tmp_path).__enter__()
    assert path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_lock_is_nobodys(tmp_path: Path, text: str) -> None:
    leave(tmp_path).write_text(text)
    with hold(tmp_path):
        pass


def test_a_process_id_given_out_again_is_not_the_holder(tmp_path: Path) -> None:
    leave(tmp_path, pid=os.getpid(), host=socket.gethostname(), born=1.0)
    with hold(tmp_path):
        pass


def test_jobs_of_a_dead_holder_are_ended(tmp_path: Path) -> None:
    left = subprocess.Popen(SLEEPER, start_new_session=True)
    path = leave(tmp_path, pid=dead_pid(), host=socket.gethostname(), born=0)
    register_child(path, left.pid)
    with hold(tmp_path):
        assert left.wait(timeout=5) != 0


def test_a_stranger_with_the_old_id_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    host = socket.gethostname()
    leave(tmp_path, pid=dead_pid(), host=host, born=0, child=stranger.pid, child_born=1.0)
    try:
        with hold(tmp_path):
            assert stranger.poll() is None
    finally:
        end_group(stranger.pid)
        stranger.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count from their start")
@pytest.mark.parametrize("step_s", [-7200.0, 5.0, 86400.0])
def test_who_sets_the_clock_does_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """What psutil says of the start of a process follows the clock."""
    system = psutil._pslinux
    real, before = system.boot_time, psutil.Process().create_time()
    with hold(tmp_path) as path:
        child = subprocess.Popen(SLEEPER, start_new_session=True)
        register_child(path, child.pid)
        monkeypatch.setattr(system, "boot_time", lambda: real() + step_s)
        assert psutil.Process().create_time() - before == pytest.approx(step_s, abs=1.1)
        with pytest.raises(InputError, match="another run is working"):
            hold(tmp_path).__enter__()
        assert child.poll() is None
        end_group(child.pid)
        child.wait()


def test_a_link_that_was_made_and_not_confirmed_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk of the network asks twice if the first answer is lost, and finds its own link."""
    real = Path.hardlink_to

    def twice(self: Path, target: Path) -> None:
        real(self, target)
        real(self, target)

    monkeypatch.setattr(Path, "hardlink_to", twice)
    with hold(tmp_path), pytest.raises(InputError, match="another run is working"):
        hold(tmp_path).__enter__()


def test_a_disk_without_links_is_held_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with hold(tmp_path) as path:
        with pytest.raises(InputError, match="another run is working"):
            hold(tmp_path).__enter__()
        assert sorted(p.name for p in path.parent.iterdir()) == ["lock.json"]
    assert not path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such spaces")
def test_a_process_of_another_container_of_the_same_name_may_be_alive(tmp_path: Path) -> None:
    """It counts its processes from one, so that nobody here can say that it is gone."""
    path = leave(tmp_path, pid=dead_pid(), host=socket.gethostname(), container="pid:[1]", born=0)
    with pytest.raises(InputError, match="if it is gone, delete .*lock.json"):
        hold(tmp_path).__enter__()
    assert path.exists()
