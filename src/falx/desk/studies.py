"""The studies that a desk runs, and where each leaves its outputs."""

from __future__ import annotations

from pathlib import Path

from falx.core.errors import check_option
from falx.core.study import Study, load_study
from falx.desk.workspace import Workspace
from falx.studies.signature.study import STUDY

__all__ = ["GENES", "ROLES", "STUDIES", "out_of", "study_of"]

STUDIES = {
    STUDY.name: STUDY.reference,
    "resistance": "falx.studies.resistance.study:STUDY",
}
"""Name to what is loaded when it is first asked for."""

GENES = "genes"
"""Folder of what ``falx genes`` writes: one folder a map in it."""

ROLES = ("resistant", "sensitive", "controls")
"""Groups of the resistance study, whose entries a cohort may call as it likes."""


def study_of(name: str) -> Study:
    """Return a study by its name."""
    return load_study(STUDIES[check_option("the study", name, list(STUDIES))])


def out_of(workspace: Workspace, name: str) -> Path:
    """Return the folder of a study's outputs; those of the others lie beside the signature's."""
    check_option("the study", name, [*STUDIES, GENES])
    return workspace.out if name == STUDY.name else workspace.out.with_name(name)
