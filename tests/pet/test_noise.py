"""The noise of a PET is measured in it, and its way to the asymmetry map is followed."""

from __future__ import annotations

import numpy as np
import pytest

from ellipsoid_head import make_head, pet_grid
from falx.core.errors import InputError, collect_notices
from falx.core.grid import box_grid, mirror, normalisation_grid
from falx.images.nifti import Image
from falx.images.smooth import smooth
from falx.pet.asymmetry import asymmetry_index
from falx.pet.maps import Place, normalise, scaled_asymmetry
from falx.pet.noise import (
    Chain,
    HalfMaps,
    Noise,
    corrected_noise,
    index_slope,
    measure_noise,
    noise_maps,
    unfold,
)
from falx.pet.pvc import correct, spread_fractions
from falx.pet.regions import grey_regions
from falx.phantom.intensities import smooth_noise

SMOOTHING_MM = 6.0


@pytest.fixture(scope="module")
def scan():
    head, grid = make_head(depth=0.0), pet_grid()
    tissues = (Image(t.astype(np.float32), head.grid.affine) for t in (head.gm, head.wm, head.csf))
    regions = grey_regions(head.labels, head.grid.voxel_sizes_mm)
    spread = spread_fractions(*tissues, regions, grid, np.eye(4), fwhm_mm=6.0)
    return head, grid, head.pet(grid, matrix=np.eye(4)).data, spread


@pytest.fixture(scope="module")
def place(scan):
    head = scan[0]
    template = normalisation_grid(3.0)
    return Place(
        head.grid,
        template,
        Image(head.brain.astype(np.float32), head.grid.affine),
        Image(head.labels.astype(np.int16), head.grid.affine),
        template.centres_mm().astype(np.float32),
        head.grid.centres_mm().astype(np.float32),
    )


def noisy(clean, grid, rng, *, strength=0.05, fwhm_mm=4.0):
    level = strength * (1.2 + 0.7 * clean)
    return clean + level * smooth_noise(grid, rng, fwhm_mm=fwhm_mm), level


def measure(image, scan, rng):
    _, grid, _, spread = scan
    return measure_noise(image, grid, spread, correct(image, spread).activities, rng)


@pytest.mark.parametrize(("strength", "fwhm_mm"), [(0.05, 4.0), (0.1, 6.0)])
def test_strength_and_width_are_measured(scan, strength, fwhm_mm):
    _, grid, clean, spread = scan
    rng = np.random.default_rng(11)
    image, level = noisy(clean, grid, rng, strength=strength, fwhm_mm=fwhm_mm)
    found = measure(image, scan, rng)
    assert found.fwhm_mm == pytest.approx([fwhm_mm] * 3, rel=0.08)
    for tissue in (spread.gm > 0.5, spread.wm > 0.9):
        ratio = np.sqrt(np.mean(found.sd.data[tissue] ** 2) / np.mean(level[tissue] ** 2))
        assert ratio == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("fwhm_mm", [16.0, 24.0])
def test_noise_filtered_too_widely_is_refused(scan, fwhm_mm):
    rng = np.random.default_rng(int(fwhm_mm))
    image, _ = noisy(scan[2], scan[1], rng, strength=0.1, fwhm_mm=fwhm_mm)
    with pytest.raises(InputError, match="filtered too widely.*by no more than 12 mm"):
        measure(image, scan, rng)


@pytest.mark.parametrize("filter_mm", [6.0, 8.0, 16.0])
def test_a_whole_image_that_was_filtered_is_refused(scan, filter_mm):
    _, grid, clean, _ = scan
    image, _ = noisy(clean, grid, np.random.default_rng(3))
    filtered = smooth(image.astype(np.float32), grid.voxel_sizes_mm, filter_mm)
    with pytest.raises(InputError, match=r"blurred more widely.*pet\.psf_fwhm_mm"):
        measure(filtered, scan, np.random.default_rng(4))


@pytest.mark.parametrize(("stated_mm", "word"), [(4.5, "wider"), (7.5, "narrower"), (6.0, None)])
def test_a_wrong_point_spread_is_doubted_and_the_right_one_is_not(scan, stated_mm, word):
    head, grid, clean, _ = scan
    tissues = (Image(t.astype(np.float32), head.grid.affine) for t in (head.gm, head.wm, head.csf))
    regions = grey_regions(head.labels, head.grid.voxel_sizes_mm)
    spread = spread_fractions(*tissues, regions, grid, np.eye(4), fwhm_mm=stated_mm)
    image, _ = noisy(clean, grid, np.random.default_rng(5))
    with collect_notices() as notices:
        measure(image, (head, grid, clean, spread), np.random.default_rng(6))
    said = [notice for notice in notices if "point spread" in notice]
    assert len(said) == (word is not None)
    assert all(f"seems {word} than was stated" in notice for notice in said)


@pytest.mark.parametrize(("levels", "most"), [(255, 1.1), (16, 1.3)])
def test_rounding_makes_the_noise_larger_and_never_smaller(scan, levels, most):
    rng = np.random.default_rng(5)
    image, level = noisy(scan[2], scan[1], rng, strength=0.03, fwhm_mm=5.0)
    step = image.max() / levels
    found = measure((np.round(image / step) * step).astype(np.float32), scan, rng)
    grey = scan[3].gm > 0.5
    ratio = np.sqrt(np.mean(found.sd.data[grey] ** 2) / np.mean(level[grey] ** 2))
    assert 0.95 < ratio < most


