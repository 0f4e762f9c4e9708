"""Files in, files out for group maps: two groups, or kinds of people, a slope, any difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas, region_means
from falx.atlas.files import load_group_atlas
from falx.core.errors import InputError, collect_notices
from falx.core.files import read_participants, write_json, write_table
from falx.core.participants import Participants
from falx.core.possible import Possible, check_possible
from falx.core.records import plain
from falx.core.table_formats import TextTable, write_forms
from falx.images.nifti import Image, save
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
from falx.maps.cluster_values import ClusterValue, cluster_values
from falx.maps.design import (
    Design,
    group_design,
    orthogonality,
    regression_design,
    two_sample_design,
)
from falx.maps.group_maps import GroupMap, compare
from falx.maps.group_summary import Asked, MapSummary, f_summary, facts, t_summary
from falx.maps.map_sample import MapSample, sample_described
from falx.maps.people.files import (
    SampleFiles,
    chosen_sample,
    measured_of,
    read_maps,
    read_sample,
    write_person_maps,
)
from falx.maps.people.person_maps import person_maps
from falx.maps.sample import encode, of_other_kind, without_value
from falx.maps.settings import InferenceOptions, Listing, SampleSettings
from falx.maps.sites import WithoutSite, without_each_site

__all__ = [
    "FFiles",
    "MapFiles",
    "Pair",
    "Subgroup",
    "TFiles",
    "anova_stage",
    "group_map_stage",
    "regression_map_stage",
    "save_volume",
    "subgroup_map_stage",
]

LEAST_PEOPLE = 4
"""A slope through fewer is not worth a map."""

P_IS = (
    "familywise P of {statistic} by permutation, from 0 to 1: the smaller, the surer; NaN "
    "outside the analysis mask"
)
NO_P = "nothing was computed: permutations were switched off (n_permutations = 1); NaN everywhere"


@dataclass(frozen=True)
class MapFiles(SampleFiles):
    """What every tested map reads and writes.

    Parameters
    ----------
    atlas, atlas_labels
        Inputs: label volume in the space of the maps and its table; the shipped structures
        if absent.
    table, table_latex, table_html
        Outputs: cluster table as TSV, and for print with the lines that explain it.
    summary
        Output: JSON with design, thresholds, smoothness, homogeneity and who was left out.
    person_maps
        Output: everybody's value at every voxel, for the page, on a coarser grid where people
        are many (npz); see :mod:`falx.maps.people.person_maps`.
    """

    atlas: Path | None
    atlas_labels: Path | None
    table: Path
    table_latex: Path
    table_html: Path
    summary: Path
    person_maps: Path


@dataclass(frozen=True)
class TFiles(MapFiles):
    """Files of a map of t.

    Parameters
    ----------
    t_map, z_map
        Outputs: maps, 0 outside the mask.
    p_tfce_map
        Output: familywise P of TFCE; NaN outside the mask, and everywhere without
        permutations, which its sidecar says.
    profile
        Output: mean t of every atlas region (TSV).
    values
        Output: mean of every person's map in every listed cluster (TSV).
    """

    t_map: Path
    z_map: Path
    p_tfce_map: Path
    profile: Path
    values: Path


@dataclass(frozen=True)
class FFiles(MapFiles):
    """Files of a map of F.

    Parameters
    ----------
    f_map, p_map
        Outputs: F, 0 outside the mask, and its familywise P, NaN there.
    """

    f_map: Path
    p_map: Path


@dataclass(frozen=True)
class Subgroup:
    """One kind of patients, who are compared with all controls.

    Parameters
    ----------
    subgroup_column, subgroup
        Column of the participants table and the entry to keep.
    controls
        Group of those who have no kind and stay.
    """

    subgroup_column: str
    subgroup: str
    controls: str


@dataclass(frozen=True)
class Pair:
    """Two groups that are compared; t is positive where the first is larger."""

    first: str
    second: str


def group_map_stage(
    files: TFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    pair: Pair,
    *,
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare two groups at every voxel.

    Parameters
    ----------
    title
        What the maps show, for printed tables.
    seed
        Of the permutations.
    """
    question = _Question(title, options, listing, seed, threads)
    _compare_two(files, sample, question, pair, read_participants(files.participants))


