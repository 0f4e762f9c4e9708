"""What holds for every regional table, theme and rule that takes genes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falx.core.errors import FalxNotice, InputError, OptionError
from falx.core.tables import table_text
from falx.genes.association_study import Settings, gene_lists, study_map
from falx.genes.blood.differential import DifferentialExpression, Fit, select_genes
from falx.genes.network.analysis import annotate_modules, edge_enrichment
from falx.genes.network.interactions import make_network, read_edge_list, read_string
from falx.genes.network.mcode import find_modules
from falx.genes.nulls.generate import Positions, null_maps, null_plan
from falx.genes.phantom import false_positive_share, make_gene_phantom
from falx.genes.sets.library import (
    GeneSetLibrary,
    Origin,
    SourceText,
    read_aliases,
    restrict,
)
from falx.genes.sets.ora import over_representation
from falx.genes.sets.themes import compare_lists, find_themes, kappa_matrix, theme_network
from falx.genes.tables import Expression, RegionTable, block_of, join, read_region_table

few = settings(max_examples=15, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)
GENES = tuple(f"G{i:03d}" for i in range(80))
BLOCKS = ("cortex", "subcortex", "cerebellum")


def drawn_table(rng, n=16):
    values = np.where(rng.random(n) < 0.2, np.nan, rng.standard_normal(n).round(4))
    values[:2] = 1.0, 2.0
    sides = tuple(rng.choice(["left", "right"], n).tolist())
    blocks = tuple(rng.choice(BLOCKS, n).tolist())
    xyz = rng.uniform(-60, 60, (n, 3)).round(2)
    return RegionTable("drawn", tuple(f"r{i}" for i in range(n)), values, xyz, blocks, sides)


@few
@given(SEEDS, st.sampled_from([None, "left", "right"]), st.sampled_from([None, ("cortex",)]))
def test_a_region_takes_part_or_has_a_reason(seed, side, blocks):
    rng = np.random.default_rng(seed)
    table = drawn_table(rng)
    X = rng.standard_normal((16, 4))
    X[rng.random(16) < 0.2] = np.nan
    order = rng.permutation(16)
    names = tuple(table.regions[i] for i in order)
    expression = Expression("e", names[:-2], GENES[:4], X[order][:-2])
    wanted = {
        name
        for i, name in enumerate(table.regions)
        if name in names[:-2] and np.isfinite(table.values[i]) and np.isfinite(X[i]).all()
        and side in (None, table.sides[i]) and (blocks is None or table.blocks[i] in blocks)
    }  # fmt: skip
    if len(wanted) < 2:
        return
    data = join(table, expression, side=side, blocks=blocks)
    assert set(data.regions) == wanted
    assert set(data.left_out) == set(table.regions) - wanted
    rows = [table.regions.index(name) for name in data.regions]
    assert data.values == pytest.approx(table.values[rows])
    assert data.expression == pytest.approx(X[rows])
    assert data.positions.centroids_mm == pytest.approx(table.centroids_mm[rows])
    assert data.positions.blocks == tuple(table.blocks[i] for i in rows)


@few
@given(SEEDS, st.permutations(range(7)), st.sampled_from(["\t", ",", ";"]), st.booleans())
def test_a_regional_table_is_read_whatever_its_columns_order(seed, order, between, loud):
    table = drawn_table(np.random.default_rng(seed))
    header = ["region", "value", "x_mm", "y_mm", "z_mm", "block", "side"]
    rows = [
        (table.regions[i], table.values[i], *table.centroids_mm[i], table.blocks[i],
         table.sides[i])
        for i in range(16)
    ]  # fmt: skip
    shown = [name.upper() if loud else name for name in header]
    text = table_text(
        [shown[i] for i in order], [[row[i] for i in order] for row in rows], delimiter=between
    )
    again = read_region_table(SourceText("t", text))
    assert again.regions == table.regions
    np.testing.assert_allclose(again.values, table.values)
    assert again.centroids_mm == pytest.approx(table.centroids_mm)
    assert (again.blocks, again.sides) == (table.blocks, table.sides)


def test_columns_of_a_table_that_have_other_names():
    text = "Name,T,D,hemisphere,Structure\na,1,5,Left,Subcortex/brainstem\nb,2,6,rh,cerebellum\n"
    table = read_region_table(SourceText("t.csv", text))
    assert table.values.tolist() == [1.0, 2.0]
    assert read_region_table(SourceText("t.csv", text), column="d").values.tolist() == [5.0, 6.0]
    assert table.sides == ("left", "right")
    assert table.blocks == ("subcortex", "cerebellum")
    assert np.isnan(table.centroids_mm).all()
    with pytest.raises(InputError, match=r"found: Name, T, D.*give --column"):
        read_region_table(SourceText("t.csv", text), column="z")
    with pytest.raises(InputError, match=r"line 2: the value is not a number.*'much'"):
        read_region_table(SourceText("t.csv", "region,value\na,much\n"))
    assert [block_of(x) for x in ("Cortex, left", "white matter", None)] == [
        "cortex", "subcortex", "all",
    ]  # fmt: skip


# Themes and lists


def drawn_sets(rng):
    sets = {}
    for k in range(6):
        start = int(rng.integers(0, 50))
        sets[f"A{k}"] = GENES[start : start + 15]
        sets[f"B{k}"] = GENES[start + 1 : start + 16]
    return restrict(GeneSetLibrary("drawn", sets, Origin("")), GENES)


@few
@given(SEEDS)
def test_every_term_that_passes_is_in_one_theme(seed):
    rng = np.random.default_rng(seed)
    sets = drawn_sets(rng)
    chosen = {*sets.members(sets.names[0]), *rng.choice(GENES, 5, replace=False)}
    result = over_representation(sorted(chosen), sets)
    themes = find_themes(result, sets, p_below=0.05)
    passed = {
        name
        for i, name in enumerate(result.names)
        if result.p[i] < 0.05 and result.overlap[i] >= 3 and result.factor[i] > 1.5
    }
    named = [term for theme in themes.themes for term in theme.terms]
    assert sorted(named) == sorted(passed)
    p = dict(zip(result.names, result.p, strict=True))
    for theme in themes.themes:
        assert theme.p == p[theme.representative] == min(p[term] for term in theme.terms)
    assert [t.p for t in themes.themes] == sorted(t.p for t in themes.themes)
    finer = find_themes(result, sets, p_below=0.05, kappa_above=0.95)
    assert len(finer.themes) >= len(themes.themes)
    network = theme_network(themes)
    kappa = kappa_matrix(sets, [sets.names.index(term) for term in themes.terms])
    place = {term: i for i, term in enumerate(themes.terms)}
    assert all(kappa[place[a], place[b]] == pytest.approx(v) for a, b, v in network.edges)
    assert all(v > 0.3 for _, _, v in network.edges)


@few
@given(SEEDS)
def test_lists_are_compared_without_regard_to_their_order(seed):
    rng = np.random.default_rng(seed)
    sets = drawn_sets(rng)
    a, b = (rng.choice(GENES, 20, replace=False).tolist() for _ in range(2))
    first = compare_lists({"a": a, "b": b}, sets)
    second = compare_lists({"b": b, "a": a}, sets)
    assert first.p_combined == pytest.approx(second.p_combined)
    assert first.p_best == pytest.approx(np.minimum(first.results["a"].p, first.results["b"].p))
    shared = len({*a} & {*b}) / len({*a} | {*b})
    assert first.gene_overlap == pytest.approx(np.array([[1, shared], [shared, 1]]))
    assert first.results["union"].list_size == len({*a} | {*b})


# Rules that take genes


def drawn_result(rng, n=60):
    p = rng.random(n) ** 3
    p[rng.random(n) < 0.1] = np.nan
    fold = rng.normal(0, 1.5, n)
    nothing = np.ones(n)
    fit = Fit(nothing, fold, nothing, nothing, p, np.minimum(2 * p, 1), np.ones(4), nothing)
    return DifferentialExpression(GENES[:n], tuple("abcd"), ("x", "y"), fit, np.ones((n, 4)), ())


@few
@given(SEEDS, st.floats(0.001, 0.3), st.floats(0.1, 2))
def test_rules_take_what_they_say(seed, alpha, fold):
    result = drawn_result(np.random.default_rng(seed))
    fit = result.fit
    each = zip(fit.log2_fold_change, fit.p, fit.p_adjusted, strict=True)
    known = dict(zip(result.genes, each, strict=True))
    published = select_genes(result, rule="as_published", alpha=alpha)
    assert {*published.genes} == {g for g, (f, p, _) in known.items() if abs(f) >= 1 and p < alpha}
    strict = select_genes(result, alpha=alpha, least_fold=fold)
    assert {*strict.genes} == {g for g, (f, _, q) in known.items() if abs(f) >= fold and q < alpha}
    loose = select_genes(result, alpha=alpha)
    assert {*strict.genes} <= {*loose.genes}
    assert all(known[g][0] > 0 for g in loose.up)
    assert all(known[g][0] < 0 for g in loose.down)
    with pytest.raises(OptionError, match="did you mean 'corrected'"):
        select_genes(result, rule="correct")


@few
@given(SEEDS, st.integers(1, 400))
def test_gene_lists_are_the_ends_of_the_ranking(seed, n_list):
    rng = np.random.default_rng(seed)
    n = 24
    places = rng.uniform(-60, 60, (n, 3))
    table = RegionTable("t", tuple(f"r{i}" for i in range(n)), rng.standard_normal(n), places,
                        ("cortex",) * n, ("left",) * n)  # fmt: skip
    data = join(table, Expression("e", table.regions, GENES[:30], rng.standard_normal((n, 30))))
    few_maps = Settings(
        n_maps=19, n_draws=30, list_rule="length", n_list=n_list, beside=(), seed=1
    )
    study = study_map(data, few_maps)
    lists = gene_lists(study)
    z = dict(zip(data.genes, study.weights.z, strict=True))
    assert len(lists.positive) <= min(n_list, 10)
    assert all(z[g] > 0 for g in lists.positive)
    assert all(z[g] < 0 for g in lists.negative)
    if lists.positive:
        others = [v for g, v in z.items() if g not in lists.positive]
        assert min(z[g] for g in lists.positive) >= max(others) or len(lists.positive) == sum(
            v > 0 for v in z.values()
        )
    assert study_map(data, few_maps).component_p == study.component_p


@few
@given(SEEDS, st.floats(0.01, 0.4))
def test_lists_by_rate_are_the_genes_below_it(seed, q):
    rng = np.random.default_rng(seed)
    phantom = make_gene_phantom(seed, n_regions=40, n_genes=120, n_planted=20, n_sets=2)
    expression = phantom.expression
    # Half of the planted genes go down with the map.
    down = np.isin(expression.genes, phantom.planted[::2])
    values = np.where(down, -expression.values, expression.values)
    data = join(phantom.table, Expression("e", expression.regions, expression.genes, values))
    opt = Settings(n_maps=199, n_draws=20, list_q=q, beside=(), seed=int(rng.integers(99)))
    study = study_map(data, opt)
    lists, r = gene_lists(study), study.genes.r
    passing = {g for g, v in zip(data.genes, study.genes.q, strict=True) if v < q}
    of = dict(zip(data.genes, r, strict=True))
    assert set(lists.positive) == {g for g in passing if of[g] > 0}
    assert set(lists.negative) == {g for g in passing if of[g] < 0}
    for genes in (lists.positive, lists.negative):
        sizes = [abs(of[g]) for g in genes]
        assert sizes == sorted(sizes, reverse=True)
    assert lists.both == lists.positive + lists.negative


# Nulls


@few
@given(SEEDS, st.sampled_from(["moran", "variogram", "random"]))
def test_a_seed_gives_the_same_maps_and_a_shift_moves_them(seed, method):
    rng = np.random.default_rng(seed)
    place = Positions(rng.uniform(-60, 60, (22, 3)), ("cortex",) * 22)
    y = rng.standard_normal(22)

    def maps(values):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FalxNotice)
            return null_maps(values, place, 12, np.random.default_rng(3), method=method).maps

    assert np.array_equal(maps(y), maps(y))
    here, there = maps(y), maps(y + 10)
    centred = [m - m.mean(axis=1, keepdims=True) for m in (here, there)]
    assert centred[1] == pytest.approx(centred[0], abs=1e-5)
    if method != "variogram":  # whose maps have a mean of their own
        assert there.mean(axis=1) == pytest.approx(10 + here.mean(axis=1))
    if method == "random":
        assert np.sort(maps(y), axis=1) == pytest.approx(np.tile(np.sort(y), (12, 1)))


@given(st.lists(st.sampled_from(["moran", "spin", "spin_vasa"]), min_size=1, max_size=3))
def test_plans_by_block_are_read_whatever_the_spaces(methods):
    text = " , ".join(f"{b} = {m}" for b, m in zip(BLOCKS, methods, strict=False))
    plan = null_plan(text)
    assert list(plan) == list(BLOCKS[: len(methods)])
    assert [m.replace("spin_nearest", "spin") for m in plan.values()] == methods


# Networks and their sources


@few
@given(SEEDS)
def test_chance_lists_have_the_lists_degrees(seed):
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 40, (120, 2))
    pairs = sorted({(f"n{min(a, b)}", f"n{max(a, b)}") for a, b in ends if a != b})
    network = make_network(pairs, Origin("drawn"))
    names = sorted(network.neighbours)
    chosen = rng.choice(names, 10, replace=False).tolist()
    found = edge_enrichment(network, chosen, rng, n_lists=30)
    assert found.observed == network.induced(chosen).n_edges
    assert 1 / 31 <= found.p <= 1
    everyone = edge_enrichment(network, names, rng, n_lists=5)
    assert (everyone.observed, everyone.expected, everyone.p) == (network.n_edges,) * 2 + (1.0,)
    text = "\n".join(f"{a},{b}" for a, b in pairs)
    assert read_edge_list(SourceText("e.csv", text)).edges() == network.edges()


@few
@given(SEEDS, st.integers(0, 999))
def test_string_edges_exceed_the_score(seed, score):
    rng = np.random.default_rng(seed)
    rows = [(f"9606.P{i}", f"9606.P{i + 1}", int(rng.integers(0, 1000))) for i in range(12)]
    lines = ["protein1 protein2 combined_score"]
    lines += [f"{a} {b} {s}" for a, b, s in rows] + [f"{b} {a} {s}" for a, b, s in rows]
    kept = {(f"P{i}", f"P{i + 1}") for i, (_, _, s) in enumerate(rows) if s > score}
    source = SourceText("links.txt", "\n".join(lines))
    if not kept:
        with pytest.raises(InputError, match="the network has no edge"):
            read_string(source, score_above=score)
        return
    network = read_string(source, score_above=score)
    assert {tuple(sorted(edge)) for edge in network.edges()} == {tuple(sorted(e)) for e in kept}
    assert network.origin.licence == "CC BY 4.0"


def test_modules_without_sets_have_no_terms():
    network = make_network([("a", "b"), ("b", "c"), ("a", "c")], Origin(""))
    [annotated] = annotate_modules(find_modules(network.neighbours), None)
    assert annotated.terms == ()


@few
@given(st.dictionaries(st.sampled_from(GENES[:20]), st.sampled_from(GENES[20:]), min_size=1))
def test_aliases_are_read_with_tabs_and_commas(pairs):
    for between in "\t,":
        lines = [f"alias{between}symbol", *(f"{a}{between}{b}" for a, b in pairs.items())]
        assert read_aliases(SourceText("a", "\n".join(lines))) == pairs


def test_the_phantom_plants_what_it_says():
    first = make_gene_phantom(3)
    assert set(first.planted) <= set(first.expression.genes)
    columns = [first.expression.genes.index(g) for g in first.planted]
    r = [np.corrcoef(first.expression.values[:, c], first.table.values)[0, 1] for c in columns]
    assert np.mean(r) > 0.3
    found = np.isin(first.expression.genes, first.planted)
    assert false_positive_share(found, first.expression.genes, first.planted) == 0.0
    assert false_positive_share(~found, first.expression.genes, first.planted) == 1.0
