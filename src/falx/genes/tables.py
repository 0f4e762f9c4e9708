"""Regional tables: a map's values, and ready region × gene matrices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas, region_means
from falx.core.errors import InputError, notify, side_in
from falx.core.grid import Side
from falx.core.tables import parse_matrix, parse_table
from falx.data.enigma import enigma_regions
from falx.genes.nulls.generate import Positions
from falx.genes.nulls.spin import centroid_points
from falx.genes.sets.library import SourceText
from falx.genes.symbols import present_names, repair_symbol
from falx.images.nifti import Image

__all__ = [
    "Expression",
    "Joined",
    "RegionTable",
    "block_of",
    "join",
    "named_places",
    "one_table",
    "placed",
    "read_expression",
    "read_region_table",
    "renamed",
    "table_of_map",
    "with_symbols",
]

Array = npt.NDArray[np.float64]
VALUE_COLUMNS = ("value", "t", "mean_t", "d", "cohens_d", "d_icv", "z", "mean")


@dataclass(frozen=True, eq=False)
class RegionTable:
    """A map by region.

    Attributes
    ----------
    centroids_mm
        RAS+ mm, shape (n, 3); NaN where not known.
    blocks
        ``cortex``, ``subcortex``, ``cerebellum``; ``all`` where not known.
    notes
        What the report must say, such as low coverage.
    sphere
        Unit vectors on the cortical sphere, shape (n, 3), NaN off the cortex; where not known,
        spins take the directions of the centroids.
    """

    name: str
    regions: tuple[str, ...]
    values: Array
    centroids_mm: Array
    blocks: tuple[str, ...]
    sides: tuple[Side | None, ...]
    notes: tuple[str, ...] = ()
    sphere: Array | None = None

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> RegionTable:
        """Keep some regions, in the order of `rows`, shape (k,)."""
        order = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            regions=tuple(self.regions[i] for i in order),
            values=self.values[order],
            centroids_mm=self.centroids_mm[order],
            blocks=tuple(self.blocks[i] for i in order),
            sides=tuple(self.sides[i] for i in order),
            sphere=None if self.sphere is None else self.sphere[order],
        )


@dataclass(frozen=True, eq=False)
class Expression:
    """A region × gene matrix; regions without data are rows of NaN."""

    name: str
    regions: tuple[str, ...]
    genes: tuple[str, ...]
    values: Array
    sha256: str = ""


@dataclass(frozen=True, eq=False)
class Joined:
    """A map and expression over the same regions, all values present.

    Attributes
    ----------
    left_out
        Region to the reason why it does not take part.
    """

    regions: tuple[str, ...]
    genes: tuple[str, ...]
    values: Array
    expression: Array
    positions: Positions
    left_out: Mapping[str, str]


def table_of_map(image: Image, atlas: Atlas, *, name: str = "map") -> RegionTable:
    """Average a map in the regions of an atlas; the atlas is resampled to the map."""
    means = region_means(image, atlas, where=name)
    low = [r.name for r, c in zip(atlas.regions, means.coverage, strict=True) if c < 0.5]
    notes: tuple[str, ...] = ()
    if low:
        notes = (
            f"less than half of {len(low)} regions lies inside the map: {', '.join(low[:5])}",
        )
    return RegionTable(
        name,
        tuple(r.name for r in atlas.regions),
        means.values,
        atlas.centroids_mm,
        tuple(block_of(r.structure) for r in atlas.regions),
        tuple(r.side for r in atlas.regions),
        notes,
    )


def block_of(structure: str | None) -> str:
    """Block of a region by the class that its label table gives.

    Examples
    --------
    >>> block_of("Subcortex"), block_of(None)
    ('subcortex', 'all')
    """
    if structure is None:
        return "all"
    lower = structure.lower()
    return next((b for b in ("subcortex", "cerebellum", "cortex") if b in lower), "subcortex")


def read_region_table(source: SourceText, *, column: str | None = None) -> RegionTable:
    """Read a table with a column of regions and one of values.

    Columns ``x_mm``, ``y_mm``, ``z_mm``, ``block`` (or ``structure``) and ``side`` (or
    ``hemisphere``) are used where present.

    Parameters
    ----------
    column
        Column of values; otherwise the first of :data:`VALUE_COLUMNS` that is there.
    """
    table = parse_table(source.text, where=source.name, pad=True)
    region = table.find("region", "name", "label", "structure")
    value = table.find(*([column] if column else VALUE_COLUMNS))
    if region is None or value is None:
        raise InputError(
            "the table needs a column of regions and one of values",
            where=source.name,
            found=", ".join(table.header),
            do="name them region and value, or give --column",
        )
    if not len(table):
        raise InputError(
            "the table has no rows", where=source.name, do="check the file and its separator"
        )
    names = table.texts(region)
    _check_once(names, source.name)
    if not all(names):
        raise InputError("a region has no name", where=source.name, do="name or remove its line")
    places = [table.find(name) for name in ("x_mm", "y_mm", "z_mm")]
    known = [table.numbers(name) for name in places if name is not None]
    n = len(names)
    block = table.find("block", *(["structure"] if region.lower() != "structure" else []))
    side = table.find("side", "hemisphere")
    return RegionTable(
        source.name,
        names,
        table.numbers(value),
        np.stack(known, axis=1) if len(known) == 3 else np.full((n, 3), np.nan),
        tuple(map(block_of, table.texts(block))) if block else ("all",) * n,
        tuple(map(_side, table.texts(side) if side else [""] * n, names)),
    )


def one_table(tables: Sequence[RegionTable]) -> RegionTable:
    """Join tables of different regions, such as cortical thickness and subcortical volume.

    Raises
    ------
    InputError
        If two of them hold the same region.
    """
    if len(tables) == 1:
        return tables[0]
    names = [name for table in tables for name in table.regions]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise InputError(
            "a region is in two of the tables",
            where=", ".join(table.name for table in tables),
            found=", ".join(twice[:5]),
            do="give tables of different regions, such as cortex and subcortex",
        )
    note = "the tables may hold different measures; --blocks keeps one class of regions"
    return RegionTable(
        ", ".join(table.name for table in tables),
        tuple(names),
        np.concatenate([table.values for table in tables]),
        np.concatenate([table.centroids_mm for table in tables]),
        tuple(block for table in tables for block in table.blocks),
        tuple(side for table in tables for side in table.sides),
        (*(told for table in tables for told in table.notes), note),
    )


def named_places(table: RegionTable) -> RegionTable:
    """Place regions that have no position by their Desikan–Killiany or subcortical name.

    Names count as ENIGMA, FreeSurfer and most tools write them: ``L_bankssts``,
    ``lh.bankssts``, ``ctx-lh-bankssts``, ``bankssts_left``; ``Lhippo``, ``Left-Hippocampus``. The
    positions are those of :func:`falx.data.enigma.enigma_regions`. Where one name is not known,
    the table stays as it is, since the others may mean another atlas.
    """
    if np.isfinite(table.centroids_mm).all():
        return table
    known = {_plain_name(region.name, region.side): region for region in enigma_regions()}
    found = [
        known.get(_plain_name(name, side))
        for name, side in zip(table.regions, table.sides, strict=True)
    ]
    rows = [i for i, region in enumerate(found) if region is not None]
    others = [table.regions[i] for i, region in enumerate(found) if region is None]
    if not rows or not all(map(_holds_no_tissue, others)):
        return table
    places = [region for region in found if region is not None]
    note = "positions of the regions are those of the Desikan–Killiany atlas, by their names"
    if others:
        note += f"; ventricles hold no tissue and are left out: {', '.join(others)}"
    return RegionTable(
        table.name,
        tuple(table.regions[i] for i in rows),
        table.values[rows],
        np.array([region.centroid_mm for region in places]),
        tuple(region.block for region in places),
        tuple(region.side for region in places),
        (*table.notes, note),
    )


def renamed(table: RegionTable, expression: Expression) -> RegionTable:
    """Call regions as the expression does, where both write the same names in another way.

    Nothing is renamed where one name is shared, or two regions would get one name.
    """
    if set(table.regions) & set(expression.regions):
        return table
    theirs = {_plain_name(name, _side("", name)): name for name in expression.regions}
    keys = [_plain_name(name, s) for name, s in zip(table.regions, table.sides, strict=True)]
    names = tuple(theirs.get(key, name) for key, name in zip(keys, table.regions, strict=True))
    changed = [pair for pair in zip(table.regions, names, strict=True) if pair[0] != pair[1]]
    if not changed or len(set(names)) < len(names) or len(theirs) < len(expression.regions):
        return table
    note = f"{len(changed)} regions are called as in the expression: " + ", ".join(
        f"{given} → {name}" for given, name in changed[:3]
    )
    return replace(table, regions=names, notes=(*table.notes, note))


_SUBCORTICAL = {
    "accumbensarea": "accumb", "accumbens": "accumb", "amygdala": "amyg", "caudate": "caud",
    "hippocampus": "hippo", "pallidum": "pal", "putamen": "put", "thalamus": "thal",
    "thalamusproper": "thal",
}  # fmt: skip
"""FreeSurfer's names to ENIGMA's."""


def _plain_name(name: str, side: Side | None) -> tuple[Side | None, str]:
    """Side and bare name of a region."""
    words = [w for w in re.findall(r"[a-z0-9]+", name.lower()) if w not in {"ctx", "cortex"}]
    bare = "".join(word for word in words if side_in(word) is None)
    if side is not None and bare[:1] == side[0] and bare[1:] in _SUBCORTICAL.values():
        bare = bare[1:]
    return side, _SUBCORTICAL.get(bare, bare)


def _holds_no_tissue(name: str) -> bool:
    return "vent" in name.lower()


def placed(table: RegionTable, atlas: Atlas) -> RegionTable:
    """Give every region of a table the place, block and side that an atlas has for its name.

    Raises
    ------
    InputError
        If the atlas does not know a region.
    """
    regions = {region.name: region for region in atlas.regions}
    unknown = [name for name in table.regions if name not in regions]
    if unknown:
        raise InputError(
            "the table has regions that the atlas does not know",
            where=table.name,
            found=", ".join(unknown[:5]),
            do="give the atlas that the table was made with",
        )
    places = [regions[name] for name in table.regions]
    return replace(
        table,
        centroids_mm=np.array([place.centroid_mm for place in places]),
        blocks=tuple(block_of(place.structure) for place in places),
        sides=tuple(place.side for place in places),
    )


def _side(text: str, name: str) -> Side | None:
    """Side that a cell states, else the one in the region's name."""
    first = text.strip().lower()[:1]
    stated: Side | None = "left" if first == "l" else "right" if first == "r" else None
    short = re.fullmatch(r"([LR])([a-z]+)", name)  # Lhippo, as ENIGMA writes it
    if stated is None and short and short[2] in {*_SUBCORTICAL.values(), "latvent"}:
        return "left" if short[1] == "L" else "right"
    return stated or side_in(name)


