"""Files in, files out for deviation maps: every patient against the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from falx.errors import collect_notices, notify
from falx.images.nifti import write_json, write_text
from falx.stats.deviation import Deviation, control_deviation, leave_one_out_deviation
from falx.stats.linear import t_to_z
from falx.stats.map_sample import MapSample, SampleArguments, read_maps, save_volume, tsv
from falx.stats.sample import read_rows

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
    **given: Unpack[SampleArguments],
) -> None:
    """Write how far every patient lies from the controls, and the mean of every group.

    Parameters
    ----------
    index
        Output: one row a patient with the name of the z map beside it (TSV). The name ends in
        ``_maps.tsv``; maps take its beginning.
    summary
        Output: JSON with the means, of every group and of every kind in it.
    resistant, sensitive
        Groups of patients, empty where there is none.
    deviation
        ``adjusted``: single-subject t turned into z, covariates fitted in the controls;
        ``plain``: (x - mean) / sd of the controls without covariates, as published.
    subgroup_column, temporal, generalised
        Column of the participants table that tells kinds of epilepsy, empty if none does, and
        its entries.

    given
        See :class:`falx.stats.map_sample.SampleArguments`.
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
    write_json(
        summary,
        {
            "controls": controls,
            "n_controls": stacked.sample.groups.count(controls),
            "dof": apart.dof,
            "deviation": deviation,
            "covariates": list(stacked.covariates),
            "beyond_z": BEYOND_Z,
            "controls_beyond_percent": apart.controls_beyond_percent,
            "left_out": stacked.sample.left_out,
            "means": means,
            "notices": notices,
        },
    )


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


def _write_mean(
    folder: Path, stem: str, stacked: MapSample, apart: _Apart, cell: _Cell
) -> dict[str, Any]:
    chosen = [k for k, row in enumerate(apart.rows) if row in cell.rows]
    mean = apart.z[chosen].mean(axis=0)
    label = "".join(c for c in f"{cell.group}{cell.kind}" if c.isalnum())
    name = f"{stem}{label}_zmap.nii.gz"
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
