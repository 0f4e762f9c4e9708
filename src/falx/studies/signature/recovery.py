"""What was planted in a phantom patient beside what the study found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError
from falx.core.grid import apply_affine, opposite, require_same
from falx.images.nifti import Image, load, load_labels, load_mask
from falx.report.page import format_number

__all__ = ["Recovered", "compare_patient", "render_recovered"]


@dataclass(frozen=True)
class Recovered:
    """One figure: planted and found, in the same unit, and what noise explains."""

    subject: str
    what: str
    planted: float | str
    found: float | str | None
    standard_error: float | None = None


def compare_patient(truth: Path, outputs: Path, subject: str) -> list[Recovered]:
    """Compare one patient's outputs with the truth of the phantom.

    Parameters
    ----------
    truth
        ``derivatives/truth`` of the phantom dataset.
    outputs
        Output folder of ``falx signature``.
    subject
        Label.
    """
    planted = _read(truth / f"sub-{subject}" / f"sub-{subject}_truth.json")
    numbers = _read(_one(outputs / f"sub-{subject}", "*_desc-numbers_metrics.json"))
    side = planted["side"]
    rows: list[tuple[Any, ...]] = [
        ("side of the focus", side, numbers["side"]),
        (
            "PET asymmetry of the planted region, corrected",
            planted["asymmetry"],
            numbers["mesial_temporal_ai_pet_regional"],
            numbers["mesial_temporal_ai_pet_regional_se"],
        ),
        (
            "PET asymmetry there, mean of the smoothed map",
            planted["asymmetry"],
            _map_mean(truth, outputs, subject),
        ),
    ]
    rows += [
        (f"ablative rate, {where}", planted[f"ablative_rate{key}"], numbers.get(f"rate_{name}"))
        for where, key, name in (
            ("hippocampus", "_hippocampus", "hippocampus"),
            ("hippocampus and amygdala", "", "mesial_temporal"),
        )
    ]
    rows += [
        (
            f"{which} hippocampus, mm³",
            planted["volumes_mm3"][f"{which} hippocampus"],
            numbers[f"hippocampus_{which}_mm3"],
        )
        for which in (side, opposite(side))
    ]
    brain = _brain_points_mm(truth, subject)
    for image, name in (("FDG", "pet"), ("FLAIR", "flair"), ("postop", "postop")):
        matrix = load_matrix(_one(outputs / f"sub-{subject}", f"*_to-{image}_mode-image_xfm.json"))
        apart = apply_affine(matrix, brain) - apply_affine(planted[f"t1w_to_{name}"], brain)
        rows.append(
            (f"{image} off its place, mm", 0.0, float(np.linalg.norm(apart, axis=1).mean()))
        )
    return [Recovered(subject, *row) for row in rows]


def render_recovered(rows: list[Recovered]) -> str:
    """Return the comparison as an aligned text table."""
    lines = [("patient", "what", "planted", "found")]
    lines += [
        (f"sub-{row.subject}", row.what, format_number(row.planted), _found(row)) for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _found(row: Recovered) -> str:
    text = format_number(row.found)
    return text if row.standard_error is None else f"{text} ± {row.standard_error:.3f}"


def _map_mean(truth: Path, outputs: Path, subject: str) -> float | None:
    """Mean of the asymmetry map over the planted region, where both are defined."""
    planted = load_mask(_one(truth / f"sub-{subject}", "*_desc-signature_mask.nii.gz"))
    index = load(_one(outputs / f"sub-{subject}", "*_space-T1w_desc-asymmetry_pet.nii.gz"))
    require_same("truth", planted.grid, "asymmetry map", index.grid, where=f"sub-{subject}")
    inside = planted.data & (index.data != 0)
    return float(index.data[inside].mean()) if inside.any() else None


def _brain_points_mm(truth: Path, subject: str) -> npt.NDArray[np.float64]:
    labels: Image = load_labels(_one(truth / f"sub-{subject}", "*_desc-truth_dseg.nii.gz"))
    voxels = np.argwhere(np.isin(labels.data, (2, 3, 41, 42)))[::2003]
    return apply_affine(labels.affine, voxels)


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        raise InputError(
            "the output folder does not hold what was expected",
            where=folder,
            found=f"{len(found)} files like {pattern}",
            do="run the study again",
        )
    return found[0]


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
