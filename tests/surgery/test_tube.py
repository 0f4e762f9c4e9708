"""The outline that one fibre leaves: found in patches, the same in a mirrored head."""

from __future__ import annotations

import numpy as np
import pytest

from falx.core.grid import Grid
from falx.surgery.outcome.ablation import dice
from falx.surgery.outcome.tube import Tube, evidence, fit_tube, gain, tube_along

GRID = Grid(
    (34, 34, 34),
    np.diag([1.5, 1.5, 1.5, 1.0]) + np.array([[0, 0, 0, -60.0]] + [[0, 0, 0, 0.0]] * 3),
)
EVERYWHERE = np.ones(GRID.shape, bool)
TRUE = Tube(np.array([[-38.0, 12.0, 20.0], [-30.0, 34.0, 27.0]]), 6.0)


def patchy(tube):
    """A core that is as grey as the tissue was, and a rim that is seen in places only."""
    depth = tube.depth_mm(GRID.centres_mm().reshape(-1, 3)).reshape(GRID.shape)
    y = GRID.centres_mm()[..., 1]
    seen = (depth >= 0) & (depth < 2.5) & (np.sin(y) > -0.5)
    return np.where(seen, 0.4, 0.0)


def test_a_tube_is_found_from_a_patchy_rim_whose_core_did_not_change():
    difference, truth = patchy(TRUE), TRUE.mask(GRID, EVERYWHERE)
    assert dice(difference > 0, truth) < 0.75
    start = Tube(TRUE.ends_mm + np.array([4.0, -3.0, 3.0]), 4.0)
    cut = 0.5 * evidence(difference, truth)
    found = fit_tube(difference, EVERYWHERE, GRID, [start], cut)
    mask = found.mask(GRID, EVERYWHERE)
    assert dice(mask, truth) > 0.9
    assert gain(difference, mask, cut) > 0.9 * gain(difference, truth, cut)


def test_a_mirrored_head_has_the_mirrored_tube():
    mirrored = Grid(GRID.shape, np.diag([-1.0, 1, 1, 1]) @ GRID.affine)
    difference = patchy(TRUE)
    start = tube_along(difference > 0, GRID)
    turned = tube_along(difference > 0, mirrored)
    assert turned.ends_mm == pytest.approx(start.ends_mm * (-1, 1, 1))
    here = fit_tube(difference, EVERYWHERE, GRID, [start], 0.04)
    there = fit_tube(difference, EVERYWHERE, mirrored, [turned], 0.04)
    assert there.ends_mm == pytest.approx(here.ends_mm * (-1, 1, 1))
    assert there.radius_mm == pytest.approx(here.radius_mm)


def test_depth_is_the_radius_on_the_axis_and_nothing_on_the_surface():
    tube = Tube(np.array([[0.0, 0, 0], [10.0, 0, 0]]), 4.0)
    places = np.array([[5.0, 0, 0], [5.0, 4.0, 0], [-4.0, 0, 0], [14.0, 3.0, 0]])
    assert tube.depth_mm(places) == pytest.approx([4.0, 0.0, 0.0, -1.0])
