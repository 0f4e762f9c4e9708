"""Kills at random moments: the same command gives the same bytes, and loses nobody."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

import pytest

import toy_study
from killing import KINDS, Attack, Trial, contents

TESTS = Path(__file__).resolve().parents[1]
KILLED = int(os.environ.get("FALX_KILLS", "100"))
"""Runs of the toy study of each kind."""


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Attack:
    folder = tmp_path_factory.mktemp("kills")
    bids = toy_study.write_dataset(folder / "bids", 3)
    for label in ("01", "03"):
        (bids / f"sub-{label}/anat/slow").write_text("0.3")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])}
    words = [sys.executable, "-m", "toy_cli", "toy", str(bids), "{out}", "{level}", "--jobs", "2"]
    made = Attack(words, {}, 3, 0.0, env)
    start = time.monotonic()
    for level in ("participant", "group"):
        process = made.start(folder / "gold", level)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        made.seconds = made.seconds or time.monotonic() - start
    made.gold = contents(folder / "gold")
    return made


def report(trials: list[Trial]) -> str:
    return json.dumps([vars(trial) for trial in trials if trial.wrong], indent=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kills_of_the_toy_study(attack: Attack, tmp_path: Path, kind: str) -> None:
    trials = []
    for number in range(KILLED):
        seeded = random.Random(f"{kind} {number}")
        trials.append(attack.trial(tmp_path / str(number), kind, seeded))
    print(f"{kind}: {len(trials)} runs, {sum(trial.kills for trial in trials)} kills")
    assert not [trial for trial in trials if trial.wrong], report(trials)
