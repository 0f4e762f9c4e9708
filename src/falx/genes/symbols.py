"""Gene symbols: what spreadsheets, renaming and letter case do to them.

A symbol is repaired only where a table says exactly what it was. What could be two genes is
reported and not guessed (Ziemann et al. 2016, Genome Biol. 17:177).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from falx.core.errors import InputError, notify

__all__ = [
    "PresentNames",
    "SymbolMatch",
    "check_gene_list",
    "match_symbols",
    "present_names",
    "repair_symbol",
]

_DATE = re.compile(
    r"^(?:(\d{1,2})-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r"|(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-(\d{1,2}))(?:-\d{2,4})?$",
    re.IGNORECASE,
)
_FAMILIES = {"sep": ("SEPT", range(1, 15)), "mar": ("MARCH", range(3, 12))}
_RODENT = re.compile(r"ENS(?:MUS|RNO)G\d|[A-Z][a-z][A-Za-z0-9-]*$")
_NUMBERED = re.compile(r"ENSG\d+|\d+$")
ORTHOLOGUES = "give their human orthologues: a name of both species may be of other genes"
# MARC1 and MARC2 become the same dates as MARCH1 and MARCH2; DEC1 names two genes.
_RENAMED = (("SEPT", "SEPTIN"), ("MARCH", "MARCHF"))


@dataclass(frozen=True)
class SymbolMatch:
    """How a gene list met a universe.

    Attributes
    ----------
    mapping
        Each gene that has one, to its symbol in the universe.
    lost
        Genes that the universe does not hold.
    repaired
        Given name to the name it was found under, where they differ by more than case.
    ambiguous
        Genes that could be several of the universe; left out.
    repeated
        Genes given more than once.
    """

    mapping: Mapping[str, str]
    lost: tuple[str, ...] = ()
    repaired: Mapping[str, str] = field(default_factory=dict)
    ambiguous: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def found(self) -> tuple[str, ...]:
        """Symbols of the universe, in list order, without repetition."""
        return tuple(dict.fromkeys(self.mapping.values()))


def repair_symbol(symbol: str) -> str | None:
    """Gene that a spreadsheet turned into this date, None if it could be several.

    A symbol that is no date comes back as it is.

    Examples
    --------
    >>> repair_symbol("7-Sep"), repair_symbol("Sep-07"), repair_symbol("SP1")
    ('SEPT7', 'SEPT7', 'SP1')
    >>> repair_symbol("1-Dec") is None, repair_symbol("01-Mar") is None
    (True, True)
    """
    date = _DATE.match(symbol)
    if date is None:
        return symbol
    day_first, month_behind, month_first, day_behind = date.groups()
    family, members = _FAMILIES.get((month_behind or month_first).lower(), ("", range(0)))
    day = int(day_first or day_behind)
    return f"{family}{day}" if day in members else None


def match_symbols(
    genes: Iterable[str],
    universe: Sequence[str],
    *,
    any_case: bool = True,
    aliases: Mapping[str, str] | None = None,
) -> SymbolMatch:
    """Find each gene in a universe.

    Tried in turn: the exact symbol; the gene behind a spreadsheet date; the current name of
    the SEPT and MARCH families; an alias; the symbol in any letter case if that is unique.

    Parameters
    ----------
    aliases
        Earlier or alternative symbols to current ones.
    """
    lookup = _Lookup(universe, any_case, aliases or {})
    mapping: dict[str, str] = {}
    lost: list[str] = []
    ambiguous: list[str] = []
    given = [gene.strip() for gene in genes if gene.strip()]
    for gene in dict.fromkeys(given):
        candidates = lookup.candidates(gene)
        if len(candidates) == 1:
            mapping[gene] = candidates[0]
        else:
            (ambiguous if candidates or repair_symbol(gene) is None else lost).append(gene)
    repeated = tuple(gene for gene, n in Counter(given).items() if n > 1)
    repaired = {given: name for given, name in mapping.items() if given.upper() != name.upper()}
    return SymbolMatch(mapping, tuple(lost), repaired, tuple(ambiguous), repeated)


@dataclass(frozen=True)
class PresentNames:
    """Genes of a table under their present symbols.

    Attributes
    ----------
    rows
        Rows of the table that are kept, each gene once.
    genes
        Their symbols.
    account
        Of every name that changed or was lost: the name, the symbol (empty if none), and why.
    """

    rows: tuple[int, ...]
    genes: tuple[str, ...]
    account: tuple[tuple[str, str, str], ...]


_IDENTIFIER = re.compile(r"^(ENSG\d{11})(?:\.\d+)?$|^(\d+)$")


def present_names(genes: Sequence[str], aliases: Mapping[str, str]) -> PresentNames:
    """Convert Ensembl and Entrez identifiers and former symbols to present symbols.

    A gene that has its present symbol keeps it; another name of the same gene in the table is
    then left out, as is the second of two names of one gene. Version suffixes of Ensembl
    identifiers do not count. Identifiers that the aliases do not know are lost.

    Examples
    --------
    >>> named = present_names(["ENSG00000185591.10", "SP3"], {"ENSG00000185591": "SP1"})
    >>> named.genes, named.account
    (('SP1', 'SP3'), (('ENSG00000185591.10', 'SP1', 'converted'),))
    """
    own = set(genes)
    kept: dict[str, int] = {}
    account = []
    for row, gene in enumerate(genes):
        identifier = _IDENTIFIER.match(gene)
        bare = gene if identifier is None else identifier[1] or identifier[2]
        symbol = aliases.get(bare, gene if identifier is None else "")
        if not symbol:
            account.append((gene, "", "identifier not known"))
        elif symbol in kept or (symbol != gene and symbol in own):
            account.append((gene, symbol, "left out: another row is this gene"))
        else:
            kept[symbol] = row
            if symbol != gene:
                account.append((gene, symbol, "converted"))
    return PresentNames(tuple(kept.values()), tuple(kept), tuple(account))


class _Lookup:
    """Candidates for a symbol in a universe."""

    def __init__(
        self, universe: Sequence[str], any_case: bool, aliases: Mapping[str, str]
    ) -> None:
        self.known = set(universe)
        self.aliases = aliases
        self.folded: dict[str, list[str]] = {}
        if any_case:
            for symbol in self.known:
                self.folded.setdefault(symbol.upper(), []).append(symbol)

    def candidates(self, gene: str) -> list[str]:
        repaired = repair_symbol(gene)
        if repaired is None:
            return []
        for name in (gene, repaired, *_other_names(repaired)):
            if name in self.known:
                return [name]
        alias = self.aliases.get(repaired)
        if alias in self.known:
            return [str(alias)]
        for name in (repaired, *_other_names(repaired)):
            if name.upper() in self.folded:
                return sorted(self.folded[name.upper()])
        return []


def _other_names(symbol: str) -> list[str]:
    names = []
    for old, new in _RENAMED:
        for a, b in ((new, old), (old, new)):
            if re.fullmatch(rf"{a}\d+", symbol):
                names.append(b + symbol.removeprefix(a))
    return names


def _advice(unknown: Sequence[str]) -> str:
    """Say what to do about names of which none is known, by what most of them look like."""
    half = len(unknown) / 2
    if sum(bool(_RODENT.match(name)) for name in unknown) > half:
        return ORTHOLOGUES
    if sum(bool(_NUMBERED.match(name)) for name in unknown) > half:
        return "these are identifiers of Ensembl or Entrez: give --aliases, HGNC's complete set"
    return "check that both use the same kind of identifier"


def check_gene_list(match: SymbolMatch, *, where: object = "gene list") -> SymbolMatch:
    """Tell what was repaired or lost; raise if nothing is left."""
    if not match.found:
        raise InputError(
            "no gene of the list is among the tested genes",
            where=where,
            found=f"{len(match.lost) + len(match.ambiguous)} unknown symbols",
            do=_advice((*match.lost, *match.ambiguous)),
        )
    given = (*match.mapping, *match.lost, *match.ambiguous)
    of_rodents = [name for name in given if _RODENT.match(name)]
    if len(of_rodents) > len(given) / 2:
        notify(
            "symbols are written as those of mouse or rat are",
            where=where,
            found=", ".join(of_rodents[:5]),
            do=ORTHOLOGUES,
        )
    if match.repaired:
        pairs = [f"{given} → {name}" for given, name in list(match.repaired.items())[:5]]
        notify("symbols were repaired", where=where, found=", ".join(pairs))
    if match.ambiguous:
        notify(
            "symbols could be several genes and are left out",
            where=where,
            found=", ".join(match.ambiguous[:5]),
            do="write the gene's present symbol",
        )
    if match.lost:
        notify(
            f"{len(match.lost)} genes are not among the tested genes",
            where=where,
            found=", ".join(match.lost[:5]),
        )
    if match.repeated:
        notify("genes are given more than once", where=where, found=", ".join(match.repeated[:5]))
    return match
