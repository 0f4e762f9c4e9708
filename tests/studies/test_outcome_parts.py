"""The parts of the outcome study on cohorts whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from falx.clinical.ancova import ancova
from falx.clinical.group_tests import welch_t
from falx.core.errors import InputError
from falx.studies.outcome.cohort import Cohort
from falx.studies.outcome.parts import (
    additive_part,
    compare_counts,
    compare_groups,
    cut_part,
    spline_part,
)


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(3)
    n = 60
    free = np.arange(n) % 3 > 0
    rate = np.clip(0.4 + 0.25 * free + rng.normal(scale=0.15, size=n), 0, 1)
    volume = rng.normal(2900, 400, n)
    values = {
        "rate": rate,
        "seeg": (rng.random(n) < 0.3).astype(float),
        "volume": volume,
        "ai_pet": -0.1 + 2e-5 * (volume - 2900) + rng.normal(scale=0.002, size=n),
        "noise": rng.normal(size=n),
        "gap": np.where(np.arange(n) == 4, np.nan, rate),
    }
    return Cohort(tuple(map(str, range(n))), free, values, "planted")


def test_groups_are_compared_on_complete_cases(cohort):
    found = compare_groups(cohort, "gap", (("volume", ("volume",)), ("both", ("volume", "noise"))))
    keep = np.isfinite(cohort.values["gap"])
    x, free = cohort.values["gap"][keep], cohort.seizure_free[keep]
    assert (found.not_free.n, found.free.n) == (20, 39)
    assert found.welch == welch_t(x[~free], x[free])
    assert found.rank.effect < 0.2
    assert [name for name, _ in found.adjusted] == ["volume", "both"]
    plain = ancova(x, free, cohort.values["volume"][keep])
    assert found.adjusted[0][1] == plain
    assert found.welch.difference == pytest.approx(plain.difference, abs=0.02)
    np.testing.assert_array_equal(found.values, x)


def test_spread_that_cannot_be_tested_is_left_out():
    flat = Cohort(tuple("abcdef"), np.array([True, False] * 3),
                  {"x": np.array([1.0, 2, 1, 2, 1, 3])}, "flat")  # fmt: skip
    assert compare_groups(flat, "x").spread is not None
    two = Cohort(tuple("abcd"), np.array([True, False] * 2), {"x": np.array([1.0, 4, 3, 2])}, "")
    assert compare_groups(two, "x").spread is None


def test_counts_have_the_outcomes_in_columns(cohort):
    found = compare_counts(cohort, "seeg")
    seeg, free = cohort.values["seeg"] == 1, cohort.seizure_free
    assert found.counts == (
        (int(np.sum(~seeg & ~free)), int(np.sum(~seeg & free))),
        (int(np.sum(seeg & ~free)), int(np.sum(seeg & free))),
    )
    assert 0 < found.test.p <= 1


def test_cuts_keep_to_the_data(cohort, rng):
    found = cut_part(cohort, "gap", published_cut=0.5, n_resamples=40, n_permutations=99, rng=rng)
    assert found.area.auc == pytest.approx(1 - compare_groups(cohort, "gap").rank.effect)
    assert found.at_best.cut == found.best.threshold == found.stability.cut
    assert found.at_published.cut == 0.5
    assert found.permutation.p == found.area_permutation.p == pytest.approx(0.01)
    assert found.nested.balanced_accuracy <= found.at_best.balanced_accuracy
    assert len(found.values) == 59
    few = Cohort(tuple("abcd"), np.array([True, True, True, False]),
                 {"x": np.arange(4.0)}, "")  # fmt: skip
    with pytest.raises(InputError, match="fewer than two patients of each.*3 of 4 free"):
        cut_part(few, "x", published_cut=None, n_resamples=20, n_permutations=20, rng=rng)


def _spline(cohort, name, adjust_for, rng):
    return spline_part(
        cohort, name, scale=100, unit="percentage point", adjust_for=adjust_for, n_resamples=20,
        rng=rng,
    )  # fmt: skip


def test_curves_are_adjusted_for_what_is_there(cohort, rng):
    found = _spline(cohort, "rate", ("seeg", "absent"), rng)
    assert found.adjusted_for == ("seeg",)
    assert found.adjusted.model.names[-1] == "covariate 1"
    assert found.plain.median == pytest.approx(100 * np.median(cohort.values["rate"]))
    assert found.plain.model.n == 60
    assert found.linear_validation.model == "linear"
    assert found.sizes.parameters == 2
    alone = _spline(cohort, "rate", ("absent",), rng)
    assert (alone.adjusted, alone.adjusted_for) == (None, ())
    assert alone.message == "no covariate to adjust for"
    flat = _spline(cohort, "seeg", (), rng)
    assert flat.plain is None
    assert "use a linear term" in flat.message


def test_the_straight_line_beside_the_additive_model(cohort, rng):
    found = additive_part(
        cohort,
        "ai_pet",
        ("volume", "noise"),
        rounds=3,
        n_iterations=20,
        n_permutations=19,
        rng=rng,
    )
    assert found.study.mean_absolute_shapley[0] > 5 * found.study.mean_absolute_shapley[1]
    assert found.dependence.name == found.baseline_name == "volume"
    assert found.baseline_r > 0.9
    assert found.baseline_r2 > found.study.r2
    assert found.permuted.p == pytest.approx(0.05)
    assert found.subjects == cohort.subjects
    assert found.predictors.shape == (60, 2)
