"""What both pipelines share: donors, probe filter, and the matrix with its accounts.

The steps are those of Arnatkeviciute et al. 2019 (NeuroImage 189:353) and Markello et al. 2021
(eLife 10:e72129).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas
from falx.core.errors import InputError, check_option
from falx.genes.ahba.files import AhbaFolder
from falx.genes.ahba.losses import Ledger
from falx.genes.ahba.probes import Probes, above_background
from falx.genes.ahba.samples import Samples
from falx.genes.ahba.selection import Microarray

__all__ = [
    "AhbaExpression",
    "Coordinates",
    "chosen_donors",
    "drop_samples",
    "filter_probes",
    "finish",
    "read_arrays",
]

Array = npt.NDArray[np.float64]
Coordinates = dict[int, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class AhbaExpression:
    """A region × gene matrix and its accounts.

    Attributes
    ----------
    values
        Shape (regions, genes); regions without samples are NaN in every gene.
    labels, regions
        Atlas numbers and names.
    counts
        Matched samples, shape (regions, donors).
    by_donor
        Each donor's regional values before averaging, shape (donors, regions, genes).
    sample_labels
        Region of each retained sample (0 = none), by donor.
    samples
        The retained samples, by donor, in the order of `sample_labels`.
    probes
        Chosen probe of each gene by donor set; empty for averages.
    """

    values: Array
    labels: npt.NDArray[np.int32]
    regions: tuple[str, ...]
    genes: tuple[str, ...]
    donors: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    by_donor: Array
    sample_labels: dict[str, npt.NDArray[np.int32]]
    samples: dict[str, Samples]
    probes: dict[tuple[str, ...], dict[str, int]]
    ledger: Ledger


def chosen_donors(folder: AhbaFolder, asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the donors asked for, or all that are there."""
    donors = tuple(folder.microarray)
    if asked is None:
        return donors
    for donor in asked:
        check_option("donor", donor, donors)
    return asked


def drop_samples(
    samples: Samples, keep: npt.NDArray[np.bool_], step: str, ledger: Ledger
) -> Samples:
    """Keep some samples, `keep` of shape (n_samples,), and write the others down."""
    reasons = {
        "similarity": "the sample is unlike the donor's others",
        "side": "the side of the structure and the sign of x disagree",
        "slab": "brainstem and cerebellum are left out",
        "block": "outside the block that is analysed",
    }
    lost = samples.well_id[~keep]
    ledger.record(step, "sample", len(keep), int(keep.sum()), lost, reasons[step])
    return samples.take(keep)


def filter_probes(
    folder: AhbaFolder,
    samples: Sequence[Samples],
    width: dict[str, int],
    probes: Probes,
    threshold: float,
    ledger: Ledger,
) -> Probes:
    """Keep probes above background in a share of the samples; write the others down."""
    if threshold <= 0:
        return probes
    kept = above_background(folder, samples, width, probes, threshold)
    reason = f"above background in less than {threshold:.0%} of the samples"
    ledger.record("intensity", "probe", len(probes), int(kept.sum()), probes.ids[~kept], reason)
    left = probes.take(kept)
    lost = sorted(set(probes.symbols.tolist()) - set(left.symbols.tolist()))
    before = len(set(probes.symbols.tolist()))
    ledger.record("intensity", "gene", before, before - len(lost), lost, f"no probe is {reason}")
    return left


def read_arrays(
    folder: AhbaFolder, samples: dict[str, Samples], width: dict[str, int], probes: Probes
) -> list[Microarray]:
    """Read the expression of chosen probes and samples of every donor."""
    return [
        Microarray(
            folder.matrix(d, "MicroarrayExpression", probes.ids, width[d])[:, kept.column], kept
        )
        for d, kept in samples.items()
    ]


def finish(
    values: Array,
    by_donor: Array,
    atlas: Atlas,
    genes: tuple[str, ...],
    donors: tuple[str, ...],
    labels: dict[str, npt.NDArray[np.int32]],
    samples: dict[str, Samples],
    probes: dict[tuple[str, ...], dict[str, int]],
    ledger: Ledger,
) -> AhbaExpression:
    """Drop genes with a hole in a covered region, count samples, and close the accounts.

    `values` has the shape (n_regions, n_genes), `by_donor`
    (n_donors, n_regions, n_genes).
    """
    found = np.isfinite(values)
    covered: list[bool] = np.asarray(found.any(axis=1)).tolist()
    if not any(covered):
        raise InputError(
            "no sample lies in any region",
            where=atlas.name,
            do="check that the atlas is in MNI space",
        )
    whole: list[bool] = np.asarray(found[covered].all(axis=0)).tolist()
    lost = [gene for gene, kept in zip(genes, whole, strict=True) if not kept]
    ledger.record(
        "normalisation",
        "gene",
        len(genes),
        sum(whole),
        lost,
        "the gene is constant in a donor and has no normalised value",
    )
    regions = tuple(region.name for region in atlas.regions)
    _record_places(regions, covered, labels, samples, ledger)
    counts = np.stack([[(labels[d] == n).sum() for d in donors] for n in atlas.labels])
    kept_genes = tuple(gene for gene, kept in zip(genes, whole, strict=True) if kept)
    return AhbaExpression(
        values[:, whole],
        atlas.labels,
        regions,
        kept_genes,
        donors,
        counts.astype(np.int64),
        by_donor[:, :, whole],
        labels,
        samples,
        probes,
        ledger,
    )


def _record_places(
    regions: tuple[str, ...],
    covered: list[bool],
    labels: dict[str, npt.NDArray[np.int32]],
    samples: dict[str, Samples],
    ledger: Ledger,
) -> None:
    """Write down samples without a region and regions without a sample."""
    for donor, label in labels.items():
        outside = samples[donor].well_id[label == 0]
        left = len(label) - len(outside)
        reason = "no region of the atlas is near enough"
        ledger.record("matching", "sample", len(label), left, outside, reason)
    empty = [name for name, has in zip(regions, covered, strict=True) if not has]
    left = len(regions) - len(empty)
    reason = "no sample lies in the region"
    ledger.record("matching", "region", len(regions), left, empty, reason)
