"""Gene-set libraries, and their meeting with the tested genes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt
import scipy

from falx.core.errors import InputError, notify
from falx.core.tables import parse_table
from falx.genes.symbols import match_symbols

__all__ = [
    "GeneSetLibrary",
    "Origin",
    "SourceText",
    "TestedSets",
    "read_aliases",
    "read_gmt",
    "restrict",
]


@dataclass(frozen=True)
class Origin:
    """Where a table came from."""

    name: str
    sha256: str = ""
    version: str = ""
    date: str = ""
    licence: str = "not stated"


@dataclass(frozen=True, eq=False)
class SourceText:
    """Content of a file of knowledge, with its name and SHA-256."""

    name: str
    text: str
    sha256: str = ""

    def origin(self, *, version: str = "", date: str = "", licence: str = "not stated") -> Origin:
        """Where what is read from it came from."""
        return Origin(self.name, self.sha256, version, date, licence)


@dataclass(frozen=True, eq=False)
class GeneSetLibrary:
    """Named gene sets of one source.

    Attributes
    ----------
    sets
        Set name to its genes, in file order, without repetition.
    descriptions
        Set name to a description, where the file gives one.
    """

    name: str
    sets: Mapping[str, tuple[str, ...]]
    origin: Origin
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def genes(self) -> frozenset[str]:
        """Every gene of any set."""
        return frozenset().union(*self.sets.values())


@dataclass(frozen=True, eq=False)
class TestedSets:
    """Sets after intersection with the tested genes.

    Attributes
    ----------
    names
        Sets that pass the size filter, shape (m,).
    universe
        The tested genes, shape (N,).
    membership
        Sparse 0/1 matrix, shape (m, N).
    too_small, too_large
        How many sets the size filter took.
    lost
        Library genes outside the universe.
    """

    __test__ = False  # the name begins like a test class

    library: str
    names: tuple[str, ...]
    universe: tuple[str, ...]
    membership: scipy.sparse.csr_array
    too_small: int = 0
    too_large: int = 0
    lost: int = 0

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Tested genes in each set, shape (m,)."""
        return np.asarray(np.diff(self.membership.indptr), dtype=np.int64)

    def members(self, name: str) -> tuple[str, ...]:
        """Return the tested genes of one set."""
        row = self.names.index(name)
        start, stop = self.membership.indptr[row : row + 2]
        return tuple(self.universe[i] for i in self.membership.indices[start:stop])

    def indicator(self, genes: Iterable[str]) -> npt.NDArray[np.float64]:
        """0/1 vector of a gene list over the universe, shape (N,)."""
        chosen = set(genes)
        return np.array([gene in chosen for gene in self.universe], dtype=np.float64)


def read_gmt(
    source: SourceText, *, name: str | None = None, licence: str = "not stated"
) -> GeneSetLibrary:
    """Read a GMT file: set name, description (may be empty), genes, tab-separated.

    Survives empty, ``NA`` and web-address descriptions, padding, trailing tabs, repeated genes
    and Windows line ends. Names with commas stay whole.

    Raises
    ------
    InputError
        If no set is found, a line has no tab or no name, or a set name occurs twice.
    """
    sets: dict[str, tuple[str, ...]] = {}
    descriptions = {}
    for number, line in enumerate(source.text.splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) < 2:
            raise InputError(
                "a line has no tab",
                where=f"{source.name}, line {number}",
                found=repr(line[:40]),
                do="give set name, description and genes separated by tabs",
            )
        title = fields[0].strip()
        if not title:
            raise InputError(
                "a gene set has no name", where=f"{source.name}, line {number}", do="name it"
            )
        if title in sets:
            raise InputError(
                "a set name occurs twice",
                where=source.name,
                found=title,
                do="give every set a name of its own",
            )
        sets[title] = tuple(dict.fromkeys(g.strip() for g in fields[2:] if g.strip()))
        if fields[1].strip() not in {"", "NA"}:
            descriptions[title] = fields[1].strip()
    if not sets:
        raise InputError(
            "the file holds no gene set",
            where=source.name,
            do="give a GMT file: a name, a description and genes in every line",
        )
    label = name or source.name.removesuffix(".gz").removesuffix(".gmt")
    return GeneSetLibrary(label, sets, source.origin(licence=licence), descriptions)


