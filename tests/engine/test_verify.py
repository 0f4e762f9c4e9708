"""``verify`` sees every damage: outputs, records, the engine's own files, and strangers."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.engine.digest import seal, unseal
from falx.engine.manifest import MANIFEST, OWN_FILES, close_manifest, open_manifest, read_manifest
from falx.engine.methods import METHODS
from falx.engine.provenance import read_record, record_path, write_record
from falx.engine.verify import repair, verify_folder
from toy_run import Toy

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5).filter(lambda k: k != "seal"), PLAIN, min_size=1))
def test_a_seal_opens_to_what_was_sealed(content: dict[str, object]) -> None:
    assert unseal(seal(content)) == content


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_no_bit_of_a_sealed_text_can_change_unseen(place: int, bit: int) -> None:
    data = bytearray(seal({"stage": "warm", "seconds": 1.5, "inputs": {"t1w": "né"}}).encode())
    data[place % len(data)] ^= 1 << bit
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    assert unseal(text) is None


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    toy = Toy(tmp_path_factory.mktemp("gold"), 2)
    assert toy.run().code == 0
    assert toy.run("group").code == 0
    assert verify_folder(toy.out) == []
    return toy


@pytest.fixture
def out(gold: Toy, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gold.out, tmp_path / "out"))


def files_of(out: Path) -> list[Path]:
    private = (".falx", ".snakemake", "logs")
    return sorted(
        p for p in out.rglob("*") if p.is_file() and p.relative_to(out).parts[0] not in private
    )


def flip(path: Path, seeded: random.Random) -> None:
    """Change one bit; size and time of change stay."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[seeded.randrange(len(data))] ^= 1 << seeded.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path, seeded: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: seeded.randrange(path.stat().st_size)])


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "flip": flip,
    "cut": cut,
    "empty": lambda path, _: path.write_bytes(b""),
    "lose": lambda path, _: path.unlink(),
    "add": lambda path, _: path.write_bytes(path.read_bytes() + b"x"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_of_the_folder_is_watched(out: Path, damage: str) -> None:
    """Outputs, records, tables, configuration and the manifest itself, one after the other."""
    seeded, missed = random.Random(5), []
    paths = files_of(out)
    assert {*OWN_FILES} - {*METHODS} <= {path.name for path in paths}  # the toy tells no methods
    for path in paths:
        content, time = path.read_bytes(), path.stat().st_mtime_ns
        DAMAGES[damage](path, seeded)
        if not verify_folder(out):
            missed.append(path.relative_to(out))
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
    assert missed == []
    assert verify_folder(out) == []


def test_strangers_and_lost_records_are_named(out: Path) -> None:
    (out / "sub-01" / "anat" / "sub-01_mine.nii.gz").write_text("x")
    (out / "notes.txt").touch()
    said = sorted(map(str, verify_folder(out)))
    assert said == ["notes.txt is empty", "sub-01/anat/sub-01_mine.nii.gz is not of Falx"]
    record_path(out, "sub-02/tell").unlink()
    assert "provenance/sub-02/tell.json is missing (sub-02 tell)" in map(str, verify_folder(out))


def test_a_lost_record_shows_in_what_builds_upon_it(out: Path) -> None:
    record_path(out, "sub-02/join").write_text("")
    said = [str(mismatch) for mismatch in verify_folder(out)]
    assert "provenance/sub-02/join.json is damaged (sub-02 join)" in said
    assert (
        "provenance/sub-02/tell.json is outdated: sub-02 join lost its record since (sub-02 tell)"
    ) in said
    assert not any("is not of Falx" in line for line in said)


def test_a_forged_record_breaks_the_chain(out: Path) -> None:
    """Another parameter, sealed anew and entered in the manifest, is what a forger would do."""
    path = record_path(out, "sub-02/warm")
    content = json.loads(path.read_text())
    content.pop("seal")
    content["params"]["gain"] = 3.0
    path.write_text(seal(content))
    close_manifest(out)
    said = [str(mismatch) for mismatch in verify_folder(out)]
    assert said == [
        "provenance/sub-02/join.json is outdated: sub-02 warm was done again since (sub-02 join)",
        "provenance/sub-02/tell.json is outdated: sub-02 warm was done again since (sub-02 tell)",
    ]


def test_records_of_another_person_are_no_records_of_this(out: Path) -> None:
    shutil.copy(record_path(out, "sub-01/warm"), record_path(out, "sub-02/warm"))
    assert "provenance/sub-02/warm.json is damaged (sub-02 warm)" in map(str, verify_folder(out))


def test_what_a_run_that_was_killed_leaves_is_not_vouched_for(out: Path) -> None:
    open_manifest(out)
    (mismatch,) = verify_folder(out)
    assert str(mismatch) == f"{MANIFEST} is not complete: a run is under way, or was ended"
    close_manifest(out)
    assert verify_folder(out) == []
    (out / MANIFEST).unlink()
    assert [str(m) for m in verify_folder(out)] == [f"{MANIFEST} is missing"]


def test_a_folder_without_records_is_no_folder_of_falx(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no provenance"):
        verify_folder(tmp_path)


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
@pytest.mark.parametrize("job", ["sub-01/warm", "sub-02/join", "sub-02/tell"])
def test_the_same_command_mends_a_record(
    gold: Toy, out: Path, monkeypatch: pytest.MonkeyPatch, job: str, damage: str
) -> None:
    monkeypatch.setattr(gold, "out", out)
    link = out / "dataset_description.json"  # to the dataset, which lies elsewhere seen from here
    kept = [path for path in files_of(out) if "provenance" not in path.parts and path != link]
    before = {path: path.read_bytes() for path in kept}
    DAMAGES[damage](record_path(out, job), random.Random(1))
    repair(out, verify_folder(out))
    assert gold.run().code == 0
    gold.run("group")
    assert verify_folder(out) == []
    assert {p: p.read_bytes() for p in before} == before


def test_repair_touches_no_stranger_and_no_own_file(out: Path) -> None:
    (out / "mine.txt").write_text("x")
    (out / "exclusions.tsv").write_text("edited")
    mismatches = verify_folder(out)
    assert len(mismatches) == 2
    assert repair(out, mismatches) == []
    assert (out / "mine.txt").exists()


def test_a_record_says_the_same_wherever_it_was_made(out: Path) -> None:
    record = read_record(record_path(out, "sub-02/join"))
    assert record is not None
    assert set(record.above) == {"sub-02/warm", "sub-02/cool"}
    write_record(out, record)
    assert read_record(record_path(out, "sub-02/join")) == record
    manifest = read_manifest(out)
    assert manifest is not None
    assert manifest.records["sub-02/join"][1] == record_path(out, "sub-02/join").stat().st_size


def rot(path: Path) -> None:
    """Change a digit; size and time of change stay, as by a failing disk."""
    before = path.stat()
    path.write_text(path.read_text().replace("4.0", "9.0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("parallel", [False, True])
def test_a_rotten_intermediate_is_never_used(make_toy: Callable[..., Toy], parallel: bool) -> None:
    toy = make_toy()
    toy.run()
    rot(toy.output("02", "warm"))
    assert toy.output("02", "warm").read_text() == "9.0 6.0"
    outcome = toy.run(parallel=parallel, join__weights=(1.0, 2.0))
    assert toy.output("02", "joined").read_text() == "8.0 12.0"
    assert outcome.code == 0
    assert any("is not as sub-02 warm left it; it is made again" in line for line in toy.lines)
    assert "sub-02 warm" in toy.ran
    assert verify_folder(toy.out) == []


def test_the_group_refuses_what_rots_in_a_person(toy: Toy) -> None:
    toy.run()
    path = toy.out / "sub-02/anat/sub-02_desc-joined_stats.json"
    before = path.stat()
    path.write_text(path.read_text().replace("7.5", "9.5"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = toy.run("group")
    (failed,) = outcome.failed
    assert "stats.json is not as sub-02 join left it; run falx verify OUT --repair" in str(
        failed.failure
    )
    assert path.exists()
    repair(toy.out, verify_folder(toy.out))
    assert toy.run().code == 0
    assert toy.run("group").code == 0
    assert "02\t7.5" in (toy.out / "group" / "means.tsv").read_text()