def read_expression(source: SourceText) -> Expression:
    """Read a ready matrix: regions as rows, genes as columns, region names in the first column.

    Raises
    ------
    InputError
        If a region or a gene occurs twice, or a value is not a number.
    """
    matrix = parse_matrix(source.text, where=source.name, what="expression")
    _check_once(matrix.rows, source.name)
    repeated = [gene for gene, n in Counter(matrix.columns).items() if n > 1]
    if repeated:
        raise InputError(
            "a gene occurs twice", where=source.name, found=repeated[:3], do="merge its columns"
        )
    return Expression(source.name, matrix.rows, matrix.columns, matrix.values, source.sha256)


def with_symbols(
    expression: Expression, aliases: Mapping[str, str]
) -> tuple[Expression, tuple[tuple[str, str, str], ...]]:
    """Call the genes of a matrix by their present symbols, with an account of every change.

    Raises
    ------
    InputError
        If no gene is left.
    """
    named = present_names(expression.genes, aliases)
    if not named.genes:
        raise InputError(
            "no identifier of the matrix is known",
            where=expression.name,
            found=", ".join(expression.genes[:3]),
            do="give --aliases with HGNC's complete set",
        )
    lost = len(expression.genes) - len(named.genes)
    if named.account:
        notify(
            "genes are called by their present symbols",
            where=expression.name,
            found=f"{len(named.account) - lost} converted, {lost} lost",
        )
    values = expression.values[:, list(named.rows)]
    return replace(expression, genes=named.genes, values=values), named.account


