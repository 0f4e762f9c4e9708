"""The patients of a dataset, what each has, and how far the study has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.bids.dataset import Dataset
from falx.bids.index import Index
from falx.bids.query import find_one, parse_filter
from falx.core.errors import FalxError
from falx.core.files import read_table
from falx.core.study import Study
from falx.desk.sessions import SessionNames, filters_of, labels_of, read_sessions
from falx.desk.workspace import Workspace
from falx.engine.people import STATUS
from falx.report.index_page import TITLES

__all__ = ["ImageState", "Overview", "PatientState", "overview", "subjects_of"]

SHOWN = ("t1w", "pet", "flair", "postop", "ablation")
"""Images of the study that the list names."""

OTHERS = {
    title.capitalize(): f"sub-{{label}}/anat/sub-{{label}}_desc-{end}.html"
    for end, title in TITLES.items()
}
"""Pages that commands by hand leave beside the study's own."""


@dataclass(frozen=True)
class ImageState:
    """Whether a patient has an image.

    Parameters
    ----------
    role, what
        Name in the study and for people: ``"pet"``, ``"FDG-PET image"``.
    file
        Path in the dataset, empty if there is none.
    problem
        Why the study could not choose one; empty if it can.
    """

    role: str
    what: str
    file: str
    required: bool
    problem: str = ""


@dataclass(frozen=True)
class PatientState:
    """One row of the list.

    Parameters
    ----------
    status
        Of ``participants_status.tsv``: ``"finished"``, ``"failed"`` …; ``"not run"`` without.
    stage, reason
        Where and why it stopped; empty if it did not.
    page
        Name of the patient's page in the outputs; empty before it is written.
    others
        Title to path of the other pages that there are of the patient.
    files
        Names of images that follow BIDS, for a patient whose images have no role.
    """

    label: str
    images: tuple[ImageState, ...]
    status: str
    stage: str
    reason: str
    page: str
    others: Mapping[str, str]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """Everything the patients' page shows.

    Parameters
    ----------
    sessions
        Labels in the dataset.
    unknown
        Whether none of them is one that Falx knows, and none has been named yet.
    """

    folder: str
    outputs: str
    patients: tuple[PatientState, ...]
    sessions: tuple[str, ...]
    names: SessionNames
    unknown: bool


def subjects_of(bids: Path) -> tuple[str, ...]:
    """Return the labels of a dataset, which may have none yet.

    Raises
    ------
    InputError
        If the folder has gone.
    """
    index = Index(bids)
    return index.subjects if any(bids.glob("sub-*/")) else ()


def overview(workspace: Workspace, study: Study) -> Overview:
    """Read the list of patients."""
    subjects = subjects_of(workspace.bids)
    dataset = Dataset.open(workspace.bids)
    names = read_sessions(workspace.private)
    known = labels_of(dataset.index, subjects)
    status = _status(workspace.out)
    patients = tuple(
        _patient(label, dataset, study, names, status.get(label, ("not run", "", "")), workspace)
        for label in subjects
    )
    standard = {label for wanted in study.raw.values() for label in wanted.sessions if label}
    unknown = bool(known) and not standard & set(known) and names == SessionNames()
    return Overview(
        str(workspace.bids), str(workspace.out), patients, known, names, unknown
    )  # fmt: skip


def _patient(
    label: str,
    dataset: Dataset,
    study: Study,
    names: SessionNames,
    status: tuple[str, str, str],
    workspace: Workspace,
) -> PatientState:
    filters = filters_of(names, study)
    images = tuple(_image(role, label, dataset, study, filters) for role in SHOWN)
    page = f"sub-{label}.html"
    return PatientState(
        label,
        images,
        *status,
        page if (workspace.out / page).is_file() else "",
        {
            title: path.format(label=label)
            for title, path in OTHERS.items()
            if (workspace.out / path.format(label=label)).is_file()
        },
        tuple(
            file.path
            for file in dataset.index.files(label)
            if file.path.endswith((".nii", ".nii.gz"))
        ),
    )


def _image(
    role: str, label: str, dataset: Dataset, study: Study, filters: Sequence[str]
) -> ImageState:
    wanted = study.raw[role]
    try:
        found = find_one(
            role, wanted, label, dataset=dataset.index, own_derivatives=dataset.own_derivatives,
            filters=[parse_filter(text, list(study.raw)) for text in filters],
        )  # fmt: skip
    except FalxError as error:
        return ImageState(role, wanted.what, "", wanted.required, str(error))
    return ImageState(role, wanted.what, found.uri if found else "", wanted.required)


def _status(out: Path) -> dict[str, tuple[str, str, str]]:
    """Status, stage and reason of each patient, as the last run left them."""
    path = out / STATUS
    if not path.is_file():
        return {}
    found = {}
    for row in read_table(path).records():
        cells = ("" if row[k] == "n/a" else row[k] for k in ("status", "stage", "reason"))
        status, stage, reason = cells
        found[row["participant_id"].removeprefix("sub-")] = (status, stage, reason)
    return found
