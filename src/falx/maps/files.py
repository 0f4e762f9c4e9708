"""Files in, files out for group maps: two groups, or kinds of people, a slope, any difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas, region_means
from falx.core.errors import collect_notices, notify
from falx.core.files import write_json, write_table
from falx.core.table_formats import TextTable, write_forms
from falx.images.nifti import Image
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
    nearest_region,
)
from falx.maps.design import (
    Design,
    group_design,
    orthogonality,
    regression_design,
    two_sample_design,
)
from falx.maps.deviation import Deviation, control_deviation, leave_one_out_deviation
from falx.maps.deviation_contrast import compare_deviations
from falx.maps.group_maps import GroupMap, InferenceOptions, compare
from falx.maps.group_summary import effect_described, facts, map_described
from falx.maps.linear import t_to_z
from falx.maps.map_sample import (
    MapSample,
    SampleArguments,
    read_atlas,
    read_maps,
    sample_described,
    save_volume,
)
from falx.maps.sample import encode, people_of_kind, read_rows

__all__ = [
    "BEYOND_Z",
    "MapArguments",
    "TArguments",
    "anova_stage",
    "deviation_stage",
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
    write_table(given["profile"], ("label", "name", "mean_t", "n_voxels"), found.profile)
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
    write_forms(table, tsv=given["table"], latex=latex, html=html)
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


BEYOND_Z = 1.96
"""A voxel beyond this deviates; 5 % of a control's voxels do by chance."""

INDEX_END = "_maps.tsv"


@dataclass(frozen=True)
class _Cell:
    """Patients of a group, or of one kind in it, whose maps are averaged."""

    group: str
    kind: str
    rows: tuple[int, ...]

    @property
    def title(self) -> str:
        return f"{self.group}, {self.kind}" if self.kind else self.group


def deviation_stage(
    *,
    index: Path,
    summary: Path,
    resistant: str,
    sensitive: str,
    controls: str,
    deviation: str,
    subgroup_column: str,
    temporal: str,
    generalised: str,
    atlas: Path | None,
    atlas_labels: Path | None,
    n_permutations: int,
    seed: int,
    threads: int = 1,
    **given: Unpack[SampleArguments],
) -> None:
    """Write how far every patient lies from the controls, and whether two groups differ in it.

    Parameters
    ----------
    index
        Output: one row a patient with the name of the z map beside it (TSV). The name ends in
        ``_maps.tsv``; maps take its beginning.
    summary
        Output: JSON with the means, of every group and of every kind in it, and with the
        difference of the two groups.
    resistant, sensitive
        Groups of patients, empty where there is none.
    deviation
        ``adjusted``: single-subject t turned into z, covariates fitted in the controls;
        ``plain``: (x - mean) / sd of the controls without covariates, as published.
    subgroup_column, temporal, generalised
        Column of the participants table that tells kinds of epilepsy, empty if none does, and
        its entries.
    atlas, atlas_labels
        Inputs: label volume that names the place of the largest difference; the shipped
        structures if absent.
    n_permutations, seed
        Of the labels of patients; 1 switches the test off.
    given
        See :class:`falx.maps.map_sample.SampleArguments`.
    """
    patients = tuple(name for name in (resistant, sensitive) if name)
    plain = deviation == "plain"
    if plain:
        given["columns"] = given["measures"] = ()
        if given["head_size"] == "ancova":
            given["head_size"] = "none"
    with collect_notices() as notices:
        stacked = read_maps(given, (*patients, controls))
        apart = _deviations(stacked, controls, as_published=plain)
    rows = read_rows(given["participants"])
    kinds = {s: rows[s].get(subgroup_column, "") for s in stacked.sample.subjects}
    stem = index.name.removesuffix(INDEX_END)
    written = _write_patients(index.parent, stem, stacked, apart, kinds)
    write_table(index, ("participant_id", "group", "kind", "map", "below", "above"), written)
    cells = _cells(stacked, patients, kinds, (temporal, generalised))
    means = [_write_mean(index.parent, stem, stacked, apart, cell) for cell in cells]
    test = _LabelTest(read_atlas(atlas, atlas_labels), n_permutations, seed, threads)
    pairs = _pairs(cells) if n_permutations > 1 else ()
    tested = [_write_difference(index.parent, stem, stacked, apart, pair, test) for pair in pairs]
    about = {"controls": controls, "deviation": deviation, **_described(stacked, apart, controls)}
    found = {"means": means, "differences": tested, "notices": notices}
    write_json(summary, about | found)


def _described(stacked: MapSample, apart: _Apart, controls: str) -> dict[str, Any]:
    """Say whom the patients are compared with, and how."""
    return {
        "n_controls": stacked.sample.groups.count(controls),
        "dof": apart.dof,
        "covariates": list(stacked.covariates),
        "beyond_z": BEYOND_Z,
        "controls_beyond_percent": apart.controls_beyond_percent,
        "left_out": stacked.sample.left_out,
    }


@dataclass(frozen=True, eq=False)
class _Apart:
    """z of every patient, shape (m, V), the rows they have in the sample, and the controls."""

    z: npt.NDArray[np.float64]
    rows: tuple[int, ...]
    dof: int
    controls_beyond_percent: float


