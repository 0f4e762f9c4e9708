"""PLS against independent implementations and explicit loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from falx.core.errors import InputError, OptionError
from falx.genes.pls import (
    bootstrap_counts,
    bootstrap_weights,
    explained_variance,
    fit_pls,
    zscore_columns,
)


@pytest.fixture
def table(rng):
    factors = rng.standard_normal((60, 5))
    X = factors @ rng.standard_normal((5, 300)) + rng.standard_normal((60, 300))
    y = factors[:, 0] + 0.5 * rng.standard_normal(60)
    return X, y


def test_scikit_learn_gives_the_same_weights(table):
    X, y = table
    oracle = PLSRegression(n_components=1).fit(X, y)
    ours = fit_pls(X, y, convention="unit_weights").weights[:, 0]
    assert np.abs(ours) == pytest.approx(np.abs(oracle.x_weights_[:, 0]), rel=1e-10, abs=1e-14)


def test_components_explain_as_much_as_scikit_learn(table):
    X, y = table
    explained = fit_pls(X, y, n_components=4).explained_variance
    for k in range(1, 5):
        oracle = PLSRegression(n_components=k).fit(X, y).score(X, y)
        assert explained[:k].sum() == pytest.approx(oracle, rel=1e-10)


def test_kernel_form_equals_simpls(table):
    X, y = table
    explained = explained_variance(X, np.stack([y, -3 * y + 2]), n_components=4)
    assert explained[0] == pytest.approx(
        fit_pls(X, y, n_components=4).explained_variance, rel=1e-10
    )
    assert explained[1] == pytest.approx(explained[0], rel=1e-10)


def test_scores_follow_weights_and_correlate_positively(table):
    X, y = table
    for sign in (1, -1):
        model = fit_pls(X, sign * y, n_components=3)
        assert zscore_columns(X) @ model.weights == pytest.approx(model.scores, abs=1e-10)
        assert np.all(model.scores.T @ zscore_columns(sign * y) > 0)
        assert np.linalg.norm(model.scores, axis=0) == pytest.approx(1.0)


def loop_bootstrap(X, y, counts, convention):
    X, y = zscore_columns(X), zscore_columns(y)
    full = fit_pls(X, y, convention=convention).weights[:, 0]
    draws = []
    for n in counts.astype(int):
        rows = np.repeat(np.arange(len(y)), n)
        Xb, yb = X[rows] - X[rows].mean(axis=0), y[rows] - y[rows].mean()
        w = Xb.T @ yb
        w /= np.linalg.norm(Xb @ w) if convention == "unit_scores" else np.linalg.norm(w)
        draws.append(w * np.sign(np.corrcoef(w, full)[0, 1]))
    return full, np.std(draws, axis=0, ddof=1)


@pytest.mark.parametrize("convention", ["unit_scores", "unit_weights"])
def test_bootstrap_equals_the_explicit_loop(table, rng, convention):
    X, y = table
    counts = bootstrap_counts(len(y), 80, rng)
    full, error = loop_bootstrap(X, y, counts, convention)
    ours = bootstrap_weights(X, y, counts, convention=convention)
    assert ours.weight == pytest.approx(full, rel=1e-9)
    assert ours.standard_error == pytest.approx(error, rel=1e-9)
    assert ours.z == pytest.approx(full / error, rel=1e-9)


def test_unknown_convention_is_named(table):
    with pytest.raises(OptionError, match="did you mean 'unit_scores'"):
        fit_pls(*table, convention="unit_score")


def test_constant_gene_and_missing_value_are_refused(table):
    X, y = table
    X = X.copy()
    X[:, 3] = 0.1
    with pytest.raises(InputError, match="columns are constant"):
        fit_pls(X, y)
    X[2, 3] = np.nan
    with pytest.raises(InputError, match="values are missing"):
        fit_pls(X, y)