def join(
    table: RegionTable,
    expression: Expression,
    *,
    side: Side | None = None,
    blocks: Sequence[str] | None = None,
) -> Joined:
    """Bring a map and expression to the same regions.

    Regions without a value, without expression, off the chosen side or outside the chosen
    blocks are left out with the reason; genes with a hole in a region that is left are dropped.
    """
    row_of = {name: i for i, name in enumerate(expression.regions)}
    kept, left_out = _kept_regions(table, expression, side, blocks)
    if not kept:
        _refuse_empty(left_out, table.name)
        raise InputError(
            "map and expression share no region",
            where=table.name,
            found=f"{table.regions[0]!r} and {expression.regions[0]!r}",
            do="use the same atlas and region names for both",
        )
    X = expression.values[[row_of[table.regions[i]] for i in kept]]
    whole = _whole_genes(X, expression.name)
    centroids = table.centroids_mm[kept]
    if not np.isfinite(centroids).all():
        raise InputError(
            "the positions of the regions are not known",
            where=table.name,
            do="give columns x_mm, y_mm, z_mm, or the atlas",
        )
    sphere = table.sphere
    if sphere is None:
        sphere = centroid_points(table.centroids_mm, table.blocks, table.sides)
    positions = Positions(
        centroids,
        tuple(table.blocks[i] for i in kept),
        tuple(table.sides[i] for i in kept),
        sphere[kept],
        projected=table.sphere is None,
    )
    return Joined(
        tuple(table.regions[i] for i in kept),
        _without_dates(
            [g for g, w in zip(expression.genes, whole, strict=True) if w], expression.name
        ),
        table.values[kept],
        X[:, whole],
        positions,
        left_out,
    )


