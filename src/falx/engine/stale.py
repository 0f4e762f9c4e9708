"""A plan of a patient who was computed again since says so at the head of its page.

No run repeats what a user ordered by hand. It stays, ``falx verify`` names it, and whoever opens
the page reads it before anything else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from falx.core.files import write_text
from falx.engine.provenance import BY_HAND, Record, file_record, read_records, write_record

__all__ = ["mark_stale"]

OPEN, CLOSE = '<ul class="notice fail" data-falx="outdated"><li>', "</li></ul>"
_MARK = re.compile(re.escape(OPEN) + ".*?" + re.escape(CLOSE), re.DOTALL)
_HEADS = (re.compile(r"<main[^>]*>"), re.compile(r"<body[^>]*>"))
"""Where the sentence goes: behind the first that the page has."""


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
    records = {record.id: record for record in read_records(out)}
    said = []
    for record in records.values():
        if record.study != BY_HAND:
            continue
        why = _why(record, records)
        sentence = f"{record.unit}: what was {record.stage} is outdated, for {why}; it shows an "
        sentence += "earlier state of this person: give the command again."
        if why:
            said.append(sentence)
        _mark_pages(out, record, sentence if why else "")
    return said


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
        if path.suffix != ".html" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        bare = _MARK.sub("", text)
        wanted = bare
        places = [found.end() for head in _HEADS if (found := head.search(bare))]
        if sentence and places:
            mark = f"{OPEN}{html.escape(sentence)}{CLOSE}"
            wanted = bare[: places[0]] + mark + bare[places[0] :]
        if wanted != text and file_record(file.uri, path).blake2b == file.blake2b:
            write_text(path, wanted, durable=True)
            outputs[name] = file_record(file.uri, path)
    if outputs != record.outputs:
        write_record(out, replace(record, outputs=outputs))
