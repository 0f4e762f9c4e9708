"""What is left of a cluster without each site, and everybody's values in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.maps.cluster_values import adjusted
from falx.maps.design import two_sample_design
from falx.maps.linear import fit_contrast
from falx.maps.sites import without_each_site

SEEDS = st.integers(0, 2**32 - 1)


def two_sites(rng, n=20):
    groups, sites = list("ab" * (n // 2)), ["Bonn"] * (n // 2) + ["Oslo"] * (n // 2)
    age = rng.normal(size=n)
    site = np.array([float(s == "Oslo") for s in sites])
    design = two_sample_design(groups, "a", "b", {"age": age, "site": site})
    return design, design.contrast({"a - b": 1.0}), groups, sites, age


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_without_a_site_it_is_the_comparison_of_the_others(seed):
    rng = np.random.default_rng(seed)
    design, contrast, groups, sites, age = two_sites(rng)
    data, cluster = rng.normal(size=(20, 12)), np.array([2, 5, 6, 11])
    whole, bonn_out, _ = without_each_site(data, design, contrast, sites, [cluster])
    assert whole.mean_t[0] == pytest.approx(fit_contrast(data, design, contrast).t[cluster].mean())
    kept = [k for k, site in enumerate(sites) if site == "Oslo"]
    alone = two_sample_design([groups[k] for k in kept], "a", "b", {"age": age[kept]})
    expected = fit_contrast(data[kept], alone, alone.contrast({"a - b": 1.0})).t
    assert bonn_out.mean_t[0] == pytest.approx(expected[cluster].mean(), rel=1e-8)
    assert (bonn_out.site, bonn_out.people) == ("Bonn", 10)


def test_a_site_that_holds_a_whole_group_leaves_nothing_to_compare(rng):
    groups, sites = list("aaaabbbbbb"), ["Bonn"] * 4 + ["Oslo"] * 6
    design = two_sample_design(groups, "a", "b")
    found = without_each_site(
        rng.normal(size=(10, 3)), design, np.array([1, 0]), sites, [np.arange(3)]
    )
    assert [len(one.mean_t) for one in found] == [1, 0, 0]


def test_no_cluster_needs_no_check(rng):
    design, contrast, _, sites, _ = two_sites(rng)
    assert without_each_site(rng.normal(size=(20, 3)), design, contrast, sites, []) == ()


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.floats(-5, 5), st.floats(-3, 3))
def test_adjusting_takes_covariates_and_nothing_else(seed, difference, slope):
    rng = np.random.default_rng(seed)
    design, contrast, groups, _, age = two_sites(rng)
    first = np.array([float(g == "a") for g in groups])
    y = 7 + difference * first + slope * age
    found = adjusted(y, design, contrast)
    np.testing.assert_allclose(found, 7 + difference * first + slope * age.mean(), atol=1e-8)
    assert found.mean() == pytest.approx(y.mean())
