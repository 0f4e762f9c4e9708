"""Commands that a user gives by hand, as ``falx plan``, leave a record as stages do.

No run repeats them: a plan of a patient who was computed again is a plan of the past, and
``falx verify`` says so. It is never deleted unasked.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from falx.core.errors import InputError
from falx.core.files import flush, flush_folders
from falx.core.records import plain
from falx.engine.digest import Values, digest_value
from falx.engine.lock import hold
from falx.engine.manifest import close_manifest, read_manifest
from falx.engine.provenance import (
    BY_HAND,
    FileRecord,
    Record,
    file_record,
    package_versions,
    read_record,
    write_record,
)

__all__ = ["Command", "by_hand"]


@dataclass
class Command:
    """What a command has to say of itself when it has finished.

    Parameters
    ----------
    outputs
        Files it wrote below the output folder, by name; those that are not there are left out.
    notices
        What the user should know.
    """

    outputs: dict[str, Path] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@contextmanager
def by_hand(
    out: Path, job_id: str, inputs: Mapping[str, Path | None], params: Values
) -> Iterator[Command]:
    """Hold the output folder for a command, and record what it wrote once it has ended well.

    Parameters
    ----------
    job_id
        ``"sub-07/planned"``.
    inputs
        Files it reads, by name.
    params
        Plain values, and records of settings.

    Raises
    ------
    InputError
        If a run works in the folder, or an input of the folder is not as its stage left it.
    """
    out = out.absolute()
    with hold(out):
        before = read_manifest(out)
        started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        above = _records(out, job_id)
        taken = {
            name: _taken(out, name, path, above.values()) for name, path in inputs.items() if path
        }
        command = Command()
        yield command
        written = _with_sidecars(command.outputs)
        here = {n: p for n, p in written.items() if p.is_file() and p.is_relative_to(out)}
        for path in here.values():
            flush(path)
        flush_folders(here.values(), out)
        unit, _, stage = job_id.partition("/")
        values = {name: plain(value) for name, value in params.items()}
        used = {file.uri for file in taken.values()}
        record = Record(
            study=BY_HAND,
            stage=stage,
            version=1,
            unit=unit,
            recipe=digest_value([stage, values]),
            params=values,
            inputs=taken,
            outputs={n: file_record(p.relative_to(out).as_posix(), p) for n, p in here.items()},
            notices=tuple(command.notices),
            started=started,
            seconds=round(time.monotonic() - clock, 3),
            threads=1,
            peak_mem_mb=0,
            packages=package_versions(),
            above={r.id: r.digest for r in above.values() if used & r.written},
        )
        write_record(out, record)
        if before is not None and before.complete:
            close_manifest(out, ())


def _with_sidecars(outputs: Mapping[str, Path]) -> dict[str, Path]:
    """Return absolute paths of outputs, and of the JSON file beside each image."""
    found: dict[str, Path] = {}
    for name, path in outputs.items():
        found[name] = path.absolute()
        if path.name.endswith((".nii", ".nii.gz")):
            sidecar = path.with_name(path.name.split(".nii")[0] + ".json")
            found[f"{name}_sidecar"] = sidecar.absolute()
    return found


def _records(out: Path, job_id: str) -> dict[str, Record]:
    """Return the records of the person, without that of an earlier time of this command."""
    paths = sorted((out / "provenance" / job_id.partition("/")[0]).glob("*.json"))
    read = [record for path in paths if (record := read_record(path)) is not None]
    return {record.id: record for record in read if record.id != job_id}


def _taken(out: Path, name: str, path: Path, records: Iterable[Record]) -> FileRecord:
    """Digest an input; one that a stage wrote must be as it was left.

    The name of a file from outside may hold that of a patient, so that of its role stands for it.
    """
    path = path.absolute()
    if not path.is_relative_to(out):
        return file_record(f"given:{name}", path)
    found = file_record(path.relative_to(out).as_posix(), path)
    for record in records:
        for file in record.outputs.values():
            if file.uri == found.uri and file.blake2b != found.blake2b:
                raise InputError(
                    f"{path.name} is not as {record.id.replace('/', ' ')} left it",
                    where=out.name,
                    do="run falx verify OUT --repair, and the study again",
                )
    return found
