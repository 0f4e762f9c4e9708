"""Gene Ontology: OBO terms and GAF annotations to gene sets.

An annotation to a term holds for all its ancestors over ``is_a`` and ``part_of`` (the true-path
rule; Ashburner et al. 2000, Nat. Genet. 25:25). Annotations qualified NOT and those without data
(evidence ND) do not count.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from falx.core.errors import InputError, check_option, extra_library
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["ASPECTS", "Ontology", "go_sets", "read_gaf", "read_obo"]

ASPECTS = {
    "BP": "biological_process",
    "MF": "molecular_function",
    "CC": "cellular_component",
}
UPWARD = ("is_a", "part_of")
LICENCE = "CC BY 4.0"


@dataclass(frozen=True, eq=False)
class Ontology:
    """Terms with an edge from each to every parent, and where they came from.

    Attributes
    ----------
    graph
        Identifier of each term, with ``name`` and ``namespace``; edges are keyed by relation.
    alternative
        Identifiers of merged terms to the present one.
    """

    graph: nx.MultiDiGraph[str]
    alternative: Mapping[str, str]
    origin: Origin

    def ancestors(self, identifier: str) -> frozenset[str]:
        """Return a term and everything above it over is_a and part_of."""
        term = self.alternative.get(identifier, identifier)
        if term not in self.graph:
            return frozenset()
        # Edges lead from a term to what is above it.
        networkx = extra_library("networkx", extra="genes", does="ontologies are walked")
        return frozenset(networkx.descendants(self.graph, term)) | {term}

    @property
    def namespace(self) -> str:
        """Namespace of the terms that name none."""
        return str(self.graph.graph.get("default-namespace", ""))

    def title(self, term: str) -> str:
        """Name and identifier of a term; the identifier alone where it has no name."""
        name = self.graph.nodes[term].get("name")
        return f"{name} ({term})" if name else term


def read_obo(source: SourceText) -> Ontology:
    """Read the terms of an OBO file by obonet; obsolete ones are left out.

    Raises
    ------
    InputError
        If the file cannot be read or holds no term.
    """
    obonet = extra_library("obonet", extra="genes", does="ontologies are read")
    try:
        graph = obonet.read_obo(io.StringIO(source.text))
    except (ValueError, KeyError, AssertionError) as error:
        raise InputError(
            "the ontology cannot be read", where=source.name, found=error, do="give an OBO file"
        ) from error
    if len(graph) == 0:
        raise InputError(
            "the file holds no ontology term", where=source.name, do="give an OBO file"
        )
    other = [(a, b, key) for a, b, key in graph.edges(keys=True) if key not in UPWARD]
    version = str(graph.graph.get("data-version", ""))
    alternative = {a: term for term, named in graph.nodes(data="alt_id") for a in named or ()}
    graph.remove_edges_from(other)
    return Ontology(graph, alternative, source.origin(version=version, licence=LICENCE))


def read_gaf(source: SourceText) -> tuple[tuple[tuple[str, str], ...], Origin]:
    """Read (gene symbol, term) pairs of a GAF 2.x file, plain or gzip-compressed."""
    pairs: dict[tuple[str, str], None] = {}
    date = ""
    for number, line in enumerate(source.text.splitlines(), 1):
        if line.startswith("!"):
            if line.startswith("!date-generated:"):
                date = line.split(":", 1)[1].strip()
            continue
        fields = line.split("\t")
        if len(fields) < 15:
            raise InputError(
                "a line is not GAF 2",
                where=f"{source.name}, line {number}",
                found=f"{len(fields)} columns",
                do="give an annotation file of the format GAF 2, unpacked or as .gz",
            )
        if "NOT" in fields[3].split("|") or fields[6] == "ND":
            continue
        pairs[fields[2], fields[4]] = None
    return tuple(pairs), source.origin(date=date, licence=LICENCE)


def go_sets(obo: SourceText, gaf: SourceText, *, aspect: str = "BP") -> GeneSetLibrary:
    """Genes annotated to each term or to anything below it.

    Parameters
    ----------
    aspect
        ``BP``, ``MF`` or ``CC``.
    """
    check_option("aspect", aspect, ASPECTS)
    ontology = read_obo(obo)
    annotations, origin = read_gaf(gaf)
    space = ontology.graph.nodes(data="namespace", default=ontology.namespace)
    above = {
        term: [t for t in sorted(ontology.ancestors(term)) if space[t] == ASPECTS[aspect]]
        for term in dict.fromkeys(term for _, term in annotations)
    }
    members: dict[str, dict[str, None]] = {}
    for gene, term in annotations:
        for ancestor in above[term]:
            members.setdefault(ancestor, {})[gene] = None
    if not members:
        raise InputError(
            "no annotation meets a term of the ontology",
            where=gaf.name,
            do="use an OBO and a GAF file of the same release",
        )
    sets = {ontology.title(term): tuple(genes) for term, genes in sorted(members.items())}
    return GeneSetLibrary(f"GO {aspect}", sets, origin)