def read_aliases(source: SourceText) -> dict[str, str]:
    """Read earlier or alternative symbols and their present ones: two columns, tab or comma.

    A header ``alias, symbol`` may stand on top. HGNC's complete set may be given instead: former
    and alternative symbols, Ensembl and Entrez identifiers all lead to the present symbol. A name
    of two genes is left out, with a notice.

    Raises
    ------
    InputError
        If a line does not hold two symbols.
    """
    first = next((line for line in source.text.splitlines() if line.strip()), "")
    if {"symbol", "prev_symbol", "ensembl_gene_id"} <= set(first.strip().split("\t")):
        return _unambiguous(_hgnc_names(source), source.name)
    found: dict[str, set[str]] = {}
    for number, line in enumerate(source.text.splitlines(), 1):
        cells = [cell.strip() for cell in line.split("\t" if "\t" in line else ",")]
        if not any(cells) or (number == 1 and cells[0].lower() == "alias"):
            continue
        if len(cells) < 2 or not all(cells[:2]):
            raise InputError(
                "a line does not name an alias and a symbol",
                where=f"{source.name}, line {number}",
                found=repr(line[:40]),
                do="give two columns, alias and symbol",
            )
        found.setdefault(cells[0], set()).add(cells[1])
    return _unambiguous(found, source.name)


HGNC_NAMES = ("prev_symbol", "alias_symbol", "ensembl_gene_id", "entrez_id")


def _hgnc_names(source: SourceText) -> dict[str, set[str]]:
    """Every other name of a gene in HGNC's complete set (Seal et al. 2023, NAR 51:D1003)."""
    table = parse_table(source.text, where=source.name, pad=True)
    present = set(table.texts("symbol"))
    columns = [column for column in HGNC_NAMES if column in table.header]
    found: dict[str, set[str]] = {}
    for row in table.records():
        for column in columns:
            for name in filter(None, (n.strip() for n in row[column].strip('"').split("|"))):
                # An old symbol that is now another gene's own name means that gene.
                if name not in present:
                    found.setdefault(name, set()).add(row["symbol"])
    return found


def _unambiguous(found: Mapping[str, set[str]], where: str) -> dict[str, str]:
    """Leave out names of several genes, with a notice."""
    several = [alias for alias, symbols in found.items() if len(symbols) > 1]
    if several:
        notify(
            "aliases of several genes are not used",
            where=where,
            found=", ".join(several[:5]),
        )
    return {alias: next(iter(symbols)) for alias, symbols in found.items() if len(symbols) == 1}


def restrict(
    library: GeneSetLibrary,
    universe: Sequence[str],
    *,
    smallest: int = 5,
    largest: int = 500,
    any_case: bool = True,
    aliases: Mapping[str, str] | None = None,
) -> TestedSets:
    """Intersect a library with the tested genes and filter by the size that is left.

    Raises
    ------
    InputError
        If no set is left, or the universe repeats a gene.
    """
    genes = tuple(universe)
    if len(set(genes)) != len(genes):
        raise InputError("the tested genes repeat a symbol", where=library.name)
    all_genes = sorted(library.genes)
    column = {gene: i for i, gene in enumerate(genes)}
    where_to = {}
    for gene in all_genes:
        if gene in column:
            where_to[gene] = column[gene]
    missing = [gene for gene in all_genes if gene not in where_to]
    if any_case or aliases:
        match = match_symbols(missing, genes, any_case=any_case, aliases=aliases)
        where_to |= {gene: column[name] for gene, name in match.mapping.items()}
    memberships = _memberships(library, dict.fromkeys(all_genes, -1) | where_to, len(genes))
    sizes = np.diff(memberships.indptr)
    kept = np.flatnonzero((sizes >= smallest) & (sizes <= largest))
    if kept.size == 0:
        raise InputError(
            "no gene set is left after the size filter",
            where=library.name,
            found=f"{len(where_to)} of {len(all_genes)} genes are among the tested ones",
            do="check that both use the same identifiers, or widen the size filter",
        )
    if len(where_to) < 0.2 * len(all_genes):
        notify(
            "few genes of the library are among the tested genes",
            where=library.name,
            found=f"{len(where_to)} of {len(all_genes)}",
        )
    titles = tuple(library.sets)
    return TestedSets(
        library.name,
        tuple(titles[i] for i in kept),
        genes,
        memberships[kept],
        too_small=int((sizes < smallest).sum()),
        too_large=int((sizes > largest).sum()),
        lost=len(all_genes) - len(where_to),
    )


def _memberships(
    library: GeneSetLibrary, where_to: Mapping[str, int], n_genes: int
) -> scipy.sparse.csr_array:
    """Sparse 0/1 matrix of all sets and tested genes; -1 marks a gene that was not tested."""
    lengths = np.array([len(members) for members in library.sets.values()])
    flat = map(where_to.__getitem__, chain.from_iterable(library.sets.values()))
    column = np.fromiter(flat, dtype=np.int64, count=lengths.sum())
    inside = column >= 0
    starts = np.concatenate([[0], np.cumsum(lengths)])
    indptr = np.concatenate([[0], np.cumsum(inside)])[starts]
    table = scipy.sparse.csr_array(
        (np.ones(indptr[-1]), column[inside], indptr), shape=(len(lengths), n_genes)
    )
    # Two names of one gene may stand in the same set.
    table.sum_duplicates()
    table.data[:] = 1.0
    return table
