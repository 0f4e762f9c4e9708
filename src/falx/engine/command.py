"""Commands that a user gives by hand, as ``falx plan``, leave a record as stages do.

No run repeats them: a plan of a patient who was computed again is a plan of the past. It is never
deleted unasked; ``falx verify`` names it, and whoever opens its page or prints its sheet reads so
before anything else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from falx.core.errors import InputError
from falx.core.files import atomic_path, flush, flush_folders
from falx.core.records import plain
from falx.engine.digest import Values, digest_value
from falx.engine.lock import hold
from falx.engine.manifest import close_manifest, read_manifest
from falx.engine.methods import METHODS, write_methods
from falx.engine.people import write_index
from falx.engine.provenance import (
    BY_HAND,
    FileRecord,
    Record,
    file_record,
    now,
    read_records,
    spoilt,
    write_record,
)  # fmt: skip
from falx.report.banner import BANNERS

__all__ = ["Command", "by_hand", "mark_stale", "stale_commands"]


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
    unit, _, stage = job_id.partition("/")
    with hold(out):
        before = read_manifest(out)
        started, clock = now(), time.monotonic()
        # That of an earlier time of this command is none that it builds upon.
        above = [record for record in read_records(out, unit) if record.id != job_id]
        taken = {name: _taken(out, name, path, above) for name, path in inputs.items() if path}
        command = Command()
        yield command
        written = _with_sidecars(command.outputs)
        here = {n: p for n, p in written.items() if p.is_file() and p.is_relative_to(out)}
        for path in here.values():
            flush(path)
        flush_folders(here.values(), out)
        values = {name: plain(value) for name, value in params.items()}
        used = {file.uri for file in taken.values()}
        record = Record(
            study=BY_HAND, stage=stage, unit=unit, recipe=digest_value([stage, values]),
            params=values, inputs=taken,
            outputs={n: file_record(p.relative_to(out).as_posix(), p) for n, p in here.items()},
            notices=tuple(command.notices),
            started=started, seconds=round(time.monotonic() - clock, 3),
            above={r.id: r.digest for r in above if used & r.written},
        )  # fmt: skip
        write_record(out, record)
        write_methods(out)
        if before is not None and before.complete:
            close_manifest(out, (*METHODS, *write_index(out)))


def _with_sidecars(outputs: Mapping[str, Path]) -> dict[str, Path]:
    """Return absolute paths of outputs, and of the JSON file beside each image."""
    found: dict[str, Path] = {}
    for name, path in outputs.items():
        found[name] = path.absolute()
        if path.name.endswith((".nii", ".nii.gz")):
            sidecar = path.with_name(path.name.split(".nii")[0] + ".json")
            found[f"{name}_sidecar"] = sidecar.absolute()
    return found


def _taken(out: Path, name: str, path: Path, records: Iterable[Record]) -> FileRecord:
    """Digest an input; one that a stage wrote must be as it was left.

    The name of a file from outside may hold that of a patient, so that of its role stands for it.
    """
    path = path.absolute()
    if not path.is_relative_to(out):
        return file_record(f"given:{name}", path)
    found = file_record(path.relative_to(out).as_posix(), path)
    if job_id := spoilt(found, records):
        raise InputError(
            f"{path.name} is not as {job_id.replace('/', ' ')} left it",
            where=out.name,
            do="run falx verify OUT --repair, and the study again",
        )
    return found


def mark_stale(out: Path) -> list[str]:
    """Mark the pages of commands whose inputs were made again; unmark those that hold again.

    Returns
    -------
    list of str
        A sentence for each command that is outdated.

    Notes
    -----
    A page that was edited since it was written is left as it is.
    """
    said = []
    for record, why in _commands(out):
        sentence = f"{record.unit}: what was {record.stage} is outdated, for {why}; it shows an "
        sentence += "earlier state of this person: give the command again."
        if why:
            said.append(sentence)
        _mark_pages(out, record, sentence if why else "")
    return said


def stale_commands(out: Path) -> list[Record]:
    """Return the records of commands that built upon what was made again, or is gone, since."""
    return [record for record, why in _commands(out) if why]


def _commands(out: Path) -> Iterator[tuple[Record, str]]:
    """Each command that left a record, with the reason if it is outdated."""
    records = {record.id: record for record in read_records(out)}
    for record in records.values():
        if record.study == BY_HAND:
            yield record, _why(record, records)


def _why(record: Record, records: Mapping[str, Record]) -> str:
    for job_id, digest in record.above.items():
        now = records.get(job_id)
        if now is None or now.digest != digest:
            what = "is not there any more" if now is None else "was done again since"
            return f"{job_id.partition('/')[2]} {what}"
    return ""


def _mark_pages(out: Path, record: Record, sentence: str) -> None:
    outputs = dict(record.outputs)
    for name, file in record.outputs.items():
        path = out / file.uri
        if path.suffix not in BANNERS or not path.is_file():
            continue
        content = path.read_bytes()
        wanted = BANNERS[path.suffix](content, sentence)
        if wanted != content and file_record(file.uri, path).blake2b == file.blake2b:
            with atomic_path(path, durable=True) as temporary:
                temporary.write_bytes(wanted)
            outputs[name] = file_record(file.uri, path)
    if outputs != record.outputs:
        write_record(out, replace(record, outputs=outputs))
