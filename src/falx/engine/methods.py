"""The methods text of an output folder, written anew after all that adds a record."""

from __future__ import annotations

import contextlib
from pathlib import Path

from falx.core.errors import InputError
from falx.core.settings import read_toml
from falx.core.study import load_study
from falx.engine.folder import keep_text
from falx.engine.provenance import BY_HAND, read_records

__all__ = ["METHODS", "write_methods"]

METHODS = ("methods.bib", "methods.html", "methods.md")
"""Files that it stands in: they hold no number of a study."""


def write_methods(out: Path) -> None:
    """Write the methods text from the records of a folder; a file that says the same is left.

    Each file is compared by itself: one that is missing or damaged is written again. None is
    written for a study that is not installed here, as where a folder came from elsewhere.
    """
    records = read_records(out)
    names = {one.study for one in records} - {BY_HAND}
    try:
        study = load_study(min(names)) if names else None
    except (ImportError, AttributeError):
        return
    if study is None or study.methods is None:
        return
    chosen: dict[str, object] = {}
    for name in ("configuration.toml", "configuration-group.toml"):
        with contextlib.suppress(InputError):  # none yet, or edited: the records count
            chosen |= read_toml(out / name)
    for name, text in study.methods(study, records, chosen).items():
        keep_text(out / name, text)
