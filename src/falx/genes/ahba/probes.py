"""Probes: re-annotation and the intensity filter.

Both steps: Arnatkevičiūtė et al. 2019, NeuroImage 189:353.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.tables import Table
from falx.genes.ahba.files import AhbaFolder, Reannotation, whole_numbers
from falx.genes.ahba.losses import Ledger
from falx.genes.ahba.samples import Samples

__all__ = ["Probes", "above_background", "annotate"]


@dataclass(frozen=True, eq=False)
class Probes:
    """Probes by ascending id, with the gene that each measures."""

    ids: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.str_]
    entrez: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, keep: npt.ArrayLike) -> Probes:
        """Return chosen probes, by index or mask."""
        chosen = np.asarray(keep)
        return Probes(self.ids[chosen], self.symbols[chosen], self.entrez[chosen])

    def genes(self, key: str) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.intp]]:
        """Sorted genes, by ``symbols`` or ``entrez``, and each probe's number, (n_probes,)."""
        names, number = np.unique(getattr(self, key), return_inverse=True)
        return names, number.astype(np.intp)


def annotate(table: Table, reannotation: Reannotation | None, ledger: Ledger) -> Probes:
    """Give each probe its gene: from the re-annotation, or as Allen wrote it.

    Probes without an Entrez id are dropped.
    """
    ids = whole_numbers(table, "probe_id")
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    if reannotation is None:
        entrez = table.numbers("entrez_id")[order]
        symbols = np.array(table.texts("gene_symbol"))[order]
        reason = "the probe has no Entrez id"
    else:
        row = {name: i for i, name in enumerate(reannotation.probe_name)}
        names = table.texts("probe_name")
        found = [row.get(names[i], -1) for i in order]
        entrez = np.array([reannotation.entrez[i] if i >= 0 else np.nan for i in found])
        symbols = np.array([reannotation.symbol[i] if i >= 0 else "" for i in found])
        reason = "the re-annotation gives the probe no gene"
    kept = np.isfinite(entrez)
    if not kept.any():
        raise InputError(
            "no probe has a gene",
            where="Probes.csv",
            do="give the probe annotation that belongs to this download",
        )
    ledger.record("annotation", "probe", len(ids), int(kept.sum()), ids[~kept], reason)
    return Probes(ids[kept], symbols[kept], entrez[kept].astype(np.int64))


def above_background(
    folder: AhbaFolder,
    donors: Sequence[Samples],
    n_samples: dict[str, int],
    probes: Probes,
    threshold: float,
) -> npt.NDArray[np.bool_]:
    """Whether a probe is present in a share of the samples, donors pooled; shape (probes,).

    Parameters
    ----------
    donors
        Samples that count; mirrored copies count too.
    n_samples
        Columns of each donor's matrix.
    """
    present = np.zeros(len(probes))
    for samples in donors:
        calls = folder.matrix(
            samples.donor, "PACall", probes.ids, n_samples[samples.donor], dtype=np.uint8
        )
        weight = np.bincount(samples.column, minlength=n_samples[samples.donor])
        # Whole numbers below 2²⁴ are exact in single precision, and integers have no fast product.
        present += calls.astype(np.float32) @ weight.astype(np.float32)
    return np.asarray(present / sum(map(len, donors)) >= threshold)
