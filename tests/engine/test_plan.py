"""Plans: which jobs a dataset gives, with which paths and values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toy_study
from falx.bids.dataset import Dataset
from falx.core.errors import FalxError
from falx.core.study import RawInput, Study, load_study
from falx.engine.job import Input, InputFile, Job
from falx.engine.orders import Resources, share_threads
from falx.engine.plan import Plan, plan_participants
from toy_run import Toy

STUDY = toy_study.STUDY
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
FILES = st.builds(InputFile, TEXT, TEXT, TEXT, TEXT)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
JOBS = st.builds(
    Job,
    study=TEXT,
    stage=TEXT,
    version=st.integers(1, 9),
    unit=TEXT,
    inputs=st.dictionaries(
        TEXT, st.none() | FILES | st.dictionaries(TEXT, FILES, max_size=3), max_size=4
    ),
    outputs=st.dictionaries(TEXT, TEXT, max_size=4),
    params=st.dictionaries(TEXT, VALUES | st.lists(VALUES, max_size=4).map(tuple), max_size=4),
    recipe=TEXT,
)


def plan(toy: Toy) -> Plan:
    dataset = Dataset.open(toy.bids)
    return plan_participants(STUDY, dataset, STUDY.configuration(), dataset.index.subjects)


def job(made: Plan, job_id: str) -> Job:
    (found,) = (job for job in made.jobs if job.id == job_id)
    return found


# Drawing a job takes far longer than the test: on a busy machine, clocks would judge the machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JOBS)
def test_a_job_survives_its_file(written: Job) -> None:
    assert Job.from_json(written.to_json()) == written


def test_paths_are_absolute_outside_and_relative_inside(toy: Toy) -> None:
    made = plan(toy)
    warm, join = job(made, "sub-01/warm"), job(made, "sub-01/join")
    assert warm.inputs["t1w"] == InputFile(
        str(toy.image("01")), "bids:raw:sub-01/anat/sub-01_T1w.nii.gz"
    )
    assert join.inputs["warmed"] == InputFile(
        warm.outputs["warmed"], warm.outputs["warmed"], "sub-01/warm", "warmed"
    )
    assert join.needs == {"sub-01/warm", "sub-01/cool"}
    assert join.inputs["extra"] is None
    assert warm.params["side"] == "left"
    assert job(made, "sub-02/warm").params["side"] == "right"


def test_a_subject_without_an_optional_image_gets_the_rest(toy: Toy) -> None:
    toy.image("02", "FLAIR").unlink()
    made = plan(toy)
    assert [j.stage for j in made.jobs if j.unit == "sub-02"] == ["warm", "join", "tell"]
    assert job(made, "sub-02/join").inputs["cooled"] is None
    assert [(o.subject, o.stage, o.reason) for o in made.omitted] == [
        ("02", "cool", "no FLAIR image")
    ]
    assert toy.run().code == 0
    assert toy.lines[0] == "sub-02: no FLAIR image, so no cool"
    assert toy.output("02", "joined").read_text() == "4.0 6.0"


def test_an_optional_image_under_another_name_is_told_of(toy: Toy) -> None:
    image = toy.image("02", "FLAIR")
    image.rename(image.with_name("sub-02_FLAIR.NII"))
    (omitted,) = plan(toy).omitted
    assert omitted.reason == ("no FLAIR image (let sub-02_FLAIR.NII end in .nii.gz or .nii)")


def test_outputs_of_an_image_that_is_gone_do_not_stay(toy: Toy) -> None:
    toy.run()
    toy.image("02", "FLAIR").unlink()
    toy.run()
    assert not toy.output("02", "cool").exists()
    assert toy.ran == ["sub-02 join", "sub-02 tell"]
    assert toy.output("02", "joined").read_text() == "4.0 6.0"


def test_sidecar_values_reach_the_stage(toy: Toy) -> None:
    (toy.bids / "FLAIR.json").write_text('{"Units": "C"}')
    assert job(plan(toy), "sub-01/cool").params == {"units": "C"}
    toy.run()
    (toy.bids / "FLAIR.json").write_text('{"Units": "F"}')
    toy.run()
    assert "sub-01 cool" in toy.ran


def test_a_missing_value_of_a_subject_leaves_it_out(toy: Toy) -> None:
    table = toy.bids / "participants.tsv"
    table.write_text(table.read_text().replace("sub-02\tR", "sub-02\tn/a"))
    made = plan(toy)
    (left_out,) = made.excluded
    assert left_out.subject == "02"
    assert left_out.reason == (
        "sub-02: participants.tsv does not say the side of the focus; add a column side, or name "
        "yours with --column side=HEADER."
    )
    assert {j.unit for j in made.jobs} == {"sub-01"}
    toy.run()
    rows = (toy.out / "exclusions.tsv").read_text().splitlines()
    assert rows == ["participant_id\treason", f"sub-02\t{left_out.reason}"]


def test_a_subject_left_out_later_leaves_the_group_as_well(toy: Toy) -> None:
    toy.run()
    toy.image("01").unlink()
    toy.run()
    toy.run("group")
    lines = (toy.out / "group" / "means.tsv").read_text().splitlines()
    assert lines[:2] == ["02\t7.5", "mean\t7.5"]
    assert lines[2].startswith("sub-01\tsub-01: there is no T1w image")


def test_what_is_known_of_others_stays_when_few_are_run(toy: Toy) -> None:
    toy.image("01").write_text("0 0")
    toy.run()
    toy.run(subjects=("02",))
    assert "sub-01\tsub-01: the image is empty" in (toy.out / "exclusions.tsv").read_text()


def test_the_group_needs_somebody(toy: Toy) -> None:
    with pytest.raises(FalxError, match=r"no subject has what the stage mean gathers .*run the p"):
        toy.run("group")


def test_the_group_runs_again_when_its_subjects_change(toy: Toy) -> None:
    toy.run()
    toy.run("group")
    toy.run("group")
    assert toy.ran == []
    toy.run(join__weights=(2.0, 1.0))
    toy.run("group")
    assert toy.ran == ["group mean"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"raw": {"t1w": STUDY.raw["t1w"]}}, "stage cool asks for raw.flair, which nothing gives"),
        (
            {
                "stages": (
                    dataclasses.replace(
                        STUDY.stages[0],
                        params={**STUDY.stages[0].params, "side": "participant.sex"},
                    ),
                )
            },
            "stage warm asks for participant.sex",
        ),
        ({"stages": STUDY.stages[1:]}, "warm.warmed, which no earlier stage writes"),
        (
            {
                "stages": (
                    dataclasses.replace(
                        STUDY.stages[1], params={**STUDY.stages[1].params, "units": "warm.heat"}
                    ),
                )
            },
            "asks for warm.heat",
        ),
        ({"stages": (STUDY.stages[0], STUDY.stages[0])}, "two stages are called warm"),
    ],
)
def test_a_table_that_cannot_work_is_refused_when_it_is_built(
    change: dict[str, Any], match: str
) -> None:
    with pytest.raises(FalxError, match=match):
        dataclasses.replace(STUDY, **change)


def test_a_raw_input_says_what_to_look_for() -> None:
    with pytest.raises(FalxError, match="says nothing to look for"):
        RawInput("anything")


def test_a_study_is_found_by_its_reference() -> None:
    assert isinstance(load_study("toy_study:STUDY"), Study)
    with pytest.raises(FalxError, match="toy_study:STAGES is not a study"):
        load_study("toy_study:STAGES")
    with pytest.raises(FalxError, match="the study toy has no stage boil"):
        STUDY.stage("boil")


def test_records_name_no_folder_of_this_machine(toy: Toy, tmp_path: Path) -> None:
    here = str(tmp_path / "download")
    Path(here).mkdir()
    toy.run(join__folder=here)
    toy.run("group", join__folder=here)  # the stage is given the whole path, its record the name
    for path in (toy.out / "provenance").rglob("*.json"):
        assert str(tmp_path) not in path.read_text()
        assert path.name == "manifest.json" or json.loads(path.read_text())["falx"]
    mean = json.loads((toy.out / "provenance" / "group" / "mean.json").read_text())
    assert mean["params"] == {"folder": "download"}
    toy.run("group", join__folder=here)
    assert toy.ran == []
    toy.run("group", join__folder=f"{here}/..", dry_run=True)
    assert "group mean: folder: download is now .." in toy.lines


def test_people_go_side_by_side_before_threads_within_them() -> None:
    def threads(people: int, cores: int, profile: str = "") -> int:
        job = Job("s:S", "fit", 1, "", {}, {}, {}, "", threads=4)
        jobs = [dataclasses.replace(job, unit=f"sub-{k}") for k in range(people)]
        return share_threads(jobs, Resources(cores, profile=profile))[0].threads

    assert [threads(people, 8) for people in (1, 2, 3, 8, 20)] == [4, 4, 2, 1, 1]
    assert threads(1, 2) == 2
    assert threads(20, 8, profile="cluster") == 4


def test_what_gathers_is_told_from_what_takes_one_file_or_records() -> None:
    one, other = InputFile("a", "a", "sub-01/x", "y"), InputFile("b", "b", "sub-02/x", "y")
    given = InputFile("/c", "config:c:c")
    job = Job("s:S", "mean", 1, "group", {}, {}, {}, "")

    def gathers(value: Input) -> bool:
        return dataclasses.replace(job, inputs={"it": value}).gathers

    assert gathers({"01": one, "02": other})
    assert not any(map(gathers, (one, None, {}, {"1": given})))
    taken = dataclasses.replace(job, inputs={"it": {"01": one, "02": other}, "file": given})
    assert [name for name, _ in taken.files()] == ["it.01", "it.02", "file"]
    assert taken.needs == {"sub-01/x", "sub-02/x"}
    assert Job.from_json(taken.to_json()) == taken
