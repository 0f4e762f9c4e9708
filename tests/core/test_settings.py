"""Configuration: one declaration, read from files and options, written back in full."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError, OptionError
from falx.core.settings import flatten, option, options_of, read_toml, resolve, to_toml


@dataclass(frozen=True)
class Pet:
    psf_fwhm_mm: float = option(6.0, help="point spread", unit="mm", low=0, high=20)
    pvc: Literal["none", "mg3"] = option("mg3", help="partial-volume correction")
    sizes: tuple[float, ...] = option((1.0, 2.0), help="two sizes", low=0)
    frames: int | None = option(None, help="frames")


@dataclass(frozen=True)
class General:
    name: str = option("a", help="a name")
    strict: bool = option(False, help="be strict")
    atlas: Path | None = option(None, help="an atlas")


@dataclass(frozen=True)
class Configuration:
    pet: Pet = field(default_factory=Pet)
    general: General = field(default_factory=General)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "pet.psf_fwhm_mm": st.floats(0, 20),
        "pet.pvc": st.sampled_from(["none", "mg3"]),
        "pet.sizes": st.lists(st.floats(0, 1e6)).map(tuple),
        "pet.frames": st.integers(-5, 10**9),
        "general.name": st.text(st.characters(codec="utf-8")),
        "general.strict": st.booleans(),
    },
)


def parse(text: str, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "falx.toml"
    path.write_text(text, encoding="utf-8")
    return read_toml(path)


@given(values=VALUES)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    configuration = resolve(Configuration, values)
    text = to_toml(configuration, heading="two\nlines")
    again = resolve(Configuration, parse(text, tmp_path_factory.mktemp("toml")))
    assert again == configuration


def test_the_last_layer_wins_and_the_rest_are_defaults() -> None:
    configuration = resolve(
        Configuration, {"pet.psf_fwhm_mm": 4, "pet.pvc": "none"}, {"pet.psf_fwhm_mm": 5}
    )
    assert configuration.pet == Pet(psf_fwhm_mm=5.0, pvc="none")
    assert isinstance(configuration.pet.psf_fwhm_mm, float)
    assert flatten(configuration)["general.name"] == "a"


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("pet.psf_fwhm", 6.0, "unknown configuration key .* did you mean 'pet.psf_fwhm_mm'"),
        ("pet.psf_fwhm_mm", 25, r"out of range \(found: 25.0 mm\); give a value from 0 to 20 mm"),
        ("pet.psf_fwhm_mm", math.nan, "out of range"),
        ("pet.psf_fwhm_mm", "6", "must be a number"),
        ("pet.psf_fwhm_mm", True, "must be a number"),
        ("pet.frames", 1.5, "must be a whole number"),
        ("pet.frames", math.nan, "must be a whole number"),
        ("pet.frames", math.inf, "must be a whole number"),
        ("pet.frames", 10**400, "must be a whole number"),
        ("pet.psf_fwhm_mm", 10**400, "out of range"),
        ("pet.pvc", "mg4", "did you mean 'mg3'"),
        ("pet.sizes", 3.0, "must be a list"),
        ("pet.sizes", [-1.0], "out of range"),
        ("general.strict", 1, "must be true or false"),
        ("general.name", 1, "must be a text"),
        ("general.name", None, "must be a text"),
        ("general.atlas", 1, "must be a path"),
        ("zzz", 1, "the keys are pet.psf_fwhm_mm"),
    ],
)
def test_wrong_values_are_named_with_what_is_accepted(key: str, value: Any, match: str) -> None:
    with pytest.raises(OptionError, match=match):
        resolve(Configuration, {key: value})


def test_paths_are_made_absolute_and_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.nii").touch()
    atlas = resolve(Configuration, {"general.atlas": "~/x.nii"}).general.atlas
    assert atlas == tmp_path / "x.nii"
    with pytest.raises(InputError, match="file that general.atlas names does not exist"):
        resolve(Configuration, {"general.atlas": "~/y.nii"})


def test_the_written_file_explains_itself() -> None:
    text = to_toml(Configuration())
    assert "[pet]\n# point spread [mm]\npsf_fwhm_mm = 6.0\n" in text
    assert "# frames is not set" in text
    assert options_of(Configuration)["pet.psf_fwhm_mm"].flag == "--pet-psf-fwhm-mm"


@pytest.mark.parametrize(
    ("text", "match"),
    [("a = ", "is not TOML"), ("pvc = 'mg3'", "pvc stands outside any section")],
)
def test_files_that_cannot_be_read(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse(text, tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(tmp_path / "none.toml")
