"""The reproduction as files: a table, JSON and the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from falx.core.files import write_table, write_text
from falx.core.records import plain
from falx.studies.outcome.fields import rows_of
from falx.studies.outcome.outcome import OutcomeSettings
from falx.studies.reproduce.items import Item
from falx.studies.reproduce.mo2025 import FIELDS, as_page

__all__ = ["as_json", "write_reproduction"]


def as_json(items: Sequence[Item]) -> str:
    """Return the items as JSON."""
    return json.dumps(plain(list(items)), indent=2, ensure_ascii=False) + "\n"


def write_reproduction(items: Sequence[Item], settings: OutcomeSettings, folder: Path) -> Path:
    """Write TSV, JSON and the page of the items; return the path of the page."""
    page = folder / "mo2025.html"
    write_text(page, as_page(items, settings))
    write_table(folder / "mo2025.tsv", *rows_of(FIELDS, items))
    write_text(folder / "mo2025.json", as_json(items))
    return page
