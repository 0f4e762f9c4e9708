from dataclasses import replace

import numpy as np
import pytest

from anatomy import head_model
from anatomy.head_model import dice
from falx.anatomy.segmentation.unified import segment
from falx.core.errors import FalxNotice
from falx.images.nifti import Image


def overlaps(result, truth):
    return [
        dice(tissue > 0.5, truth[..., k] > 0.5)
        for k, tissue in enumerate((result.gm, result.wm, result.csf))
    ]


def test_tissues_of_a_known_head(case):
    gm, wm, csf = overlaps(case.result, case.truth)
    assert gm > 0.97
    assert wm > 0.98
    assert csf > 0.94


def test_bias_is_removed(case):
    white = case.truth[..., 1] > 0.5
    before = case.image.data[white].std() / case.image.data[white].mean()
    after = case.result.corrected[white].std() / case.result.corrected[white].mean()
    assert before > 0.06
    assert after < 0.035


def test_map_follows_the_known_zoom(case):
    mapping = case.result.to_template
    brain = case.result.brain_mask
    points = case.image.grid.centres_mm()[brain][::50]
    truth = points @ case.affine[:3, :3].T + case.affine[:3, 3]
    apart = np.linalg.norm(mapping.at(points) - truth, axis=1)
    assert np.median(apart) < 3.0
    assert case.result.jacobian.min() > 0.3


def test_forward_and_inverse_belong_together(case):
    points = case.image.grid.centres_mm()[case.result.brain_mask][::50]
    back = case.result.to_native.at(case.result.to_template.at(points))
    assert np.percentile(np.linalg.norm(back - points, axis=1), 99) < 0.5


def test_threads_do_not_change_the_result(case, head_priors, quick):
    other = segment(case.image, head_priors, quick, threads=2)
    np.testing.assert_array_equal(other.gm, case.result.gm)
    np.testing.assert_array_equal(
        other.to_template.coordinates_mm, case.result.to_template.coordinates_mm
    )


def test_intensity_scale_does_not_matter(case, head_priors, quick):
    scaled = Image(case.image.data * np.float32(300), case.image.affine)
    assert scaled.data.max() > 32767
    other = segment(scaled, head_priors, quick)
    assert np.abs(other.gm - case.result.gm).mean() < 2e-3


def test_a_mirrored_head_gives_mirrored_tissues(case, head_priors, quick):
    affine = case.image.affine
    mirrored = Image(np.ascontiguousarray(case.image.data[::-1]), affine)
    other = segment(mirrored, head_priors, quick)
    assert dice(other.gm[::-1] > 0.5, case.result.gm > 0.5) > 0.99
    x_mm = case.result.to_native.at([[-40.0, -20.0, 10.0], [40.0, -20.0, 10.0]])[:, 0]
    assert x_mm[0] < x_mm[1]


def test_a_brain_extracted_image_works(case, head_priors, quick):
    brain = case.truth[..., :3].sum(-1) > 0.5
    image = Image(np.where(brain, case.image.data, 0).astype(np.float32), case.image.affine)
    with pytest.warns(FalxNotice, match="brain-extracted"):
        result = segment(image, head_priors, quick)
    gm, wm, _ = overlaps(result, case.truth)
    assert gm > 0.95
    assert wm > 0.96


def test_no_clean_up_and_no_field_are_options(case, head_priors, quick):
    settings = replace(quick, mrf_strength=0.0, clean_up=False)
    result = segment(case.image, head_priors, settings)
    assert overlaps(result, case.truth)[0] > 0.9


def test_a_moved_header_gives_the_same_tissues(rng, case, head_priors, quick):
    matrix = head_model.pose((15, -4, 10), (25, -20, 30))
    moved = Image(case.image.data, matrix @ case.image.affine)
    result = segment(moved, head_priors, quick)
    assert dice(result.gm > 0.5, case.result.gm > 0.5) > 0.985
