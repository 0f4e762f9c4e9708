"""The desk's parts without a browser: folders, sessions, runs, their words, the table."""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

import falx.desk
import toy_study
from falx.cli.main import main
from falx.core.errors import InputError, OptionError
from falx.desk import processes, running, transfers
from falx.desk.cohort_table import ConflictError, Edit, add_person, changed, read_cohort
from falx.desk.listing import overview
from falx.desk.processes import code_of, end, is_alive, log_of, ordered, read_run, read_runs, start
from falx.desk.progress import Step, progress_of
from falx.desk.running import standing_of
from falx.desk.sessions import SessionNames, filters_of, read_sessions, write_sessions
from falx.desk.shells import PAGES
from falx.desk.workspace import Workspace
from falx.engine.job import Job
from falx.engine.progress import Progress as EngineProgress
from falx.engine.runner import Finished
from falx.studies.signature.study import STUDY


def test_a_desk_lies_beside_a_dataset_and_inside_a_new_folder(tmp_path) -> None:
    bids = toy_study.write_dataset(tmp_path / "study", 1)
    before = sorted(bids.rglob("*"))
    made = Workspace.open(bids)
    assert (made.bids, made.out) == (bids, tmp_path / "study-desk" / "signature")
    assert sorted(bids.rglob("*")) == before or (bids / "dataset_description.json").is_file()
    assert not made.out.exists() and made.private.stat().st_mode & 0o777 == 0o700
    new = Workspace.open(tmp_path / "new")
    assert new.bids == tmp_path / "new" / "bids"
    assert (new.bids / "dataset_description.json").is_file()
    assert Workspace.open(tmp_path / "new") == new
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_text("")
    with pytest.raises(InputError, match="neither a BIDS dataset nor a desk.*beach.jpg"):
        Workspace.open(tmp_path / "holiday")
    with pytest.raises(InputError, match="is a file"):
        Workspace.open(tmp_path / "holiday" / "beach.jpg")


def test_one_server_has_a_folder_and_uploads_that_never_ended_are_gone(tmp_path, capsys) -> None:
    from falx.desk.serve import _only_desk

    private = Workspace.open(tmp_path / "desk").private
    left = transfers.Transfer.new(private)
    (left.files / "x").write_text("Quixotzky")
    with _only_desk(private):
        assert main(["desk", str(tmp_path / "desk"), "--no-browser"]) == 2
    assert "another desk has this folder open" in capsys.readouterr().err
    assert left.files.exists()
    transfers.purge(private)
    assert not left.folder.exists()


