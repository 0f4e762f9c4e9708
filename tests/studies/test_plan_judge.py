"""Finalists that the heat model judges: it may move the choice, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.studies.plan.judge import chosen_by_heat, with_heat
from falx.studies.plan.records import compromises_of, option_record
from falx.surgery.assess import assess
from falx.surgery.burns.heat import Cooling
from falx.surgery.burns.misplaced import draw
from falx.surgery.robustness import shake
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.head_scene import scene_from_labels
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import fields_of
from surgery.phantom import head_labels, head_signature, same_place

EASY = Goal(threshold=0.3, probability=0.0, keep_probability=0.0, harmless_probability=0.0)


@pytest.fixture(scope="module")
def head():
    labels = head_labels()
    return scene_from_labels(labels, head_signature(labels), "left", same_place)


@pytest.fixture(scope="module")
def options(head):
    """A small and a large burn through the middle of the hippocampus, neither with violations."""
    middle = head.targets_mm[head.targets_mm[:, 1] < -10].mean(axis=0)
    entry = head.entries_mm[np.abs(head.entries_mm - middle)[:, [0, 2]].sum(axis=1).argmin()]
    fields, limits = fields_of(head), Limits(min_clearance_mm=0.0, protect_margin_mm=0.0)
    draws = draw(Placement(draws=100), 100, np.random.default_rng(1), "left")
    found = []
    for radius in (3.0, 6.0):
        plan = LaserPlan(Trajectory(tuple(entry), tuple(middle)), (Burn(radius, 20.0),))
        shaken = shake(plan, head, fields, limits, threshold=0.3, draws=draws)
        record = option_record(assess(plan, head, limits, fields=fields), shaken)
        found.append(replace(record, violations=()))
    return tuple(found)


def test_only_the_plans_that_are_asked_for_are_burned(head, options):
    found = with_heat(options, [1], head, Cooling())
    assert found[0] == options[0]
    assert found[0].heat is None
    assert 0 < found[1].heat.rate < options[1].hippocampus.rate + 0.2
    assert set(compromises_of(found, EASY).values()) <= {0, 1}
    assert compromises_of([replace(options[0], robustness=None), options[1]], EASY) == {}


def test_a_plan_that_reaches_the_rate_by_heat_is_kept_without_a_word(head, options):
    found, chosen, words = chosen_by_heat(options, 1, EASY, head, Cooling())
    assert chosen == 1
    assert words is None
    assert found[1].heat.rate >= EASY.threshold
    assert found[0].heat is None


def test_a_plan_that_falls_short_by_heat_gives_way_to_the_next_that_passes(head, options):
    small = with_heat(options, [0], head, Cooling())[0].heat.rate
    large = with_heat(options, [1], head, Cooling())[1].heat.rate
    goal = replace(EASY, threshold=(small + large) / 2)
    found, chosen, words = chosen_by_heat(options, 0, goal, head, Cooling())
    assert chosen == 1
    assert f"{small:.1%}" in words
    assert f"{large:.1%}" in words
    assert found[0].heat.rate == small
    unsafe = replace(goal, keep_probability=1.0)
    worse = [options[0], replace(options[1], violations=("angle",))]
    assert chosen_by_heat(worse, 0, unsafe, head, Cooling())[1] == 0


def test_where_no_plan_reaches_the_rate_by_heat_the_page_is_told(head, options):
    goal = replace(EASY, threshold=0.99)
    found, chosen, words = chosen_by_heat(options, 0, goal, head, Cooling())
    assert chosen == 0
    assert f"a rate of {found[0].heat.rate:.1%}, less than the 99.0% that is wanted" in words
    too_wide = replace(options[0], plan=replace(options[0].plan, burns=(Burn(15.0, 10.0),)))
    _, _, words = chosen_by_heat([too_wide], 0, goal, head, Cooling())
    assert "no dose for these radii" in words
