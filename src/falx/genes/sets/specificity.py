"""Cell and tissue specificity: tables of specific genes, and measures from a matrix.

SPM is a tissue's share of the profile's length; tau (Yanai et al. 2005) runs from 0 for a
housekeeping gene to 1 for a gene of one tissue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.tables import parse_matrix, parse_table
from falx.genes.sets.library import GeneSetLibrary, Origin, SourceText

__all__ = [
    "Specificity",
    "read_specificity",
    "read_tissue_expression",
    "specific_sets",
    "tissue_specificity",
]

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
    if len(tissues) < 2:
        raise InputError(
            "specificity needs at least two tissues",
            found=len(tissues),
            do="give a table of several; of one alone every gene would be specific",
        )
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
    source: SourceText, *, classes: tuple[str, ...] = ("specific", "selective")
) -> GeneSetLibrary:
    """Read a table of gene and tissue (or cell type) as gene sets.

    Columns ``gene`` and one of ``tissue``, ``cell``, ``type`` or ``class``; with both a tissue
    and a class column, only rows of the given classes count, as in PaGenBase tables.
    """
    table = parse_table(source.text, where=source.name, pad=True)
    gene = table.find("gene", "symbol", "gene_symbol")
    tissue = table.find("tissue", "cell", "celltype", "type", "class")
    kind = table.find("class")
    if gene is None or tissue is None:
        raise InputError(
            "the table needs a gene and a tissue column",
            where=source.name,
            found=", ".join(table.header),
            do="name the columns gene and tissue",
        )
    sets: dict[str, dict[str, None]] = {}
    for row in table.records():
        counted = kind in (None, tissue) or row[str(kind)].lower() in classes
        if counted and row[gene]:
            sets.setdefault(row[tissue], {})[row[gene]] = None
    stem = source.name.removesuffix(".gz").rpartition(".")[0] or source.name
    return GeneSetLibrary(
        stem, {name: tuple(genes) for name, genes in sets.items()}, source.origin()
    )


def read_tissue_expression(source: SourceText) -> GeneSetLibrary:
    """Read a gene × tissue table of expression, and take the genes specific to each tissue."""
    table = parse_matrix(source.text, where=source.name, what="expression")
    heard = table.values.sum(axis=1) > 0
    genes = tuple(gene for gene, kept in zip(table.rows, heard, strict=True) if kept)
    found = specific_sets(tissue_specificity(table.values[heard], genes, table.columns))
    return replace(found, origin=source.origin())
