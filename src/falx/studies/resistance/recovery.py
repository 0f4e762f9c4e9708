"""What was planted in a phantom cohort beside what the resistance study found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.bold.records import MotionRecord
from falx.core.files import read_record, read_table
from falx.core.grid import apply_affine
from falx.core.tables import rows_as
from falx.images.nifti import load_mask
from falx.images.warp import load_map
from falx.maps.cluster_table import ClusterRow
from falx.phantom.resting import PLACES

__all__ = [
    "CohortRecovery",
    "FoundChange",
    "compare_cohort",
    "compare_people",
    "render_cohort",
    "render_people",
]

PLANTED = (
    ("grey", PLACES[0], -1, "less grey matter"),
    ("reho", PLACES[0], -1, "lower ReHo"),
    ("reho", PLACES[1], 1, "higher ReHo"),
)
"""Modality, place, sign of t and name of every planted change."""

NEAR_MM = 10.0
"""A cluster whose centre of mass is this near to a planted voxel is taken for the change."""

INSIDE_MM = 4.0
"""It is inside the place if it is at most one voxel of the coarser map from a planted one."""

MOTION = "*_desc-motion_metrics.json"


@dataclass(frozen=True, eq=False)
class PlantedRun:
    """What the phantom's truth says of a run.

    Parameters
    ----------
    matrices
        Shape (T, 4, 4), mm: pose of every volume.
    t1w_to_bold
        Shape (4, 4), mm.
    """

    matrices: npt.NDArray[np.float64]
    t1w_to_bold: npt.NDArray[np.float64]


@dataclass(frozen=True)
class FoundChange:
    """A planted change and the listed cluster whose centre of mass is in its place.

    Parameters
    ----------
    planted_mm
        Middle of the place in the template, mean over people.
    centre_mm, region, t, p
        Of the cluster: centre of mass, atlas region there, largest t, familywise permutation P
        of the extent; None if no cluster is listed there.
    apart_mm
        From the centre of mass to the nearest planted voxel of anybody.
    """

    what: str
    place: str
    planted_mm: tuple[float, ...]
    centre_mm: tuple[float, ...] | None = None
    region: str = ""
    t: float | None = None
    p: float | None = None
    apart_mm: float | None = None

    @property
    def inside(self) -> bool:
        """Whether the cluster's centre of mass lies in the planted place."""
        return self.apart_mm is not None and self.apart_mm <= INSIDE_MM


@dataclass(frozen=True)
class CohortRecovery:
    """Changes, and how exact motion and coregistration are, mean over people."""

    changes: tuple[FoundChange, ...]
    motion_error_um: float
    coregistration_error_mm: float

    @property
    def complete(self) -> bool:
        """Whether every planted change was found."""
        return all(change.centre_mm is not None for change in self.changes)


def compare_cohort(truth: Path, outputs: Path, subjects: Sequence[str]) -> CohortRecovery:
    """Compare clusters of the group maps, motion and coregistration with the truth.

    Parameters
    ----------
    truth
        ``derivatives/truth`` of the phantom dataset.
    outputs
        Output folder of ``falx resistance`` after both levels.
    subjects
        Labels.
    """
    points = {
        place: [_place_mm(truth, outputs, subject, place) for subject in subjects]
        for place in PLACES
    }
    changes = []
    for modality, place, sign, what in PLANTED:
        table = _one(outputs / "group", f"*{modality}resistantcontrols_clusters.tsv")
        rows = rows_as(ClusterRow, read_table(table))
        changes.append(_found(what, place, sign, points[place], rows))
    return CohortRecovery(tuple(changes), *compare_people(truth, outputs, subjects))


def compare_people(truth: Path, outputs: Path, subjects: Sequence[str]) -> tuple[float, float]:
    """Errors of motion, µm, and of coregistration, mm, mean over people; as the above."""
    motion = [_motion_error_um(truth, outputs, s) for s in subjects]
    apart = [_coregistration_mm(truth, outputs, s) for s in subjects]
    return float(np.mean(motion)), float(np.mean(apart))


