"""Patients of a sample against its controls, their means by group and kind, and whom to compare.

Single-subject t as of Crawford and Howell 1998; labels of patients are permuted
(:mod:`falx.maps.deviations.single`, :mod:`falx.maps.deviations.contrast`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from falx.core.errors import notify
from falx.core.possible import Amount, Percent, Probability
from falx.maps.deviations.single import Deviation, control_deviation, leave_one_out_deviation
from falx.maps.linear import t_to_z
from falx.maps.map_sample import MapSample

__all__ = [
    "BEYOND_Z",
    "Cell",
    "DeviationDifference",
    "DeviationRow",
    "DeviationSummary",
    "Deviations",
    "MeanDeviation",
    "cells_of",
    "deviations_of",
    "pairs_of",
]

BEYOND_Z = 1.96
"""A voxel beyond this deviates; 5 % of a control's voxels do by chance."""


@dataclass(frozen=True)
class Cell:
    """Patients of a group, or of one kind in it, whose maps are averaged.

    Parameters
    ----------
    rows
        Their rows in the sample.
    """

    group: str
    kind: str
    rows: tuple[int, ...]

    @property
    def title(self) -> str:
        """Group and kind in words."""
        return f"{self.group}, {self.kind}" if self.kind else self.group


@dataclass(frozen=True, eq=False)
class Deviations:
    """How far patients lie from the controls, and controls from each other.

    Parameters
    ----------
    z
        Shape (m, V), of every patient.
    rows
        Rows that the patients have in the sample.
    dof
        Degrees of freedom of the single-subject t.
    controls_beyond_percent
        Share of voxels at which a control lies beyond :data:`BEYOND_Z` of the others, %.
    """

    z: npt.NDArray[np.float64]
    rows: tuple[int, ...]
    dof: int
    controls_beyond_percent: Percent

    def of(self, *cells: Cell) -> list[int]:
        """Return the rows of `z` of the patients of some cells."""
        return [k for k, row in enumerate(self.rows) if any(row in c.rows for c in cells)]


@dataclass(frozen=True)
class DeviationRow:
    """One patient: the file of the map, and which share of voxels lies beyond, in percent."""

    participant_id: str
    group: str
    kind: str | None
    map: str
    below: float
    above: float


@dataclass(frozen=True, eq=False)
class MeanDeviation:
    """The mean map of some patients: its file, extremes and who is in it."""

    title: str
    group: str
    kind: str
    n: int
    map: str
    smallest: float
    largest: float


@dataclass(frozen=True, eq=False)
class DeviationDifference:
    """The tested difference of two mean maps and its peak.

    Parameters
    ----------
    n
        People of the first and of the second group.
    p, p_error
        Familywise P at the peak, and its Monte-Carlo error.
    peak_mm
        Shape (3,).
    region_distance_mm
        0 inside the region.
    """

    title: str
    kind: str
    n: tuple[int, int]
    dof: float
    t: float
    p: Probability
    p_error: Amount
    peak_mm: npt.NDArray[np.float64]
    region: str
    region_distance_mm: float
    permutations: int
    exhaustive: bool
    map: str


@dataclass(frozen=True, eq=False)
class DeviationSummary:
    """Whom the patients are compared with, how, and what came of it."""

    controls: str
    deviation: str
    n_controls: int
    dof: int
    covariates: tuple[str, ...]
    beyond_z: float
    controls_beyond_percent: Percent
    left_out: Mapping[str, str]
    means: tuple[MeanDeviation, ...]
    differences: tuple[DeviationDifference, ...]
    notices: tuple[str, ...]


def deviations_of(stacked: MapSample, controls: str, *, as_published: bool) -> Deviations:
    """Compare patients with controls, and every control with the other controls."""
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
    return Deviations(
        found.t if as_published else _as_z(found),
        tuple(np.flatnonzero(~own).tolist()),
        found.dof,
        float(100.0 * beyond.mean()),
    )


def _as_z(found: Deviation) -> npt.NDArray[np.float64]:
    return t_to_z(found.t, found.dof)


def cells_of(
    stacked: MapSample, patients: Sequence[str], kinds: Mapping[str, str], wanted: Sequence[str]
) -> list[Cell]:
    """Every group, and every wanted kind in it that somebody is of.

    Parameters
    ----------
    kinds
        Subject to kind, empty where it is not known.
    """
    people = stacked.sample
    cells = []
    for group in patients:
        rows = [k for k, name in enumerate(people.groups) if name == group]
        cells.append(Cell(group, "", tuple(rows)))
        for kind in filter(None, wanted):
            some = tuple(k for k in rows if kinds[people.subjects[k]] == kind)
            if some:
                cells.append(Cell(group, kind, some))
    return cells


def pairs_of(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Two groups of patients, all of them and of each kind, that have two people each."""
    for kind in dict.fromkeys(cell.kind for cell in cells):
        alike = [cell for cell in cells if cell.kind == kind and len(cell.rows) > 1]
        if len(alike) == 2:
            yield alike[0], alike[1]
