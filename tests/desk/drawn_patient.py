"""A small patient of a desk: images of odd orientation, a proposal, a registration."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from falx.anatomy.metrics import CoregistrationMetrics
from falx.core.files import write_json
from falx.core.grid import apply_affine
from falx.core.records import plain
from falx.desk.workspace import Workspace
from falx.images.nifti import save
from falx.studies.ablation.files import AblationOutputs
from falx.studies.signature.study import STUDY

POSTOP = "sub-07/ses-postop/anat/sub-07_ses-postop_T1w.nii.gz"
PREOP = "sub-07/ses-preop/anat/sub-07_ses-preop_T1w.nii.gz"
FLAIR = "sub-07/ses-preop/anat/sub-07_ses-preop_FLAIR.nii.gz"
SIZE_MM = 56
MOVED = (3.0, -2.0, 1.0)
"""Of the head between the two T1w images, mm."""


def odd_affine(order=(2, 0, 1), signs=(-1, 1, -1), tilt_deg=(8, -5, 11), voxel_mm=(1.1, 1, 1.3)):
    """Affine of axes in another order and direction, and oblique."""
    turned = np.zeros((3, 3))
    for column, (row, sign) in enumerate(zip(order, signs, strict=True)):
        turned[row, column] = sign
    tilt = Rotation.from_euler("xyz", tilt_deg, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = tilt @ turned @ np.diag(voxel_mm)
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (SIZE_MM - 1) / 2)
    return affine


def head(affine, shape=(SIZE_MM, SIZE_MM, SIZE_MM), moved=(0, 0, 0)):
    """A head of two greys with a bright nose in front, dark where the left ablation is."""
    x, y, z = np.moveaxis(apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    x, y, z = x - moved[0], y - moved[1], z - moved[2]
    inside = (x / 22) ** 2 + (y / 25) ** 2 + (z / 21) ** 2 < 1
    data = np.where(inside, 500 + 4 * x + 3 * y - 2 * z, 0.0)
    data[(np.abs(x) < 4) & (y > 20) & (y < 25)] = 900
    data[ablation(x, y, z)] = 150
    return data.astype(np.float32)


def ablation(x, y, z):
    """On the left, 7 mm across its half."""
    return (x + 11) ** 2 + (y + 4) ** 2 + (z + 3) ** 2 < 7**2


def make_patient(folder, *, postop_affine=None):
    """Write the desk of one patient and return its workspace."""
    workspace = Workspace.open(folder)
    plain_affine = odd_affine((0, 1, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1))
    odd = odd_affine() if postop_affine is None else postop_affine
    for path, affine, moved in (
        (PREOP, plain_affine, (0, 0, 0)), (POSTOP, odd, MOVED), (FLAIR, odd_affine(), (0, 0, 0)),
    ):  # fmt: skip
        save(workspace.bids / path, head(affine, moved=moved), affine)
    x, y, z = np.moveaxis(
        apply_affine(plain_affine, np.moveaxis(np.indices((SIZE_MM,) * 3), 0, -1)), -1, 0
    )
    outputs = AblationOutputs.below(workspace.out, "07")
    save(outputs.mask, ablation(x, y, z), plain_affine)
    save(written(workspace, "anatomy", "corrected"), head(plain_affine), plain_affine)
    matrix = np.eye(4)
    matrix[:3, 3] = MOVED
    register(workspace, "postop", matrix)
    return workspace


def written(workspace, stage, output):
    """Where a stage writes an output of the patient."""
    return workspace.out / STUDY.stage(stage).outputs[output].format(subject="07")


def register(workspace, role, matrix, **more):
    """Write a registration as its stage does."""
    rows = tuple(map(tuple, np.asarray(matrix).tolist()))
    made = CoregistrationMetrics(rows, "", 6, 1.1, 1.2, 0.9, 3.0, (), **more)
    write_json(written(workspace, f"coregister_{role}", "matrix"), plain(made))
