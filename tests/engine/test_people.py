"""Everybody is accounted for, whatever ends a job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from falx.core.files import read_table
from falx.engine.orders import Orders
from falx.engine.provenance import record_path
from toy_run import Toy


def table(out: Path, name: str = "participants_status.tsv") -> dict[str, dict[str, str]]:
    rows = read_table(out / name).records()
    return {row["participant_id"].removeprefix("sub-"): row for row in rows}


def test_all_people_stand_in_the_table_with_what_happened(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(6)
    toy.image("01").write_text("0 0")
    toy.image("02").unlink()
    toy.image("03").with_name("crash").touch()
    toy.image("04", "FLAIR").unlink()
    toy.run(subjects=("01", "02", "03", "04", "05"))
    rows = table(toy.out)
    assert {label: (row["status"], row["stage"]) for label, row in rows.items()} == {
        "01": ("failed", "warm"),
        "02": ("excluded", "n/a"),
        "03": ("failed", "warm"),
        "04": ("finished", "n/a"),
        "05": ("finished", "n/a"),
        "06": ("not run", "n/a"),
    }
    assert rows["01"]["reason"] == "sub-01: the image is empty (found: all zeros)."
    assert rows["02"]["reason"].startswith("sub-02: there is no T1w image")
    assert "ZeroDivisionError" in rows["03"]["reason"]
    assert {row["group"] for row in rows.values()} == {"n/a"}
    left_out = table(toy.out, "exclusions.tsv")
    assert sorted(left_out) == ["01", "02", "03", "06"]
    toy.run("group")
    rows = table(toy.out)
    included = [label for label, row in rows.items() if row["group"] == "included"]
    assert included == ["04", "05"]
    assert sorted(table(toy.out, "exclusions.tsv")) == sorted(rows.keys() - set(included))
    means = (toy.out / "group/means.tsv").read_text()
    assert all(f"sub-{label}\t" in means for label in ("01", "02", "03", "06"))


@pytest.mark.parametrize("killed", [False, True])
def test_a_killed_job_loses_nobody(make_toy: Callable[..., Toy], killed: bool) -> None:
    """The process is killed from outside: no sentence, no record, only a log that breaks off."""
    toy = make_toy(3)
    if killed:
        toy.image("02").with_name("die").touch()
        outcome = toy.run(parallel=True)
        assert [failed.job for failed in outcome.failed] == ["sub-02/warm"]
    else:
        toy.run()
        for stage in ("warm", "join", "tell"):  # what a killed process leaves
            record_path(toy.out, f"sub-02/{stage}").unlink()
    toy.run("group")
    row = table(toy.out)["02"]
    assert row["group"] == "left out"
    assert row["stage"] == "warm"
    expected = "ended without a word" if killed else "the step warm was not run to its end"
    assert expected in row["reason"]
    assert expected in (toy.out / "group/means.tsv").read_text()


def test_who_is_in_the_group_is_not_called_left_out(make_toy: Callable[..., Toy]) -> None:
    """A step that the group does not take is missing; the person is counted all the same."""
    toy = make_toy()
    toy.run()
    record_path(toy.out, "sub-02/tell").unlink()
    toy.run("group")
    row = table(toy.out)["02"]
    assert (row["status"], row["stage"], row["group"]) == ("not finished", "tell", "included")
    assert table(toy.out, "exclusions.tsv") == {}


def test_a_person_who_left_the_dataset_is_named(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(3)
    toy.run()
    shutil.rmtree(toy.bids / "sub-02")
    toy.run("group")
    row = table(toy.out)["02"]
    assert (row["status"], row["group"]) == ("excluded", "left out")
    assert "no longer in the dataset" in row["reason"]
    assert "02\t" not in (toy.out / "group/means.tsv").read_text().split("mean")[0]


def test_who_is_only_in_the_table_of_participants_is_named(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(2)
    with (toy.bids / "participants.tsv").open("a") as stream:
        stream.write("sub-44\tL\n")
    toy.run()
    toy.run("group")
    row = table(toy.out)["44"]
    assert (row["status"], row["group"]) == ("excluded", "left out")
    sentence = "sub-44 has a row in participants.tsv, but no folder of images"
    assert row["reason"] == sentence
    assert table(toy.out, "exclusions.tsv")["44"]["reason"] == sentence
    assert sentence in (toy.out / "group/means.tsv").read_text()


def test_the_table_is_written_even_if_the_run_breaks(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("falx.engine.run.run_sequentially", broken)
    with pytest.raises(KeyboardInterrupt):
        toy.run()
    assert {row["status"] for row in table(toy.out).values()} == {"not finished"}


@pytest.mark.parametrize("executor", ["", "local"])
def test_a_step_that_was_never_begun_is_named(
    make_toy: Callable[..., Toy], monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    """As a scheduler does that rejects a job: nothing was begun, and no log was written."""
    toy = make_toy(3)
    real = Orders.write

    def rejecting(self: Orders, path: Path) -> None:
        real(replace(self, jobs=tuple(job for job in self.jobs if job.unit != "sub-02")), path)

    monkeypatch.setattr(Orders, "write", rejecting)
    outcome = toy.run(parallel=True, executor=executor)
    reasons = {failed.job: str(failed.failure) for failed in outcome.failed}
    assert reasons == {
        f"sub-02/{name}": f"sub-02 {name}: the step was never begun; logs/engine.log may say why."
        for name in ("warm", "cool")
    }
    rows = table(toy.out)
    assert {label: row["status"] for label, row in rows.items()} == {
        "01": "finished", "02": "failed", "03": "finished",
    }  # fmt: skip
    assert "was never begun" in rows["02"]["reason"]
