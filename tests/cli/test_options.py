"""Options of any settings class on the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

import pytest

from falx.cli.options import add_options, options_from
from falx.core.errors import OptionError
from falx.core.settings import option


@dataclass(frozen=True)
class Smoothing:
    fwhm_mm: float = option(6.0, help="width", unit="mm", low=0, high=20)
    rounds: int = option(3, help="rounds", low=1)
    masked: bool = option(True, help="inside a mask")


@dataclass(frozen=True)
class Whole:
    pet: Smoothing = field(default_factory=Smoothing)


def parsed(settings: type, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser, settings)
    return parser.parse_args(words)


def test_options_of_a_flat_class_are_read_back_and_the_rest_keeps_its_default() -> None:
    given = parsed(Smoothing, "--fwhm-mm", "8", "--no-masked")
    assert options_from(given, Smoothing) == Smoothing(8.0, 3, False)
    assert options_from(parsed(Smoothing), Smoothing) == Smoothing()


def test_options_of_a_class_of_sections_carry_the_section() -> None:
    given = parsed(Whole, "--pet-rounds", "7")
    assert options_from(given, Whole) == Whole(Smoothing(rounds=7))


def test_a_value_out_of_range_is_refused_even_if_the_class_does_not_check() -> None:
    with pytest.raises(OptionError, match="fwhm_mm is out of range"):
        options_from(parsed(Smoothing, "--fwhm-mm", "21"), Smoothing)


def test_two_classes_share_a_parser(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Goal:
        threshold: float = option(0.4, help="threshold", low=0, high=1)

    parser = argparse.ArgumentParser()
    rules = parser.add_argument_group("rules")
    add_options(rules, Smoothing)
    add_options(rules, Goal)
    given = parser.parse_args(["--threshold", "0.5", "--rounds", "2"])
    assert options_from(given, Goal) == Goal(0.5)
    assert options_from(given, Smoothing) == Smoothing(rounds=2)
    assert "0 to 20 mm; default 6.0 mm" in " ".join(parser.format_help().split())


def test_help_has_whole_digits_and_says_whether_a_switch_is_on() -> None:
    @dataclass(frozen=True)
    class Draws:
        seed: int = option(1, help="seed", low=0, high=2**31 - 1)
        refine: bool = option(False, help="refine the map")
        restore: bool = option(True, help="restore smoothness")

    parser = argparse.ArgumentParser()
    add_options(parser, Draws)
    shown = " ".join(parser.format_help().split())
    assert "seed; 0 to 2147483647; default 1" in shown
    assert "refine the map; off by default" in shown
    assert "restore smoothness; on by default" in shown
