"""ComBat and CovBat: reference numbers, what they must take away, and what they must leave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from falx.core.errors import FalxNotice, InputError, OptionError
from falx.maps.design import two_sample_design
from falx.maps.group_maps import compare
from falx.maps.harmonise import combat, covbat
from falx.maps.sample import factor
from falx.maps.settings import InferenceOptions, SampleSettings

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "combat.json").read_text())
DATA = np.array(REFERENCE["data"])
SITES = [f"s{k}" for k in REFERENCE["sites"]]
AGE = np.array(REFERENCE["age"])[:, None]


def test_combat_is_that_of_neurocombat():
    """Numbers of neuroCombat 0.2.12, which iterates until every voxel changes by < 1e-4."""
    np.testing.assert_allclose(combat(DATA, SITES, AGE), REFERENCE["combat_age"], atol=5e-6)
    plain = combat(DATA, SITES, shrunk=False)
    np.testing.assert_allclose(plain, REFERENCE["combat_plain_unshrunk"], atol=1e-9)


def test_sites_are_alike_afterwards_and_age_keeps_its_effect():
    rng = np.random.default_rng(2)
    sites = ["a"] * 30 + ["b"] * 30
    age = rng.uniform(-1, 1, 60)
    slope = rng.standard_normal(400)
    data = rng.standard_normal((60, 400)) + np.outer(age, slope)
    data[30:] = data[30:] * 2 + 3
    even = combat(data, sites, age[:, None])
    site = np.repeat([0.0, 1.0], 30)
    design = np.column_stack([age, site, np.ones(60)])
    found = np.linalg.lstsq(design, even, rcond=None)[0]
    assert abs(found[1].mean()) < 0.05
    assert np.corrcoef(found[0], slope)[0, 1] > 0.9
    rest = even - design @ found
    assert np.median(rest[:30].std(0) / rest[30:].std(0)) == pytest.approx(1, abs=0.1)


@given(st.permutations(range(24)))
@settings(max_examples=10)
def test_the_order_of_people_does_not_matter(order):
    turned = combat(DATA[order], [SITES[k] for k in order], AGE[order])
    np.testing.assert_allclose(turned, combat(DATA, SITES, AGE)[order], atol=1e-6)


def test_covbat_makes_voxels_go_together_alike():
    """In one site a pattern varies strongly; its covariance is the others' afterwards."""
    rng = np.random.default_rng(3)
    sites = ["a"] * 40 + ["b"] * 40
    data = rng.standard_normal((80, 60))
    pattern = np.ones(60) / np.sqrt(60)
    data[:40] += np.outer(6 * rng.standard_normal(40), pattern)
    by_mean_alone, whole = combat(data, sites), covbat(data, sites)

    def ratio(found):
        along = (found - found.mean(0)) @ pattern
        return along[:40].std() / along[40:].std()

    assert ratio(by_mean_alone) > 2
    assert ratio(whole) == pytest.approx(1, abs=0.25)
    assert whole.shape == data.shape and np.isfinite(whole).all()


def test_one_site_or_a_site_of_two_is_refused():
    with pytest.raises(InputError, match="one site only.*groups.harmonise"):
        combat(DATA, ["a"] * 24)
    with pytest.raises(InputError, match=r"too few people.*b 2"):
        covbat(DATA, ["a"] * 22 + ["b"] * 2)


def test_harmonising_asks_for_the_column_of_sites():
    with pytest.raises(OptionError, match="no column of sites is named"):
        SampleSettings(harmonise="combat")


@pytest.mark.slow
@pytest.mark.filterwarnings(f"ignore::{FalxNotice.__module__}.{FalxNotice.__name__}")
@pytest.mark.parametrize("harmonise", [combat, covbat, None])
def test_groups_that_are_uneven_over_sites_keep_the_error(harmonise):
    """300 null data sets; printed: how many had a voxel, and a cluster, below 5 %."""
    sites = ["a"] * 20 + ["b"] * 14 + ["c"] * 12
    groups = [g for g, n in zip("xyxyxy", (15, 5, 5, 9, 4, 8), strict=True) for _ in range(n)]
    design = two_sample_design(groups, "x", "y", factor("site", dict(enumerate(sites))))
    contrast = design.contrast({design.names[0]: 1.0})
    options = InferenceOptions(n_permutations=200, enhance=False)
    voxel = extent = 0
    for seed in range(300):
        rng = np.random.default_rng(900 + seed)
        data = ndimage.gaussian_filter(rng.standard_normal((46, 12, 12, 12)), (0, 1.5, 1.5, 1.5))
        data = (data / data.std()).reshape(46, -1)
        for name, mean, spread in (("a", 0, 1), ("b", 1, 1.5), ("c", -0.5, 0.7)):
            rows = np.array(sites) == name
            data[rows] = data[rows] * spread + mean
        if harmonise is not None:
            data = harmonise(data, sites)
        found = compare(
            data.astype(np.float32),
            np.ones((12, 12, 12), bool),
            design,
            contrast,
            np.random.default_rng(seed),
            options=options,
            groups=groups,
        )
        voxel += (found.p_voxel <= 0.05).any()
        extent += any(one.p_extent <= 0.05 for one in found.clusters)
    print(f"{harmonise and harmonise.__name__}: voxel {voxel}, extent {extent} of 300")
    assert max(voxel, extent) <= stats.binom.ppf(0.999, 300, 0.05)
