"""The healthy asymmetry that ships: its percentiles, and fields that scatter like it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.core.errors import GridError
from falx.core.grid import Grid, box_grid
from falx.data.asymmetry_norms import (
    SHARE_OF_MEAN,
    asymmetry_norms,
    healthy_field,
    healthy_sd,
)

NAMES = sorted(asymmetry_norms())


def test_the_table_is_whole():
    norms = asymmetry_norms()
    assert len(norms) == 26 and {norm.people for norm in norms.values()} == {537}
    hippocampus = norms["hippocampus"]
    assert (hippocampus.mean, hippocampus.sd) == (0.00509, 0.03452)
    assert all(list(norm.quantiles) == sorted(norm.quantiles) for norm in norms.values())


@given(st.sampled_from(NAMES), st.floats(-1, 1), st.floats(0, 1))
def test_percentiles_rise_and_claim_no_more_than_the_people_allow(name, value, more):
    norm = asymmetry_norms()[name]
    low, high = norm.percentile(value), norm.percentile(value + more)
    assert 100 / 538 - 1e-9 <= low <= high <= 100 - 100 / 538 + 1e-9


@given(st.sampled_from(NAMES))
def test_percentiles_of_the_table_come_back(name):
    norm = asymmetry_norms()[name]
    found = [norm.percentile(q) for q in norm.quantiles]
    assert found == pytest.approx([2.5, 25, 50, 75, 97.5])
    beyond = norm.percentile(norm.quantiles[0] - 1e-9), norm.percentile(norm.quantiles[-1] + 1e-9)
    assert beyond == pytest.approx((2.5, 97.5), abs=1e-4)


def test_tails_are_normal():
    norm = asymmetry_norms()["hippocampus"]
    # 2.576 standard deviations: a fifth of what lies beyond 1.96.
    away = (2.5758293 - 1.9599640) * norm.sd
    assert norm.percentile(norm.quantiles[0] - away) == pytest.approx(0.5, abs=1e-4)
    assert norm.percentile(norm.quantiles[-1] + away) == pytest.approx(99.5, abs=1e-4)


def test_the_map_of_deviations_takes_every_structure_its_own():
    grid = box_grid((-60, -30, -30), (60, 30, 30), 2.0)
    x_mm = grid.centres_mm()[..., 0]
    labels = np.select([x_mm < -20, x_mm > 20], [17, 8], 0)
    sd = healthy_sd(labels, grid)
    norms = asymmetry_norms()
    # A mean counts as spread: it may be the site's.
    for at, name in ((2, "hippocampus"), (-3, "cerebellar_cortex")):
        expected = np.hypot(norms[name].mean, norms[name].sd) / SHARE_OF_MEAN
        assert sd[at, 15, 15] == pytest.approx(expected, rel=1e-3)


def test_fields_are_antisymmetric_and_as_strong_as_asked():
    grid = box_grid((-70, -60, -60), (70, 60, 60), 4.0)
    sd = np.full(grid.shape, 0.05, dtype=np.float32)
    rng = np.random.default_rng(3)
    draws = np.stack([healthy_field(sd, grid, rng) for _ in range(20)])
    np.testing.assert_array_equal(draws, -draws[:, ::-1])
    lateral = np.abs(grid.centres_mm()[..., 0]) > 25
    assert draws[:, lateral].std() == pytest.approx(0.05, rel=0.1)
    # Neighbours of a field behind a Gaussian filter: exp(-d²/4s²), s = 20 mm / 2.355.
    a, b = draws[:, :, :-1][:, lateral[:, :-1]], draws[:, :, 1:][:, lateral[:, 1:]]
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(
        np.exp(-(4**2) / 4 / 8.493**2), abs=0.01
    )


def test_fields_need_a_midline():
    shifted = Grid((8, 8, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    with pytest.raises(GridError, match="not symmetric"):
        healthy_field(np.ones((8, 8, 8)), shifted, np.random.default_rng(0))
