"""The button of ``falx ablation`` on the page Draw: the command and its words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from falx.anatomy.files import load_matrix
from falx.core.errors import InputError
from falx.core.grid import SIDES, apply_affine
from falx.desk import running
from falx.desk.drawing import MaskTarget
from falx.desk.mask_files import image_in_role, image_of, open_dataset, registration_of
from falx.desk.processes import Run
from falx.desk.workspace import Workspace
from falx.studies.ablation.files import AblationOutputs, find_inputs
from falx.studies.signature.study import STUDY

__all__ = ["Wanted", "order_of"]

COMMAND = "ablation"


@dataclass(frozen=True)
class Wanted:
    """What the page asks for.

    Parameters
    ----------
    target
        The mask that is to be drawn; its image is the T1w before or after the operation.
    at_mm
        A point in the ablation, RAS+ mm of that image: three numbers, or none.
    """

    target: MaskTarget
    at_mm: tuple[float, ...] = ()


def order_of(workspace: Workspace, wanted: Wanted) -> Run:
    """Return the command that proposes a patient's ablation.

    Raises
    ------
    InputError
        If there is no T1w after the operation, or the study has not got as far as the command
        needs: what is asked for could not be given.
    """
    target, out = wanted.target, workspace.out
    dataset = open_dataset(workspace)
    found = image_in_role(dataset, "postop", target.subject)
    if found is None:
        raise InputError(
            "there is no T1w after the operation", where=f"sub-{target.subject}",
            do="import it first",
        )  # fmt: skip
    find_inputs(out, target.subject, found.path, None)
    page = AblationOutputs.below(out, target.subject).page
    words = [*running.PROGRAM[:-1], COMMAND, str(out.absolute())]
    words += ["--participant-label", target.subject, "--postop", str(found.path.absolute())]
    side = STUDY.columns["side"].of(dataset.participants, target.subject)
    words += ["--side", str(side)] if side in SIDES else []
    if wanted.at_mm:
        words += ["--seed-mm", *(f"{value:.1f}" for value in _on_t1w(workspace, wanted))]
    title = f"ablation of sub-{target.subject}, a proposal"
    page_name = page.relative_to(out).as_posix()
    return Run("", title, COMMAND, (target.subject,), tuple(words), "", page=page_name)


def _on_t1w(workspace: Workspace, wanted: Wanted) -> list[float]:
    """Return the point, as the T1w before the operation has it."""
    at = np.asarray(wanted.at_mm, dtype=float)
    if at.shape != (3,) or not (np.abs(at) < 1000).all():
        raise InputError("a point has three coordinates in the head", do="reload the page")
    place = image_of(workspace, wanted.target).place
    if not place:
        raise InputError(
            "a point is taken on the T1w before or after the operation",
            do="choose one of these images",
        )  # fmt: skip
    if place == "postop":
        matrix = load_matrix(registration_of(workspace, wanted.target.subject))
        at = apply_affine(np.linalg.inv(matrix), at)
    return [float(value) for value in at]
