"""Every number of Liu et al. 2024 that its own text and tables allow to recompute."""

from __future__ import annotations

from collections.abc import Sequence

from falx.data.liu2024 import LIU2024_SOURCE
from falx.report.page import render
from falx.studies.reproduce.answer import item_sections, items_as_text
from falx.studies.reproduce.comparison import Item
from falx.studies.reproduce.liu_genes import gene_items
from falx.studies.reproduce.liu_maps import map_items
from falx.studies.reproduce.liu_people import people_items

__all__ = ["as_page", "as_text", "reproduce_liu2024"]


def reproduce_liu2024() -> tuple[Item, ...]:
    """Recompute every item; nothing is drawn at random."""
    return (*people_items(), *map_items(), *gene_items())


def as_text(items: Sequence[Item], *, published_only: bool = False) -> str:
    """Return the items as readable text; `published_only` leaves out the corrected values."""
    title = f"Recomputed from {LIU2024_SOURCE}"
    return items_as_text(title, items, published_only=published_only)


def as_page(items: Sequence[Item]) -> str:
    """Return the page of the items."""
    return render(
        "Liu et al. 2024, the printed numbers recomputed",
        item_sections(items),
        subtitle=LIU2024_SOURCE,
    )