def test_a_noisier_place_is_found(scan):
    _, grid, clean, spread = scan
    rng = np.random.default_rng(12)
    behind = grid.centres_mm()[..., 1] < -20
    image, level = noisy(clean, grid, rng)
    image = np.where(behind, clean + 2 * (image - clean), image)
    found = measure(image, scan, rng).sd.data / level
    far = np.abs(grid.centres_mm()[..., 1] + 20) > 30
    inside = (spread.brain > 0.9) & far
    assert np.mean(found[inside & behind]) == pytest.approx(2.0, rel=0.12)
    assert np.mean(found[inside & ~behind]) == pytest.approx(1.0, rel=0.12)


def test_noise_that_cannot_be_measured_is_said(scan):
    spread = scan[3]
    exact = 4.0 * spread.gm + spread.wm + 0.1 * spread.csf
    with pytest.raises(InputError, match="noise of the PET cannot be measured"):
        measure(exact, scan, np.random.default_rng(13))


def test_draws_are_as_strong_and_smooth_as_said():
    grid = box_grid((-40, -40, -40), (40, 40, 40), 2.0)
    sd = np.full(grid.shape, 3.0, dtype=np.float32)
    sd[:20] = 0.0
    drawn = Noise(Image(sd, grid.affine), np.array([6.0, 6.0, 6.0])).draw(np.random.default_rng(2))
    assert not drawn[:20].any()
    assert drawn[20:].std() == pytest.approx(3.0, rel=0.05)
    a, b = drawn[20:, :-1], drawn[20:, 1:]
    expected = np.exp(-(2.0**2) / (4 * (6.0 / 2.3548) ** 2))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(expected, abs=0.02)


def test_correction_divides_the_noise_by_the_grey_matter():
    grid = box_grid((-2, -2, -2), (2, 2, 2), 2.0)
    noise = Noise(Image(np.full(grid.shape, 2.0, np.float32), grid.affine), np.ones(3))
    gm, defined = np.full(grid.shape, 0.5, np.float32), np.ones(grid.shape, bool)
    defined[0] = False
    moved = np.eye(4)
    moved[:3, 3] = 5.0
    found = corrected_noise(noise, gm, defined, moved)
    assert (found.sd.data[1:] == 4.0).all() and not found.sd.data[0].any()
    np.testing.assert_allclose(found.sd.affine, moved @ grid.affine)


def test_the_slope_is_that_of_the_index(rng):
    grid = box_grid((-10, -4, -4), (10, 4, 4), 2.0)
    image, every = rng.uniform(2, 6, grid.shape), np.ones(grid.shape, bool)
    step = 1e-3 * rng.standard_normal(grid.shape)
    own, other = index_slope(image, grid, every)
    up, down = (asymmetry_index(image + s * step, grid, every).index for s in (1.0, -1.0))
    # The index is kept in single precision.
    np.testing.assert_allclose(
        own * step + other * mirror(step, grid), (up - down) / 2, atol=2e-7, rtol=1e-3
    )


def test_unfolding_is_symmetric_and_leaves_the_midline():
    grid = box_grid((-4, 0, 0), (4, 0, 0), 2.0)
    half = np.array([1.0, 2.0]).reshape(2, 1, 1)
    assert unfold(half, grid).ravel().tolist() == [1.0, 2.0, 0.0, 2.0, 1.0]


def test_the_standard_error_of_maps_is_their_spread():
    grid = box_grid((-30, -30, -30), (30, 30, 30), 3.0)
    where = np.ones((grid.shape[0] // 2, *grid.shape[1:]), dtype=bool)
    where[:2] = False
    values = 0.04 * np.random.default_rng(4).standard_normal((60, where.sum()))
    se = HalfMaps(values.astype(np.float32), where, grid).standard_error()
    inside = unfold(where, grid)
    assert not se[~inside].any()
    assert se[inside].mean() == pytest.approx(0.04, rel=0.02)
    assert se[inside].std() < 0.002
    np.testing.assert_allclose(se, se[::-1], atol=1e-6)


def test_the_stated_error_is_the_scatter_over_redraws(scan, place):
    _, grid, clean, spread = scan
    rng = np.random.default_rng(21)

    def chain(image):
        corrected = correct(image, spread)
        moved = Image(corrected.image, grid.affine)
        normal = normalise(moved, corrected.defined, place, smoothing_fwhm_mm=SMOOTHING_MM)
        return corrected, *scaled_asymmetry(normal, normal.defined, "proportional")

    maps = [chain(noisy(clean, grid, rng)[0])[2].index for _ in range(30)]
    scatter = np.std(maps, axis=0, ddof=1)
    image, _ = noisy(clean, grid, rng)
    corrected, scaled, asymmetry = chain(image)
    noise = measure_noise(image, grid, spread, corrected.activities, rng)
    noise = corrected_noise(noise, spread.gm, corrected.defined, np.eye(4))
    drawn = noise_maps(noise, Chain(place, scaled.image * scaled.mean, SMOOTHING_MM), 40, rng)
    stated = drawn.standard_error()
    both = asymmetry.valid & (scatter > 0) & (stated > 0)
    ratio = np.sqrt(np.mean(stated[both] ** 2) / np.mean(scatter[both] ** 2))
    assert both.sum() > 5000
    assert ratio == pytest.approx(1.0, abs=0.1)
    # Thin tissue is noisier, and the map says so.
    assert np.corrcoef(stated[both], scatter[both])[0, 1] > 0.2
