"""Files in, files out for group maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.atlas import Atlas, load_atlas, region_means
from falx.data.priors import ATLAS_FILE, DATA
from falx.errors import InputError, collect_notices
from falx.grid import Grid, require_same
from falx.images.nifti import Image, load, load_mask, save, write_json, write_text
from falx.images.resample import sample as sample_at
from falx.stats.cluster_table import ClusterRow, cluster_table
from falx.stats.design import Design, orthogonality, two_sample_design
from falx.stats.group_maps import CORRECTIONS, GroupMap, InferenceOptions, common_mask, compare
from falx.stats.head_size import adjust_for_tiv, sample_homogeneity
from falx.stats.sample import Sample, read_rows, select_sample

__all__ = ["group_map_stage"]

SHIPPED_ATLAS = DATA / ATLAS_FILE
SHIPPED_LABELS = DATA / ATLAS_FILE.replace(".nii.gz", ".tsv")


def group_map_stage(
    *,
    maps: Mapping[str, Path],
    masks: Mapping[str, Path] | Path | None,
    metrics: Mapping[str, Path],
    participants: Path,
    atlas: Path | None,
    atlas_labels: Path | None,
    t_map: Path,
    z_map: Path,
    p_tfce_map: Path,
    table: Path,
    profile: Path,
    summary: Path,
    first: str,
    second: str,
    group_column: str,
    columns: Sequence[str],
    measures: Sequence[str],
    head_size: str,
    least_share: float,
    least_value: float,
    voxel_p: float,
    cluster_p: float,
    n_permutations: int,
    min_region_voxels: int,
    listed_by: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare two groups at every voxel.

    Parameters
    ----------
    maps, masks, metrics
        Inputs by subject: a map, the mask of its voxels, and what was measured beside it.
        One mask may serve for all; without any, voxels whose mean exceeds `least_value` are
        taken.
    participants
        Input: ``participants.tsv``.
    atlas, atlas_labels
        Inputs: label volume in the space of the maps and its table; the shipped structures
        if absent.
    t_map, z_map, p_tfce_map
        Outputs: maps; p is one minus the familywise p, so that larger is surer.
    table
        Output: cluster table (TSV).
    profile
        Output: mean t of every atlas region (TSV).
    summary
        Output: JSON with design, thresholds, smoothness, homogeneity and who was left out.
    columns, measures
        Covariates of the participants table and of the metrics.
    head_size
        ``ancova``, ``proportional``, ``residual`` or ``none``; see
        :func:`falx.stats.head_size.adjust_for_tiv`.
    least_share
        Share of people whose mask must hold a voxel.
    listed_by
        Correction whose clusters are listed: ``fsl``, ``spm``, ``extent`` or ``mass``.
    """
    with collect_notices() as notices:
        measured = {s: json.loads(Path(path).read_text()) for s, path in metrics.items()}
        sample = select_sample(
            list(maps),
            read_rows(participants),
            measured,
            group_column=group_column,
            groups=(first, second),
            columns=columns,
            measures=measures,
        )
        two_sample_design(sample.groups, first, second)  # before any image is read
        name = f"{first} - {second}"
        stacked = _stack(sample, maps, masks, least_share, least_value)
        tested, design = _design(sample, stacked, measured, head_size)
        contrast = design.contrast({name: 1.0})
        options = InferenceOptions(voxel_p, cluster_p, n_permutations=n_permutations)
        rng = np.random.default_rng(seed)
        result = compare(
            tested, stacked.mask, design, contrast, rng, options=options, threads=threads
        )
        regions = load_atlas(atlas or SHIPPED_ATLAS, atlas_labels if atlas else SHIPPED_LABELS)
        rows = cluster_table(
            result,
            result.significant(listed_by),
            stacked.mask,
            stacked.grid,
            regions,
            contrast=name,
            min_region_voxels=min_region_voxels,
        )
    _save_maps(result, stacked.mask, stacked.grid, t_map, z_map, p_tfce_map)
    write_text(table, _tsv(ClusterRow.columns(), [astuple(row) for row in rows]))
    profile_rows = _profile(result, stacked.mask, stacked.grid, regions)
    write_text(profile, _tsv(("label", "name", "mean_t", "n_voxels"), profile_rows))
    described = _sample_described(sample, stacked, design, contrast)
    listing = {"contrast": name, "listed_by": listed_by, "seed": seed, "head_size": head_size}
    write_json(summary, {**listing, **described, **_described(result), "notices": notices})


@dataclass(frozen=True, eq=False)
class _Stack:
    """Maps of a sample inside their common mask, shape (n, V)."""

    data: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    grid: Grid


