"""The deformation and the alignment against their formulas: energies, slopes, and known moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.linalg import expm

from falx.anatomy.priors import as_priors, prior_at, unrolled
from falx.anatomy.registration import alignment, deformation
from falx.anatomy.registration.affine import AffineModel, size_prior
from falx.anatomy.registration.coregistration import point_distance_mm
from falx.anatomy.registration.deformation import improve_warp, still, warped_priors
from falx.anatomy.registration.elastic import ElasticEnergy
from falx.anatomy.registration.inverse import inverse_map, jacobian_determinants
from falx.anatomy.samples import Samples, take_samples
from falx.anatomy.segmentation.fitting import wrapped
from falx.anatomy.settings import Penalties
from falx.core.grid import Grid, apply_affine
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap
from strategies import affines

SEEDS = st.integers(0, 999)
SHAPE = (10, 9, 8)
SPACING = np.array([3.0, 2.0, 4.0])


@pytest.fixture(scope="module")
def priors():
    raw = np.random.default_rng(2).normal(size=(*SHAPE, 6))
    smooth = np.exp(6 * ndimage.gaussian_filter(raw, (2, 2, 2, 0), mode="nearest"))
    return as_priors(smooth / smooth.sum(-1, keepdims=True), np.diag([*SPACING, 1.0]))


@pytest.fixture(scope="module")
def samples():
    image = Image(np.ones(SHAPE, np.float32), np.diag([*SPACING, 1.0]))
    return take_samples(image, 1.0)


@pytest.fixture(scope="module")
def elastic():
    return ElasticEnergy(SHAPE, SPACING, Penalties(), 24.0, 1)


def random_warp(elastic, seed, size_mm=1.0):
    rng = np.random.default_rng(seed)
    warp = still(elastic, np.eye(4))
    field = size_mm * rng.normal(size=warp.displacement_mm.shape)
    return replace(warp, displacement_mm=field.astype(np.float32))


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_priors_are_read_where_the_displacement_leads(priors, samples, elastic, seed):
    warp = random_warp(elastic, seed)
    found = warped_priors(warp, samples, priors)
    assert found.shape == (len(samples.values), 6)
    for s in (0, 100, len(found) - 1):
        node = samples.nodes[s]
        place = node + warp.displacement_mm[:, node[0], node[1], node[2]] / SPACING
        out = np.empty(6, np.float32)
        prior_at(priors.probabilities, unrolled(6), *place, out)
        np.testing.assert_allclose(found[s], out, atol=1e-5)


def test_without_displacement_the_priors_are_those_of_the_nodes(priors, samples, elastic):
    found = warped_priors(still(elastic, np.eye(4)), samples, priors)
    np.testing.assert_allclose(found, priors.probabilities.reshape(-1, 6), atol=1e-6)


def data_energy(warp, samples, priors, evidence, shares):
    """-Σ log (Σ e t / Σ γ t), by the definition."""
    prior = warped_priors(warp, samples, priors).astype(float)
    return float(-np.log((evidence * prior).sum(1) / (prior @ shares)).sum())


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS)
def test_energy_and_slope_of_the_data_are_those_of_the_formula(priors, samples, elastic, seed):
    rng = np.random.default_rng(seed)
    evidence = rng.random((len(samples.values), 6)).astype(np.float32)
    shares = rng.dirichlet(np.ones(6))
    # Displaced to the middle of the cells, where the priors have a slope.
    warp = still(elastic, np.eye(4))
    field = np.broadcast_to((0.4 * SPACING)[:, None, None, None], warp.displacement_mm.shape)
    warp = replace(warp, displacement_mm=np.ascontiguousarray(field, dtype=np.float32))
    arguments = (samples.nodes, evidence, shares.astype(np.float32), warp.to_prior, warp.pull,
                 priors.probabilities, unrolled(6))  # fmt: skip
    energy, slope, curvature = deformation._warp_terms(warp.displacement_mm, *arguments)
    exact = data_energy(warp, samples, priors, evidence, shares)
    assert energy.sum() == pytest.approx(exact, rel=1e-4)
    energy, read = deformation._warp_energy(warp.displacement_mm, *arguments)
    assert energy.sum() == pytest.approx(exact, rel=1e-4)
    np.testing.assert_array_equal(read, warped_priors(warp, samples, priors))
    direction = np.zeros_like(warp.displacement_mm)
    direction[:, 2:6, 2:6, 2:6] = rng.normal(size=(3, 4, 4, 4))
    ahead, behind = (
        data_energy(
            replace(warp, displacement_mm=warp.displacement_mm + np.float32(s) * direction),
            samples, priors, evidence, shares,
        )
        for s in (0.05, -0.05)
    )  # fmt: skip
    assert (ahead - behind) / 0.1 == pytest.approx(float((slope * direction).sum()), rel=0.03,
                                                   abs=0.02)  # fmt: skip
    for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
        np.testing.assert_allclose(curvature[k], slope[a] * slope[b], rtol=1e-4, atol=1e-6)


def test_a_step_lowers_the_energy_and_reports_by_how_much(priors, samples, elastic, rng):
    true = random_warp(elastic, 4, 0.0)
    shift = np.zeros_like(true.displacement_mm)
    shift[0] = 2.0
    truth = warped_priors(replace(true, displacement_mm=shift), samples, priors)
    evidence = np.ascontiguousarray(truth**2)
    shares = np.full(6, 1 / 6)
    weak = replace(elastic, penalties=Penalties(0, 1e-4, 1e-3, 1e-4, 1e-4))
    warp, before = still(weak, np.eye(4)), None
    for _ in range(6):
        before = data_energy(warp, samples, priors, evidence, shares)
        moved, gain = improve_warp(warp, samples, evidence, shares, priors, weak, factor=1.0)
        kept = warped_priors(moved, samples, priors)
        np.testing.assert_array_equal(
            kept, warped_priors(replace(moved, found=None), samples, priors)
        )
        after = data_energy(moved, samples, priors, evidence, shares)
        assert gain >= 0.0
        if gain > 0:
            assert after < before
        warp = moved
    inner = warp.displacement_mm[0, 3:7, 3:6, 3:5]
    assert 0.5 < inner.mean() < 3.5
    none, gain = improve_warp(warp, samples, np.ones_like(evidence), shares, priors, elastic,
                              factor=1e6)  # fmt: skip
    assert gain >= 0.0
    assert np.abs(none.displacement_mm).max() <= np.abs(warp.displacement_mm).max() + 1e-3


def test_the_margin_joins_both_borders_without_a_jump():
    values = np.linspace(1.0, 5.0, 5, dtype=np.float32)[:, None, None] * np.ones((5, 3, 2))
    found = wrapped(values.astype(np.float32), (9, 3, 4))
    assert found.shape == (9, 3, 4)
    np.testing.assert_array_equal(found[:5, :, :2], values)
    steps = np.diff(np.append(found[4:, 0, 0], found[0, 0, 0]))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)


@settings(deadline=None, max_examples=15)
@given(values=st.lists(st.floats(-0.4, 0.4), min_size=12, max_size=12))
def test_the_affine_model_is_its_formula(values):
    p = np.array(values)
    p[:3] *= 50
    model = AffineModel(np.array([3.0, -20.0, 11.0]), np.array([0.0, -15.0, 5.0]))
    rotation = expm(np.array([[0, -p[5], p[4]], [p[5], 0, -p[3]], [-p[4], p[3], 0]]))
    stretch = expm(np.array([[p[6], p[9], p[10]], [p[9], p[7], p[11]], [p[10], p[11], p[8]]]))
    found = model.matrix(p)
    np.testing.assert_allclose(found[:3, :3], rotation @ stretch, atol=1e-9)
    np.testing.assert_allclose(
        apply_affine(found, model.native_mm), model.template_mm + p[:3], atol=1e-9
    )
    assert np.linalg.det(found[:3, :3]) == pytest.approx(np.exp(p[6:9].sum()))


@settings(deadline=None, max_examples=15)
@given(values=st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6),
       name=st.sampled_from(["european", "east_asian"]))  # fmt: skip
def test_the_expected_size_has_the_least_energy_and_its_slope(values, name):
    prior = size_prior(name)
    stretch = np.array(values)
    energy, slope, curvature = prior.energy(stretch)
    assert energy == pytest.approx(0.5 * (((stretch - prior.mean) / prior.sd) ** 2).sum())
    assert prior.energy(prior.mean)[0] == 0.0
    step = 1e-5
    for axis in range(6):
        ahead, behind = stretch.copy(), stretch.copy()
        ahead[axis] += step
        behind[axis] -= step
        rise = (prior.energy(ahead)[0] - prior.energy(behind)[0]) / (2 * step)
        assert slope[axis] == pytest.approx(rise, rel=1e-4, abs=1e-5)
        assert curvature[axis] == pytest.approx(prior.sd[axis] ** -2)


@settings(deadline=None, max_examples=6)
@given(seed=SEEDS)
def test_without_histograms_only_the_size_pulls_at_the_alignment(priors, seed):
    rng = np.random.default_rng(seed)
    centre = (np.array(SHAPE) - 1) / 2 * SPACING
    nodes = np.argwhere(np.ones(SHAPE)).astype(np.int32)
    grid = Grid(SHAPE, np.diag([*(0.97 * SPACING), 1.0]))
    bins = rng.integers(0, alignment.BINS, len(nodes)).astype(np.uint8)
    taken = Samples(bins.astype(np.float32), nodes, grid, (1, 1, 1))
    objective = alignment._Objective(
        bins, taken, priors, AffineModel(centre, centre), size_prior("european"), passes=0
    )
    p = 0.01 * rng.normal(size=12)
    p[:3] *= 20
    energy, slope, curvature = objective.at(p)
    # Uniform histograms know nothing of the place: what is left is the size.
    assert energy == pytest.approx(
        len(bins) * np.log(alignment.BINS) + size_prior("european").energy(p[6:])[0], rel=1e-4
    )
    np.testing.assert_allclose(slope[:6], 0.0, atol=0.5)
    np.testing.assert_allclose(slope[6:], size_prior("european").energy(p[6:])[1], atol=0.5)
    assert np.all(np.diag(curvature)[6:] >= size_prior("european").sd ** -2 - 1e-3)


@settings(deadline=None, max_examples=10)
@given(affine=affines(), seed=SEEDS)
def test_the_inverse_of_an_affine_map_is_its_inverse(affine, seed):
    rng = np.random.default_rng(seed)
    linear = np.eye(4)
    linear[:3, :3] += 0.1 * rng.normal(size=(3, 3))
    linear[:3, 3] = rng.normal(size=3) * 5
    grid = Grid((9, 8, 7), affine)
    mapping = CoordinateMap(apply_affine(linear, grid.centres_mm()).astype(np.float32), affine)
    target = Grid((4, 4, 4), linear @ affine @ np.diag([2.0, 2, 2, 1]))
    found = inverse_map(mapping, linear, target)
    np.testing.assert_allclose(
        found.coordinates_mm, apply_affine(np.linalg.inv(linear), target.centres_mm()), atol=0.03
    )
    np.testing.assert_allclose(
        jacobian_determinants(mapping), np.linalg.det(linear[:3, :3]), rtol=2e-3
    )


@settings(deadline=None, max_examples=15)
@given(first=affines(), second=affines(), seed=SEEDS)
def test_the_distance_of_two_matrices_is_a_distance(first, second, seed):
    points = np.random.default_rng(seed).normal(size=(20, 3)) * 50
    found = point_distance_mm(first, second, points)
    assert found == pytest.approx(point_distance_mm(second, first, points))
    assert point_distance_mm(first, first, points) == 0.0
    exact = np.mean(
        [np.linalg.norm(apply_affine(first, p) - apply_affine(second, p)) for p in points]
    )
    assert found == pytest.approx(exact)
