"""Nuisances: the truth stays on the image's grid, and each changes what it says it changes."""

from __future__ import annotations

import numpy as np
import pytest

from falx.phantom.heads import load_head
from falx.phantom.nuisances import NUISANCES, regridded

OWN_VOXELS = ("0.7 mm", "2 mm", "anisotropic", "thick slices", "partial volume")


@pytest.fixture(scope="module")
def head():
    return regridded(load_head("05"), 4.0)


@pytest.mark.parametrize("nuisance", [n for n in NUISANCES if n not in OWN_VOXELS])
def test_the_truth_lies_on_the_image(head, nuisance):
    seen = NUISANCES[nuisance](head, np.random.default_rng(1))
    assert seen.image.data.shape == seen.head.labels.shape
    np.testing.assert_allclose(seen.image.affine, seen.head.affine)
    assert np.all(np.isfinite(seen.image.data))
    assert seen.image.data.min() >= 0
    again = NUISANCES[nuisance](head, np.random.default_rng(1))
    np.testing.assert_array_equal(again.image.data, seen.image.data)


def test_a_coarser_grid_keeps_places_and_volumes():
    head = load_head("05")
    coarse = regridded(head, (2.0, 2.0, 4.0))
    np.testing.assert_allclose(coarse.grid.voxel_sizes_mm, [2, 2, 4])
    assert coarse.volume_mm3(2, 41) == pytest.approx(head.volume_mm3(2, 41), rel=0.05)
    centre = [
        h.affine[:3, :3] @ np.argwhere(h.mask(16)).mean(axis=0) + h.affine[:3, 3]
        for h in (coarse, head)
    ]
    np.testing.assert_allclose(centre[0], centre[1], atol=1.0)


def test_noise_is_louder_in_the_noisy_head(head):
    plain, noisy = (NUISANCES[n](head, np.random.default_rng(2)) for n in ("plain", "noise"))
    white = head.mask(2)
    assert noisy.image.data[white].std() > 1.3 * plain.image.data[white].std()


def test_stripping_leaves_the_brain_or_less():
    head = regridded(load_head("05"), 2.5)
    brain = np.isin(head.tissues(), (0, 1))
    loose = NUISANCES["stripped loosely"](head, np.random.default_rng(3)).image.data > 0
    tight = NUISANCES["stripped tightly"](head, np.random.default_rng(3)).image.data > 0
    assert loose[brain].all()
    assert tight.sum() < loose.sum() < 0.5 * loose.size


def test_defacing_spares_the_brain_and_takes_the_eyes(head):
    mild, hard = (
        NUISANCES[n](head, np.random.default_rng(4)).image.data > 0
        for n in ("defaced", "defaced hard")
    )
    assert hard[np.isin(head.tissues(), (0, 1))].all()
    assert hard[head.mask(506)].mean() < 0.2
    soft = head.fraction("soft")
    assert hard[soft].mean() < mild[soft].mean() < 1.0


def test_ventricles_widen_and_a_cavity_is_fluid(head):
    wide = NUISANCES["wide ventricles"](head, np.random.default_rng(5)).head
    assert wide.volume_mm3(4, 43) > 1.3 * head.volume_mm3(4, 43)
    cavity = NUISANCES["cavity"](head, np.random.default_rng(5)).head
    lost = head.fraction("GM").sum() + head.fraction("WM").sum()
    lost -= cavity.fraction("GM").sum() + cavity.fraction("WM").sum()
    assert 10 < lost * head.grid.voxel_volume_mm3 / 1000 < 45


def test_planted_losses_are_exact(head):
    atrophic = NUISANCES["atrophy"](head, np.random.default_rng(6)).head
    assert atrophic.volume_mm3(17) == pytest.approx(0.6 * head.volume_mm3(17), rel=0.03)
    small = NUISANCES["small amygdalae"](head, np.random.default_rng(6)).head
    for number in (18, 54):
        assert small.volume_mm3(number) == pytest.approx(0.5 * head.volume_mm3(number), rel=0.06)


def test_partial_volume_halves_the_voxels_and_keeps_the_places():
    """At a face between white matter and fluid, intensities lie between the two."""
    head = regridded(load_head("05"), 2.0)
    seen = NUISANCES["partial volume"](head, np.random.default_rng(7))
    np.testing.assert_allclose(seen.image.affine, seen.head.affine)
    np.testing.assert_allclose(seen.head.grid.voxel_sizes_mm, 4.0)
    assert seen.image.data.shape == seen.head.labels.shape
    assert seen.head.volume_mm3(2, 41) == pytest.approx(head.volume_mm3(2, 41), rel=0.1)
    for x, y, z in ((30, 28, 24), (18, 30, 22), (25, 20, 30)):  # the label is the most common one
        eight = head.labels[2 * x : 2 * x + 2, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2]
        votes = {one: int((eight == one).sum()) for one in np.unique(eight)}
        assert votes[seen.head.labels[x, y, z]] == max(votes.values())
    white, fluid = (np.median(seen.image.data[seen.head.mask(*ids)]) for ids in ((2, 41), (4, 43)))
    assert fluid < 0.6 * white