def _deviations(stacked: MapSample, controls: str, *, as_published: bool) -> _Apart:
    """Compare patients with controls, and controls with the other controls."""
    own = np.array([group == controls for group in stacked.sample.groups])
    table = np.column_stack(list(stacked.covariates.values())) if stacked.covariates else None
    found = control_deviation(
        stacked.data[~own],
        stacked.data[own],
        covariates=None if table is None else table[~own],
        control_covariates=None if table is None else table[own],
        as_published=as_published,
    )
    by_chance = leave_one_out_deviation(
        stacked.data[own], control_covariates=None if table is None else table[own]
    )
    if found.n_floored:
        notify(
            "controls hardly vary at some voxels, where their spread was raised",
            found=f"{found.n_floored} voxels",
        )
    beyond = np.abs(_as_z(by_chance)) > BEYOND_Z
    return _Apart(
        found.t if as_published else _as_z(found),
        tuple(np.flatnonzero(~own).tolist()),
        found.dof,
        float(100.0 * beyond.mean()),
    )


def _as_z(found: Deviation) -> npt.NDArray[np.float64]:
    return t_to_z(found.t, found.dof)


def _write_patients(
    folder: Path, stem: str, stacked: MapSample, apart: _Apart, kinds: Mapping[str, str]
) -> list[tuple[object, ...]]:
    """Write one map a patient; return the rows of the index, shares in percent."""
    written: list[tuple[object, ...]] = []
    for z, row in zip(apart.z, apart.rows, strict=True):
        subject = stacked.sample.subjects[row]
        name = f"sub-{subject}_{stem}_zmap.nii.gz"
        save_volume(folder / name, z, stacked)
        shares = (float(100 * (z < -BEYOND_Z).mean()), float(100 * (z > BEYOND_Z).mean()))
        kind = kinds[subject] or None
        written.append((f"sub-{subject}", stacked.sample.groups[row], kind, name, *shares))
    return written


def _cells(
    stacked: MapSample, patients: Sequence[str], kinds: Mapping[str, str], wanted: Sequence[str]
) -> list[_Cell]:
    """Every group, and every kind in it that somebody is of."""
    people = stacked.sample
    cells = []
    for group in patients:
        rows = [k for k, name in enumerate(people.groups) if name == group]
        cells.append(_Cell(group, "", tuple(rows)))
        for kind in filter(None, wanted):
            some = tuple(k for k in rows if kinds[people.subjects[k]] == kind)
            if some:
                cells.append(_Cell(group, kind, some))
    return cells


@dataclass(frozen=True, eq=False)
class _LabelTest:
    """How labels of patients are permuted, and what names the place of the peak."""

    atlas: Atlas
    n_permutations: int
    seed: int
    threads: int


def _pairs(cells: Sequence[_Cell]) -> Iterator[tuple[_Cell, _Cell]]:
    """Resistant and sensitive patients, all of them and of each kind, of whom there are two."""
    for kind in dict.fromkeys(cell.kind for cell in cells):
        alike = [cell for cell in cells if cell.kind == kind and len(cell.rows) > 1]
        if len(alike) == 2:
            yield alike[0], alike[1]


def _write_difference(
    folder: Path,
    stem: str,
    stacked: MapSample,
    apart: _Apart,
    pair: tuple[_Cell, _Cell],
    test: _LabelTest,
) -> dict[str, Any]:
    """Test the difference of two mean maps and write its t."""
    chosen = [k for k, row in enumerate(apart.rows) if any(row in cell.rows for cell in pair)]
    groups = [stacked.sample.groups[apart.rows[k]] for k in chosen]
    first, second = pair
    found = compare_deviations(
        apart.z[chosen],
        groups,
        first.group,
        second.group,
        np.random.default_rng(test.seed),
        n_permutations=test.n_permutations,
        threads=test.threads,
    )
    name = f"{stem}{_label(first.group, second.group, first.kind)}_tmap.nii.gz"
    save_volume(folder / name, found.t, stacked, DegreesOfFreedom=found.dof)
    point_mm = stacked.grid.centres_mm()[stacked.mask][found.peak]
    region, distance_mm = nearest_region(point_mm, test.atlas)
    p = float(found.p_voxel[found.peak])
    return {
        "title": f"{first.title} - {second.title}",
        "kind": first.kind,
        "n": [len(first.rows), len(second.rows)],
        "dof": found.dof,
        "t": float(found.t[found.peak]),
        "p": p,
        "p_error": found.plan.error(p),
        "peak_mm": point_mm,
        "region": region,
        "region_distance_mm": distance_mm,
        "permutations": len(found.plan),
        "exhaustive": found.plan.exhaustive,
        "map": name,
    }


def _write_mean(
    folder: Path, stem: str, stacked: MapSample, apart: _Apart, cell: _Cell
) -> dict[str, Any]:
    chosen = [k for k, row in enumerate(apart.rows) if row in cell.rows]
    mean = apart.z[chosen].mean(axis=0)
    name = f"{stem}{_label(cell.group, cell.kind)}_zmap.nii.gz"
    save_volume(folder / name, mean, stacked)
    return {
        "title": cell.title,
        "group": cell.group,
        "kind": cell.kind,
        "n": len(chosen),
        "map": name,
        "smallest": float(mean.min()),
        "largest": float(mean.max()),
    }


def _label(*names: str) -> str:
    """Join names to what a file name may hold."""
    return "".join(c for c in "".join(names) if c.isalnum())
