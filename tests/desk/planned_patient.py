"""A patient of a desk who can be planned: the outputs of the study, and a DICOM series."""

from __future__ import annotations

import numpy as np

from desk.drawn_patient import PREOP, written
from falx.core.files import write_json
from falx.core.records import plain
from falx.desk.workspace import Workspace
from falx.images.nifti import save
from falx.images.warp import CoordinateMap, save_map
from studies.signature_metrics import calibrated, signature
from surgery.phantom import head_labels, head_signature

SIDE = "left"


def planning_patient(folder):
    """Write the desk of one patient with a signature on the left, and return its workspace."""
    workspace = Workspace.open(folder)
    labels = head_labels()
    grey = np.where(labels.data > 0, 60.0 + np.sqrt(labels.data), 0).astype(np.float32)
    save(workspace.bids / PREOP, grey, labels.affine)
    save(written(workspace, "anatomy", "corrected"), grey, labels.affine)
    save(written(workspace, "anatomy", "structures"), labels.data, labels.affine)
    mask = head_signature(labels, SIDE)
    save(written(workspace, "signature", "signature_native"), mask.data, mask.affine)
    write_json(written(workspace, "signature", "metrics"), plain(signature(SIDE, calibrated())))
    save_map(
        written(workspace, "anatomy", "to_template"),
        CoordinateMap(labels.grid.centres_mm().astype(np.float32), labels.affine),
    )
    return workspace


def t1w_series(folder):
    """Write a DICOM series that covers the head, and return its folder."""
    from surgery.dicom_phantom import write_series

    affine_lps = np.diag([4.0, 4.0, 4.0, 1.0])
    affine_lps[:3, 3] = (-80, -90, -80)
    volume = np.random.default_rng(0).integers(1, 900, (40, 48, 40))
    write_series(folder, volume, affine_lps)
    return folder
