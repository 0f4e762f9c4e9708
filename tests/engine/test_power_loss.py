"""Loss of power at a random moment: what a disk may hold then, and what the same command does.

Every change of a name and every flush of a run is logged. An image is what a disk may hold if the
power goes behind one of them: names whose folder was not flushed since may be there or not, and
content that was not flushed may be empty, cut, zeros or whole. Journals keep the order of names,
other file systems do not; both are tried.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from falx.engine.lock import LOCK
from falx.engine.verify import verify_folder
from killing import contents
from toy_run import Toy

IMAGES = 24
MORE_IMAGES = 200


@dataclass(frozen=True)
class Change:
    """One entry of the log: ``"put"``, ``"remove"``, ``"folder"`` or ``"flush"`` of a path.

    Parameters
    ----------
    safe
        Of a file that is put: whether its content was flushed before.
    """

    what: str
    path: str
    content: bytes = b""
    safe: bool = False


@dataclass
class Log:
    """Every change below a folder while it is watched, in order."""

    out: Path
    changes: list[Change] = field(default_factory=list)
    flushed: set[int] = field(default_factory=set)

    def note(
        self, what: str, path: Path | str, content: bytes = b"", *, safe: bool = False
    ) -> None:
        path = Path(path).absolute()
        if path.is_relative_to(self.out):
            name = path.relative_to(self.out).as_posix()
            if not name.startswith((".falx/work", "logs", "./")) and not name.endswith(".part"):
                self.changes.append(Change(what, name, content, safe))


@contextmanager
def watched(out: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Log what is done to a folder."""
    log = Log(out)
    replace, unlink, mkdir, link = Path.replace, Path.unlink, Path.mkdir, Path.hardlink_to

    def replaced(self: Path, target: Any) -> Path:
        log.note("put", target, self.read_bytes(), safe=self.stat().st_ino in log.flushed)
        return replace(self, target)

    def unlinked(self: Path, missing_ok: bool = False) -> None:
        if self.exists():
            log.note("remove", self)
        unlink(self, missing_ok=missing_ok)

    def made(self: Path, *args: Any, **kwargs: Any) -> None:
        if not self.exists():
            log.note("folder", self)
        mkdir(self, *args, **kwargs)

    def linked(self: Path, target: Any) -> None:
        link(self, target)
        log.note("put", self, Path(target).read_bytes())

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        log.flushed.add(os.fstat(descriptor).st_ino)
        if path.is_dir():
            log.note("flush", path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replaced)
        patch.setattr(Path, "unlink", unlinked)
        patch.setattr(Path, "mkdir", made)
        patch.setattr(Path, "hardlink_to", linked)
        patch.setattr(os, "fsync", synced)
        yield log


def image(log: Log, before: Path | None, out: Path, rng: random.Random) -> int:
    """Write what the disk may hold; return behind which change the power went."""
    if before is not None:
        shutil.copytree(before, out)
    else:
        out.mkdir()
    end = rng.randrange(1, len(log.changes) + 1)
    journal = rng.random() < 0.5
    done = log.changes[:end]
    flushes = [i for i, change in enumerate(done) if change.what == "flush"]
    kept = rng.randrange(flushes[-1] if flushes else 0, end) + 1 if journal else end
    for place, change in enumerate(done[:kept]):
        path = out / change.path
        folder = Path(change.path).parent.as_posix()
        sure = journal or any(done[i].path == folder for i in flushes if i > place)
        if change.what == "flush" or not (sure or rng.random() < 0.5):
            continue
        if change.what == "folder":
            path.mkdir(parents=True, exist_ok=True)
        elif change.what == "remove":
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(change.content if change.safe else _left(change.content, rng))
    lock = out / LOCK
    if lock.exists():  # its process is this one, which lives
        lock.write_text(json.dumps({"pid": 2**22 + 1, "host": os.uname().nodename, "born": 0.0}))
    return end


def _left(content: bytes, rng: random.Random) -> bytes:
    cut = content[: rng.randrange(len(content) + 1)]
    return rng.choice([b"", cut, bytes(len(content)), content])


@dataclass(frozen=True)
class Scene:
    """Runs of the toy study, and what they must leave."""

    toy: Toy
    log: Log
    before: Path | None
    gold: dict[str, bytes]
    values: dict[str, Any]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    """A run into a new folder, and one that does everything again."""
    made, patch = [], pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda _: None)
    for values in ({}, {"warm__gain": 3.0}):
        toy = Toy(tmp_path_factory.mktemp("power"), 2)
        before = None
        if values:
            assert toy.run().code == 0
            before = Path(shutil.copytree(toy.out, toy.out.with_name("before")))
        with watched(toy.out, patch) as log:
            assert toy.run(**values).code == 0
        made.append(Scene(toy, log, before, contents(toy.out), values))
    patch.undo()
    return made


def lose(scenes: list[Scene], folder: Path, seeds: range) -> None:
    wrong = []
    for seed in seeds:
        rng = random.Random(seed)
        scene = rng.choice(scenes)
        out = folder / str(seed)
        end = image(scene.log, scene.before, out, rng)
        scene.toy.out = out
        outcome = scene.toy.run(**scene.values)
        now = contents(out)
        different = [n for n in now.keys() | scene.gold.keys() if now.get(n) != scene.gold.get(n)]
        found = list(map(str, verify_folder(out)))
        if outcome.code or different or found:
            wrong.append(f"image {seed} behind {end}: {outcome.failed} {different} {found}")
    assert not wrong, "\n".join(wrong)


def test_a_log_holds_what_matters(scenes: list[Scene]) -> None:
    """Outputs and records were flushed before they were named, and folders after."""
    fresh = scenes[0].log.changes
    put = {change.path: change for change in fresh if change.what == "put"}
    for name, change in put.items():
        if name.startswith(("sub-", "provenance")):
            assert change.safe, name
    assert len(fresh) > 60
    assert {change.what for change in scenes[1].log.changes} >= {"put", "remove", "flush"}


def test_the_same_command_goes_on_after_a_loss_of_power(
    scenes: list[Scene], tmp_path: Path
) -> None:
    lose(scenes, tmp_path, range(IMAGES))


@pytest.mark.slow
def test_and_after_two_hundred_more(scenes: list[Scene], tmp_path: Path) -> None:
    lose(scenes, tmp_path, range(1000, 1000 + MORE_IMAGES))
