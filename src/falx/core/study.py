"""What a study is: the stages it joins, the images it reads and the values it needs.

A study is plain knowledge. It names which files of a BIDS dataset play which role, which
columns of ``participants.tsv`` a stage may ask for, and the class that holds its
configuration. Finding, planning and running is the engine's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from falx.core.errors import FalxError, InputError
from falx.core.participants import Participants
from falx.core.settings import Option, option, options_of
from falx.core.stage import ENGINE_ORIGINS, Stage, check_table

__all__ = ["Column", "RawInput", "Study", "column", "columns_of", "load_for_forks", "load_study"]


READING = ("cattrs", "threadpoolctl")
CALCULATING = ("multiprocessing.synchronize", "scipy.linalg", "scipy.spatial")
DRAWING = {"matplotlib": ("matplotlib.figure", "matplotlib.backends.backend_agg")}
"""What steps import as they need it: all, those with kernels, and those that draw."""


@dataclass(frozen=True)
class RawInput:
    """Which file of the dataset plays a role; one file a subject, or one for all.

    Parameters
    ----------
    what
        What a user calls it, for sentences: ``"pre-operative T1w image"``.
    suffix, datatype
        BIDS suffix (``"T1w"``) and folder (``"anat"``).
    sessions
        Session labels by preference, ``None`` for files outside any session; the first
        that holds a fitting file is taken. Empty: sessions do not matter.
    entities
        Entities the name must carry, by their short key: ``{"trc": "FDG"}``. ``None`` as a
        value means that the entity must be absent.
    without
        Entities and values, one or several, the name must not carry: ``{"desc": "rater2"}``.
    extensions
        Accepted endings.
    derivatives
        Look in ``derivatives/*`` of the dataset and in folders given on the command line.
    patterns
        Paths that do not follow BIDS, relative to one derivative dataset, the first that
        exists is taken: ``"sub-{subject}/mri/aseg.mgz"``. ``*`` stands for any text; two files
        that fit one pattern are an error.
    dataset_file
        A file of the whole dataset instead: ``"participants.tsv"``.
    required
        A subject that lacks it is left out of the study, with a sentence.
    judged
        Refuse an image that cannot be of its kind (:mod:`falx.images.plausible`) before the
        first stage that reads it.
    switch
        Configuration key that must be on for it to be looked for; empty: always.
    judged_as
        BIDS suffix whose limits it is judged by, where its own has none: ``"T1w"`` for
        another image of the head that an MR scanner makes.
    """

    what: str
    suffix: str = ""
    datatype: str = ""
    sessions: tuple[str | None, ...] = ()
    entities: Mapping[str, str | None] = field(default_factory=dict)
    without: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    extensions: tuple[str, ...] = (".nii.gz", ".nii")
    derivatives: bool = False
    patterns: tuple[str, ...] = ()
    dataset_file: str = ""
    required: bool = False
    judged: bool = True
    judged_as: str = ""
    switch: str = ""

    def __post_init__(self) -> None:
        for name in ("entities", "without"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if not (self.suffix or self.patterns or self.dataset_file):
            raise FalxError(f"the raw input {self.what!r} says nothing to look for.")


@dataclass(frozen=True)
class Column:
    """A value that ``participants.tsv`` holds for every subject.

    Parameters
    ----------
    what
        What it says, for sentences: ``"side of the epileptic focus"``.
    names
        Accepted headers, case ignored, by preference.
    values
        Accepted entries (case ignored) and what each stands for; empty: any text. Entries of
        a number that are no digits, such as ``yes``, stand for the number given.
    kind
        ``"text"`` or ``"number"``.
    """

    what: str
    names: tuple[str, ...]
    values: Mapping[str, str | float] = field(default_factory=dict)
    kind: str = "text"

    def of(
        self, participants: Participants, subject: str, header: str | None = None
    ) -> str | float | None:
        """Return a subject's value, ``None`` where the table has none.

        Parameters
        ----------
        participants
            The table.
        subject
            Label, without ``sub-``.
        header
            That of this table, if it is none of the usual `names`.
        """
        cell = participants.cell(subject, *((header,) if header else self.names))
        return None if cell is None else self.read(cell, where=f"sub-{subject}")

    def header_of(self, participants: Participants, chosen: str | None, key: str) -> str | None:
        """Return the header of the table, ``None`` if it has none of the usual ones.

        Raises
        ------
        InputError
            If the table lacks the header that the configuration names under `key`.
        """
        found = participants.header(*((chosen,) if chosen else self.names))
        if chosen and found is None:
            raise InputError(
                f"the table has no column {chosen!r}, which the configuration names for {key}",
                where="participants.tsv",
                found=", ".join(participants.columns) or "no table",
                do=f"correct {key}",
            )
        return found

    def read(self, text: str, *, where: str) -> str | float:
        """Turn a cell into its value, or raise with the accepted entries.

        Examples
        --------
        >>> side = Column("side of the focus", ("side",), {"l": "left", "r": "right"})
        >>> side.read("L", where="sub-07")
        'left'
        """
        known = {key.casefold(): value for key, value in self.values.items()}
        known |= {str(value).casefold(): value for value in self.values.values()}
        if text.casefold() in known:
            return known[text.casefold()]
        if self.kind == "number":
            try:
                return float(text)
            except ValueError:
                raise InputError(
                    f"the {self.what} is not a number",
                    where=where,
                    found=repr(text),
                    do="correct participants.tsv",
                ) from None
        if self.values:
            raise InputError(
                f"the {self.what} is not understood",
                where=where,
                found=repr(text),
                do=f"write one of {', '.join(sorted(known))} in participants.tsv",
            )
        return text


Images = Mapping[str, Mapping[str, Any]]
"""Subject to role to the file found for it, None where there is none."""


def column(
    what: str,
    *names: str,
    values: Mapping[str, str | float] | None = None,
    kind: str = "text",
) -> Any:
    """Declare a column of ``participants.tsv`` as a field of the section ``columns``.

    The value of the field is the header of a table that uses none of the usual ones, so that
    ``columns.side``, ``--columns-side`` and ``--column side=`` name it at every level.

    Parameters
    ----------
    what, names, values, kind
        See :class:`Column`.
    """
    declared = option(None, help=f"header of the {what}, if not {' or '.join(names[:3])}")
    own = Column(what, names, MappingProxyType(dict(values or {})), kind)
    return field(default=None, metadata={**declared.metadata, "column": own})


def columns_of(section: type[Any]) -> dict[str, Column]:
    """Return the columns that a configuration section declares, by name."""
    return {item.name: item.metadata["column"] for item in dataclasses.fields(section)}


@dataclass(frozen=True)
class Study:
    """A study: everything the engine must know to run it on a dataset.

    Parameters
    ----------
    name
        As on the command line.
    reference
        Where it can be imported from: ``"falx.studies.signature.study:STUDY"``. Every job is a
        process of its own and finds its stage through this.
    stages
        In order; a stage takes from raw inputs and earlier stages.
    raw
        Role to file of the dataset.
    configuration
        Dataclass whose fields are dataclasses of :func:`falx.core.settings.option` fields.
    presets
        Name to configuration values that differ from the defaults, by key.
    show
        Output to look at in the end, per level: ``{"participant": "report.page"}``.
    preflight
        Called before any work with the participants table, the images found (subject to role
        to what :mod:`falx.bids.query` finds) and the configuration; returns a sentence for
        everything that will not do.
    methods
        Called after every level with the study, the records of what ran and the configuration of
        the last runs by key; returns the methods text of a paper as files of the output folder,
        name to text. Equal records give equal bytes.
    libraries
        Library that an extra of the installation brings to that extra and what it does, for
        those that every run of the study needs in the end: looked for before the work begins.
    """

    name: str
    reference: str
    stages: tuple[Stage, ...]
    raw: Mapping[str, RawInput]
    configuration: type[Any]
    presets: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    show: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    preflight: Callable[[Participants, Images, Any], Sequence[str]] | None = None
    methods: Callable[..., Mapping[str, str]] | None = None

    def __post_init__(self) -> None:
        check_table(self.stages)
        keys = options_of(self.configuration)
        for stage in self.stages:
            # What an earlier stage writes was checked with the table.
            sources = [s for s in stage.sources.values() if s.origin in ENGINE_ORIGINS]
            asked = [f"{s.origin}.{s.role}" for s in sources]
            for where in [*asked, *stage.params.values()]:
                if not self._knows(where.rstrip("?"), stage, keys):
                    raise FalxError(f"stage {stage.name} asks for {where}, which nothing gives.")

    @property
    def columns(self) -> dict[str, Column]:
        """Columns of ``participants.tsv`` by name, for parameters such as ``participant.side``.

        They are the fields of the section ``columns`` of the configuration.
        """
        section = typing.get_type_hints(self.configuration).get("columns")
        return {} if section is None else columns_of(section)

    def _knows(self, where: str, stage: Stage, keys: Mapping[str, Option]) -> bool:
        """Whether an input or parameter of a stage can be found."""
        origin, _, name = where.partition(".")
        if origin == "raw":
            return name.replace("@", ":").partition(":")[0] in self.raw
        if origin == "config":
            return name in keys and keys[name].kind is Path
        if origin == "participant":
            return name in self.columns and stage.level == "participant"
        if origin == "subject":
            return name == "label" and stage.level == "participant"
        if origin in ("provenance", "study"):
            return where in (
                "provenance.all", "study.exclusions", "study.failures", "study.people"
            )  # fmt: skip
        return where in keys

    def stage(self, name: str) -> Stage:
        """Return the stage of that name."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise FalxError(f"the study {self.name} has no stage {name}.")

    def at(self, level: str) -> tuple[Stage, ...]:
        """Return the stages of a level, in order."""
        return tuple(stage for stage in self.stages if stage.level == level)


def load_study(reference: str) -> Study:
    """Import a study by its reference, ``module:name``."""
    module, _, name = reference.partition(":")
    study = getattr(importlib.import_module(module), name)
    if not isinstance(study, Study):
        raise FalxError(f"{reference} is not a study.")
    return study


def load_for_forks(reference: str) -> Study:
    """Import a study, and once for all forks of this process what each of them would load.

    Nothing is computed, so that no thread is lost in a fork. The tables of types that compiled
    kernels are read with take a fifth of a second, the drawing library half of one.
    """
    study = load_study(reference)
    drawing = [name for library in study.libraries for name in DRAWING.get(library, ())]
    for name in (*READING, *drawing):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "numba" in sys.modules:
        for name in CALCULATING:
            importlib.import_module(name)
        target = importlib.import_module("numba.core.registry").cpu_target
        target.typing_context.refresh()
        target.target_context.refresh()
    return study
