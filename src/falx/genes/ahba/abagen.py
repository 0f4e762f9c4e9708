"""Expression as abagen makes it (Markello et al. 2021, eLife 10:e72129), with its options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas
from falx.core.errors import check_option
from falx.core.grid import Side
from falx.genes.ahba.files import AhbaFolder, Ontology, Reannotation
from falx.genes.ahba.losses import Ledger
from falx.genes.ahba.matching import LabelledVoxels, labelled_voxels, match_stepwise
from falx.genes.ahba.normalise import NORMALISATIONS, normalise
from falx.genes.ahba.probes import Probes, annotate
from falx.genes.ahba.regions import (
    AGGREGATIONS,
    MISSING,
    DonorSamples,
    aggregate,
    fill_missing,
    region_values,
)
from falx.genes.ahba.samples import (
    MIRRORS,
    Samples,
    mirror_samples,
    read_samples,
    side_agrees,
    structure_class,
    unlike_samples,
)
from falx.genes.ahba.selection import SELECTIONS, Microarray, choose_probes, rnaseq_by_structure
from falx.genes.ahba.shared_steps import (
    AhbaExpression,
    Coordinates,
    chosen_donors,
    drop_samples,
    filter_probes,
    finish,
    read_arrays,
)

__all__ = ["AbagenOptions", "abagen_expression"]

Array = npt.NDArray[np.float64]
CHOICES: dict[str, tuple[str, ...]] = {
    "probe_selection": SELECTIONS,
    "donor_probes": ("aggregate", "independent", "common"),
    "lr_mirror": MIRRORS,
    "missing": MISSING,
    "sample_norm": tuple(NORMALISATIONS),
    "gene_norm": tuple(NORMALISATIONS),
    "region_agg": ("donors", "samples"),
    "agg_metric": AGGREGATIONS,
}
OPTIONAL = ("lr_mirror", "missing")
ALIASES = {
    "demean": "center",
    "sig": "sigmoid",
    "scaled_sig": "scaled_sigmoid",
    "rs": "robust_sigmoid",
    "rsig": "robust_sigmoid",
    "scaled_robust_sigmoid": "srs",
    "scaled_rsig": "srs",
    "mixed_sig": "mixed_sigmoid",
}
"""Other words of abagen for a normalisation."""
SIDE_OF: dict[str, Side] = {"L": "left", "R": "right"}


@dataclass(frozen=True)
class AbagenOptions:
    """Options of the ``abagen`` mode, under abagen's names, other words and defaults.

    `exact` of older versions is `missing`: exact=True is None, exact=False is ``centroids``.
    """

    ibf_threshold: float = 0.5
    probe_selection: str = "diff_stability"
    donor_probes: str = "aggregate"
    sim_threshold: float | None = None
    lr_mirror: str | None = None
    missing: str | None = None
    tolerance: int = 2
    sample_norm: str = "srs"
    gene_norm: str = "srs"
    norm_matched: bool = True
    norm_structures: bool = False
    region_agg: str = "donors"
    agg_metric: str = "mean"
    use_atlas_info: bool = True
    donors: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            given = getattr(self, name)
            if given is None and name in OPTIONAL:
                continue
            word = "none" if given is None else ALIASES.get(given, given)
            object.__setattr__(self, name, check_option(name, word, known))


def abagen_expression(
    folder: AhbaFolder,
    atlas: Atlas,
    *,
    reannotation: Reannotation | None = None,
    coordinates: Coordinates | None = None,
    options: AbagenOptions | None = None,
) -> AhbaExpression:
    """Make the matrix as abagen does.

    Parameters
    ----------
    reannotation, coordinates
        From :mod:`falx.genes.ahba.files`; None uses Allen's own annotation or coordinates.
    """
    opt = options or AbagenOptions()
    ledger = Ledger()
    donors = chosen_donors(folder, opt.donors)
    ontology = {donor: folder.ontology(donor) for donor in donors}
    tables = {donor: folder.table(donor, "SampleAnnot") for donor in donors}
    width = {donor: len(tables[donor]) for donor in donors}
    probes = annotate(folder.table(donors[0], "Probes"), reannotation, ledger)
    samples = {
        donor: _abagen_samples(
            read_samples(donor, tables[donor], coordinates), ontology[donor], opt, ledger
        )
        for donor in donors
    }
    if opt.sim_threshold is not None:
        for donor in donors:
            full = folder.matrix(donor, "MicroarrayExpression", probes.ids, width[donor])
            unlike = unlike_samples(full[:, samples[donor].column], opt.sim_threshold)
            samples[donor] = drop_samples(samples[donor], ~unlike, "similarity", ledger)
    probes = filter_probes(
        folder, list(samples.values()), width, probes, opt.ibf_threshold, ledger
    )
    arrays = read_arrays(folder, samples, width, probes)
    arrays, genes, chosen = _one_probe_per_gene(folder, arrays, probes, opt, ledger)
    voxels = labelled_voxels(atlas)
    labelled = {
        a.samples.donor: _abagen_labels(a.samples, ontology[a.samples.donor], atlas, voxels, opt)
        for a in arrays
    }
    normal = [
        _normalised(a, labelled[a.samples.donor], ontology[a.samples.donor], opt) for a in arrays
    ]
    values, by_donor = _abagen_regions(normal, atlas, voxels, opt)
    return finish(values, by_donor, atlas, genes, donors, labelled, samples, chosen, ledger)


def _abagen_samples(
    samples: Samples, ontology: Ontology, opt: AbagenOptions, ledger: Ledger
) -> Samples:
    if opt.lr_mirror is not None:
        samples = mirror_samples(samples, ontology, opt.lr_mirror)
    return drop_samples(samples, side_agrees(samples, ontology), "side", ledger)


def _one_probe_per_gene(
    folder: AhbaFolder,
    arrays: Sequence[Microarray],
    probes: Probes,
    opt: AbagenOptions,
    ledger: Ledger,
) -> tuple[list[Microarray], tuple[str, ...], dict[tuple[str, ...], dict[str, int]]]:
    names, number = probes.genes("symbols")
    if opt.probe_selection == "average":
        sums = [np.zeros((len(names), a.expression.shape[1])) for a in arrays]
        for total, a in zip(sums, arrays, strict=True):
            np.add.at(total, number, a.expression)
        count = np.bincount(number)[:, None]
        averaged = [Microarray(t / count, a.samples) for t, a in zip(sums, arrays, strict=True)]
        return averaged, tuple(str(n) for n in names), {}
    rows, chosen = _probe_rows(folder, arrays, probes, number, opt)
    genes = sorted(set.intersection(*(set(number[r].tolist()) for r in rows)))
    lost = sorted(set(range(len(names))) - set(genes))
    ledger.record(
        "probe selection",
        "gene",
        len(names),
        len(genes),
        names[lost],
        f"{opt.probe_selection} gives no probe of the gene a score",
    )
    picked = [
        Microarray(a.expression[r[np.isin(number[r], genes)]], a.samples)
        for a, r in zip(arrays, rows, strict=True)
    ]
    return picked, tuple(str(names[g]) for g in genes), chosen


def _probe_rows(
    folder: AhbaFolder,
    arrays: Sequence[Microarray],
    probes: Probes,
    number: npt.NDArray[np.intp],
    opt: AbagenOptions,
) -> tuple[list[npt.NDArray[np.intp]], dict[tuple[str, ...], dict[str, int]]]:
    """Chosen probe rows of each donor, genes ascending, and the choice by donor set."""

    def choose(group: Sequence[Microarray]) -> npt.NDArray[np.intp]:
        score = None
        if opt.probe_selection == "rnaseq":
            with_rna = [a for a in group if a.samples.donor in folder.rnaseq]
            rnas = [folder.rna(a.samples.donor) for a in with_rna]
            score = rnaseq_by_structure(with_rna, rnas, probes.symbols.tolist())
        return choose_probes(opt.probe_selection, group, number, score)

    def named(rows: npt.NDArray[np.intp]) -> dict[str, int]:
        return {str(probes.symbols[i]): int(probes.ids[i]) for i in rows}

    everyone = tuple(a.samples.donor for a in arrays)
    if opt.donor_probes == "aggregate":
        rows = choose(arrays)
        return [rows] * len(arrays), {everyone: named(rows)}
    own = [choose([a]) for a in arrays]
    if opt.donor_probes == "independent":
        return own, {(d,): named(r) for d, r in zip(everyone, own, strict=True)}
    votes = np.bincount(np.concatenate(own), minlength=len(probes))
    rows = choose_probes("rnaseq", arrays, number, np.where(votes > 0, votes, np.nan))
    return [rows] * len(arrays), {(d,): named(r) for d, r in zip(everyone, own, strict=True)}


def _kinds(samples: Samples, ontology: Ontology) -> tuple[tuple[Side | None, str], ...]:
    classes = structure_class(samples, ontology)
    sides = [SIDE_OF.get(ontology.hemisphere.get(int(s), "")) for s in samples.structure_id]
    return tuple(zip(sides, classes, strict=True))


def _abagen_labels(
    samples: Samples,
    ontology: Ontology,
    atlas: Atlas,
    voxels: LabelledVoxels,
    opt: AbagenOptions,
) -> npt.NDArray[np.int32]:
    kinds = _kinds(samples, ontology) if opt.use_atlas_info else None
    return match_stepwise(samples.mni_mm, atlas, voxels, tolerance_mm=opt.tolerance, kinds=kinds)


def _normalised(
    array: Microarray, labels: npt.NDArray[np.int32], ontology: Ontology, opt: AbagenOptions
) -> DonorSamples:
    kept = labels > 0 if opt.norm_matched else np.ones(len(labels), dtype=np.bool_)
    samples = array.samples.take(kept)
    groups = structure_class(samples, ontology) if opt.norm_structures else None
    expression = normalise(array.expression[:, kept], across="genes", method=opt.sample_norm)
    expression = normalise(expression, across="samples", method=opt.gene_norm, groups=groups)
    kinds = _kinds(samples, ontology) if opt.use_atlas_info else None
    return DonorSamples(samples.donor, expression, labels[kept], samples.mni_mm, kinds)


def _abagen_regions(
    donors: Sequence[DonorSamples], atlas: Atlas, voxels: LabelledVoxels, opt: AbagenOptions
) -> tuple[Array, Array]:
    """Regional means, and each donor's regional values."""
    labels = atlas.labels
    by_donor = np.stack([region_values(d, labels, opt.agg_metric) for d in donors])
    if opt.missing == "interpolate":
        for donor, table in zip(donors, by_donor, strict=True):
            for row in np.flatnonzero(~np.isin(labels, donor.labels)):
                filling = fill_missing(donor, atlas.regions[row], atlas, voxels, "interpolate")
                if filling is not None:
                    table[row] = filling.values
        return _mean_of_donors(by_donor, opt.agg_metric), by_donor
    values = aggregate(donors, labels, over=opt.region_agg, metric=opt.agg_metric)
    if opt.missing == "centroids":
        for row in np.flatnonzero(~np.isin(labels, np.concatenate([d.labels for d in donors]))):
            found = [
                fill_missing(d, atlas.regions[row], atlas, voxels, "centroids") for d in donors
            ]
            serving = [f for f in found if f is not None]
            if serving:
                weight = np.array([1.0 / f.distance_mm for f in serving])
                values[row] = weight @ np.stack([f.values for f in serving]) / weight.sum()
    return values, by_donor


def _mean_of_donors(by_donor: Array, metric: str) -> Array:
    present = np.asarray(np.isfinite(by_donor).any(axis=2))
    out = np.full(by_donor.shape[1:], np.nan)
    combine = np.mean if metric == "mean" else np.median
    for row in np.flatnonzero(np.any(present, axis=0)):
        out[row] = combine(by_donor[:, row][present[:, row]], axis=0)
    return out
