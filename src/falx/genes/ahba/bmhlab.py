"""Expression by the six published steps (Arnatkeviciute et al. 2019, NeuroImage 189:353)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas
from falx.core.errors import InputError, check_option
from falx.genes.ahba.files import AhbaFolder, Reannotation
from falx.genes.ahba.losses import Ledger
from falx.genes.ahba.matching import labelled_voxels, match_by_class, match_nearest
from falx.genes.ahba.normalise import normalise
from falx.genes.ahba.probes import Probes, annotate
from falx.genes.ahba.regions import DonorSamples, aggregate, region_values
from falx.genes.ahba.samples import Samples, read_samples
from falx.genes.ahba.selection import Microarray, choose_probes, rnaseq_by_well
from falx.genes.ahba.shared_steps import (
    AhbaExpression,
    Coordinates,
    chosen_donors,
    drop_samples,
    filter_probes,
    finish,
    read_arrays,
)

__all__ = ["BLOCKS", "BmhlabOptions", "bmhlab_expression"]

BLOCKS = ("Lcortex", "LcortexSubcortex", "LcortexSubcortexSEPARATE", "LRcortex", "wholeBrain")


@dataclass(frozen=True)
class BmhlabOptions:
    """Options of the ``bmhlab`` mode.

    `rnaseq_above` is the cut of the correlation with RNA-seq that explains the published gene
    count; `block` says over which samples expression is normalised.
    """

    ibf_threshold: float = 0.5
    rnaseq_above: float = 0.2
    within_mm: float = 2.0
    matching: str = "bmhlab"
    block: str = "LcortexSubcortex"
    average: str = "samples"
    donors: tuple[str, ...] | None = None


def bmhlab_expression(
    folder: AhbaFolder,
    atlas: Atlas,
    *,
    reannotation: Reannotation,
    coordinates: Coordinates | None = None,
    options: BmhlabOptions | None = None,
) -> AhbaExpression:
    """Make the matrix by the six published steps; genes are keyed by Entrez id.

    Regions of the side that is not analysed have no samples.
    """
    opt = options or BmhlabOptions()
    check_option("block", opt.block, BLOCKS)
    ledger = Ledger()
    donors = chosen_donors(folder, opt.donors)
    tables = {donor: folder.table(donor, "SampleAnnot") for donor in donors}
    width = {donor: len(tables[donor]) for donor in donors}
    probes = annotate(folder.table(donors[0], "Probes"), reannotation, ledger)
    samples = {}
    for donor in donors:
        read = read_samples(donor, tables[donor], coordinates)
        outer = np.array([slab in {"BS", "CB"} for slab in read.slab])
        samples[donor] = drop_samples(read, ~outer, "slab", ledger)
    probes = filter_probes(
        folder, list(samples.values()), width, probes, opt.ibf_threshold, ledger
    )
    arrays = read_arrays(folder, samples, width, probes)
    rows, symbols = _bmhlab_probes(folder, arrays, probes, opt.rnaseq_above, ledger)
    chosen = {donors: {s: int(probes.ids[r]) for s, r in zip(symbols, rows, strict=True)}}
    labels = {d: _bmhlab_labels(samples[d], atlas, opt) for d in donors}
    normal = [_bmhlab_normalised(a, rows, labels[a.samples.donor], atlas, opt) for a in arrays]
    by_donor = np.stack([region_values(d, atlas.labels, "mean") for d in normal])
    check_option("average", opt.average, ("samples", "subjects"))
    over = "samples" if opt.average == "samples" else "donors"
    values = aggregate(normal, atlas.labels, over=over)
    return finish(values, by_donor, atlas, symbols, donors, labels, samples, chosen, ledger)


def _bmhlab_probes(
    folder: AhbaFolder,
    arrays: Sequence[Microarray],
    probes: Probes,
    above: float,
    ledger: Ledger,
) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    """Probe that agrees best with RNA-seq; genes that agree too little are dropped."""
    with_rna = [a for a in arrays if a.samples.donor in folder.rnaseq]
    if len(with_rna) < 2:
        raise InputError(
            "the published probe choice needs two donors with RNA-seq",
            where=folder.root,
            found=[a.samples.donor for a in with_rna],
            do="download rnaseq_donor9861 and 10021",
        )
    rnas = [folder.rna(a.samples.donor) for a in with_rna]
    score = rnaseq_by_well(with_rna, rnas, probes.entrez)
    names, number = probes.genes("entrez")
    rows = choose_probes("rnaseq", arrays, number, score)
    unscored = sorted(set(range(len(names))) - set(number[rows].tolist()))
    symbol_of = dict(zip(probes.entrez.tolist(), probes.symbols.tolist(), strict=True))
    ledger.record(
        "RNA-seq",
        "gene",
        len(names),
        len(rows),
        [symbol_of[int(names[g])] for g in unscored],
        "no RNA-seq in both donors",
    )
    weak = rows[~(score[rows] > above)]
    kept = rows[score[rows] > above]
    ledger.record(
        "RNA-seq",
        "gene",
        len(rows),
        len(kept),
        probes.symbols[weak],
        f"microarray and RNA-seq correlate no better than {above:g}",
    )
    if len(kept) == 0:
        raise InputError(
            "no gene passes the RNA-seq cut", found=f"rnaseq_above {above:g}", do="lower the cut"
        )
    return kept, tuple(str(s) for s in probes.symbols[kept])


def _bmhlab_labels(samples: Samples, atlas: Atlas, opt: BmhlabOptions) -> npt.NDArray[np.int32]:
    if check_option("matching", opt.matching, ("bmhlab", "nearest")) == "nearest":
        labels = match_nearest(samples.mni_mm, labelled_voxels(atlas), within_mm=opt.within_mm)
    else:
        labels = match_by_class(samples.mni_mm, samples.name, atlas, within_mm=opt.within_mm)
    region = {r.label: r for r in atlas.regions}
    if opt.block.startswith("L") and not opt.block.startswith("LR"):
        labels = np.array([n if n and region[int(n)].side == "left" else 0 for n in labels])
    if opt.block in {"Lcortex", "LRcortex"}:
        labels = np.array(
            [n if n and (region[int(n)].structure or "cortex") == "cortex" else 0 for n in labels]
        )
    return labels.astype(np.int32)


def _bmhlab_normalised(
    array: Microarray,
    rows: npt.NDArray[np.intp],
    labels: npt.NDArray[np.int32],
    atlas: Atlas,
    opt: BmhlabOptions,
) -> DonorSamples:
    kept = labels > 0
    structure = {r.label: r.structure or "cortex" for r in atlas.regions}
    groups = None
    if opt.block == "LcortexSubcortexSEPARATE":
        groups = tuple(structure[int(n)] for n in labels[kept])
    expression = normalise(array.expression[rows][:, kept], across="genes", method="srs_hazen")
    expression = normalise(expression, across="samples", method="srs_hazen", groups=groups)
    points = array.samples.mni_mm[kept]
    return DonorSamples(array.samples.donor, expression, labels[kept], points, None)
