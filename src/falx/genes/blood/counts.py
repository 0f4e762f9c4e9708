"""Count tables and designs, checked before anything is fitted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError, notify
from falx.core.tables import Table, is_missing, parse_matrix
from falx.genes.sets.library import SourceText

__all__ = ["Counts", "check_design", "check_formula", "merge_symbols", "read_counts"]


@dataclass(frozen=True, eq=False)
class Counts:
    """RNA-seq counts, shape (genes, samples), whole and not negative."""

    values: npt.NDArray[np.int64]
    genes: tuple[str, ...]
    samples: tuple[str, ...]


def read_counts(source: SourceText) -> Counts:
    """Read counts: genes as rows, samples as columns, names in the first row and column.

    Raises
    ------
    InputError
        If values are fractional, negative, missing, or look normalised; if a name repeats.
    """
    name = source.name
    matrix = parse_matrix(source.text, where=name, what="counts")
    _check_values(matrix.values, matrix.rows, matrix.columns, name)
    if len(set(matrix.columns)) != len(matrix.columns):
        raise InputError(
            "a sample name occurs twice", where=name, do="give every sample a name of its own"
        )
    counts = Counts(matrix.values.astype(np.int64), matrix.rows, matrix.columns)
    return merge_symbols(counts, where=name)


def _check_values(
    values: npt.NDArray[np.float64], genes: Sequence[str], samples: Sequence[str], where: str
) -> None:
    if values.size == 0:
        raise InputError(
            "the count table is empty", where=where, do="give genes in rows and samples in columns"
        )
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
        raise InputError(
            "a sample has no counts",
            where=where,
            found=empty[:3],
            do="leave the sample out of the design and the table",
        )


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


def check_design(
    counts: Counts, design: Table, factor: str, contrast: tuple[str, str]
) -> dict[str, tuple[str, ...]]:
    """Order the design by the counts' samples and check the contrast.

    Parameters
    ----------
    design
        One row a sample, names in the first column.
    factor
        Column that holds the groups.
    contrast
        Group of interest and reference group.

    Returns
    -------
    dict
        Cells of every column but the first, in the order of the counts' samples.
    """
    names = design.texts(design.header[0])
    missing = [s for s in counts.samples if s not in names]
    extra = [s for s in names if s not in counts.samples]
    if missing or extra:
        raise InputError(
            "counts and design name different samples",
            where="design",
            found=f"without design: {missing[:3]}; without counts: {extra[:3]}",
            do="call every sample in the design as its column of the counts is called",
        )
    columns = design.header[1:]
    if factor not in columns:
        raise InputError(
            "the design has no such column",
            where="design",
            found=factor,
            do=f"choose one of {', '.join(columns)}",
        )
    rows = [names.index(sample) for sample in counts.samples]
    ordered = {name: tuple(design.texts(name)[i] for i in rows) for name in columns}
    _check_groups(Counter(ordered[factor]), contrast)
    return ordered


def _check_groups(sizes: Counter[str], contrast: tuple[str, str]) -> None:
    for level in contrast:
        if level not in sizes:
            raise InputError(
                "a group of the contrast is not in the design",
                where="design",
                found=level,
                do=f"choose two of {', '.join(sizes)}",
            )
        if sizes[level] < 2:
            raise InputError(
                "a group of the contrast has one sample",
                where="design",
                found=level,
                do="variation cannot be estimated; add samples",
            )
    lone = [level for level, n in sizes.items() if n == 1]
    if lone:
        notify("a group outside the contrast has one sample", where="design", found=lone)


def check_formula(formula: str, columns: Mapping[str, Sequence[str]], factor: str) -> None:
    """Raise unless a formula names columns of the design, all filled, and the compared one.

    Examples
    --------
    >>> check_formula("~ age + group", {"group": ["A"], "age": ["30"]}, "group")
    """
    # Names before a bracket are functions, those in quotation marks values of an argument.
    bare = re.sub(r"""(["']).*?\1""", "", formula)
    quoted = re.findall(r"`([^`]+)`", bare)
    words = re.findall(r"[^\W\d][\w.]*(?![\w.]*\s*[(=])", re.sub(r"`[^`]+`", "", bare))
    named = dict.fromkeys([*quoted, *words])
    unknown = [name for name in named if name not in columns]
    if unknown:
        raise InputError(
            "the formula names what is no column of the design",
            where=formula,
            found=", ".join(unknown),
            do=f"choose from {', '.join(columns)}",
        )
    if factor not in named:
        raise InputError(
            "the formula leaves out the column that is compared",
            where=formula,
            found=f"no {factor}",
            do=f"add + {factor}",
        )
    holes = [name for name in named if any(map(is_missing, columns[name]))]
    if holes:
        raise InputError(
            "a column of the formula has empty cells",
            where="design",
            found=", ".join(holes),
            do="fill them, or leave those samples out of counts and design",
        )
