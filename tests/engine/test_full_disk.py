"""A disk that fills up, by bytes, by names, or by the size of a file: a sentence, and a way on."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import toy_study
from falx.engine.verify import verify_folder
from killing import contents

TESTS = Path(__file__).resolve().parents[1]
NAMES = (24, 28, 32, 36, 40, 46, 52, 58, 64, 70)
RECORDS, LEFT = (0, 1, 3, 6), (0, 4096, 16384, 40960)


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_study.write_dataset(tmp_path_factory.mktemp("full") / "bids", 2)


def start(bids: Path, out: Path, *options: str, largest: int = 0) -> subprocess.Popen[str]:
    """Run the toy study; no file may be larger than `largest` bytes."""

    def limit() -> None:
        if largest:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    words = [sys.executable, "-m", "toy_cli", "toy", str(bids), str(out), "participant"]
    path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    return subprocess.Popen(
        [*words, *options], env={**os.environ, "PYTHONPATH": path}, text=True, preexec_fn=limit,  # noqa: PLW1509
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def gold(bids: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("gold") / "out"
    process = start(bids, out, "--serial")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return contents(out)


def check_end(process: subprocess.Popen[str], out: Path, gold: dict[str, bytes]) -> str:
    """Whatever the disk did: no traceback, no half a file, no exit 0 over what is not done."""
    said, _ = process.communicate(timeout=300)
    assert "Traceback" not in said, said
    assert process.returncode in (0, 1, 2), said
    now = contents(out) if out.exists() else {}
    if process.returncode == 0:
        assert now == gold
    else:
        assert "falx: " in said or "FAILED" in said, said
    return said


def check_again(bids: Path, out: Path, gold: dict[str, bytes], *options: str) -> None:
    process = start(bids, out, *options)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert contents(out) == gold
    assert verify_folder(out) == []


@pytest.mark.parametrize("largest", [1, 60, 300, 700])
def test_files_that_may_not_grow(
    bids: Path, gold: dict[str, bytes], tmp_path: Path, largest: int
) -> None:
    process = start(bids, tmp_path / "out", "--serial", largest=largest)
    said = check_end(process, tmp_path / "out", gold)
    assert process.returncode != 0
    assert "no space left on the disk" in said or "cannot be written" in said
    check_again(bids, tmp_path / "out", gold, "--serial")


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small disk; a user who may not mount anything cannot run these."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(words, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        for _ in range(50):
            if subprocess.run(["umount", str(folder)], check=False).returncode == 0:
                break
            time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("names", NAMES)
def test_a_disk_without_names(
    bids: Path, gold: dict[str, bytes], tmp_path: Path, names: int
) -> None:
    with disk(tmp_path / "disk", f"size=100m,nr_inodes={names}") as folder:
        check_end(start(bids, folder / "out", "--jobs", "2"), folder / "out", gold)
        words = ["mount", "-o", "remount,size=100m,nr_inodes=9000", str(folder)]
        subprocess.run(words, check=True)
        check_again(bids, folder / "out", gold, "--jobs", "2")


@pytest.mark.slow
@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("left", LEFT)
def test_a_disk_that_fills_while_a_run_works(
    bids: Path, gold: dict[str, bytes], tmp_path: Path, records: int, left: int
) -> None:
    with disk(tmp_path / "disk", "size=60m") as folder:
        out = folder / "out"
        process = start(bids, out, "--jobs", "2")
        while process.poll() is None and len(list(out.glob("provenance/*/*.json"))) < records:
            time.sleep(0.005)
        size = max(0, shutil.disk_usage(folder).free - left)
        with contextlib.suppress(OSError), (folder / "filling").open("wb") as stream:
            stream.write(bytes(size))
        check_end(process, out, gold)
        (folder / "filling").unlink()
        check_again(bids, out, gold, "--jobs", "2")
