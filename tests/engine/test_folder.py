"""Output folders that cannot be used, and sentences that say why."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from falx.core.errors import FalxNotice, InputError
from falx.engine.folder import LAYOUT, check_folder, prepare_folder
from toy_run import Toy
from toy_study import STUDY


def test_an_output_folder_inside_the_dataset_is_refused(toy: Toy) -> None:
    for inside in (toy.bids / "derivatives" / "falx", toy.bids):
        with pytest.raises(InputError, match="lies inside the BIDS folder"):
            check_folder(inside, toy.bids, "toy")
        assert not (toy.bids / "derivatives").exists()


def test_a_link_into_the_dataset_is_refused(toy: Toy) -> None:
    link = toy.bids.with_name("link")
    link.symlink_to(toy.bids / "sub-01")
    with pytest.raises(InputError, match="lies inside the BIDS folder"):
        check_folder(link / "out", toy.bids, "toy")


def test_a_dataset_inside_the_output_folder_is_refused(toy: Toy) -> None:
    with pytest.raises(InputError, match="BIDS folder lies inside the output folder"):
        check_folder(toy.bids.parent, toy.bids, "toy")


def test_a_folder_of_something_else_is_refused_and_kept(toy: Toy) -> None:
    toy.out.mkdir()
    (toy.out / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"not empty and was not made by Falx \(found: thesis"):
        toy.run()
    assert [path.name for path in toy.out.iterdir()] == ["thesis.tex"]


def test_another_study_is_refused(toy: Toy) -> None:
    prepare_folder(toy.out, "resistance")
    with pytest.raises(InputError, match=r"holds another study \(found: falx resistance\)"):
        toy.run()


def test_another_version_is_a_notice_and_another_layout_an_error(toy: Toy) -> None:
    prepare_folder(toy.out, "toy")
    path = toy.out / ".falx" / "folder.json"
    made = json.loads(path.read_text()) | {"falx": "0.0.9"}
    path.write_text(json.dumps(made))
    with pytest.warns(FalxNotice, match=r"another version of Falx \(found: 0\.0\.9; this is"):
        check_folder(toy.out, toy.bids, "toy")
    assert toy.run().code == 0
    assert "another version" in toy.lines[0]
    path.write_text(json.dumps(made | {"layout": LAYOUT + 1}))
    with pytest.raises(InputError, match=r"lays it out differently .* go on with Falx 0\.0\.9"):
        toy.run()


@pytest.mark.parametrize("folder", ["/proc/falx", "/sys/falx/deeper"])
def test_a_folder_that_cannot_be_written_is_refused(toy: Toy, folder: str) -> None:
    if not Path(folder).parent.exists() and not Path(folder).parents[1].exists():
        pytest.skip("this system has no such folder")
    toy.out = Path(folder)
    with pytest.raises(InputError, match="the output folder cannot be written"):
        toy.run()


def test_a_file_in_place_of_the_folder_is_refused(toy: Toy) -> None:
    toy.out.touch()
    with pytest.raises(InputError, match="the output folder is a file"):
        toy.run()


def test_a_disk_that_is_too_small_is_noticed_before_the_first_job(toy: Toy) -> None:
    huge = dataclasses.replace(STUDY.stages[0], disk_mb=10**9)
    study = dataclasses.replace(STUDY, stages=(huge, *STUDY.stages[1:]))
    toy.study = study
    with pytest.raises(InputError, match=r"not enough space .* about 2000000\.\d GB needed"):
        toy.run()
    assert not list((toy.out / "provenance").glob("*/*"))


def test_the_folder_is_a_private_derivatives_dataset(toy: Toy) -> None:
    toy.run()
    assert toy.out.stat().st_mode & 0o077 == 0
    description = json.loads((toy.out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "Falx"
    for path in toy.out.rglob("*"):
        if path.is_file() and ".falx" not in path.parts:
            assert str(toy.bids) not in path.read_text(), path
