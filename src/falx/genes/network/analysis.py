"""The network of a gene list: is it denser than chance, which modules, and what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError, extra_library
from falx.core.multiplicity import TIE
from falx.core.possible import Probability
from falx.genes.network.interactions import Network
from falx.genes.network.mcode import Module, find_modules
from falx.genes.sets.library import TestedSets
from falx.genes.sets.ora import over_representation

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "AnnotatedModule",
    "EdgeEnrichment",
    "ModuleChance",
    "annotate_modules",
    "edge_enrichment",
    "graphml",
    "layout",
    "module_chance",
    "modules_of_lists",
    "sif",
]

DEGREE_BINS = 20


@dataclass(frozen=True)
class EdgeEnrichment:
    """Edges among a list's genes against lists of genes with like degrees.

    Well-studied proteins have many recorded partners; matching degrees keeps them from making
    any list of them look like a network.
    """

    observed: int
    expected: float
    p: Probability
    n_lists: int


@dataclass(frozen=True)
class ModuleChance:
    """What random lists give.

    Attributes
    ----------
    p
        Familywise P of each module's score.
    p_count
        P of at least so many modules.
    counts
        Modules in a random list: 2.5 % quantile, median, 97.5 % quantile.
    """

    p: tuple[Probability, ...]
    p_count: Probability
    counts: tuple[float, float, float]
    n_lists: int


@dataclass(frozen=True)
class AnnotatedModule:
    """A module and its three best terms as (term, overlap, P, q)."""

    module: Module
    terms: tuple[tuple[str, int, float, float], ...]


def edge_enrichment(
    network: Network, genes: Sequence[str], rng: np.random.Generator, *, n_lists: int = 1000
) -> EdgeEnrichment:
    """Compare the edges among `genes` with those among degree-matched random lists.

    Raises
    ------
    InputError
        If fewer than two genes are in the network.
    """
    names = sorted(network.neighbours)
    row = {name: i for i, name in enumerate(names)}
    rows = np.array(sorted({row[g] for g in genes if g in row}), dtype=np.intp)
    if len(rows) < 2:
        raise InputError(
            "fewer than two genes are in the network",
            where=network.origin.name,
            found=f"{len(rows)} of {len(set(genes))}",
            do="check the identifiers",
        )
    adjacency = _adjacency(network, row)
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    draws = _like_lists(degree, rows, rng, n_lists)
    counts = np.array([_edges_among(adjacency, drawn) for drawn in draws], dtype=np.float64)
    observed = _edges_among(adjacency, rows)
    p = (1.0 + float((counts >= observed).sum())) / (1.0 + n_lists)
    return EdgeEnrichment(observed, float(counts.mean()), p, n_lists)


def module_chance(
    network: Network,
    genes: Sequence[str],
    modules: Sequence[Module],
    rng: np.random.Generator,
    *,
    n_lists: int = 100,
) -> ModuleChance:
    """Compare the modules of `genes` with those of degree-matched random lists of that length.

    A module's P counts the lists whose best module is at least as good (see
    :func:`modules_of_lists`), so the chance of any false module is held, not that of each.

    Parameters
    ----------
    network
        Of the tested genes, those without a partner kept.
    modules
        From :func:`falx.genes.network.mcode.find_modules` on the network among `genes`.
    """
    names = sorted(network.neighbours)
    chosen = set(genes)
    rows = np.array([i for i, name in enumerate(names) if name in chosen], dtype=np.intp)
    degree = np.array([len(network.neighbours[name]) for name in names], dtype=np.float64)
    lists = _like_lists(degree, rows, rng, n_lists)
    drawn = [[names[i] for i in rows_of_list] for rows_of_list in lists]
    return modules_of_lists(network, genes, modules, drawn)


def modules_of_lists(
    network: Network,
    genes: Sequence[str],
    modules: Sequence[Module],
    lists: Sequence[Sequence[str]],
) -> ModuleChance:
    """Compare the modules of `genes` with those of given lists, such as lists from null maps.

    Lists from null maps keep what degree-matched lists lose: genes that are expressed together
    also interact, and enter a list together.

    Scores tie often (every triangle scores 3), and a test that counts all ties against the module
    errs too rarely. Of equal scores the larger module is the better one, then that of the list
    with more interactions.
    """
    n_lists = len(lists)
    counts = np.zeros(n_lists, dtype=np.int64)
    best = np.zeros((n_lists, 3))
    for b, drawn in enumerate(lists):
        part = network.induced(drawn)
        found = find_modules(part.neighbours)
        counts[b] = len(found)
        if found:
            best[b] = found[0].score, len(found[0].nodes), part.n_edges
    n_edges = network.induced(genes).n_edges
    p = tuple(
        (1.0 + _at_least((module.score, len(module.nodes), n_edges), best)) / (1.0 + n_lists)
        for module in modules
    )
    low, middle, high = (float(v) for v in np.quantile(counts, (0.025, 0.5, 0.975)))
    p_count = (1.0 + float((counts >= len(modules)).sum())) / (1.0 + n_lists)
    return ModuleChance(p, p_count, (low, middle, high), n_lists)


def _at_least(key: tuple[float, ...], rows: npt.NDArray[np.float64]) -> int:
    """Count the rows of shape (n, k) that are equal to a key or above it in order of columns."""
    equal, above = np.ones(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    for value, column in zip(key, rows.T, strict=True):
        above |= equal & (column > value + TIE)
        equal &= np.abs(column - value) <= TIE
    return int((above | equal).sum())


def _like_lists(
    degree: npt.NDArray[np.float64],
    rows: npt.NDArray[np.intp],
    rng: np.random.Generator,
    n_lists: int,
) -> Iterator[npt.NDArray[np.intp]]:
    """Draw lists of nodes with as many of each class of degree, shape (n,), as `rows` has."""
    groups = _degree_groups(degree)
    taken = np.bincount(groups[rows], minlength=groups.max() + 1)
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    for _ in range(n_lists):
        yield np.concatenate(
            [rng.choice(m, k, replace=False) for m, k in zip(members, taken, strict=True) if k]
        )


def _adjacency(network: Network, row: dict[str, int]) -> scipy.sparse.csr_array:
    pairs = np.array([(row[a], row[b]) for a, b in network.edges()], dtype=np.intp)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    shape = (len(row), len(row))
    return scipy.sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=shape)


def _edges_among(adjacency: scipy.sparse.csr_array, rows: npt.NDArray[np.intp]) -> int:
    inside = np.zeros(adjacency.shape[0])
    inside[rows] = 1.0
    return round(float(inside @ (adjacency @ inside)) / 2.0)


def _degree_groups(degree: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    cuts = np.unique(np.quantile(degree, np.linspace(0, 1, DEGREE_BINS + 1)[1:-1]))
    groups = np.searchsorted(cuts, degree, side="left")
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.intp)


def annotate_modules(
    modules: Sequence[Module], sets: TestedSets | None, *, n_terms: int = 3
) -> tuple[AnnotatedModule, ...]:
    """Find the best terms of each module, against the tested genes; none without sets."""
    if sets is None:
        return tuple(AnnotatedModule(module, ()) for module in modules)
    out = []
    universe = set(sets.universe)
    for module in modules:
        genes = [gene for gene in module.nodes if gene in universe]
        terms: tuple[tuple[str, int, float, float], ...] = ()
        if genes:
            result = over_representation(genes, sets)
            terms = tuple(
                (result.names[i], int(result.overlap[i]), float(result.p[i]), float(result.q[i]))
                for i in result.order()[:n_terms]
                if result.overlap[i] > 0
            )
        out.append(AnnotatedModule(module, terms))
    return tuple(out)


def sif(network: Network) -> str:
    """Write the simple interaction format: ``A pp B``, one edge a line (Cytoscape)."""
    return "".join(f"{a}\tpp\t{b}\n" for a, b in network.edges())


def _networkx() -> Any:
    return extra_library("networkx", extra="genes", does="networks are laid out and written")


def _graph(network: Network) -> nx.Graph[str]:
    """Return the network as a graph of networkx, nodes and edges in alphabetical order."""
    graph: nx.Graph[str] = _networkx().Graph()
    graph.add_nodes_from(sorted(network.neighbours))
    graph.add_edges_from(network.edges())
    return graph


def graphml(network: Network, modules: Sequence[Module] = ()) -> str:
    """GraphML with the number of each node's module, 0 for none."""
    graph = _graph(network)
    number = {node: i for i, m in reversed(list(enumerate(modules, 1))) for node in m.nodes}
    nx = _networkx()
    nx.set_node_attributes(graph, {node: number.get(node, 0) for node in graph}, "module")
    return "\n".join(nx.generate_graphml(graph)) + "\n"


def layout(network: Network) -> dict[str, tuple[float, float]]:
    """Places for drawing, in [-1, 1] (Fruchterman and Reingold 1991), the same every time."""
    names = sorted(network.neighbours)
    n = len(names)
    if n == 0:
        return {}
    angle = 2.0 * np.pi * np.arange(n) / n
    # A spiral as the start: no two nodes coincide and nothing is random.
    start = np.column_stack([np.cos(angle), np.sin(angle)]) * np.linspace(0.3, 1.0, n)[:, None]
    places = _networkx().spring_layout(
        _graph(network), pos=dict(zip(names, start, strict=True)), iterations=150, seed=1
    )
    found = np.array([places[name] for name in names])
    found /= float(np.abs(found).max()) or 1.0
    return {name: (float(x), float(y)) for name, (x, y) in zip(names, found, strict=True)}
