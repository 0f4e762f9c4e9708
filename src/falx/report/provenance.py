"""How a page's results came about: records of the stages as blocks of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from falx.report.page import Details, Table, Text

__all__ = ["MadeFile", "StageRecord", "provenance_blocks"]


@dataclass(frozen=True)
class MadeFile:
    """A file that a stage read or wrote, and the digest of its content."""

    uri: str
    blake2b: str


@dataclass(frozen=True)
class StageRecord:
    """What the provenance of a stage says on a page."""

    version: int | None = None
    seconds: float = 0.0
    falx: str | None = None
    python: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, MadeFile] = field(default_factory=dict)
    outputs: Mapping[str, MadeFile] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def provenance_blocks(records: Mapping[str, StageRecord]) -> list[Details]:
    """Return parameters, files with their digests, and versions of every stage, folded away."""
    return [_stage(name, record) for name, record in records.items()]


def _stage(name: str, record: StageRecord) -> Details:
    rows = [[key, str(value)] for key, value in record.params.items()]
    files = {**record.inputs, **record.outputs}
    digests = [[key, file.uri, file.blake2b[:16]] for key, file in files.items()]
    packages = ", ".join(f"{key} {value}" for key, value in record.packages.items())
    return Details(
        f"{name} (version {record.version}, {record.seconds:.1f} s)",
        [
            Table(("parameter", "value"), rows),
            Table(("file", "where", "BLAKE2b"), digests),
            Text(f"Falx {record.falx}, Python {record.python}, {packages}"),
        ],
    )
