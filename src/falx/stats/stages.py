"""Files in, files out for group maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.atlas import Atlas, load_atlas, region_means
from falx.errors import collect_notices
from falx.grid import Grid, require_same
from falx.images.nifti import Image, load, save, write_json, write_text
from falx.images.resample import sample as sample_at
from falx.stats.cluster_table import ClusterRow, cluster_table
from falx.stats.design import orthogonality, two_sample_design
from falx.stats.group_maps import CORRECTIONS, GroupMap, InferenceOptions, common_mask, compare
from falx.stats.sample import Sample, read_rows, select_sample

__all__ = ["group_map_stage"]


def group_map_stage(
    *,
    maps: Mapping[str, Path],
    masks: Mapping[str, Path] | None,
    metrics: Mapping[str, Path],
    participants: Path,
    atlas: Path,
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
        Without masks, voxels whose mean exceeds `least_value` are taken.
    participants
        Input: ``participants.tsv``.
    atlas, atlas_labels
        Inputs: label volume in the space of the maps and its table.
    t_map, z_map, p_tfce_map
        Outputs: maps; p is one minus the familywise p, so that larger is surer.
    table
        Output: cluster table (TSV).
    profile
        Output: mean t of every atlas region (TSV).
    summary
        Output: JSON with design, thresholds, smoothness and who was left out.
    columns, measures
        Covariates of the participants table and of the metrics.
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
        design = two_sample_design(sample.groups, first, second, sample.covariates)
        name = f"{first} - {second}"
        contrast = design.contrast({name: 1.0})
        data, mask, grid = _stack(sample, maps, masks, least_share, least_value)
        result = compare(
            data,
            mask,
            design,
            contrast,
            np.random.default_rng(seed),
            options=InferenceOptions(voxel_p, cluster_p, n_permutations=n_permutations),
            threads=threads,
        )
        regions = load_atlas(atlas, atlas_labels)
        rows = cluster_table(
            result,
            result.significant(listed_by),
            mask,
            grid,
            regions,
            contrast=name,
            min_region_voxels=min_region_voxels,
        )
        profile_rows = _profile(result, mask, grid, regions)
    _save_maps(result, mask, grid, t_map, z_map, p_tfce_map)
    write_text(table, _tsv(ClusterRow.columns(), [astuple(row) for row in rows]))
    write_text(profile, _tsv(("code", "region", "mean_t", "voxels", "coverage"), profile_rows))
    write_json(
        summary,
        {
            "contrast": name,
            "group_sizes": {g: sample.groups.count(g) for g in (first, second)},
            "left_out": sample.left_out,
            "columns": design.names,
            "orthogonality": [asdict(row) for row in orthogonality(design, contrast)],
            "seed": seed,
            **_described(result),
            "notices": notices,
        },
    )


def _stack(
    sample: Sample,
    maps: Mapping[str, Path],
    masks: Mapping[str, Path] | None,
    least_share: float,
    least_value: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], Grid]:
    """Read the maps of the sample inside their common mask, shape (n, V)."""
    images = {s: load(maps[s]) for s in sample.subjects}
    first = images[sample.subjects[0]]
    for subject, image in images.items():
        require_same(f"sub-{subject}", image.grid, "the first map", first.grid)
    stack = np.stack([image.data for image in images.values()])
    if masks is None:
        mask = common_mask((stack.mean(axis=0) > least_value)[None])
    else:
        held = np.stack([load(masks[s]).data > 0.5 for s in sample.subjects])
        mask = common_mask(held, least_share=least_share)
    return stack[:, mask], mask, first.grid


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
        region.label: (mean, int(n), share)
        for region, mean, n, share in zip(
            seen.regions, found.values, found.n_voxels, found.coverage, strict=True
        )
    }
    return [
        (region.label, region.name, *values.get(region.label, (None, 0, 0.0)))
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
