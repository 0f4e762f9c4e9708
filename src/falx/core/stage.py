"""What a stage is: one step of a study, from files to files.

A study is a tuple of stages. A stage names its function, where each input comes from, what
it writes, which configuration values it takes, and a version that rises whenever its numbers
change. Nothing here runs anything: :mod:`falx.engine` does.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from falx.core.errors import FalxError

__all__ = ["Source", "Stage", "arguments_of", "check_table", "gathered"]

ENGINE_ORIGINS = ("raw", "config", "provenance", "study")


@dataclass(frozen=True)
class Source:
    """Where an input comes from.

    Parameters
    ----------
    origin
        ``"raw"`` for the dataset, ``"config"`` for a file that the configuration names,
        ``"provenance"`` or ``"study"`` for the engine's own records (see Notes), otherwise
        the name of an earlier stage.
    role
        The name of the image there.
    optional
        An optional input that does not exist is passed as ``None``.
    gather
        Group stages only: collect this output from every subject, as a mapping of subject
        label to path.

    Notes
    -----
    ``"provenance.all"`` passes a mapping of stage name to provenance record, for every
    earlier stage that this subject has; reports print notices, parameters and versions from
    them. ``"study.exclusions"`` passes the table of subjects that were left out, and why;
    ``"study.people"`` that of everybody with what happened;
    ``"study.failures"``, at the group level, that of steps that failed: an optional input
    from such a step is ``None``, and the stage runs without it.
    """

    origin: str
    role: str
    optional: bool = False
    gather: bool = False

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``"raw.pet"``, ``"anatomy.gm"``, ``"raw.flair?"`` or ``"signature.numbers*"``.

        Examples
        --------
        >>> Source.parse("raw.flair?")
        Source(origin='raw', role='flair', optional=True, gather=False)
        """
        name = text.rstrip("?*")
        marks = text[len(name) :]
        origin, _, role = name.partition(".")
        return cls(origin, role, optional="?" in marks, gather="*" in marks)


def _frozen(mapping: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True)
class Stage:
    """One step of a study.

    Parameters
    ----------
    name
        Unique in its table; a Python identifier.
    run
        The file function. It is called with every key of `inputs`, `outputs` and `params`
        as a keyword; inputs and outputs are paths. It returns nothing. An argument whose type
        is a dataclass takes the keys that are its fields, so that files and settings come as
        two or three records: ``run(files: Files, settings: Settings)``. A field with a default
        that is no option may be left out of the table.
    inputs
        Argument name to source, in the notation of :meth:`Source.parse`. A subject that
        lacks a required raw input does not get this stage. Names with a dot are a group:
        ``"scaled.pet"`` and ``"scaled.flair"`` come as the one argument ``scaled``, a mapping of
        ``pet`` and ``flair`` to their paths, without those that are ``None``.
    outputs
        Argument name to path below the output folder; ``{subject}`` stands for the label.
        All outputs of a stage are always written.
    params
        Argument name to where its value is: a configuration key such as
        ``"pet.psf_fwhm_mm"``; ``"participant.side"`` for a column that the study declares;
        ``"raw.pet:Units"`` for a key of an image's JSON sidecars; ``"raw.ablation@ses"`` for
        an entity of its name; ``"subject.label"``. A question mark behind the last four
        passes ``None`` where there is no value.
    version
        Raised whenever the stage's numbers change.
    mem_mb
        Measured peak memory, rounded up.
    disk_mb
        Size of all its outputs for one subject, rounded up.
    threads
        Cores the stage can use; passed as ``threads`` where the function takes it.
    level
        ``"participant"`` or ``"group"``.
    needs
        Configuration keys; where one is empty or off, the stage is left out.
        ``"genes.expression|genes.ahba"`` asks for either.
    given
        Participant stages only: roles of raw inputs; ``"bold|prepared"`` asks for either,
        ``"!prepared"`` that there is none. A stage for which that does not hold is left out.
    """

    name: str
    run: Callable[..., None]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    mem_mb: int = 1000
    disk_mb: int = 10
    threads: int = 1
    level: str = "participant"
    needs: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "params"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        self._check_signature()

    def _check_signature(self) -> None:
        _check_groups(self)
        named = {*gathered(self.inputs), *self.outputs, *self.params}
        takes = arguments_of(self.run)
        if takes is None:
            return
        needs = takes - _optional_arguments(self.run)
        if not needs <= named <= takes:
            raise FalxError(
                f"stage {self.name}: the table names {sorted(named - takes)} that the function "
                f"does not take, and misses {sorted(needs - named)} that it does."
            )

    def call(self, arguments: Mapping[str, object], *, threads: int = 1) -> None:
        """Call the function with values by name; those of a record are put together first."""
        function, bound = _unwrapped(self.run)
        left = gathered(arguments)
        given: dict[str, object] = {}
        for name, kind in _records(function).items():
            if name not in bound:
                own = [f for f in dataclasses.fields(kind) if f.name in left]
                given[name] = kind(**{f.name: _taken(f, left.pop(f.name)) for f in own})
        if "threads" in inspect.signature(function).parameters:
            left["threads"] = threads
        self.run(**given, **left)

    def wanted(self, values: Mapping[str, object]) -> bool:
        """Tell whether the configuration, values by key, asks for the stage."""
        return all(any(values[key] for key in need.split("|")) for need in self.needs)

    @property
    def sources(self) -> dict[str, Source]:
        """Argument name to parsed source."""
        return {role: Source.parse(text) for role, text in self.inputs.items()}


