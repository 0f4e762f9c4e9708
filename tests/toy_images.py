"""A study of one stage that writes an image, and can be told to do it wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    about = {"Description": "toy", "SkullStripped": False, "SpatialReference": "orig"}
    nifti.save(image, data, affine, sidecar=about)


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
    raw={"t1w": RawInput("T1w image", suffix="T1w", required=True, judged=False)},
    configuration=Configuration,
)


def look_stage(*, t1w: Path, image: Path, seen: Path) -> None:
    seen.write_text(str(nifti.load(t1w).data.max()))


JUDGED_STUDY = replace(
    STUDY,
    reference="toy_images:JUDGED_STUDY",
    raw={"t1w": replace(STUDY.raw["t1w"], judged=True)},
    stages=(
        *STUDY.stages,
        Stage(
            "look",
            look_stage,
            inputs={"t1w": "raw.t1w", "image": "image.image"},
            outputs={"seen": "sub-{subject}/seen.txt"},
        ),
    ),
)
"""The same, with images that must show a head, and a second stage that reads them."""


def write_images(root: Path, **heads: np.ndarray) -> Path:
    """Write a dataset of one T1w image of ones, or of heads with 5 mm voxels by label."""
    for label, data in (heads or {"01": np.ones(GRID.shape)}).items():
        path = root / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        affine = np.diag([5.0, 5.0, 5.0, 1.0]) if heads else GRID.affine
        nifti.save(path, data.astype(np.float32), affine)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return root
