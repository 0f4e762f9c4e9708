"""The index of a study: every person, and links to all pages that there are of them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from falx.core.tables import is_missing
from falx.report.page import Raw, Section, Text, render

__all__ = ["INDEX", "TITLES", "index_page"]

INDEX = "index.html"

TITLES = {
    "planned_plan": "laser plan",
    "scored_plan": "scored plan",
    "proposedAblation_metrics": "ablation proposal",
}
"""Last part of the name of a page that a command by hand leaves, to what it is."""

OF_FOCUS = re.compile(r"(planned|scored)Focus(\d+)_plan")
"""The same of a plan for a focus, by its number."""


def index_page(people: Sequence[Mapping[str, str]], pages: Sequence[str]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    people
        Rows of ``participants_status.tsv``.
    pages
        Paths of all pages below the output folder, this one left out.
    """
    whole = [path for path in pages if not path.startswith("sub-")]
    rows = "".join(_row(person, pages) for person in people)
    blocks: list[Text | Raw] = []
    if whole:
        links = " · ".join(_link(path, path.removesuffix(".html")) for path in whole)
        blocks.append(Raw(f"<p>Pages about everybody: {links}</p>"))
    blocks.append(
        Raw(
            '<div class="scroll"><table><thead><tr><th scope="col">person</th>'
            '<th scope="col">pages</th><th scope="col">participant level</th>'
            f'<th scope="col">reason</th></tr></thead><tbody>{rows}</tbody></table></div>'
        )
    )
    return render("All pages of this folder", [Section("Everybody", blocks)], dated=False)


def _row(person: Mapping[str, str], pages: Sequence[str]) -> str:
    name = person["participant_id"]
    own = [p for p in pages if p == f"{name}.html" or p.startswith(f"{name}/")]
    links = " · ".join(_link(path, _title(path)) for path in own) or "none"
    told = ["" if is_missing(person[key]) else person[key] for key in ("status", "reason")]
    flag = "" if person["status"] == "finished" else ' class="warn"'
    shown = (html.escape(name), links, *map(html.escape, told))
    cells = "".join(f"<td>{cell}</td>" for cell in shown)
    return f"<tr{flag}>{cells}</tr>"


def _title(path: str) -> str:
    if "/" not in path:
        return "results"
    name = path.rpartition("desc-")[2].removesuffix(".html")
    if of_focus := OF_FOCUS.fullmatch(name):
        stem, number = of_focus.groups()
        return f"{TITLES[f'{stem}_plan']}, focus {number}"
    return TITLES.get(name, path.rpartition("/")[2])


def _link(path: str, title: str) -> str:
    return f'<a href="{quote(path)}">{html.escape(title)}</a>'
