"""The reproduction as files: a table, JSON and the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from falx.core.files import write_table, write_text
from falx.core.records import plain
from falx.studies.outcome.fields import rows_of
from falx.studies.reproduce.answer import FIELDS
from falx.studies.reproduce.comparison import Item

__all__ = ["as_json", "write_reproduction"]


def as_json(items: Sequence[Item]) -> str:
    """Return the items as JSON."""
    return json.dumps(plain(list(items)), indent=2, ensure_ascii=False) + "\n"


def write_reproduction(study: str, items: Sequence[Item], page: str, folder: Path) -> Path:
    """Write TSV, JSON and `page`, all named after the study; return the path of the page."""
    path = folder / f"{study}.html"
    write_text(path, page)
    write_table(folder / f"{study}.tsv", *rows_of(FIELDS, items))
    write_text(folder / f"{study}.json", as_json(items))
    return path
