"""The methods text of a paper, from what ran: each step and each departing setting once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from falx.core.records import name_alone
from falx.core.settings import Option
from falx.studies.methods.references import CITED, REFERENCES, bibtex, in_words
from falx.studies.methods.sentences import NOT_TOLD, OF_COMMANDS, OF_STEPS
from falx.studies.methods.steps import Step, Versions

__all__ = ["MethodsText", "Statement", "methods_text"]

CLAUSE = re.compile(r"<<(?:([\w.]+)=([\w,]+): )?(.*?)>>")
PLACE = re.compile(r"\{([\w.]+)(?:\?([^{}]*))?\}")
Values = dict[str, dict[object, int]]
"""Option to each of its values, with the number of steps that took it."""


@dataclass(frozen=True)
class Statement:
    """A sentence or more on the steps of one kind.

    Parameters
    ----------
    stages
        Names of the steps that it tells of.
    options
        Options that it names, by key.
    """

    text: str
    stages: tuple[str, ...]
    options: tuple[str, ...]


@dataclass(frozen=True)
class MethodsText:
    """What a paper says of a study."""

    statements: tuple[Statement, ...]
    versions: Versions

    @property
    def paragraph(self) -> str:
        """The text, with citations as pandoc reads them."""
        return "\n\n".join([*(one.text for one in self.statements), self.versions.sentence])

    @property
    def cited(self) -> tuple[str, ...]:
        """Keys of the references, in order."""
        keys = [
            key.strip().removeprefix("@")
            for found in CITED.finditer(self.paragraph)
            for key in found[1].split(";")
        ]
        return tuple(dict.fromkeys(keys))

    @property
    def words(self) -> str:
        """The text, with names and years in place of keys."""
        return in_words(self.paragraph)

    @property
    def references(self) -> tuple[str, ...]:
        """The references, a line each."""
        return tuple(sorted(REFERENCES[key].line for key in self.cited))

    @property
    def bibtex(self) -> str:
        """The references as BibTeX."""
        return bibtex(self.cited)

    @property
    def markdown(self) -> str:
        """The text and its references as a file."""
        listed = "\n".join(f"- {line}" for line in self.references)
        return (
            "<!-- Written from the records of what ran; methods.bib has the citations. -->\n\n"
            f"## Methods\n\n{self.paragraph}\n\n## References\n\n{listed}\n"
        )


def methods_text(
    steps: Sequence[Step],
    options: Mapping[str, Option],
    versions: Versions,
    *,
    chosen: Mapping[str, object] | None = None,
    switches: Iterable[str] = (),
) -> MethodsText:
    """Write the methods text of what ran.

    Parameters
    ----------
    steps
        In the order of the text.
    options
        Every option that could have been chosen, by key.
    chosen
        The configuration of the last run, by key: what no step took a value of is told last.
    switches
        Options that decide which images are looked for.
    """
    told: dict[str, set[object]] = {}
    statements = []
    for kind, own in _by_kind(steps).items():
        statements.append(_statement(kind, own, options, told))
    last = _chosen(steps, options, told, chosen or {}, set(switches))
    drawn = [step for step in steps if step.kind in NOT_TOLD]
    if drawn:
        names = tuple(dict.fromkeys(step.name for step in drawn))
        statements.append(Statement("Numbers and pages were written per person.", names, ()))
    return MethodsText((*statements, *last), versions)


def _by_kind(steps: Iterable[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind not in NOT_TOLD:
            found.setdefault(step.kind, []).append(step)
    return found


def _statement(
    kind: str, steps: Sequence[Step], options: Mapping[str, Option], told: dict[str, set[object]]
) -> Statement:
    values = _values(steps)
    place = _Place(steps, values, options, told)
    sentence = OF_STEPS.get(kind) or OF_COMMANDS.get(kind) or f"The step {kind} ran."
    text = CLAUSE.sub(place.clause, sentence)
    text = re.sub(r"\s+", " ", PLACE.sub(place.fill, text))
    text = re.sub(r" ([.,;])(?=\s|$)", r"\1", text)
    left = [
        key
        for key, taken in values.items()
        if key in options
        and key not in place.named
        and _departs(taken, options[key])
        and not set(taken) <= told.get(key, set())
    ]
    if left:
        settings = "; ".join(_setting(options[key], values[key]) for key in left)
        text = f"{text.rstrip()} Settings off their defaults: {settings}."
    people = {step.unit for step in steps}
    text = text.strip()
    if people != {"group"}:
        text = f"{text.removesuffix('.')} (n = {len(people)})."
    named = (*place.named, *left)
    for key in named:
        told.setdefault(key, set()).update(values[key])
    return Statement(text, tuple(dict.fromkeys(step.name for step in steps)), named)


def _values(steps: Iterable[Step]) -> Values:
    found: Values = {}
    for step in steps:
        for key, value in step.values.items():
            counts = found.setdefault(key, {})
            counts[value] = counts.get(value, 0) + 1
    return found


class _Place:
    """Fills the places of one sentence.

    Parameters
    ----------
    told
        What earlier sentences named.
    """

    def __init__(
        self, steps: Sequence[Step], values: Values, options: Mapping[str, Option],
        told: Mapping[str, set[object]],
    ) -> None:  # fmt: skip
        self.steps, self.values, self.options, self.told = steps, values, options, told
        self.named: list[str] = []

    def keys(self, name: str) -> list[str]:
        """Options that a place stands for: by key, or by the name that sections share."""
        return [key for key in self.values if name in (key, key.rpartition(".")[2])]

    def clause(self, found: re.Match[str]) -> str:
        """Return a clause, or nothing where it does not belong."""
        guard, wanted, text = found.groups()
        if guard is not None:
            taken = {_shown(v) for key in self.keys(guard) for v in self.values[key]}
            if guard.startswith("in."):
                taken = {self.had(guard)}
            if not taken or not taken <= set(wanted.split(",")):
                return ""
        for name, _ in PLACE.findall(text):
            if name == "stages" or name.startswith("in."):
                continue
            keys = self.keys(name)
            if not keys or any(key in self.told or key in self.named for key in keys):
                return ""
        return str(PLACE.sub(self.fill, text))

    def had(self, name: str) -> str:
        """Tell of how many steps an input was there: ``"no"``, ``"some"`` or ``"all"``."""
        had = [step.files.get(name.removeprefix("in."), False) for step in self.steps]
        return "all" if all(had) else "some" if any(had) else "no"

    def fill(self, found: re.Match[str]) -> str:
        """Return what stands in a place."""
        name, words = found.groups()
        if name == "stages":
            return _listed(list(dict.fromkeys(step.label for step in self.steps)))
        spoken = (
            dict(part.partition("=")[::2] for part in (words or "").split(";")) if words else {}
        )
        if name.startswith("in."):
            return str(spoken[self.had(name)])
        keys = self.keys(name)
        if not keys:
            return "a value that was not recorded"
        self.named += [key for key in keys if key not in self.named]
        taken: dict[object, int] = {}
        for key in keys:
            for value, n in self.values[key].items():
                taken[value] = taken.get(value, 0) + n
        return _said(taken, self.options.get(keys[0]), spoken)


def _said(taken: Mapping[object, int], option: Option | None, spoken: Mapping[str, str]) -> str:
    """Say a value, in words where there are some; several with the number of steps of each."""
    parts = []
    for value, n in taken.items():
        shown = _shown(value)
        word = spoken.get(shown, spoken.get("*"))
        word = _with_unit(value, option) if word is None else word.replace("%", shown)
        parts.append(word if len(taken) == 1 else f"{word} (in {n} step{'s' * (n > 1)})")
    return " or ".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


def _with_unit(value: object, option: Option | None) -> str:
    """Say a value with its unit, and the default where it departs from it."""
    if option is None:
        return _shown(value)
    said = {True: "yes", False: "no"}.get(value) if isinstance(value, bool) else None
    unit = f" {option.unit}" if option.unit and value is not None else ""
    text = (said or _shown(value) or "none") + unit
    if option.kind in (int, float) and _departs({value: 1}, option):
        text += f" (Falx's default: {_shown(option.default)}{unit})"
    return text


def _departs(taken: Iterable[object], option: Option) -> bool:
    return any(_differs(value, option.default) for value in taken)


def _differs(value: object, default: object) -> bool:
    if default in (None, ()) and value in (None, ()):
        return False
    return value != default and not (isinstance(default, tuple) and value == tuple(default))


def _setting(option: Option, taken: Mapping[object, int]) -> str:
    """Say an option off its default: what it is, its key, its value."""
    return f"{option.help} ({option.key}): {_said(taken, option, {})}"


def _chosen(
    steps: Sequence[Step],
    options: Mapping[str, Option],
    told: Mapping[str, set[object]],
    chosen: Mapping[str, object],
    switches: set[str],
) -> Iterator[Statement]:
    """Tell what was chosen for the run and no step took a value of."""
    taken = _values(steps)
    needed = {key for step in steps for key in step.needs} | switches
    switched: list[tuple[str, object]] = []
    unused: list[tuple[str, object]] = []
    for key, value in chosen.items():
        plain = _as_recorded(value, options.get(key))
        off = key in options and _differs(plain, options[key].default)
        if not off or plain in taken.get(key, {}) or plain in told.get(key, set()):
            continue
        (switched if key in needed and key not in taken else unused).append((key, plain))
    for heading, found in (
        ("Chosen for the run", switched),
        ("Chosen for the last run, and taken by no step that ran", unused),
    ):
        if found:
            said = "; ".join(_setting(options[key], {value: 1}) for key, value in found)
            yield Statement(f"{heading}: {said}.", (), tuple(key for key, _ in found))


def _as_recorded(value: object, option: Option | None) -> object:
    """Return a configured value as records have it: files by their names alone."""
    if option is None or option.kind is not Path or not value:
        return name_alone(value)
    names = [
        PurePath(str(path)).name for path in (value if isinstance(value, tuple) else (value,))
    ]
    return tuple(names) if len(names) > 1 else names[0]


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
