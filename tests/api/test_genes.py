"""Genes behind a map from a notebook: what was planted is found."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

import falx
from falx.core.errors import FalxError

QUICK = {"n_maps": 200, "n_draws": 200}


@pytest.fixture(scope="module")
def phantom():
    return falx.phantom_genes(n_regions=60, n_genes=300, n_planted=30, n_sets=30)


@pytest.fixture(scope="module")
def found(phantom):
    return falx.pls(
        phantom.expression.values,
        phantom.table.values,
        phantom.table.centroids_mm,
        genes=phantom.expression.genes,
        **QUICK,
    )


@pytest.fixture(scope="module")
def sets(phantom, found):
    return falx.enrich(found.positive, phantom.library, found.genes)


def test_planted_genes_have_the_largest_weights(phantom, found) -> None:
    assert len(set(found.positive[:30]) & set(phantom.planted)) >= 27
    order = np.argsort(-found.study.genes.r)
    assert tuple(found.genes[k] for k in order[:5]) == found.positive[:5]
    assert found.study.component_p[0] < 0.02
    assert found.p.shape == found.q.shape == (300,)


def test_a_turned_map_turns_the_weights(phantom, found) -> None:
    values = phantom.expression.values, -phantom.table.values, phantom.table.centroids_mm
    turned = falx.pls(*values, genes=phantom.expression.genes, **QUICK)
    assert set(turned.negative) & set(phantom.planted) and not (
        set(turned.positive) & set(phantom.planted)
    )
    share = found.study.model.explained_variance[0]
    assert turned.study.model.explained_variance[0] == pytest.approx(share)


def test_the_planted_set_comes_first_with_its_numbers(phantom, sets) -> None:
    first = sets.table[0]
    assert first.name == "planted programme"
    assert first.size == 30 and first.overlap >= 28
    tail = scipy.stats.hypergeom.sf(first.overlap - 1, 300, 30, sets.found.list_size)
    assert first.p == pytest.approx(tail)
    assert [row.p for row in sets.table] == sorted(row.p for row in sets.table)


def test_sets_may_be_a_mapping_or_a_file(phantom, found, sets, tmp_path) -> None:
    from falx.genes.phantom import as_gmt

    path = tmp_path / "sets.gmt"
    path.write_text(as_gmt(phantom.library))
    for given_ in (path, str(path), dict(phantom.library.sets)):
        again = falx.enrich(found.positive, given_, found.genes)
        assert [row.p for row in again.table] == [row.p for row in sets.table]


@given(st.integers(1, 19), st.integers(5, 19), st.data())
def test_enrichment_is_the_hypergeometric_tail(n, size, data) -> None:
    universe = [f"G{k}" for k in range(20)]
    listed = data.draw(st.permutations(universe))[:n]
    row = falx.enrich(listed, {"one": universe[:size]}, universe).table[0]
    overlap = len(set(listed) & set(universe[:size]))
    assert (row.overlap, row.size) == (overlap, size)
    assert row.factor == pytest.approx(overlap * 20 / (size * n))
    assert row.p == pytest.approx(scipy.stats.hypergeom.sf(overlap - 1, 20, size, n))


def test_they_print_and_draw_themselves(found, sets) -> None:
    assert "60, 300" in repr(found) and "200 (moran)" in repr(found)
    assert "spatial P = " in found._repr_html_()
    assert repr(sets).startswith("Gene sets of phantom sets") and "planted programme" in repr(sets)
    bars = sets.plot().axes[0]
    labels = [text.get_text() for text in bars.get_yticklabels()]
    assert labels[-1] == "planted programme"
    assert found.plot().axes[0].get_ylabel() == "null maps"


def test_what_has_no_genes_is_refused(phantom) -> None:
    X, y = phantom.expression.values, phantom.table.values
    at = phantom.table.centroids_mm
    image = falx.Image(np.zeros((2, 2, 2)), np.eye(4))
    holes = np.where(np.arange(60) == 3, np.nan, y)
    for call, sentence in (
        (lambda: falx.pls(X, image, at), "map: numbers are needed, not an image"),
        (lambda: falx.pls(X[:-1], y, at), "not of the same regions"),
        (lambda: falx.pls(X, y, at[:, :2]), "not of the same regions"),
        (lambda: falx.pls(X, holes, at), "map: values are missing"),
        (lambda: falx.pls(X, y, at, genes=["a"]), "genes differ in number .*1 and 300"),
        (lambda: falx.pls(X, y, at, n_map=9), "did you mean 'n_maps'"),
        (lambda: falx.enrich("TP53", {"a": ["b"]}, ["c"]), "genes: a list of words"),
        (lambda: falx.enrich(["a"], ["b"], ["c"]), "gene sets are needed"),
        (lambda: falx.phantom_genes(regions=3), "the phantom does not know a choice"),
    ):
        with pytest.raises(FalxError, match=sentence):
            call()
