"""Every sentence that Falx can refuse or warn with, read from the calls that raise it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "falx"
RAISED = ("InputError", "OptionError", "GridError", "QualityError")
NOTICE = "notify"
GAP = "…"
"""Stands for what a sentence fills in when it is said."""

ROOMS = {
    "anatomy": "Anatomy", "api": "Python functions", "atlas": "Atlases", "bids": "Datasets",
    "bold": "Resting BOLD", "cli": "Command line", "clinical": "Statistics of a cohort",
    "core": "Options, tables and records", "data": "Data that ship or are fetched",
    "engine": "Running a study", "genes": "Genes", "images": "Images", "maps": "Group maps",
    "pet": "PET", "phantom": "Simulated data", "report": "Reports", "studies": "Studies",
    "surgery": "Plans and ablations",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Message:
    """One sentence: what is wrong and what to do, with gaps for what differs."""

    room: str
    what: str
    do: str
    kind: str


def text_of(node: ast.expr | None) -> str:
    """Return the text of an expression, a gap for each part that is known only when it runs."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        parts = [str(v.value) if isinstance(v, ast.Constant) else GAP for v in node.values]
        return "".join(parts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    if isinstance(node, ast.IfExp):
        return f"{text_of(node.body)} / {text_of(node.orelse)}"
    return "" if node is None else GAP


def messages() -> list[Message]:
    """Return every message of the package once, by room."""
    found: set[Message] = set()
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            name = node.func.id
            if name not in (*RAISED, NOTICE) or not node.args:
                continue
            what = text_of(node.args[0])
            do = next((text_of(k.value) for k in node.keywords if k.arg == "do"), "")
            if what.strip(GAP + " "):
                kind = "notice" if name == NOTICE else "refused"
                found.add(Message(room, what, do, kind))
    return sorted(found)


def texts() -> Iterator[str]:
    """Yield every text of the package, gaps for what differs: some messages are put together."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr | ast.Constant) and (text := text_of(node)):
                yield text


def page() -> Iterator[str]:
    """Yield the lines of the page of messages."""
    found = messages()
    yield from (
        "# Every message", "",
        f"All {len(found)} sentences that Falx can refuse or warn with, read from its source at",
        f"build; {GAP} stands for what differs. In the terminal each begins with where it is (a",
        "file, a subject, an option) and gives in brackets what was found. *Refused*: the step or",
        "the command does not run. *Notice*: it goes on, and the report prints the sentence.",
        "[Troubleshooting](../troubleshooting.md) explains the frequent ones.", "",
    )  # fmt: skip
    for room, heading in ROOMS.items():
        own = [one for one in found if one.room == room]
        if not own:
            continue
        yield from (f"## {heading}", "", "| what is wrong | what to do | |", "|---|---|---|")
        for one in own:
            yield f"| {_cell(one.what)} | {_cell(one.do)} | {one.kind} |"
        yield ""


def _cell(text: str) -> str:
    for sign in "\\|*_`<[":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())
