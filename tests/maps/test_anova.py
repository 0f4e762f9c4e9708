"""F maps: against scipy, against full regressions, and with a planted difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from falx.core.errors import InputError
from falx.maps.anova import compare_groups, effect_and_nuisance, group_contrasts, permuted_f
from falx.maps.design import group_design
from falx.maps.inference.permutation import unit_residuals
from falx.maps.inference.rearrangements import PermutationPlan
from falx.maps.linear import fit_f
from falx.maps.settings import InferenceOptions

GROUPS = ["a"] * 6 + ["b"] * 7 + ["c"] * 5


def test_f_of_three_groups_is_that_of_scipy():
    data = np.random.default_rng(1).normal(size=(18, 40))
    design = group_design(GROUPS)
    fit = fit_f(data, design, group_contrasts(design, 3))
    parts = [data[np.array(GROUPS) == name] for name in "abc"]
    np.testing.assert_allclose(fit.f, stats.f_oneway(*parts).statistic, rtol=1e-10)
    assert (fit.dof_effect, fit.dof_error) == (2, 15)


def test_closed_form_equals_a_regression_of_every_permutation():
    rng = np.random.default_rng(2)
    data, age = rng.normal(size=(18, 30)), rng.normal(size=18)
    design = group_design(GROUPS, {"age": age})
    contrasts = group_contrasts(design, 3)
    orders = np.array([rng.permutation(18) for _ in range(5)])
    signs = rng.choice(np.array([-1, 1], np.int8), (5, 18))
    z = np.column_stack([np.ones(18), age - age.mean()])
    fitted = z @ np.linalg.lstsq(z, data, rcond=None)[0]
    effect, nuisance = effect_and_nuisance(design, contrasts)
    unit = unit_residuals(data, nuisance)
    permuted, flipped = (
        permuted_f(unit, effect, nuisance, 18 - 2 - 2, plan)
        for plan in (PermutationPlan(orders, False), PermutationPlan(orders, False, signs))
    )
    for order, flip, p, f in zip(orders, signs, permuted, flipped, strict=True):
        again = fit_f(fitted + (data - fitted)[order], design, contrasts)
        np.testing.assert_allclose(p, again.f, rtol=1e-4)
        again = fit_f(fitted + (data - fitted) * flip[:, None], design, contrasts)
        np.testing.assert_allclose(f, again.f, rtol=1e-4)


def test_a_group_that_differs_somewhere_is_found_there():
    rng, shape = np.random.default_rng(3), (14, 14, 14)
    data = np.array([ndimage.gaussian_filter(rng.normal(size=shape), 1.2) for _ in GROUPS])
    data /= data.std()
    place = np.linalg.norm(np.indices(shape).T - 4, axis=-1).T < 2.5
    data[np.array(GROUPS) == "b"] += 4.0 * place
    design = group_design(GROUPS)
    found = compare_groups(
        data.reshape(18, -1), np.ones(shape, bool), design, group_contrasts(design, 3),
        np.random.default_rng(1), options=InferenceOptions(n_permutations=100),
    )  # fmt: skip
    first = found.significant()[0]
    assert place.ravel()[first.cluster.peak_row]
    assert found.p_voxel[first.cluster.peak_row] <= 0.02
    assert found.plan is not None and len(found.plan) == 100


def test_one_group_cannot_differ():
    with pytest.raises(InputError, match="needs two groups"):
        group_contrasts(group_design(["a", "a"]), 1)
