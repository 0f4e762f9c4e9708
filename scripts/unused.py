"""Definitions of the package that nothing in the package uses; being exported is no use.

``python scripts/unused.py`` lists them and fails if there are any. Names in ``__all__`` do not
count as used, since that is how dead code survives. Strings in ``falx/__init__.py`` and the
command table do, since they are imported by name, and so does what the scripts import that
build what ships.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "falx"
EXPORTS = re.compile(r"^__all__ = [\[(].*?[\])](?:  # fmt: skip)?$", re.DOTALL | re.MULTILINE)
BY_NAME = (SOURCE / "__init__.py", SOURCE / "cli" / "main.py")
KINDS = {"class", "function", "method", "property"}
CALLED_BY_OTHERS = {
    *("__dir__", "__getattr__", "_repr_html_"),
    *("add_arguments", "emit", "reset", "run"),
}
"""What Python, a notebook, a library or the command table calls."""


def unused() -> list[str]:
    """Return one line for each definition that is not used."""
    found = Vulture()
    for path in sorted([*SOURCE.rglob("*.py"), *(ROOT / "scripts").glob("build_*.py")]):
        code = path.read_text(encoding="utf-8")
        if path != SOURCE / "__init__.py":
            code = EXPORTS.sub(_blank, code)
        found.scan(code, filename=path)
    named = {word for path in BY_NAME for word in _strings(path)} | CALLED_BY_OTHERS
    return [
        f"{item.filename.relative_to(SOURCE)}:{item.first_lineno}: {item.typ} {item.name}"
        for item in found.get_unused_code()
        if item.typ in KINDS and item.name not in named and item.filename.is_relative_to(SOURCE)
    ]


def _blank(match: re.Match[str]) -> str:
    """Return as many empty lines, so that the others keep their numbers."""
    return "\n" * match.group().count("\n")


def _strings(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    return {word for text in texts if isinstance(text, str) for word in re.split(r"[.:]", text)}


if __name__ == "__main__":
    lines = unused()
    for line in lines:
        print(line)
    sys.exit(f"{len(lines)} definitions are not used" if lines else 0)
