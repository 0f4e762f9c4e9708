"""What the output folder should hold: every record and every file of the engine's own.

Outputs stand in the records; ``provenance/manifest.json`` names the records and the files beside
them (configuration, tables of people, description), each with its digest, and seals itself. So
nothing of the folder can be damaged, lost or added without :mod:`falx.engine.verify` seeing it.
It lies among the records, for a folder that is passed on without ``.falx`` is to be checked, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from falx.core.files import remove_parts, write_text
from falx.engine.digest import digest_file, read_sealed, seal, stamp

__all__ = ["MANIFEST", "OWN_FILES", "Manifest", "close_manifest", "open_manifest", "read_manifest"]

MANIFEST = "provenance/manifest.json"

OWN_FILES = (
    ".bidsignore",
    "README.md",
    "configuration.toml",
    "configuration-group.toml",
    "dataset_description.json",
    "exclusions.tsv",
    "failures.tsv",
    "index.html",
    "methods.bib",
    "methods.html",
    "methods.md",
    "participants_status.tsv",
)
"""Files that the engine itself writes, whole and at the top."""


@dataclass(frozen=True)
class Manifest:
    """Digests by path.

    Parameters
    ----------
    records
        Id of a job to digest, size and time of change of its record.
    files
        Name of an own file to its digest.
    complete
        Whether the run that wrote it came to its end.
    """

    records: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    complete: bool = False


def read_manifest(out: Path) -> Manifest | None:
    """Return the manifest, ``None`` where it is missing or damaged."""
    content = read_sealed(out / MANIFEST)
    try:
        found = Manifest(**(content or {}))
        records = {job: (str(d), int(n), int(t)) for job, (d, n, t) in found.records.items()}
        return None if content is None else replace(found, records=records)
    except (ValueError, TypeError, AttributeError):
        return None


def open_manifest(out: Path) -> None:
    """Note that a run has begun: until it ends, what is there may be ahead of the manifest.

    A run that did not come to its end may have left files that are not whole; they are removed.
    """
    known = read_manifest(out) or Manifest()
    if not known.complete:
        remove_parts(out)
    if known.complete or not (out / MANIFEST).exists():
        _write(out, Manifest(known.records, known.files))


def close_manifest(out: Path, written: Iterable[str] = OWN_FILES) -> None:
    """Write down what the folder holds at the end of a run.

    Parameters
    ----------
    written
        Own files that this run has written or compared; of the others what was known stays, so
        that no damage is taken over.

    Notes
    -----
    Records whose size and time of change are those of the last manifest are not read again.
    """
    last = read_manifest(out) or Manifest()
    known = last.records
    records = {}
    for job_id, path in record_files(out):
        now = stamp(path)
        before = known.get(job_id)
        if now is not None:
            fresh = before is None or before[1:] != now
            records[job_id] = (digest_file(path) if fresh or before is None else before[0], *now)
    kept = {name: digest for name, digest in last.files.items() if name not in set(written)}
    fresh_files = {name: digest_file(out / name) for name in written if (out / name).is_file()}
    files = dict(sorted({**kept, **fresh_files}.items()))
    _write(out, Manifest(records, files, complete=True))


def record_files(out: Path) -> Iterable[tuple[str, Path]]:
    """Every file that could be a record, with the id of its job, sorted."""
    for path in sorted((out / "provenance").glob("*/*.json")):
        yield f"{path.parent.name}/{path.stem}", path


def _write(out: Path, manifest: Manifest) -> None:
    write_text(out / MANIFEST, seal(asdict(manifest)), durable=True)
