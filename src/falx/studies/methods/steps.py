"""Which steps ran, with the values that they took: from the records of a study, or from a call."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import string
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from falx import __version__
from falx.core.records import name_alone
from falx.core.settings import options_of
from falx.core.stage import Stage
from falx.core.study import Study
from falx.studies.methods.sentences import IMAGES, OF_COMMANDS

__all__ = [
    "FiledRecord", "RunRecord", "Step", "Versions", "step_of_call", "steps_of",
    "versions_here", "versions_of",
]  # fmt: skip


PACKAGES = ("networkx", "numpy", "obonet", "pydeseq2", "scipy")
"""Libraries whose version matters to a number of a command."""


class RunRecord(Protocol):
    """What a record of provenance says of a step."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Values by argument."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Files by argument."""
        ...

    @property
    def packages(self) -> Mapping[str, str]:
        """Versions of what it used."""
        ...

    @property
    def falx(self) -> str | None:
        """Version of Falx."""
        ...

    @property
    def python(self) -> str | None:
        """Version of Python."""
        ...


class FiledRecord(RunRecord, Protocol):
    """A record that says whose it is."""

    @property
    def unit(self) -> str:
        """Person, or ``"group"``."""
        ...

    @property
    def stage(self) -> str:
        """Name of the step."""
        ...


@dataclass(frozen=True)
class Step:
    """A step that ran, of one person or of the group.

    Parameters
    ----------
    name
        Of the stage.
    kind
        Name of its function: steps of one kind share a sentence.
    label
        What it is about, where several are of one kind.
    unit
        Person, or ``"group"``.
    values
        Option to the value that it ran with, by key of the configuration.
    files
        Optional inputs of the kind: argument to whether it had one.
    needs
        Options that switch it on.
    """

    name: str
    kind: str
    label: str
    unit: str
    values: Mapping[str, object]
    files: Mapping[str, bool] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Versions:
    """Versions that took part, each name with all of its versions."""

    found: Mapping[str, tuple[str, ...]]

    @property
    def sentence(self) -> str:
        """Say them."""
        falx = " and ".join(self.found.get("Falx", ()))
        others = [f"{n} {' and '.join(v)}" for n, v in self.found.items() if n != "Falx"]
        rest = f" with {', '.join(others)}" if others else ""
        return f"Computed by Falx {falx} [@falx]{rest}."


def versions_of(records: Iterable[RunRecord]) -> Versions:
    """Gather the versions that records name."""
    found: dict[str, set[str]] = {}
    for record in records:
        own = {"Falx": record.falx, "Python": record.python, **record.packages}
        for name, version in own.items():
            if version:
                found.setdefault(name, set()).add(version)
    return Versions({name: tuple(sorted(found[name])) for name in found})


def versions_here() -> Versions:
    """Return the versions of this process."""
    own = {"Falx": (__version__,), "Python": (platform.python_version(),)}
    used = {n: (importlib.metadata.version(n),) for n in PACKAGES if n in sys.modules}
    return Versions(own | used)


def steps_of(study: Study, records: Mapping[str, Mapping[str, RunRecord]]) -> list[Step]:
    """Return what ran, in the order of the study's table; commands come last.

    Parameters
    ----------
    records
        Person, or ``"group"``, to stage to record.
    """
    table = {stage.name: stage for stage in study.stages}
    steps = [
        _step(stage, unit, own, table)
        for name, stage in table.items()
        for unit, own in records.items()
        if name in own
    ]
    for name in OF_COMMANDS:
        steps += [
            Step(name, name, name, unit, {})
            for unit, own in records.items()
            if name in {command.rstrip(string.digits) for command in own}
        ]
    return steps


def _step(
    stage: Stage, unit: str, own: Mapping[str, RunRecord], table: Mapping[str, Stage]
) -> Step:
    function, record = getattr(stage.run, "func", stage.run), own[stage.name]
    values: dict[str, object] = {}
    for argument, key in stage.params.items():
        if argument in record.params and "." in key and not _of_a_person(key):
            values[key] = name_alone(record.params[argument])
    files: dict[str, bool] = {}
    for name, source in stage.sources.items():
        named = _named(record.inputs, name)
        files[name] = named is not None
        if source.origin == "config":
            values[source.role] = named
    needs = tuple(key for need in stage.needs for key in need.split("|"))
    label = _label(stage, own, table)
    return Step(stage.name, function.__name__, label, unit, values, files, needs)


def _of_a_person(key: str) -> bool:
    """Whether a value is a person's own, or an image's, and none that was chosen."""
    return key.partition(".")[0] in ("participant", "raw", "subject")


def _named(inputs: Mapping[str, Any], name: str) -> str | tuple[str, ...] | None:
    """Names of the files that an input had; those of a list stand as ``name.1``."""
    uris = [f.uri for key, f in inputs.items() if key == name or key.startswith(f"{name}.")]
    names = tuple(uri.rpartition(":")[2].rpartition("/")[2] for uri in uris)
    return names if len(names) > 1 else names[0] if names else None


def _label(stage: Stage, own: Mapping[str, RunRecord], table: Mapping[str, Stage]) -> str:
    """Say what a stage is about, in the words of the field."""
    above = stage.name.removeprefix("genes_")
    if above != stage.name and above in table and above in own:
        return _label(table[above], own, table)
    bound, params = getattr(stage.run, "keywords", {}), own[stage.name].params
    if bound.get("title"):
        pair = [str(params[place]) for place in ("first", "second") if params.get(place)]
        title = str(bound["title"])
        title = title[0].lower() + title[1:]
        return f"{title} ({' − '.join(pair)})" if pair else title
    parts = stage.name.split("_")
    found = [IMAGES[part] for part in parts if part in IMAGES]
    return found[0] if found else " ".join(parts)


def step_of_call(
    kind: str, settings: Sequence[Any], *, label: str = "", files: Mapping[str, Any] | None = None
) -> Step:
    """Return the step of a command that is no study of stages, from its settings.

    Parameters
    ----------
    kind
        Name of the function.
    settings
        Records of settings; of an option that several declare the first counts.
    files
        Files beside them, by name; ``None`` for one that was not given.
    """
    values: dict[str, object] = {}
    for record in settings:
        names = {f.name for f in dataclasses.fields(record)}
        for key in options_of(type(record)):
            if key in names:
                value = getattr(record, key)
                paths = value if isinstance(value, tuple) else (value,)
                named = tuple(getattr(item, "name", item) for item in paths)
                values.setdefault(key, named if isinstance(value, tuple) else named[0])
    given = {name: path is not None for name, path in (files or {}).items()}
    return Step(kind, kind, label, "group", values, given)
