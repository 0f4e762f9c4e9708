"""A plan of a patient who was computed again since says so at the head of its pages.

No run repeats what a user ordered by hand. It stays, ``falx verify`` names it, and whoever opens
its page or prints its sheet reads it before anything else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from falx.core.files import atomic_path
from falx.engine.provenance import BY_HAND, Record, file_record, read_records, write_record
from falx.report.banner import bare_pdf, pdf_with_banner

__all__ = ["mark_stale", "stale_commands"]

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
        marked = MARKED.get(path.suffix)
        if marked is None or not path.is_file():
            continue
        content = path.read_bytes()
        wanted = marked(content, sentence)
        if wanted != content and file_record(file.uri, path).blake2b == file.blake2b:
            with atomic_path(path, durable=True) as temporary:
                temporary.write_bytes(wanted)
            outputs[name] = file_record(file.uri, path)
    if outputs != record.outputs:
        write_record(out, replace(record, outputs=outputs))


def _marked_html(content: bytes, sentence: str) -> bytes:
    bare = _MARK.sub("", content.decode())
    places = [found.end() for head in _HEADS if (found := head.search(bare))]
    if not sentence or not places:
        return bare.encode()
    return f"{bare[: places[0]]}{OPEN}{html.escape(sentence)}{CLOSE}{bare[places[0] :]}".encode()


def _marked_pdf(content: bytes, sentence: str) -> bytes:
    return pdf_with_banner(content, sentence) if sentence else bare_pdf(content)


MARKED: Mapping[str, Callable[[bytes, str], bytes]] = {".html": _marked_html, ".pdf": _marked_pdf}
"""What puts a sentence on the pages of a kind, or takes it off."""