def test_a_disk_that_locks_nothing_is_not_called_another_desk(
    tmp_path, capsys, monkeypatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert main(["desk", str(tmp_path / "desk"), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert "cannot be held for this desk alone (found: No locks available); put" in said
    assert "another desk" not in said


def test_a_port_that_is_taken_is_told(tmp_path, capsys) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["desk", str(tmp_path / "desk"), "--no-browser", "--port", port]) == 2
    assert f"--port {port}: the desk cannot listen at this port" in capsys.readouterr().err
    assert main(["desk", str(tmp_path / "desk"), "--no-browser", "--port", "70000"]) == 2


def test_names_of_sessions_become_filters_of_the_command_line(tmp_path) -> None:
    assert read_sessions(tmp_path) == SessionNames()
    assert filters_of(SessionNames(), STUDY) == ()
    assert filters_of(SessionNames("preop", "postop"), STUDY) == ()
    write_sessions(tmp_path, SessionNames("1", "2"), ("1", "2"))
    assert filters_of(read_sessions(tmp_path), STUDY) == (
        "t1w.ses=1", "pet.ses=1", "flair.ses=1", "postop.ses=2")  # fmt: skip
    assert filters_of(SessionNames(postop="b"), STUDY) == ("postop.ses=b",)
    with pytest.raises(InputError, match="no such session.*'3'"):
        write_sessions(tmp_path, SessionNames("3"), ("1", "2"))
    with pytest.raises(InputError, match="cannot be before and after"):
        write_sessions(tmp_path, SessionNames("1", "1"), ("1", "2"))
    assert read_sessions(tmp_path) == SessionNames("1", "2")


def test_two_images_for_one_role_are_a_problem_and_not_a_guess(tmp_path) -> None:
    bids = toy_study.write_dataset(tmp_path / "bids", 1)
    image = bids / "sub-01/anat/sub-01_T1w.nii.gz"
    for run in "12":
        image.with_name(f"sub-01_run-{run}_T1w.nii.gz").write_bytes(image.read_bytes())
    image.unlink()
    (patient,) = overview(Workspace.open(bids), STUDY).patients
    t1w = patient.images[0]
    assert (t1w.role, t1w.file, t1w.required) == ("t1w", "", True)
    assert "2 files could be the pre-operative T1w image" in t1w.problem
    assert (patient.status, patient.page, patient.others) == ("not run", "", {})
    workspace = Workspace.open(bids)
    for desc in ("planned_plan", "proposedAblation_metrics"):
        page = workspace.out / f"sub-01/anat/sub-01_desc-{desc}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()
    (workspace.out / "participants_status.tsv").write_text(
        "participant_id\tstatus\tgroup\tstage\treason\n"
        "sub-01\tfailed\tn/a\tpet\tsub-01 pet: it is empty.\n"
    )
    (patient,) = overview(workspace, STUDY).patients
    assert list(patient.others) == ["Laser plan", "Ablation proposal"]
    assert (patient.status, patient.stage, patient.reason) == (
        "failed", "pet", "sub-01 pet: it is empty.")  # fmt: skip


def test_the_resistance_study_lies_beside_and_its_command_is_one_that_falx_takes(tmp_path):
    import argparse

    from falx.cli import resistance

    bids = toy_study.write_dataset(tmp_path / "bids", 1)
    workspace = Workspace.open(bids)
    roles = {"resistant": "--config=/etc/passwd", "controls": " Kontrolle 1 ", "sensitive": ""}
    order = running._order(workspace, running.Wish("group", study="resistance", roles=roles))
    words = list(order.words[len(running.PROGRAM) - 1 :])
    assert (words[0], order.study, order.title) == ("resistance", "resistance", "the group")
    parser = argparse.ArgumentParser()
    resistance.add_arguments(parser)
    taken = parser.parse_args(words[1:])
    assert (taken.out, taken.level, taken.config) == (
        workspace.out.with_name("resistance"), "group", None)  # fmt: skip
    given = vars(taken)
    assert given["groups.resistant"] == "--config=/etc/passwd"
    assert (given["groups.controls"], given["groups.sensitive"]) == ("Kontrolle 1", "")
    taken.out.mkdir(parents=True)
    (taken.out / "group.html").touch()
    assert running._pages(taken.out, order) == ("group.html",)
    with pytest.raises(OptionError, match="the study"):
        running._order(workspace, running.Wish("group", study="../x"))
    with pytest.raises(OptionError, match="the preset"):
        running._order(workspace, running.Wish("group", study="resistance", preset="corrected"))
    wish = running.Wish("group", preset="liu2024", study="resistance")
    assert running._order(workspace, wish).words[-2:] == ("--preset", "liu2024")


def test_the_lines_of_a_run_are_read() -> None:
    read = progress_of(
        [
            "notice: an older folder", "check: no column age", "left out: sub-3: no PET",
            "sub-01: there is no FLAIR, so no asymmetry_flair", "4 of 6 steps to do",
            "[1 of 4] sub-01 warm (0.5 s)",
            ("[2 of 4] sub-02 warm FAILED: sub-02: it broke (found: 7). "
            "Log: /o/logs/sub-02/warm.log"),
            "notice: an older folder", "look at:", "  /o/sub-01.html", "1 of 6 steps to do",
            "[1 of 1] sub-01 cool (12.0 s)",
        ],
        "/o",
    )  # fmt: skip
    assert read.total == 3  # two have ended, and one is to do
    assert read.steps == (
        Step("sub-01 warm", 0.5),
        Step("sub-02 warm", 0.0, "sub-02: it broke (found: 7).", "logs/sub-02/warm.log"),
        Step("sub-01 cool", 12.0),
    )
    assert len(read.notes) == 4
    assert (read.sentence, read.up_to_date) == ("", False)
    refused = progress_of(["falx: /o: the output folder is a file."])
    assert refused.sentence == "/o: the output folder is a file."
    assert progress_of(["everything is up to date (6 steps)"]).up_to_date
    assert progress_of([]).total == 0


def test_what_the_engine_says_of_the_time_left_is_read_as_it_says_it(tmp_path) -> None:
    clock = [0.0]
    jobs = [Job("toy", "long", 1, f"sub-{k}", {}, {}, {}, "") for k in range(4)]
    lines = ["4 of 4 steps to do"]
    engine = EngineProgress(jobs, tmp_path, lines.append, clock=lambda: clock[0])
    for ended, left in [(1, ""), (2, "about 4 min"), (3, "about 2 min"), (4, "")]:
        clock[0] += 120.0
        engine(Finished(f"sub-{ended - 1}/long", 120.0, None, "log"))
        read = progress_of(lines)
        assert len(read.steps) == ended
        assert (read.total, read.left) == (4, left)


@pytest.fixture
def private(tmp_path):
    made = Workspace.open(tmp_path / "desk").private
    yield made
    for run in read_runs(made):
        if is_alive(run):
            os.killpg(run.pid, signal.SIGKILL)
            wait(lambda run=run: not is_alive(run))


def wait(condition, *, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_command_keeps_its_words_and_its_code(private) -> None:
    odd = "a b; $(touch gone) \"'"
    run = start(private, ordered("other", ("07",), ["sh", "-c", 'echo "$1"; exit 7', "sh", odd]))
    wait(lambda: code_of(private, run) is not None)
    assert code_of(private, run) == 7
    assert log_of(private, run.id).read_text() == odd + "\n"
    assert not (private / "gone").exists()
    assert read_run(private, run.id) == run
    assert (run.title, run.labels) == ("sub-07", ("07",))
    assert [one.id for one in read_runs(private)] == [run.id]
    with pytest.raises(InputError, match="leads out of the desk"):
        read_run(private, "../private/runs/" + run.id)


def test_one_command_at_a_time_and_its_end_is_asked_for_kindly(private) -> None:
    kind = (
        "import signal, time\nsignal.signal(15, lambda *_: exit(130))\nprint('on')\ntime.sleep(60)"
    )
    run = start(private, ordered("participant", (), [running.sys.executable, "-c", kind]))
    wait(lambda: log_of(private, run.id).read_text() == "on\n")
    with pytest.raises(InputError, match="another run is under way.*all patients"):
        start(private, ordered("group", (), ["true"]))
    end(private, run)
    wait(lambda: not is_alive(run))
    assert code_of(private, run) == 130
    assert read_run(private, run.id).cancelled
    end(private, run)  # it is over; nothing is sent to whoever has its number now
    again = start(private, run)
    assert again.id != run.id and again.words == run.words and not again.cancelled


def test_of_runs_that_are_started_in_the_same_moment_one_is(private) -> None:
    def tried(_) -> bool:
        try:
            start(private, ordered("group", (), ["sleep", "60"]))
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(tried, range(6))) == 1
    assert len(read_runs(private)) == 1


def test_every_page_has_a_shell_a_route_and_a_link_in_the_bar() -> None:
    here = Path(falx.desk.__file__).parent
    assert {path.stem for path in (here / "pages").glob("*.html")} == {*PAGES, "view"}
    bar = (here.parents[2] / "viewer" / "src" / "desk" / "api.js").read_text(encoding="utf-8")
    links = re.search(r"const PAGES = \[(.*?)\];", bar, re.DOTALL)
    assert links is not None
    assert tuple(re.findall(r'\["(\w+)",', links[1])) == PAGES


def test_a_number_that_was_given_out_again_is_not_taken_for_the_run(private) -> None:
    own = psutil.Process()
    run = ordered("participant", (), ["true"])
    here = processes.replace(run, id="x", pid=own.pid, born=own.create_time())
    assert is_alive(here)
    assert not is_alive(processes.replace(here, born=own.create_time() - 100))
    assert not is_alive(processes.replace(here, pid=0))


def test_how_a_run_stands(tmp_path, monkeypatch) -> None:
    workspace = Workspace.open(tmp_path / "desk")
    states = {}
    for name, code in (("finished", 0), ("failed", 1), ("refused", 2), ("interrupted", 137)):
        run = start(workspace.private, ordered("group", (), ["sh", "-c", f"exit {code}"]))
        wait(lambda run=run: code_of(workspace.private, run) is not None and not is_alive(run))
        states[name] = standing_of(workspace, run).state
    assert states == {name: name for name in states}
    dead = processes.replace(run, id="never", pid=0)
    assert standing_of(workspace, dead).state == "interrupted"
    assert standing_of(workspace, processes.replace(dead, cancelled=True)).state == "cancelled"
    monkeypatch.setattr(running, "PROGRAM", ["python", "falx", "signature"])
    words = ("python", "falx", "signature", "a b")
    typed = standing_of(workspace, processes.replace(dead, words=words))
    assert typed.command == "falx signature 'a b'"


def table(tmp_path, text):
    bids = toy_study.write_dataset(tmp_path / "bids", 2)
    (bids / "participants.tsv").write_bytes(text)
    return bids


def test_an_edit_changes_one_cell_and_nothing_else(tmp_path) -> None:
    bids = table(tmp_path, b'participant_id\tSide\tnote\nsub-02\tR\ta, "b"\nsub-01\tn/a\t7\n')
    before = read_cohort(bids, STUDY)
    assert [(h.header, h.key) for h in before.heads] == [("Side", "side"), ("note", "")]
    assert before.rows == {"01": ("", "7"), "02": ("R", 'a, "b"')}
    assert before.wrong == {}
    (exclude,) = [head for head in before.offered if head.key == "exclude"]
    assert exclude.entries[:2] == ("no", "yes")  # or any reason
    assert {head.key for head in before.offered} == {*STUDY.columns, "group"} - {"side"}
    after = changed(bids, STUDY, Edit(before.digest, "Side", "01", " left "))
    assert after.rows["01"] == ("left", "7")
    text = (bids / "participants.tsv").read_text()
    assert text == 'participant_id\tSide\tnote\nsub-02\tR\t"a, ""b"""\nsub-01\tleft\t7\n'
    with pytest.raises(ConflictError, match="has been changed since"):
        changed(bids, STUDY, Edit(before.digest, "Side", "01", "right"))
    assert changed(bids, STUDY, Edit(after.digest, "Side", "01", "")).rows["01"] == ("", "7")
    assert "sub-01\tn/a\t7\n" in (bids / "participants.tsv").read_text()


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("side", "up", "side of the epileptic focus is not understood"),
        ("age", "old", "age at surgery is not a number"),
        ("age", "-3", "below 0 or infinite"),
        ("age", "inf", "below 0 or infinite"),
        ("age", "nan", ""),
        ("sex", "w", "sex is not a number"),
        ("sex", "F", ""),
        ("outcome", "7", "neither an ILAE class"),
        ("outcome", "Engel Ia", "neither an ILAE class"),
        ("outcome", "seizure free", ""),
        ("outcome", "ILAE 3", ""),
        ("whatever", "Engel Ia", ""),
    ],
)
def test_what_the_study_would_not_understand_is_refused_at_once(
    tmp_path, header, value, said
) -> None:
    bids = table(tmp_path, f"participant_id\t{header}\nsub-01\tn/a\n".encode())
    digest = read_cohort(bids, STUDY).digest
    if said:
        before = (bids / "participants.tsv").read_bytes()
        with pytest.raises((InputError, OptionError), match=said):
            changed(bids, STUDY, Edit(digest, header, "01", value))
        assert (bids / "participants.tsv").read_bytes() == before
        (bids / "participants.tsv").write_text(f"participant_id\t{header}\nsub-01\t{value}\n")
        assert said in read_cohort(bids, STUDY).wrong[f"01 {header}"]
    else:
        assert changed(bids, STUDY, Edit(digest, header, "01", value)).wrong == {}


