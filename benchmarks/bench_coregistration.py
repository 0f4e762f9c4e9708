"""Rigid coregistration by mutual information beside SPM12's matrices and picsl-greedy."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.table import Row, cpu_seconds
from falx.anatomy.registration.coregistration import coregister, point_distance_mm
from falx.images.nifti import Image, load

IMAGES = Path(__file__).resolve().parents[2] / "shared/data/images"
# SPM12, normalised mutual information, default settings.
SPM12_T1_TO_PD = np.array(
    [
        [0.99977, 0.02018, 0.00701, 0.99256],
        [-0.02102, 0.98797, 0.15319, 1.36480],
        [-0.00383, -0.15330, 0.98817, 7.79870],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
POINTS = np.random.default_rng(0).uniform((-60, -90, -40), (60, 60, 70), (500, 3))


def rows() -> list[Row]:
    """Measure accuracy and CPU time on three pairs of real images; none without them."""
    if not IMAGES.is_dir():
        return []
    t1w, pd = load(IMAGES / "chris_t1.nii.gz"), load(IMAGES / "chris_PD.nii.gz")
    coregister(t1w, pd, threads=2)
    found = coregister(t1w, pd, threads=2)
    seconds = cpu_seconds(lambda: coregister(t1w, pd, threads=2))
    apart = point_distance_mm(found.matrix, SPM12_T1_TO_PD, POINTS)
    own = [
        Row("T1w - PD, distance to SPM12", apart, "mm", "≤ 0.25", apart <= 0.25),
        Row("T1w - PD, time", seconds, "CPU s", "≤ 5", seconds <= 5),
        _known_move(t1w),
        _thick_slices(),
    ]
    return [*own, *_greedy(seconds)]


def _known_move(t1w: Image) -> Row:
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", (0.08, -0.05, 0.06)).as_matrix()
    move[:3, 3] = (8, -5, 6)
    found = coregister(t1w, Image(t1w.data, move @ t1w.affine), threads=2)
    error = point_distance_mm(found.matrix, move, POINTS)
    return Row("known move recovered", error, "mm", "≤ 0.02 (SPM12 0.058)", error <= 0.02)


def _thick_slices() -> Row:
    t1w = load(IMAGES / "openms_p01_study2_T1W.nii.gz")
    flair = load(IMAGES / "openms_p01_study2_FLAIR.nii.gz")
    shift = coregister(t1w, flair, threads=2).mean_shift_mm
    return Row("3 mm slices, shift from header", shift, "mm", "≤ 2", shift <= 2)


def _greedy(own_seconds: float) -> list[Row]:
    try:
        from picsl_greedy import Greedy3D
    except ImportError:
        return []
    t1w, pd = (nib.load(IMAGES / f"chris_{name}.nii.gz") for name in ("t1", "PD"))
    matrices: list[np.ndarray] = []

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, image in (("fixed", t1w), ("moving", pd)):
                nib.save(image, Path(folder) / f"{name}.nii.gz")
            command = (
                f"-d 3 -threads 2 -seed 1 -a -dof 6 -m NMI -n 100x50x0 "
                f"-i {folder}/fixed.nii.gz {folder}/moving.nii.gz -o {folder}/matrix.mat"
            )
            with _silence():
                Greedy3D().execute(command)
            matrices.append(np.loadtxt(Path(folder) / "matrix.mat"))

    seconds = cpu_seconds(run)
    apart = point_distance_mm(matrices[-1], SPM12_T1_TO_PD, POINTS)
    ratio = seconds / own_seconds
    note = f"greedy {seconds:.1f} CPU s with reading and writing, {apart:.2f} mm from SPM12"
    return [Row("greedy rigid NMI over own, time", ratio, "×", "≥ 1", ratio >= 1, note)]


@contextmanager
def _silence() -> Iterator[None]:
    """Send what compiled code prints past Python to nowhere."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
