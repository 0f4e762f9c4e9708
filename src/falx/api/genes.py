"""Genes behind a regional map, against null maps; and the sets that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.api.inputs import numbers_of, settings_of, words_of
from falx.api.results import Result, new_drawing, percent
from falx.core.checks import Floats
from falx.core.errors import InputError, collect_notices
from falx.genes.association_study import AssociationStudy, Settings, gene_lists, study_map
from falx.genes.files import source_text
from falx.genes.nulls.generate import Positions
from falx.genes.sets.library import GeneSetLibrary, Origin, read_gmt, restrict
from falx.genes.sets.ora import OraResult, over_representation
from falx.genes.tables import Joined
from falx.report.figures import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Enrichment", "FoundSet", "GeneMap", "enrich", "pls"]


@dataclass(frozen=True, eq=False, repr=False)
class GeneMap(Result):
    """Partial least squares of a map on expression, judged against null maps.

    Parameters
    ----------
    genes
        Symbols, shape (p,); the arrays below follow them.
    z, q
        Weight in the first component over its bootstrap error, and its adjusted p.
    p
        Spatial p of each gene's correlation with the map.
    positive, negative
        Genes of the lists, by the rule of `list_rule`; they may be empty.
    study
        Everything else; see :class:`falx.genes.association_study.AssociationStudy`.
    """

    genes: tuple[str, ...]
    z: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    study: AssociationStudy
    notices: tuple[str, ...] = ()
    title = "Genes behind a map (PLS)"

    def _facts(self) -> Sequence[tuple[str, object]]:
        study = self.study
        explained = study.model.explained_variance
        return [
            ("regions, genes", f"{len(study.data.values)}, {len(self.genes)}"),
            ("null maps", f"{len(study.nulls)} ({study.nulls.method})"),
            *(
                (f"component {k}", f"{percent(float(share))} of the map, spatial P = {p:.3g}")
                for k, (share, p) in enumerate(zip(explained, study.component_p, strict=True), 1)
            ),
            ("genes with bootstrap q < 0.05", int((self.q < 0.05).sum())),
            ("genes with spatial q < 0.05", int((study.genes.q < 0.05).sum())),
            (
                "genes in the lists",
                f"{len(self.positive)} positive, {len(self.negative)} negative",
            ),
            ("first in the lists", ", ".join((*self.positive[:3], *self.negative[:3])) or "none"),
        ]

    def plot(self) -> Figure:
        """Draw the variance that the first component explains, beside that of the null maps."""
        figure, axis = new_drawing()
        chosen = self.study.comparisons[0]
        axis.hist(100 * chosen.null_r2, bins=40, color=GREY, label="null maps")
        share = 100 * float(self.study.model.explained_variance[0])
        axis.axvline(share, color=ORANGE, label=f"map, P = {chosen.p:.3g}")
        axis.set(xlabel="variance explained by the first component, %", ylabel="null maps")
        axis.legend(frameon=False)
        return figure


@dataclass(frozen=True)
class FoundSet:
    """A gene set: list genes in it, its size, enrichment over chance, p and adjusted p."""

    name: str
    overlap: int
    size: int
    factor: float
    p: float
    q: float


@dataclass(frozen=True, eq=False, repr=False)
class Enrichment(Result):
    """Gene sets by how much of a list they hold."""

    found: OraResult
    notices: tuple[str, ...] = ()

    def _heading(self) -> str:
        return f"Gene sets of {self.found.library}"

    def _facts(self) -> Sequence[tuple[str, object]]:
        found = self.found
        best: list[tuple[str, object]] = [
            (row.name, f"{row.overlap} of {row.size}, {row.factor:.1f} ×, q = {row.q:.3g}")
            for row in self.table[:5]
        ]
        return [
            ("genes in the list, tested", f"{found.list_size}, {found.universe_size}"),
            ("sets tested, with q < 0.05", f"{len(found.names)}, {int((found.q < 0.05).sum())}"),
            *best,
        ]

    @property
    def table(self) -> tuple[FoundSet, ...]:
        """One row a set, from the smallest p."""
        found = self.found
        return tuple(
            FoundSet(
                found.names[k],
                int(found.overlap[k]),
                int(found.set_size[k]),
                float(found.factor[k]),
                float(found.p[k]),
                float(found.q[k]),
            )
            for k in found.order()
        )

    def plot(self) -> Figure:
        """Draw the ten sets of smallest p."""
        rows = self.table[:10][::-1]
        figure, axis = new_drawing(7.0, 0.8 + 0.3 * len(rows))
        axis.barh(
            [row.name[:50] for row in rows],
            [-np.log10(max(row.q, 1e-300)) for row in rows],
            color=BLUE,
        )
        axis.set(xlabel="-log10 q")
        return figure


def pls(
    expression: npt.ArrayLike,
    values: npt.ArrayLike,
    centroids_mm: npt.ArrayLike,
    *,
    genes: Iterable[str] | None = None,
    regions: Iterable[str] | None = None,
    blocks: Iterable[str] | None = None,
    **choices: Any,
) -> GeneMap:
    """Relate a regional map to gene expression, on null maps that are as smooth as the map.

    Parameters
    ----------
    expression
        Shape (n, p), one row a region.
    values
        The map, shape (n,).
    centroids_mm
        Middle of every region, shape (n, 3), RAS+ mm.
    genes, regions
        Names of columns and rows; numbered if absent.
    blocks
        ``cortex``, ``subcortex`` … of every region, for nulls by block.
    choices
        See :class:`falx.genes.association_study.Settings`: ``null``, ``n_maps``, ``n_draws``,
        ``n_components``, ``list_rule``, ``seed``, …
    """
    X, y, places = _of_regions(expression, values, centroids_mm)
    n, symbols = len(y), _names(genes, X.shape[1], "gene", "genes")
    joined = Joined(
        _names(regions, n, "region", "regions"),
        symbols,
        y,
        X,
        Positions(places, _names(blocks, n, None, "blocks")),
        {},
    )
    with collect_notices() as notices:
        study = study_map(joined, settings_of(Settings, {"beside": (), **choices}))
        lists = gene_lists(study)
    return GeneMap(
        symbols,
        study.weights.z,
        study.weights.q,
        study.genes.p,
        lists.positive,
        lists.negative,
        study,
        tuple(notices),
    )


def _of_regions(
    expression: npt.ArrayLike, values: npt.ArrayLike, centroids_mm: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Return expression (n, p), map (n,) and centroids (n, 3) if they are of the same regions."""
    X = numbers_of(expression, "expression", ndim=2)
    y = numbers_of(values, "map")
    places = numbers_of(centroids_mm, "centroids_mm", ndim=2)
    n = len(y)
    if X.shape[0] != n or places.shape != (n, 3):
        raise InputError(
            "map, expression and centroids are not of the same regions",
            found=f"shapes {y.shape}, {X.shape} and {places.shape}",
            do="give one value, one row of genes and one x, y, z a region",
        )
    for name, table in (("map", y), ("expression", X), ("centroids_mm", places)):
        if not np.isfinite(table).all():
            raise InputError("values are missing", where=name, do="leave those regions out")
    return X, y, places


