"""Whose folder it is: a job of a run that has lost the folder touches nothing in it."""

from __future__ import annotations

from pathlib import Path

from falx.core.errors import InputError
from falx.engine.digest import read_private

__all__ = ["LOCK", "check_lease", "holds_lease", "lease_of"]

LOCK = ".falx/lock.json"


def lease_of(out: Path) -> str:
    """Return the token of the run that holds the folder; empty if none does."""
    return str(read_private(out / LOCK).get("lease", ""))


def holds_lease(out: Path, lease: str) -> bool:
    """Whether a job may write: its run holds the folder, or it was started by hand."""
    return not lease or lease_of(out) == lease


def check_lease(out: Path, lease: str) -> None:
    """Raise if another run has the folder, or the own one has ended.

    A job on a cluster may outlive the run that ordered it. It asks before it publishes and before
    it deletes.
    """
    if not holds_lease(out, lease):
        raise InputError(
            "the run that ordered this step no longer holds the output folder",
            where=out.name,
            do="nothing was changed; look at the run that holds it now",
        )
