"""The plan of the group level: from records on disk to inputs of stages, without running one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import toy_study
from falx.bids.dataset import Dataset
from falx.core.errors import InputError
from falx.core.settings import option
from falx.core.stage import Stage
from falx.core.study import Study
from falx.engine import plan as planning
from falx.engine.job import InputFile
from falx.engine.plan import Plan, plan_group
from falx.engine.provenance import FileRecord, Record, write_record


def gather_stage(*, numbers: Any, table: Path, gain: float = 1.0) -> None: ...
def some_stage(*, numbers: Any, table: Path) -> None: ...
def after_stage(*, table: Path | None, tables: Any, page: Path) -> None: ...
def file_stage(*, extra: Any, table: Path) -> None: ...


@dataclass(frozen=True)
class Named:
    extra: Path | None = option(None, help="a file")
    more: tuple[Path, ...] = option((), help="files")
    word: str = option("", help="a word")


@dataclass(frozen=True)
class Configuration(toy_study.Configuration):
    named: Named = field(default_factory=Named)


def stage(name: str, run: Any, inputs: dict[str, str], **given: Any) -> Stage:
    output = "page" if run is after_stage else "table"
    return Stage(name, run, inputs=inputs, outputs={output: f"group/{name}.tsv"}, level="group",
                 **given)  # fmt: skip


def study_of(*stages: Stage) -> Study:
    people = tuple(s for s in toy_study.STAGES if s.level == "participant")
    shown = {"participant": "tell.page"}
    return replace(toy_study.STUDY, stages=(*people, *stages), show=shown)


GATHER = stage("mean", gather_stage, {"numbers": "join.numbers*"}, params={"gain": "warm.gain"})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Output folder in which three people have the stage ``join``."""
    for subject in ("01", "02", "03"):
        finished(tmp_path / "out", subject)
    return tmp_path / "out"


def finished(out: Path, subject: str, stage_name: str = "join") -> Record:
    files = {"numbers": FileRecord(f"sub-{subject}/n.json", "digest", 1, 1)}
    record = Record(
        study="toy", stage=stage_name, unit=f"sub-{subject}", recipe=f"recipe-{subject}",
        params={}, inputs={}, outputs=files, started="2026", seconds=1.0,
    )  # fmt: skip
    write_record(out, record)
    return record


@pytest.fixture
def made(tmp_path: Path, out: Path) -> Any:
    dataset = Dataset.open(toy_study.write_dataset(tmp_path / "bids", 3))

    def plan(*stages: Stage, configuration: Any = None, where: Path = out) -> Plan:
        chosen = configuration or toy_study.STUDY.configuration()
        return plan_group(study_of(*stages), dataset, chosen, where)

    return plan


def test_everybody_who_has_finished_is_gathered(made: Any) -> None:
    plan = made(GATHER)
    (job,) = plan.jobs
    assert (plan.level, plan.omitted, job.stage, job.unit) == ("group", (), "mean", "group")
    assert job.inputs["numbers"] == {
        s: InputFile(f"sub-{s}/n.json", f"sub-{s}/n.json", f"sub-{s}/join", "numbers")
        for s in ("01", "02", "03")
    }
    assert job.outputs == {"table": "group/mean.tsv"}
    assert job.params == {"gain": 2.0}


def test_who_has_not_finished_or_was_left_out_is_not_gathered(
    made: Any, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "provenance" / "sub-02" / "join.json").unlink()
    assert list(made(GATHER).jobs[0].inputs["numbers"]) == ["01", "03"]
    monkeypatch.setattr(planning, "excluded_people", lambda _: {"03": "no T1w"})
    assert list(made(GATHER).jobs[0].inputs["numbers"]) == ["01"]


def test_a_recipe_changes_with_those_it_takes_from(made: Any, out: Path) -> None:
    first = made(GATHER).jobs[0].recipe
    assert made(GATHER).jobs[0].recipe == first
    path = out / "provenance" / "sub-02" / "join.json"
    content = json.loads(path.read_text())
    finished(out, "02")
    assert made(GATHER).jobs[0].recipe == first
    other = replace(finished(out, "02"), recipe="another")
    write_record(out, other)
    assert made(GATHER).jobs[0].recipe != first
    assert content["recipe"] == "recipe-02"