def _design(
    sample: Sample, stacked: _Stack, measured: Mapping[str, Mapping[str, Any]], head_size: str
) -> tuple[npt.NDArray[np.float32], Design]:
    """Return maps and design once head size is accounted for."""
    covariates, data = dict(sample.covariates), stacked.data
    if head_size != "none":
        tiv = [measured[subject].get("tiv_ml") for subject in sample.subjects]
        if None in tiv:
            raise InputError("tiv_ml was not measured", do="choose none for head size")
        adjusted = adjust_for_tiv(data, np.array(tiv, dtype=float), head_size)
        data = adjusted.maps
        if adjusted.covariate is not None:
            covariates["tiv_ml"] = adjusted.covariate
    return data, two_sample_design(sample.groups, sample.first, sample.second, covariates)


def _sample_described(
    sample: Sample, stacked: _Stack, design: Design, contrast: npt.NDArray[np.float64]
) -> dict[str, Any]:
    alike = sample_homogeneity(stacked.data)
    return {
        "group_sizes": {g: sample.groups.count(g) for g in (sample.first, sample.second)},
        "subjects": dict(zip(sample.subjects, sample.groups, strict=True)),
        "left_out": sample.left_out,
        "columns": design.names,
        "design": design.matrix,
        "orthogonality": [asdict(row) for row in orthogonality(design, contrast)],
        "homogeneity_z": dict(zip(sample.subjects, alike.z, strict=True)),
        "odd_ones_out": [sample.subjects[k] for k in alike.outliers],
    }


def _stack(
    sample: Sample,
    maps: Mapping[str, Path],
    masks: Mapping[str, Path] | Path | None,
    least_share: float,
    least_value: float,
) -> _Stack:
    """Read the maps of the sample inside their common mask."""
    images = {s: load(maps[s]) for s in sample.subjects}
    first = images[sample.subjects[0]]
    for subject, image in images.items():
        require_same(f"sub-{subject}", image.grid, "the first map", first.grid)
    stack = np.stack([image.data for image in images.values()])
    if masks is None:
        mask = common_mask((stack.mean(axis=0) > least_value)[None])
    elif isinstance(masks, Path):
        held_by_all = load_mask(masks)
        require_same("the analysis mask", held_by_all.grid, "the maps", first.grid)
        mask = common_mask(held_by_all.data[None])
    else:
        held = np.stack([load(masks[s]).data > 0.5 for s in sample.subjects])
        mask = common_mask(held, least_share=least_share)
    return _Stack(stack[:, mask], mask, first.grid)


def _profile(
    result: GroupMap, mask: npt.NDArray[np.bool_], grid: Grid, atlas: Atlas
) -> list[tuple[object, ...]]:
    """Mean t of every region; regions outside the mask have none."""
    t = np.full(mask.shape, np.nan, dtype=np.float32)
    t[mask] = result.fit.t
    codes = sample_at(atlas.image, grid.centres_mm()[mask], how="nearest")
    seen = atlas.select([int(code) for code in np.unique(codes) if code])
    found = region_means(Image(t, grid.affine), seen)
    values = {
        region.label: (mean, int(n))
        for region, mean, n in zip(seen.regions, found.values, found.n_voxels, strict=True)
    }
    return [
        (region.label, region.name, *values.get(region.label, (None, 0)))
        for region in atlas.regions
    ]


def _save_maps(
    result: GroupMap, mask: npt.NDArray[np.bool_], grid: Grid, t: Path, z: Path, p: Path
) -> None:
    tfce = result.p_tfce if result.p_tfce is not None else np.ones(len(result.fit.t))
    described = {"DegreesOfFreedom": result.fit.dof}
    for path, values in ((t, result.fit.t), (z, result.fit.z), (p, 1.0 - tfce)):
        volume = np.zeros(mask.shape, np.float32)
        volume[mask] = values
        save(path, volume, grid.affine, sidecar=described)


def _described(result: GroupMap) -> dict[str, Any]:
    test = result.fsl_test
    return {
        "dof": result.fit.dof,
        "mask_voxels": len(result.fit.t),
        "options": asdict(result.options),
        "critical_t": result.critical_t,
        "fsl": {
            "fwhm_voxels": result.fsl.fwhm_voxels,
            "dlh": result.fsl.dlh,
            "least_cluster_voxels": test.least_extent,
            "expected_clusters": test.expected_clusters,
        },
        "spm": {"fwhm_voxels": result.spm.fwhm_voxels, "resels": result.resels},
        "largest_t": float(result.fit.t.max()),
        "smallest_t": float(result.fit.t.min()),
        "clusters": len(result.clusters),
        "significant": {by: len(result.significant(by)) for by in CORRECTIONS},
        "permutations": None if result.null is None else len(result.null.plan),
    }


def _tsv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Tab-separated text; BIDS writes n/a where there is nothing."""

    def cell(value: object) -> str:
        if value is None:
            return "n/a"
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    lines = [tuple(columns), *[tuple(cell(value) for value in row) for row in rows]]
    return "".join("\t".join(line) + "\n" for line in lines)
