import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


PENALTY = st.floats(0.0, 1.0)
SHAPES = st.tuples(*[st.integers(4, 9)] * 3)


def random_field(energy, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, *energy.padded)).astype(np.float32)


@settings(deadline=None, max_examples=15)
@given(shape=SHAPES, seed=st.integers(0, 99))
def test_transform_and_product_are_those_of_the_field(shape, seed):
    energy = energy_of(Penalties(), shape)
    assert all(wide >= n + 5 for wide, n in zip(energy.padded, shape, strict=True))
    a, b = random_field(energy, seed), random_field(energy, seed + 100)
    spectra = energy.to_spectrum(a), energy.to_spectrum(b)
    np.testing.assert_allclose(energy.to_field(spectra[0]), a, atol=1e-5)
    product = float((a.astype(float) * b).sum())
    assert energy.dot(*spectra) == pytest.approx(product, abs=1e-2)
    assert energy.dot(spectra[0], spectra[0]) == pytest.approx(float((a**2).sum()), rel=1e-4)


@settings(deadline=None, max_examples=20)
@given(
    weights=st.tuples(*[PENALTY] * 5),
    factor=st.floats(0.1, 10),
    stiffness=st.floats(0.1, 10),
    seed=st.integers(0, 99),
)
def test_solving_undoes_the_force_and_a_stiffness(weights, factor, stiffness, seed):
    energy = energy_of(Penalties(*weights), (5, 6, 7))
    field = energy.to_spectrum(random_field(energy, seed))
    right = energy.force(field, factor) + np.float32(stiffness) * field
    found = energy.precondition(right, factor, stiffness)
    np.testing.assert_allclose(found, field, atol=2e-3 * np.abs(field).max())


@settings(deadline=None, max_examples=20)
@given(weights=st.tuples(*[PENALTY] * 5), seed=st.integers(0, 99), factor=st.floats(0.1, 10))
def test_the_energy_is_a_positive_symmetric_form_proportional_to_its_factor(weights, seed, factor):
    energy = energy_of(Penalties(*weights), (5, 4, 6))
    a = energy.to_spectrum(random_field(energy, seed))
    b = energy.to_spectrum(random_field(energy, seed + 1))
    force = energy.force(a, 1.0)
    assert energy.dot(a, force) >= -1e-3
    scale = 1e-3 * (1 + abs(energy.dot(b, energy.force(b, 1.0))) + energy.dot(a, force))
    assert energy.dot(b, force) == pytest.approx(energy.dot(a, energy.force(b, 1.0)), abs=scale)
    np.testing.assert_allclose(energy.force(a, factor), factor * force, rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "wave_power", "divergence_free"),
    [("absolute", 0, True), ("membrane", 2, True), ("bending", 4, True), ("shear", 2, False),
     ("divergence", 2, False)],
)  # fmt: skip
def test_each_penalty_of_a_single_wave_is_its_formula(name, wave_power, divergence_free):
    none = dict.fromkeys(("absolute", "membrane", "bending", "shear", "divergence"), 0.0)
    energy = energy_of(Penalties(**{**none, name: 1.0}), (11, 5, 5))
    n = energy.padded[0]
    wave = np.cos(2 * np.pi * np.arange(n) / n)[:, None, None]
    along = np.zeros((3, *energy.padded), np.float32)
    across = along.copy()
    along[0], across[1] = wave, wave
    k = 2 * np.sin(np.pi / n) / energy.spacing_mm[0]
    size = float((along**2).sum()) * energy.mm3_per_node

    def work(field):
        spectrum = energy.to_spectrum(field)
        return energy.dot(spectrum, energy.force(spectrum, 1.0)) / size

    # Shear: |k|² I + k kᵀ; divergence: k kᵀ alone; the others do not ask for the direction.
    expected = {"shear": (2 * k**2, k**2), "divergence": (k**2, 0.0)}.get(
        name, (k**wave_power, k**wave_power)
    )
    assert work(along) == pytest.approx(expected[0], rel=1e-3)
    assert work(across) == pytest.approx(expected[1], rel=1e-3, abs=1e-6)
