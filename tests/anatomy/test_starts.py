from dataclasses import replace

import numpy as np
import pytest

from anatomy import head_model
from anatomy.head_model import dice
from falx.anatomy.quality import tissue_separation
from falx.anatomy.registration.affine import size_prior
from falx.anatomy.registration.alignment import align
from falx.anatomy.segmentation import starts
from falx.anatomy.segmentation.mixture import (
    fit_mixture,
    from_certain,
    from_little_fluid,
    initial_mixture,
)
from falx.anatomy.segmentation.starts import Appraisal, appraise
from falx.anatomy.segmentation.unified import segment
from falx.anatomy.structures.delineation import segment_structures
from falx.core.errors import FalxNotice, collect_notices
from falx.data.labels import head_labels
from falx.data.priors import structure_priors, tissue_priors
from falx.images.nifti import Image
from falx.phantom.heads import load_head
from falx.phantom.intensities import t1w

GOOD = {
    "template overlap": 0.97,
    "total intracranial volume": 1500.0,
    "grey matter volume": 650.0,
    "white matter volume": 480.0,
    "tissue separation": 8.0,
}


def with_gaussians(mixture, means, sds, classes, weights):
    return replace(
        mixture,
        means=np.array(means, dtype=float),
        variances=np.array(sds, dtype=float) ** 2,
        classes=np.array(classes),
        weights=np.array(weights, dtype=float),
    )


def three_tissues(rng, means, n=30000):
    """Samples of three tissues whose place is certain, and a tenth whose place is wrong."""
    tissue = rng.integers(0, 3, n)
    values = rng.normal(np.array(means)[tissue], 5.0).astype(np.float32)
    place = np.where(rng.random(n) < 0.1, rng.integers(0, 3, n), tissue)
    priors = np.full((n, 3), 0.05, dtype=np.float32)
    priors[np.arange(n), place] = 0.9
    return np.maximum(values, 0), priors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("template overlap", 0.84),
        ("total intracranial volume", 850.0),
        ("grey matter volume", 135.0),
        ("white matter volume", 279.0),
        ("white matter volume", 701.0),
        ("tissue separation", 1.79),
    ],
)
def test_a_doubt_names_the_sign_that_is_out_of_range(name, value):
    assert Appraisal(GOOD).doubts == ()
    assert Appraisal({**GOOD, name: value}).doubts == (name,)


def test_fewer_doubts_count_before_the_overlap():
    doubtful = Appraisal({**GOOD, "grey matter volume": 135.0, "template overlap": 0.99})
    assert Appraisal(GOOD).rank < doubtful.rank
    assert Appraisal({**GOOD, "template overlap": 0.98}).rank < Appraisal(GOOD).rank


def test_separation_is_the_distance_of_means_in_their_deviation(rng):
    mixture = initial_mixture(*three_tissues(rng, (100, 160, 40)))
    even = with_gaussians(mixture, [100, 160, 40], [6, 6, 6], [0, 1, 2], [1, 1, 1])
    assert tissue_separation(even) == pytest.approx(10.0)
    near = with_gaussians(mixture, [100, 130, 40], [6, 6, 6], [0, 1, 2], [1, 1, 1])
    assert tissue_separation(near) == pytest.approx(5.0)
    # Fluid of two brightnesses, 40 and 100: mean 70, SD √(36 + 900).
    taken = with_gaussians(mixture, [130, 170, 40, 100], [6] * 4, [0, 1, 2, 2], [1, 1, 0.5, 0.5])
    assert tissue_separation(taken) == pytest.approx(60 / np.sqrt(0.5 * (36 + 936)))


def test_certain_places_give_the_intensities(rng):
    values, priors = three_tissues(rng, (100, 160, 40))
    start = from_certain(values, priors, (1, 1, 2))
    np.testing.assert_allclose(start.means[:2], [100, 160], atol=1.5)
    assert np.all(start.means[2:] < 60)
    assert list(start.classes) == [0, 1, 2, 2]


def test_the_start_has_the_order_of_a_t1w_image(rng):
    values, priors = three_tissues(rng, (100, 160, 40))
    misplaced = priors[:, [2, 1, 0]]
    start = from_certain(values, misplaced, (1, 1, 2))
    assert start.means[2:].max() < start.means[0] < start.means[1]