def subgroup_map_stage(
    files: TFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    kept: Subgroup,
    pair: Pair,
    *,
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Compare the patients of one kind with the controls, as :func:`group_map_stage` does."""
    people = read_participants(files.participants)
    out = of_other_kind(files.maps, people, group_column=sample.group_column, **asdict(kept))
    question = _Question(title, options, listing, seed, threads)
    _compare_two(files, sample, question, pair, people, out)


def regression_map_stage(
    files: TFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    listing: Listing,
    *,
    predictor: str,
    groups: tuple[str, ...],
    title: str,
    seed: int,
    threads: int = 1,
) -> None:
    """Regress maps on a column of the participants table, within groups.

    Parameters
    ----------
    predictor
        Column of numbers; people without one, such as controls without a duration, are left
        out. Groups keep a mean of their own, so that a difference of groups is no slope.
    groups
        Groups that take part.
    """
    people = read_participants(files.participants)
    others = replace(sample, columns=tuple(n for n in sample.columns if n != predictor))
    out = without_value(files.maps, people, predictor)
    question = _Question(title, options, listing, seed, threads)
    with collect_notices() as notices:
        measured = measured_of(files)
        chosen = chosen_sample(files, others, people, groups, measured, out)
        if len(chosen.subjects) < LEAST_PEOPLE:
            raise InputError(
                "too few people have a value to regress on",
                where=predictor,
                found=len(chosen.subjects),
                do="name a column of participants.tsv that holds numbers",
            )
        stacked = read_sample(files, others, chosen, measured)
        design = _slope(predictor, stacked, people)
        found = question.answer(predictor, stacked, design, files)
    _write(files, found, sample.head_size, notices)


def anova_stage(
    files: FFiles,
    sample: SampleSettings,
    options: InferenceOptions,
    *,
    groups: tuple[str, ...],
    title: str,
    min_region_voxels: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Ask at every voxel whether any of some groups differs.

    Listed are clusters whose permutation extent p is below ``cluster_p``.
    """
    with collect_notices() as notices:
        stacked = read_maps(files, sample, read_participants(files.participants), groups)
        design = group_design(stacked.sample.groups, stacked.covariates)
        contrasts = group_contrasts(design, len(set(groups)))
        found = compare_groups(
            stacked.data,
            stacked.mask,
            design,
            contrasts,
            np.random.default_rng(seed),
            options=options,
            groups=stacked.sample.groups,
            blocks=stacked.sample.blocks,
            threads=threads,
        )
        contrast = f"any difference of {', '.join(dict.fromkeys(stacked.sample.groups))}"
        space = TableSpace(
            stacked.mask,
            stacked.grid,
            load_group_atlas(files.atlas, files.atlas_labels),
            min_region_voxels,
        )
        rows = effect_table(found, found.significant(), space, contrast)
    save_volume(files.f_map, found.fit.f, stacked)
    _save_p(files.p_map, found.p_voxel, stacked, "F")
    write_person_maps(files.person_maps, person_maps(stacked, design, contrasts))
    asked = _asked(contrast, design, seed, sample.head_size, notices)
    summary = f_summary(asked, sample_described(stacked), found)
    _write_listed(files, title, EffectRow, rows, summary)


@dataclass(frozen=True, eq=False)
class _Found:
    """The question, the map of its first column, clusters by region and mean t by region."""

    name: str
    stacked: MapSample
    design: Design
    seed: int
    title: str
    listed_by: str
    result: GroupMap
    clusters: tuple[ClusterRow, ...]
    profile: list[tuple[object, ...]]

    def values(self) -> tuple[ClusterValue, ...]:
        """Return everybody's mean in every listed cluster."""
        sample, listed = self.stacked.sample, self.result.significant(self.listed_by)
        people = zip(sample.subjects, sample.groups, strict=True)
        model = (self.design, _shown(self.design, self.stacked))
        return cluster_values(self.stacked.data, people, listed, self.clusters, model)

    def sites(self) -> tuple[WithoutSite, ...]:
        """Return what is left of every listed cluster without each site, where sites are named."""
        stacked, named = self.stacked, self.stacked.sample.sites
        if named is None:
            return ()
        rows = [one.cluster.rows for one in self.result.significant(self.listed_by)]
        return without_each_site(stacked.data, self.design, _first(self.design), named, rows)


@dataclass(frozen=True)
class _Question:
    """How the first column of a design is tested and listed."""

    title: str
    options: InferenceOptions
    listing: Listing
    seed: int
    threads: int

    def answer(self, name: str, stacked: MapSample, design: Design, files: MapFiles) -> _Found:
        """Test and list by region."""
        result = compare(
            stacked.data,
            stacked.mask,
            design,
            _first(design),
            np.random.default_rng(self.seed),
            options=self.options,
            groups=stacked.sample.groups,
            blocks=stacked.sample.blocks,
            threads=self.threads,
        )
        atlas = load_group_atlas(files.atlas, files.atlas_labels)
        space = TableSpace(stacked.mask, stacked.grid, atlas, self.listing.min_region_voxels)
        by = self.listing.listed_by
        rows = cluster_table(result, result.significant(by), space, name)
        profile = _profile(result, stacked, atlas)
        return _Found(name, stacked, design, self.seed, self.title, by, result, rows, profile)


def _compare_two(
    files: TFiles,
    settings: SampleSettings,
    question: _Question,
    pair: Pair,
    people: Participants,
    out: Mapping[str, str] | None = None,
) -> None:
    """Compare two groups, without some people, and write what was found."""
    first, second = pair.first, pair.second
    with collect_notices() as notices:
        stacked = read_maps(files, settings, people, (first, second), out=out)
        design = two_sample_design(stacked.sample.groups, first, second, stacked.covariates)
        found = question.answer(f"{first} - {second}", stacked, design, files)
    _write(files, found, settings.head_size, notices)


def _slope(predictor: str, stacked: MapSample, people: Participants) -> Design:
    """Design of a slope within groups: each has a mean of its own."""
    sample = stacked.sample
    values = encode(predictor, {s: people.cell(s, predictor) for s in sample.subjects})
    means = {
        name: np.array([float(group == name) for group in sample.groups])
        for name in list(dict.fromkeys(sample.groups))[1:]
    }
    return regression_design(predictor, values, {**means, **stacked.covariates})


def _first(design: Design) -> npt.NDArray[np.float64]:
    """Weight one on the first column."""
    return design.contrast({design.names[0]: 1.0})


def _shown(design: Design, stacked: MapSample) -> npt.NDArray[np.float64]:
    """Weight one on what people's values keep: what is tested, and beside a slope their groups.

    Who is shown by group must not be made alike.
    """
    kept = {design.names[0], *stacked.sample.groups}
    return np.array([float(name in kept) for name in design.names])


def _asked(
    contrast: str, design: Design, seed: int, head_size: str, notices: Sequence[str]
) -> Asked:
    return Asked(
        contrast=contrast,
        columns=design.names,
        design=design.matrix,
        head_size=head_size,
        seed=seed,
        notices=tuple(notices),
    )


def _write(files: TFiles, found: _Found, head_size: str, notices: Sequence[str]) -> None:
    """Write maps, tables and the summary."""
    result, stacked, design = found.result, found.stacked, found.design
    for path, values in ((files.t_map, result.fit.t), (files.z_map, result.fit.z)):
        save_volume(path, values, stacked, DegreesOfFreedom=result.fit.dof)
    _save_p(files.p_tfce_map, result.p_tfce, stacked, "TFCE", DegreesOfFreedom=result.fit.dof)
    write_table(files.profile, ("label", "name", "mean_t", "n_voxels"), found.profile)
    columns = tuple(one.name for one in fields(ClusterValue))
    write_table(files.values, columns, [astuple(value) for value in found.values()])
    shown = person_maps(stacked, design, _shown(design, stacked))
    write_person_maps(files.person_maps, shown)
    summary = t_summary(
        _asked(found.name, design, found.seed, head_size, notices),
        sample_described(stacked),
        result,
        stacked.grid,
        listed_by=found.listed_by,
        orthogonality=tuple(orthogonality(design, _first(design))),
        sites=found.sites(),
    )
    _write_listed(files, found.title, ClusterRow, found.clusters, summary)


def _write_listed(
    files: MapFiles,
    title: str,
    kind: type[RegionRow],
    rows: Sequence[RegionRow],
    summary: MapSummary,
) -> None:
    """Write the summary, and below lines taken from it the table in its three forms."""
    for row in rows:
        check_possible(row, where=title)
    table = TextTable(
        f"{title}: {summary.contrast}",
        kind.columns(),
        [astuple(row) for row in rows],
        HEADINGS,
        (*facts(summary), ("table", files.table.stem)),
        "No cluster passes.",
    )
    write_forms(table, tsv=files.table, latex=files.table_latex, html=files.table_html)
    write_json(files.summary, plain(summary))


def save_volume(
    path: Path, values: npt.NDArray[np.floating], stacked: MapSample, **sidecar: object
) -> None:
    """Write values of the mask's voxels as a volume, zero elsewhere."""
    save(path, stacked.volume(values), stacked.grid.affine, sidecar=sidecar)


def _save_p(
    path: Path,
    p: npt.NDArray[np.floating] | None,
    stacked: MapSample,
    statistic: str,
    **sidecar: object,
) -> None:
    """Write a map of P, which has no value outside the mask, and none without permutations."""
    volume = stacked.volume(np.nan if p is None else p, outside=np.nan)
    told = NO_P if p is None else P_IS.format(statistic=statistic)
    said = {"Description": told, "Units": "probability", **sidecar}
    save(path, volume, stacked.grid.affine, sidecar=said, possible=Possible(0, 1))


def _profile(result: GroupMap, stacked: MapSample, atlas: Atlas) -> list[tuple[object, ...]]:
    """Mean t of every region; regions outside the mask have none."""
    t = stacked.volume(result.fit.t, outside=np.nan)
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
