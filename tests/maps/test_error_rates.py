"""Familywise error of cluster tests on three kinds of null fields (minutes long).

The fields are those of the project's note on random fields: a stationary Gaussian one, one
with long tails of its autocorrelation, and one whose smoothness differs over the volume.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import ndimage

from falx.core.errors import FalxNotice
from falx.images.smooth import FWHM_PER_SIGMA
from falx.maps.design import two_sample_design
from falx.maps.group_maps import compare
from falx.maps.settings import InferenceOptions

SHAPE = (30, 30, 30)
DATASETS = 250
MARGIN = 8


def smoothed(rng, n, fwhm):
    padded = tuple(s + 2 * MARGIN for s in SHAPE)
    inner = tuple(slice(MARGIN, -MARGIN) for _ in SHAPE)
    noise = rng.standard_normal((n, *padded), dtype=np.float32)
    sigma = (0.0, *[fwhm / FWHM_PER_SIGMA] * 3)
    fields = ndimage.gaussian_filter(noise, sigma)[(slice(None), *inner)]
    return fields / fields.std()


def stationary(rng, n):
    return smoothed(rng, n, 2.7)


def long_tailed(rng, n):
    return 0.6 * smoothed(rng, n, 2.3) + 0.4 * smoothed(rng, n, 8.0)


def uneven(rng, n):
    rough, smooth = smoothed(rng, n, 2.2), smoothed(rng, n, 5.0)
    smooth[:, : round(0.7 * SHAPE[0])] = rough[:, : round(0.7 * SHAPE[0])]
    return smooth


def error_rates(field, voxel_p, seed):
    """Share of null data sets with a significant cluster, by permutation and by FSL's GRF."""
    rng = np.random.default_rng(seed)
    design = two_sample_design(["a"] * 20 + ["b"] * 20, "a", "b")
    mask = np.ones(SHAPE, bool)
    options = InferenceOptions(voxel_p=voxel_p, n_permutations=100, enhance=False)
    hits = {"extent": 0, "mass": 0, "fsl": 0}
    for _ in range(DATASETS):
        data = field(rng, 40).reshape(40, -1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FalxNotice)
            found = compare(data, mask, design, np.array([1.0, 0.0]), rng, options=options)
        for by in hits:
            # p <= 0.05 is exact with 100 permutations; random fields use p < 0.05.
            hits[by] += any(getattr(c, f"p_{by}") <= options.cluster_p for c in found.clusters)
    return {by: count / DATASETS for by, count in hits.items()}


@pytest.mark.slow
@pytest.mark.parametrize("voxel_p", [0.005, 0.001])
@pytest.mark.parametrize("field", [stationary, long_tailed, uneven])
def test_permutation_keeps_its_error(field, voxel_p, record_property):
    rates = error_rates(field, voxel_p, seed=7)
    for by, rate in rates.items():
        record_property(by, rate)
    # 5 % with a 95 % binomial interval of 2.7 % at 250 data sets.
    assert rates["extent"] == pytest.approx(0.05, abs=0.028)
    assert rates["mass"] == pytest.approx(0.05, abs=0.028)
