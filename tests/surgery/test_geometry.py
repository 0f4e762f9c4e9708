"""Tracks, burns and the volumes they heat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import InputError
from falx.core.grid import Grid
from falx.surgery.tracks.geometry import (
    Burn,
    LaserPlan,
    Trajectory,
    ablated,
    ablation_mask,
    capsule_volume_mm3,
    mirrored_plan,
)
from surgery.phantom import heated

PLAN = LaserPlan(
    Trajectory((-35.0, -90.0, 10.0), (-25.0, -10.0, -12.0)),
    (Burn(8.0, 24.0), Burn(5.0, 10.0, 30.0)),
)


@pytest.mark.parametrize(("radius", "pull_back"), [(5, 20), (8, 24), (9, 40)])
def test_mask_has_the_volume_of_a_capsule(radius, pull_back):
    grid = Grid((260, 320, 260), np.diag([0.25, 0.25, 0.25, 1.0]))
    plan = LaserPlan(
        Trajectory((25.0, 75.0, 40.0), (34.0, 15.0, 30.0)), (Burn(radius, pull_back),)
    )
    volume = ablation_mask(plan, grid).sum() * 0.25**3
    assert volume == pytest.approx(capsule_volume_mm3(radius, pull_back), rel=0.01)


def test_volumes_of_the_literature():
    # Worked by hand from pi r² b + 4/3 pi r³.
    for radius, pull_back, volume in ((5, 20, 2094), (8, 24, 6970), (8, 30, 8177), (9, 40, 13232)):
        assert capsule_volume_mm3(radius, pull_back) == pytest.approx(volume, abs=1)


def test_union_of_burns_equals_projection_on_the_axis(rng):
    points = rng.uniform((-50, -60, -40), (0, 20, 20), (20_000, 3))
    assert np.array_equal(ablated(points, PLAN), heated(points, PLAN))


def test_mask_on_an_oblique_anisotropic_grid_equals_its_points():
    c, s = np.cos(0.4), np.sin(0.4)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.9, 1.1, 3.0])
    affine[:3, 3] = [-10, -70, -40]
    grid = Grid((60, 90, 25), affine)
    assert np.array_equal(ablation_mask(PLAN, grid), ablated(grid.centres_mm(), PLAN))
    assert ablation_mask(PLAN, grid).any()


@given(st.floats(1, 9), st.floats(0, 40), st.floats(0, 10))
def test_mirrored_plan_heats_mirrored_points(radius, pull_back, offset):
    plan = LaserPlan(PLAN.trajectory, (Burn(radius, pull_back, offset),))
    points = np.random.default_rng(1).uniform((-50, -60, -40), (0, 20, 20), (200, 3))
    flipped = points * [-1, 1, 1]
    assert np.array_equal(ablated(points, plan), ablated(flipped, mirrored_plan(plan)))
    assert mirrored_plan(mirrored_plan(plan)) == plan


def test_impossible_plans_are_refused():
    with pytest.raises(InputError, match="entry is not a point in millimetres"):
        Trajectory((np.nan, 0, 0), (0, 50, 0))
    with pytest.raises(InputError, match="too close for a track"):
        Trajectory((0, 0, 0), (0, 5, 0))
    with pytest.raises(InputError, match="positive radius"):
        Burn(-1.0)
    with pytest.raises(InputError, match="positive radius"):
        Burn(5.0, float("nan"))
    with pytest.raises(InputError, match="at least one burn"):
        LaserPlan(PLAN.trajectory, ())
