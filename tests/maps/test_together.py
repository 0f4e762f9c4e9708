"""Two maps of one comparison: where both differ, and whether their clusters go together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from falx.atlas.atlas import make_atlas
from falx.atlas.label_table import LabelRow
from falx.images.nifti import Image
from falx.maps.cluster_values import ClusterValue
from falx.maps.together.conjunction import conjunction, correlate, shared

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
COARSE = np.diag([6.0, 6.0, 6.0, 1.0])


def test_both_must_pass_and_signs_are_told():
    p_first = np.full((8, 8, 8), 0.5)
    p_first[0] = np.nan
    p_first[2:6, 2:6, 2:6] = 0.01
    t_first = np.where(p_first < 0.05, -4.0, 1.0)
    p_second, t_second = np.full((4, 4, 4), 0.9), np.ones((4, 4, 4))
    p_second[2, 1:3, 1:3] = 0.03
    t_second[2, 1, 1] = -3.0
    both = conjunction(
        (Image(p_first, AFFINE), Image(t_first, AFFINE)),
        (Image(p_second, COARSE), Image(t_second, COARSE)),
    )
    assert np.isnan(both.p[0]).all() and np.nanmin(both.p) == 0.03
    labels = np.ones((8, 8, 8), np.int32)
    atlas = make_atlas(Image(labels, AFFINE), (LabelRow(1, "all"),))
    rows = shared(both, atlas, 0.05)
    assert {(row.first_sign, row.second_sign) for row in rows} == {(-1, -1), (-1, 1)}
    assert sum(row.voxels for row in rows) == int((both.p <= 0.05).sum()) > 0
    assert rows[0].ml == pytest.approx(rows[0].voxels * 0.027)
    assert not shared(both, atlas, 0.02)


def test_conjunction_of_a_null_map_holds_its_error():
    """One map differs everywhere, the other nowhere: both pass as often as the other does."""
    rng, grid = np.random.default_rng(3), np.eye(4)
    sure, t = np.full((6, 6, 6), 1e-6), np.ones((6, 6, 6))
    passed = 0
    for _ in range(400):
        # A familywise P: that of the largest voxel is uniform, the others are larger.
        null = np.full((6, 6, 6), 1.0)
        null[0, 0, 0] = rng.uniform()
        both = conjunction(
            (Image(sure, grid), Image(t, grid)), (Image(null, grid), Image(t, grid))
        )
        passed += bool((both.p <= 0.05).any())
    assert stats.binomtest(passed, 400, 0.05).pvalue > 0.001


def values(cluster: int, numbers, groups) -> list[ClusterValue]:
    return [
        ClusterValue(f"sub-{k:02d}", group, cluster, f"region {cluster}", float(x), float(x))
        for k, (x, group) in enumerate(zip(numbers, groups, strict=True))
    ]


def test_correlation_is_that_within_groups():
    """Against a regression on the other cluster and group, of statsmodels' kind."""
    rng = np.random.default_rng(8)
    groups = ["a"] * 14 + ["b"] * 11
    level = np.array([0.0] * 14 + [5.0] * 11)
    x = level + rng.normal(size=25)
    y = level + 0.5 * (x - level) + rng.normal(size=25)
    found = correlate(values(1, x, groups), values(4, y, groups)[:-1], covariates=1)
    x, y, level = x[:-1], y[:-1], level[:-1]
    design = np.column_stack([np.ones(24), level > 0])
    a, b = (v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y))
    r = np.corrcoef(a, b)[0, 1]
    assert len(found) == 1 and (found[0].first, found[0].second) == (1, 4)
    assert found[0].people == 24
    assert found[0].r == pytest.approx(r)
    assert found[0].p == pytest.approx(2 * stats.t.sf(abs(r) * np.sqrt(20 / (1 - r * r)), 20))
    assert found[0].low < r < found[0].high


def test_groups_that_differ_in_both_do_not_correlate_by_that():
    rng, low = np.random.default_rng(2), 0
    groups = ["a"] * 20 + ["b"] * 20
    level = np.repeat([0.0, 3.0], 20)
    for _ in range(300):
        x, y = level + rng.normal(size=(2, 40))
        low += correlate(values(1, x, groups), values(1, y, groups), 0)[0].p < 0.05
    assert stats.binomtest(low, 300, 0.05).pvalue > 0.001


def test_too_few_people_or_constant_values_give_no_correlation():
    groups = ["a", "a", "b", "b"]
    assert correlate(values(1, range(4), groups), values(1, range(4), groups), 0) == ()
    groups = ["a"] * 8 + ["b"] * 8
    assert correlate(values(1, range(16), groups), values(1, [1] * 16, groups), 0) == ()
    assert correlate([], [], 0) == ()
