"""Regional tables: a map's values, and ready region × gene matrices."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas, region_means
from falx.core.errors import InputError, notify
from falx.core.grid import Side
from falx.genes.frames import read_frame
from falx.genes.nulls.generate import Positions
from falx.genes.nulls.spin import centroid_points
from falx.genes.sets.library import text_of
from falx.genes.symbols import repair_symbol
from falx.images.nifti import Image

__all__ = [
    "Expression",
    "Joined",
    "RegionTable",
    "block_of",
    "join",
    "read_expression",
    "read_region_table",
    "table_of_map",
]

Array = npt.NDArray[np.float64]
VALUE_COLUMNS = ("value", "t", "mean_t", "d", "cohens_d", "z", "mean")
CORTICAL = ("cortex", "cortical")


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
    """

    name: str
    regions: tuple[str, ...]
    values: Array
    centroids_mm: Array
    blocks: tuple[str, ...]
    sides: tuple[Side | None, ...]
    notes: tuple[str, ...] = ()


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


def _rows(path: Path | str) -> tuple[list[dict[str, str]], str]:
    text, digest = text_of(path)
    lines = text.splitlines()
    if not lines:
        raise InputError("the table is empty", where=Path(path).name)
    delimiter = "\t" if "\t" in lines[0] else ","
    return list(csv.DictReader(lines, delimiter=delimiter, restval="")), digest


def read_region_table(path: Path | str, *, column: str | None = None) -> RegionTable:
    """Read a table with a column of regions and one of values.

    Columns ``x_mm``, ``y_mm``, ``z_mm``, ``block`` (or ``structure``) and ``side`` (or
    ``hemisphere``) are used where present.

    Parameters
    ----------
    column
        Column of values; otherwise the first of :data:`VALUE_COLUMNS` that is there.
    """
    rows, _ = _rows(path)
    where = Path(path).name
    if not rows:
        raise InputError("the table has no rows", where=where)
    columns = {name.strip().lower(): name for name in rows[0] if name}
    region = next(
        (columns[n] for n in ("region", "name", "label", "structure") if n in columns), None
    )
    wanted = (column.lower(),) if column else VALUE_COLUMNS
    value = next((columns[n] for n in wanted if n in columns), None)
    if region is None or value is None:
        raise InputError(
            "the table needs a column of regions and one of values",
            where=where,
            found=", ".join(columns),
            do="name them region and value, or give --column",
        )
    names = tuple(row[region].strip() for row in rows)
    if len(set(names)) != len(names):
        raise InputError("a region occurs twice", where=where)
    values = np.array([_number(row[value], where) for row in rows])
    xyz = [columns.get(n, "") for n in ("x_mm", "y_mm", "z_mm")]
    known = all(xyz)
    centroids = (
        np.array([[_number(row[c], where) for c in xyz] for row in rows]) if known else None
    )
    block = columns.get("block") or (
        columns.get("structure") if region != columns.get("structure") else None
    )
    side = columns.get("side") or columns.get("hemisphere")
    return RegionTable(
        where,
        names,
        values,
        centroids if centroids is not None else np.full((len(names), 3), np.nan),
        tuple(block_of(row[block] if block else None) for row in rows),
        tuple(_side(row[side]) if side else None for row in rows),
    )


def _number(text: str, where: str) -> float:
    if text is None or text.strip() in {"", "NA", "NaN", "nan", "n/a"}:
        return float("nan")
    try:
        return float(text)
    except ValueError as error:
        raise InputError("a value is not a number", where=where, found=repr(text)) from error


def _side(text: str) -> Side | None:
    first = text.strip().lower()[:1]
    return "left" if first == "l" else "right" if first == "r" else None


def read_expression(path: Path | str) -> Expression:
    """Read a ready matrix: regions as rows, genes as columns, region names in the first column.

    Raises
    ------
    InputError
        If a region or a gene occurs twice, or a value is not a number.
    """
    import pandas as pd

    path = Path(path)
    if not path.exists():
        raise InputError(
            "the expression matrix does not exist",
            where=path,
            do="run: falx fetch enigma-expression, or give your own",
        )
    text, digest = text_of(path)
    separator = "\t" if ".tsv" in path.suffixes else ","
    table = read_frame(text, separator, where=path.name)
    words = [str(c) for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    if words:
        raise InputError("expression must be numbers", where=path.name, found=words[:3])
    genes = tuple(str(c) for c in table.columns)
    regions = tuple(str(r) for r in table.index)
    if len(set(regions)) != len(regions):
        raise InputError("a region occurs twice", where=path.name)
    # Readers of tables rename a second column X to X.1: the text itself decides.
    stated = text.split("\n", 1)[0].rstrip("\r").split(separator)[1:]
    repeated = (
        {g for g in stated if stated.count(g) > 1} if len(set(stated)) < len(stated) else set()
    )
    if repeated:
        raise InputError(
            "a gene occurs twice",
            where=path.name,
            found=sorted(repeated)[:3],
            do="merge its columns",
        )
    return Expression(path.name, regions, genes, table.to_numpy(dtype=np.float64), digest)


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
    sphere = centroid_points(table.centroids_mm, table.blocks, table.sides)
    positions = Positions(
        centroids,
        tuple(table.blocks[i] for i in kept),
        tuple(table.sides[i] for i in kept),
        sphere[kept],
        projected=True,
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


def _whole_genes(X: Array, where: str) -> npt.NDArray[np.bool_]:
    """Genes with a value in every region, and not the same in all; told or refused otherwise."""
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
