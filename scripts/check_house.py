"""Hold four rules: formulas name a source, arrays a shape, functions fit, the engine stays small.

Counted are the rooms of the science. A module counts if one of its functions does arithmetic or
takes or gives an array; it names its source by a year, of a paper or of a standard, or says in the
words "no published source" that it has none. A public function that takes or gives an array says
its shape, or that it holds a number for each of something. No function of any room is longer than
:data:`SCREEN` lines, and the engine has at most :data:`ENGINE` lines of code: what it grows by is
to be taken off elsewhere in it. Run by ``make lint``.

usage: python scripts/check_house.py
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "falx"
ROOMS = (
    "anatomy", "atlas", "bold", "clinical", "data", "genes", "images", "maps", "pet", "phantom",
    "surgery",
)  # fmt: skip
LEAST = 0.95
SCREEN = 60
ENGINE = 2500
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
YEAR = re.compile(r"\b(18|19|20)\d\d[a-e]?\b")
NONE = re.compile(r"no published\s+source", re.IGNORECASE)
SHAPE = re.compile(r"[Ss]hape|\([A-Zn_ ,0-9×a-z]+\)|length|scalar")
ARRAY = re.compile(r"NDArray|Floats|Bools|\bArray\b|Volume\b")
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult)


def _annotations(function: ast.FunctionDef) -> str:
    given = (*function.args.args, *function.args.kwonlyargs)
    named = [ast.unparse(a.annotation) for a in given if a.annotation]
    return " ".join([*named, ast.unparse(function.returns) if function.returns else ""])


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _said(tree: ast.AST, text: str) -> str:
    """All docstrings, those of constants included, and the lines that are comments."""
    strings = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    return "\n".join((*strings, *comments))


def _public(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield functions of a module and methods of its public classes, without private ones."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def _calculates(tree: ast.AST) -> bool:
    """Whether a function does arithmetic on arrays."""
    return any(
        ARRAY.search(_annotations(function))
        and any(
            isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC)
            for node in ast.walk(function)
        )
        for function in _functions(tree)
    )


def _shapeless(tree: ast.AST) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """Yield public functions of arrays, and whether they say no shape."""
    for function in _public(tree):
        compiled = any("jit" in ast.unparse(one) for one in function.decorator_list)
        if not compiled and ARRAY.search(_annotations(function)):
            yield function, not SHAPE.search(ast.get_docstring(function) or "")


def _long() -> list[str]:
    """Functions that do not fit on a screen, docstring included."""
    return [
        f"{path.relative_to(SOURCE).as_posix()}:{function.lineno} {function.name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for function in _functions(ast.parse(path.read_text(encoding="utf-8")))
        if function.end_lineno and function.end_lineno - function.lineno >= SCREEN
    ]


def _code_lines(path: Path) -> int:
    """Count lines of a module that are neither blank, comment nor docstring."""
    lines: set[int] = set()
    with path.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type not in NO_CODE and token.string:
                lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines - {0})


def main() -> int:
    """Print what lacks its source or shape; 1 if more than a twentieth does."""
    modules = functions = own = 0
    bare: list[str] = []
    shapeless: list[str] = []
    for room in ROOMS:
        for path in sorted((SOURCE / room).rglob("*.py")):
            if path.name == "files.py":
                continue
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
            name = path.relative_to(SOURCE).as_posix()
            if _calculates(tree):
                modules += 1
                said = _said(tree, text)
                own += bool(NONE.search(said))
                if not YEAR.search(said) and not NONE.search(said):
                    bare.append(name)
            for function, lacks in _shapeless(tree):
                functions += 1
                if lacks:
                    shapeless.append(f"{name}:{function.lineno} {function.name}")
    print(
        f"{modules - len(bare)} of {modules} modules that calculate name their source, "
        f"{own} of them that something has none"
    )
    print(f"{functions - len(shapeless)} of {functions} functions of arrays say the shape")
    lines = sum(_code_lines(path) for path in (SOURCE / "engine").glob("*.py"))
    print(f"{lines} lines of code in engine/, without docstrings and comments (at most {ENGINE})")
    long = _long()
    print(f"{len(long)} functions are longer than {SCREEN} lines")
    for line in (*bare, *shapeless, *long):
        print(f"  {line}")
    share = min(1 - len(bare) / modules, 1 - len(shapeless) / functions)
    return 0 if share >= LEAST and not long and lines <= ENGINE else 1


if __name__ == "__main__":
    sys.exit(main())
