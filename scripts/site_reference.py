"""Write the reference pages of the site from what the code declares.

Options come from the parsers of the command line, which are made of
:func:`falx.core.settings.option`; outputs from the tables of stages, their words from the
docstrings of the records that name the files, their columns from the code that writes them; the
functions from the names of ``import falx``; messages from the calls that raise them
(``scripts/site_messages.py``). Nothing on these pages is written by hand.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import site_columns
import site_messages
from numpydoc.docscrape import NumpyDocString

import falx
from falx.cli.main import COMMANDS
from falx.core.settings import Option, options_of
from falx.core.stage import Stage, _records, _unwrapped
from falx.core.study import Study

STUDIES = ("signature", "resistance", "norms")
HIDDEN = ("stage",)
"""Commands that the engine gives itself."""

FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "Images": ("read", "save", "Image"),
    "One patient": (
        "segment", "coregister", "correct_pet", "asymmetry", "signature", "ablative_rate", "plan",
    ),
    "Resting BOLD and groups": ("reho", "surface_reho", "group_map"),
    "Genes": ("pls", "enrich"),
    "Outcome": ("roc", "published_cohort"),
    "Simulated data": ("phantom_patient", "phantom_rest", "phantom_groups", "phantom_genes"),
}  # fmt: skip
"""How the names of ``import falx`` are grouped; one that is missing here comes last."""

DEVELOPERS = (
    "falx.core.errors", "falx.core.settings", "falx.core.stage", "falx.core.study",
    "falx.core.records", "falx.core.possible", "falx.core.grid",
)  # fmt: skip
"""Modules that whoever writes a stage uses."""


def write_pages(folder: Path) -> None:
    """Write every page whose text has changed."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "options.md": "\n".join(options_page()),
        "outputs.md": "\n".join(outputs_page()),
        "api.rst": "\n".join(api_page()),
        "developers.rst": "\n".join(developers_page()),
        "messages.md": "\n".join(site_messages.page()),
    }
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command as the command line makes it."""
    module = {one.name: one.module for one in COMMANDS}[command]
    parser = argparse.ArgumentParser(prog=f"falx {command}", allow_abbrev=False)
    importlib.import_module(module).add_arguments(parser)
    return parser


def options_page() -> Iterator[str]:
    """Yield the lines of the page of commands and options."""
    yield from (
        "# Commands and options", "",
        "Written at build from the declarations in the code; `falx COMMAND --help` prints them.",
        "An option with a key stands under that key in the configuration file, which every run",
        "writes to its output folder and `--config` reads.", "",
    )  # fmt: skip
    for command in COMMANDS:
        if command.name not in HIDDEN:
            yield from (f"## falx {command.name}", "", _sentence(command.help), "")
            yield from _parser_lines(parser_of(command.name), _declared(command.name), "###")
    for name in STUDIES:
        if presets := study_of(name).presets:
            yield from (f"## Presets of falx {name}", "")
            yield from _presets_lines(presets)


def _declared(command: str) -> Mapping[str, Option]:
    return options_of(study_of(command).configuration) if command in STUDIES else {}


def _parser_lines(
    parser: argparse.ArgumentParser, declared: Mapping[str, Option], head: str
) -> Iterator[str]:
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        folders = [_metavar(a) for a in parser._actions if not a.option_strings]
        yield from ("```", " ".join([parser.prog, *folders, "[options]"]), "```")
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if _shown(a)]
        if actions:
            yield from ("", f"{head} {parser.prog.removeprefix('falx ')}: {group.title}", "")
            yield from _table(
                ("option", "what it is", "key"), [_action_row(a, declared) for a in actions]
            )
    for action in below:
        for own in action.choices.values():
            yield from _parser_lines(own, {}, head)
    yield ""


def _shown(action: argparse.Action) -> bool:
    quiet = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not quiet and action.help != argparse.SUPPRESS


def _action_row(action: argparse.Action, declared: Mapping[str, Option]) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{_metavar(action)}`"
    if action.option_strings and action.nargs != 0:
        names += f" {_metavar(action)}"
    help_text = (action.help or "").replace("%%", "%")
    if action.choices and not any(str(c) in help_text for c in action.choices):
        help_text += "; one of " + ", ".join(map(str, action.choices))
    return names, _sentence(help_text), f"`{action.dest}`" if action.dest in declared else ""


def _metavar(action: argparse.Action) -> str:
    name = action.metavar or action.dest.upper()
    return name if isinstance(name, str) else " ".join(name)


def _presets_lines(presets: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    keys = sorted({key for chosen in presets.values() for key in chosen})
    if not keys:
        return
    rows = [
        (f"`{key}`", *(str(chosen.get(key, "default")) for chosen in presets.values()))
        for key in keys
    ]
    yield from _table(("key", *presets), rows)
    yield ""


@cache
def study_of(name: str) -> Study:
    """Return a study by the name of its command."""
    study: Study = importlib.import_module(f"falx.studies.{name}.study").STUDY
    return study


def outputs_page() -> Iterator[str]:
    """Yield the lines of the page of output files."""
    yield from (
        "# Output files", "",
        "Written at build from the tables of stages. `07` stands for a subject's label. What",
        "every output folder holds besides is listed under",
        "[How a study runs](../engine.md#what-the-output-folder-holds).",
        "In names of columns and fields, the end is the unit: `_mm`, `_mm2`, `_mm3`, `_ml`, `_s`,",
        "`_hz`, `_percent`, `_degrees`, `_months`; `_share` and `rate` are fractions of 1; `p`,",
        "`q` and names that begin so are probabilities. Asymmetry indices lie from −2 to 2 and",
        "have no unit. Points are millimetres, RAS+.", "",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        columns = site_columns.columns_by_output(Path(folder))
    for name in STUDIES:
        yield from (f"## falx {name}: files", "")
        done: set[tuple[str, ...]] = set()
        for stage in study_of(name).stages:
            kind = _like(stage)
            if kind not in done:
                done.add(kind)
                yield from _stage_lines(name, stage, columns)
    yield from ("## Records", "", "What the JSON files hold, by the class that writes them.", "")
    for record in _all_records():
        yield from _record_lines(record)
    yield from ("## Tables of the other commands", "")
    for title, names in site_columns.other_tables().items():
        yield from (f"### {title}", "", *_column_lines(names), "")


def _like(stage: Stage) -> tuple[str, ...]:
    """Return what is the same for stages that differ only by whom they compare."""
    if stage.level == "participant":
        return (stage.name,)
    function, _ = _unwrapped(stage.run)
    return (function.__name__, *sorted(stage.outputs))


def _stage_lines(
    study: str, stage: Stage, columns: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterator[str]:
    function, _ = _unwrapped(stage.run)
    alike = [s.name for s in study_of(study).stages if _like(s) == _like(stage)]
    yield from (f"### {study}: {stage.name}", "", _summary(function), "")
    if len(alike) > 1:
        said = ", ".join(f"`{name}`" for name in alike[:6])
        more = f" and {len(alike) - 6} more" if len(alike) > 6 else ""
        yield from (f"The same files are written by {said}{more}.", "")
    words = described(stage)
    rows = [
        (f"`{path.format(subject='07')}`", words.get(key, ""))
        for key, path in stage.outputs.items()
    ]
    yield from _table(("file", "what it holds"), rows)
    yield ""
    for key, path in stage.outputs.items():
        if path.endswith(".tsv"):
            yield from (f"Columns of `{path.format(subject='07').rpartition('/')[2]}`:", "")
            yield from (*_column_lines(columns[function.__name__, key]), "")


def described(stage: Stage) -> dict[str, str]:
    """Return what each output of a stage is, in the words of its record of files."""
    function, _ = _unwrapped(stage.run)
    words = {key: _summary(function) for key in stage.outputs}
    for record in _records(function).values():
        fields = {item.name for item in dataclasses.fields(record)}
        for kind in reversed(record.__mro__):
            for names, text in parameters(kind):
                for name in set(names) & fields & set(stage.outputs):
                    told = re.sub(r"^Outputs?:?\s*", "", _to_records(text, function.__module__))
                    words[name] = _sentence(_linked(told))
    return words


def _to_records(text: str, module: str) -> str:
    """Turn the name of a class that is described below into a link to it."""

    def link(match: re.Match[str]) -> str:
        home, _, name = match[1].rpartition(".")
        kind = getattr(importlib.import_module(home or module), name, None)
        if not dataclasses.is_dataclass(kind):
            return match[0]
        return f"[{name}](#{name.lower()})"

    return re.sub(r":class:`~?([\w.]+)`", link, text)


def parameters(kind: Any) -> Iterator[tuple[list[str], str]]:
    """Yield names and text of every entry under Parameters of a docstring."""
    if not kind.__doc__ or "Parameters\n" not in kind.__doc__:
        return
    for item in NumpyDocString(inspect.cleandoc(kind.__doc__))["Parameters"]:
        names = [name.strip() for name in (item.name or item.type).split(",")]
        yield names, _sentence(" ".join(item.desc))


def _all_records() -> list[type]:
    """Classes that the docstrings of file records name as the content of a JSON file."""
    found: dict[str, type] = {}
    for name in STUDIES:
        for stage in study_of(name).stages:
            function, _ = _unwrapped(stage.run)
            for record in _records(function).values():
                for path in re.findall(r":class:`~?([\w.]+)`", record.__doc__ or ""):
                    home, _, own = path.rpartition(".")
                    kind = getattr(importlib.import_module(home or function.__module__), own, None)
                    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
                        found[own] = kind
    return [found[name] for name in sorted(found)]


def _record_lines(kind: type) -> Iterator[str]:
    words = {name: text for names, text in parameters(kind) for name in names}
    rows = []
    for item in dataclasses.fields(kind):
        hint = str(item.type).replace("|", "or").replace("npt.", "").replace("\n", " ")
        rows.append((f"`{item.name}`", f"`{hint}`", _linked(words.get(item.name, ""))))
    yield from (f"### {kind.__name__}", "", _summary(kind), "")
    yield from (*_table(("field", "type", "what it is"), rows), "")


def _column_lines(columns: Iterable[str]) -> Iterator[str]:
    rows = [
        (f"`{name}`", _sentence(site_columns.words_of(name)), unit_of(name)) for name in columns
    ]
    return _table(("column", "what it is", "unit"), rows)


UNITS = (
    ("mm3", "mm³"), ("mm2", "mm²"), ("mm", "mm"), ("ml", "ml"), ("percent", "%"),
    ("months", "months"), ("degrees", "°"), ("seconds", "s"), ("hz", "Hz"),
    ("share", "fraction of 1"), ("rate", "fraction of 1"),
)  # fmt: skip


def unit_of(column: str) -> str:
    """Return the unit that the name of a column states.

    Examples
    --------
    >>> unit_of("volume_mm3"), unit_of("p_wald"), unit_of("side")
    ('mm³', 'probability', '')
    """
    words = column.lower().split("_")
    if words[0] in ("p", "q") or words[-1] in ("p", "q"):
        return "probability"
    for word, unit in UNITS:
        if words[-1] == word or (word in words[1:] and len(words) > 1):
            return unit
    return ""


def api_page() -> Iterator[str]:
    """Yield the lines of the page of the public functions and their results."""
    yield from (*_title("Python functions"), "")
    yield from (
        "``import falx`` gives these names; each is loaded when it is first used. Images are",
        "paths, images of nibabel, or ``(array, affine)``. The numbers are those of the command",
        "line.", "",
    )  # fmt: skip
    named = {name for names in FUNCTIONS.values() for name in names}
    rest = tuple(n for n in falx._HOMES if n not in named and n != "FalxError")
    groups = {**FUNCTIONS, **({"More": rest} if rest else {})}
    for heading, names in groups.items():
        yield from (*_title(heading, "-"), "")
        for name in names:
            kind = "autoclass" if isinstance(getattr(falx, name), type) else "autofunction"
            yield from (f".. {kind}:: falx.{name}", "")
    yield from (*_title("Results", "-"), "")
    yield from (
        "Results print themselves (``print(found)``) and draw themselves (``found.plot()``).", "",
    )  # fmt: skip
    for path in result_classes():
        yield from (f".. autoclass:: {path}", "   :members:", "")


def result_classes() -> list[str]:
    """Return the paths of all classes that the functions return, in order of module."""
    found = []
    for module in sorted({home for home in falx._HOMES.values() if home.startswith("api.")}):
        loaded = importlib.import_module(f"falx.{module}")
        for name in getattr(loaded, "__all__", ()):
            one = getattr(loaded, name)
            if isinstance(one, type) and one.__module__ == loaded.__name__:
                found.append(f"{loaded.__name__}.{name}")
    return found


def developers_page() -> Iterator[str]:
    """Yield the lines of the page of modules that a stage is written with."""
    yield from (*_title("For whoever writes a stage"), "")
    for module in DEVELOPERS:
        yield from (*_title(module, "-"), "", f".. automodule:: {module}", "   :members:", "")


def _title(text: str, line: str = "=") -> tuple[str, str]:
    return text, line * len(text)


def _summary(thing: Callable[..., object] | type) -> str:
    first = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return _linked(" ".join(first.split()))


def _linked(text: str) -> str:
    """Turn roles of reStructuredText into words."""
    text = re.sub(r":\w+:`~?([\w.]+)`", lambda m: f"`{m[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(text) for text in row) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;") or " "
