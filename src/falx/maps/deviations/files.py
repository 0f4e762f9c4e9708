"""Files in, files out for deviations of single people from the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from falx.atlas.atlas import Atlas
from falx.atlas.files import load_group_atlas
from falx.core.errors import collect_notices
from falx.core.files import read_participants, write_json, write_table
from falx.core.grid import Grid
from falx.core.records import plain
from falx.maps.cluster_table import nearest_region
from falx.maps.deviations.contrast import compare_deviations
from falx.maps.deviations.sample import (
    BEYOND_Z,
    Cell,
    DeviationDifference,
    DeviationRow,
    Deviations,
    DeviationSummary,
    MeanDeviation,
    cells_of,
    deviations_of,
    pairs_of,
)
from falx.maps.files import save_volume
from falx.maps.map_sample import MapSample
from falx.maps.people.files import SampleFiles, read_maps
from falx.maps.settings import SampleSettings

__all__ = ["Cases", "DeviationFiles", "DeviationTest", "deviation_stage"]

INDEX_END = "_maps.tsv"


@dataclass(frozen=True)
class DeviationFiles(SampleFiles):
    """Files of maps of single people against the controls.

    Parameters
    ----------
    atlas, atlas_labels
        Inputs: label volume that names the place of the largest difference; the shipped
        structures if absent.
    index
        Output: one row a patient with the name of the z map beside it (TSV). The name ends in
        ``_maps.tsv``; maps take its beginning.
    summary
        Output: JSON with the means, of every group and of every kind in it, and with the
        difference of the two groups.
    """

    atlas: Path | None
    atlas_labels: Path | None
    index: Path
    summary: Path


@dataclass(frozen=True)
class Cases:
    """Patients who are each compared with the controls.

    Parameters
    ----------
    patients
        Groups of patients, one or two.
    controls
        Group of controls.
    subgroup_column, kinds
        Column of the participants table that tells kinds of patients, empty if none does, and
        its entries.
    """

    patients: tuple[str, ...]
    controls: str
    subgroup_column: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class DeviationTest:
    """How patients are compared with controls, and two groups of them in that.

    Parameters
    ----------
    deviation
        ``adjusted``: single-subject t turned into z, covariates fitted in the controls;
        ``plain``: (x - mean) / sd of the controls without covariates, as published.
    n_permutations
        Of the labels of patients; 1 switches the test off.
    variance
        As in :class:`falx.maps.settings.InferenceOptions`.
    """

    deviation: str
    n_permutations: int
    variance: str


def deviation_stage(
    files: DeviationFiles,
    sample: SampleSettings,
    cases: Cases,
    asked: DeviationTest,
    *,
    seed: int,
    threads: int = 1,
) -> None:
    """Write how far every patient lies from the controls, and whether two groups differ in it."""
    patients, controls = cases.patients, cases.controls
    as_published = asked.deviation == "plain"
    if as_published:
        size = "none" if sample.head_size == "ancova" else sample.head_size
        sample = replace(sample, columns=(), measures=(), head_size=size)
    people = read_participants(files.participants)
    with collect_notices() as notices:
        stacked = read_maps(files, sample, people, (*patients, controls))
        found = deviations_of(stacked, controls, as_published=as_published)
    kind_of = {s: people.cell(s, cases.subgroup_column) or "" for s in stacked.sample.subjects}
    stem = files.index.name.removesuffix(INDEX_END)
    to = _DeviationWriter(files.index.parent, stem, stacked, found)
    header = [item.name for item in fields(DeviationRow)]
    write_table(files.index, header, map(astuple, to.patients(kind_of)))
    cells = cells_of(stacked, patients, kind_of, cases.kinds)
    atlas = load_group_atlas(files.atlas, files.atlas_labels)
    test = _LabelTest(atlas, asked.n_permutations, asked.variance, seed, threads)
    summary = DeviationSummary(
        controls=controls,
        deviation=asked.deviation,
        n_controls=stacked.sample.groups.count(controls),
        dof=found.dof,
        covariates=tuple(stacked.covariates),
        beyond_z=BEYOND_Z,
        controls_beyond_percent=found.controls_beyond_percent,
        left_out=stacked.sample.left_out,
        means=tuple(to.mean(cell) for cell in cells),
        differences=to.differences(cells, test) if asked.n_permutations > 1 else (),
        notices=tuple(notices),
    )
    write_json(files.summary, plain(summary))


@dataclass(frozen=True, eq=False)
class _LabelTest:
    """How labels of patients are permuted, and what names the place of the peak."""

    atlas: Atlas
    n_permutations: int
    variance: str
    seed: int
    threads: int


@dataclass(frozen=True, eq=False)
class _DeviationWriter:
    """Writes maps of deviations into one folder, under names that begin alike."""

    folder: Path
    stem: str
    stacked: MapSample
    found: Deviations

    def patients(self, kinds: Mapping[str, str]) -> list[DeviationRow]:
        """Write one map a patient; return the rows of the index, shares in percent."""
        written = []
        for z, row in zip(self.found.z, self.found.rows, strict=True):
            subject = self.stacked.sample.subjects[row]
            name = f"sub-{subject}_{self.stem}_zmap.nii.gz"
            save_volume(self.folder / name, z, self.stacked)
            shares = (float(100 * (z < -BEYOND_Z).mean()), float(100 * (z > BEYOND_Z).mean()))
            group, kind = self.stacked.sample.groups[row], kinds[subject] or None
            written.append(DeviationRow(f"sub-{subject}", group, kind, name, *shares))
        return written

    def mean(self, cell: Cell) -> MeanDeviation:
        """Write and describe the mean map of some patients."""
        chosen = self.found.of(cell)
        mean = self.found.z[chosen].mean(axis=0)
        name = f"{self.stem}{_label(cell.group, cell.kind)}_zmap.nii.gz"
        save_volume(self.folder / name, mean, self.stacked)
        return MeanDeviation(
            cell.title,
            cell.group,
            cell.kind,
            len(chosen),
            name,
            float(mean.min()),
            float(mean.max()),
        )

    def differences(
        self, cells: Sequence[Cell], test: _LabelTest
    ) -> tuple[DeviationDifference, ...]:
        """Test, write and describe the difference of every pair of mean maps."""
        return tuple(self._difference(first, second, test) for first, second in pairs_of(cells))

    def _difference(self, first: Cell, second: Cell, test: _LabelTest) -> DeviationDifference:
        chosen = self.found.of(first, second)
        tested = compare_deviations(
            self.found.z[chosen],
            [self.stacked.sample.groups[self.found.rows[k]] for k in chosen],
            first.group,
            second.group,
            np.random.default_rng(test.seed),
            n_permutations=test.n_permutations,
            variance=test.variance,
            threads=test.threads,
        )
        name = f"{self.stem}{_label(first.group, second.group, first.kind)}_tmap.nii.gz"
        save_volume(self.folder / name, tested.t, self.stacked, DegreesOfFreedom=tested.dof)
        grid: Grid = self.stacked.grid
        point_mm = grid.centres_mm()[self.stacked.mask][tested.peak]
        region, distance_mm = nearest_region(point_mm, test.atlas)
        p = float(tested.p_voxel[tested.peak])
        return DeviationDifference(
            title=f"{first.title} - {second.title}",
            kind=first.kind,
            n=(len(first.rows), len(second.rows)),
            dof=tested.dof,
            t=float(tested.t[tested.peak]),
            p=p,
            p_error=tested.plan.error(p),
            peak_mm=point_mm,
            region=region,
            region_distance_mm=distance_mm,
            permutations=len(tested.plan),
            exhaustive=tested.plan.exhaustive,
            map=name,
        )


def _label(*names: str) -> str:
    """Join names to what a file name may hold."""
    return "".join(c for c in "".join(names) if c.isalnum())
