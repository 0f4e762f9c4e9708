"""Every kind of option: what it accepts, what it says, and how it is written and read."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError, OptionError
from falx.core.settings import (
    check_settings,
    flatten,
    inputs_of,
    keys_of,
    option,
    options_of,
    params_of,
    read_toml,
    resolve,
    to_toml,
    with_default,
)


@dataclass(frozen=True)
class Every:
    """One option of each kind."""

    width_mm: float = option(2.5, help="width", unit="mm", low=0, high=10)
    rounds: int = option(3, help="rounds", low=1, high=9)
    masked: bool = option(True, help="inside the mask")
    how: Literal["fast", "slow"] = option("fast", help="pace")
    word: str = option("all", help="any word")
    chosen: str = option("a", help="one of some", choices=("a", "b"))
    weights: tuple[float, ...] = option((1.0, 2.0), help="weights", low=0)
    names: tuple[str, ...] = option((), help="names")
    path: Path | None = option(None, help="a file")
    limit: float | None = option(None, help="a limit", low=-1)
    plain: int = 7

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Narrow(Every):
    """The same, narrower."""

    width_mm: float = with_default(Every, "width_mm", 0.5, high=1, help="a narrow width")


@dataclass(frozen=True)
class Whole:
    every: Every = field(default_factory=Every)
    narrow: Narrow = field(default_factory=Narrow)


def test_declarations_are_read_from_the_class() -> None:
    found = options_of(Every)
    assert list(found) == ["width_mm", "rounds", "masked", "how", "word", "chosen", "weights",
                           "names", "path", "limit"]  # fmt: skip
    width = found["width_mm"]
    assert (width.kind, width.default, width.unit, width.low, width.high, width.help) == (
        float, 2.5, "mm", 0, 10, "width",
    )  # fmt: skip
    assert (width.many, width.nullable, width.choices) == (False, False, ())
    assert found["how"].choices == ("fast", "slow") and found["how"].kind is str
    assert found["chosen"].choices == ("a", "b")
    assert found["weights"].many and found["weights"].kind is float
    assert found["path"].nullable and found["path"].kind is Path and not found["path"].many
    assert found["limit"].nullable and found["limit"].kind is float
    assert (found["rounds"].low, found["word"].low) == (1, -math.inf)


def test_sections_carry_their_name_into_key_and_flag() -> None:
    found = options_of(Whole)
    assert found["every.width_mm"].flag == "--every-width-mm"
    assert found["narrow.width_mm"].default == 0.5
    assert (found["narrow.width_mm"].high, found["narrow.width_mm"].unit) == (1, "mm")
    assert found["narrow.width_mm"].help == "a narrow width"
    assert found["narrow.rounds"].default == 3
    assert len(found) == 20


def test_keys_inputs_and_params_part_the_options() -> None:
    keys = keys_of("e", Every)
    assert keys["rounds"] == "e.rounds" and "plain" not in keys and len(keys) == 10
    assert inputs_of("e", Every) == {"path": "config.e.path?"}
    assert params_of("e", Every) == {k: v for k, v in keys.items() if k != "path"}


@pytest.mark.parametrize(
    ("name", "given_", "kept"),
    [
        ("width_mm", 3, 3.0), ("width_mm", 0, 0.0), ("width_mm", 10, 10.0),
        ("rounds", 9.0, 9), ("rounds", 1, 1), ("masked", False, False), ("how", "slow", "slow"),
        ("chosen", "b", "b"), ("weights", [3, 4], (3.0, 4.0)), ("weights", (), ()),
        ("names", ["x"], ("x",)), ("limit", None, None), ("limit", -1, -1.0), ("path", None, None),
    ],
)  # fmt: skip
def test_values_are_kept_in_their_type(name: str, given_: Any, kept: Any) -> None:
    found = getattr(Every(**{name: given_}), name)
    assert found == kept and type(found) is type(kept)
    assert getattr(resolve(Every, {name: given_}), name) == kept


@pytest.mark.parametrize(
    ("name", "given_", "told"),
    [
        ("width_mm", 10.1, r"width_mm is out of range .found: 10.1 mm.; give .* 0 to 10 mm"),
        ("width_mm", -0.1, r"width_mm is out of range .found: -0.1 mm"),
        ("width_mm", math.nan, "width_mm"),
        ("width_mm", "3", r"width_mm must be a number .found: '3'"),
        ("width_mm", True, r"width_mm must be a number .found: True"),
        ("width_mm", None, r"width_mm must be a number .found: None"),
        ("rounds", 2.5, r"rounds must be a whole number .found: 2.5"),
        ("rounds", 0, "rounds is out of range"),
        ("rounds", 10**400, "rounds is out of range"),
        ("rounds", True, r"rounds must be a whole number .found: True"),
        ("masked", 1, r"masked must be true or false .found: 1"),
        ("masked", "yes", r"masked must be true or false .found: 'yes'"),
        ("how", "fats", "did you mean 'fast'"),
        ("chosen", "c", r"chosen.*found: 'c'.*choose one of 'a', 'b'"),
        ("word", 3, r"word must be a text .found: 3"),
        ("weights", 3.0, r"weights must be a list .found: 3.0"),
        ("weights", "12", r"weights must be a list .found: '12'"),
        ("weights", [1, -1], r"weights is out of range .found: -1"),
        ("weights", [1, "2"], r"weights must be a number .found: '2'"),
        ("names", "abc", "names must be a list"),
        ("path", 3, r"path must be a path .found: 3"),
        ("path", "nowhere.txt", "nowhere.txt: the file that path names does not exist"),
        ("limit", -2, "limit is out of range"),
    ],
)
def test_values_that_no_option_takes_are_named(name: str, given_: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Every(**{name: given_})
    with pytest.raises(InputError, match=told):
        resolve(Every, {name: given_})


def test_a_file_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert Every(path="x.txt").path == tmp_path / "x.txt"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Every(path="~/x.txt").path == tmp_path / "x.txt"
    with pytest.raises(InputError, match="does not exist"):
        Every(path=tmp_path)


@given(st.lists(st.dictionaries(st.sampled_from(["every.rounds", "narrow.rounds"]),
                                st.integers(1, 9)), max_size=4))  # fmt: skip
def test_the_last_layer_that_says_something_wins(layers: list[dict[str, int]]) -> None:
    found = resolve(Whole, *layers)
    for section in ("every", "narrow"):
        said = [layer[f"{section}.rounds"] for layer in layers if f"{section}.rounds" in layer]
        assert getattr(found, section).rounds == (said[-1] if said else 3)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("every.round", "unknown configuration key 'every.round'; did you mean 'every.rounds'"),
        ("rounds", "did you mean '(every|narrow).rounds'"),
        ("zzz", r"unknown configuration key 'zzz'; the keys are every.width_mm, every.rounds"),
    ],
)
def test_unknown_keys_name_the_nearest(key: str, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        resolve(Whole, {key: 1})


@given(
    st.floats(0, 10), st.integers(1, 9), st.booleans(),
    st.lists(st.text(st.characters(blacklist_categories=("Cs",)), max_size=6), max_size=3),
    st.lists(st.floats(0, 1e6), max_size=3),
)  # fmt: skip
def test_what_is_written_says_the_same(
    width: float, rounds: int, masked: bool, names: list[str], weights: list[float]
) -> None:
    every = Every(width, rounds, masked, names=tuple(names), weights=tuple(weights))
    whole = Whole(every)
    read = tomllib.loads(to_toml(whole))
    values = {f"{s}.{k}": v for s, items in read.items() for k, v in items.items()}
    assert resolve(Whole, values) == whole
    assert flatten(whole)["every.width_mm"] == width


def test_a_written_file_explains_every_line() -> None:
    text = to_toml(Whole(), heading="made by hand\ntwice")
    lines = text.splitlines()
    assert lines[:4] == ["# made by hand", "# twice", "", "[every]"]
    assert lines[4:6] == ["# width [mm]", "width_mm = 2.5"]
    for line in ('how = "fast"', "weights = [1.0, 2.0]", "names = []", "masked = true",
                 "# path is not set", "# limit is not set", "[narrow]",
                 "width_mm = 0.5"):  # fmt: skip
        assert line in lines
    assert "plain" not in text and text.endswith("\n")
    assert to_toml(Whole()).startswith("[every]\n")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a = 1", r"f.toml: a stands outside any section; write it under .* pet.a = "),
        (b"[a", "the configuration file is not TOML"),
        (b"\xff\xfe", "the configuration file is not TOML"),
    ],
)
def test_files_that_are_no_configuration(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_toml(path)
    with pytest.raises(InputError, match=r"cannot be read .found: No such file"):
        read_toml(tmp_path / "none.toml")
    path.write_text("[a]\nb = 1\n[c]\nd = [2, 3]\n")
    assert read_toml(path) == {"a.b": 1, "c.d": [2, 3]}
