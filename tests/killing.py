"""Kills a run at a random moment, and sees what the same command makes of the folder.

``head``: the process of the command alone; ``tree``: all of its processes at once, as when the
machine dies; ``job``: one process that works for it, as when a scheduler or the kernel ends it.
"""

from __future__ import annotations

import contextlib
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from falx.core.files import read_table
from falx.engine.verify import verify_folder

__all__ = ["KINDS", "Attack", "Trial", "contents"]

KINDS = ("tree", "head", "job")
PRIVATE = (".falx", ".snakemake", "logs", "provenance")
TIMES = re.compile(rb"computed [\d: -]+ UTC|, [\d.]+ s\)")
LINKS = re.compile(rb'"DatasetLinks": \{[^}]*\}')
TABLES = ("exclusions.tsv", "participants_status.tsv")


@dataclass(frozen=True)
class Trial:
    """How one run with its kills went.

    Parameters
    ----------
    wrong
        What was not as it must be; empty if all was.
    codes
        Exit codes of the runs, the killed ones included.
    """

    kind: str
    kills: int
    wrong: tuple[str, ...]
    codes: tuple[int, ...]


@dataclass
class Attack:
    """A command, and the folder that it must leave whatever is killed.

    Parameters
    ----------
    words
        The command; ``{out}`` stands for the output folder.
    gold
        Output folder of an undisturbed run of both levels.
    people
        How many there are.
    seconds
        How long an undisturbed run takes.
    levels
        Those that are run to the end; the first of them is killed.
    begin
        Leaves what an earlier run got done before it ended, and returns how long the rest takes.
    """

    words: Sequence[str]
    gold: Mapping[str, bytes]
    people: int
    seconds: float
    env: Mapping[str, str]
    levels: Sequence[str] = ("participant", "group")
    begin: Callable[[Path, random.Random], float] | None = None

    def trial(self, out: Path, kind: str, seeded: random.Random) -> Trial:
        """Kill up to three times, then run to the end and compare."""
        codes, kills, wrong = [], 0, []
        seconds = self.begin(out, seeded) if self.begin else self.seconds
        for _ in range(seeded.choice([1, 1, 2, 3])):
            process = self.start(out, self.levels[0])
            time.sleep(seeded.uniform(0, seconds))
            killed = _kill(process, kind, seeded)
            kills += killed
            said, _ = process.communicate(timeout=600)
            codes.append(process.returncode)
            both = kind == "job" and "group" in self.levels[1:]
            if both and process.returncode in (0, 1):
                wrong += self._lost(out)
        for level in self.levels:
            end = self.start(out, level)
            said, _ = end.communicate(timeout=600)
            codes.append(end.returncode)
            if end.returncode != 0:
                wrong.append(f"the {level} level ended with {end.returncode}: {said[-2000:]}")
        wrong += self._different(out)
        return Trial(kind, kills, tuple(wrong), tuple(codes))

    def start(self, out: Path, level: str = "participant") -> subprocess.Popen[str]:
        """Start the command in a session of its own."""
        words = [word.format(out=out, level=level) for word in self.words]
        return subprocess.Popen(
            words, env=dict(self.env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip

    def _different(self, out: Path) -> list[str]:
        now = contents(out)
        wrong = [
            f"{name} differs" for name in now.keys() & self.gold if now[name] != self.gold[name]
        ]
        wrong += [f"{name} is there or not" for name in now.keys() ^ self.gold.keys()]
        return wrong + [f"verify: {mismatch}" for mismatch in verify_folder(out)]

    def _lost(self, out: Path) -> list[str]:
        """Whoever is not finished must be named, with a reason."""
        rows = read_table(out / TABLES[1]).records()
        unnamed = [r for r in rows if r["status"] != "finished" and r["reason"] in ("", "n/a")]
        group = self.start(out, level="group")
        told, _ = group.communicate(timeout=600)
        wrong = [f"nobody says what happened to {row}" for row in unnamed]
        if group.returncode == 2 and "no subject has what the stage" in told:
            return wrong  # nobody got so far: there is no group to be lost from
        if group.returncode not in (0, 1):
            refused = f"the group of a killed run ended with {group.returncode}: {told[-2000:]}"
            return [*wrong, refused]
        rows = read_table(out / TABLES[1]).records()
        left_out = {row["participant_id"] for row in read_table(out / TABLES[0]).records()}
        included = {r["participant_id"] for r in rows if r["group"] == "included"}
        lost = self.people - len(left_out | included)
        if lost or left_out & included or len(rows) != self.people:
            wrong.append(f"{lost} of {self.people} people are neither in nor out: {rows}")
        return wrong


def contents(out: Path) -> dict[str, bytes]:
    """Return the files that must be the same however often a run was killed.

    A page says when its steps ran and how long each took, and the description of the folder where
    the dataset lies from there; both are left out.
    """
    paths = [path for path in out.rglob("*") if path.is_file()]
    names = {path.relative_to(out).as_posix(): path for path in paths}
    read = {n: p.read_bytes() for n, p in names.items() if n.partition("/")[0] not in PRIVATE}
    if "dataset_description.json" in read:
        read["dataset_description.json"] = LINKS.sub(b"", read["dataset_description.json"])
    return {n: TIMES.sub(b"", b) if n.endswith(".html") else b for n, b in read.items()}


def _kill(process: subprocess.Popen[str], kind: str, seeded: random.Random) -> bool:
    """Kill what is asked for; return whether there was anything."""
    try:
        head = psutil.Process(process.pid)
        below = head.children(recursive=True)
    except psutil.Error:
        return False
    chosen = {
        "head": [head],
        "tree": [*below, head],
        "job": seeded.sample(below, min(1, len(below))),
    }
    alive = [p for p in chosen[kind] if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    for one in alive:
        with contextlib.suppress(psutil.Error):
            one.send_signal(signal.SIGKILL)
    return bool(alive)
