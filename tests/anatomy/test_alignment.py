import numpy as np
import pytest

from anatomy import head_model
from falx.anatomy.priors import as_priors, prior_and_slope_at, unrolled
from falx.anatomy.registration import alignment
from falx.anatomy.registration.affine import size_prior
from falx.anatomy.registration.alignment import align
from falx.core.grid import apply_affine

POINTS = np.array(
    [[x, y, z] for x in (-50, 50) for y in (-80, 50) for z in (-30, 60)], dtype=float
)


@pytest.mark.parametrize(
    ("turn_deg", "shift_mm"),
    [((28, 0, 0), (0, 0, 60)), ((-12, 10, -25), (-40, 35, -30))],
)
def test_finds_the_template_from_a_wrong_header(rng, head_priors, turn_deg, shift_mm):
    pose = head_model.pose(turn_deg, shift_mm)
    image, _, truth = head_model.t1w(rng, voxel_mm=4.0, matrix=pose)
    found = align(image, head_priors, size_prior("european")).affine
    native = apply_affine(np.linalg.inv(truth), POINTS)
    apart = np.linalg.norm(apply_affine(found, native) - POINTS, axis=1)
    # The ellipsoids are nearly round, so a few mm of roll cost nothing.
    assert apart.mean() < 4.0
    assert np.linalg.det(found[:3, :3]) > 0


def test_noise_gives_no_information(rng, head_priors):
    image, _, _ = head_model.t1w(rng, voxel_mm=4.0)
    noise = type(image)(rng.uniform(1, 100, image.data.shape).astype(np.float32), image.affine)
    assert align(noise, head_priors, size_prior("european")).information < 0.05


def test_sums_along_columns_are_those_over_all_nodes(rng):
    shape, each = (5, 4, 19), unrolled(6)
    probabilities = as_priors(rng.dirichlet(np.ones(6), size=(7, 8, 9)), np.eye(4)).probabilities
    matrix = np.eye(4) + 0.05 * rng.normal(size=(4, 4))
    matrix[:3, :3] *= 0.4
    matrix[:3, 3] += 1.0
    nodes = np.argwhere(np.ones(shape))
    bins = rng.integers(0, alignment.BINS, len(nodes)).astype(np.uint8)
    tables = rng.dirichlet(np.ones(alignment.BINS), size=6).T.astype(np.float32).copy()
    priors, rises = alignment._priors_and_slopes(shape, matrix, probabilities, each)
    out, slope = np.empty(6, np.float32), np.empty((3, 6), np.float32)
    for s in (0, 77, len(nodes) - 1):
        prior_and_slope_at(probabilities, each, *apply_affine(matrix, nodes[s]), out, slope)
        np.testing.assert_array_equal(priors[s], out)
        np.testing.assert_array_equal(rises[s], slope)
    joint = priors.astype(float) * tables[bins]
    total = joint.sum(axis=1, keepdims=True)
    counts = np.zeros((alignment.BINS, 6))
    np.add.at(counts, bins, joint / total)
    found = alignment._counts(bins, priors, tables, each).sum(axis=0)
    np.testing.assert_allclose(found, counts, rtol=1e-6)
    push = -(rises * tables[bins][:, None]).sum(axis=2) / total
    weights = np.column_stack([nodes, np.ones(len(nodes))])
    entries = (push[:, :, None] * weights[:, None]).reshape(-1, 12)
    terms = alignment._likelihood_terms(shape, bins, priors, rises, tables, each)
    energy, slopes, curvature = (part.sum(axis=0) for part in terms)
    assert energy == pytest.approx(-np.log(total).sum(), rel=1e-6)
    np.testing.assert_allclose(slopes, entries.sum(axis=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(curvature, entries.T @ entries, rtol=1e-4, atol=1e-3)