def test_nobody_finished_is_refused_with_what_to_do(made: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        made(GATHER, where=tmp_path / "empty")
    assert str(caught.value) == (
        "no subject has what the stage mean gathers (found: no finished stage join); run the "
        "participant level first."
    )


def test_a_stage_that_lacks_its_people_leaves_those_that_need_it_out(made: Any) -> None:
    lacking = stage("lack", some_stage, {"numbers": "warm.warmed*"})
    below = stage("below", after_stage, {"table": "lack.table", "tables": "mean.table"})
    plan = made(GATHER, lacking, below)
    assert [job.stage for job in plan.jobs] == ["mean"]
    assert [(e.subject, e.stage, e.reason) for e in plan.omitted] == [
        ("", "lack", "no finished stage warm"), ("", "below", "no lack"),
    ]  # fmt: skip


def test_an_optional_input_that_is_missing_is_none(made: Any) -> None:
    lacking = stage("lack", some_stage, {"numbers": "warm.warmed*"})
    maybe = stage("maybe", after_stage, {"table": "lack.table?", "tables": "cool.cooled*?"})
    plan = made(GATHER, lacking, maybe)
    (job,) = [job for job in plan.jobs if job.stage == "maybe"]
    assert job.inputs == {"table": None, "tables": None}
    assert [e.stage for e in plan.omitted] == ["lack"]


def test_a_plan_in_which_nothing_is_gathered_is_refused_where_something_lacks(
    made: Any, tmp_path: Path
) -> None:
    maybe = stage("maybe", after_stage, {"table": "mean.table?", "tables": "join.numbers*?"})
    with pytest.raises(InputError, match="no subject has what the stage mean gathers"):
        made(GATHER, maybe, where=tmp_path / "empty")
    # Where nothing lacks, nothing need be gathered.
    told = {"table": "study.people", "tables": "study.failures"}
    alone = made(stage("maybe", after_stage, told), where=tmp_path / "empty")
    assert [job.stage for job in alone.jobs] == ["maybe"]


def test_later_stages_take_outputs_of_earlier_ones(made: Any) -> None:
    below = stage("below", after_stage, {"table": "mean.table", "tables": "provenance.all"})
    mean, job = made(GATHER, below).jobs
    assert job.inputs["table"] == InputFile(
        "group/mean.tsv", "group/mean.tsv", "group/mean", "table"
    )
    record = "provenance/group/mean.json"
    assert job.inputs["tables"] == {"mean": InputFile(record, record, "group/mean")}
    assert mean.id == "group/mean"


@pytest.mark.parametrize(
    ("name", "file"),
    [("exclusions", "exclusions.tsv"), ("failures", "failures.tsv"),
     ("people", "participants_status.tsv")],
)  # fmt: skip
def test_tables_of_the_engine_are_found_by_name(
    made: Any, out: Path, name: str, file: str
) -> None:
    told = stage("told", after_stage, {"table": f"study.{name}", "tables": "join.numbers*"})
    (job,) = made(told).jobs
    assert job.inputs["table"] == InputFile(str(out / file), file)


def test_tables_of_the_dataset_are_read_where_they_are(made: Any, tmp_path: Path) -> None:
    table = stage("t", after_stage, {"table": "raw.participants", "tables": "join.numbers*"})
    path = tmp_path / "bids" / "participants.tsv"
    (job,) = made(table).jobs
    assert job.inputs["table"] == InputFile(str(path), "bids:raw:participants.tsv")
    path.unlink()
    with pytest.raises(InputError) as caught:
        made(table)
    assert str(caught.value) == (
        "bids: there is no table of participants; add participants.tsv to the dataset."
    )
    maybe = stage("t", after_stage, {"table": "raw.participants?", "tables": "join.numbers*"})
    assert made(maybe).jobs[0].inputs["table"] is None


def configured(**values: Any) -> tuple[Study, Any]:
    own = stage(
        "file", file_stage, {"extra": "config.named.extra?"}, needs=("named.word|named.extra",)
    )
    many = stage("many", file_stage, {"extra": "config.named.more?"}, needs=("named.more",))
    people = tuple(s for s in toy_study.STAGES if s.level == "participant")
    study = replace(
        toy_study.STUDY, stages=(*people, GATHER, own, many), configuration=Configuration,
        show={"participant": "tell.page"},
    )  # fmt: skip
    return study, Configuration(named=Named(**values))


@pytest.mark.parametrize(
    ("values", "stages"),
    [
        ({}, ["mean"]),
        ({"word": "x"}, ["mean", "file"]),
        ({"extra": Path("/x/a.txt")}, ["mean", "file"]),
        ({"more": (Path("/x/a.txt"),)}, ["mean", "many"]),
        ({"word": "x", "more": (Path("/x/a.txt"),)}, ["mean", "file", "many"]),
    ],
)
def test_a_stage_is_planned_where_one_of_its_choices_is_made(
    out: Path, tmp_path: Path, values: dict[str, Any], stages: list[str]
) -> None:
    dataset = Dataset.open(toy_study.write_dataset(tmp_path / "bids", 3))
    study, configuration = configured(**values)
    plan = plan_group(study, dataset, configuration, out)
    assert [job.stage for job in plan.jobs] == stages
    by_name = {job.stage: job for job in plan.jobs}
    if "many" in by_name:
        assert by_name["many"].inputs["extra"] == {
            "1": InputFile("/x/a.txt", "config:named.more:a.txt")
        }
    if "file" in by_name:
        wanted = None
        if "extra" in values:
            wanted = InputFile("/x/a.txt", "config:named.extra:a.txt")
        assert by_name["file"].inputs["extra"] == wanted
