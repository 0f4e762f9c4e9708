"""The difference of two groups' deviations, by their labels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from falx.core.errors import InputError
from falx.maps.deviations.contrast import compare_deviations

LABELS = ("a",) * 7 + ("b",) * 8


def test_t_is_welchs_and_the_planted_place_is_found(rng):
    z = rng.normal(size=(15, 400))
    z[:7, 123] += 6.0
    found = compare_deviations(z, LABELS, "a", "b", np.random.default_rng(1), n_permutations=500)
    expected = scipy.stats.ttest_ind(z[:7], z[7:], equal_var=False).statistic
    assert found.t == pytest.approx(expected, abs=1e-9)
    assert found.peak == 123
    assert found.p_voxel[123] <= 0.01
    assert np.median(found.p_voxel) > 0.5
    assert len(found.plan) == 500 and not found.plan.exhaustive


def test_p_is_the_share_of_all_relabelings(rng):
    z, labels = rng.normal(size=(6, 30)), ["a", "b", "a", "b", "a", "b"]
    found = compare_deviations(z, labels, "a", "b", rng, n_permutations=1000, variance="equal")
    assert found.plan.exhaustive and len(found.plan) == 20
    largest = []
    for order in found.plan.orders:
        moved = np.array(labels)[np.argsort(order)] == "a"
        t = scipy.stats.ttest_ind(z[moved], z[~moved]).statistic
        largest.append(np.abs(t).max())
    share = np.mean(np.array(largest) >= largest[0] * (1 - 1e-6))
    assert found.p_voxel[found.peak] == pytest.approx(share)
    assert found.plan.error(0.3) == 0.0


def test_exchanging_the_groups_changes_the_sign_only(rng):
    z = rng.normal(size=(15, 40))
    z[:, 5] = 1.0
    one = compare_deviations(z, LABELS, "a", "b", np.random.default_rng(2), n_permutations=99)
    two = compare_deviations(z, LABELS, "b", "a", np.random.default_rng(2), n_permutations=99)
    assert two.t == pytest.approx(-one.t)
    assert two.p_voxel == pytest.approx(one.p_voxel)
    assert (one.t[5], one.p_voxel[5]) == (0.0, 1.0)


def test_an_error_of_the_controls_common_to_all_patients_cancels(rng):
    z, common = rng.normal(size=(15, 40)), rng.normal(size=40)
    one = compare_deviations(z, LABELS, "a", "b", np.random.default_rng(2), n_permutations=99)
    two = compare_deviations(
        z + common, LABELS, "a", "b", np.random.default_rng(2), n_permutations=99
    )
    assert two.t == pytest.approx(one.t)
    assert two.p_voxel == pytest.approx(one.p_voxel)


def test_one_patient_or_no_spread_is_refused(rng):
    with pytest.raises(InputError, match="group b: a group needs at least two"):
        compare_deviations(np.ones((3, 2)), ["a", "a", "b"], "a", "b", rng)
    with pytest.raises(InputError, match="no voxel varies over patients"):
        compare_deviations(np.ones((4, 2)), ["a", "a", "b", "b"], "a", "b", rng)
