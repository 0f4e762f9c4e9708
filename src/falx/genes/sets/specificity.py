"""Cell and tissue specificity: tables of specific genes, and measures from a matrix.

SPM is a tissue's share of the profile's length; tau (Yanai et al. 2005) runs from 0 for a
housekeeping gene to 1 for a gene of one tissue.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.genes.sets.library import GeneSetLibrary, Origin, text_of

__all__ = ["Specificity", "read_specificity", "specific_sets", "tissue_specificity"]

Array = npt.NDArray[np.float64]
SPM_SPECIFIC = 0.9


@dataclass(frozen=True, eq=False)
class Specificity:
    """Specificity of genes.

    Attributes
    ----------
    spm
        Shape (genes, tissues), each row of unit length.
    tau
        Shape (genes,).
    """

    genes: tuple[str, ...]
    tissues: tuple[str, ...]
    spm: Array
    tau: Array


def tissue_specificity(
    expression: npt.ArrayLike, genes: tuple[str, ...], tissues: tuple[str, ...]
) -> Specificity:
    """Measure specificity from a table of non-negative expression, shape (genes, tissues).

    Examples
    --------
    >>> tissue_specificity([[0.0, 3.0], [2.0, 2.0]], ("A", "B"), ("liver", "brain")).tau
    array([1., 0.])
    """
    x = np.asarray(expression, dtype=np.float64)
    if x.shape != (len(genes), len(tissues)):
        raise InputError("names do not fit the table", found=f"shape {x.shape}")
    if np.any(x < 0) or not np.isfinite(x).all():
        raise InputError(
            "expression must be finite and not negative",
            do="use TPM, not log values with a negative part",
        )
    largest = x.max(axis=1)
    if np.any(largest == 0):
        raise InputError(
            "genes are expressed nowhere", found=int((largest == 0).sum()), do="leave them out"
        )
    spm = x / np.linalg.norm(x, axis=1, keepdims=True)
    tau = (1.0 - x / largest[:, None]).sum(axis=1) / (x.shape[1] - 1)
    return Specificity(genes, tissues, spm, tau)


def specific_sets(specificity: Specificity, *, spm_above: float = SPM_SPECIFIC) -> GeneSetLibrary:
    """Genes specific to each tissue, as gene sets."""
    sets = {
        tissue: tuple(
            gene
            for gene, value in zip(specificity.genes, specificity.spm[:, t], strict=True)
            if value > spm_above
        )
        for t, tissue in enumerate(specificity.tissues)
    }
    kept = {tissue: genes for tissue, genes in sets.items() if genes}
    return GeneSetLibrary("tissue specificity", kept, Origin("computed"))


def read_specificity(
    path: Path | str, *, classes: tuple[str, ...] = ("specific", "selective")
) -> GeneSetLibrary:
    """Read a table of gene and tissue (or cell type) as gene sets.

    Columns ``gene`` and one of ``tissue``, ``cell``, ``type`` or ``class``; with both a tissue
    and a class column, only rows of the given classes count, as in PaGenBase tables.
    """
    text, digest = text_of(path)
    path = Path(path)
    delimiter = "\t" if "\t" in text.splitlines()[0] else ","
    rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    columns = {name.strip().lower(): name for name in rows[0]} if rows else {}
    gene = next((columns[n] for n in ("gene", "symbol", "gene_symbol") if n in columns), None)
    named = [columns[n] for n in ("tissue", "cell", "celltype", "type", "class") if n in columns]
    if gene is None or not named:
        raise InputError(
            "the table needs a gene and a tissue column", where=path.name, found=list(columns)
        )
    filtered = "class" in columns and named[0] != columns["class"]
    sets: dict[str, list[str]] = {}
    for row in rows:
        if filtered and row[columns["class"]].strip().lower() not in classes:
            continue
        if row[gene].strip():
            sets.setdefault(row[named[0]].strip(), []).append(row[gene].strip())
    return GeneSetLibrary(
        path.stem,
        {name: tuple(dict.fromkeys(genes)) for name, genes in sets.items()},
        Origin(path.name, digest),
    )
