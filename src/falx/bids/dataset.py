"""The dataset as a user hands it over: images, derivatives, participants, choices."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from falx.bids.index import Index
from falx.bids.participants import read_participants
from falx.bids.query import Filter, Found, find_one, nearly
from falx.core.errors import FalxError
from falx.core.files import read_json
from falx.core.participants import Participants
from falx.core.study import RawInput

__all__ = ["Dataset"]


@dataclass(frozen=True)
class Dataset:
    """Everything a plan reads: images, derivatives, participants, and the user's choices.

    Parameters
    ----------
    derivatives, own_derivatives
        Derivative datasets that the user names, and those in the dataset itself.
    """

    index: Index
    derivatives: tuple[Index, ...] = ()
    own_derivatives: tuple[Index, ...] = ()
    participants: Participants = field(default_factory=Participants)
    filters: tuple[Filter, ...] = ()

    @classmethod
    def open(
        cls,
        root: Path | str,
        *,
        derivatives: Sequence[Path | str] = (),
        filters: Sequence[Filter] = (),
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
        )

    @property
    def authors(self) -> tuple[str, ...]:
        """Names that ``dataset_description.json`` gives; none where it cannot be read."""
        path = self.index.root / "dataset_description.json"
        try:
            said = read_json(path).get("Authors", ()) if path.is_file() else ()
        except (FalxError, AttributeError):
            return ()
        named = said if isinstance(said, list) else []
        return tuple(name for name in named if isinstance(name, str))

    def links(self, out: Path) -> dict[str, str]:
        """Return where the datasets of sidecars' URIs lie, as seen from the output folder.

        BIDS wants a URI for each name, so blanks are written ``%20``. A name that two datasets
        share has none: it would point to one of them for files of both.
        """
        further = (*self.derivatives, *self.own_derivatives)
        here, found = os.path.realpath(out), {("raw", os.path.realpath(self.index.root))}
        found |= {(index.root.name, os.path.realpath(index.root)) for index in further}
        shared = Counter(name for name, _ in found)
        return {
            name: quote(Path(os.path.relpath(root, here)).as_posix())
            for name, root in sorted(found, key=lambda one: (one[0] != "raw", one))
            if shared[name] == 1
        }

    def nearly(self, wanted: RawInput, subject: str) -> str:
        """Say why files that look like the wanted one are not taken, wherever it may lie.

        See :func:`falx.bids.query.nearly`.
        """
        further = (*self.derivatives, *self.own_derivatives) if wanted.derivatives else ()
        return "".join(nearly(wanted, subject, index) for index in (self.index, *further))

    def find(self, role: str, wanted: RawInput, subject: str) -> Found | None:
        """Return the file of a subject that plays a role; see :func:`falx.bids.query.find_one`."""
        return find_one(
            role,
            wanted,
            subject,
            dataset=self.index,
            derivatives=self.derivatives,
            own_derivatives=self.own_derivatives,
            filters=self.filters,
        )
