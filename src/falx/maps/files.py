"""Files in, files out for group maps: two groups, or kinds of people, a slope, any difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from falx.atlas.atlas import Atlas, region_means
from falx.core.errors import collect_notices
from falx.images.nifti import Image
from falx.core.files import write_json, write_text
from falx.images.resample import sample as sample_at
from falx.maps.anova import compare_groups, group_contrasts
from falx.maps.cluster_table import (
    HEADINGS,
    ClusterRow,
    EffectRow,
    RegionRow,
    TableSpace,
    cluster_table,
    effect_table,
)
from falx.maps.design import (
    Design,
    group_design,
    orthogonality,
    regression_design,
    two_sample_design,
)
from falx.maps.group_maps import GroupMap, InferenceOptions, compare
from falx.maps.group_summary import effect_described, facts, map_described
from falx.maps.map_sample import (
    MapSample,
    SampleArguments,
    read_atlas,
    read_maps,
    sample_described,
    save_volume,
)
from falx.maps.sample import encode, people_of_kind, read_rows
from falx.core.table_formats import TextTable, tsv, write_table

__all__ = [
    "MapArguments",
    "TArguments",
    "anova_stage",
    "group_map_stage",
    "regression_map_stage",
    "subgroup_map_stage",
]


class MapArguments(SampleArguments):
    """What every tested map takes, beside whose maps are read.

    Parameters
    ----------
    title
        What the maps show, for printed tables.
    atlas, atlas_labels
        Inputs: label volume in the space of the maps and its table; the shipped structures
        if absent.
    table, table_latex, table_html
        Outputs: cluster table as TSV, and for print with the lines that explain it.
    summary
        Output: JSON with design, thresholds, smoothness, homogeneity and who was left out.
    voxel_p, cluster_p, n_permutations
        See :class:`falx.maps.group_maps.InferenceOptions`.
    min_region_voxels
        See :class:`falx.maps.cluster_table.TableSpace`.
    seed
        Of the permutations.
    """

    title: str
    atlas: Path | None
    atlas_labels: Path | None
    table: Path
    table_latex: Path
    table_html: Path
    summary: Path
    voxel_p: float
    cluster_p: float
    n_permutations: int
    min_region_voxels: int
    seed: int


class TArguments(MapArguments):
    """What every map of t takes.

    Parameters
    ----------
    t_map, z_map, p_tfce_map
        Outputs: maps; p is one minus the familywise p, so that larger is surer.
    profile
        Output: mean t of every atlas region (TSV).
    listed_by
        Correction whose clusters are listed: ``fsl``, ``spm``, ``extent`` or ``mass``.
    """

    t_map: Path
    z_map: Path
    p_tfce_map: Path
    profile: Path
    listed_by: str


def group_map_stage(
    *, first: str, second: str, threads: int = 1, **given: Unpack[TArguments]
) -> None:
    """Compare two groups at every voxel.

    Parameters
    ----------
    first, second
        Groups; t is positive where the first is larger.
    given
        See :class:`TArguments`.
    """
    with collect_notices() as notices:
        stacked = read_maps(given, (first, second))
        design = two_sample_design(stacked.sample.groups, first, second, stacked.covariates)
        tested = _Tested(f"{first} - {second}", stacked, design, _options(given))
        found = tested.run(given, threads)
    _write(given, tested, found, notices)


def subgroup_map_stage(
    *,
    first: str,
    second: str,
    controls: str,
    subgroup_column: str,
    subgroup: str,
    threads: int = 1,
    **given: Unpack[TArguments],
) -> None:
    """Compare the patients of one kind with the controls.

    Parameters
    ----------
    controls
        Entry of those who have no kind and stay.
    subgroup_column, subgroup
        Column of the participants table and the entry to keep, as ``epilepsy_type``, ``TLE``.

    Other arguments are those of :func:`group_map_stage`.
    """
    kept = people_of_kind(
        read_rows(given["participants"]),
        group_column=given["group_column"],
        controls=controls,
        subgroup_column=subgroup_column,
        subgroup=subgroup,
    )
    given["maps"] = {s: path for s, path in given["maps"].items() if s in kept}
    group_map_stage(first=first, second=second, threads=threads, **given)


def regression_map_stage(
    *,
    predictor: str,
    resistant: str,
    sensitive: str,
    controls: str,
    threads: int = 1,
    **given: Unpack[TArguments],
) -> None:
    """Regress maps on a column of the participants table, within groups.

    Parameters
    ----------
    predictor
        Column of numbers; people without one, such as controls without a duration, are left
        out. Groups keep a mean of their own, so that a difference of groups is no slope.
    resistant, sensitive, controls
        Groups that take part, empty where there is none.
    given
        See :class:`TArguments`.
    """
    groups = [name for name in (resistant, sensitive, controls) if name]
    given["columns"] = [name for name in given["columns"] if name != predictor]
    with collect_notices() as notices:
        stacked = read_maps(given, groups, with_value=predictor)
        design = _slope(predictor, stacked, read_rows(given["participants"]))
        tested = _Tested(predictor, stacked, design, _options(given))
        found = tested.run(given, threads)
    _write(given, tested, found, notices)


def anova_stage(
    *,
    f_map: Path,
    p_map: Path,
    resistant: str,
    sensitive: str,
    controls: str,
    threads: int = 1,
    **given: Unpack[MapArguments],
) -> None:
    """Ask at every voxel whether any of three groups differs.

    Parameters
    ----------
    f_map, p_map
        Outputs: F, and one minus its familywise permutation p.
    resistant, sensitive, controls
        The groups.
    given
        See :class:`MapArguments`; listed are clusters whose permutation extent p is below
        ``cluster_p``.
    """
    with collect_notices() as notices:
        stacked = read_maps(given, (resistant, sensitive, controls))
        groups = stacked.sample.groups
        design = group_design(groups, stacked.covariates)
        found = compare_groups(
            stacked.data,
            stacked.mask,
            design,
            group_contrasts(design, len(set(groups))),
            np.random.default_rng(given["seed"]),
            options=_options(given),
            threads=threads,
        )
        title = f"any difference of {', '.join(dict.fromkeys(groups))}"
        rows = effect_table(found, found.significant(), _space(given, stacked), title)
    certain = 0.0 if found.p_voxel is None else 1.0 - found.p_voxel
    save_volume(f_map, found.fit.f, stacked)
    save_volume(p_map, np.broadcast_to(certain, found.fit.f.shape), stacked)
    about = {"contrast": title, **_asked(given, stacked, design, notices)}
    _write_listed(given, EffectRow, rows, about | effect_described(found))


def _options(given: MapArguments) -> InferenceOptions:
    return InferenceOptions(
        given["voxel_p"], given["cluster_p"], n_permutations=given["n_permutations"]
    )


def _space(given: MapArguments, stacked: MapSample) -> TableSpace:
    atlas = read_atlas(given["atlas"], given["atlas_labels"])
    return TableSpace(stacked.mask, stacked.grid, atlas, given["min_region_voxels"])


def _asked(
    given: MapArguments, stacked: MapSample, design: Design, notices: Sequence[str]
) -> dict[str, Any]:
    """Return what a summary says of the question: model, people, random draw."""
    return {
        "columns": design.names,
        "design": design.matrix,
        "head_size": given["head_size"],
        "seed": given["seed"],
        "notices": list(notices),
        **sample_described(stacked),
    }


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

    def run(self, given: TArguments, threads: int) -> _Found:
        """Test and list by region."""
        stacked = self.stacked
        result = compare(
            stacked.data,
            stacked.mask,
            self.design,
            self.contrast,
            np.random.default_rng(given["seed"]),
            options=self.options,
            threads=threads,
        )
        space = _space(given, stacked)
        rows = cluster_table(result, result.significant(given["listed_by"]), space, self.name)
        return _Found(result, rows, _profile(result, stacked, space.atlas))

    @property
    def contrast(self) -> np.ndarray[Any, Any]:
        """Weight one on the first column."""
        return self.design.contrast({self.design.names[0]: 1.0})


def _write(given: TArguments, tested: _Tested, found: _Found, notices: Sequence[str]) -> None:
    """Write maps, tables and the summary."""
    result, stacked = found.result, tested.stacked
    tfce = result.p_tfce if result.p_tfce is not None else np.ones(len(result.fit.t))
    for path, values in (
        (given["t_map"], result.fit.t),
        (given["z_map"], result.fit.z),
        (given["p_tfce_map"], 1.0 - tfce),
    ):
        save_volume(path, values, stacked, DegreesOfFreedom=result.fit.dof)
    write_text(given["profile"], tsv(("label", "name", "mean_t", "n_voxels"), found.profile))
    orthogonal = orthogonality(tested.design, tested.contrast)
    about = {
        "contrast": tested.name,
        "listed_by": given["listed_by"],
        "orthogonality": [asdict(row) for row in orthogonal],
        **_asked(given, stacked, tested.design, notices),
    }
    _write_listed(given, ClusterRow, found.clusters, about | map_described(result, stacked.grid))


def _write_listed(
    given: MapArguments,
    kind: type[RegionRow],
    rows: Sequence[RegionRow],
    summary: Mapping[str, Any],
) -> None:
    """Write the summary, and below lines taken from it the table in its three forms."""
    table = TextTable(
        f"{given['title']}: {summary['contrast']}",
        kind.columns(),
        [astuple(row) for row in rows],
        HEADINGS,
        (*facts(summary), ("table", given["table"].stem)),
        "No cluster passes.",
    )
    latex, html = given["table_latex"], given["table_html"]
    write_table(table, tsv=given["table"], latex=latex, html=html)
    write_json(given["summary"], summary)


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