def render_cohort(found: CohortRecovery) -> str:
    """Return the comparison as an aligned text table."""
    lines = [("planted", "at, mm", "centre found, mm", "in the place", "region", "t", "P")]
    for change in found.changes:
        head = (f"{change.what}, {change.place}", _mm(change.planted_mm))
        if change.centre_mm is None:
            lines.append((*head, "not found", "", "", "", ""))
        else:
            numbers = (f"{change.t:.1f}", f"{change.p:.3g}")
            place = "yes" if change.inside else f"{change.apart_mm:.0f} mm off"
            lines.append((*head, _mm(change.centre_mm), place, change.region, *numbers))
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    text.append(render_people(found.motion_error_um, found.coregistration_error_mm))
    return "\n".join(text)


def render_people(motion_error_um: float, coregistration_error_mm: float) -> str:
    """Say how exact motion and coregistration are."""
    return (
        f"head motion is off by {motion_error_um:.0f} µm, "
        f"coregistration by {coregistration_error_mm:.2f} mm, mean over people"
    )


def _found(
    what: str,
    place: str,
    sign: int,
    points: Sequence[npt.NDArray[np.float64]],
    rows: Sequence[ClusterRow],
) -> FoundChange:
    """Take the cluster with the largest |t| whose centre is in a place, if there is one."""
    middle = tuple(np.mean([some.mean(axis=0) for some in points], axis=0).tolist())
    everywhere = np.concatenate(list(points))
    best = FoundChange(what, place, middle)
    for row in rows:
        centre = (row.centre_x_mm, row.centre_y_mm, row.centre_z_mm)
        apart = float(np.linalg.norm(everywhere - centre, axis=1).min())
        if row.sign == sign and apart < NEAR_MM and abs(row.t) > abs(best.t or 0.0):
            region, p = row.centre_region, row.p_extent
            best = FoundChange(what, place, middle, centre, region, row.t, p, apart)
    return best


def _place_mm(truth: Path, outputs: Path, subject: str, place: str) -> npt.NDArray[np.float64]:
    """Voxels of a planted place, brought to the template by the person's own map."""
    key = place.title().replace(" ", "")
    mask = load_mask(_one(truth / f"sub-{subject}", f"*_desc-{key}_mask.nii.gz"))
    # Named as an image moves: the map from T1w points to the template carries MNI to T1w.
    name = "*_from-MNI*_to-T1w_mode-image_xfm.nii.gz"
    to_template = load_map(_one(outputs / f"sub-{subject}", name))
    points = to_template.at(apply_affine(mask.affine, np.argwhere(mask.data)))
    return np.asarray(points, dtype=np.float64)


def _motion_error_um(truth: Path, outputs: Path, subject: str) -> float:
    """Mean error of the estimated motion over a sphere of 50 mm about the head, µm."""
    found = read_record(MotionRecord, _one(outputs / f"sub-{subject}", MOTION))
    planted = read_record(PlantedRun, _one(truth / f"sub-{subject}", "*_truth.json"))
    matrices = planted.matrices[found.dropped_volumes :]
    exact = matrices @ np.linalg.inv(matrices[0])
    apart = found.matrices - exact
    points = 50.0 * np.vstack([np.eye(3), -np.eye(3)])
    moved = np.einsum("tij,nj->tni", apart[:, :3, :3], points) + apart[:, None, :3, 3]
    return float(1000.0 * np.linalg.norm(moved, axis=2).mean())


def _coregistration_mm(truth: Path, outputs: Path, subject: str) -> float:
    """Mean distance of the planted places' voxels from where coregistration puts them."""
    planted = read_record(PlantedRun, _one(truth / f"sub-{subject}", "*_truth.json"))
    found = load_matrix(_one(outputs / f"sub-{subject}", "*_to-boldref_mode-image_xfm.json"))
    moved = read_record(MotionRecord, _one(outputs / f"sub-{subject}", MOTION))
    exact = planted.matrices[moved.dropped_volumes] @ planted.t1w_to_bold
    mask = load_mask(next((truth / f"sub-{subject}").rglob("*_mask.nii.gz")))
    points = apply_affine(mask.affine, np.argwhere(mask.data))
    apart = apply_affine(found, points) - apply_affine(exact, points)
    return float(np.linalg.norm(apart, axis=1).mean())


def _mm(point: Sequence[float]) -> str:
    return ", ".join(f"{x:.0f}" for x in point)


def _one(folder: Path, pattern: str) -> Path:
    return next(folder.rglob(pattern))