def test_a_t2w_image_keeps_its_order(rng):
    values, priors = three_tissues(rng, (100, 70, 180))
    start = from_certain(values, priors, (1, 1, 1))
    np.testing.assert_allclose(start.means, [100, 70, 180], atol=1.5)


def test_fluid_that_is_not_in_the_image_does_not_take_grey_matter(rng):
    """Where the priors expect fluid lies cortex, as in a head stripped to the brain."""
    values, priors = three_tissues(rng, (100, 160, 100))
    free, held = (
        fit_mixture(start(values, priors, (1, 1, 2)), values, priors, most=30)
        for start in (from_certain, from_little_fluid)
    )
    assert tissue_separation(free) < 1.0
    assert tissue_separation(held) > 3.0
    np.testing.assert_allclose(held.moments()[0, :2], [100, 160], atol=1.0)
    assert held.shares[2] < 0.05


def test_nothing_is_held_in_a_t2w_image(rng):
    values, priors = three_tissues(rng, (100, 70, 180))
    assert from_little_fluid(values, priors, (1, 1, 2)).anchor is None


def test_a_good_fit_raises_no_doubt(case, head_priors, quick):
    found = appraise(
        case.image,
        case.image.data > 0,
        head_priors,
        case.result.affine,
        case.result.fit,
        quick,
    )
    assert found.doubts == ()
    litre = case.image.grid.voxel_volume_mm3 / 1000.0
    assert found.values["grey matter volume"] == pytest.approx(
        float(case.result.gm.sum()) * litre, rel=0.1
    )


def test_a_wrong_start_is_noticed_and_replaced(case, head_priors, quick, monkeypatch):
    """The first alignment is planted a quarter too small; the second one is the program's."""
    asked = []

    def planted(image, priors, size, **sizes):
        found = align(image, priors, size, **sizes)
        asked.append(sizes)
        if len(asked) > 1:
            return found
        return replace(found, affine=found.affine @ np.diag([1.33, 1.33, 1.33, 1.0]))

    monkeypatch.setattr(starts, "align", planted)
    with pytest.warns(FalxNotice, match="replaced by one from another start"):
        result = segment(case.image, head_priors, quick)
    assert asked == [{}, {"sizes": starts.OTHER_SIZES}]
    assert dice(result.gm > 0.5, case.truth[..., 0] > 0.5) > 0.97


def test_a_good_head_is_fitted_once(case, head_priors, quick, monkeypatch):
    asked = []

    def counted(*arguments, **sizes):
        asked.append(sizes)
        return align(*arguments, **sizes)

    monkeypatch.setattr(starts, "align", counted)
    with collect_notices() as notices:
        result = segment(case.image, head_priors, quick)
    assert asked == [{}]
    assert not [n for n in notices if "another start" in n]
    np.testing.assert_array_equal(result.gm, case.result.gm)


def test_a_small_head_is_found_from_other_sizes(rng, head_priors):
    image, _, truth = head_model.t1w(rng, voxel_mm=4.0, zoom=0.8)
    found = align(image, head_priors, size_prior("european"), sizes=starts.OTHER_SIZES)
    zoom = np.cbrt(np.linalg.det(found.affine[:3, :3]) / np.linalg.det(truth[:3, :3]))
    assert zoom == pytest.approx(1.0, abs=0.03)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::falx.core.errors.FalxNotice")
@pytest.mark.parametrize(
    ("turn_deg", "shift_mm"),
    [((0, 0, 0), (0, 0, 0)), ((15, -5, 10), (20, -25, 30)), ((-12, 8, -20), (-30, 20, -40))],
)
def test_head_13_of_which_no_prior_knows(shared, turn_deg, shift_mm):
    """Its grey matter had been taken for fluid: GM Dice .097, GM 84 ml of 654."""
    head = load_head("13", shared / "data" / "heads")
    data = t1w(head, np.random.default_rng(13))
    pose = head_model.pose(turn_deg, shift_mm)
    result = segment(Image(data, pose @ head.affine), tissue_priors(), threads=2)
    labels = head_labels()
    truth = labels.table(labels.tissue_number)[head.labels]
    assert dice(result.gm > 0.5, truth == 0) > 0.97
    assert dice(result.wm > 0.5, truth == 1) > 0.97
    found = segment_structures(result, structure_priors(), threads=2)
    for number in (17, 53):
        assert dice(found.labels == number, head.labels == number) > 0.93
