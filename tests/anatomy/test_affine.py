import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.anatomy.registration.affine import AffineModel, size_prior
from falx.core.errors import OptionError
from falx.core.grid import apply_affine

MODEL = AffineModel(np.array([3.0, -20.0, 10.0]), np.array([0.0, -18.0, 8.0]))


def test_slopes_are_the_derivative(rng):
    p = 0.3 * rng.standard_normal(12)
    numeric = np.empty((12, 3, 4))
    for n in range(12):
        step = np.zeros(12)
        step[n] = 1e-5
        numeric[n] = (MODEL.matrix(p + step) - MODEL.matrix(p - step))[:3] / 2e-5
    np.testing.assert_allclose(MODEL.slopes(p), numeric, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1.5, 1.5), min_size=12, max_size=12))
def test_no_parameter_mirrors_the_head(values):
    assert np.linalg.det(MODEL.matrix(np.array(values))[:3, :3]) > 0


def test_zero_parameters_bring_centre_to_centre():
    matrix = MODEL.matrix(np.zeros(12))
    np.testing.assert_allclose(apply_affine(matrix, MODEL.native_mm), MODEL.template_mm)
    np.testing.assert_allclose(matrix[:3, :3], np.eye(3))


def test_east_asian_prior_is_wider_and_none_is_none():
    assert size_prior("none") is None
    european, asian = size_prior("european"), size_prior("east_asian")
    assert european is not None
    assert asian is not None
    assert np.all(asian.sd[:3] > european.sd[:3])


def test_unknown_prior_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'european'"):
        size_prior("europan")
