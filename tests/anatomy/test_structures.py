"""Structures: Bayes' rule on boxes, widened ventricles, what surrounds the brain, mirrors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.anatomy.morphometry import intracranial_volume_ml, modulated
from falx.anatomy.segmentation.mirrored import mirror_segmentation
from falx.anatomy.segmentation.mixture import from_moments
from falx.anatomy.structures import delineation
from falx.anatomy.structures.delineation import SKIN, SKULL, Structures, with_skull_and_skin
from falx.anatomy.structures.freesurfer import check_side
from falx.anatomy.structures.groups import N_GROUPS, fit_groups, group_of
from falx.anatomy.structures.kernels import label_voxels, prior_of_groups
from falx.anatomy.structures.pieces import apart
from falx.anatomy.structures.warp import group_priors
from falx.anatomy.volumes import count_volumes, tissue_volume_mm3, volume_asymmetry
from falx.atlas.freesurfer_numbers import PAIRS
from falx.core.errors import InputError
from falx.core.grid import Grid, apply_affine, box_grid
from falx.data.labels import head_labels
from falx.data.priors import StructurePriors
from falx.images.mirror import FLIP
from falx.images.nifti import Image
from falx.images.warp import CoordinateMap
from strategies import affines

GRID = box_grid((-9.5, -8.0, -6.0), (9.5, 8.0, 6.0), 1.0)
SEEDS = st.integers(0, 999)


@pytest.fixture(scope="module")
def priors():
    """Four structures in boxes of their own: both hippocampi, a ventricle, outer fluid."""
    rng = np.random.default_rng(8)
    ids = (4, 17, 24, 53)
    corners = np.array([[8, 6, 5], [2, 4, 3], [0, 0, 0], [13, 4, 3]])
    left = rng.integers(40, 200, (5, 6, 4)).astype(np.uint8)
    boxes = (
        rng.integers(40, 200, (3, 4, 3)).astype(np.uint8),
        left,
        np.full((3, 3, 3), 120, np.uint8),
        left[::-1].copy(),
    )
    names = dict(zip(head_labels().index.tolist(), head_labels().name, strict=True))
    return StructurePriors(
        ids, tuple(names[i] for i in ids), ("left", "left", "none", "right"), corners, boxes, GRID
    )


def identity():
    return CoordinateMap(GRID.centres_mm().astype(np.float32), GRID.affine)


def everywhere():
    return np.argwhere(np.ones(GRID.shape, bool)).astype(np.int32)


def nowhere(voxels):
    """No structure is excluded from a voxel."""
    return np.zeros(len(voxels), dtype=np.int64)


def test_the_prior_of_a_group_is_the_sum_of_its_structures(priors):
    table = delineation._laid_out(priors)
    field = identity().coordinates_mm
    voxels = everywhere()
    found = prior_of_groups(voxels, np.eye(4), field, table, N_GROUPS)
    expected = np.zeros((len(voxels), N_GROUPS))
    x_mm = apply_affine(GRID.affine, voxels)[:, 0]
    for number, side in zip(priors.ids, priors.sides, strict=True):
        own = priors.probability(number).ravel().astype(float)
        floor = delineation.EVERYWHERE.get(number, 0.0)
        here = {"left": x_mm <= 0, "right": x_mm >= 0, "none": x_mm > -99}[side]
        expected[:, group_of(number)] += np.where(here, np.maximum(own, floor), own)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS)
def test_a_voxel_gets_the_structure_with_the_largest_product(priors, seed):
    table = delineation._laid_out(priors)
    voxels = everywhere()
    evidence = np.random.default_rng(seed).random((len(voxels), N_GROUPS)).astype(np.float32)
    best, certainty, mass = label_voxels(
        voxels, np.eye(4), identity().coordinates_mm, table, evidence, nowhere(voxels)
    )
    each = np.stack([priors.probability(n).ravel() for n in priors.ids], axis=1).astype(float)
    each[:, priors.ids.index(24)] = np.maximum(each[:, priors.ids.index(24)], 0.02)
    joint = each * evidence[:, [group_of(n) for n in priors.ids]]
    total = joint.sum(axis=1)
    assert np.all(total > 0)
    np.testing.assert_allclose(certainty, joint.max(axis=1) / total, atol=2e-3)
    np.testing.assert_allclose(mass.sum(axis=0), (joint / total[:, None]).sum(axis=0), rtol=1e-3)
    clear = np.sort(joint, axis=1)[:, -1] > 1.02 * np.sort(joint, axis=1)[:, -2]
    np.testing.assert_array_equal(best[clear], joint.argmax(axis=1)[clear])


PUTAMEN, PALLIDUM = group_of(12), group_of(13)


@pytest.mark.parametrize("bright", [150.0, 162.0, 168.0])
def test_a_nucleus_as_bright_as_its_neighbour_keeps_its_own_intensity(bright):
    """It had run off to the putamen's peak, or to white matter's brightest voxels."""
    rng = np.random.default_rng(4)
    truth = np.repeat([0, 1, 2, PALLIDUM, PUTAMEN], [4000, 9000, 2000, 300, 1200])
    means = {0: 100.0, 1: 160.0, 2: 45.0, PALLIDUM: bright, PUTAMEN: 125.0}
    values = np.array([means[int(t)] for t in truth]) + rng.normal(0.0, 6.0, truth.size)
    priors = np.full((truth.size, N_GROUPS), 1e-4, np.float32)
    priors[np.arange(truth.size), truth] = 0.95
    # The prior of the pallidum reaches into white matter and the putamen, and they into it.
    for other in (1, PUTAMEN):
        near = np.flatnonzero(truth == other)[:400]
        priors[near, other], priors[near, PALLIDUM] = 0.6, 0.4
    own = np.flatnonzero(truth == PALLIDUM)
    priors[own, PALLIDUM], priors[own, 1] = 0.7, 0.3
    alone = truth < 3
    each = np.eye(3, dtype=np.float32)[truth[alone]]
    tissues = from_moments(values[alone].astype(np.float32), each, (1, 1, 1))
    found = fit_groups(values.astype(np.float32), priors, tissues)
    fitted, variances = found.moments()
    assert fitted[PALLIDUM] == pytest.approx(min(bright, 160.0), abs=3.0)
    assert fitted[PUTAMEN] == pytest.approx(125.0, abs=2.0)
    assert np.sqrt(variances[PALLIDUM]) == pytest.approx(6.0, rel=0.2)


def test_an_excluded_structure_leaves_its_voxel_to_the_others(priors):
    table = delineation._laid_out(priors)
    voxels = everywhere()
    evidence = np.ones((len(voxels), N_GROUPS), dtype=np.float32)
    place = (np.eye(4), identity().coordinates_mm, table)
    hippocampus = priors.ids.index(17)
    best, _, mass = label_voxels(voxels, *place, evidence, nowhere(voxels))
    assert np.any(best == hippocampus)
    barred = np.full(len(voxels), 1 << hippocampus, dtype=np.int64)
    others, _, left = label_voxels(voxels, *place, evidence, barred)
    assert not np.any(others == hippocampus)
    assert left.sum(axis=0)[hippocampus] == 0.0
    np.testing.assert_allclose(left.sum(), mass.sum(), rtol=1e-6)
    untouched = best != hippocampus
    np.testing.assert_array_equal(others[untouched], best[untouched])


def test_what_lies_beyond_the_fluid_is_none_of_a_shrunken_hippocampus():
    """Planted loss of 40 % was read as 34.5 %: cortex beyond the fluid counted as hippocampus."""
    core, ring = (slice(5, 11),) * 3, (slice(4, 12),) * 3
    grid = box_grid((-8.0,) * 3, (8.0,) * 3, 1.0)
    names = dict(zip(head_labels().index.tolist(), head_labels().name, strict=True))
    expected = np.full((9, 6, 6), 200, np.uint8)
    rest = np.full(grid.shape, 50, np.uint8)
    alike = StructurePriors(
        (3, 17, 24),
        (names[3], names[17], names[24]),
        ("none", "left", "none"),
        np.array([[0, 0, 0], [3, 5, 5], [0, 0, 0]]),
        (rest, expected, rest),
        grid,
    )
    voxels = np.argwhere(np.ones(grid.shape, bool)).astype(np.int32)
    fluid = np.zeros(grid.shape, bool)
    fluid[ring] = True
    fluid[core] = False
    evidence = np.full((len(voxels), N_GROUPS), 1e-6, np.float32)
    evidence[np.arange(len(voxels)), np.where(fluid.ravel(), group_of(24), group_of(3))] = 1.0
    place = (np.eye(4), grid.centres_mm().astype(np.float32), delineation._laid_out(alike))
    most, certainty, mass = label_voxels(voxels, *place, evidence, nowhere(voxels))
    first = delineation._Found(most, certainty, mass.sum(axis=0))
    found = delineation._in_one_piece(first, voxels, place, evidence, grid, alike.ids)
    before, after = ((f.structure == 1).reshape(grid.shape) for f in (first, found))
    assert before[3].sum() == 36
    assert after[core].all()
    assert after.sum() == 216
    assert found.mass[1] == pytest.approx(0.8 * 216, rel=0.02)
    assert found.mass.sum() == pytest.approx(first.mass.sum())


def test_the_pieces_of_a_parted_structure_stay():
    labels = np.zeros((20, 8, 8), np.int32)
    labels[2:8, 2:6, 2:6] = 17
    labels[10:13, 2:6, 2:6] = 17
    labels[19, 3, 3] = 17
    near, barred = apart(labels, np.ones(3), (17, 53))
    assert set(barred) == {17}
    assert not barred[17][2:13, 2:6, 2:6].any()
    assert barred[17][19, 3, 3]
    assert near.all()


def test_priors_of_groups_sum_to_one_with_what_is_no_structure(priors):
    found = group_priors(priors)
    assert found.probabilities.shape == (10, 8, 6, N_GROUPS + 1)
    np.testing.assert_allclose(found.probabilities.sum(axis=-1), 1.0, atol=1e-5)
    block = priors.probability(17)[4:6, 6:8, 4:6].mean()
    ventricle = priors.probability(4)[4:6, 6:8, 4:6].mean()
    assert found.probabilities[2, 3, 2, group_of(17)] == pytest.approx(block, abs=2e-3)
    assert found.probabilities[2, 3, 2, group_of(4)] == pytest.approx(ventricle, abs=2e-3)
    np.testing.assert_allclose(
        apply_affine(found.affine, [2, 3, 2]), apply_affine(GRID.affine, [4.5, 6.5, 4.5])
    )


def test_only_fluid_without_a_prior_joins_the_ventricle_beside_it(priors):
    labels = np.zeros(GRID.shape, dtype=np.int32)
    labels[8:11, 6:10, 5:8] = 4
    labels[11:14, 6:10, 5:8] = 24
    labels[:3, :3, :3] = 24
    labels[11:14, 0, 0] = 24
    found = delineation._widened_ventricles(labels, GRID, identity(), priors)
    assert np.all(found[8:14, 6:10, 5:8] == 4)
    # Fluid where fluid is expected, and fluid that touches no ventricle, stays.
    assert np.all(found[:3, :3, :3] == 24)
    assert np.all(found[11:14, 0, 0] == 24)


def test_overlap_that_is_expected_and_volume_are_sums_over_voxels(priors):
    found = np.array([0, 0, 1, 4])
    certainty = np.array([0.9, 0.7, 0.6, 0.0], np.float32)
    mass = np.array([1.8, 1.0, 0.0, 0.2])
    grid = Grid((2, 2, 1), np.diag([2.0, 1.0, 1.0, 1.0]))
    result = delineation._summary(
        np.zeros((2, 2, 1), np.int32), delineation._Found(found, certainty, mass), grid, priors
    )
    assert result.volumes_mm3[4] == pytest.approx(3.6)
    assert result.confidence[4] == pytest.approx(2 * 1.6 / (2 + 1.8))
    assert result.confidence[17] == pytest.approx(2 * 0.6 / (1 + 1.0), rel=1e-5)


def test_skull_and_skin_fill_what_has_no_label():
    labels = np.array([[[17, 0, 0, 0, 0, 0]]], dtype=np.int32)
    classes = np.array([[[3, 3, 4, 5, 0, 2]]], dtype=np.uint8)
    found = with_skull_and_skin(labels, classes)
    assert found.ravel().tolist() == [17, SKULL, SKIN, 0, SKIN, SKIN]
    assert labels.ravel().tolist() == [17, 0, 0, 0, 0, 0]


def test_a_mirrored_result_has_its_numbers_swapped():
    labels = np.zeros((4, 1, 1), dtype=np.int32)
    labels[0], labels[3], labels[1] = 17, 53, 16
    given_ = Structures(labels, {17: 3.0, 53: 2.0, 16: 9.0}, {17: 0.9, 53: 0.8, 16: 1.0})
    found = delineation._mirrored(given_)
    assert found.labels.ravel().tolist() == [17, 0, 16, 53]
    assert found.volumes_mm3 == {53: 3.0, 17: 2.0, 16: 9.0}
    assert found.confidence == {53: 0.9, 17: 0.8, 16: 1.0}


def test_a_segmentation_mirrored_twice_is_itself(case):
    segmentation = case.result
    turned = mirror_segmentation(segmentation)
    np.testing.assert_array_equal(turned.gm, segmentation.gm[::-1])
    np.testing.assert_allclose(turned.affine, FLIP @ segmentation.affine @ FLIP)
    point = np.array([[12.0, -20.0, 9.0]])
    np.testing.assert_allclose(
        turned.to_template.at(point * [-1, 1, 1]) * [-1, 1, 1],
        segmentation.to_template.at(point),
        atol=1e-3,
    )
    back = mirror_segmentation(turned)
    for name in ("gm", "wm", "csf", "classes", "corrected", "jacobian"):
        np.testing.assert_array_equal(getattr(back, name), getattr(segmentation, name))
    np.testing.assert_allclose(back.grid.affine, segmentation.grid.affine, atol=1e-9)
    np.testing.assert_array_equal(
        back.to_native.coordinates_mm, segmentation.to_native.coordinates_mm
    )


@settings(deadline=None, max_examples=15)
@given(affine=affines(), seed=SEEDS)
def test_volumes_are_counts_times_the_voxel(affine, seed):
    labels = np.random.default_rng(seed).integers(0, 4, (5, 4, 3)).astype(np.int32)
    grid = Grid((5, 4, 3), affine)
    found = count_volumes(labels, grid)
    assert 0 not in found
    for number, volume in found.items():
        assert volume == pytest.approx((labels == number).sum() * grid.voxel_volume_mm3)
    assert sum(found.values()) == pytest.approx(tissue_volume_mm3(labels > 0, grid))


@given(left=st.floats(1, 1e4), right=st.floats(1, 1e4), scale=st.floats(0.1, 10))
def test_the_ratio_of_two_sides_does_not_depend_on_the_unit(left, right, scale):
    found, scaled = volume_asymmetry(left, right), volume_asymmetry(scale * left, scale * right)
    assert -2.0 <= found.ratio <= 2.0
    assert scaled.ratio == pytest.approx(found.ratio, abs=1e-9)
    assert scaled.difference_mm3 == pytest.approx(scale * found.difference_mm3, abs=1e-6)
    assert np.sign(found.ratio) == np.sign(left - right)


@settings(deadline=None, max_examples=8)
@given(zoom=st.floats(0.6, 1.6), share=st.floats(0.05, 1.0))
def test_a_uniform_zoom_modulates_by_its_cube(zoom, share):
    grid = box_grid((-6, -6, -6), (6, 6, 6), 3.0)
    tissue = Image(np.full((40, 40, 40), share, np.float32), np.diag([1.0, 1, 1, 1]))
    tissue.affine[:3, 3] = -20
    mapping = CoordinateMap((zoom * grid.centres_mm()).astype(np.float32), grid.affine)
    np.testing.assert_allclose(modulated(tissue, mapping, grid), share * zoom**3, rtol=1e-3)
    np.testing.assert_allclose(modulated(tissue, mapping, grid, modulate=False), share, rtol=1e-5)


@given(shares=st.tuples(*[st.floats(0, 1)] * 3), voxel_mm=st.floats(0.5, 3.0))
def test_intracranial_volume_is_in_millilitres(shares, voxel_mm):
    affine = np.diag([voxel_mm] * 3 + [1.0])
    tissues = [Image(np.full((4, 4, 4), s), affine) for s in shares]
    exact = 64 * sum(shares) * voxel_mm**3 / 1000
    assert intracranial_volume_ml(*tissues) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("structure", ["hippocampus", "amygdala", "thalamus"])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_pair_on_the_wrong_sides_is_refused(structure, swapped):
    labels = np.zeros(GRID.shape, dtype=np.int32)
    left, right = PAIRS[structure][:: -1 if swapped else 1]
    labels[2:5, 5:9, 4:8], labels[15:18, 5:9, 4:8] = left, right
    image = Image(labels, GRID.affine)
    if swapped:
        with pytest.raises(InputError, match="disagree about the side"):
            check_side(image, identity(), where="aseg.mgz")
    else:
        check_side(image, identity(), where="aseg.mgz")
