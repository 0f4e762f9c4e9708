import numpy as np
import pytest

from anatomy import head_model
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
