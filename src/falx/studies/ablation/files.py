"""Files of ``falx ablation``: a post-operative T1w becomes a proposed mask and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from falx.anatomy.files import load_still
from falx.anatomy.registration.coregistration import coregister, surroundings
from falx.atlas.freesurfer_numbers import MESIAL
from falx.bids.derivative import output_path
from falx.core.errors import InputError, collect_notices
from falx.core.files import write_json, write_text
from falx.core.grid import SIDES, Grid, Side, apply_affine, require_same
from falx.core.possible import Possible
from falx.core.records import plain
from falx.images.nifti import Image, load, load_labels, load_mask, save
from falx.images.resample import resample
from falx.studies.ablation.page import Proposed, proposal_page
from falx.studies.signature.study import STUDY
from falx.surgery.outcome.cavity import CavityRule, Proposal
from falx.surgery.outcome.proposal import propose as propose_mask

__all__ = ["AblationInputs", "AblationOutputs", "Seed", "find_inputs", "propose", "window_of"]

BORDER_MM = 30.0
"""What is looked at around both hippocampi and amygdalae: enough to know each tissue's grey."""

SEED_MM = 4.0

Seed = tuple[float, float, float]

NEEDED: Mapping[str, tuple[str, str]] = {
    "t1w": ("anatomy", "corrected"),
    "brain": ("anatomy", "brain_mask"),
    "structures": ("anatomy", "structures"),
}


@dataclass(frozen=True)
class AblationInputs:
    """What is read: three files on the pre-operative T1w grid, and the image after.

    `prior` is the mask of the planned ablation, on the same grid, if it is to lead the search.
    """

    t1w: Path
    brain: Path
    structures: Path
    postop: Path
    prior: Path | None = None


@dataclass(frozen=True)
class AblationOutputs:
    """What is written; without a proposal the mask and map of an earlier run are removed."""

    mask: Path
    share: Path
    metrics: Path
    page: Path

    @classmethod
    def below(cls, out: Path, subject: str) -> AblationOutputs:
        """Name the outputs of a patient in an output folder."""
        names = {
            "mask": output_path("anat", "mask", space="T1w", label="ablation", desc="proposed"),
            "share": output_path(
                "anat", "probseg", space="T1w", label="ablation", desc="proposed"
            ),
            "metrics": output_path("anat", "metrics", extension=".json", desc="proposedAblation"),
            "page": output_path("anat", "metrics", extension=".html", desc="proposedAblation"),
        }
        return cls(**{name: out / text.format(subject=subject) for name, text in names.items()})


def find_inputs(out: Path, subject: str, postop: Path, prior: Path | None) -> AblationInputs:
    """Find what ``falx signature`` wrote for a patient.

    Raises
    ------
    InputError
        If a file is missing, saying which step writes it.
    """
    found = {}
    for name, (stage, output) in NEEDED.items():
        found[name] = out / STUDY.stage(stage).outputs[output].format(subject=subject)
    wanted = {**found, "postop": postop} | ({} if prior is None else {"prior": prior})
    for name, path in wanted.items():
        if not path.is_file():
            raise InputError(
                f"there is no {path.name}",
                where=f"sub-{subject}",
                do="correct the path" if name not in found
                else "run falx signature into this folder first",
            )  # fmt: skip
    return AblationInputs(**found, postop=postop, prior=prior)


