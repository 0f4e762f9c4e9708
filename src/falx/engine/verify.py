"""Checks that every output still matches its provenance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from falx.core.errors import InputError
from falx.engine.digest import digest_file
from falx.engine.provenance import Record, discard, read_records

__all__ = ["Mismatch", "repair", "verify_folder"]


@dataclass(frozen=True)
class Mismatch:
    """A file that is not what the records say.

    Parameters
    ----------
    job
        Id of the job concerned.
    uri
        The file, relative to the output folder or its dataset.
    what
        ``"is missing"``, ``"was changed after it was written"`` …
    """

    job: str
    uri: str
    what: str

    def __str__(self) -> str:
        return f"{self.uri} {self.what} ({self.job.replace('/', ' ')})"


def verify_folder(out: Path, *, bids: Path | None = None) -> list[Mismatch]:
    """Digest every file that the records name and return what does not match.

    Parameters
    ----------
    bids
        Dataset the outputs were made from; with it, raw inputs are compared as well.

    Raises
    ------
    InputError
        If the folder holds no records.
    """
    records = read_records(out)
    if not records:
        raise InputError(
            "there is no provenance", where=out, do="give an output folder that Falx has filled"
        )
    found: list[Mismatch] = []
    written: dict[str, str] = {}
    for record in records:
        for file in record.outputs.values():
            written[file.uri] = file.blake2b
            what = _compare(out / file.uri, file.blake2b)
            if what:
                found.append(Mismatch(record.id, file.uri, what))
    for record in records:
        found += _inputs(record, written, bids)
    return found


def repair(out: Path, mismatches: Iterable[Mismatch]) -> list[str]:
    """Delete the outputs and records of the jobs concerned, so that they are done again.

    Returns
    -------
    list of str
        Ids of the jobs.
    """
    jobs = sorted({mismatch.job for mismatch in mismatches})
    for job in jobs:
        discard(out, job)
    return jobs


def _inputs(record: Record, written: dict[str, str], bids: Path | None) -> list[Mismatch]:
    """Compare the inputs of a job with what was read."""
    found = []
    for file in record.inputs.values():
        if not file.blake2b:
            continue
        what = ""
        if file.uri in written and written[file.uri] != file.blake2b:
            what = "was made again with another content since it was read"
        elif bids is not None and file.uri.startswith("bids:raw:"):
            what = _compare(bids / file.uri.removeprefix("bids:raw:"), file.blake2b)
        if what:
            found.append(Mismatch(record.id, file.uri, what))
    return found


def _compare(path: Path, digest: str) -> str:
    if not path.is_file():
        return "is missing"
    return "" if digest_file(path) == digest else "was changed after it was written"
