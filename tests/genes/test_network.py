"""Networks: readers, MCODE on graphs with known answers, density against chance."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from falx.core.errors import FalxNotice, InputError
from falx.genes.files import source_text
from falx.genes.network.analysis import (
    annotate_modules,
    edge_enrichment,
    graphml,
    layout,
    module_chance,
    sif,
)
from falx.genes.network.interactions import (
    make_network,
    read_biogrid,
    read_edge_list,
    read_indexed,
    read_network,
    read_string,
)
from falx.genes.network.mcode import find_modules, node_scores
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText, restrict

ORIGIN = Origin("made")


def complete(names):
    return list(combinations(names, 2))


def graph(pairs):
    return make_network(pairs, ORIGIN).neighbours


def path(*names):
    return list(pairwise(names))


# Zachary 1977: members and the higher-numbered members they met.
KARATE = {
    0: [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31],
    1: [2, 3, 7, 13, 17, 19, 21, 30],
    2: [3, 7, 8, 9, 13, 27, 28, 32],
    3: [7, 12, 13],
    4: [6, 10],
    5: [6, 10, 16],
    6: [16],
    8: [30, 32, 33],
    9: [33],
    13: [33],
    14: [32, 33],
    15: [32, 33],
    18: [32, 33],
    19: [33],
    20: [32, 33],
    22: [32, 33],
    23: [25, 27, 29, 32, 33],
    24: [25, 27, 31],
    25: [31],
    26: [29, 33],
    27: [33],
    28: [31, 33],
    29: [32, 33],
    30: [32, 33],
    31: [32, 33],
    32: [33],
}
K5 = complete("ABCDE")


# Scores from the rules of the paper; notes/genes.md section 7. K16 is the authors' own test.
@pytest.mark.parametrize(
    ("pairs", "modules"),
    [
        (complete([f"n{i:02d}" for i in range(16)]), [(16.0, 16)]),
        ([*K5, *complete("WXYZ"), ("A", "W")], [(5.0, 5), (4.0, 4)]),
        ([*complete("ABCD"), *complete("WXYZ"), ("A", "W")], [(13 / 28 * 8, 8)]),
        ([("hub", leaf) for leaf in "abcde"], []),
        (path(*"abcd"), []),
        ([*path(*"abcde"), ("e", "a")], [(2.5, 5)]),
        ([*complete("abc"), ("c", "d")], [(3.0, 3)]),
        ([("h", r) for r in "abcde"] + [*path(*"abcde"), ("e", "a")], [(4.0, 6)]),
        ([p for p in K5 if p != ("A", "B")], [(4.5, 5)]),
    ],
    ids=["K16", "K5-K4", "K4-K4", "star", "path", "cycle", "triangle", "wheel", "K5-1"],
)
def test_modules_of_known_graphs(pairs, modules):
    found = find_modules(graph(pairs))
    assert [(m.score, len(m.nodes)) for m in found] == [
        (pytest.approx(score, abs=1e-12), size) for score, size in modules
    ]


def test_node_scores_of_known_graphs():
    star = node_scores(graph([("hub", leaf) for leaf in "abcde"]))
    assert star["hub"] == pytest.approx(1 / 3)
    assert star["a"] == 0
    assert list(node_scores(graph(path(*"abcd"))).values()) == pytest.approx([0, 2 / 3, 2 / 3, 0])
    wheel = node_scores(graph([("h", r) for r in "abcde"] + [*path(*"abcde"), ("e", "a")]))
    assert wheel["h"] == pytest.approx(2)
    assert wheel["a"] == pytest.approx(5 / 3)
    minus = node_scores(graph([p for p in K5 if p != ("A", "B")]))
    assert minus["C"] == pytest.approx(2.7)
    assert minus["A"] == pytest.approx(3)


def test_fluff_adds_the_tail():
    [module] = find_modules(graph([*complete("abc"), ("c", "d")]), fluff=True)
    assert module.nodes == ("a", "b", "c", "d")
    assert module.score == pytest.approx(8 / 3)


def test_karate_club():
    found = find_modules(graph([(str(a), str(b)) for a, others in KARATE.items() for b in others]))
    assert [(round(m.score, 4), {int(n) for n in m.nodes}) for m in found] == [
        (5.6, {0, 1, 2, 3, 7, 13}),
        (3.6667, {14, 15, 18, 20, 22, 32, 33}),
        (2.6667, {4, 5, 6, 10}),
    ]


@pytest.fixture(scope="module")
def clustered():
    """Hubs that many nodes share, and a clique of twelve that are no hubs."""
    rng = np.random.default_rng(4)
    names = [f"g{i:03d}" for i in range(400)]
    pairs = {(names[int(a)], names[int(b)]) for a, b in rng.zipf(1.5, (6000, 2)) % 400 if a < b}
    return make_network(sorted(pairs | set(combinations(names[300:312], 2))), ORIGIN)


def test_edges_are_compared_with_lists_of_like_degree(clustered, rng):
    names = sorted(clustered.neighbours)
    clique = [f"g{i}" for i in range(300, 312)]
    found = edge_enrichment(clustered, clique, rng, n_lists=200)
    assert found.p == pytest.approx(1 / 201)
    assert found.observed >= 66
    p = [
        edge_enrichment(clustered, rng.choice(names, 60, replace=False), rng, n_lists=100).p
        for _ in range(5)
    ]
    assert max(p) > 0.05
    # Hubs alone would look like a network against lists of any degree.
    hubs = sorted(names, key=lambda g: -len(clustered.neighbours[g]))[:40]
    plain = [clustered.induced(rng.choice(names, 40, replace=False)).n_edges for _ in range(20)]
    assert edge_enrichment(clustered, hubs, rng, n_lists=50).expected > 3 * max(plain)
    with pytest.raises(InputError, match="fewer than two genes"):
        edge_enrichment(clustered, ["nobody"], rng)


def test_modules_are_compared_with_those_of_random_lists(clustered, rng):
    clique = [f"g{i}" for i in range(300, 312)]
    modules = find_modules(clustered.induced(clique).neighbours)
    found = module_chance(clustered, clique, modules, rng, n_lists=60)
    assert found.p == (pytest.approx(1 / 61),)
    assert found.n_lists == 60
    assert found.counts[0] <= found.counts[1] <= found.counts[2]
    # No list has fewer than no modules.
    nothing = module_chance(clustered, clique, (), rng, n_lists=20)
    assert nothing.p == ()
    assert nothing.p_count == 1.0
    # A score that every list reaches has P = 1, one that none reaches the least.
    ends = [replace(modules[0], score=0.0), replace(modules[0], score=1e6)]
    reached = module_chance(clustered, clique, ends, rng, n_lists=20)
    assert reached.p == (1.0, pytest.approx(1 / 21))


def test_modules_of_random_lists_are_rarely_significant(clustered, rng):
    names = sorted(clustered.neighbours)
    p = []
    for _ in range(25):
        genes = rng.choice(names, 80, replace=False)
        modules = find_modules(clustered.induced(genes).neighbours)
        p.append(min(module_chance(clustered, genes, modules, rng, n_lists=39).p, default=1.0))
    assert np.mean(np.array(p) <= 0.05) <= 0.2
    assert np.mean(np.array(p) <= 0.5) >= 0.25


def test_edges_by_number(tmp_path):
    edges, index = SourceText("e", "1 2 1\n2 3 1"), SourceText("i", "1 A 5\n2\tB\n3 C\n")
    network = read_indexed(edges, index)
    assert network.edges() == (("A", "B"), ("B", "C"))
    assert read_network([edges, index]).edges() == network.edges()
    with pytest.raises(InputError, match="no name in the index.*found: 1 4"):
        read_indexed(SourceText("e", "1 4 1\n"), index)


def test_loops_and_repeated_edges_are_counted():
    with pytest.warns(FalxNotice, match="1 to itself, 1 repeated"):
        network = make_network([("a", "b"), ("b", "a"), ("a", "a"), ("b", "c")], ORIGIN)
    assert (network.n_edges, network.loops, network.repeated) == (2, 1, 1)
    assert network.induced(["a", "b", "z"]).edges() == (("a", "b"),)
    assert "c" in network.induced(["a", "b", "c"], keep_isolated=True).neighbours
    with pytest.raises(InputError, match="no edge"):
        make_network([("a", "a")], ORIGIN)


def test_string_links(tmp_path):
    links, info = tmp_path / "links.txt", tmp_path / "info.txt"
    links.write_text(
        "protein1 protein2 combined_score\n9606.P1 9606.P2 900\n9606.P2 9606.P1 900\n"
        "9606.P1 9606.P3 100\n10090.P1 10090.P2 999\n"
    )
    info.write_text("#string_protein_id\tpreferred_name\n9606.P1\tAAA\n9606.P2\tBBB\n")
    with pytest.warns(FalxNotice, match="other organisms"):
        network = read_string(source_text(links), source_text(info))
    assert network.edges() == (("AAA", "BBB"),)
    assert network.repeated == 0
    with pytest.raises(InputError, match="not a STRING links table"):
        read_string(source_text(info))


def test_biogrid(tmp_path):
    head = [
        "#BioGRID Interaction ID",
        "Official Symbol Interactor A",
        "Official Symbol Interactor B",
        "Experimental System Type",
        "Organism ID Interactor A",
        "Organism ID Interactor B",
    ]
    rows = [
        ["1", "A", "B", "physical", "9606", "9606"],
        ["2", "A", "C", "genetic", "9606", "9606"],
        ["3", "A", "D", "physical", "9606", "10090"],
        ["4", "A", "-", "physical", "9606", "9606"],
    ]
    path = tmp_path / "biogrid.tab3.txt"
    path.write_text("\n".join("\t".join(row) for row in [head, *rows]))
    assert read_biogrid(source_text(path)).edges() == (("A", "B"),)
    assert read_biogrid(source_text(path), kind=None).n_edges == 2
    assert read_network([source_text(path)]).n_edges == 1


def test_edge_lists(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("source,target,weight\nA,B,1\nB,C,2\n")
    assert read_edge_list(source_text(path)).edges() == (("A", "B"), ("B", "C"))
    path.write_text("A B\nC\n")
    with pytest.raises(InputError, match="does not name two genes"):
        read_edge_list(source_text(path))


def test_export_and_layout():
    network = make_network([*complete("abc"), ("c", "d")], ORIGIN)
    modules = find_modules(network.neighbours)
    assert sif(network).splitlines()[0] == "a\tpp\tb"
    root = ET.fromstring(graphml(network, modules))
    space = "{http://graphml.graphdrawing.org/xmlns}"
    data = {n.get("id"): n.find(f"{space}data").text for n in root.iter(f"{space}node")}
    assert data == {"a": "1", "b": "1", "c": "1", "d": "0"}
    places = layout(network)
    assert places == layout(network)
    assert np.abs(list(places.values())).max() <= 1.0


def test_modules_are_annotated():
    universe = tuple("abcdefghijklmnopqrstuvwxyz")
    library = GeneSetLibrary("made", {"first": tuple("abcde"), "last": tuple("vwxyz")}, ORIGIN)
    [annotated] = annotate_modules(
        find_modules(graph(complete("abcd"))), restrict(library, universe)
    )
    assert annotated.terms[0][:2] == ("first", 4)
    assert len(annotated.terms) == 1