def propose(
    inputs: AblationInputs,
    outputs: AblationOutputs,
    *,
    label: str,
    side: Side | None = None,
    seed_mm: Seed | None = None,
    rule: CavityRule | None = None,
    threads: int = 1,
) -> Proposed:
    """Propose an ablation, and write mask, map, record and page.

    Parameters
    ----------
    side
        Side of the operation, if it is known.
    seed_mm
        A point inside the ablation, RAS+ mm of the pre-operative T1w.
    """
    rule = rule or CavityRule()
    with collect_notices() as notices:
        before, brain = load(inputs.t1w), load_mask(inputs.brain)
        labels = load_labels(inputs.structures)
        require_same("brain mask", brain.grid, "T1w", before.grid)
        require_same("structures", labels.grid, "T1w", before.grid)
        after = load_still(inputs.postop)
        matrix = coregister(
            before, after, mask=surroundings(brain), threads=threads, where=inputs.postop.name
        ).matrix
        prior, words = _prior(inputs, seed_mm, before.grid)
        targets = {one: np.isin(labels.data, MESIAL[one]) for one in SIDES}
        box, grid = window_of(targets, prior, before.grid)
        seen = resample(after, grid, matrix=matrix, threads=threads)
        inside = np.ascontiguousarray(brain.data[box].astype(bool))
        proposal = propose_mask(
            np.ascontiguousarray(before.data[box]),
            seen,
            inside,
            {one: np.ascontiguousarray(mask[box]) for one, mask in targets.items()},
            grid,
            side=side,
            prior=None if prior is None else np.ascontiguousarray(prior[box]),
            rule=rule,
        )
    found = Proposed(
        label, proposal.side, proposal.confidence, proposal.volume_mm3, proposal.other_mm3,
        proposal.reason, words, rule, notices=tuple(notices),
    )  # fmt: skip
    mask, share = _on_whole(proposal, box, before.grid)
    _save(outputs, found, mask, share, before.affine)
    brought = Image(resample(after, before.grid, matrix=matrix, threads=threads), before.affine)
    write_text(outputs.page, proposal_page(found, before, brought, Image(mask, before.affine)))
    return found


def _save(
    outputs: AblationOutputs,
    found: Proposed,
    mask: npt.NDArray[np.bool_],
    share: npt.NDArray[np.float32],
    affine: npt.NDArray[np.float64],
) -> None:
    for path in (outputs.mask, outputs.share):
        path.unlink(missing_ok=True)
        path.with_suffix("").with_suffix(".json").unlink(missing_ok=True)
    if found.side is not None:
        about = {"SpatialReference": "orig", "Confirmed": False,
                 "Description": "proposal of a program, not confirmed by anybody"}  # fmt: skip
        save(outputs.mask, mask, affine, sidecar={**about, "Type": "Lesion"})
        save(outputs.share, share, affine, sidecar={**about, "Type": "Lesion"},
             possible=Possible(0, 1))  # fmt: skip
    write_json(outputs.metrics, plain(found))


def _prior(
    inputs: AblationInputs, seed_mm: Seed | None, grid: Grid
) -> tuple[npt.NDArray[np.bool_] | None, str]:
    """Mask (X, Y, Z) that leads the search, and what it is called."""
    if seed_mm is not None:
        near = np.linalg.norm(grid.centres_mm() - np.array(seed_mm), axis=-1) <= SEED_MM
        if not near.any():
            raise InputError(
                "the seed lies outside the T1w image", found=f"{seed_mm} mm",
                do="give RAS+ mm of the pre-operative T1w",
            )  # fmt: skip
        return np.asarray(near), "the seed"
    if inputs.prior is None:
        return None, "hippocampus and amygdala"
    prior = load_mask(inputs.prior)
    require_same("planned ablation", prior.grid, "T1w", grid)
    if not prior.data.any():
        raise InputError("the planned ablation is empty", where=inputs.prior.name,
                         do="give another mask, or none")  # fmt: skip
    return np.asarray(prior.data, dtype=bool), "the planned ablation"


def window_of(
    targets: Mapping[Side, npt.NDArray[np.bool_]],
    prior: npt.NDArray[np.bool_] | None,
    grid: Grid,
) -> tuple[tuple[slice, ...], Grid]:
    """Box around both sides' targets, and its grid."""
    every = np.logical_or.reduce([*targets.values(), *([] if prior is None else [prior])])
    if not all(mask.any() for mask in targets.values()):
        raise InputError(
            "the structures lack a hippocampus with its amygdala, of one side or both",
            do="check the segmentation",
        )
    voxels = np.argwhere(every)
    border = np.ceil(BORDER_MM / grid.voxel_sizes_mm).astype(int)
    low = np.maximum(voxels.min(axis=0) - border, 0)
    high = np.minimum(voxels.max(axis=0) + border + 1, grid.shape)
    affine = np.array(grid.affine)
    affine[:3, 3] = apply_affine(affine, low)
    x, y, z = (int(n) for n in high - low)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), Grid((x, y, z), affine)


def _on_whole(
    proposal: Proposal, box: tuple[slice, ...], grid: Grid
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    mask, share = np.zeros(grid.shape, bool), np.zeros(grid.shape, np.float32)
    mask[box], share[box] = proposal.mask, proposal.share
    return mask, share
