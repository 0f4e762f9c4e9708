"""Count tables and designs, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.genes.frames import read_frame
from falx.genes.sets.library import text_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Counts", "check_design", "merge_symbols", "read_counts", "read_design"]


@dataclass(frozen=True, eq=False)
class Counts:
    """RNA-seq counts, shape (genes, samples), whole and not negative."""

    values: npt.NDArray[np.int64]
    genes: tuple[str, ...]
    samples: tuple[str, ...]


def _table(path: Path | str) -> pd.DataFrame:
    path = Path(path)
    if not path.exists():
        raise InputError("the table does not exist", where=path, do="check the path")
    tabs = ".tsv" in path.suffixes or ".txt" in path.suffixes
    return read_frame(text_of(path)[0], "\t" if tabs else ",", where=path.name)


def read_counts(path: Path | str) -> Counts:
    """Read counts: genes as rows, samples as columns, names in the first row and column.

    Raises
    ------
    InputError
        If values are fractional, negative, missing, or look normalised; if a name repeats.
    """
    import pandas as pd

    table = _table(path)
    name = Path(path).name
    words = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    if words:
        raise InputError(
            "counts must be numbers",
            where=name,
            found=f"column {words[0]!r}",
            do="leave annotation columns out",
        )
    values = table.to_numpy(dtype=np.float64)
    samples = tuple(str(c) for c in table.columns)
    genes = tuple(str(g) for g in table.index)
    _check_values(values, genes, samples, name)
    if len(set(samples)) != len(samples):
        raise InputError("a sample name occurs twice", where=name)
    return merge_symbols(Counts(values.astype(np.int64), genes, samples), where=name)


def _check_values(
    values: npt.NDArray[np.float64], genes: Sequence[str], samples: Sequence[str], where: str
) -> None:
    if values.size == 0:
        raise InputError("the count table is empty", where=where)
    problems = {
        "missing counts": ~np.isfinite(values),
        "negative counts": values < 0,
        "counts that are not whole": values != np.floor(values),
    }
    for what, wrong in problems.items():
        if wrong.any():
            g, s = np.argwhere(wrong)[0]
            raise InputError(
                f"the table holds {what}",
                where=where,
                found=f"{values[g, s]:g} for {genes[g]} in {samples[s]}",
                do="give raw counts, not TPM, FPKM or normalised values",
            )
    empty = [s for s, total in zip(samples, values.sum(axis=0), strict=True) if total == 0]
    if empty:
        raise InputError("a sample has no counts", where=where, found=empty[:3])


def merge_symbols(counts: Counts, *, where: object = "counts") -> Counts:
    """Drop Ensembl version suffixes; of several rows per gene keep that with most counts."""
    names = [g.split(".")[0] if g.startswith("ENS") else g.strip() for g in counts.genes]
    total = counts.values.sum(axis=1)
    best: dict[str, int] = {}
    for row in np.argsort(-total, kind="stable"):
        best.setdefault(names[row], int(row))
    if len(best) < len(names):
        repeated = sorted({g for g in names if names.count(g) > 1}) if len(names) < 5000 else []
        notify(
            f"{len(names) - len(best)} rows repeat a gene; the one with most counts is kept",
            where=where,
            found=", ".join(repeated[:5]) or None,
        )
    rows = np.array(sorted(best.values()))
    return Counts(counts.values[rows], tuple(names[i] for i in rows), counts.samples)


def read_design(path: Path | str) -> pd.DataFrame:
    """Read sample metadata: one row a sample, names in the first column."""
    table = _table(path)
    table.index = table.index.map(str)
    return table


def check_design(
    counts: Counts, design: pd.DataFrame, factor: str, contrast: tuple[str, str]
) -> pd.DataFrame:
    """Order the design by the counts' samples and check the contrast.

    Parameters
    ----------
    factor
        Column that holds the groups.
    contrast
        Group of interest and reference group.
    """
    missing = [s for s in counts.samples if s not in design.index]
    extra = [s for s in design.index if s not in counts.samples]
    if missing or extra:
        raise InputError(
            "counts and design name different samples",
            where="design",
            found=f"without design: {missing[:3]}; without counts: {extra[:3]}",
        )
    if factor not in design.columns:
        raise InputError(
            "the design has no such column",
            where="design",
            found=factor,
            do=f"choose one of {', '.join(map(str, design.columns))}",
        )
    ordered = design.loc[list(counts.samples)].copy()
    ordered[factor] = ordered[factor].astype(str)
    sizes = ordered[factor].value_counts()
    for level in contrast:
        if level not in sizes:
            raise InputError(
                "a group of the contrast is not in the design",
                where="design",
                found=level,
                do=f"choose two of {', '.join(sizes.index)}",
            )
        if sizes[level] < 2:
            raise InputError(
                "a group of the contrast has one sample",
                where="design",
                found=level,
                do="variation cannot be estimated; add samples",
            )
    lone = [str(level) for level, n in sizes.items() if n == 1]
    if lone:
        notify("a group outside the contrast has one sample", where="design", found=lone)
    return ordered
