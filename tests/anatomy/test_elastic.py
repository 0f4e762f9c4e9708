import numpy as np
import pytest

from falx.anatomy.registration.elastic import ElasticEnergy
from falx.anatomy.settings import Penalties


def energy_of(penalties, shape=(12, 10, 14)):
    return ElasticEnergy(shape, np.array([3.0, 2.0, 4.0]), penalties, 24.0, 1)


def differences(field, spacing):
    """Forward differences of a periodic field, shape (component, direction, ...)."""
    return np.stack(
        [
            np.stack([(np.roll(c, -1, d) - c) / spacing[d] for d in range(3)])
            for c in field.astype(float)
        ]
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_membrane_energy_is_the_sum_of_squared_differences(rng, threads):
    elastic = energy_of(Penalties(membrane=0.7, bending=0, shear=0, divergence=0))
    field = rng.standard_normal((3, *elastic.padded)).astype(np.float32)
    spectrum = elastic.to_spectrum(field)
    found = elastic.dot(spectrum, elastic.force(spectrum, 1.0))
    expected = 0.7 * 24.0 * np.sum(differences(field, elastic.spacing_mm) ** 2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_bending_leaves_linear_and_punishes_curved():
    elastic = energy_of(Penalties(membrane=0, bending=1, shear=0, divergence=0))
    slow = np.zeros((3, *elastic.padded), dtype=np.float32)
    slow[0] = np.sin(2 * np.pi * np.arange(elastic.padded[0]) / elastic.padded[0])[:, None, None]
    quick = np.roll(slow, 0)
    quick[0] = np.sin(6 * np.pi * np.arange(elastic.padded[0]) / elastic.padded[0])[:, None, None]
    one, three = (elastic.to_spectrum(f) for f in (slow, quick))
    ratio = elastic.dot(three, elastic.force(three, 1.0)) / elastic.dot(
        one, elastic.force(one, 1.0)
    )
    # Squared second derivatives grow with the fourth power of frequency.
    assert 40 < ratio < 81


def test_rotation_costs_less_than_stretching():
    elastic = energy_of(Penalties(membrane=0, bending=0, shear=1, divergence=0))
    n = elastic.padded
    wave = np.cos(2 * np.pi * np.arange(n[0]) / n[0]).astype(np.float32)[:, None, None]
    along, across = (np.zeros((3, *n), dtype=np.float32) for _ in range(2))
    along[0] = wave
    across[1] = wave
    costs = []
    for field in (along, across):
        spectrum = elastic.to_spectrum(field)
        costs.append(elastic.dot(spectrum, elastic.force(spectrum, 1.0)))
    np.testing.assert_allclose(costs[0] / costs[1], 2.0, rtol=1e-3)


def test_preconditioner_inverts(rng):
    elastic = energy_of(Penalties(membrane=0.1, bending=0.5, shear=0.2, divergence=0.3))
    field = rng.standard_normal((3, *elastic.padded)).astype(np.float32)
    spectrum = elastic.to_spectrum(field)
    solved = elastic.precondition(spectrum, 2.0, 0.3)
    back = elastic.force(solved, 2.0) + np.float32(0.3) * solved
    np.testing.assert_allclose(elastic.to_field(back), field, atol=1e-4)
