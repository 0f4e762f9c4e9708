"""Gene Ontology: OBO terms and GAF annotations to gene sets.

An annotation to a term holds for all its ancestors over ``is_a`` and ``part_of`` (the true-path
rule). Annotations qualified NOT and those without data (evidence ND) do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError, check_option
from falx.genes.sets.library import GeneSetLibrary, Origin, text_of

__all__ = ["ASPECTS", "Ontology", "Term", "go_sets", "read_gaf", "read_obo"]

ASPECTS = {
    "BP": "biological_process",
    "MF": "molecular_function",
    "CC": "cellular_component",
}
LICENCE = "CC BY 4.0"


@dataclass(frozen=True)
class Term:
    """One term of the ontology."""

    identifier: str
    name: str
    namespace: str
    parents: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ontology:
    """Terms by identifier, alternative identifiers, and where they came from."""

    terms: Mapping[str, Term]
    alternative: Mapping[str, str]
    origin: Origin

    def ancestors(self, identifier: str) -> frozenset[str]:
        """Return a term and everything above it over is_a and part_of."""
        seen: set[str] = set()
        pending = [self.alternative.get(identifier, identifier)]
        while pending:
            term = pending.pop()
            if term in seen or term not in self.terms:
                continue
            seen.add(term)
            pending += self.terms[term].parents
        return frozenset(seen)


def _stanzas(text: str) -> Iterator[dict[str, list[str]]]:
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        if not lines or lines[0].strip() != "[Term]":
            continue
        fields: dict[str, list[str]] = {}
        for line in lines[1:]:
            key, _, value = line.partition(": ")
            fields.setdefault(key, []).append(value.split(" ! ")[0].strip())
        yield fields


def read_obo(path: Path | str) -> Ontology:
    """Read the terms of an OBO file; obsolete ones are left out.

    Raises
    ------
    InputError
        If the file holds no term.
    """
    text, digest = text_of(path)
    text = text.replace("\r\n", "\n")
    terms: dict[str, Term] = {}
    alternative: dict[str, str] = {}
    for fields in _stanzas(text):
        if fields.get("is_obsolete") == ["true"]:
            continue
        identifier = fields["id"][0]
        part_of = [
            value.split()[1]
            for value in fields.get("relationship", [])
            if value.startswith("part_of ")
        ]
        parents = tuple(fields.get("is_a", [])) + tuple(part_of)
        terms[identifier] = Term(
            identifier, fields["name"][0], fields.get("namespace", [""])[0], parents
        )
        alternative |= dict.fromkeys(fields.get("alt_id", []), identifier)
    if not terms:
        raise InputError("the file holds no ontology term", where=path, do="give an OBO file")
    header = dict(
        line.split(": ", 1) for line in text.split("[Term]")[0].splitlines() if ": " in line
    )
    version = header.get("data-version", "")
    return Ontology(terms, alternative, Origin(Path(path).name, digest, version, licence=LICENCE))


def read_gaf(path: Path | str) -> tuple[tuple[tuple[str, str], ...], Origin]:
    """Read (gene symbol, term) pairs of a GAF 2.x file, plain or gzip-compressed."""
    text, digest = text_of(path)
    pairs: dict[tuple[str, str], None] = {}
    date = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("!"):
            if line.startswith("!date-generated:"):
                date = line.split(":", 1)[1].strip()
            continue
        fields = line.split("\t")
        if len(fields) < 15:
            raise InputError(
                "a line is not GAF 2",
                where=f"{Path(path).name}, line {number}",
                found=f"{len(fields)} columns",
            )
        if "NOT" in fields[3].split("|") or fields[6] == "ND":
            continue
        pairs[fields[2], fields[4]] = None
    return tuple(pairs), Origin(Path(path).name, digest, date=date, licence=LICENCE)


def go_sets(obo: Path | str, gaf: Path | str, *, aspect: str = "BP") -> GeneSetLibrary:
    """Genes annotated to each term or to anything below it.

    Parameters
    ----------
    aspect
        ``BP``, ``MF`` or ``CC``.
    """
    check_option("aspect", aspect, ASPECTS)
    ontology = read_obo(obo)
    annotations, origin = read_gaf(gaf)
    above = {term: ontology.ancestors(term) for term in {term for _, term in annotations}}
    members: dict[str, dict[str, None]] = {}
    for gene, term in annotations:
        for ancestor in above[term]:
            if ontology.terms[ancestor].namespace == ASPECTS[aspect]:
                members.setdefault(ancestor, {})[gene] = None
    if not members:
        raise InputError(
            "no annotation meets a term of the ontology",
            where=gaf,
            do="use an OBO and a GAF file of the same release",
        )
    sets = {
        f"{ontology.terms[term].name} ({term})": tuple(genes)
        for term, genes in sorted(members.items())
    }
    return GeneSetLibrary(f"GO {aspect}", sets, origin)
