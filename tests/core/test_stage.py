from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import FalxError
from falx.core.settings import keys_of, option
from falx.core.stage import Source, Stage, arguments_of, check_table, gathered


def copy(*, image, copied, fwhm_mm):
    """File function of a toy stage."""


def make(name: str = "copy", **changes) -> Stage:
    return Stage(
        **{
            "name": name,
            "run": copy,
            "inputs": {"image": "raw.t1w"},
            "outputs": {"copied": "sub-{subject}/copy.nii.gz"},
            "params": {"fwhm_mm": "copy.fwhm_mm"},
            **changes,
        }
    )


def test_sources_are_parsed() -> None:
    assert Source.parse("raw.pet") == Source("raw", "pet")
    assert Source.parse("a.b?").optional and Source.parse("a.b*").gather
    assert make().sources["image"].origin == "raw"


def test_table_and_function_must_name_the_same_arguments() -> None:
    with pytest.raises(FalxError, match=r"names \['extra'\].*misses \['fwhm_mm'\]"):
        make(params={"extra": "copy.extra"})


def test_what_is_bound_to_the_function_is_not_asked_of_the_table() -> None:
    assert make(run=partial(copy, fwhm_mm=3.0), params={}).params == {}
    with pytest.raises(FalxError, match=r"names \['fwhm_mm'\]"):
        make(run=partial(copy, fwhm_mm=3.0))


def test_table_refuses_unknown_sources_and_twins() -> None:
    second = make("second", inputs={"image": "copy.copied"})
    check_table((make(), second))
    with pytest.raises(FalxError, match="no earlier stage writes"):
        check_table((second, make()))
    with pytest.raises(FalxError, match="two stages"):
        check_table((make(), make()))


def test_a_stage_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        make().version = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        make().outputs["copied"] = "elsewhere"  # type: ignore[index]


class Shared(TypedDict):
    """Arguments of several stages."""

    image: Path
    copied: Path


def test_arguments_declared_once_are_asked_of_the_table() -> None:
    def copy_all(*, fwhm_mm: float, threads: int = 1, **given: Unpack[Shared]) -> None:
        """File function that shares arguments with others."""

    assert arguments_of(copy_all) == {"fwhm_mm", "image", "copied"}
    assert make(run=copy_all).outputs
    with pytest.raises(FalxError, match=r"misses \['image'\]"):
        make(run=copy_all, inputs={})


@dataclass(frozen=True)
class Files:
    image: Path
    copied: Path
    mask: Path | None = None


@dataclass(frozen=True)
class Settings:
    fwhm_mm: float = option(6.0, help="smoothing", unit="mm", low=0)
    rounds: int = 3


def copy_records(files: Files, settings: Settings, *, threads: int) -> None:
    files.copied.write_text(f"{files.image.name} {settings.fwhm_mm} {settings.rounds} {threads}")


def test_files_and_settings_come_as_records(tmp_path: Path) -> None:
    stage = make(run=copy_records, params=keys_of("copy", Settings))
    assert stage.params == {"fwhm_mm": "copy.fwhm_mm"}
    copied = tmp_path / "copied"
    stage.call({"image": tmp_path / "t1w", "copied": copied, "fwhm_mm": 2.0}, threads=2)
    assert copied.read_text() == "t1w 2.0 3 2"


def test_an_option_of_the_settings_cannot_be_forgotten_by_the_table() -> None:
    with pytest.raises(FalxError, match=r"misses \['fwhm_mm'\]"):
        make(run=copy_records, params={})
    with pytest.raises(FalxError, match=r"names \['width'\]"):
        make(run=copy_records, params={"fwhm_mm": "copy.fwhm_mm", "width": "copy.width"})


@dataclass(frozen=True)
class GroupFiles:
    """Files of a stage that takes a group."""

    image: Path
    copied: Path
    scaled: Mapping[str, Path]


def copy_group(files: GroupFiles) -> None:
    names = {key: path.name for key, path in files.scaled.items()}
    files.copied.write_text(f"{files.image.name} {names}")


def make_group(**inputs: str) -> Stage:
    return make(run=copy_group, inputs={"image": "raw.t1w", **inputs}, params={})


MEMBERS = {"scaled.pet": "raw.pet", "scaled.flair": "raw.flair?"}


def test_a_group_of_inputs_comes_as_one_mapping_of_what_is_there(tmp_path: Path) -> None:
    stage = make_group(**MEMBERS)
    assert stage.sources["scaled.flair"] == Source("raw", "flair", optional=True)
    here = {"image": tmp_path / "t1w", "copied": tmp_path / "copied"}
    stage.call({**here, "scaled.pet": tmp_path / "pet", "scaled.flair": None})
    assert here["copied"].read_text() == "t1w {'pet': 'pet'}"
    stage.call({**here, "scaled.pet": None, "scaled.flair": None})
    assert here["copied"].read_text() == "t1w {}"


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, r"misses \['scaled'\]"),
        ({**MEMBERS, "other.pet": "raw.pet"}, r"names \['other'\]"),
        ({**MEMBERS, "scaled": "raw.pet"}, r"scaled is named whole, and in parts by scaled\.pet"),
        ({"scaled.": "raw.pet"}, r"'scaled\.' names no member"),
        ({**MEMBERS, ".pet": "raw.pet"}, r"'\.pet' names no member"),
        ({**MEMBERS, "image.pet": "raw.pet"}, r"image is named whole"),
    ],
)
def test_a_group_that_cannot_be_given_is_refused(inputs: dict[str, str], sentence: str) -> None:
    with pytest.raises(FalxError, match=sentence):
        make_group(**inputs)


def test_only_inputs_are_grouped_and_only_a_mapping_takes_a_group() -> None:
    with pytest.raises(FalxError, match="image no mapping"):
        make(run=copy_records, inputs={"image.pet": "raw.pet"}, params=keys_of("copy", Settings))
    with pytest.raises(FalxError, match=r"copied\.a is no input"):
        make(outputs={"copied.a": "sub-{subject}/copy.nii.gz"})


NAMES = st.text("abcxyz_", min_size=1, max_size=4)
VALUES = st.one_of(st.none(), st.integers())


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(st.tuples(NAMES, NAMES), VALUES))
def test_gathering_loses_nothing_but_what_is_not_there(
    whole: dict[str, int | None], parts: dict[tuple[str, str], int | None]
) -> None:
    parts = {pair: value for pair, value in parts.items() if pair[0] not in whole}
    found = gathered({**whole, **{".".join(pair): value for pair, value in parts.items()}})
    assert {name: found[name] for name in whole} == whole
    assert found.keys() == {*whole, *(group for group, _ in parts)}
    groups = {name: members for name, members in found.items() if name not in whole}
    flat = {(g, key): value for g, members in groups.items() for key, value in members.items()}
    assert flat == {pair: value for pair, value in parts.items() if value is not None}


@given(st.lists(NAMES, unique=True), st.randoms(use_true_random=False))
def test_a_group_keeps_the_order_of_the_table(keys: list[str], random: Random) -> None:
    random.shuffle(keys)
    found = gathered({f"group.{key}": index for index, key in enumerate(keys)})
    assert list(found.get("group", {})) == keys


@given(st.dictionaries(NAMES, VALUES))
def test_names_without_a_dot_pass_as_they_are(named: dict[str, int | None]) -> None:
    assert gathered(named) == named