def test_a_table_of_another_making_is_read_and_a_broken_one_is_told(tmp_path) -> None:
    bids = table(tmp_path, "Participant_ID\tage\nsub-01\t31\n".encode("utf-16"))
    read = read_cohort(bids, STUDY)
    assert read.rows == {"01": ("31",), "02": ("",)}
    assert changed(bids, STUDY, Edit(read.digest, "age", "02", "40")).rows["02"] == ("40",)
    (bids / "participants.tsv").write_text("participant_id\tage\nsub-01\t3\nsub-01\t4\n")
    with pytest.raises(InputError, match="subject 01 stands there twice"):
        read_cohort(bids, STUDY)


def test_a_person_is_added_once_with_what_is_known(tmp_path) -> None:
    bids = toy_study.write_dataset(tmp_path / "bids", 1)
    (bids / "participants.tsv").unlink(missing_ok=True)
    add_person(bids, "07", {})
    assert (bids / "participants.tsv").read_text() == "participant_id\nsub-07\n"
    add_person(bids, "07", {"side": "left"})
    add_person(bids, "08", {"side": "right"})
    assert (bids / "participants.tsv").read_text() == (
        "participant_id\tside\nsub-07\tleft\nsub-08\tright\n"
    )


def test_a_disk_that_fills_up_leaves_the_table_as_it_was(tmp_path, monkeypatch) -> None:
    from falx.core import files

    bids = table(tmp_path, b"participant_id\tage\nsub-01\t31\n")

    def full(_path):
        raise OSError(errno.ENOSPC, "No space left on device")

    digest = read_cohort(bids, STUDY).digest
    monkeypatch.setattr(files, "flush", full)
    with pytest.raises(OSError, match="No space left"):
        changed(bids, STUDY, Edit(digest, "age", "01", "32"))
    assert (bids / "participants.tsv").read_bytes() == b"participant_id\tage\nsub-01\t31\n"
    assert sorted(path.name for path in bids.glob(".falx-*")) == []


def test_the_browser_is_started_without_the_token_in_its_words(tmp_path, monkeypatch, capsys):
    from falx.cli import desk
    from falx.desk import serve

    opened, address = [], "http://127.0.0.1:7/?token=secret"

    def served(folder, *, port, ready):
        ready(address, tmp_path)

    monkeypatch.setattr(serve, "serve", served)
    monkeypatch.setattr(desk.webbrowser, "open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["desk", str(tmp_path / "desk")]) == 0
    (page,) = opened
    assert page == (tmp_path / "open.html").as_uri() and "secret" not in page
    assert address in (tmp_path / "open.html").read_text()
    assert (tmp_path / "open.html").stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out.count(address) == 1
    assert main(["desk", str(tmp_path / "desk"), "--no-browser"]) == 0
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(desk.sys, "platform", "linux")
    assert main(["desk", str(tmp_path / "desk")]) == 0
    assert len(opened) == 1


def test_without_bundled_pages_the_command_says_so_and_makes_nothing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("falx.desk.shells.is_built", lambda: False)
    assert main(["desk", str(tmp_path / "work"), "--no-browser"]) == 2
    assert "no pages of the desk" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
