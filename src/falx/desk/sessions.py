"""What a dataset calls its sessions, said once: the ``--filter`` of a run follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falx.bids.index import Index
from falx.core.errors import InputError
from falx.core.files import read_record, write_json
from falx.core.records import plain
from falx.core.study import Study

__all__ = [
    "SessionNames",
    "filters_of",
    "labels_of",
    "read_sessions",
    "write_sessions",
]

STANDARD = ("preop", "postop")


@dataclass(frozen=True)
class SessionNames:
    """Labels of the sessions before and after the operation; empty: as Falx calls them itself.

    Parameters
    ----------
    preop, postop
        Without ``ses-``: ``"1"``.
    """

    preop: str = ""
    postop: str = ""


def labels_of(index: Index, subjects: Sequence[str]) -> tuple[str, ...]:
    """Return the session labels of a dataset, sorted."""
    found = {
        file.name.entities.get("ses") for subject in subjects for file in index.files(subject)
    }
    return tuple(sorted(label for label in found if label))


def read_sessions(private: Path) -> SessionNames:
    """Read the stored names; those of Falx where none are stored."""
    path = private / "sessions.json"
    return read_record(SessionNames, path) if path.is_file() else SessionNames()


def write_sessions(private: Path, names: SessionNames, known: Sequence[str]) -> None:
    """Store the names.

    Raises
    ------
    InputError
        If the dataset has no such session, or one is said to be both.
    """
    for label in filter(None, (names.preop, names.postop)):
        if label not in known:
            raise InputError(
                "the dataset has no such session", found=repr(label), do=f"of {', '.join(known)}"
            )
    if names.preop and names.preop == names.postop:
        raise InputError(
            "one session cannot be before and after the operation", found=names.preop,
            do="choose two",
        )  # fmt: skip
    write_json(private / "sessions.json", plain(names))


def filters_of(names: SessionNames, study: Study) -> tuple[str, ...]:
    """Return ``t1w.ses=1`` and so on for every image of a study that lies in a session.

    Images whose sessions the study orders by preference, as a mask that may lie before or after,
    follow the first of them.

    Examples
    --------
    >>> from falx.studies.signature.study import STUDY
    >>> filters_of(SessionNames("1", "2"), STUDY)[:2]
    ('t1w.ses=1', 'pet.ses=1')
    """
    chosen = dict(zip(STANDARD, (names.preop, names.postop), strict=True))
    return tuple(
        f"{role}.ses={label}"
        for role, wanted in study.raw.items()
        if wanted.sessions and not wanted.derivatives
        if (label := chosen.get(wanted.sessions[0] or "")) and label not in STANDARD
    )
