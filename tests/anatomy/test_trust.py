"""Doubts that do not come from the model: each is planted, names itself, and costs confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from falx.anatomy.quality import LIMITS
from falx.anatomy.structures import evidence, trust
from falx.anatomy.structures.evidence import Evidence, gather, mirrored_evidence
from falx.anatomy.structures.trust import DOUBTFUL, doubts_of, lowered
from falx.data.volumes import expected_structures, faces, shape_factor

BRAIN_MM3 = 1.1e6
N = max(expected_structures()) + 1


def usual():
    """Evidence of a head that is like the population in everything."""
    volumes, area = np.zeros(N), np.zeros(N)
    for number, expected in expected_structures().items():
        volumes[number] = BRAIN_MM3 * np.exp(expected.log_share)
        area[number] = expected.shape * volumes[number] ** (2 / 3)
    grey = np.ones(N)
    grey[[2, 41, 7, 46]] = 0.0
    return Evidence(
        volumes_mm3=volumes,
        brain_mm3=BRAIN_MM3,
        area_mm2=area,
        counted_mm3=volumes.copy(),
        grey=grey,
        fluid=np.zeros(N),
        contrast=np.full(N, 2.0),
        noise=0.03,
        jacobian=np.zeros(N),
        agreement=np.ones(N),
        edge=np.ones(N),
        expected_dice=np.full(N, 0.96),
    )


def planted(field, number, value):
    found = usual()
    changed = getattr(found, field).copy()
    changed[number] = value * changed[number] if field in ("volumes_mm3", "area_mm2") else value
    return doubts_of(replace(found, **{field: changed}))


def test_a_usual_head_raises_no_doubt():
    assert doubts_of(usual()) == {}


@pytest.mark.parametrize(
    ("field", "number", "value", "name"),
    [
        ("volumes_mm3", 10, 0.3, "left thalamus: volume"),
        ("volumes_mm3", 49, 1.6, "right thalamus: volume"),
        ("volumes_mm3", 16, 0.5, "brainstem: volume"),
        ("area_mm2", 49, 2.0, "right thalamus: shape"),
        ("fluid", 17, 0.3, "left hippocampus: fluid"),
        ("grey", 54, 0.7, "right amygdala: grey"),
        ("contrast", 13, -1.0, "left pallidum: contrast"),
        ("expected_dice", 54, 0.5, "right amygdala: overlap"),
        ("agreement", 10, 0.5, "left thalamus: agreement"),
        ("jacobian", 53, -1.0, "right hippocampus: stretch"),
    ],
)
def test_a_planted_failure_names_itself(field, number, value, name):
    found = planted(field, number, value)
    assert name in [check.name for check in found[number]]
    assert all(not check.passed and check.why for check in found[number])
    assert set(found) == {number}


def test_a_cerebellum_that_is_all_grey_names_itself():
    """So it was in three heads of a simulated cohort at 2.5 mm, and nothing said so."""
    found = planted("grey", 46, 1.0)
    assert {n: [check.name for check in checks] for n, checks in found.items()} == {
        46: ["right cerebellar white matter: cerebellum"]
    }
    assert found[46][0].value == 0.0
    assert planted("grey", 46, 0.4) == {}


def test_a_cerebellum_that_is_nearly_all_white_names_itself():
    found = planted("grey", 8, 0.6)
    assert [c.name for c in found[7]] == ["left cerebellar white matter: cerebellum"]


def test_an_atrophic_hippocampus_is_no_failure():
    assert planted("volumes_mm3", 17, 0.6) == {}


def test_the_side_that_is_further_from_the_population_is_doubted():
    found = planted("volumes_mm3", 10, 0.72)
    assert [check.name for check in found[10]] == ["left thalamus: sides"]
    assert found[10][0].value == pytest.approx(np.log(0.72))
    assert 49 not in found


def test_sides_are_judged_alike_in_the_mirror_image():
    left, right = planted("volumes_mm3", 10, 0.72), planted("volumes_mm3", 49, 0.72)
    assert left[10][0].value == pytest.approx(right[49][0].value)


def test_confidence_falls_with_every_doubt():
    one = planted("fluid", 17, 0.3)
    found = lowered({17: 0.95, 53: 0.95}, {}, one)
    assert found[17] < DOUBTFUL < found[53] == 0.95
    both = replace(usual(), fluid=np.full(N, 0.3), grey=np.full(N, 0.6))
    assert lowered({17: 0.95}, {}, doubts_of(both))[17] < 0.6


def test_confidence_is_the_lesser_of_the_expected_and_the_predicted_overlap():
    """A predicted overlap lowers it once, not again as a failed check."""
    low = planted("expected_dice", 54, 0.5)
    assert [check.name for check in low[54]] == ["right amygdala: overlap"]
    assert lowered({54: 0.9, 17: 0.9}, {54: 0.7, 17: 0.95}, low) == {54: 0.7, 17: 0.9}


def test_mesial_volumes_of_large_voxels_are_doubted():
    found = doubts_of(replace(usual(), voxel_mm=2.0))
    assert {n: [c.name.split(": ")[1] for c in checks] for n, checks in found.items()} == (
        {n: ["voxels"] for n in (17, 18, 53, 54)}
    )
    assert found[17][0].value == 2.0
    assert doubts_of(replace(usual(), voxel_mm=1.7)) == {}


def test_evidence_is_measured_on_the_labels(case):
    labels = np.zeros(case.result.grid.shape, np.int32)
    labels[:30][case.result.csf[:30] > 0.9] = 17
    labels[30:][case.result.gm[30:] > 0.9] = 53
    groups = case.result.fit.mixture
    other = np.where(labels == 53, 17, labels)
    found = gather(
        case.result, labels, {17: 3000.0}, _ten_groups(groups), case.result.to_template, other,
        {17: 0.9},
    )  # fmt: skip
    both, more = (labels == 17).sum(), (labels == 53).sum()
    assert found.agreement[17] == pytest.approx(2 * both / (2 * both + more))
    assert found.agreement[53] == 0.0
    np.testing.assert_allclose(found.jacobian, 0.0, atol=1e-6)
    assert found.fluid[17] > 0.9
    assert found.grey[53] > 0.9
    assert found.volumes_mm3[17] == 3000.0
    voxel_mm3 = case.result.grid.voxel_volume_mm3
    assert found.counted_mm3[17] == pytest.approx((labels == 17).sum() * voxel_mm3)
    assert found.noise == 0.0  # nothing is labelled white
    assert found.expected_dice[[17, 53]].tolist() == [0.9, 0.0]
    assert found.voxel_mm == pytest.approx(voxel_mm3 ** (1 / 3))


def test_a_border_that_the_image_does_not_have_is_seen():
    """Half of the faces of a box lie where the intensity steps, half where it does not."""
    labels = np.full((12, 12, 12), 2)
    labels[2:6, 4:8, 4:8] = 17
    labels[6:10, 4:8, 4:8] = 18
    bright = np.full(labels.shape, 160.0, np.float32)
    bright[labels == 17] = 100.0
    means = np.array([100.0, 160.0, *[130.0] * 8])
    edge = evidence._edges(labels, bright, means, N)
    assert edge[17] == pytest.approx(1.0)
    assert edge[18] == pytest.approx(0.0)
    assert edge[2] == pytest.approx(0.5)
    assert edge[16] == 1.0


def ball(voxel_mm):
    """Labels of a ball of 12 mm radius in white matter, and their intensities without noise."""
    centres = (np.arange(round(48.0 / voxel_mm)) + 0.5) * voxel_mm - 24.0
    away = np.sqrt(sum(c**2 for c in np.meshgrid(centres, centres, centres)))
    labels = np.where(away < 12.0, 17, 2)
    return labels, np.where(labels == 17, 100.0, 160.0).astype(np.float32)


@pytest.mark.parametrize("noise", [0.03, 0.09])
def test_noise_is_that_of_white_matter_without_its_field(noise, rng):
    """Taken from the whole image, 3 % in voxels of 2 mm had looked like 9 % in those of 1.5."""
    labels, bright = ball(1.0)
    field = np.linspace(0.8, 1.2, labels.shape[0]).astype(np.float32)[:, None, None]
    seen = bright * field + rng.normal(0.0, noise * 160.0, labels.shape).astype(np.float32)
    assert evidence.noise_in_white_matter(labels, seen) == pytest.approx(noise, rel=0.05)
    assert evidence.noise_in_white_matter(np.where(labels == 2, 3, labels), seen) == 0.0


@pytest.mark.parametrize("voxel_mm", [0.5, 0.75, 1.0, 1.2])
def test_surface_and_steps_do_not_depend_on_the_voxels(voxel_mm):
    """A border that is rough by one fine voxel in five was twice as rough at .75 mm as at 1.5."""
    rng = np.random.default_rng(3)
    labels, bright = ball(voxel_mm)
    edge = (labels == 17) & ~ndimage.binary_erosion(labels == 17)
    labels[edge & (rng.random(labels.shape) < 0.2)] = 2
    sizes = np.full(3, voxel_mm)
    found, seen, sizes_mm = evidence.in_common_voxels(labels, bright, sizes)
    np.testing.assert_array_equal(sizes_mm, 1.5)
    wanted, _ = ball(1.5)
    area, volume = faces(found, sizes_mm, N)[17], (found == 17).sum() * 1.5**3
    assert volume == pytest.approx((labels == 17).sum() * voxel_mm**3, rel=0.08)
    smooth = shape_factor(faces(wanted, sizes_mm, N)[17], (wanted == 17).sum() * 1.5**3)
    fine = shape_factor(faces(labels, sizes, N)[17], (labels == 17).sum() * voxel_mm**3)
    assert shape_factor(area, volume) == pytest.approx(smooth, rel=0.08)
    assert fine > 1.1 * smooth
    assert seen.mean() == pytest.approx(bright.mean(), rel=0.02)


@pytest.mark.parametrize("sizes", [(1.5, 1.5, 1.5), (2.0, 2.0, 2.0), (1.499, 1.5, 3.0)])
def test_voxels_that_are_not_finer_stay(sizes):
    labels, bright = ball(1.5)
    found, seen, sizes_mm = evidence.in_common_voxels(labels, bright, np.array(sizes))
    np.testing.assert_array_equal(found, labels)
    assert seen is bright
    np.testing.assert_array_equal(sizes_mm, sizes)


def test_only_the_finer_axes_become_coarser():
    labels, bright = ball(0.75)
    found, _, sizes_mm = evidence.in_common_voxels(labels, bright, np.array([0.75, 0.75, 3.0]))
    assert found.shape == (32, 32, 64)
    np.testing.assert_array_equal(sizes_mm, [1.5, 1.5, 3.0])


def test_evidence_of_the_mirror_image_changes_sides():
    found = replace(usual(), fluid=np.arange(N, dtype=float))
    turned = mirrored_evidence(found)
    assert turned.fluid[17] == 53
    assert turned.fluid[53] == 17
    assert turned.fluid[16] == 16
    assert turned.brain_mm3 == found.brain_mm3
    np.testing.assert_array_equal(mirrored_evidence(turned).fluid, found.fluid)


def _ten_groups(tissues):
    means, variances = tissues.moments()
    order = [0, 1, 2, 0, 1, 0, 0, 1, 1, 1]
    return replace(
        tissues,
        means=means[order],
        variances=variances[order],
        weights=np.ones(10),
        classes=np.arange(10),
        shares=np.ones(10),
    )


def test_faces_of_a_box_and_its_shape():
    labels = np.zeros((8, 8, 8), int)
    labels[2:4, 2:5, 2:6] = 1
    area = faces(labels, np.array([1.0, 2.0, 0.5]), 2)
    assert area[1] == pytest.approx(2 * (6 * 2.0 + 2 * 4 * 0.5 + 12 * 1.0))
    assert area[0] == area[1]
    assert shape_factor(6.0, 1.0) == pytest.approx(6.0)


def test_ranges_that_are_printed_are_applied():
    for name in ("grey matter volume", "white matter volume", "total intracranial volume"):
        low, high, why = LIMITS[name]
        assert f"between {low:,.0f} and {high:,.0f}" in why


def test_every_kind_of_check_says_why():
    found = replace(
        usual(), grey=np.zeros(N), fluid=np.ones(N), contrast=np.full(N, -1.0), noise=9.0,
        area_mm2=np.full(N, 1e9), volumes_mm3=np.linspace(1.0, 1e6, N),
        agreement=np.zeros(N), jacobian=np.full(N, 9.0), edge=np.zeros(N), voxel_mm=2.0,
    )  # fmt: skip
    kinds = {c.name.split(": ")[1] for checks in doubts_of(found).values() for c in checks}
    assert kinds == set(trust.WHY)
