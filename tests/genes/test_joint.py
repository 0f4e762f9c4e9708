"""Gene sets over contrasts: the same as one contrast alone, and what joint draws keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy

from falx.core.errors import InputError
from falx.genes.network.analysis import modules_of_lists
from falx.genes.network.interactions import make_network
from falx.genes.network.mcode import find_modules
from falx.genes.sets.ensemble import ensemble_enrichment
from falx.genes.sets.joint import joint_enrichment
from falx.genes.sets.library import GeneSetLibrary, Origin, restrict

N, GENES, B = 30, tuple(f"G{i}" for i in range(80)), 400
SETS = GeneSetLibrary(
    "toy", {f"set {k}": GENES[8 * k : 8 * k + 8] for k in range(10)}, Origin("toy")
)


@pytest.fixture
def made():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((N, len(GENES)))
    y = rng.standard_normal(N)
    X[:, :8] += y[:, None]
    return X, y, rng.standard_normal((B, N)), restrict(SETS, GENES)


def test_a_map_twice_is_the_map_alone(made):
    X, y, nulls, sets = made
    both, alone = (
        joint_enrichment(X, [y, y], [nulls, nulls], sets),
        ensemble_enrichment(X, y, nulls, sets),
    )
    assert both.z[:, 0] == pytest.approx(alone.z)
    assert both.together == pytest.approx(np.sqrt(2) * alone.z)
    # Scores are centred on their null here, which |score| of the ensemble null is not.
    assert both.p == pytest.approx(both.p_single[:, 0])
    assert both.p_single == pytest.approx(np.stack([alone.p] * 2, axis=1), abs=0.08)
    assert both.p_both == pytest.approx(both.p)
    assert both.p[0] == 1 / (B + 1)
    assert (both.p_max >= both.p).all()


def test_the_opposite_map_cancels_and_is_in_no_common_term(made):
    X, y, nulls, sets = made
    found = joint_enrichment(X, [y, -y], [nulls, -nulls], sets)
    assert found.together == pytest.approx(0, abs=1e-9)
    assert (found.p_both == 1).all()


def test_independent_draws_give_stouffer(made):
    X, y, nulls, sets = made
    rng = np.random.default_rng(4)
    other, others = rng.standard_normal(N), rng.standard_normal((B, N))
    found = joint_enrichment(X, [y, other], [nulls, others], sets)
    normal = 2 * scipy.stats.norm.sf(np.abs(found.z.sum(axis=1)) / np.sqrt(2))
    assert found.p == pytest.approx(normal, abs=0.09)
    assert found.p_both[found.p_both < 1] == pytest.approx(
        found.p_single.max(axis=1)[found.p_both < 1]
    )


def test_contrasts_need_as_many_draws_each(made):
    X, y, nulls, sets = made
    for maps, drawn in (([y], [nulls]), ([y, y], [nulls, nulls[:-1]])):
        with pytest.raises(InputError, match="contrasts need two maps or more"):
            joint_enrichment(X, maps, drawn, sets)


def test_a_module_counts_lists_that_reach_it():
    pairs = [(a, b) for a in "ABCD" for b in "ABCD" if a < b] + [("X", "Y"), ("Y", "Z")]
    network = make_network(pairs, Origin("toy"))
    modules = find_modules(network.induced("ABCD").neighbours)
    found = modules_of_lists(network, "ABCD", modules, [list("ABCD"), list("XYZ"), list("ABX")])
    assert found.p == (0.5,)  # itself, and one of three lists
    assert found.p_count == 0.5


def test_equal_scores_go_to_the_larger_module_and_then_to_the_list_with_more_interactions():
    pairs = [("A", "B"), ("B", "C"), ("A", "C"), ("A", "D"), ("X", "Y"), ("Y", "Z"), ("X", "Z")]
    network = make_network(pairs, Origin("toy"))
    (plain,) = find_modules(network.induced("XYZ").neighbours)
    (tailed,) = find_modules(network.induced("ABCD").neighbours)
    assert plain.score == tailed.score == 3.0
    lists = [list("ABCD"), list("ABC"), list("AB")]
    assert modules_of_lists(network, "XYZ", [plain], lists).p == (0.75,)
    assert modules_of_lists(network, "ABCD", [tailed], lists).p == (0.5,)
    larger = replace(plain, nodes=tuple("WXYZ"))
    assert modules_of_lists(network, "XYZ", [larger], lists).p == (0.25,)
