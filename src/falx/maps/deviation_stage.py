"""Files in, files out for deviation maps: every patient against the controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from falx.atlas.atlas import Atlas
from falx.core.errors import collect_notices, notify
from falx.core.files import write_json, write_text
from falx.maps.cluster_table import nearest_region
from falx.maps.deviation import Deviation, control_deviation, leave_one_out_deviation
from falx.maps.deviation_contrast import compare_deviations
from falx.maps.linear import t_to_z
from falx.maps.map_sample import MapSample, SampleArguments, read_atlas, read_maps, save_volume
from falx.maps.sample import read_rows
from falx.core.table_formats import tsv

__all__ = ["BEYOND_Z", "deviation_stage"]

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
    write_text(index, tsv(("participant_id", "group", "kind", "map", "below", "above"), written))
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
