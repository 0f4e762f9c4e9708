"""What holds for every map, list, network and table of the genes room, whatever is drawn."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from falx.core.multiplicity import cauchy_combination, monte_carlo_p
from falx.core.tables import number, parse_matrix
from falx.genes.ahba.normalise import normalise, scaled_robust_sigmoid
from falx.genes.ahba.selection import rank_correlation
from falx.genes.association import correlate, gene_correlations
from falx.genes.blood.counts import Counts, merge_symbols
from falx.genes.blood.overlap import direction_agreement, overlap, spatial_overlap
from falx.genes.network.analysis import graphml, layout
from falx.genes.network.interactions import make_network
from falx.genes.network.mcode import find_modules, innermost_core, node_scores
from falx.genes.nulls.generate import distances
from falx.genes.nulls.moran import (
    inverse_distance_weights,
    moran_eigenvectors,
    moran_index,
    moran_maps,
)
from falx.genes.nulls.spin import random_rotations, spin_assignments
from falx.genes.nulls.surface import Hemisphere, sphere_points
from falx.genes.nulls.variogram import make_variogram, variogram_maps
from falx.genes.pls import bootstrap_counts, bootstrap_weights, explained_variance, fit_pls
from falx.genes.sets.ensemble import ensemble_enrichment
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText, read_gmt, restrict
from falx.genes.sets.ontology import read_obo
from falx.genes.sets.ora import hypergeometric_tail, over_representation
from falx.genes.sets.ranked import enrichment_scores
from falx.genes.sets.regulators import Regulation, regulator_sets, signed_regulators
from falx.genes.sets.specificity import tissue_specificity
from falx.genes.sets.themes import kappa_matrix
from falx.genes.symbols import match_symbols, repair_symbol

few = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
GENES = tuple(f"G{i:03d}" for i in range(60))


def generator(seed):
    return np.random.default_rng(seed)


def drawn_library(rng, n_sets=8):
    sets = {
        f"S{i}": tuple(rng.choice(GENES, rng.integers(5, 30), replace=False).tolist())
        for i in range(n_sets)
    }
    return GeneSetLibrary("drawn", sets, Origin("drawn"))


def drawn_network(rng, n=25, n_edges=60):
    ends = rng.integers(0, n, (n_edges, 2))
    pairs = {(f"n{min(a, b):02d}", f"n{max(a, b):02d}") for a, b in ends if a != b}
    return make_network(sorted(pairs), Origin("drawn"))


def graph_of(network):
    return nx.Graph(network.edges())


# Components


@few
@given(SEEDS, st.floats(0.01, 100), st.floats(-50, 50))
def test_a_component_does_not_see_scale_shift_or_order_of_the_map(seed, scale, shift):
    rng = generator(seed)
    X, y = rng.standard_normal((20, 12)), rng.standard_normal(20)
    first = fit_pls(X, y, n_components=3)
    order = rng.permutation(20)
    other = fit_pls(X[order] * 7.0 - 3.0, (y * scale + shift)[order], n_components=3)
    assert other.explained_variance == pytest.approx(first.explained_variance, abs=1e-9)
    assert other.weights == pytest.approx(first.weights, abs=1e-8)
    assert other.scores == pytest.approx(first.scores[order], abs=1e-8)


@few
@given(SEEDS)
def test_scores_are_orthogonal_and_the_kernel_form_agrees(seed):
    rng = generator(seed)
    X, y = rng.standard_normal((18, 30)), rng.standard_normal(18)
    model = fit_pls(X, y, n_components=4)
    assert model.scores.T @ model.scores == pytest.approx(np.eye(4), abs=1e-8)
    assert explained_variance(X, y, n_components=4)[0] == pytest.approx(
        model.explained_variance, abs=1e-8
    )
    assert model.explained_variance.sum() <= 1 + 1e-9
    assert np.corrcoef(model.scores[:, 0], y)[0, 1] > 0


@few
@given(SEEDS)
def test_a_turned_map_turns_every_weight(seed):
    rng = generator(seed)
    X, y = rng.standard_normal((20, 9)), rng.standard_normal(20)
    counts = bootstrap_counts(20, 60, generator(1))
    assert (counts.sum(axis=1) == 20).all()
    up, down = (bootstrap_weights(X, sign * y, counts) for sign in (1.0, -1.0))
    assert down.weight == pytest.approx(-up.weight)
    assert down.z == pytest.approx(-up.z)
    assert down.p == pytest.approx(up.p)
    twice = bootstrap_weights(np.hstack([X, X[:, :1]]), y, counts)
    assert twice.z[-1] == pytest.approx(twice.z[0])


# Correlation and probabilities


@few
@given(SEEDS)
def test_rank_correlation_does_not_see_what_keeps_the_order(seed):
    rng = generator(seed)
    X, y = rng.standard_normal((15, 6)), rng.standard_normal(15)
    r = correlate(X, y, correlation="spearman")[:, 0]
    assert correlate(np.exp(X), y**3, correlation="spearman")[:, 0] == pytest.approx(r)
    assert r == pytest.approx([stats.spearmanr(x, y)[0] for x in X.T])
    assert correlate(X, -2 * y + 1)[:, 0] == pytest.approx(-correlate(X, y)[:, 0])
    rows = rank_correlation(X.T, np.tile(y, (6, 1)))
    assert rows == pytest.approx(r)


@few
@given(SEEDS)
def test_gene_probabilities_are_counts_and_the_maximum_is_the_largest(seed):
    rng = generator(seed)
    X, y, nulls = rng.standard_normal((12, 7)), rng.standard_normal(12), rng.random((39, 12))
    found = gene_correlations(X, y, nulls)
    null = np.abs(correlate(X, nulls))
    assert found.reached.tolist() == (null >= np.abs(found.r)[:, None] - 1e-12).sum(1).tolist()
    assert found.p == pytest.approx((1 + found.reached) / 40)
    above = (null.max(axis=0) >= np.abs(found.r)[:, None] - 1e-12).sum(axis=1)
    assert found.p_max == pytest.approx((1 + above) / 40)
    assert (found.p_max >= found.p).all()


@few
@given(SEEDS, st.integers(1, 50))
def test_a_probability_is_never_zero_and_falls_with_the_value(seed, n):
    rng = generator(seed)
    null = rng.standard_normal(n)
    values = np.sort(rng.standard_normal(8))
    p = monte_carlo_p(values, np.tile(null, (8, 1)), two_sided=False)
    assert (np.diff(p) <= 0).all()
    assert p.min() >= 1 / (n + 1)
    assert monte_carlo_p(-3.0, null, two_sided=True) == monte_carlo_p(3.0, null, two_sided=True)


@few
@given(st.lists(st.floats(1e-12, 0.999), min_size=1, max_size=6), st.permutations(range(6)))
def test_combined_probability_lies_between_and_keeps_equal_ones(values, order):
    p = float(cauchy_combination(values))
    assert min(values) - 1e-12 <= p <= max(values) + 1e-12
    shuffled = [values[i] for i in order if i < len(values)]
    assert float(cauchy_combination(shuffled)) == pytest.approx(p, rel=1e-6)
    assert float(cauchy_combination([values[0]] * 3)) == pytest.approx(values[0], rel=1e-6)


# Null maps


@few
@given(SEEDS)
def test_moran_vectors_are_orthonormal_and_keep_mean_variance_and_index(seed):
    rng = generator(seed)
    d = distances(rng.uniform(-50, 50, (24, 3)))
    W = inverse_distance_weights(d)
    V = moran_eigenvectors(W)
    assert pytest.approx(np.eye(23), abs=1e-8) == V.T @ V
    assert np.abs(V.sum(axis=0)).max() < 1e-7
    y = rng.standard_normal(24) + 3
    maps = moran_maps(y, d, 10, rng)
    assert maps.mean(axis=1) == pytest.approx(y.mean())
    assert maps.var(axis=1) == pytest.approx(y.var())
    assert moran_index(maps, W) == pytest.approx(float(moran_index(y, W)), abs=1e-8)


@few
@given(SEEDS, st.floats(0.1, 10), st.floats(-20, 20))
def test_moran_index_and_variogram_under_scale_shift_and_motion(seed, scale, shift):
    rng = generator(seed)
    xyz, y = rng.uniform(-50, 50, (24, 3)), rng.standard_normal(24)
    moved = xyz @ random_rotations(1, rng)[0].T + [5.0, -3.0, 9.0]
    assert distances(moved) == pytest.approx(distances(xyz), abs=1e-9)
    W = inverse_distance_weights(distances(xyz))
    assert float(moran_index(y * scale + shift, W)) == pytest.approx(float(moran_index(y, W)))
    variogram = make_variogram(distances(xyz))
    assert variogram(y * scale + shift) == pytest.approx(scale**2 * variogram(y), rel=1e-6)


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_matched_maps_can_keep_every_value(seed):
    rng = generator(seed)
    d = distances(rng.uniform(-50, 50, (30, 3)))
    y = rng.standard_normal(30)
    maps = variogram_maps(y, d, 4, rng, keep_histogram=True)
    assert np.sort(maps, axis=1) == pytest.approx(np.tile(np.sort(y), (4, 1)))


@few
@given(SEEDS, st.sampled_from(["vasa", "hungarian"]))
def test_spins_move_each_side_onto_itself_once(seed, method):
    rng = generator(seed)
    points = rng.standard_normal((18, 3))
    sides = ("left",) * 10 + ("right",) * 8
    out = spin_assignments(points, sides, 6, rng, method=method)
    assert np.sort(out[:, :10], axis=1).tolist() == [list(range(10))] * 6
    assert np.sort(out[:, 10:], axis=1).tolist() == [list(range(10, 18))] * 6
    assert not (out == np.arange(18)).all(axis=1).any()


@few
@given(SEEDS)
def test_surface_points_are_where_the_vertices_are(seed):
    rng = generator(seed)
    centres = rng.standard_normal((5, 3))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vertices = 100 * np.repeat(centres, 4, axis=0)
    names = ("unknown", *(f"area{i}" for i in range(5)))
    left = Hemisphere("left", vertices, np.repeat(np.arange(1, 6), 4), names)
    regions = [*(f"L_Area{i}" for i in range(5)), "R_area0", "L_elsewhere"]
    sides = ["left"] * 5 + ["right", "left"]
    with pytest.warns(UserWarning, match="5 of 7 regions have a place"):
        points = sphere_points(regions, sides, [left])
    assert points[:5] == pytest.approx(centres)
    assert np.isnan(points[5:]).all()


# Gene sets


@few
@given(st.data())
def test_the_tail_is_scipys(data):
    N = data.draw(st.integers(2, 3000))
    M, n = (data.draw(st.integers(1, N)) for _ in range(2))
    k = data.draw(st.integers(max(0, M + n - N), min(M, n)))
    ours = hypergeometric_tail([k], [M], n, N)[0]
    assert ours == pytest.approx(stats.hypergeom.sf(k - 1, N, M, n), rel=1e-9, abs=1e-13)
    # The list and the set can change places.
    assert hypergeometric_tail([k], [n], M, N)[0] == pytest.approx(ours, rel=1e-9, abs=1e-13)


@few
@given(SEEDS, st.integers(3, 40))
def test_enrichment_does_not_see_the_order_of_list_or_universe(seed, n):
    rng = generator(seed)
    library = drawn_library(rng)
    chosen = rng.choice(GENES, n, replace=False).tolist()
    first = over_representation(chosen, restrict(library, GENES))
    second = over_representation(
        chosen[::-1], restrict(library, tuple(rng.permutation(GENES).tolist()))
    )
    assert second.p == pytest.approx(first.p)
    assert first.overlap.tolist() == [len(set(s) & set(chosen)) for s in library.sets.values()]
    assert first.factor == pytest.approx(first.overlap * 60 / (first.set_size * n))


@few
@given(SEEDS, st.integers(1, 10), st.integers(10, 30))
def test_every_set_is_kept_too_small_or_too_large(seed, smallest, largest):
    rng = generator(seed)
    library = drawn_library(rng)
    universe = tuple(rng.choice(GENES, 50, replace=False).tolist())
    sizes = {name: len(set(genes) & set(universe)) for name, genes in library.sets.items()}
    kept = {name for name, size in sizes.items() if smallest <= size <= largest}
    if not kept:
        return
    sets = restrict(library, universe, smallest=smallest, largest=largest)
    assert set(sets.names) == kept
    assert sets.too_small == sum(size < smallest for size in sizes.values())
    assert sets.too_large == sum(size > largest for size in sizes.values())
    assert sets.lost == len(library.genes - set(universe))
    for name in sets.names:
        assert set(sets.members(name)) == set(library.sets[name]) & set(universe)


@few
@given(SEEDS)
def test_a_library_is_written_and_read_as_it_is(seed):
    library = drawn_library(generator(seed))
    lines = [f"{name}\t\t" + "\t".join([*genes, genes[0], ""]) for name, genes in
             library.sets.items()]  # fmt: skip
    again = read_gmt(SourceText("drawn.gmt.gz", "\r\n".join(lines)))
    assert dict(again.sets) == dict(library.sets)
    assert again.genes == set().union(*library.sets.values())
    assert again.name == "drawn"


@few
@given(SEEDS, st.floats(0.1, 50))
def test_ranked_scores_are_bounded_and_see_order_and_share_alone(seed, scale):
    rng = generator(seed)
    sets = restrict(drawn_library(rng), GENES)
    value = rng.standard_normal(60)
    score = enrichment_scores(value, sets)
    assert (np.abs(score) <= 1 + 1e-12).all()
    assert enrichment_scores(value * scale, sets) == pytest.approx(score)
    top = GeneSetLibrary("top", {"T": tuple(GENES[i] for i in np.argsort(-value)[:6])}, Origin(""))
    assert enrichment_scores(value, restrict(top, GENES)) == pytest.approx(1.0)
    assert enrichment_scores(-value, restrict(top, GENES)) == pytest.approx(-1.0)


@few
@given(SEEDS)
def test_the_ensemble_score_of_a_set_is_the_mean_of_its_genes(seed):
    rng = generator(seed)
    X, y, nulls = rng.standard_normal((14, 60)), rng.standard_normal(14), rng.random((29, 14))
    sets = restrict(drawn_library(rng), GENES)
    result = ensemble_enrichment(X, y, nulls, sets)
    r, null = correlate(X, y)[:, 0], correlate(X, nulls)
    for i, name in enumerate(sets.names):
        rows = [GENES.index(g) for g in sets.members(name)]
        assert result.score[i] == pytest.approx(r[rows].mean())
        reached = (np.abs(null[rows].mean(axis=0)) >= abs(result.score[i]) - 1e-12).sum()
        assert result.p[i] == pytest.approx((1 + reached) / 30)


@few
@given(SEEDS)
def test_kappa_is_symmetric_and_one_with_itself(seed):
    sets = restrict(drawn_library(generator(seed)), GENES)
    kappa = kappa_matrix(sets, range(len(sets.names)))
    assert kappa == pytest.approx(kappa.T)
    assert np.diag(kappa) == pytest.approx(1.0)
    assert (kappa <= 1 + 1e-12).all()


@few
@given(SEEDS)
def test_what_is_above_a_term_is_above_all_below_it(seed):
    rng = generator(seed)
    parents = {i: rng.choice(i, min(i, 2), replace=False).tolist() for i in range(1, 15)}
    kinds = ("is_a: GO:{}", "relationship: part_of GO:{} ! p", "relationship: regulates GO:{}")
    stanzas = ["[Term]\nid: GO:0\nname: t0"]
    edges = {i: set() for i in range(15)}
    for i, above in parents.items():
        lines = [f"[Term]\nid: GO:{i}\nname: t{i}\nalt_id: OLD:{i}"]
        for parent in above:
            kind = rng.integers(3)
            lines.append(kinds[kind].format(parent))
            edges[i] |= {parent} if kind < 2 else set()
        stanzas.append("\n".join(lines))
    ontology = read_obo(SourceText("go.obo", "\n\n".join(stanzas)))
    for i in range(15):
        expected = {f"GO:{i}"}.union(*(ontology.ancestors(f"GO:{p}") for p in edges[i]))
        assert ontology.ancestors(f"GO:{i}") == expected
        for above in expected:
            assert ontology.ancestors(above) <= expected
    assert ontology.ancestors("OLD:3") == ontology.ancestors("GO:3")
    assert ontology.ancestors("GO:99") == frozenset()


@few
@given(SEEDS)
def test_a_regulator_turns_its_sign_with_the_lists(seed):
    rng = generator(seed)
    modes = rng.choice(["Activation", "Repression", "Unknown"], 40)
    regulations = [
        Regulation("AB"[i % 2], GENES[i], (str(mode),), ()) for i, mode in enumerate(modes)
    ]
    if min(sum(bool(r.sign) for r in regulations if r.factor == f) for f in "AB") < 5:
        return
    up, down = GENES[:12], GENES[12:30]
    first = signed_regulators(regulations, up, down, GENES)
    second = signed_regulators(regulations, down, up, GENES)
    assert first.consistent.tolist() == second.opposed.tolist()
    assert first.p == pytest.approx(second.p)
    activated = regulator_sets(regulations, Origin(""), sign=1).sets.get("A", ())
    repressed = regulator_sets(regulations, Origin(""), sign=-1).sets.get("A", ())
    fits = len(set(activated) & set(up)) + len(set(repressed) & set(down))
    assert first.consistent[first.factors.index("A")] == fits


@few
@given(SEEDS, st.floats(0.01, 100))
def test_specificity_does_not_see_the_scale_of_a_gene(seed, scale):
    x = generator(seed).random((6, 4)) + 0.01
    names = tuple("ABCDEF"), tuple("wxyz")
    first, second = (tissue_specificity(table, *names) for table in (x, x * scale))
    assert second.tau == pytest.approx(first.tau)
    assert (first.spm**2).sum(axis=1) == pytest.approx(1.0)
    assert ((first.tau >= 0) & (first.tau <= 1)).all()


@few
@given(st.lists(st.sampled_from([*GENES[:20], "sept7", "SEPT7", "7-Sep", "1-Mar", "NOPE"])))
def test_every_symbol_is_found_lost_or_ambiguous_and_twice_is_the_same(genes):
    universe = (*GENES[:10], "SEPTIN7", "Sept9")
    match = match_symbols(genes, universe)
    told = {*match.mapping, *match.lost, *match.ambiguous}
    assert told == set(genes)
    assert len(match.mapping) + len(match.lost) + len(match.ambiguous) == len(told)
    assert set(match.found) <= set(universe)
    assert match_symbols(match.found, universe).found == match.found
    assert all(match.mapping[g] == "SEPTIN7" for g in ("7-Sep", "SEPT7") if g in genes)


@few
@given(st.integers(1, 14), st.sampled_from(["{}-Sep", "Sep-{:02d}", "{:02d}-SEP", "{}-Sep-23"]))
def test_a_date_gives_its_gene_back(day, form):
    assert repair_symbol(form.format(day)) == f"SEPT{day}"


# Networks


@few
@given(SEEDS)
def test_cores_are_networkxs(seed):
    network = drawn_network(generator(seed))
    graph = graph_of(network)
    k, core = innermost_core(network.neighbours, set(network.neighbours))
    numbers = nx.core_number(graph)
    assert k == max(numbers.values())
    assert core == {node for node, number in numbers.items() if number == k}


@few
@given(SEEDS)
def test_modules_do_not_see_names_and_scores_follow_the_paper(seed):
    rng = generator(seed)
    network = drawn_network(rng)
    graph = graph_of(network)
    scores = node_scores(network.neighbours)
    for node, score in scores.items():
        around = graph.subgraph({node, *graph[node]})
        numbers = nx.core_number(around)
        core = around.subgraph([n for n in around if numbers[n] == max(numbers.values())])
        wanted = 0.0 if len(around) < 3 else max(numbers.values()) * nx.density(core)
        assert score == pytest.approx(wanted)
    names = sorted(network.neighbours)
    other = dict(zip(names, rng.permutation(names).tolist(), strict=True))
    renamed = {other[n]: frozenset(other[p] for p in ps) for n, ps in network.neighbours.items()}
    again = node_scores(renamed)
    assert {other[n]: s for n, s in scores.items()} == pytest.approx(again)


@few
@given(SEEDS)
def test_modules_are_dense_and_apart(seed):
    network = drawn_network(generator(seed), n=20, n_edges=70)
    graph = graph_of(network)
    modules = find_modules(network.neighbours)
    nodes = [node for module in modules for node in module.nodes]
    assert len(nodes) == len(set(nodes))
    for module in modules:
        part = graph.subgraph(module.nodes)
        assert min(dict(part.degree).values()) >= 2
        assert module.n_edges == part.number_of_edges()
        assert module.score == pytest.approx(nx.density(part) * len(part))
    assert [m.score for m in modules] == sorted((m.score for m in modules), reverse=True)


@few
@given(SEEDS)
def test_an_exported_network_comes_back(seed):
    network = drawn_network(generator(seed), n=10, n_edges=15)
    back = nx.parse_graphml(graphml(network, find_modules(network.neighbours)))
    assert {tuple(sorted(edge)) for edge in back.edges} == set(network.edges())
    assert sum(back.nodes[n]["module"] > 0 for n in back) == len(
        {n for m in find_modules(network.neighbours) for n in m.nodes}
    )
    places = np.array(list(layout(network).values()))
    assert np.abs(places).max() == pytest.approx(1.0)


# Blood


@few
@given(SEEDS)
def test_overlap_is_symmetric(seed):
    rng = generator(seed)
    a, b = (rng.choice(GENES, rng.integers(1, 40), replace=False).tolist() for _ in range(2))
    first, second = overlap(a, b, GENES), overlap(b, a, GENES)
    assert first.common == second.common == tuple(sorted(set(a) & set(b)))
    assert first.p == pytest.approx(second.p, abs=1e-12)
    assert first.odds_ratio == pytest.approx(second.odds_ratio)
    assert first.interval[0] < first.odds_ratio < first.interval[1]
    table = np.array([len(first.common), len(a) - len(first.common)])
    assert (first.n_first, first.n_second) == (table.sum(), len(b))
    assert first.expected == pytest.approx(len(a) * len(b) / 60)


@few
@given(SEEDS)
def test_directions_turn_with_the_lists(seed):
    rng = generator(seed)
    genes = rng.permutation(GENES).tolist()
    up, down = rng.permutation(genes[:40]).tolist()[:15], genes[40:55]
    first = direction_agreement(genes[:20], genes[20:45], up, down)
    turned = direction_agreement(genes[20:45], genes[:20], up, down)
    assert turned.cells == (*first.cells[2:], *first.cells[:2])
    weights = (genes[:20], genes[20:45])
    assert first.cells == tuple(len({*w} & {*c}) for w in weights for c in (up, down))
    if first.agree is not None:
        assert turned.agree == pytest.approx(1 - first.agree)
    assert (first.p is None) == (turned.p is None)


@few
@given(SEEDS)
def test_spatial_overlap_counts_lists_of_null_maps(seed):
    rng = generator(seed)
    value, nulls = rng.standard_normal(60), rng.standard_normal((60, 19))
    blood = rng.choice(GENES, 12, replace=False).tolist()
    found = spatial_overlap(value, nulls, GENES, blood, 15)
    inside = np.isin(GENES, blood)
    shared = [inside[np.argsort(-np.abs(v))[:15]].sum() for v in (value, *nulls.T)]
    assert found.overlap == shared[0]
    assert found.p_overlap == pytest.approx((1 + sum(k >= shared[0] for k in shared[1:])) / 20)
    turned = spatial_overlap(-value, nulls, GENES, blood, 15)
    assert (turned.p_mean, turned.overlap) == (found.p_mean, found.overlap)


@few
@given(SEEDS)
def test_merged_counts_keep_the_largest_row_of_each_gene(seed):
    rng = generator(seed)
    values = rng.integers(0, 50, (12, 3))
    names = tuple(f"ENSG{i % 5}.{i}" for i in range(12))
    with pytest.warns(UserWarning, match="7 rows repeat a gene"):
        merged = merge_symbols(Counts(values, names, tuple("abc")))
    assert sorted(merged.genes) == [f"ENSG{i}" for i in range(5)]
    for gene, row in zip(merged.genes, merged.values, strict=True):
        mine = [i for i in range(12) if names[i].startswith(f"{gene}.")]
        assert row.sum() == max(values[i].sum() for i in mine)


# Expression


@few
@given(SEEDS, st.floats(0.1, 20), st.floats(-5, 5))
def test_the_robust_sigmoid_does_not_see_scale_or_shift(seed, scale, shift):
    x = generator(seed).standard_normal((15, 3))
    z = scaled_robust_sigmoid(x)
    assert scaled_robust_sigmoid(x * scale + shift) == pytest.approx(z, abs=1e-9)
    assert (z.min(axis=0) == 0).all()
    assert (z.max(axis=0) == 1).all()
    assert (np.argsort(z, axis=0) == np.argsort(x, axis=0)).all()
    assert scaled_robust_sigmoid(-x) == pytest.approx(1 - z, abs=1e-9)


@few
@given(SEEDS, st.sampled_from(["center", "zscore", "minmax", "srs"]))
def test_a_second_normalisation_across_the_other_axis_is_the_transposed_one(seed, method):
    x = generator(seed).standard_normal((7, 9))
    rows = normalise(x, across="genes", method=method)
    columns = normalise(x.T, across="samples", method=method)
    assert columns == pytest.approx(rows.T)


@few
@given(SEEDS, st.sampled_from([",", "\t"]), st.booleans())
def test_a_matrix_is_read_as_it_was_written(seed, between, quoted):
    rng = generator(seed)
    values = np.where(rng.random((4, 3)) < 0.2, np.nan, rng.standard_normal((4, 3)))
    mark = '"' if quoted else ""
    cells = [["r", "a", "b", "c"]]
    cells += [[f"row {i}", *("" if np.isnan(v) else repr(float(v)) for v in row)]
              for i, row in enumerate(values)]  # fmt: skip
    text = "\r\n".join(between.join(f"{mark}{c}{mark}" for c in row) for row in cells)
    matrix = parse_matrix(text, where="t.csv")
    assert np.array_equal(matrix.values, values, equal_nan=True)
    assert (matrix.rows, matrix.columns) == (tuple(f"row {i}" for i in range(4)), tuple("abc"))
    assert np.isnan(number("", where="t")) and number("1e3", where="t") == 1000.0
