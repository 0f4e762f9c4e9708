import numpy as np

from falx.anatomy.samples import take_samples
from falx.anatomy.segmentation.bias import flat_bias, improve_bias
from falx.anatomy.segmentation.mixture import fit_mixture, initial_mixture
from falx.core.grid import Grid
from falx.images.nifti import Image


def test_recovers_a_smooth_field(rng):
    grid = Grid((40, 44, 38), np.diag([4.0, 4.0, 4.0, 1.0]))
    mm = grid.centres_mm()
    labels = (np.sin(mm[..., 0] / 9) + np.sin(mm[..., 1] / 11) > 0).astype(int)
    log_bias = 0.3 * np.sin(mm[..., 0] / 50) + 0.2 * np.cos(mm[..., 2] / 60)
    clean = np.array([60.0, 100.0])[labels] + 3 * rng.standard_normal(grid.shape)
    image = Image((clean * np.exp(log_bias)).astype(np.float32), grid.affine)
    samples = take_samples(image, 4.0)
    priors = np.where(labels.reshape(-1, 1) == [0, 1], 0.8, 0.2).astype(np.float32)
    field = flat_bias(grid, 60.0)
    mixture = initial_mixture(samples.values, priors)
    for _ in range(12):
        corrected = samples.values * np.exp(field.log_field((1, 1, 1), grid.shape).ravel())
        mixture = fit_mixture(mixture, corrected, priors, most=5)
        field = improve_bias(field, samples, priors, mixture, fwhm_mm=60.0, regularisation=1e-3)
    left = field.log_field((1, 1, 1), grid.shape) + log_bias
    # Only the spatial variation can be known: the overall scale is the mixture's.
    assert np.std(log_bias) > 0.15
    assert np.std(left) < 0.02


def test_order_follows_the_width():
    grid = Grid((188, 256, 190), np.diag([0.88, 0.88, 0.88, 1.0]))
    assert flat_bias(grid, 60.0).coefficients.shape == (6, 8, 6)


def test_coarse_and_fine_evaluation_agree(rng):
    grid = Grid((20, 22, 24), np.diag([2.0, 2.0, 2.0, 1.0]))
    field = flat_bias(grid, 30.0)
    field.coefficients[...] = 0.1 * rng.standard_normal(field.coefficients.shape)
    fine = field.log_field((1, 1, 1), grid.shape)
    coarse = field.log_field((3, 3, 3), (7, 8, 8))
    np.testing.assert_allclose(fine[::3, ::3, ::3], coarse, atol=1e-5)