def _kept_regions(
    table: RegionTable,
    expression: Expression,
    side: Side | None,
    blocks: Sequence[str] | None,
) -> tuple[list[int], dict[str, str]]:
    """Rows of a table that take part, and the reason for every other region."""
    row_of = {name: i for i, name in enumerate(expression.regions)}
    empty = np.asarray(np.isnan(expression.values).all(axis=1))
    left_out: dict[str, str] = {}
    kept = []
    for i, name in enumerate(table.regions):
        if name not in row_of:
            left_out[name] = "the expression matrix does not have it"
        elif empty[row_of[name]]:
            left_out[name] = "no tissue sample lies in it"
        elif not np.isfinite(table.values[i]):
            left_out[name] = "the map has no value there"
        elif side is not None and table.sides[i] != side:
            left_out[name] = f"only the {side} side is analysed"
        elif blocks is not None and table.blocks[i] not in blocks:
            left_out[name] = f"only {', '.join(blocks)} is analysed"
        else:
            kept.append(i)
    return kept, left_out


def _check_once(names: Sequence[str], where: str) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise InputError(
            "a region occurs twice", where=where, found=twice[:3], do="keep one of its rows"
        )


def _whole_genes(X: Array, where: str) -> npt.NDArray[np.bool_]:
    """Genes with a value in every region, and not the same in all; told or refused otherwise."""
    if len(X) < 2:
        raise InputError(
            "too few regions for spatial statistics",
            where=where,
            found=f"{len(X)} regions that the map and the expression share",
            do="give a map of all regions of an atlas",
        )
    finite = np.asarray(np.isfinite(X).all(axis=0))
    varying = np.asarray(np.ptp(X, axis=0) > 0)
    whole: npt.NDArray[np.bool_] = np.logical_and(finite, varying)
    if not whole.any():
        raise InputError(
            "no gene has a value in every region, and varies",
            where=where,
            found=f"{X.shape[1]} genes in {len(X)} regions",
            do="leave out the regions with holes, or fill them when the matrix is made",
        )
    if not whole.all():
        notify(
            "genes without a value in every region, or constant, are dropped",
            where=where,
            found=int((~whole).sum()),
        )
    return whole


def _refuse_empty(left_out: Mapping[str, str], where: str) -> None:
    """Raise with the commonest reason, if the names are not to blame."""
    reason, n = Counter(left_out.values()).most_common(1)[0]
    if reason != "the expression matrix does not have it":
        raise InputError(
            "no region is left",
            where=where,
            found=f"{n} regions of which: {reason}",
            do="check --side, --blocks and the missing values",
        )


def _without_dates(genes: Sequence[str], where: str) -> tuple[str, ...]:
    """Turn spreadsheet dates back into symbols where only one is possible; tell of the others."""
    repaired = {gene: repair_symbol(gene) for gene in genes}
    dates = [gene for gene, symbol in repaired.items() if symbol != gene]
    times = Counter(repaired.values())
    certain = {g: s for g in dates if (s := repaired[g]) is not None and times[s] == 1}
    if dates:
        named = [f"{gene} → {certain.get(gene, '?')}" for gene in dates[:5]]
        notify(
            "a spreadsheet turned gene symbols into dates",
            where=where,
            found=", ".join(named),
            do="write the present symbol of those with a question mark",
        )
    return tuple(certain.get(gene, gene) for gene in genes)
