"""MCODE: dense modules of a network (Bader and Hogue 2003, BMC Bioinformatics 4:2).

A node scores the density of the innermost core of its neighbourhood times that core's k. From
the best node a module grows over neighbours that score nearly as well. Growth is not limited in
depth, so the order of nodes does not matter.

Cores are peeled here and not by networkx: each node needs the core of its own neighbourhood, and
a graph object for each costs six times the time (2,000 nodes, 3,000 edges: 0.4 and 2.2 s). Tests
compare both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Module", "density", "find_modules", "innermost_core", "node_scores"]

Adjacency = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Module:
    """A dense module; `score` is density × nodes, `seed` the node it grew from."""

    score: float
    nodes: tuple[str, ...]
    n_edges: int
    seed: str


def _inside(neighbours: Adjacency, nodes: set[str]) -> dict[str, set[str]]:
    return {node: set(neighbours[node]) & nodes for node in nodes}


def density(neighbours: Adjacency, nodes: set[str]) -> float:
    """Share of possible edges, 2E / (V (V - 1)); 0 for fewer than two nodes."""
    n = len(nodes)
    if n < 2:
        return 0.0
    return sum(len(neighbours[node] & nodes) for node in nodes) / (n * (n - 1))


def _k_core(neighbours: Adjacency, nodes: set[str], k: int) -> set[str]:
    """Nodes left after repeatedly removing those with fewer than k neighbours inside."""
    inside = _inside(neighbours, nodes)
    pending = [node for node, partners in inside.items() if len(partners) < k]
    while pending:
        node = pending.pop()
        if node not in inside:
            continue
        for partner in inside.pop(node):
            inside[partner].discard(node)
            if len(inside[partner]) < k:
                pending.append(partner)
    return set(inside)


def innermost_core(neighbours: Adjacency, nodes: set[str]) -> tuple[int, set[str]]:
    """Largest k with a k-core among `nodes`, and that core."""
    k, core = 0, set(nodes)
    while core:
        deeper = _k_core(neighbours, core, k + 1)
        if not deeper:
            break
        k, core = k + 1, deeper
    return k, core


def node_scores(neighbours: Adjacency) -> dict[str, float]:
    """Score of every node; 0 for nodes with fewer than two neighbours.

    Examples
    --------
    >>> triangle = {a: frozenset("ABC") - {a} for a in "ABC"}
    >>> node_scores(triangle)["A"]
    2.0
    """
    scores = {}
    for node, partners in neighbours.items():
        closed = set(partners) | {node}
        if len(closed) <= 2:
            scores[node] = 0.0
            continue
        k, core = innermost_core(neighbours, closed)
        scores[node] = k * density(neighbours, core)
    return scores


def find_modules(
    neighbours: Adjacency,
    *,
    node_score_cutoff: float = 0.2,
    haircut: bool = True,
    fluff: bool = False,
    fluff_density: float = 0.1,
) -> tuple[Module, ...]:
    """Find modules, best first; ties by size, then by name.

    Parameters
    ----------
    node_score_cutoff
        A neighbour joins if it scores at least (1 - cutoff) × the seed's score.
    haircut
        Keep only the 2-core of a module.
    fluff
        After that, add neighbours that no module holds and whose own neighbourhood is denser
        than `fluff_density`; they stay free for other modules.
    """
    scores = node_scores(neighbours)
    seen: set[str] = set()
    modules = []
    for seed in sorted(scores, key=lambda node: (-scores[node], node)):
        if seed in seen or scores[seed] <= 0:
            continue
        members = _grow(neighbours, scores, seed, seen, (1.0 - node_score_cutoff) * scores[seed])
        core = _k_core(neighbours, members, 2)
        if not core:
            continue
        kept = core if haircut else members
        if fluff:
            kept = kept | _fluff(neighbours, kept, seen, fluff_density)
        inside = sum(len(neighbours[node] & kept) for node in kept) // 2
        score = density(neighbours, kept) * len(kept)
        modules.append(Module(score, tuple(sorted(kept)), inside, seed))
    return tuple(sorted(modules, key=lambda m: (-m.score, -len(m.nodes), m.nodes)))


def _grow(
    neighbours: Adjacency, scores: Mapping[str, float], seed: str, seen: set[str], least: float
) -> set[str]:
    """Accept unseen neighbours that score at least `least`; mark them as seen."""
    members = {seed}
    seen.add(seed)
    pending = [seed]
    while pending:
        for partner in neighbours[pending.pop()]:
            if partner not in seen and scores[partner] >= least:
                seen.add(partner)
                members.add(partner)
                pending.append(partner)
    return members


def _fluff(neighbours: Adjacency, nodes: set[str], seen: set[str], above: float) -> set[str]:
    around = {partner for node in nodes for partner in neighbours[node]} - nodes - seen
    return {
        partner
        for partner in around
        if density(neighbours, set(neighbours[partner]) | {partner}) > above
    }
