"""Follow every link of the built site: pages and anchors exist, and nothing loads from outside.

A link to another site may be clicked; what a page loads by itself (scripts, styles, pictures,
fonts) must lie beside it, so that the site can be read without a network.

usage: python scripts/check_site.py docs/_build/html
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
STYLE = re.compile(r"url\(\s*['\"]?(https?:)?//|@import\s+['\"](https?:)?//")


class Page(HTMLParser):
    """Links, anchors, and what a page loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag names."""
        given = dict(attrs)
        for key in ("id", "name"):
            if given.get(key):
                self.anchors.add(str(given[key]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        address = given.get(LOADS.get(tag, ""))
        if address and given.get("rel") not in ("canonical", "index", "search", "next", "prev"):
            self.loads.append(address)


@cache
def page_of(path: Path) -> Page:
    """Return a page, read once."""
    return Page(path.read_text(encoding="utf-8"))


def faults_of(path: Path, root: Path) -> Iterator[str]:
    """Yield a sentence for every dead link of a page and everything it loads from outside."""
    page = page_of(path)
    for address in page.loads:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") or address.startswith("//"):
            yield f"loads {address}"
        elif parts.path and not (path.parent / unquote(parts.path)).exists():
            yield f"loads {address}, which is not there"
    for address in page.links:
        parts = urlsplit(address)
        if parts.scheme or address.startswith("//"):
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.exists() or root.resolve() not in (*target.resolve().parents,):
            yield f"links to {address}, which is not there"
        elif (
            parts.fragment
            and target.suffix == ".html"
            and unquote(parts.fragment) not in page_of(target).anchors
        ):
            yield f"links to {address}, which has no such anchor"


def main(arguments: list[str]) -> int:
    """Print every fault; 1 if there is one."""
    root = Path(arguments[0])
    pages = [path for path in sorted(root.rglob("*.html")) if path.parent.name != "_static"]
    faults = [
        f"{path.relative_to(root)} {fault}" for path in pages for fault in faults_of(path, root)
    ]
    faults += [
        f"{path.relative_to(root)} loads from outside"
        for path in sorted(root.rglob("*.css"))
        if STYLE.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    links = sum(len(page_of(path).links) for path in pages)
    print(f"{len(pages)} pages, {links} links, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults or not pages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
