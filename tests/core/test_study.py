"""What a study says of itself, and tables that cannot work."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toy_study
from falx.core.errors import FalxError, InputError
from falx.core.participants import Participants
from falx.core.settings import option
from falx.core.stage import Source, Stage, arguments_of, check_table
from falx.core.study import Column, RawInput, load_for_forks, load_study

SIDE = Column("side of the focus", ("side", "focus"), {"l": "left", "r": "right"})
AGE = Column("age", ("age",), kind="number")


@given(
    st.sampled_from(["raw", "config", "anatomy"]),
    st.sampled_from(["pet", "genes.ahba", "gm"]),
    st.sampled_from(["", "?", "*", "?*", "*?"]),
)
def test_a_source_is_read_from_its_notation(origin: str, role: str, marks: str) -> None:
    source = Source.parse(f"{origin}.{role}{marks}")
    assert (source.origin, source.role) == (origin, role)
    assert (source.optional, source.gather) == ("?" in marks, "*" in marks)


@given(st.sampled_from(["l", "r", "left", "right"]), st.lists(st.booleans(), min_size=5))
def test_entries_are_read_in_any_case(text: str, upper: list[bool]) -> None:
    mixed = "".join(c.upper() if up else c for c, up in zip(text, upper * 5, strict=False))
    assert SIDE.read(mixed, where="sub-1") == ("left" if text.startswith("l") else "right")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_they_are_written(value: float) -> None:
    people = Participants({"1": {"Age": repr(value)}}, ("participant_id", "Age"))
    assert AGE.of(people, "1") == value


def test_entries_that_are_not_understood() -> None:
    with pytest.raises(InputError, match=r"the side .*\(found: 'b'\); write one of l, l.*r"):
        SIDE.read("b", where="sub-1")
    with pytest.raises(InputError, match=r"the age is not a number \(found: 'old'\)"):
        AGE.read("old", where="sub-1")
    assert SIDE.of(Participants(), "1") is None
    assert Column("group", ("group",)).read("DRE", where="x") == "DRE"


def test_what_forks_share_is_loaded_and_no_thread_started():
    import falx.images.resample  # has kernels

    before = threading.active_count()
    assert load_for_forks("toy_study:STUDY") is toy_study.STUDY
    assert threading.active_count() == before
    assert {"cattrs", "scipy.linalg", "numba.np.arrayobj"} <= sys.modules.keys()
    assert falx.images.resample.sample is not None


def test_a_study_is_found_by_its_reference() -> None:
    assert load_study("toy_study:STUDY") is toy_study.STUDY
    with pytest.raises(FalxError, match="toy_study:read is not a study"):
        load_study("toy_study:read")
    with pytest.raises(FalxError, match="the study toy has no stage x"):
        toy_study.STUDY.stage("x")
    assert [s.name for s in toy_study.STUDY.at("group")] == ["mean"]


@pytest.mark.parametrize(
    ("stage", "change", "match"),
    [
        ("warm", {"inputs": {"t1w": "raw.ct"}}, "stage warm asks for raw.ct"),
        ("join", {"params": {"weights": "join.weight", "strict": "join.strict"}}, "join.weight,"),
        ("warm", {"level": "group"}, "stage warm asks for participant.side"),
        ("tell", {"params": {}, "level": "group"}, ""),
    ],
)
def test_what_nothing_gives_is_an_error_at_import(
    stage: str, change: dict[str, object], match: str
) -> None:
    def build() -> None:
        old = toy_study.STUDY.stage(stage)
        stages = [replace(s, **change) if s is old else s for s in toy_study.STAGES]  # type: ignore[arg-type]
        replace(toy_study.STUDY, stages=tuple(stages))

    if not match:
        build()
        return
    with pytest.raises(FalxError, match=match):
        build()


def test_a_raw_input_cannot_be_changed_behind_its_back() -> None:
    wanted = RawInput("mask", suffix="mask", entities={"label": "ablation"})
    with pytest.raises(TypeError):
        wanted.entities["label"] = "x"  # type: ignore[index]


@dataclass(frozen=True)
class Files:
    image: Path
    out: Path
    extra: Path | None = None


@dataclass(frozen=True)
class Smooth:
    fwhm_mm: float = option(6.0, help="width", unit="mm")
    kinds: tuple[str, ...] = field(default=())


CALLS: list[tuple[Files, Smooth, int]] = []


def smooth_stage(files: Files, settings: Smooth, *, threads: int = 1) -> None:
    CALLS.append((files, settings, threads))


def test_a_stage_puts_records_together_and_names_what_it_lacks() -> None:
    assert arguments_of(smooth_stage) == {"image", "out", "extra", "fwhm_mm", "kinds"}
    stage = Stage(
        "smooth", smooth_stage, {"image": "raw.t1w"}, {"out": "x.txt"}, {"fwhm_mm": "s.fwhm_mm"}
    )
    stage.call({"image": Path("a"), "out": Path("b"), "fwhm_mm": 3.0}, threads=2)
    assert CALLS.pop() == (Files(Path("a"), Path("b")), Smooth(3.0), 2)
    with pytest.raises(FalxError, match=r"misses \['fwhm_mm'\]"):
        Stage("smooth", smooth_stage, {"image": "raw.t1w"}, {"out": "x.txt"})
    with pytest.raises(FalxError, match=r"names \['width'\] that the function does not take"):
        replace(stage, params={"fwhm_mm": "s.fwhm_mm", "width": "s.w"})


def test_a_table_takes_only_from_earlier_stages() -> None:
    warm, cool, join, *_ = toy_study.STAGES
    check_table((warm, cool, join))
    with pytest.raises(FalxError, match=r"stage join: its input cooled comes from cool\.cooled"):
        check_table((warm, join, cool))
    with pytest.raises(FalxError, match="two stages are called warm"):
        check_table((warm, warm))
