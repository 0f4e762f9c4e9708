"""Tracks, burns and the volumes they heat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ellipsoid_head import rigid
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


POINTS = np.random.default_rng(3).uniform((-50, -60, -40), (0, 20, 20), (300, 3))
BURNS = st.builds(Burn, st.floats(1, 12), st.floats(0, 40), st.floats(0, 30))


@given(st.floats(1, 12), st.floats(0, 40), st.floats(0, 40))
def test_volume_grows_by_a_cylinder_and_begins_with_a_ball(radius, pull_back, more):
    assert capsule_volume_mm3(radius, 0) == pytest.approx(4 / 3 * np.pi * radius**3)
    gain = capsule_volume_mm3(radius, pull_back + more) - capsule_volume_mm3(radius, pull_back)
    assert gain == pytest.approx(np.pi * radius**2 * more, abs=1e-6)
    assert capsule_volume_mm3(2 * radius, 2 * pull_back) == pytest.approx(
        8 * capsule_volume_mm3(radius, pull_back)
    )


@given(BURNS, st.floats(0, 5), st.floats(0, 10))
def test_a_larger_burn_heats_all_that_a_smaller_one_does(burn, wider, longer):
    small = ablated(POINTS, LaserPlan(PLAN.trajectory, (burn,)))
    large = Burn(burn.radius_mm + wider, burn.pull_back_mm + longer, burn.tip_offset_mm)
    assert not (small & ~ablated(POINTS, LaserPlan(PLAN.trajectory, (large,)))).any()


@given(st.lists(BURNS, min_size=1, max_size=4))
def test_a_plan_heats_the_union_of_its_burns_in_any_order(burns):
    track = PLAN.trajectory
    whole = ablated(POINTS, LaserPlan(track, tuple(burns)))
    assert np.array_equal(whole, ablated(POINTS, LaserPlan(track, tuple(reversed(burns)))))
    single = [ablated(POINTS, LaserPlan(track, (burn,))) for burn in burns]
    assert np.array_equal(whole, np.any(single, axis=0))


@given(BURNS, st.floats(-3, 3), st.floats(-3, 3), st.tuples(*[st.floats(-50, 50)] * 3))
def test_a_head_that_moves_takes_its_burn_along(burn, a, b, shift):
    move = rigid(shift, (a, b, 0.3))
    turn, away = move[:3, :3], move[:3, 3]
    track = PLAN.trajectory
    ends = (turn @ np.array(end) + away for end in (track.entry_mm, track.target_mm))
    moved = LaserPlan(Trajectory(*map(tuple, ends)), (burn,))
    here = ablated(POINTS, LaserPlan(track, (burn,)))
    there = ablated(POINTS @ turn.T + away, moved)
    assert np.count_nonzero(here != there) <= 1  # a point on the surface may be rounded out


@given(st.floats(2, 10), st.floats(0, 30), st.floats(0, 20), st.floats(-3, 3))
def test_the_surface_is_heated_and_what_lies_beyond_it_is_not(radius, pull_back, offset, turn):
    plan = LaserPlan(Trajectory((0, -100, 0), (0, 0, 0)), (Burn(radius, pull_back, offset),))
    across = np.array([np.cos(turn), 0, np.sin(turn)])
    middle = np.array([0, -offset - pull_back / 2, 0])
    tip, far = (0, -offset + radius, 0), (0, -offset - pull_back - radius, 0)
    for point in (middle + radius * across, np.array(tip), np.array(far)):
        centre = np.array([0, np.clip(point[1], -offset - pull_back, -offset), 0])
        out = (point - centre) / radius
        assert ablated(point, plan)
        assert not ablated(point + 1e-3 * out, plan)


def test_length_direction_and_table():
    plan = LaserPlan(Trajectory((3, 4, 0), (3, -26, 40)), (Burn(5, 10, 2), Burn(6, 0, 12)))
    assert plan.trajectory.length_mm == 50
    assert plan.trajectory.direction.tolist() == [0, -0.6, 0.8]
    assert plan.burn_table().tolist() == [[2, 12, 5], [12, 12, 6]]


def test_a_plan_beyond_the_image_heats_no_voxel():
    grid = Grid((10, 10, 10), np.eye(4))
    plan = LaserPlan(Trajectory((500, 400, 0), (500, 500, 0)), (Burn(5, 10),))
    assert not ablation_mask(plan, grid).any()
    edge = LaserPlan(Trajectory((-60, 0, 0), (0, 0, 0)), (Burn(2.0),))
    assert ablation_mask(edge, grid).sum() == 11  # voxel centres in an eighth of a ball
