"""The side that a PET suggests."""

from __future__ import annotations

import numpy as np
import pytest

from falx.pet.edges import Focus
from falx.pet.lateral import mesial_chance, suggest_side


def focus(side, probability=0.01):
    return Focus(side, probability, -0.2, 900.0, (-30.0, -10.0, -20.0), -4.0, 1.0)


@pytest.mark.parametrize(
    ("foci", "left", "side", "reason"),
    [
        ((), None, None, "no focus"),
        ((), -0.3, "left", "the left mesial temporal lobe is lower"),
        ((), 0.3, "right", "the right mesial temporal lobe is lower"),
        ((), -0.02, None, "no more than usual"),
        ((focus("right"),), None, "right", "on the right only"),
        ((focus("right"),), 0.3, "right", "on the right only"),
        ((focus("right"),), -0.3, None, "but the left mesial temporal lobe is lower"),
        ((focus("left"), focus("right")), -0.3, None, "foci on both sides"),
    ],
)
def test_witnesses_that_disagree_leave_the_side_undecided(foci, left, side, reason):
    found = suggest_side(foci, left, None if left is None else 0.02, level=0.05)
    assert found.side == side and reason in found.reason
    assert found.side is None or found.probability <= 0.05


def test_the_more_certain_focus_counts():
    found = suggest_side((focus("left", 0.04), focus("left", 0.002)), None, None, level=0.05)
    assert found.probability == 0.002


def test_healthy_people_rarely_get_a_side_and_a_planted_fall_nearly_always():
    """Asymmetries as in the shipped table, with the error of a 5 % noise."""
    rng, error = np.random.default_rng(3), 0.02
    healthy = rng.normal(0.0024, np.hypot(0.0323, error), 2000)
    given = [suggest_side((), x, error, level=0.05).side for x in healthy]
    assert np.mean([side is not None for side in given]) < 0.06
    ill = healthy[:1000] - 0.15
    sides = [suggest_side((), x, error, level=0.05).side for x in ill]
    assert np.mean([side == "left" for side in sides]) > 0.9  # .94 is the normal power
    assert "right" not in sides


def test_noise_makes_an_asymmetry_less_telling():
    chances = [mesial_chance(-0.12, error) for error in (0.0, 0.02, 0.05, 0.2)]
    assert chances == sorted(chances) and chances[0] < 0.001 < chances[-1]
