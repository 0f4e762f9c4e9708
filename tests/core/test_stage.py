from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

import pytest

from falx.core.errors import FalxError
from falx.core.settings import keys_of, option
from falx.core.stage import Source, Stage, arguments_of, check_table


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
