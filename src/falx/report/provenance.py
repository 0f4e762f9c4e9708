"""How a page's results came about: records of the stages as blocks of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from falx.report.page import Details, Table, Text

__all__ = ["provenance_blocks", "read_record"]


def provenance_blocks(records: Mapping[str, Mapping[str, Any]]) -> list[Details]:
    """Return parameters, files with their digests, and versions of every stage, folded away."""
    return [_stage(name, record) for name, record in records.items()]


def _stage(name: str, record: Mapping[str, Any]) -> Details:
    rows = [[key, str(value)] for key, value in record.get("params", {}).items()]
    files = {**record.get("inputs", {}), **record.get("outputs", {})}
    digests = [[key, file["uri"], file["blake2b"][:16]] for key, file in files.items()]
    packages = ", ".join(f"{key} {value}" for key, value in record.get("packages", {}).items())
    return Details(
        f"{name} (version {record.get('version')}, {record.get('seconds', 0):.1f} s)",
        [
            Table(("parameter", "value"), rows),
            Table(("file", "where", "BLAKE2b"), digests),
            Text(f"Falx {record.get('falx')}, Python {record.get('python')}, {packages}"),
        ],
    )


def read_record(path: Path) -> dict[str, Any]:
    """Read metrics or provenance of a stage."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
