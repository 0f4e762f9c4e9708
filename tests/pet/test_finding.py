"""The signature from a noisy PET: what is found is real, what is not certain is not marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ellipsoid_head import make_head, pet_grid
from falx.core.errors import InputError, collect_notices
from falx.core.grid import normalisation_grid
from falx.images.nifti import Image, as_stored
from falx.pet.finding import ScaledPet, find_signature, null_maps
from falx.pet.frames import Pet
from falx.pet.maps import Place
from falx.pet.pvc import spread_fractions
from falx.pet.regions import grey_regions
from falx.pet.settings import AsymmetrySettings, Correction, SignatureRule
from falx.pet.steps import PET, Tissues, correct_measured, image_asymmetry, published_asymmetry
from falx.phantom.intensities import smooth_noise

RULE = SignatureRule(draws=20, maps=100)


def scaled_pet(*, depth=0.3, side="left", noise=0.05, seed=1):
    """A head of ellipsoids, its place in the template and its PET there, noise included."""
    made = make_head(depth=depth, side=side, voxel_mm=3.0)
    grid, native = normalisation_grid(4.0), made.grid
    kept = {name: as_stored(getattr(made, name), native.affine) for name in ("gm", "wm", "csf")}
    place = Place(
        native, grid, as_stored(made.brain, native.affine), as_stored(made.labels, native.affine),
        grid.centres_mm().astype(np.float32), native.centres_mm().astype(np.float32),
    )  # fmt: skip
    seen, rng = made.pet(pet_grid()), np.random.default_rng(seed)
    grain = smooth_noise(seen.grid, rng, fwhm_mm=5.0)
    values = np.maximum(seen.data + noise * (1.2 + 0.7 * seen.data) * grain, 0.0)
    measured = Pet(Image(values.astype(np.float32), seen.affine), "Bq/mL")
    tissues = Tissues(kept["gm"], kept["wm"], kept["csf"], place.labels)
    done = correct_measured(measured, np.eye(4), tissues, Correction(), rng=rng)
    settings = AsymmetrySettings(voxel_mm=4.0)
    found = image_asymmetry(done.image, place, settings, quantity=PET, reference="brain")
    pet = ScaledPet(
        found.scaled, found.metrics, done.metrics,
        done.noise if done.metrics.noise.reason is None else None,
        published_asymmetry(as_stored(measured.image.data, seen.affine), place).scaled,
    )  # fmt: skip
    return made, place, pet, kept["gm"]


def find(case, rule=RULE, side="left", seed=1):
    _, place, pet, grey = case
    return find_signature(pet, place, grey, rule, side=side, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def left():
    return scaled_pet()


@pytest.fixture(scope="module")
def found(left):
    return find(left)


def test_the_planted_focus_is_the_signature_and_its_row_says_where(left, found):
    planted = np.isin(left[0].labels, (17, 18))
    hit = np.count_nonzero(found.chosen.native & planted)
    assert hit / np.count_nonzero(found.chosen.native) > 0.7
    assert hit / np.count_nonzero(planted) > 0.6
    told = found.metrics.calibrated
    (row,) = told.foci
    assert row.side == "left" and row.region == "left hippocampus" and row.region_share > 0.4
    assert row.probability <= told.level and row.lowest_z < -2.5 and row.mean_asymmetry < -0.1
    assert row.volume_mm3 == told.volume_mm3 == found.metrics.volume_mm3
    assert row.peak_scanner_mm == pytest.approx(row.peak_mni_mm, abs=0.01)
    assert told.searched == ("left",) and told.suggested.side == "left"


def test_every_focus_of_the_table_is_labelled_with_its_number(left, found):
    rows = found.metrics.calibrated.everywhere
    voxel_mm3 = left[1].native.voxel_volume_mm3
    assert rows
    assert {row.number for row in rows} == set(np.unique(found.foci).tolist()) - {0}
    for row in rows:
        inside = found.foci == row.number
        assert np.count_nonzero(inside) * voxel_mm3 == pytest.approx(row.volume_mm3)


def test_the_false_share_is_stated_with_an_interval(left, found):
    told, planted = found.metrics.calibrated, np.isin(left[0].labels, (17, 18))
    assert 0 <= told.false_share_low < told.false_share < told.false_share_high < 0.3
    # The rim of the ellipsoids is half grey and counts as not planted here.
    true = 1 - np.count_nonzero(found.chosen.native & planted) / found.chosen.native.sum()
    assert abs(told.false_share - true) < 0.2


def test_the_definition_of_the_publication_does_not_depend_on_that_of_the_run(left, found):
    script = replace(RULE, method="threshold", threshold=-0.2)
    other = find(left, script)
    np.testing.assert_array_equal(other.published.native, found.published.native)
    np.testing.assert_array_equal(other.probability, found.probability)
    assert other.metrics.definition.method == "threshold" and other.metrics.definition.cut == -0.2
    assert "index -0.2 on the proportional scale" in str(other.metrics.definition)
    assert not np.array_equal(other.chosen.native, found.chosen.native)


def test_a_healthy_head_has_an_empty_signature_and_no_side():
    case = scaled_pet(depth=0.0, seed=4)
    with collect_notices() as notices:
        found = find(case, side=None)
    told = found.metrics.calibrated
    assert not found.chosen.native.any() and found.metrics.volume_mm3 == 0.0
    assert told.foci == () and told.everywhere == () and told.smallest_probability > told.level
    assert told.false_share is told.false_share_low is told.false_share_high is None
    assert told.suggested.side is None and told.suggested.probability > 0.05
    assert any("none can be suggested" in notice for notice in notices)
    # The threshold of the same head marks plenty: what the calibration is for.
    by_threshold = find(case, replace(RULE, method="threshold"))
    assert by_threshold.metrics.volume_mm3 > 2000


def test_without_a_declared_side_the_suggested_one_is_taken_and_said(left, found):
    with collect_notices() as notices:
        other = find(left, side=None)
    assert other.metrics.side == "left" and other.metrics.side_from == "the asymmetry"
    assert any("the left is suggested and was taken" in notice for notice in notices)
    assert other.metrics.calibrated.searched == ("left", "right")
    # Two sides searched: no focus becomes more certain by it.
    pairs = zip(other.metrics.calibrated.foci, found.metrics.calibrated.foci, strict=False)
    assert all(both.probability >= one.probability for both, one in pairs)


def test_what_is_not_known_to_be_noise_is_not_called_certain(left):
    made, place, pet, grey = left
    found = find((made, place, replace(pet, noise=None), grey))
    assert found.metrics.calibrated is None and found.metrics.volume_mm3 == 0.0
    assert not found.chosen.native.any() and not found.probability.any()
    with pytest.raises(InputError, match="the noise of the PET is not known"):
        null_maps(replace(pet, noise=None), place, RULE, np.random.default_rng(1))


def test_a_mirrored_head_has_the_mirrored_signature(found):
    other = find(scaled_pet(side="right", seed=2), side="right")
    assert other.metrics.calibrated.foci[0].region == "right hippocampus"
    mirrored = other.chosen.native[::-1]
    joint = np.count_nonzero(mirrored & found.chosen.native)
    assert 2 * joint / (mirrored.sum() + found.chosen.native.sum()) > 0.75


def test_the_same_seed_gives_the_same_whatever_the_threads(left, found):
    made, place, pet, grey = left
    again = find((made, replace(place, threads=2), pet, grey))
    np.testing.assert_array_equal(again.probability, found.probability)
    assert again.metrics == found.metrics
    assert find(left, seed=2).metrics != found.metrics


def test_noise_is_stated_as_a_share_of_the_activity(left):
    noise = left[2].correction.noise
    assert noise.reason is None and 0.03 < noise.share < 0.08
    assert noise.fwhm_mm == pytest.approx((5.0,) * 3, rel=0.2)


def test_a_heavily_filtered_pet_is_said_to_hide_its_noise():
    made, grid = make_head(voxel_mm=3.0), pet_grid()
    parts = [Image(v.astype(np.float32), made.grid.affine) for v in (made.gm, made.wm, made.csf)]
    labels = Image(np.where(made.brain, 3, 0), made.grid.affine)
    spread = spread_fractions(
        *parts, grey_regions(labels.data, (3.0,) * 3), grid, np.eye(4), fwhm_mm=6.0
    )
    exact = 4.0 * spread.gm + spread.wm + 0.1 * spread.csf
    with collect_notices() as notices:
        done = correct_measured(
            Pet(Image(exact.astype(np.float32), grid.affine), None), np.eye(4),
            Tissues(*parts, labels), Correction(), rng=np.random.default_rng(1),
        )  # fmt: skip
    assert "cannot be measured" in done.metrics.noise.reason and not done.noise.sd.data.any()
    assert done.metrics.noise.fwhm_mm == () and done.metrics.noise.share is None
    assert any("nothing in the asymmetry can be called certain" in notice for notice in notices)
