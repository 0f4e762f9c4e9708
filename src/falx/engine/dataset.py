"""The dataset as a user hands it over: images, derivatives, participants, choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from falx.bids.index import Index
from falx.bids.participants import read_participants
from falx.bids.query import Filter
from falx.core.participants import Participants
from falx.core.study import Column

__all__ = ["Dataset"]


@dataclass(frozen=True)
class Dataset:
    """Everything a plan reads: images, derivatives, participants, and the user's choices.

    Parameters
    ----------
    derivatives, own_derivatives
        Derivative datasets that the user names, and those in the dataset itself.
    columns
        Name of a study's column to the header that this dataset uses.
    """

    index: Index
    derivatives: tuple[Index, ...] = ()
    own_derivatives: tuple[Index, ...] = ()
    participants: Participants = field(default_factory=Participants)
    filters: tuple[Filter, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        root: Path | str,
        *,
        derivatives: Sequence[Path | str] = (),
        filters: Sequence[Filter] = (),
        columns: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Open a dataset with its own ``derivatives/*`` and further ones."""
        index = Index(root)
        own = sorted(p for p in (index.root / "derivatives").glob("*") if p.is_dir())
        return cls(
            index,
            tuple(Index(folder) for folder in derivatives),
            tuple(Index(folder) for folder in own),
            read_participants(index.root),
            tuple(filters),
            columns or {},
        )

    def column(self, name: str, column: Column) -> Column:
        """Return a study's column under the header that this dataset uses."""
        header = self.columns.get(name)
        return column if header is None else replace(column, names=(header,))