def enrich(
    genes: Iterable[str],
    sets: Mapping[str, Iterable[str]] | GeneSetLibrary | str | PathLike[str],
    universe: Iterable[str],
    *,
    smallest: int = 5,
    largest: int = 500,
) -> Enrichment:
    """Test gene sets for more genes of a list than chance would put there.

    Parameters
    ----------
    genes
        Symbols of the list, such as ``pls(...).positive``.
    sets
        Name to symbols, a library, or the path of a GMT file.
    universe
        Every gene that was tested, such as ``pls(...).genes``; a wider universe makes every
        brain-expressed set look enriched.
    smallest, largest
        Sets of other sizes among the tested genes are left out.
    """
    listed = words_of(genes, "genes")
    with collect_notices() as notices:
        tested = restrict(
            _library(sets), words_of(universe, "universe"), smallest=smallest, largest=largest
        )
        found = over_representation(listed, tested)
    return Enrichment(found, tuple(notices))


def _library(sets: Any) -> GeneSetLibrary:
    if isinstance(sets, GeneSetLibrary):
        return sets
    if isinstance(sets, str | PathLike):
        return read_gmt(source_text(Path(sets)))
    if not isinstance(sets, Mapping):
        raise InputError(
            "gene sets are needed",
            found=type(sets).__name__,
            do="give name to genes, or the path of a GMT file",
        )
    named = {str(name): words_of(members, str(name)) for name, members in sets.items()}
    return GeneSetLibrary("the given sets", named, Origin("given"))


def _names(given: Iterable[str] | None, n: int, stem: str | None, name: str) -> tuple[str, ...]:
    if given is None:
        return tuple(f"{stem}{k}" for k in range(1, n + 1)) if stem else ("all",) * n
    found = words_of(given, name)
    if len(found) != n:
        raise InputError(
            f"{name} differ in number from the table",
            found=f"{len(found)} and {n}",
            do="give one value for every row of the table",
        )
    return found
