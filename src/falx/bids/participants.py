"""``participants.tsv`` of a dataset."""

from __future__ import annotations

from pathlib import Path

from falx.core import files
from falx.core.participants import Participants

__all__ = ["read_participants"]


def read_participants(dataset: Path) -> Participants:
    """Read ``participants.tsv`` of a dataset; a dataset without one has no rows."""
    path = dataset / "participants.tsv"
    return files.read_participants(path) if path.is_file() else Participants()
