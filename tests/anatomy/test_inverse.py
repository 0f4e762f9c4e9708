import numpy as np

from anatomy import head_model
from falx.anatomy.registration.inverse import inverse_map, jacobian_determinants
from falx.core.grid import apply_affine, box_grid
from falx.images.warp import CoordinateMap


def bent_map(amplitude_mm=4.0):
    grid = box_grid((-90, -110, -80), (90, 90, 90), 4.0)
    mm = grid.centres_mm()
    affine = head_model.pose((8, -5, 4), (6, -9, 12))
    affine[:3, :3] *= 1.08
    moved = mm + amplitude_mm * np.sin(mm[..., [1, 2, 0]] / 25)
    return CoordinateMap(apply_affine(affine, moved).astype(np.float32), grid.affine), affine


def test_forward_then_inverse_is_the_identity(rng):
    mapping, affine = bent_map()
    inverse = inverse_map(mapping, affine, box_grid((-96, -130, -70), (96, 100, 112), 3.0))
    points = rng.uniform(-50, 50, (500, 3))
    apart = np.linalg.norm(inverse.at(mapping.at(points)) - points, axis=1)
    assert np.median(apart) < 0.1
    assert np.percentile(apart, 99) < 0.5


def test_jacobian_of_an_affine_map_is_its_determinant():
    mapping, affine = bent_map(0.0)
    np.testing.assert_allclose(
        jacobian_determinants(mapping), np.linalg.det(affine[:3, :3]), rtol=1e-4
    )


def test_jacobian_keeps_total_volume():
    # The map moves nothing on the faces of the box, so the mean determinant is one.
    grid = box_grid((-40, -40, -40), (40, 40, 40), 2.0)
    mm = grid.centres_mm()
    bump = 6.0 * np.prod(np.cos(np.pi * mm / 80), axis=-1)
    mapping = CoordinateMap((mm + bump[..., None]).astype(np.float32), grid.affine)
    jacobian = jacobian_determinants(mapping)
    assert jacobian.min() > 0
    np.testing.assert_allclose(jacobian[1:-1, 1:-1, 1:-1].mean(), 1.0, atol=0.02)


def test_determinants_are_those_of_differences_between_neighbours(rng):
    affine = np.diag([2.0, 3.0, 1.5, 1.0])
    mapped = (apply_affine(affine, np.argwhere(np.ones((6, 2, 5)))).reshape(6, 2, 5, 3)
              + 0.3 * rng.normal(size=(6, 2, 5, 3))).astype(np.float32)  # fmt: skip
    slopes = [np.gradient(mapped.astype(float), axis=axis) for axis in range(3)]
    exact = np.linalg.det(np.stack(slopes, axis=-1)) / 9.0
    found = jacobian_determinants(CoordinateMap(mapped, affine))
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-9)
