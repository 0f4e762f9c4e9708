"""Files in, files out: a vessel image of a patient becomes a proposal on the T1w grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from falx.anatomy.files import load_still
from falx.anatomy.registration.coregistration import coregister, surroundings
from falx.atlas.freesurfer_numbers import AMYGDALA, HIPPOCAMPUS
from falx.bids.derivative import output_path
from falx.core.errors import InputError, collect_notices
from falx.core.files import write_json, write_text
from falx.core.grid import Grid, apply_affine, require_same
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.resample import resample
from falx.studies.signature.study import STUDY
from falx.studies.vessels.page import ProposedVessels, middle_of, vessel_page
from falx.surgery.tracks.scene import distance_mm
from falx.surgery.tracks.skull import brain_hull
from falx.surgery.tracks.vessels import Contrast, VesselRule, vessels_in

__all__ = ["VesselInputs", "VesselOutputs", "find_vessel_inputs", "propose_vessels"]

BORDER_MM = 12.0

NEEDED: Mapping[str, tuple[str, str]] = {
    "t1w": ("anatomy", "corrected"),
    "brain": ("anatomy", "brain_mask"),
    "structures": ("anatomy", "structures"),
}


@dataclass(frozen=True)
class VesselInputs:
    """What is read: three files on the T1w grid, and the vessel image on its own."""

    t1w: Path
    brain: Path
    structures: Path
    image: Path


@dataclass(frozen=True)
class VesselOutputs:
    """What is written; the mask is empty where no vessel was found."""

    mask: Path
    metrics: Path
    page: Path

    @classmethod
    def below(cls, out: Path, subject: str) -> VesselOutputs:
        """Name the outputs of a patient in an output folder."""
        names = {
            "mask": output_path("anat", "mask", space="T1w", label="vessels", desc="proposed"),
            "metrics": output_path("anat", "metrics", extension=".json", desc="proposedVessels"),
            "page": output_path("anat", "metrics", extension=".html", desc="proposedVessels"),
        }
        return cls(**{name: out / text.format(subject=subject) for name, text in names.items()})


def find_vessel_inputs(out: Path, subject: str, image: Path) -> VesselInputs:
    """Find what ``falx signature`` wrote for a patient.

    Raises
    ------
    InputError
        If a file is missing, saying which step writes it.
    """
    found = {
        name: out / STUDY.stage(stage).outputs[output].format(subject=subject)
        for name, (stage, output) in NEEDED.items()
    }
    for name, path in {**found, "image": image}.items():
        if not path.is_file():
            raise InputError(
                f"there is no {path.name}",
                where=f"sub-{subject}",
                do="correct the path" if name == "image"
                else "run falx signature into this folder first",
            )  # fmt: skip
    return VesselInputs(**found, image=image)


def propose_vessels(
    inputs: VesselInputs,
    outputs: VesselOutputs,
    *,
    label: str,
    contrast: Contrast,
    rule: VesselRule | None = None,
    threads: int = 1,
) -> ProposedVessels:
    """Propose the vessels of an image on the T1w grid; write mask, record and page."""
    rule = rule or VesselRule()
    with collect_notices() as notices:
        t1w, brain, labels = (
            load(inputs.t1w),
            load_mask(inputs.brain),
            load_labels(inputs.structures),
        )
        require_same("brain mask", brain.grid, "T1w", t1w.grid)
        require_same("structures", labels.grid, "T1w", t1w.grid)
        given = load_still(inputs.image)
        matrix = coregister(
            t1w, given, mask=surroundings(brain), threads=threads, where=inputs.image.name
        ).matrix
        box, grid = _window(brain)
        seen = resample(given, grid, matrix=matrix, threads=threads)
        inside = np.ascontiguousarray(brain.data[box].astype(bool))
        part = vessels_in(
            np.asarray(seen, np.float32),
            np.ascontiguousarray(t1w.data[box], dtype=np.float32),
            inside, brain_hull(inside, grid), grid, contrast=contrast, rule=rule,
        )  # fmt: skip
    mask = np.zeros(t1w.grid.shape, bool)
    mask[box] = part
    targets = np.isin(labels.data, (*HIPPOCAMPUS.values(), *AMYGDALA.values()))[box]
    apart = distance_mm(targets, grid)[part].min() if part.any() else None
    found = ProposedVessels(
        label, contrast, float(part.sum()) * grid.voxel_volume_mm3 / 1000,
        None if apart is None else round(float(apart), 2), rule, notices=tuple(notices),
    )  # fmt: skip
    save(
        outputs.mask, mask, t1w.affine,
        sidecar={"SpatialReference": "orig", "Type": "ROI", "Confirmed": False,
                 "Description": "vessels proposed by a program, not confirmed by anybody"},
    )  # fmt: skip
    write_json(outputs.metrics, plain(found))
    whole = Image(resample(given, t1w.grid, matrix=matrix, threads=threads), t1w.affine)
    centre = middle_of(targets if targets.any() else inside, grid.affine)
    write_text(outputs.page, vessel_page(found, t1w, whole, Image(mask, t1w.affine), centre))
    return found


def _window(brain: Image) -> tuple[tuple[slice, ...], Grid]:
    """Box around the brain, and its grid."""
    voxels = np.argwhere(brain.data)
    border = np.ceil(BORDER_MM / brain.grid.voxel_sizes_mm).astype(int)
    low = np.maximum(voxels.min(axis=0) - border, 0)
    high = np.minimum(voxels.max(axis=0) + border + 1, brain.grid.shape)
    affine = np.array(brain.affine)
    affine[:3, 3] = apply_affine(affine, low)
    x, y, z = (int(n) for n in high - low)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), Grid((x, y, z), affine)
