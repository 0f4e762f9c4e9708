"""Commands by hand leave a record; what they built upon and has changed since is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from falx.core.errors import InputError
from falx.engine import methods
from falx.engine.command import by_hand, stale_commands
from falx.engine.lock import hold
from falx.engine.manifest import close_manifest
from falx.engine.methods import METHODS, write_methods
from falx.engine.provenance import BY_HAND, read_record, record_path
from falx.engine.verify import repair, verify_folder
from toy_run import Toy


@dataclass(frozen=True)
class Rules:
    length_mm: float = 120.0


def plan(toy: Toy, text: str = "plan of {}", **given: Path) -> Path:
    """Write a plan of sub-02 from its joined image."""
    read = {"joined": toy.output("02", "joined"), **given}
    page = toy.out / "sub-02" / "anat" / "sub-02_desc-planned_plan.html"
    with by_hand(toy.out, "sub-02/planned", read, {"rules": Rules(), "side": "left"}) as command:
        page.write_text(text.format(read["joined"].read_text()))
        command.outputs = {"page": page, "mask": page.with_name("never_written.nii.gz")}
        command.notices = ("vessels were not checked",)
    return page


@pytest.fixture
def planned(toy: Toy) -> Toy:
    toy.run()
    plan(toy)
    return toy


def test_a_plan_has_a_record_and_is_part_of_the_folder(planned: Toy) -> None:
    assert verify_folder(planned.out) == []
    record = read_record(record_path(planned.out, "sub-02/planned"))
    assert record is not None
    assert (record.study, record.notices) == (BY_HAND, ("vessels were not checked",))
    assert record.params == {"rules": {"length_mm": 120.0}, "side": "left"}
    assert set(record.above) == {"sub-02/join"}
    assert set(record.outputs) == {"page"}
    plan(planned)
    assert verify_folder(planned.out) == []


def test_an_edited_plan_is_named_and_never_deleted(planned: Toy) -> None:
    page = plan(planned)
    page.write_text("another target")
    mismatches = verify_folder(planned.out)
    assert [str(m) for m in mismatches] == [
        (
            "sub-02/anat/sub-02_desc-planned_plan.html was changed after it was written "
            "(sub-02 planned)"
        )
    ]
    assert repair(planned.out, mismatches) == []
    assert page.read_text() == "another target"


def test_a_plan_of_a_patient_who_was_computed_again_is_outdated(planned: Toy) -> None:
    planned.run(join__weights=(1.0, 2.0))
    (mismatch,) = verify_folder(planned.out)
    assert mismatch.job == "sub-02/planned"
    assert mismatch.what == "was made again with another content since it was read"
    assert repair(planned.out, verify_folder(planned.out)) == []
    plan(planned)
    assert verify_folder(planned.out) == []


HTML = '<html><body>\n<main id="main">\nplan of {}</main></body></html>'


def test_the_page_of_an_outdated_plan_says_so_until_it_holds_again(toy: Toy) -> None:
    toy.run()
    page = plan(toy, text=HTML)
    sheet = page.with_name("sub-02_desc-planned_plan.pdf")
    fresh = page.read_bytes()
    toy.run()
    assert page.read_bytes() == fresh
    toy.run(join__weights=(1.0, 2.0))
    marked = page.read_text()
    head, mark, rest = marked.partition("</li></ul>")
    assert mark
    assert "sub-02: what was planned is outdated, for join was done again since" in head
    assert 'main">\n' not in head
    assert rest.lstrip().startswith("plan of")
    assert any(line.startswith("notice: sub-02: what was planned is outd") for line in toy.lines)
    mismatches = verify_folder(toy.out)
    assert {m.job for m in mismatches} == {"sub-02/planned"}
    assert not any("after it was written" in m.what for m in mismatches)
    toy.run(join__weights=(1.0, 2.0))
    assert page.read_text() == marked
    toy.run()
    assert page.read_bytes() == fresh
    assert verify_folder(toy.out) == []
    toy.run(join__weights=(1.0, 2.0))
    plan(toy, text=HTML)
    assert "outdated" not in page.read_text()
    assert verify_folder(toy.out) == []
    assert not sheet.exists()


def test_the_sheet_of_an_outdated_plan_says_so_until_it_holds_again(toy: Toy) -> None:
    toy.run()
    sheet = toy.out / "sub-02" / "anat" / "sub-02_desc-planned_plan.pdf"
    read = {"joined": toy.output("02", "joined")}
    with by_hand(toy.out, "sub-02/planned", read, {}) as command:
        Figure().savefig(sheet)
        command.outputs = {"sheet": sheet}
    fresh = sheet.read_bytes()
    assert stale_commands(toy.out) == []
    toy.run(join__weights=(1.0, 2.0))
    assert b"(sub-02: what was planned is outdated" in sheet.read_bytes()
    assert [record.id for record in stale_commands(toy.out)] == ["sub-02/planned"]
    assert not any("after it was written" in m.what for m in verify_folder(toy.out))
    toy.run()
    assert sheet.read_bytes() == fresh
    assert verify_folder(toy.out) == []


def test_a_page_that_was_edited_is_not_written_over(toy: Toy) -> None:
    toy.run()
    page = plan(toy, text=HTML)
    page.write_text(HTML + "my remark")
    toy.run(join__weights=(1.0, 2.0))
    assert page.read_text() == HTML + "my remark"
    said = {m.what for m in verify_folder(toy.out) if m.job == "sub-02/planned"}
    assert "was changed after it was written" in said


def test_an_input_that_rotted_is_refused_before_anything_is_planned(planned: Toy) -> None:
    planned.output("02", "joined").write_text("6.1 9.0")
    with pytest.raises(InputError, match="joined_T1w.nii.gz is not as sub-02 join left it"):
        plan(planned)
    assert not (planned.out / ".falx" / "lock.json").exists()


def test_files_from_outside_are_named_by_their_role(planned: Toy, tmp_path: Path) -> None:
    vessels = tmp_path / "Jane_Doe.nii.gz"
    vessels.write_text("x")
    plan(planned, vessels=vessels)
    text = record_path(planned.out, "sub-02/planned").read_text()
    assert "Jane" not in text
    assert "given:vessels" in text


def test_a_command_waits_for_no_run_and_vouches_for_none(planned: Toy) -> None:
    with hold(planned.out), pytest.raises(InputError, match="another run is working"):
        plan(planned)
    (planned.out / "configuration.toml").write_text("edited")
    record_path(planned.out, "sub-01/tell").write_text("")
    plan(planned)
    said = {str(mismatch) for mismatch in verify_folder(planned.out)}
    assert said == {
        "configuration.toml was changed after it was written",
        "provenance/sub-01/tell.json is damaged (sub-01 tell)",
    }


def test_a_level_does_not_take_over_the_damage_of_the_other(toy: Toy) -> None:
    toy.run()
    (toy.out / "configuration.toml").write_text("edited")
    toy.run("group")
    assert [str(m) for m in verify_folder(toy.out)] == [
        "configuration.toml was changed after it was written"
    ]
    close_manifest(toy.out, ())
    assert len(verify_folder(toy.out)) == 1
    toy.run()
    assert verify_folder(toy.out) == []


def test_a_folder_of_another_making_takes_a_record_too(tmp_path: Path) -> None:
    image = tmp_path / "out" / "image.txt"
    image.parent.mkdir()
    image.write_text("x")
    with by_hand(tmp_path / "out", "sub-01/planned", {"image": image, "none": None}, {}) as done:
        done.outputs = {"copy": image}
    record = read_record(record_path(tmp_path / "out", "sub-01/planned"))
    assert record is not None
    assert record.above == {}
    assert list(record.inputs) == ["image"]


def test_a_command_that_fails_leaves_no_record(toy: Toy) -> None:
    toy.run()
    with pytest.raises(ZeroDivisionError), by_hand(toy.out, "sub-01/planned", {}, {}):
        raise ZeroDivisionError
    assert not record_path(toy.out, "sub-01/planned").exists()
    assert verify_folder(toy.out) == []


def test_a_file_of_the_methods_text_that_was_lost_or_edited_is_written_again(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {name: f"text of {name}\n" for name in METHODS}
    study = SimpleNamespace(methods=lambda *_: texts)
    toy.run()
    monkeypatch.setattr(methods, "load_study", lambda _: study)
    write_methods(toy.out)
    left = (toy.out / "methods.md").stat().st_mtime_ns
    (toy.out / "methods.bib").write_text("damaged")
    (toy.out / "methods.html").unlink()
    write_methods(toy.out)
    assert {name: (toy.out / name).read_text() for name in METHODS} == texts
    assert (toy.out / "methods.md").stat().st_mtime_ns == left


def test_the_sidecar_of_an_image_belongs_to_the_command_that_wrote_it(planned: Toy) -> None:
    image = planned.out / "sub-02" / "anat" / "sub-02_desc-planned_mask.nii.gz"
    with by_hand(planned.out, "sub-02/scored", {}, {}) as command:
        image.write_bytes(b"a mask")
        image.with_name("sub-02_desc-planned_mask.json").write_text("{}")
        command.outputs = {"mask": image}
    assert verify_folder(planned.out) == []
