"""Provenance: how every output came to be, in one record for each job.

The records lie in ``provenance/`` of the output folder: ``provenance/sub-07/anatomy.json``
says which inputs, parameters, stage version and packages gave which outputs. They name files
relative to their datasets and hold no path of the machine. A job whose record is missing has
not finished. A record ends with the digest of its own text, and names the digest of every record
that it builds upon: what was edited, damaged or made again since shows.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from falx import __version__
from falx.core.files import write_text
from falx.engine.digest import Values, digest_file, digest_value, read_sealed, seal, stamp

__all__ = [
    "BY_HAND", "FileRecord", "Record", "discard", "file_record", "now", "read_record",
    "read_records", "record_of", "record_path", "spoilt", "write_record",
]  # fmt: skip

BY_HAND = "command"
"""Study of the records of commands that a user gives, which no run repeats."""

PACKAGES = (
    "highdicom", "matplotlib", "networkx", "nibabel", "numba", "numpy", "obonet", "pandas",
    "picsl_greedy", "pydeseq2", "scipy",
)  # fmt: skip
"""Packages whose version is recorded where the job has used them."""


def _packages() -> dict[str, str]:
    """Return the versions of the packages that this process has used."""
    return {name: importlib.metadata.version(name) for name in PACKAGES if name in sys.modules}


@dataclass(frozen=True)
class FileRecord:
    """A file as a job has read or written it.

    Parameters
    ----------
    uri
        Path relative to the output folder, or ``bids:raw:…`` for inputs from outside.
    blake2b
        Digest of its content; empty for provenance records, which hold times.
    bytes, mtime_ns
        Size and time of last change: while both stay, the content is taken to be the same.
    """

    uri: str
    blake2b: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """How the outputs of one job came to be.

    Parameters
    ----------
    above
        Id to :attr:`digest` of the records of the jobs it took from.
    """

    study: str
    stage: str
    version: int = 1
    unit: str
    recipe: str
    params: Values
    inputs: Mapping[str, FileRecord]
    outputs: Mapping[str, FileRecord]
    notices: tuple[str, ...] = ()
    started: str
    seconds: float
    threads: int = 1
    peak_mem_mb: int = 0
    falx: str = __version__
    python: str = field(default_factory=platform.python_version)
    packages: Mapping[str, str] = field(default_factory=_packages)
    above: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take what JSON has made of the records of files, and of notices."""
        for name in ("inputs", "outputs"):
            files = {
                key: file if isinstance(file, FileRecord) else FileRecord(**file)
                for key, file in getattr(self, name).items()
            }
            object.__setattr__(self, name, files)
        object.__setattr__(self, "notices", tuple(self.notices))

    @property
    def digest(self) -> str:
        """Digest of what decides the outputs and of these, without times and machines."""
        return digest_value(
            [
                self.id, self.study, self.version, self.recipe, self.params,
                *({n: (f.uri, f.blake2b) for n, f in files.items()}
                  for files in (self.inputs, self.outputs)),
            ]
        )  # fmt: skip

    @property
    def written(self) -> frozenset[str]:
        """Where its outputs lie."""
        return frozenset(file.uri for file in self.outputs.values())

    @property
    def id(self) -> str:
        """Id of the job it belongs to."""
        return f"{self.unit}/{self.stage}"


def now() -> str:
    """Return the time, for records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def file_record(uri: str, path: Path, *, digest: bool = True) -> FileRecord:
    """Digest a file for a record."""
    size, mtime_ns = stamp(path) or (0, 0)
    return FileRecord(uri, digest_file(path) if digest else "", size, mtime_ns)


def spoilt(file: FileRecord, writers: Iterable[Record]) -> str:
    """Return the id of the job that wrote a file and left it otherwise; empty if it is as left."""
    for record in writers:
        for left in record.outputs.values():
            if left.uri == file.uri and left.blake2b != file.blake2b:
                return record.id
    return ""


def write_record(out: Path, record: Record) -> None:
    """Write the record of a finished job, whole or not at all."""
    write_text(record_path(out, record.id), seal(asdict(record)), durable=True)


def record_path(out: Path, job_id: str) -> Path:
    """Return where the record of a job lies."""
    return out / "provenance" / f"{job_id}.json"


def read_record(path: Path) -> Record | None:
    """Read a record; ``None`` where there is none or it is damaged."""
    content = read_sealed(path)
    try:
        return Record(**content) if content is not None else None
    except (TypeError, ValueError, AttributeError):
        return None


def read_records(out: Path, unit: str = "*") -> list[Record]:
    """Read the records of an output folder, or of one person, sorted by job."""
    paths = sorted((out / "provenance").glob(f"{unit}/*.json"))
    return [record for path in paths if (record := read_record(path)) is not None]


def record_of(out: Path, output: Path | str) -> Record | None:
    """Return the record of the job that wrote a file of the output folder."""
    uri = Path(output).absolute().relative_to(out.absolute()).as_posix()
    return next((record for record in read_records(out) if uri in record.written), None)


def discard(out: Path, job_id: str, outputs: Iterable[str] = ()) -> None:
    """Delete a job's record and outputs, so that nothing outdated or half-written remains.

    Parameters
    ----------
    outputs
        Relative paths to delete besides those that the record names.
    """
    path = record_path(out, job_id)
    record = read_record(path)
    path.unlink(missing_ok=True)
    named = [file.uri for file in record.outputs.values()] if record is not None else []
    for uri in {*named, *outputs}:
        (out / uri).unlink(missing_ok=True)
