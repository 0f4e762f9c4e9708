"""Every choice of a comparison of maps that somebody has already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from falx.core.settings import option, with_default
from falx.maps.settings import InferenceOptions, Listing, Selection

__all__ = ["CompareConfiguration"]


@dataclass(frozen=True)
class CompareConfiguration(Listing, InferenceOptions, Selection):
    """Whose maps are compared, by which model, and how they are corrected."""

    columns: tuple[str, ...] = with_default(Selection, "columns", ())
    map_column: str = option("map", help="column of the files, as seen from the table's folder")
    measure: str = option("Map", help="what the maps show, for titles")
    mask: Path | None = option(
        None, help="analysis mask; voxels where everybody's map is finite and not 0 if absent"
    )
    decisions: Path | None = option(
        None, help="table of who is left out by hand (participant_id, include: yes or no, reason)"
    )
    atlas: Path | None = option(None, help="label volume of the tables; the shipped one if absent")
    atlas_labels: Path | None = option(None, help="names of its labels")
    seed: int = option(1, help="of the permutations", low=0, high=2**31)

    def __post_init__(self) -> None:
        Selection.__post_init__(self)
