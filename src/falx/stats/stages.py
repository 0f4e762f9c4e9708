"""Files in, files out for t maps: two groups, two groups of one kind, a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from falx.atlas import Atlas, region_means
from falx.errors import collect_notices
from falx.images.nifti import Image, write_json, write_text
from falx.images.resample import sample as sample_at
from falx.stats.cluster_table import ClusterRow, cluster_table
from falx.stats.design import Design, orthogonality, regression_design, two_sample_design
from falx.stats.group_maps import CORRECTIONS, GroupMap, InferenceOptions, compare
from falx.stats.map_sample import (
    MapSample,
    Selection,
    read_atlas,
    read_maps,
    sample_described,
    save_volume,
    tsv,
)
from falx.stats.sample import encode, people_of_kind, read_rows

__all__ = ["group_map_stage", "regression_map_stage", "subgroup_map_stage"]


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
    options = InferenceOptions(voxel_p, cluster_p, n_permutations=n_permutations)
    outputs = _Outputs(t_map, z_map, p_tfce_map, table, profile, summary)
    selection = Selection(
        group_column, (first, second), tuple(columns), tuple(measures), head_size, least_share,
        least_value,
    )  # fmt: skip
    with collect_notices() as notices:
        stacked = read_maps(maps, masks, metrics, participants, selection)
        design = two_sample_design(stacked.sample.groups, first, second, stacked.covariates)
        tested = _Tested(f"{first} - {second}", stacked, design, options, listed_by, seed)
        found = tested.run(read_atlas(atlas, atlas_labels), min_region_voxels, threads)
    outputs.write(tested, found, {"head_size": head_size, "notices": notices})


def subgroup_map_stage(
    *,
    maps: Mapping[str, Path],
    participants: Path,
    group_column: str,
    controls: str,
    subgroup_column: str,
    subgroup: str,
    **common: Any,
) -> None:
    """Compare the patients of one kind with the controls.

    Parameters
    ----------
    controls
        Entry of those who have no kind and stay.
    subgroup_column, subgroup
        Column of the participants table and the entry to keep, as ``epilepsy_type``, ``TLE``.
    common
        Everything else, as :func:`group_map_stage` takes it.
    """
    kept = people_of_kind(
        read_rows(participants),
        group_column=group_column,
        controls=controls,
        subgroup_column=subgroup_column,
        subgroup=subgroup,
    )
    chosen = {s: path for s, path in maps.items() if s in kept}
    group_map_stage(maps=chosen, participants=participants, group_column=group_column, **common)


def regression_map_stage(
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
    predictor: str,
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
    listed_by: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Regress maps on a column of the participants table, within groups.

    Parameters
    ----------
    predictor
        Column of numbers; people without one, such as controls without a duration, are left
        out. Groups keep a mean of their own, so that a difference of groups is no slope.
    resistant, sensitive, controls
        Groups that take part, empty where there is none.

    Other arguments are those of :func:`group_map_stage`.
    """
    options = InferenceOptions(voxel_p, cluster_p, n_permutations=n_permutations)
    outputs = _Outputs(t_map, z_map, p_tfce_map, table, profile, summary)
    groups = tuple(name for name in (resistant, sensitive, controls) if name)
    others = tuple(name for name in columns if name != predictor)
    selection = Selection(
        group_column, groups, others, tuple(measures), head_size, least_share, least_value
    )
    with collect_notices() as notices:
        stacked = read_maps(maps, masks, metrics, participants, selection, with_value=predictor)
        design = _slope(predictor, stacked, read_rows(participants))
        tested = _Tested(predictor, stacked, design, options, listed_by, seed)
        found = tested.run(read_atlas(atlas, atlas_labels), min_region_voxels, threads)
    outputs.write(tested, found, {"head_size": head_size, "notices": notices})


def _slope(predictor: str, stacked: MapSample, rows: Mapping[str, Mapping[str, str]]) -> Design:
    """Design of a slope within groups: each has a mean of its own."""
    people = stacked.sample
    values = encode(predictor, {s: rows[s][predictor] for s in people.subjects})
    means = {
        name: np.array([float(group == name) for group in people.groups])
        for name in list(dict.fromkeys(people.groups))[1:]
    }
    return regression_design(predictor, values, {**means, **stacked.covariates})


@dataclass(frozen=True, eq=False)
class _Found:
    """Map, clusters by region and mean t by region."""

    result: GroupMap
    clusters: tuple[ClusterRow, ...]
    profile: list[tuple[object, ...]]


@dataclass(frozen=True, eq=False)
class _Tested:
    """What is tested: the first column of a design."""

    name: str
    stacked: MapSample
    design: Design
    options: InferenceOptions
    listed_by: str
    seed: int

    def run(self, regions: Atlas, min_region_voxels: int, threads: int) -> _Found:
        """Test and list by region."""
        stacked = self.stacked
        result = compare(
            stacked.data,
            stacked.mask,
            self.design,
            self.contrast,
            np.random.default_rng(self.seed),
            options=self.options,
            threads=threads,
        )
        rows = cluster_table(
            result,
            result.significant(self.listed_by),
            stacked.mask,
            stacked.grid,
            regions,
            contrast=self.name,
            min_region_voxels=min_region_voxels,
        )
        return _Found(result, rows, _profile(result, stacked, regions))

    @property
    def contrast(self) -> np.ndarray[Any, Any]:
        """Weight one on the first column."""
        return self.design.contrast({self.design.names[0]: 1.0})

    def described(self) -> dict[str, Any]:
        """Return what the summary says of the test."""
        return {
            "contrast": self.name,
            "listed_by": self.listed_by,
            "seed": self.seed,
            "columns": self.design.names,
            "design": self.design.matrix,
            "orthogonality": [asdict(row) for row in orthogonality(self.design, self.contrast)],
            **sample_described(self.stacked),
        }


@dataclass(frozen=True)
class _Outputs:
    """Where a comparison is written."""

    t_map: Path
    z_map: Path
    p_tfce_map: Path
    table: Path
    profile: Path
    summary: Path

    def write(self, tested: _Tested, found: _Found, about: Mapping[str, Any]) -> None:
        """Write maps, tables and the summary."""
        result, stacked = found.result, tested.stacked
        tfce = result.p_tfce if result.p_tfce is not None else np.ones(len(result.fit.t))
        for path, values in (
            (self.t_map, result.fit.t), (self.z_map, result.fit.z), (self.p_tfce_map, 1.0 - tfce),
        ):  # fmt: skip
            save_volume(path, values, stacked, DegreesOfFreedom=result.fit.dof)
        write_text(self.table, tsv(ClusterRow.columns(), [astuple(r) for r in found.clusters]))
        write_text(self.profile, tsv(("label", "name", "mean_t", "n_voxels"), found.profile))
        write_json(self.summary, {**tested.described(), **about, **_described(result)})


def _profile(result: GroupMap, stacked: MapSample, atlas: Atlas) -> list[tuple[object, ...]]:
    """Mean t of every region; regions outside the mask have none."""
    t = np.full(stacked.mask.shape, np.nan, dtype=np.float32)
    t[stacked.mask] = result.fit.t
    points = stacked.grid.centres_mm()[stacked.mask]
    codes = sample_at(atlas.image, points, how="nearest")
    seen = atlas.select([int(code) for code in np.unique(codes) if code])
    found = region_means(Image(t, stacked.grid.affine), seen)
    values = {
        region.label: (mean, int(n))
        for region, mean, n in zip(seen.regions, found.values, found.n_voxels, strict=True)
    }
    return [
        (region.label, region.name, *values.get(region.label, (None, 0)))
        for region in atlas.regions
    ]


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
