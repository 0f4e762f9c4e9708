"""Per-gene probabilities against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from falx.core.errors import InputError
from falx.genes.association import correlate, gene_correlations


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_counts_equal_a_plain_loop(rng, method):
    X = np.round(rng.standard_normal((40, 6)), 1)  # rounding makes ties
    y = np.round(rng.standard_normal(40), 1)
    nulls = np.stack([rng.permutation(y) for _ in range(150)])
    result = gene_correlations(X, y, nulls, correlation=method)
    r = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[method]
    null_r = np.array([[r(X[:, g], m)[0] for m in nulls] for g in range(6)])
    observed = np.array([r(X[:, g], y)[0] for g in range(6)])
    counts = (np.abs(null_r) >= np.abs(observed)[:, None] - 1e-12).sum(axis=1)
    assert result.reached.tolist() == counts.tolist()
    assert result.r == pytest.approx(observed, abs=1e-12)
    assert result.p == pytest.approx((1 + counts) / 151)
    largest = np.abs(null_r).max(axis=0)
    worse = [(largest >= abs(o) - 1e-12).sum() for o in observed]
    assert result.p_max == pytest.approx((1 + np.array(worse)) / 151)
    assert correlate(X, nulls, correlation=method) == pytest.approx(null_r, abs=1e-12)


def test_blocks_do_not_change_counts(rng, monkeypatch):
    X, y = rng.standard_normal((30, 70)), rng.standard_normal(30)
    nulls = rng.standard_normal((210, 30))
    whole = gene_correlations(X, y, nulls)
    monkeypatch.setattr("falx.genes.association.GENE_BLOCK", 7)
    monkeypatch.setattr("falx.genes.association.MAP_BLOCK", 11)
    parts = gene_correlations(X, y, nulls)
    assert parts.reached.tolist() == whole.reached.tolist()
    assert parts.p_max.tolist() == whole.p_max.tolist()


def test_no_null_maps_is_an_error(rng):
    with pytest.raises(InputError, match="no null maps"):
        gene_correlations(rng.random((30, 2)), rng.random(30), np.empty((0, 30)))
