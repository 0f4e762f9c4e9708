"""Cuts of the publication on another scale: a range, and nothing for other definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from falx.data.mo2025 import PUBLISHED_AI_THRESHOLD
from falx.pet.carried import (
    CARRIED_INDEX,
    CARRIED_RATE,
    CARRIED_TO,
    carried_index_words,
    carried_rate_words,
)
from falx.pet.presets import preset


def test_they_belong_to_the_default_definition():
    choices = preset("corrected")
    signature = choices.signature
    assert (CARRIED_TO.method, CARRIED_TO.cut) == (signature.method, signature.level)
    assert (CARRIED_TO.correction, CARRIED_TO.scale) == (choices.pet.method, "proportional")


def test_a_cut_is_a_range_that_holds_its_middle():
    for cut in (CARRIED_RATE, CARRIED_INDEX):
        assert cut.low < cut.value < cut.high and cut.heads >= 10
    # A corrected index is further from zero than one of the z + 5 scale of m/s about 2.4.
    assert CARRIED_INDEX.value < PUBLISHED_AI_THRESHOLD
    assert CARRIED_RATE.low > 0.0 and CARRIED_RATE.high < 1.0


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (CARRIED_RATE.value, "cannot be said"),
        (0.99, "above that range"),
        (0.0, "below that range"),
    ],
)
def test_a_rate_is_placed_only_outside_the_range(rate, said):
    assert carried_rate_words(CARRIED_TO, rate).endswith(f"{said}.")
    assert "this rate" not in carried_rate_words(CARRIED_TO)


@pytest.mark.parametrize(
    "changed", [{"correction": "none"}, {"cut": 0.01}, {"method": "threshold", "cut": -0.06}]
)
def test_to_another_definition_nothing_is_carried(changed):
    other = replace(CARRIED_TO, **changed)
    assert "was not carried over" in carried_rate_words(other, 0.4)


def test_the_index_is_carried_for_the_same_correction_only():
    assert f"{CARRIED_INDEX.value:.2f} on the scale of this run" in carried_index_words("mg3")
    assert carried_index_words("none") == ""
