"""A report page as records: sections of text, figures, tables and notices; rendered once."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources

from falx import __version__

__all__ = [
    "RESEARCH_NOTICE",
    "Details",
    "Figure",
    "Notice",
    "Place",
    "Raw",
    "Section",
    "Table",
    "Text",
    "format_number",
    "render",
]

RESEARCH_NOTICE = (
    "Research software. No authority has assessed or approved it as a medical device. It must "
    "not decide a treatment. Whoever uses it on a patient does so at their own risk; there is "
    "no warranty."
)

CONTENT_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data: blob:; "
    "style-src {style}; script-src {script}"
)
"""Only the page's own style and script count, named by their hashes; nothing is requested."""


@dataclass(frozen=True)
class Text:
    """A paragraph; blank lines part paragraphs."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A picture with the sentence that says what it shows.

    Parameters
    ----------
    image
        PNG bytes, or SVG text as bytes.
    caption
        Shown below the picture.
    alt
        What a reader who cannot see the picture should know; the caption if empty.
    """

    image: bytes
    caption: str
    alt: str = ""

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        kind = "png" if self.image.startswith(b"\x89PNG") else "svg+xml"
        return f"data:image/{kind};base64,{base64.b64encode(self.image).decode()}"


@dataclass(frozen=True)
class Place:
    """A place in the live view, RAS+ mm, and the layer that is to be seen there."""

    mm: tuple[float, float, float]
    layer: str = ""


@dataclass(frozen=True)
class Table:
    """A table; floats are printed with four significant digits, ``None`` as a dash.

    Parameters
    ----------
    columns
        Headings, with units where there are any.
    rows
        One sequence a row.
    caption
        What the table shows.
    flags
        One word a row, ``"ok"``, ``"warn"``, ``"fail"`` or ``""``, that colours it.
    places
        One a row: where a click on it leads in the live view, or None.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    flags: Sequence[str] = ()
    places: Sequence[Place | None] = ()

    @property
    def lines(self) -> list[tuple[str, list[tuple[str, bool]]]]:
        """Flag and cells of every row; a cell is its text and whether it is a number."""
        flags = [*self.flags, *[""] * (len(self.rows) - len(self.flags))]
        return [
            (flag, [(format_number(cell), _is_number(cell)) for cell in row])
            for flag, row in zip(flags, self.rows, strict=True)
        ]


@dataclass(frozen=True)
class Notice:
    """Sentences that must not be overlooked; ``level`` is ``"note"``, ``"warn"`` or ``"fail"``."""

    sentences: Sequence[str]
    level: str = "warn"


@dataclass(frozen=True)
class Details:
    """Blocks folded away under a heading, for parameters and versions."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Raw:
    """Markup made by another module of the report room, put in as it is."""

    html: str


Block = Text | Figure | Table | Notice | Details | Raw


@dataclass(frozen=True)
class Section:
    """A titled part of the page; an appendix begins a new sheet when the page is printed."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)
    appendix: bool = False


def format_number(value: object) -> str:
    """Return a cell's text: four significant digits for floats, a dash for nothing.

    Examples
    --------
    >>> format_number(0.39789278), format_number(12345.6), format_number(None)
    ('0.3979', '12346', '–')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def render(
    title: str,
    sections: Sequence[Section],
    *,
    subtitle: str = "",
    notice: str = RESEARCH_NOTICE,
    links: Sequence[tuple[str, str]] = (),
    script: str = "",
    style: str = "",
    dated: bool = True,
) -> str:
    """Return the page as one HTML document that makes no request.

    Parameters
    ----------
    title, subtitle
        Heading and the line below it; pseudonyms only.
    sections
        In reading order; the page gets a table of contents from them.
    notice
        Stands on the first screen.
    links
        Address and title of the pages beside this one.
    script, style
        JavaScript put at the end of the page, and rules added to its own style.
    dated
        Whether it says when it was made: one that every run writes anew has the same bytes.
    """
    import jinja2

    script = script.replace("</script", "<\\/script")
    rules = _asset("page.css") + style
    policy = CONTENT_POLICY.format(
        style=_hash_source(rules), script=_hash_source(script) if script else "'none'"
    )

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.tests["block"] = lambda block, name: type(block).__name__ == name
    template = environment.from_string(_asset("page.html.j2"))
    return template.render(
        title=title,
        subtitle=subtitle,
        notice=notice,
        sections=sections,
        links=links,
        policy=policy,
        style=rules,
        script=script,
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC") if dated else "",
    )


def _hash_source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return (resources.files("falx.report") / "assets" / name).read_text(encoding="utf-8")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
