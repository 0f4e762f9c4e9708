"""Checks that the output folder holds what its records say, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.digest import digest_file
from falx.engine.manifest import MANIFEST, Manifest, read_manifest, record_files
from falx.engine.provenance import BY_HAND, Record, discard, read_record

__all__ = ["Mismatch", "repair", "verify_folder"]

PRIVATE = (".falx", ".snakemake", "logs")
"""What is of this machine and no result."""


@dataclass(frozen=True)
class Mismatch:
    """A file that is not what the records say.

    Parameters
    ----------
    job
        Id of the job concerned; empty for files of no job.
    uri
        The file, relative to the output folder or its dataset.
    what
        ``"is missing"``, ``"was changed after it was written"`` …
    by_hand
        The job is a command that the user gives, and no run repeats it.
    """

    job: str
    uri: str
    what: str
    by_hand: bool = False

    def __str__(self) -> str:
        return f"{self.uri} {self.what}" + (f" ({self.job.replace('/', ' ')})" if self.job else "")


def verify_folder(out: Path, *, bids: Path | None = None) -> list[Mismatch]:
    """Digest every file of the folder and return what does not match.

    Parameters
    ----------
    bids
        Dataset the outputs were made from; with it, raw inputs are compared as well.

    Raises
    ------
    InputError
        If the folder holds no records.
    """
    paths = dict(record_files(out))
    read = {job_id: read_record(path) for job_id, path in paths.items()}
    records = {job_id: record for job_id, record in read.items() if record is not None}
    if not records and not (out / MANIFEST).exists():
        raise InputError(
            "there is no provenance", where=out, do="give an output folder that Falx has filled"
        )
    found = list(_records(out, read, paths))
    lost = {mismatch.job for mismatch in found}
    found += [m for record in records.values() for m in _outputs(out, record)]
    written = {f.uri: f.blake2b for r in records.values() for f in r.outputs.values()}
    for record in records.values():
        if record.id not in lost:
            found += list(_inputs(record, written, bids)) or list(_above(record, records))
    return [*found, *_others(out, {*written, *_names(out, paths.values())}, lost)]


def repair(out: Path, mismatches: Iterable[Mismatch]) -> list[str]:
    """Delete the outputs and records of the jobs concerned, so that they are done again.

    What a command made that no run repeats, as a plan, and files of strangers are left alone.

    Returns
    -------
    list of str
        Ids of the jobs.
    """
    jobs = sorted({m.job for m in mismatches if m.job and not m.by_hand})
    for job in jobs:
        discard(out, job)
    return jobs


def _records(
    out: Path, read: Mapping[str, Record | None], paths: Mapping[str, Path]
) -> Iterator[Mismatch]:
    """Compare the records, and the engine's own files, with the manifest."""
    manifest = read_manifest(out)
    if manifest is None:
        what = "is damaged" if (out / MANIFEST).exists() else "is missing"
        yield Mismatch("", MANIFEST, what)
        manifest = Manifest()
    elif not manifest.complete:
        yield Mismatch("", MANIFEST, "is not complete: a run is under way, or was ended")
    for job_id, record in read.items():
        uri = f"provenance/{job_id}.json"
        known = manifest.records.get(job_id)
        if record is None or record.id != job_id:
            yield Mismatch(job_id, uri, "is damaged")
        elif manifest.complete and known is None:
            yield Mismatch(job_id, uri, "is not of the last run")
        elif manifest.complete and known and digest_file(paths[job_id]) != known[0]:
            yield Mismatch(job_id, uri, "was changed after it was written")
    if not manifest.complete:
        return
    for job_id in manifest.records.keys() - read.keys():
        yield Mismatch(job_id, f"provenance/{job_id}.json", "is missing")
    for name, digest in manifest.files.items():
        if what := _compare(out / name, digest):
            yield Mismatch("", name, what)


def _outputs(out: Path, record: Record) -> Iterator[Mismatch]:
    for file in record.outputs.values():
        if what := _compare(out / file.uri, file.blake2b):
            yield Mismatch(record.id, file.uri, what, record.study == BY_HAND)


def _inputs(record: Record, written: Mapping[str, str], bids: Path | None) -> Iterator[Mismatch]:
    """Compare the inputs of a job with what was read."""
    for file in record.inputs.values():
        if not file.blake2b:
            continue
        what = ""
        if file.uri in written and written[file.uri] != file.blake2b:
            what = "was made again with another content since it was read"
        elif bids is not None and file.uri.startswith("bids:raw:"):
            what = _compare(bids / file.uri.removeprefix("bids:raw:"), file.blake2b)
        if what:
            yield Mismatch(record.id, file.uri, what, record.study == BY_HAND)


def _above(record: Record, records: Mapping[str, Record]) -> Iterator[Mismatch]:
    """Compare the records that a job has built upon with those that are there."""
    for job_id, digest in record.above.items():
        now = records.get(job_id)
        if now is None or now.digest != digest:
            what = "lost its record" if now is None else "was done again"
            yield Mismatch(
                record.id,
                f"provenance/{record.id}.json",
                f"is outdated: {job_id.replace('/', ' ')} {what} since",
                record.study == BY_HAND,
            )


def _names(out: Path, records: Iterable[Path]) -> set[str]:
    manifest = read_manifest(out) or Manifest()
    return {*manifest.files, MANIFEST, *(p.relative_to(out).as_posix() for p in records)}


def _others(out: Path, known: set[str], lost: set[str]) -> Iterator[Mismatch]:
    """Files that neither a record nor the manifest names.

    Those of a person one of whose records is lost are passed over: they may be its outputs.
    """
    units = {job.partition("/")[0] for job in lost if job}
    private = tuple(out / name for name in PRIVATE)
    manifest_lost = not (out / MANIFEST).exists() or read_manifest(out) is None
    for folder, folders, names in os.walk(out):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here / name not in private)
        for name in sorted(names):
            uri = (here / name).relative_to(out).as_posix()
            own = manifest_lost and "/" not in uri
            unit = uri.partition("/")[0].partition(".")[0]
            if uri not in known and not own and unit not in units:
                yield Mismatch("", uri, "is empty" if _empty(here / name) else "is not of Falx")


def _empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _compare(path: Path, digest: str) -> str:
    if not path.is_file():
        return "is missing"
    if digest_file(path) == digest:
        return ""
    return "is empty" if _empty(path) else "was changed after it was written"
