"""Null maps: what each must keep, and what each must refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from falx.core.errors import FalxNotice, InputError, OptionError
from falx.genes.association import gene_correlations
from falx.genes.nulls.assignment import least_total_cost
from falx.genes.nulls.gaussian import fit_field, gaussian_maps
from falx.genes.nulls.generate import Positions, distances, null_maps
from falx.genes.nulls.lost_smoothness import (
    covariance_after_moran,
    covariance_after_spins,
    restoring_matrix,
)
from falx.genes.nulls.moran import (
    inverse_distance_weights,
    moran_eigenvectors,
    moran_index,
    moran_maps,
    moran_weights,
)
from falx.genes.nulls.spin import (
    centroid_points,
    parcel_points,
    random_rotations,
    spin_assignments,
)
from falx.genes.nulls.variogram import fit_exponential, make_variogram, smoothers, variogram_maps


@pytest.fixture
def place(rng):
    centroids = rng.uniform(-60, 60, (80, 3))
    sphere = rng.standard_normal((80, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    sphere[60:] = np.nan
    blocks = ("cortex",) * 60 + ("subcortex",) * 20
    return Positions(centroids, blocks, ("left",) * 40 + ("right",) * 40, sphere)


def smooth_map(d, rng, range_mm=30.0):
    factor = np.linalg.cholesky(np.exp(-d / range_mm) + 1e-9 * np.eye(len(d)))
    return factor @ rng.standard_normal(len(d))


def test_rotations_are_proper_and_unbiased(rng):
    turns = random_rotations(4000, rng)
    assert np.linalg.det(turns) == pytest.approx(1.0)
    assert turns @ turns.transpose(0, 2, 1) == pytest.approx(
        np.tile(np.eye(3), (4000, 1, 1)), abs=1e-12
    )
    # Each entry has variance 1/3, so its mean has SD 1/sqrt(3 B).
    assert np.abs(turns.mean(axis=0)).max() < 4 / np.sqrt(3 * 4000)


def test_vasa_and_hungarian_are_permutations_and_hungarian_costs_least(place):
    points, sides = place.sphere[:60], place.sides[:60]
    found = {
        method: spin_assignments(points, sides, 40, np.random.default_rng(1), method=method)
        for method in ("nearest", "vasa", "hungarian")
    }
    for method in ("vasa", "hungarian"):
        assert (np.sort(found[method], axis=1) == np.arange(60)).all()
    turns = random_rotations(40, np.random.default_rng(1))
    mirror = np.diag([-1.0, 1.0, 1.0])
    for b, T in enumerate(turns):
        moved = np.vstack([points[:40] @ T.T, points[40:] @ (mirror @ T @ mirror).T])
        cost = {m: np.linalg.norm(points - moved[a[b]], axis=1).sum() for m, a in found.items()}
        assert cost["nearest"] <= cost["hungarian"] + 1e-9 <= cost["vasa"] + 2e-9


@given(st.integers(0, 10**6), st.sampled_from(["even", "tied", "signed", "near"]))
def test_assignment_costs_what_scipy_finds(seed, kind):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    points = rng.standard_normal((n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    turned = points @ random_rotations(1, rng)[0].T
    cost = {
        "even": rng.random((n, n)),
        "tied": rng.integers(0, 3, (n, n)).astype(float),
        "signed": 100.0 * rng.standard_normal((n, n)),
        "near": np.linalg.norm(points[:, None] - turned[None], axis=2),
    }[kind]
    rows = np.arange(n)
    expected = cost[linear_sum_assignment(cost)].sum()
    found = least_total_cost(cost)
    assert sorted(found) == list(rows)
    assert cost[rows, found].sum() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_values_stay_on_their_side(place):
    out = spin_assignments(place.sphere[:60], place.sides[:60], 20, np.random.default_rng(3))
    assert (out[:, :40] < 40).all()
    assert (out[:, 40:] >= 40).all()


def test_mirror_regions_spin_alike(rng):
    left = rng.standard_normal((30, 3))
    points = np.vstack([left, left * [-1, 1, 1]])
    out = spin_assignments(points, ("left",) * 30 + ("right",) * 30, 25, rng, method="vasa")
    assert (out[:, 30:] - 30 == out[:, :30]).all()


def test_identity_is_drawn_again():
    # Two opposite points: half of all rotations leave both in place.
    out = spin_assignments(
        np.array([[0, 0, 1.0], [0, 0, -1.0]]), ("left", "left"), 50, np.random.default_rng(0)
    )
    assert (out == [1, 0]).all()


def test_a_region_without_a_place_is_refused():
    with pytest.raises(InputError, match="no place on the sphere"):
        spin_assignments(
            np.array([[0, 0, 1.0], [0, 0, 0]]), ("left",) * 2, 5, np.random.default_rng(0)
        )


def test_parcel_without_vertices():
    with pytest.raises(InputError, match="no vertex"):
        parcel_points(np.eye(3), [1, 1, 2], [1, 2, 5])


def test_moran_keeps_mean_variance_and_index(place, rng):
    d = distances(place.centroids_mm)
    y = smooth_map(d, rng) + 5
    maps = moran_maps(y, d, 300, rng)
    W = inverse_distance_weights(d)
    assert maps.mean(axis=1) == pytest.approx(y.mean(), rel=1e-8)
    assert maps.var(axis=1) == pytest.approx(y.var(), rel=1e-8)
    assert moran_index(maps, W) == pytest.approx(float(moran_index(y, W)), rel=1e-8)


def test_signs_leave_the_covariance_of_a_field_of_the_range_of_the_weights(place):
    d = distances(place.centroids_mm)
    field = np.exp(-d / 25.0) + 0.3 * np.eye(len(d))
    centred = np.eye(len(d)) - 1.0 / len(d)
    wanted = centred @ field @ centred

    def left(range_mm):
        basis = moran_eigenvectors(moran_weights(d, range_mm))
        assert basis.shape == (len(d), len(d) - 1)
        return centred @ covariance_after_moran(field, basis) @ centred

    assert left(25.0) == pytest.approx(wanted, abs=1e-10)
    # With 1/d, as published, what is left is another field.
    assert np.abs(left(None) - wanted).max() > 0.1


def test_moran_takes_the_range_of_the_map_or_the_published_weights(place):
    d = distances(place.centroids_mm)
    y = smooth_map(d, np.random.default_rng(0))
    ours, published = (
        null_maps(y, place, 20, np.random.default_rng(5), restore=restore).maps
        for restore in (True, False)
    )
    own = fit_field(y, d, place.blocks).range_mm
    expected = moran_maps(y, d, 20, np.random.default_rng(5), range_mm=own, blocks=place.blocks)
    assert ours == pytest.approx(expected)
    assert published == pytest.approx(moran_maps(y, d, 20, np.random.default_rng(5)))
    assert ours.std(axis=1) == pytest.approx(y.std())


def test_two_regions_at_one_place(place):
    twice = replace(place, centroids_mm=place.centroids_mm[[0, *range(79)]])
    for method in ("moran", "gaussian"):
        with pytest.raises(InputError, match="two regions share a position; give each"):
            null_maps(np.arange(80.0), twice, 5, np.random.default_rng(0), method=method)


# Matched over all pairs, the near ones fit less well than when only they are matched.
@pytest.mark.parametrize(("as_published", "share"), [(True, 0.6), (False, 0.85)])
def test_variogram_surrogates_match_the_variogram(place, rng, as_published, share):
    d = distances(place.centroids_mm)
    y = smooth_map(d, rng, 40.0)
    variogram = make_variogram(d)
    target = variogram(y)
    maps = variogram_maps(y, d, 400, rng, as_published=as_published)
    shuffled = rng.permuted(np.tile(y, (400, 1)), axis=1)

    def median_error(v):
        return np.median(np.abs(v - target).mean(axis=1) / target.mean())

    assert median_error(variogram(maps)) < share * median_error(variogram(shuffled))


def test_variogram_is_the_weighted_mean_of_pairs(rng):
    d = distances(rng.uniform(0, 50, (25, 3)))
    y = rng.standard_normal(25)
    variogram = make_variogram(d)
    i, j = variogram.first, variogram.second
    h, step = variogram.lags_mm[7], variogram.lags_mm[1] - variogram.lags_mm[0]
    weight = np.exp(-((2.68 * (h - d[i, j]) / (3 * step)) ** 2) / 2)
    expected = (weight * 0.5 * (y[i] - y[j]) ** 2).sum() / weight.sum()
    assert variogram(y)[7] == pytest.approx(expected)
    assert d[i, j].max() <= np.percentile(d[np.triu_indices(25, 1)], 25)


def test_smoothers_leave_out_the_region_itself(rng):
    S = smoothers(distances(rng.uniform(0, 50, (30, 3))))
    assert S.sum(axis=2) == pytest.approx(1.0)
    assert (np.diagonal(S, axis1=1, axis2=2) == 0).all()
    assert [(s[0] > 0).sum() for s in S] == [1, 1, 1, 3, 6, 9, 15, 21, 27]


def test_histogram_can_be_kept(place, rng):
    d = distances(place.centroids_mm)
    y = smooth_map(d, rng)
    maps = variogram_maps(y, d, 5, rng, keep_histogram=True)
    assert np.sort(maps, axis=1) == pytest.approx(np.tile(np.sort(y), (5, 1)))


def test_fitted_range_is_near_the_true_one(rng):
    d = distances(rng.uniform(-60, 60, (90, 3)))
    exponential = [fit_exponential(smooth_map(d, rng, 15.0), d).range_mm for _ in range(20)]
    likelihood = [fit_field(smooth_map(d, rng, 15.0), d).range_mm for _ in range(6)]
    assert 8 < np.median(exponential) < 30
    assert 8 < np.median(likelihood) < 30


def test_gaussian_maps_have_the_fitted_covariance(place, rng):
    d = distances(place.centroids_mm)
    y = smooth_map(d, rng)
    field = fit_field(y, d)
    maps = gaussian_maps(y, d, 20000, rng)
    expected = field.variance * field.factor @ field.factor.T
    assert np.cov(maps.T) == pytest.approx(expected, abs=0.06 * field.variance)


@pytest.mark.parametrize("method", ["moran", "variogram", "gaussian"])
def test_same_generator_gives_same_maps(place, method):
    y = smooth_map(distances(place.centroids_mm), np.random.default_rng(0))
    first, second = (
        null_maps(y, place, 30, np.random.default_rng(5), method=method) for _ in range(2)
    )
    assert np.array_equal(first.maps, second.maps)
    assert first.quality[0].n_regions == 80


def test_mixed_blocks_keep_values_in_their_block(place, rng):
    y = np.arange(80.0)
    plan = {"cortex": "spin_nearest", "subcortex": "moran"}
    nulls = null_maps(y, place, 20, rng, method=plan, restore=False)
    assert (nulls.maps[:, :60] < 60).all()
    assert nulls.maps[:, 60:].mean(axis=1) == pytest.approx(y[60:].mean())
    assert [q.block for q in nulls.quality] == ["cortex", "subcortex"]
    assert nulls.quality[1].moran_ratio == pytest.approx(1.0)


def test_refusals(place, rng):
    y = np.arange(80.0)
    with pytest.raises(InputError, match="undefined off the cortex"):
        null_maps(y, place, 5, rng, method="spin_vasa")
    with pytest.raises(InputError, match="no null method"):
        null_maps(y, place, 5, rng, method={"cortex": "moran"})
    with pytest.raises(InputError, match="too few regions"):
        null_maps(y[:9], Positions(place.centroids_mm[:9], ("cortex",) * 9), 5, rng)
    with pytest.raises(OptionError, match="did you mean 'moran'"):
        null_maps(y, place, 5, rng, method="moram")
    with pytest.raises(InputError, match="constant"):
        null_maps(np.ones(80), place, 5, rng)


def test_random_permutation_warns(place, rng):
    with pytest.warns(FalxNotice, match="random permutation ignores"):
        null_maps(np.arange(80.0), place, 5, rng, method="random")


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("spin_vasa", r"Váša spin as published.*8\.5 % and 15\.0 %.*4\.0 % and 3\.5 %"),
        ("spin_hungarian", r"Hungarian spin as published.*8\.0 % and 13\.0 %.*4\.0 % and 4\.5 %"),
    ],
)
def test_spins_that_reject_too_often_say_so(place, rng, method, told):
    with pytest.warns(FalxNotice, match=told):
        null_maps(
            np.arange(80.0), place, 5, rng, method={"cortex": method, "subcortex": "moran"},
            restore=False,
        )  # fmt: skip


@given(st.integers(0, 1000))
def test_restoring_matrix_turns_one_covariance_into_the_other(seed):
    rng = np.random.default_rng(seed)
    left, wanted = (A @ A.T + np.eye(6) for A in rng.standard_normal((2, 6, 6)))
    A = restoring_matrix(left, wanted)
    assert pytest.approx(A) == A.T
    assert A @ left @ A == pytest.approx(wanted)


def test_covariance_that_spins_and_moran_maps_leave(place, rng):
    d = distances(place.centroids_mm[:60])
    field = np.exp(-d / 25.0)
    y = np.linalg.cholesky(field + 1e-9 * np.eye(60)) @ rng.standard_normal((60, 6000))
    moved = spin_assignments(place.sphere[:60], place.sides[:60], 50, rng)
    spun = np.mean([np.cov(y[a]) for a in moved], axis=0)
    assert covariance_after_spins(field, moved) == pytest.approx(spun, abs=0.08)
    basis = moran_eigenvectors(inverse_distance_weights(d))
    spectrum = (basis.T @ y).var(axis=1)
    left = covariance_after_moran(field, basis)
    assert np.diag(basis.T @ left @ basis) == pytest.approx(spectrum, rel=0.15)
    assert np.ones(60) @ left @ np.ones(60) == pytest.approx(field.sum())


@pytest.mark.parametrize("method", ["spin_vasa", "spin_hungarian"])
def test_spun_maps_get_their_smoothness_back(place, method):
    d = distances(place.centroids_mm)
    y = smooth_map(d, np.random.default_rng(4), 40.0)
    plan = {"cortex": method, "subcortex": "moran"}
    with pytest.warns(FalxNotice, match="as published rejects"):
        raw = null_maps(y, place, 400, np.random.default_rng(1), method=plan, restore=False).maps
    restored = null_maps(y, place, 400, np.random.default_rng(1), method=plan).maps
    W = inverse_distance_weights(d)
    wanted = np.median(moran_index(gaussian_maps(y, d, 400, np.random.default_rng(2)), W))
    assert np.median(moran_index(raw, W)) < 0.75 * wanted
    assert np.median(moran_index(restored, W)) == pytest.approx(wanted, rel=0.15)


def test_centroids_stand_in_for_a_sphere(rng):
    directions = rng.standard_normal((40, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = np.vstack([directions, -directions])  # their mean is the centre
    left = directions * 40 + [-35, 10, 5]
    xyz = np.vstack([left, left * [-1, 1, 1], [[-20.0, 0, 0], [0.0, 0, 0]]])
    blocks = ("cortex",) * 160 + ("subcortex", "cortex")
    sides = ("left",) * 80 + ("right",) * 80 + ("left", None)
    points = centroid_points(xyz, blocks, sides)
    assert points[:80] == pytest.approx(directions)
    assert points[80:160] == pytest.approx(directions * [-1, 1, 1])
    assert np.isnan(points[160:]).all()


def test_spins_of_centroids_say_so(place, rng):
    projected = replace(place, projected=True)
    plan = {"cortex": "spin_nearest", "subcortex": "moran"}
    with pytest.warns(FalxNotice, match=r"direction of their centroids.*4\.5 % and 3\.0"):
        null_maps(np.arange(80.0), projected, 5, rng, method=plan)


@pytest.mark.parametrize("method", ["moran", "variogram", "gaussian"])
def test_a_step_from_block_to_block_stays_in_every_null_map(place, method):
    """A field has no such step, so that null maps of a field would call it significant."""
    d = distances(place.centroids_mm)
    y = smooth_map(d, np.random.default_rng(0))
    step = np.where(np.array(place.blocks) == "cortex", 0.0, 5.0)
    plain, stepped = (
        null_maps(one, place, 40, np.random.default_rng(5), method=method) for one in (y, y + step)
    )
    assert stepped.maps == pytest.approx(plain.maps + step)
    cortex = np.array(place.blocks) == "cortex"
    for part in (cortex, ~cortex):
        assert stepped.maps[:, part].mean(axis=1) == pytest.approx((y + step)[part].mean())


def test_a_step_from_block_to_block_is_no_finding_of_genes(place, rng):
    d = distances(place.centroids_mm)
    deep = np.array(place.blocks) != "cortex"
    p, as_published = [], []
    for k in range(40):
        X = rng.standard_normal((80, 30)) + 2.0 * deep[:, None] * rng.standard_normal(30)
        y = smooth_map(d, rng, 10.0) + deep
        for found, restore in ((p, True), (as_published, False)):
            maps = null_maps(y, place, 99, np.random.default_rng(k), restore=restore).maps
            found.append(gene_correlations(X, y, maps).p)
    assert 0.02 < (np.array(p) <= 0.05).mean() < 0.08
    assert (np.array(as_published) <= 0.05).mean() > 0.15


def test_a_map_of_steps_alone_is_refused(place, rng):
    steps = np.where(np.array(place.blocks) == "cortex", 0.0, 1.0)
    with pytest.raises(InputError, match="constant within each class of regions; give a map"):
        null_maps(steps, place, 5, rng)


def test_classes_of_a_few_regions_have_no_level_of_their_own(place, rng):
    y = smooth_map(distances(place.centroids_mm), np.random.default_rng(0))
    named = replace(place, blocks=tuple(f"region {i}" for i in range(80)))
    one = replace(place, blocks=("all",) * 80)
    found = [null_maps(y, p, 9, np.random.default_rng(1)).maps for p in (named, one)]
    assert np.array_equal(*found)


def test_a_fit_with_blocks_does_not_see_their_means(place):
    d = distances(place.centroids_mm)
    y = smooth_map(d, np.random.default_rng(0))
    step = np.where(np.array(place.blocks) == "cortex", 0.0, 9.0)
    plain, stepped = (fit_field(one, d, place.blocks) for one in (y, y + step))
    assert (stepped.range_mm, stepped.nugget) == (plain.range_mm, plain.nugget)
    assert stepped.variance == pytest.approx(plain.variance)
    assert fit_field(y + step, d).variance > 5 * plain.variance
