"""The bioheat equation against what is known exactly, finer grids, and the capsule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from falx.surgery.burns.heat import (
    Heating,
    Tissue,
    burned,
    cube_around,
    damage_after,
    dose_for,
    line_source,
)
from falx.surgery.heat_check import heat_check
from falx.surgery.outcome.ablation import dice
from falx.surgery.tracks.geometry import (
    Burn,
    LaserPlan,
    Trajectory,
    ablated,
    capsule_volume_mm3,
)

AT, WAY = (0.0, -5.0, 0.0), (0.0, 1.0, 0.0)


def mode(nodes):
    """The slowest shape that heat between borders at zero can have."""
    one = np.sin(np.pi * np.arange(nodes) / (nodes - 1))
    return one[:, None, None] * one[None, :, None] * one[None, None, :]


@pytest.mark.parametrize("perfusion", [0.0, 23_000.0])
@pytest.mark.parametrize("seconds", [20.0, 400.0])
def test_the_slowest_mode_rises_as_its_formula_says(perfusion, seconds):
    tissue = Tissue(perfusion=perfusion)
    nodes, voxel_mm = 21, 1.0
    shape = mode(nodes)
    side = (nodes - 1) * voxel_mm / 1000
    decay = 3 * tissue.conductivity * (np.pi / side) ** 2 + perfusion
    steady = 1.5e5 / decay
    exact = steady * (1 - np.exp(-decay / tissue.heat_capacity * seconds))
    nothing = np.zeros(shape.shape, bool)
    _, hot = damage_after(1.5e5 * shape, nothing, voxel_mm, seconds, tissue)
    rise = (hot - 37.0)[1:-1, 1:-1, 1:-1] / shape[1:-1, 1:-1, 1:-1]
    assert np.abs(rise / exact - 1).max() < 0.01


def test_a_dose_leaves_the_published_width_in_unbounded_tissue():
    grid = cube_around((0, 0, 0), 24.0, 1.0)
    dead = burned(grid, np.zeros(grid.shape, bool), AT, WAY, Heating())
    width = np.ptp(np.argwhere(dead)[:, [0, 2]], axis=0) + 1
    assert np.all((width >= 15) & (width <= 20))


def test_a_finer_grid_burns_the_same_volume():
    heating = Heating(seconds=90.0)
    volumes = []
    for voxel_mm in (1.0, 0.7):
        grid = cube_around((0, 0, 0), 20.0, voxel_mm)
        dead = burned(grid, np.zeros(grid.shape, bool), AT, WAY, heating)
        volumes.append(dead.sum() * voxel_mm**3)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.05)


def test_the_source_carries_the_power():
    grid = cube_around((0, 0, 0), 20.0, 1.0)
    source = line_source(grid, AT, WAY, Heating(power_w=10.0, efficiency=0.6), Tissue())
    assert source.sum() * 1e-9 == pytest.approx(6.0, rel=1e-4)
    assert not line_source(grid, AT, WAY, Heating(power_w=0.0), Tissue()).any()


def test_fluid_beside_the_fibre_keeps_the_tissue_behind_it():
    grid = cube_around((0, 0, 0), 20.0, 1.0)
    fluid = grid.centres_mm()[..., 0] >= 5.0
    open_ = burned(grid, np.zeros(grid.shape, bool), AT, WAY, Heating())
    cooled = burned(grid, fluid, AT, WAY, Heating())
    assert not (cooled & fluid).any()
    assert cooled.sum() < open_.sum()
    x = grid.centres_mm()[..., 0]
    assert (cooled & (x > 0)).sum() < 0.7 * (cooled & (x < 0)).sum()


def test_beside_fluid_the_model_is_closer_to_a_finer_one_than_the_capsule(rng):
    coarse, fine = (cube_around((0, 0, 0), 20.0, voxel) for voxel in (1.5, 1.0))
    dose, plan = (
        dose_for(7.0, 10.0),
        LaserPlan(Trajectory((0.0, 60.0, 0.0), (0.0, -5.0, 0.0)), (Burn(7.0, 10.0),)),
    )
    points = fine.centres_mm()
    capsule, closer = ablated(points, plan), 0
    for _ in range(6):
        way = rng.standard_normal(3)
        way /= np.linalg.norm(way)
        near = rng.uniform(3.0, 7.0)
        true = burned(fine, points @ way >= near, AT, WAY, dose)
        quick = burned(coarse, coarse.centres_mm() @ way >= near, AT, WAY, dose)
        where = np.rint((points - coarse.affine[:3, 3]) / 1.5).astype(int)
        where = np.clip(where, 0, np.array(coarse.shape) - 1)
        brought = quick[tuple(np.moveaxis(where, -1, 0))]
        closer += dice(brought, true) > dice(capsule, true)
    assert closer == 6


def test_a_dose_for_a_radius_has_the_capsules_volume_and_none_for_too_much():
    grid = cube_around((0, 0, 0), 24.0, 1.0)
    for radius in (5.0, 8.0):
        dose = dose_for(radius, 10.0)
        dead = burned(grid, np.zeros(grid.shape, bool), AT, WAY, dose)
        assert dead.sum() == pytest.approx(capsule_volume_mm3(radius, 10.0), rel=0.05)
    assert dose_for(14.0, 10.0) is None


def test_a_plan_is_judged_in_its_scene(scene):
    middle = scene.targets_mm.mean(axis=0)
    entry = scene.entries_mm[np.abs(scene.entries_mm - middle).sum(axis=1).argmin()]
    plan = LaserPlan(Trajectory(tuple(entry), tuple(middle)), (Burn(6.0, 15.0),))
    found = heat_check(plan, scene)
    assert 0 < found.rate <= 1
    assert 0 < found.overlap < 1
    assert len(found.stops) == 2
    wet = replace(scene, obstacles=np.ones_like(scene.obstacles))
    assert heat_check(plan, wet).ablated_mm3 == 0
    assert heat_check(replace(plan, burns=(Burn(15.0, 10.0),)), scene) is None
