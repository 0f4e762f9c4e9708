"""What a loss of power leaves: content before names, names before records, and a way on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from falx.core import files
from falx.core.errors import FalxNotice, InputError
from falx.core.files import atomic_path, flush, flush_folders, write_text
from falx.engine import runner
from falx.engine.folder import check_folder
from falx.engine.manifest import MANIFEST
from falx.engine.verify import verify_folder
from toy_run import Toy

Event = tuple[str, str]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Every flush and every renaming, in order, by name of the file or folder."""
    seen: list[Event] = []
    inodes: dict[tuple[int, int], str] = {}
    replace = Path.replace

    def flushed(path: Path) -> None:
        found = path.stat()
        inodes[found.st_dev, found.st_ino] = "flushed"
        seen.append(("flush", str(path)))

    def renamed(self: Path, target: Path) -> Path:
        found = self.stat()
        safe = (found.st_dev, found.st_ino) in inodes
        seen.append(("rename" if safe else "rename unflushed", str(target)))
        return replace(self, target)

    monkeypatch.setattr(files, "flush", flushed)
    monkeypatch.setattr(runner, "flush", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    return seen


def test_content_comes_before_names_and_names_before_the_record(
    toy: Toy, events: list[Event]
) -> None:
    toy.run(subjects=("01",))
    places = {event: index for index, event in reversed(list(enumerate(events)))}
    record = places["rename", str(toy.out / "provenance/sub-01/warm.json")]
    output = toy.output("01", "warm")
    for path in (output, output.with_name(output.name.replace(".nii.gz", ".json"))):
        published = places["rename", str(path)]
        folder = events.index(("flush", str(output.parent)), published)
        above = events.index(("flush", str(toy.out / "sub-01")), published)
        top = events.index(("flush", str(toy.out)), published)
        assert published < folder < record
        assert max(above, top) < record
    assert ("flush", str(toy.out / "provenance" / "sub-01")) in events[record:]


def test_nothing_that_counts_is_renamed_before_it_is_on_the_disk(
    toy: Toy, events: list[Event]
) -> None:
    toy.run()
    toy.run("group")
    # What is renamed inside a step's own folder is flushed when it is published from there.
    unsafe = [Path(path) for kind, path in events if kind == "rename unflushed"]
    careless = {path.name for path in unsafe if path.exists()}
    tables = {"exclusions.tsv", "failures.tsv", "participants_status.tsv"}  # made anew each time
    assert careless <= {*tables, "digests.json"}
    safe = {path for kind, path in events if kind == "rename"}
    for name in ("configuration.toml", ".falx/folder.json", ".falx/people.json", MANIFEST):
        assert str(toy.out / name) in safe


def test_a_durable_file_is_flushed_with_its_folder(tmp_path: Path, events: list[Event]) -> None:
    write_text(tmp_path / "a" / "x", "1", durable=True)
    assert [kind for kind, _ in events] == ["flush", "rename", "flush"]
    assert events[1:] == [("rename", str(tmp_path / "a" / "x")), ("flush", str(tmp_path / "a"))]
    events.clear()
    write_text(tmp_path / "y", "1")
    assert events == [("rename unflushed", str(tmp_path / "y"))]


def test_folders_are_flushed_from_below(tmp_path: Path, events: list[Event]) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    flush_folders([deep / "x", deep / "y", tmp_path / "a" / "z"], tmp_path)
    assert events == [("flush", str(p)) for p in (deep, tmp_path / "a", tmp_path)]


def test_a_disk_that_cannot_flush_folders_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> Callable[[int], None]:
        def fsync(_: int) -> None:
            raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(os, "fsync", refuse(22))
    flush(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse(5))
    with pytest.raises(OSError, match="Input/output error"):
        flush(tmp_path)
    with pytest.raises(OSError, match="Input/output"), atomic_path(tmp_path / "x", durable=True):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "\0\0\0\0", "{", "[]", '{"study": "toy"}'])
def test_a_damaged_note_of_the_folder_does_not_lock_its_owner_out(toy: Toy, text: str) -> None:
    toy.run()
    (toy.out / ".falx" / "folder.json").write_text(text)
    outcome = toy.run()
    assert (outcome.code, outcome.ran) == (0, 0)
    assert "folder.json" in toy.lines[0]
    assert json.loads((toy.out / ".falx" / "folder.json").read_text())["study"] == "toy"
    assert verify_folder(toy.out) == []


def test_a_damaged_note_does_not_open_the_folder_to_another_study(toy: Toy) -> None:
    toy.run()
    (toy.out / ".falx" / "folder.json").write_text("")
    with (
        pytest.warns(FalxNotice, match="is damaged and is written again"),
        pytest.raises(InputError, match=r"another study \(found: falx toy\)"),
    ):
        check_folder(toy.out, toy.bids, "resistance")
    (toy.out / "dataset_description.json").write_text("")
    with pytest.warns(FalxNotice, match="is damaged"):
        check_folder(toy.out, toy.bids, "toy")


@pytest.mark.parametrize(
    "lost",
    [
        "sub-01/warm",
        "sub-02/join",
        "manifest",
        "configuration.toml",
        "people.json",
        "digests.json",
    ],
)
def test_files_that_come_back_empty_are_made_again(toy: Toy, lost: str) -> None:
    """The names of files outlived the power, their content did not."""
    toy.run()
    gold = toy.output("02", "joined").read_bytes()
    places = {"manifest": MANIFEST, "configuration.toml": lost, "people.json": f".falx/{lost}",
              "digests.json": f".falx/{lost}"}  # fmt: skip
    (toy.out / places.get(lost, f"provenance/{lost}.json")).write_bytes(b"")
    for desc in ("warm", "joined") if "/" in lost else ():
        toy.output("02", desc).write_bytes(b"")
    assert toy.run().code == 0
    assert toy.output("02", "joined").read_bytes() == gold
    assert verify_folder(toy.out) == []
    assert toy.run().ran == 0
