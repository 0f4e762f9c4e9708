"""What was planted in a phantom cohort beside what the resistance study found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.registration_stage import load_matrix
from falx.grid import apply_affine
from falx.images.nifti import load, load_mask
from falx.images.warp import load_map
from falx.phantom.resting import PLACES
from falx.studies.recovery import Recovered

__all__ = ["compare_cohort"]

PLANTED = (
    ("grey", PLACES[0], -1, "grey-matter loss"),
    ("reho", PLACES[0], -1, "lowered ReHo"),
    ("reho", PLACES[1], 1, "raised ReHo"),
)
"""Modality, place, sign of t and name of every planted change."""


def compare_cohort(truth: Path, outputs: Path, subjects: Sequence[str]) -> list[Recovered]:
    """Compare peaks of the group maps, motion and coregistration with the truth.

    Parameters
    ----------
    truth
        ``derivatives/truth`` of the phantom dataset.
    outputs
        Output folder of ``falx resistance`` after both levels.
    subjects
        Labels.
    """
    rows = []
    for modality, place, sign, what in PLANTED:
        planted = np.mean([_place_mm(truth, outputs, s, place) for s in subjects], axis=0)
        t = load(_one(outputs / "group", f"*{modality}resistantcontrols_tmap.nii.gz"))
        peak = np.unravel_index(np.argmax(sign * t.data), t.data.shape)
        found = apply_affine(t.affine, np.array(peak))
        rows.append(Recovered("group", f"{what}, {place}, mm", _mm(planted), _mm(found)))
        near = np.linalg.norm(t.grid.centres_mm() - planted, axis=-1) < 20.0
        best = float((sign * t.data)[near].max())
        rows.append(
            Recovered(
                "group",
                f"{what}: largest t within 20 mm",
                "lower" if sign < 0 else "higher",
                sign * best,
            )
        )
    motion = [_motion_error_um(truth, outputs, s) for s in subjects]
    rows.append(Recovered("all", "motion error, mean, µm", 0.0, float(np.mean(motion))))
    apart = [_coregistration_mm(truth, outputs, s) for s in subjects]
    rows.append(Recovered("all", "BOLD off its place, mean, mm", 0.0, float(np.mean(apart))))
    return rows


def _place_mm(truth: Path, outputs: Path, subject: str, place: str) -> npt.NDArray[np.float64]:
    """Middle of a planted place, brought to the template by the person's own map."""
    key = place.title().replace(" ", "")
    mask = load_mask(_one(truth / f"sub-{subject}", f"*_desc-{key}_mask.nii.gz"))
    to_template = load_map(_one(outputs / f"sub-{subject}", "*_from-T1w_to-MNI*_xfm.nii.gz"))
    points = to_template.at(apply_affine(mask.affine, np.argwhere(mask.data)))
    return np.asarray(points.mean(axis=0), dtype=np.float64)


def _motion_error_um(truth: Path, outputs: Path, subject: str) -> float:
    """Mean error of the estimated motion over a sphere of 50 mm about the head, µm."""
    found = json.loads(_one(outputs / f"sub-{subject}", "*_desc-motion_metrics.json").read_text())
    planted = json.loads(_one(truth / f"sub-{subject}", "*_truth.json").read_text())
    matrices = np.array(planted["matrices"])[found["dropped_volumes"] :]
    exact = matrices @ np.linalg.inv(matrices[0])
    apart = np.array(found["matrices"]) - exact
    points = 50.0 * np.vstack([np.eye(3), -np.eye(3)])
    moved = np.einsum("tij,nj->tni", apart[:, :3, :3], points) + apart[:, None, :3, 3]
    return float(1000.0 * np.linalg.norm(moved, axis=2).mean())


def _coregistration_mm(truth: Path, outputs: Path, subject: str) -> float:
    """Mean distance of the planted places' voxels from where coregistration puts them."""
    planted = json.loads(_one(truth / f"sub-{subject}", "*_truth.json").read_text())
    found = load_matrix(_one(outputs / f"sub-{subject}", "*_to-boldref_mode-image_xfm.json"))
    moved = json.loads(_one(outputs / f"sub-{subject}", "*_desc-motion_metrics.json").read_text())
    first = np.array(planted["matrices"])[moved["dropped_volumes"]]
    exact = first @ np.array(planted["t1w_to_bold"])
    mask = load_mask(next((truth / f"sub-{subject}").rglob("*_mask.nii.gz")))
    points = apply_affine(mask.affine, np.argwhere(mask.data))
    apart = apply_affine(found, points) - apply_affine(exact, points)
    return float(np.linalg.norm(apart, axis=1).mean())


def _mm(point: npt.NDArray[np.float64]) -> str:
    return ", ".join(f"{x:.0f}" for x in point)


def _one(folder: Path, pattern: str) -> Path:
    return next(folder.rglob(pattern))
