"""Files in, files out for F maps of any number of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from falx.atlas import Atlas
from falx.errors import collect_notices
from falx.grid import apply_affine
from falx.images.nifti import write_json, write_text
from falx.images.resample import sample as sample_at
from falx.stats.anova import EffectMap, compare_groups, group_contrasts
from falx.stats.cluster_table import region_name, regions_of
from falx.stats.design import group_design
from falx.stats.group_maps import InferenceOptions
from falx.stats.map_sample import (
    MapSample,
    Selection,
    read_atlas,
    read_maps,
    sample_described,
    save_volume,
    tsv,
)

__all__ = ["EffectRow", "anova_stage"]


@dataclass(frozen=True)
class EffectRow:
    """One region inside one cluster of F; coordinates as in the tables of t."""

    contrast: str
    cluster: int
    cluster_voxels: int
    cluster_ml: float
    p_extent: float | None
    p_mass: float | None
    region: str
    code: int
    x_mm: float
    y_mm: float
    z_mm: float
    voxels: int
    f: float
    q: float
    p_voxel: float | None


def anova_stage(
    *,
    maps: Mapping[str, Path],
    masks: Mapping[str, Path] | Path | None,
    metrics: Mapping[str, Path],
    participants: Path,
    atlas: Path | None,
    atlas_labels: Path | None,
    f_map: Path,
    p_map: Path,
    table: Path,
    summary: Path,
    resistant: str,
    sensitive: str,
    controls: str,
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
    seed: int,
    threads: int = 1,
) -> None:
    """Ask at every voxel whether any of three groups differs.

    Parameters
    ----------
    f_map, p_map
        Outputs: F, and one minus its familywise permutation p.
    table, summary
        Outputs: clusters whose permutation extent p is below `cluster_p`, by region (TSV),
        and design, degrees of freedom and people (JSON).
    resistant, sensitive, controls
        The groups.

    Other arguments are those of :func:`falx.stats.stages.group_map_stage`.
    """
    options = InferenceOptions(voxel_p, cluster_p, n_permutations=n_permutations)
    selection = Selection(
        group_column, (resistant, sensitive, controls), tuple(columns), tuple(measures),
        head_size, least_share, least_value,
    )  # fmt: skip
    with collect_notices() as notices:
        stacked = read_maps(maps, masks, metrics, participants, selection)
        design = group_design(stacked.sample.groups, stacked.covariates)
        found = compare_groups(
            stacked.data,
            stacked.mask,
            design,
            group_contrasts(design, len(set(stacked.sample.groups))),
            np.random.default_rng(seed),
            options=options,
            threads=threads,
        )
        rows = _rows(found, stacked, read_atlas(atlas, atlas_labels), min_region_voxels)
    certain = 0.0 if found.p_voxel is None else 1.0 - found.p_voxel
    save_volume(f_map, found.fit.f, stacked)
    save_volume(p_map, np.broadcast_to(certain, found.fit.f.shape), stacked)
    write_text(table, tsv([f.name for f in fields(EffectRow)], [astuple(row) for row in rows]))
    model = {"columns": design.names, "design": design.matrix, "head_size": head_size}
    about = {"contrast": _title(stacked), "seed": seed, "notices": notices}
    write_json(summary, {**about, **model, **sample_described(stacked), **_described(found)})


def _title(stacked: MapSample) -> str:
    return f"any difference of {', '.join(dict.fromkeys(stacked.sample.groups))}"


def _rows(found: EffectMap, stacked: MapSample, atlas: Atlas, least: int) -> list[EffectRow]:
    points = apply_affine(stacked.grid.affine, np.argwhere(stacked.mask))
    codes = sample_at(atlas.image, points, how="nearest").astype(np.int64)
    voxel_ml = stacked.grid.voxel_volume_mm3 / 1000.0
    rows = []
    for number, one in enumerate(found.significant(), start=1):
        for code, members in regions_of(one.cluster.rows, codes, least):
            peak = int(members[np.argmax(found.fit.f[members])])
            x, y, z = (float(value) for value in points[peak])
            rows.append(
                EffectRow(
                    _title(stacked), number, one.cluster.extent, one.cluster.extent * voxel_ml,
                    one.p_extent, one.p_mass, region_name(code, points[peak], atlas), code,
                    x, y, z, len(members), float(found.fit.f[peak]), float(found.q[peak]),
                    None if found.p_voxel is None else float(found.p_voxel[peak]),
                )
            )  # fmt: skip
    return rows


def _described(found: EffectMap) -> dict[str, Any]:
    return {
        "dof_effect": found.fit.dof_effect,
        "dof": found.fit.dof_error,
        "mask_voxels": len(found.fit.f),
        "options": asdict(found.options),
        "critical_f": found.critical_f,
        "largest_f": float(found.fit.f.max()),
        "clusters": len(found.clusters),
        "significant": len(found.significant()),
        "permutations": found.permutations,
    }
