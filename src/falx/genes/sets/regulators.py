"""Regulators: transcription factors whose targets gather in a gene list (TRRUST v2).

Han et al. 2018, Nucleic Acids Res. 46:D380. A factor with many known targets has more power to
be found than one with few, whatever its role; so its rank under the ensemble null belongs
beside its P.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.checks import Probabilities
from falx.core.errors import InputError
from falx.core.multiplicity import benjamini_hochberg
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText, read_gmt
from falx.genes.sets.ora import hypergeometric_tail
from falx.genes.symbols import match_symbols

__all__ = ["Regulation", "SignedRegulators", "read_trrust", "regulator_sets", "signed_regulators"]

MODES = ("Activation", "Repression", "Unknown")


@dataclass(frozen=True)
class Regulation:
    """One factor and target, with every mode reported and the publications.

    Examples
    --------
    >>> Regulation("SP1", "MYC", ("Activation",), ("12345",)).sign
    1
    """

    factor: str
    target: str
    modes: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def sign(self) -> int:
        """1 for activation, -1 for repression, 0 if unknown or contradictory."""
        signs = {m for m in self.modes if m != "Unknown"}
        return {"Activation": 1, "Repression": -1}[signs.pop()] if len(signs) == 1 else 0


@dataclass(frozen=True, eq=False)
class SignedRegulators:
    """Signed test per factor: activated targets up and repressed ones down, or the reverse.

    Attributes
    ----------
    consistent, opposed
        Targets whose direction fits the factor being more active, or less.
    p
        Two-sided: twice the smaller of the two hypergeometric tails, at most 1.
    """

    factors: tuple[str, ...]
    consistent: npt.NDArray[np.int64]
    opposed: npt.NDArray[np.int64]
    p: Probabilities
    q: Probabilities


def read_trrust(source: SourceText) -> tuple[tuple[Regulation, ...], Origin]:
    """Read TRRUST's TSV (TF, Target, Regulation, Reference) or its GMT form.

    Pairs that occur more than once are merged with all their modes. The GMT holds no modes:
    they are Unknown.

    Raises
    ------
    InputError
        If columns are missing or a mode is not known.
    """
    licence = "CC BY-SA 4.0"
    if ".gmt" in source.name:
        library = read_gmt(source, licence=licence)
        pairs = [
            Regulation(factor, target, ("Unknown",), ())
            for factor, targets in library.sets.items()
            for target in targets
        ]
        return tuple(pairs), library.origin
    rows = [line.split("\t") for line in source.text.splitlines() if line.strip()]
    if rows and rows[0][:2] == ["TF", "Target"]:
        rows = rows[1:]
    merged: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    for number, row in enumerate(rows, 2):
        if len(row) < 3 or row[2] not in MODES:
            raise InputError(
                "a row is not TF, Target, Regulation",
                where=f"{source.name}, line {number}",
                found=row[:4],
                do="use trrust_rawdata.human.tsv as distributed",
            )
        modes, references = merged.setdefault((row[0], row[1]), ([], []))
        if row[2] not in modes:
            modes.append(row[2])
        references += row[3].split(";") if len(row) > 3 else []
    regulations = tuple(
        Regulation(factor, target, tuple(modes), tuple(references))
        for (factor, target), (modes, references) in merged.items()
    )
    return regulations, source.origin(version="2", licence=licence)


def regulator_sets(
    regulations: Sequence[Regulation], origin: Origin, *, sign: int | None = None
) -> GeneSetLibrary:
    """Targets of each factor as gene sets; only those of one sign if it is given."""
    sets: dict[str, list[str]] = {}
    for regulation in regulations:
        if sign is None or regulation.sign == sign:
            sets.setdefault(regulation.factor, []).append(regulation.target)
    return GeneSetLibrary("TRRUST", {f: tuple(dict.fromkeys(t)) for f, t in sets.items()}, origin)


def signed_regulators(
    regulations: Sequence[Regulation],
    up: Sequence[str],
    down: Sequence[str],
    universe: Sequence[str],
    *,
    smallest: int = 5,
) -> SignedRegulators:
    """Test whether a factor's targets move as its mode says.

    Each signed pair counts as consistent if an activated target is up or a repressed one down,
    and as opposed the other way. Unknown modes do not take part.

    Parameters
    ----------
    smallest
        Fewest signed targets among the tested genes.
    """
    up_set, down_set, N = set(up), set(down), len(universe)
    mapping = match_symbols({r.target for r in regulations}, universe).mapping
    signed: dict[str, dict[str, int]] = {}
    for r in regulations:
        if r.sign and r.target in mapping:
            signed.setdefault(r.factor, {})[mapping[r.target]] = r.sign
    signed = {f: t for f, t in signed.items() if len(t) >= smallest}
    if not signed:
        raise InputError(
            "no regulator has enough signed targets among the tested genes",
            where="TRRUST",
            do="lower the least number of targets, or give more genes",
        )
    counts = []
    for targets in signed.values():
        consistent = sum(g in (up_set if s > 0 else down_set) for g, s in targets.items())
        opposed = sum(g in (down_set if s > 0 else up_set) for g, s in targets.items())
        counts.append((consistent, opposed, len(targets)))
    k, o, M = np.array(counts, dtype=np.int64).T
    # Under chance a target is up with n_up/N and down with n_down/N; the tail takes the larger.
    n = max(len(up_set), len(down_set))
    p = np.minimum(
        1.0, 2.0 * np.minimum(hypergeometric_tail(k, M, n, N), hypergeometric_tail(o, M, n, N))
    )
    return SignedRegulators(tuple(signed), k, o, p, benjamini_hochberg(p))
