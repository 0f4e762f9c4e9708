"""Checks that the output folder holds what its records say, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.digest import digest_file
from falx.engine.lock import hold
from falx.engine.manifest import MANIFEST, OWN_FILES, Manifest, read_manifest, record_files
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
    read = {job_id: read_record(path) for job_id, path in record_files(out)}
    records = {job_id: r for job_id, r in read.items() if r is not None and r.id == job_id}
    damaged = read.keys() - records.keys()
    manifest, kept = read_manifest(out), (out / MANIFEST).exists()
    if not records and not kept:
        raise InputError(
            "there is no provenance", where=out, do="give an output folder that Falx has filled"
        )
    if manifest is None:
        found = [Mismatch("", MANIFEST, "is damaged" if kept else "is missing")]
    else:
        found = list(_manifest(out, manifest, records.keys(), damaged))
    found += [Mismatch(job_id, _uri(job_id), "is damaged") for job_id in sorted(damaged)]
    lost = {mismatch.job for mismatch in found}
    written = {f.uri: f.blake2b for r in records.values() for f in r.outputs.values()}
    for record in records.values():
        wrong = list(_outputs(out, record))
        if record.id not in lost:
            wrong += list(_inputs(record, written, bids)) or list(_above(record, records))
        by_hand = record.study == BY_HAND
        found += [Mismatch(record.id, uri, what, by_hand) for uri, what in wrong]
    unsaid = OWN_FILES if manifest is not None and not manifest.complete else ()
    # Without a manifest nothing at the top can be told from what the engine itself has written.
    own = {p.name for p in out.iterdir()} if manifest is None else {*manifest.files, *unsaid}
    return [*found, *_others(out, {MANIFEST, *written, *map(_uri, read), *own}, lost)]


def repair(out: Path, mismatches: Iterable[Mismatch]) -> list[str]:
    """Delete the outputs and records of the jobs concerned, so that they are done again.

    What a command made that no run repeats, as a plan, and files of strangers are left alone. A
    run that is under way keeps the folder: what it is writing matches nothing yet.

    Returns
    -------
    list of str
        Ids of the jobs.
    """
    jobs = sorted({m.job for m in mismatches if m.job and not m.by_hand})
    with hold(out):
        for job in jobs:
            discard(out, job)
    return jobs


def _uri(job_id: str) -> str:
    return f"provenance/{job_id}.json"


def _manifest(
    out: Path, manifest: Manifest, whole: Set[str], damaged: Set[str]
) -> Iterator[Mismatch]:
    """Compare the records, and the engine's own files, with the manifest."""
    if not manifest.complete:
        yield Mismatch("", MANIFEST, "is not complete: a run is under way, or was ended")
        return
    for job_id in sorted((manifest.records.keys() | whole) - damaged):
        uri, known = _uri(job_id), manifest.records.get(job_id)
        if known is None:
            yield Mismatch(job_id, uri, "is not of the last run")
        elif job_id not in whole:
            yield Mismatch(job_id, uri, "is missing")
        elif digest_file(out / uri) != known[0]:
            yield Mismatch(job_id, uri, "was changed after it was written")
    for name, digest in manifest.files.items():
        if what := _compare(out / name, digest):
            yield Mismatch("", name, what)


def _outputs(out: Path, record: Record) -> Iterator[tuple[str, str]]:
    """Compare the outputs of a job with what it left."""
    for file in record.outputs.values():
        if what := _compare(out / file.uri, file.blake2b):
            yield file.uri, what


def _inputs(
    record: Record, written: Mapping[str, str], bids: Path | None
) -> Iterator[tuple[str, str]]:
    """Compare the inputs of a job with what was read."""
    for file in record.inputs.values():
        what, raw = "", file.uri.removeprefix("bids:raw:")
        if file.blake2b and written.get(file.uri, file.blake2b) != file.blake2b:
            what = "was made again with another content since it was read"
        elif file.blake2b and bids is not None and raw != file.uri:
            what = _compare(bids / raw, file.blake2b)
        if what:
            yield file.uri, what


def _above(record: Record, records: Mapping[str, Record]) -> Iterator[tuple[str, str]]:
    """Compare the records that a job has built upon with those that are there."""
    for job_id, digest in record.above.items():
        now = records.get(job_id)
        if now is None or now.digest != digest:
            what = "lost its record" if now is None else "was done again"
            yield _uri(record.id), f"is outdated: {job_id.replace('/', ' ')} {what} since"


def _others(out: Path, known: set[str], lost: set[str]) -> Iterator[Mismatch]:
    """Files that neither a record nor the manifest names.

    Those of a person one of whose records is lost are passed over: they may be its outputs.
    """
    units = {job.partition("/")[0] for job in lost if job}
    private = tuple(out / name for name in PRIVATE)
    for folder, folders, names in os.walk(out):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here / name not in private)
        for name in sorted(names):
            uri = (here / name).relative_to(out).as_posix()
            if uri not in known and uri.partition("/")[0].partition(".")[0] not in units:
                yield Mismatch("", uri, "is empty" if _empty(here / name) else "is not of Falx")


def _empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def _compare(path: Path, digest: str) -> str:
    if not path.is_file():
        return "is missing"
    if digest_file(path) == digest:
        return ""
    return "is empty" if _empty(path) else "was changed after it was written"
