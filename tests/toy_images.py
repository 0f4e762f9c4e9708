"""A study of one stage that writes an image, and can be told to do it wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from falx.bids.derivative import output_path
from falx.core.grid import Grid
from falx.core.settings import option
from falx.core.stage import Stage
from falx.core.study import RawInput, Study
from falx.images import nifti

GRID = Grid((4, 4, 4), np.diag([2.0, 2.0, 2.0, 1.0]))
WRONG = {"finite": np.nan, "bytes": 0.0, "grid": 0.0, "": 0.0}


@dataclass(frozen=True)
class Section:
    wrong: str = option("", help="what to do wrong")


@dataclass(frozen=True)
class Configuration:
    image: Section = field(default_factory=Section)


def image_stage(*, t1w: Path, image: Path, wrong: str) -> None:
    data = nifti.load(t1w).data + WRONG[wrong]
    if wrong == "bytes":
        data = data + float("first" in str(image))
    affine = GRID.affine * (2 if wrong == "grid" else 1)
    nifti.save(image, data, affine, sidecar={"SkullStripped": False, "SpatialReference": "orig"})


STUDY = Study(
    name="images",
    reference="toy_images:STUDY",
    stages=(
        Stage(
            "image",
            image_stage,
            inputs={"t1w": "raw.t1w"},
            outputs={"image": output_path("anat", "T1w", space="T1w", desc="x")},
            params={"wrong": "image.wrong"},
        ),
    ),
    raw={"t1w": RawInput("T1w image", suffix="T1w", required=True)},
    configuration=Configuration,
)


def write_images(root: Path) -> Path:
    """Write a dataset of one T1w image of ones."""
    path = root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    nifti.save(path, np.ones(GRID.shape, np.float32), GRID.affine)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return root
