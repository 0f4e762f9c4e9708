"""A step of the group that fails does not stop the page, which names it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import toy_study
from toy_run import Toy

SENTENCE = "the divisor is too large (found: 5.0)."


@pytest.fixture
def group(make_toy: Callable[..., Toy]) -> Toy:
    toy = make_toy()
    toy.study = toy_study.GROUP_STUDY
    toy.run(warm__offset_mm=1.0)
    return toy


@pytest.mark.parametrize("parallel", [False, True])
def test_others_go_on_and_the_page_names_the_failure(group: Toy, parallel: bool) -> None:
    outcome = group.run("group", parallel=parallel, warm__gain=5.0, warm__offset_mm=1.0)
    assert outcome.code == 1
    assert [failed.job for failed in outcome.failed] == ["group/first"]
    assert outcome.show == (group.out / "group.html",)
    assert (group.out / "group.html").read_text().splitlines() == [
        "none", "8.0", f"first\t{SENTENCE}",
    ]  # fmt: skip
    assert not (group.out / "group" / "need.txt").exists()


def test_a_mended_step_makes_the_page_whole_again(group: Toy) -> None:
    group.run("group", warm__gain=5.0, warm__offset_mm=1.0)
    outcome = group.run("group", warm__offset_mm=1.0)
    assert outcome.code == 0
    assert group.ran == ["group compare", "group first", "group need"]
    assert (group.out / "group.html").read_text().splitlines() == ["4.0", "8.0"]
    assert group.run("group", warm__offset_mm=1.0).ran == 0


def test_a_stage_with_nothing_to_gather_leaves_the_others(group: Toy) -> None:
    for record in (group.out / "provenance").rglob("join.json"):
        record.unlink()
    with pytest.raises(Exception, match="no subject has what the stage first gathers"):
        group.run("group")
