"""Interaction tables: STRING, BioGRID, HINT and plain edge lists.

Szklarczyk et al. 2023 (Nucleic Acids Res. 51:D638), Oughtred et al. 2021 (Protein Sci. 30:187),
Das and Yu 2012 (BMC Syst. Biol. 6:92).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from falx.core.errors import InputError, check_range, notify
from falx.genes.sets.library import Origin, SourceText

__all__ = [
    "Network",
    "make_network",
    "read_biogrid",
    "read_edge_list",
    "read_indexed",
    "read_network",
    "read_string",
]

HUMAN = "9606"
HEADING = {"source", "target", "protein1", "protein2", "gene1", "gene2", "node1", "node2"}


@dataclass(frozen=True, eq=False)
class Network:
    """An undirected network without loops.

    Attributes
    ----------
    neighbours
        Node to its neighbours.
    loops, repeated
        Self-interactions and repeated pairs that were dropped.
    """

    neighbours: Mapping[str, frozenset[str]]
    origin: Origin
    loops: int = 0
    repeated: int = 0

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return sum(map(len, self.neighbours.values())) // 2

    def edges(self) -> tuple[tuple[str, str], ...]:
        """Return each edge once, both ends and all edges in alphabetical order."""
        return tuple(
            (a, b) for a in sorted(self.neighbours) for b in sorted(self.neighbours[a]) if a < b
        )

    def induced(self, genes: Iterable[str], *, keep_isolated: bool = False) -> Network:
        """Return the network among some genes; those without a partner are dropped."""
        chosen = set(genes) & set(self.neighbours)
        inside = {gene: self.neighbours[gene] & chosen for gene in sorted(chosen)}
        if not keep_isolated:
            inside = {gene: partners for gene, partners in inside.items() if partners}
        return Network({g: frozenset(p) for g, p in inside.items()}, self.origin)


def make_network(pairs: Iterable[tuple[str, str]], origin: Origin) -> Network:
    """Build a network; loops and repeated pairs are counted, told and dropped.

    Raises
    ------
    InputError
        If no edge is left, or one lacks a gene.
    """
    neighbours: dict[str, set[str]] = {}
    loops = repeated = 0
    for a, b in pairs:
        if not a.strip() or not b.strip():
            raise InputError(
                "an edge lacks a gene",
                where=origin.name,
                found=f"{a!r} and {b!r}",
                do="give two gene symbols in every row",
            )
        if a == b:
            loops += 1
        elif b in neighbours.get(a, ()):
            repeated += 1
        else:
            neighbours.setdefault(a, set()).add(b)
            neighbours.setdefault(b, set()).add(a)
    if not neighbours:
        raise InputError(
            "the network has no edge",
            where=origin.name,
            do="lower the least score, or give another network",
        )
    if loops + repeated:
        notify(
            "edges of a gene to itself, or given before, count once or not at all",
            where=origin.name,
            found=f"{loops} to itself, {repeated} repeated",
        )
    frozen = {node: frozenset(partners) for node, partners in neighbours.items()}
    return Network(frozen, origin, loops, repeated)


def read_edge_list(source: SourceText) -> Network:
    """Read one pair a line, separated by tab, comma or blanks; further columns are ignored.

    A first line whose words are column names is skipped.
    """
    text = source.text.splitlines()
    lines = [line for line in text if line.strip() and not line.startswith("#")]
    separator = next((s for s in ("\t", ",") if lines and s in lines[0]), None)
    rows = [[cell.strip() for cell in line.split(separator)] for line in lines]
    if rows and {cell.lower() for cell in rows[0][:2]} <= HEADING:
        rows = rows[1:]
    short = next((row for row in rows if len(row) < 2 or not row[1]), None)
    if short is not None:
        raise InputError(
            "a line does not name two genes",
            where=source.name,
            found=short,
            do="give one pair a line",
        )
    return make_network(((r[0], r[1]) for r in rows), source.origin())


def read_indexed(edges: SourceText, index: SourceText) -> Network:
    """Read HINT or iRefIndex lists: edges as numbers from 1, and number to gene."""
    names = {}
    for words in _words(index):
        names[_whole(words[0], index)] = words[1]
    pairs = []
    for words in _words(edges):
        a, b = (_whole(word, edges) for word in words[:2])
        if a not in names or b not in names:
            raise InputError(
                "an edge has no name in the index",
                where=edges.name,
                found=" ".join(words),
                do="use the index of the same list",
            )
        pairs.append((names[a], names[b]))
    return make_network(pairs, edges.origin())


def _words(source: SourceText, *, least: int = 2) -> Iterator[list[str]]:
    """Words of every line that has any; raise where there are fewer than a reader needs."""
    for number, line in enumerate(source.text.splitlines(), 1):
        words = line.split()
        if words and len(words) < least:
            raise InputError(
                "a line is not whole",
                where=f"{source.name}, line {number}",
                found=line.strip(),
                do="copy or fetch the file again",
            )
        if words:
            yield words


def _whole(word: str, source: SourceText) -> int:
    try:
        return int(word)
    except ValueError:
        raise InputError(
            "a number is needed where a word stands",
            where=source.name,
            found=repr(word),
            do="copy or fetch the file again",
        ) from None


def read_string(
    links: SourceText, info: SourceText | None = None, *, score_above: int = 132
) -> Network:
    """Read STRING links, each of which stands there in both directions.

    Parameters
    ----------
    links
        ``9606.protein.links`` or ``9606.protein.physical.links``, plain or gzip-compressed.
    info
        ``9606.protein.info``, for gene symbols in place of protein ids.
    score_above
        Combined score, 0 to 1000, that an edge must exceed.
    """
    check_range("STRING score", score_above, 0, 1000)
    header = links.text.partition("\n")[0].split()
    if header[:2] != ["protein1", "protein2"] or "combined_score" not in header:
        raise InputError(
            "the file is not a STRING links table",
            where=links.name,
            found=header[:4],
            do="use 9606.protein.links or physical.links",
        )
    names = _string_names(info) if info is not None else {}
    column = header.index("combined_score")
    pairs = set()
    foreign = 0
    for words in list(_words(links, least=column + 1))[1:]:
        if not words[0].startswith(f"{HUMAN}."):
            foreign += 1
        elif _whole(words[column], links) > score_above:
            a, b = (names.get(w, w.removeprefix(f"{HUMAN}.")) for w in words[:2])
            pairs.add((min(a, b), max(a, b)))
    if foreign:
        notify("edges of other organisms are left out", where=links.name, found=foreign)
    return make_network(sorted(pairs), links.origin(licence="CC BY 4.0"))


def _string_names(info: SourceText) -> dict[str, str]:
    rows = [line.split("\t") for line in info.text.splitlines()]
    if not rows or len(rows[0]) < 2:
        raise InputError(
            "the file is not STRING protein.info",
            where=info.name,
            do="give protein.info of the same STRING version as the links",
        )
    return {row[0]: row[1] for row in rows[1:] if len(row) > 1}


def read_biogrid(source: SourceText, *, kind: str | None = "physical") -> Network:
    """Read a BioGRID TAB3 table: human pairs, physical ones unless `kind` is None."""
    rows = [line.split("\t") for line in source.text.splitlines()]
    header = [name.lstrip("#").strip() for name in rows[0]] if rows else []
    needed = (
        "Official Symbol Interactor A",
        "Official Symbol Interactor B",
        "Experimental System Type",
        "Organism ID Interactor A",
        "Organism ID Interactor B",
    )
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            "the file is not BioGRID TAB3",
            where=source.name,
            found=f"no column {missing[0]}",
            do="give a BioGRID file of the format TAB3",
        )
    a, b, system, organism_a, organism_b = (header.index(name) for name in needed)
    pairs = [
        (row[a], row[b])
        for row in rows[1:]
        if len(row) > max(a, b, system, organism_a, organism_b)
        and row[organism_a] == row[organism_b] == HUMAN
        and "-" not in (row[a], row[b])
        and (kind is None or row[system] == kind)
    ]
    return make_network(pairs, source.origin(licence="MIT"))


def read_network(sources: Sequence[SourceText], *, score_above: int = 132) -> Network:
    """Read one or two files of any known form, told apart by their first line."""
    first = sources[0].text.split("\n", 1)[0]
    if first.startswith("protein1"):
        return read_string(*sources, score_above=score_above)
    if "Official Symbol Interactor A" in first:
        return read_biogrid(sources[0])
    if len(sources) == 2:
        return read_indexed(sources[0], sources[1])
    return read_edge_list(sources[0])
