"""Where the gene pages of a group study are, and how to get them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from falx.report.page import Block, Raw, Section, Text
from falx.studies.resistance.steps import MODALITIES, SECTION

__all__ = ["genes_links", "genes_page"]


def genes_page(group_map: str) -> str:
    """Name of the gene page of a group map, beside the group page.

    Examples
    --------
    >>> genes_page("grey_resistant_sensitive")
    'genes_grey_resistant_sensitive.html'
    """
    return f"genes_{group_map}.html"


def genes_links(titles: Sequence[tuple[str, str]], *, asked: bool) -> Section:
    """Link the gene pages of group maps, or say what is missing for them.

    Parameters
    ----------
    titles
        Group map and its title.
    asked
        Whether expression is configured.
    """
    if not asked:
        return Section(
            "Genes",
            [
                Text(
                    "Gene expression was not given. With --genes-expression FILE (a region × gene "
                    "table) or --genes-ahba FOLDER (an Allen download, from falx fetch ahba), "
                    "every group map is related to genes."
                )
            ],
        )
    links = "".join(
        f'<li><a href="{escape(genes_page(name))}">{escape(title)}</a></li>'
        for name, title in titles
    )
    links += "".join(
        f'<li><a href="{escape(genes_page(f"{kind}_together"))}">{escape(MODALITIES[kind])}: '
        "contrasts together</a></li>"
        for kind in SECTION
        if any(name.startswith(f"{kind}_") for name, _ in titles)
    )
    blocks: list[Block] = [
        Text("One page for each group map, there once its stage has finished."),
        Raw(f"<ul>{links}</ul>"),
    ]
    return Section("Genes", blocks)