def gathered(named: Mapping[str, object]) -> dict[str, object]:
    """Put what is named ``group.key`` into one mapping a group, without what is ``None``.

    Examples
    --------
    >>> gathered({"t1w": 1, "scaled.pet": 2, "scaled.flair": None, "scaled.gm": 3})
    {'t1w': 1, 'scaled': {'pet': 2, 'gm': 3}}
    """
    found: dict[str, object] = {}
    groups: dict[str, dict[str, object]] = {}
    for name, value in named.items():
        group, dot, key = name.partition(".")
        if not dot:
            found[name] = value
            continue
        found[group] = members = groups.setdefault(group, {})
        if value is not None:
            members[key] = value
    return found


def _check_groups(stage: Stage) -> None:
    """Raise unless groups are of inputs, complete in themselves, and taken as a mapping."""
    kinds = _types(stage.run)
    for name in (*stage.outputs, *stage.params):
        if "." in name:
            raise FalxError(
                f"stage {stage.name}: {name} is no input, and only inputs are grouped."
            )
    for name, source in stage.sources.items():
        group, dot, key = name.partition(".")
        if dot and source.gather:
            raise FalxError(f"stage {stage.name}: {name} is of a group, and of every subject.")
        if dot and not (group.isidentifier() and key):
            raise FalxError(f"stage {stage.name}: the input {name!r} names no member of a group.")
        if dot and group in {*stage.inputs, *stage.outputs, *stage.params}:
            raise FalxError(f"stage {stage.name}: {group} is named whole, and in parts by {name}.")
        if dot and get_origin(kinds.get(group, Mapping[str, object])) is not Mapping:
            raise FalxError(f"stage {stage.name}: {name} is of a group, but {group} no mapping.")


def _types(run: Callable[..., None]) -> dict[str, object]:
    """Type of every argument by name, as far as declared; of a record, those of its fields."""
    function, _ = _unwrapped(run)
    own = dict(get_type_hints(function)) if hasattr(function, "__annotations__") else {}
    for kind in _records(function).values():
        own |= get_type_hints(kind)
    return own


def arguments_of(run: Callable[..., None]) -> set[str] | None:
    """Arguments that a table must name; none if the function takes any.

    An argument that is a dataclass stands for its fields. Arguments that several stages share
    may also be declared as a ``TypedDict`` and taken as ``**given: Unpack[Arguments]``.
    """
    function, bound = _unwrapped(run)
    records = _records(function)
    takes: set[str] = set()
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in bound:
            continue
        if parameter.name in records:
            takes |= {item.name for item in dataclasses.fields(records[parameter.name])}
            continue
        if parameter.kind is not parameter.VAR_KEYWORD:
            takes.add(parameter.name)
            continue
        packed = get_type_hints(function).get(parameter.name)
        if get_origin(packed) is not Unpack:
            return None
        takes |= set(get_type_hints(get_args(packed)[0]))
    return takes - {"threads", *bound}


def _unwrapped(run: Callable[..., None]) -> tuple[Callable[..., None], Mapping[str, object]]:
    """Return the function behind a partial, and what is bound to it."""
    return (run.func, run.keywords) if isinstance(run, partial) else (run, {})


def _records(function: Callable[..., None]) -> dict[str, type[Any]]:
    """Arguments of a function whose type is a dataclass, by name."""
    hints = get_type_hints(function) if hasattr(function, "__annotations__") else {}
    return {
        name: kind
        for name, kind in hints.items()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and name != "return"
    }


def _taken(item: dataclasses.Field[Any], value: Any) -> Any:
    """Give an option of several files what the engine has by number, or nothing, as a tuple."""
    if "falx" not in item.metadata or not isinstance(item.default, tuple):
        return value
    return tuple(value.values()) if isinstance(value, Mapping) else value or ()


def _optional_arguments(run: Callable[..., None]) -> set[str]:
    """Fields of records that need not be named: they have a default and are no option."""
    function, bound = _unwrapped(run)
    return {
        item.name
        for name, kind in _records(function).items()
        if name not in bound
        for item in dataclasses.fields(kind)
        if "falx" not in item.metadata
        and (item.default, item.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
    }


def check_table(stages: tuple[Stage, ...]) -> None:
    """Raise unless names are unique and every source is known or an earlier stage's output."""
    known: dict[str, Stage] = {}
    for stage in stages:
        if stage.name in known:
            raise FalxError(f"two stages are called {stage.name}.")
        for role, source in stage.sources.items():
            if source.origin in ENGINE_ORIGINS:
                continue
            origin = known.get(source.origin)
            if origin is None or source.role not in origin.outputs:
                raise FalxError(
                    f"stage {stage.name}: its input {role} comes from "
                    f"{source.origin}.{source.role}, which no earlier stage writes."
                )
        known[stage.name] = stage
