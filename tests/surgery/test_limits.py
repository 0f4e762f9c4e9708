"""Limits, goals and placement: ranges, order, and the options of the command line."""

from __future__ import annotations

import argparse
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.cli.options import add_options, options_from
from falx.core.errors import OptionError
from falx.core.settings import options_of
from falx.surgery.tracks.limits import STEP_MM, Goal, Limits, Placement, Search

KINDS = (Limits, Goal, Placement, Search)


@given(st.lists(st.floats(1, 15), min_size=1, max_size=8))
def test_burns_to_choose_from_are_sorted_and_each_stands_once(radii):
    found = Limits(radii_mm=tuple(radii)).radii_mm
    assert list(found) == sorted(set(radii))


@given(st.floats(0, 90))
def test_rules_hold_the_cosine_of_the_angle(angle):
    rules = Limits(max_angle_deg=angle).rules()
    assert rules.min_cosine == pytest.approx(math.cos(math.radians(angle)))
    assert rules.step == STEP_MM


def test_rules_hold_every_limit_in_its_place():
    rules = Limits(100, 60, 1.5, 2.5, 12, 9).rules(0.5)
    assert rules == pytest.approx((100, 0.5, 1.5, 2.5, 9, 0.5, 12))


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_refused_beyond_either_end_of_its_range_and_taken_on_it(kind):
    for name, declared in options_of(kind).items():
        for value in (declared.low - 0.01, declared.high + 0.01, math.nan, math.inf):
            given_value = (value,) if declared.many else value
            with pytest.raises(OptionError, match=name):
                kind(**{name: given_value})
        kept = (declared.high,) if declared.many else declared.high
        if name != "min_clearance_mm":
            assert getattr(kind(**{name: kept}), name) == kept


def test_the_risk_must_fall_off_beyond_the_clearance():
    with pytest.raises(OptionError, match=r"risk_far_mm.*from 3.1 to 20 mm"):
        Limits(min_clearance_mm=3.0, risk_far_mm=3.0)
    assert Limits(min_clearance_mm=3.0, risk_far_mm=3.1).risk_far_mm == 3.1


@pytest.mark.parametrize("name", ["radii_mm", "pull_backs_mm"])
def test_no_burn_at_all_is_refused(name):
    with pytest.raises(OptionError, match=f"{name} is empty"):
        Limits(**{name: ()})


def test_numbers_of_numpy_are_numbers():
    limits = Limits(max_length_mm=np.float32(90), radii_mm=tuple(np.arange(5, 8)))
    assert (limits.max_length_mm, limits.radii_mm) == (90.0, (5.0, 6.0, 7.0))
    assert Placement(draws=np.int64(500)).draws == 500


def test_the_command_line_offers_every_choice_once():
    parser = argparse.ArgumentParser()
    for kind in KINDS:
        add_options(parser, kind)
    words = ["--radii-mm", "8", "6", "--keep-probability", "0.7", "--draws", "300"]
    words += ["--max-burns", "3", "--max-angle-deg", "45"]
    given_words = parser.parse_args(words)
    assert options_from(given_words, Limits) == Limits(max_angle_deg=45, radii_mm=(6.0, 8.0))
    assert options_from(given_words, Goal) == Goal(keep_probability=0.7)
    assert options_from(given_words, Placement) == Placement(draws=300)
    assert options_from(given_words, Search) == Search(max_burns=3)
    with pytest.raises(OptionError, match="max_burns.*1 to 4"):
        options_from(parser.parse_args(["--max-burns", "5"]), Search)
    with pytest.raises(OptionError, match="draws must be a whole number"):
        options_from(parser.parse_args(["--draws", "nan"]), Placement)
