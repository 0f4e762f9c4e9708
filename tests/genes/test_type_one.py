"""Every spatial null keeps its error when nothing is there; shuffling regions does not."""

from __future__ import annotations

import numpy as np
import pytest

from falx.genes.nulls.generate import Positions, distances, null_maps
from falx.genes.pls import explained_variance

SETS, MAPS, GENES = 100, 199, 200
SPUN = {"cortex": "spin_hungarian", "subcortex": "moran"}


def rejections(method, rng):
    """Share of smooth maps at P < 0.05 that have nothing to do with the expression."""
    shell = rng.standard_normal((70, 3))
    shell /= np.linalg.norm(shell, axis=1, keepdims=True)
    points = np.vstack([shell * [30, 70, 50], 9 * rng.standard_normal((15, 3))]) - [35, 0, 0]
    sphere = np.vstack([shell, np.full((15, 3), np.nan)])
    place = Positions(points, ("cortex",) * 70 + ("subcortex",) * 15, ("left",) * 85, sphere)
    smooth = np.linalg.cholesky(np.exp(-distances(points) / 25) + 1e-9 * np.eye(85))
    rejected = 0
    for _ in range(SETS):
        factors = smooth @ rng.standard_normal((85, 8))
        X = factors @ rng.standard_normal((8, GENES)) / np.sqrt(8)
        X += 0.7 * rng.standard_normal(X.shape)
        y = smooth @ rng.standard_normal(85)
        maps = null_maps(y, place, MAPS, rng, method=method).maps
        reached = explained_variance(X, maps)[:, 0] >= explained_variance(X, y)[0, 0]
        rejected += (1 + reached.sum()) / (1 + MAPS) < 0.05
    return rejected / SETS


@pytest.mark.slow
@pytest.mark.parametrize("method", ["moran", "variogram", "gaussian", SPUN])
def test_spatial_nulls_keep_their_error(method):
    # Of 100 maps, 5 % gives more than 12 once in a thousand times.
    assert rejections(method, np.random.default_rng(1)) <= 0.12


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*random permutation:falx.core.errors.FalxNotice")
def test_shuffled_regions_do_not():
    assert rejections("random", np.random.default_rng(1)) > 0.2
