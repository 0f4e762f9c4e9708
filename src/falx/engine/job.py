"""A job: one stage for one subject, with every path and value it needs.

A job is written as JSON and read by the process that runs it, so that the same job can run
here, on another machine of a cluster, or once more by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from falx.engine.digest import Values

__all__ = ["GROUP", "Input", "InputFile", "Job", "files_of", "unit_of"]

GROUP = "group"
"""Unit of the jobs that belong to no subject."""


@dataclass(frozen=True)
class InputFile:
    """A file that a job reads.

    Parameters
    ----------
    path
        Absolute for files from outside; relative to the output folder for its own, so that
        the folder can be moved.
    uri
        The same without any path of this machine, for records: ``"bids:raw:sub-07/…"``.
    job
        Id of the job that writes it; empty for files from outside.
    role
        Name of the output there; empty for a provenance record.
    """

    path: str
    uri: str
    job: str = ""
    role: str = ""


Input = InputFile | Mapping[str, InputFile] | None


@dataclass(frozen=True)
class Job:
    """One stage for one subject, or for the group.

    Parameters
    ----------
    study
        Reference of the study (see :func:`falx.core.study.load_study`).
    stage, version, threads, mem_mb, disk_mb
        From the stage table.
    unit
        ``"sub-07"`` or ``"group"``.
    inputs
        Argument to file, to files by name (gathered), or ``None``.
    outputs
        Argument to path relative to the output folder.
    params
        Argument to value.
    recipe
        Digest of everything that decides the outputs except the content of files from
        outside: stage, version, parameters, and the recipes of the jobs it takes from.
    """

    study: str
    stage: str
    version: int
    unit: str
    inputs: Mapping[str, Input]
    outputs: Mapping[str, str]
    params: Values
    recipe: str
    threads: int = 1
    mem_mb: int = 1000
    disk_mb: int = 10

    @property
    def id(self) -> str:
        """Name of the job: ``"sub-07/anatomy"``."""
        return f"{self.unit}/{self.stage}"

    @property
    def record(self) -> str:
        """Path of its provenance record, relative to the output folder."""
        return f"provenance/{self.id}.json"

    @property
    def log(self) -> str:
        """Path of its log, relative to the output folder."""
        return f"logs/{self.id}.log"

    @property
    def title(self) -> str:
        """Name for people: ``"sub-07 anatomy"``."""
        return f"{self.unit} {self.stage}"

    def files(self) -> Iterator[tuple[str, InputFile]]:
        """Every input file with its name; gathered ones as ``argument.label``."""
        for argument, value in self.inputs.items():
            for label, file in files_of(value).items():
                yield f"{argument}.{label}" if label else argument, file

    @property
    def needs(self) -> frozenset[str]:
        """Ids of the jobs whose files it reads."""
        return frozenset(file.job for _, file in self.files() if file.job)

    @property
    def gathers(self) -> bool:
        """Whether it takes the outputs of several jobs under one name."""
        values = [value for value in self.inputs.values() if isinstance(value, Mapping)]
        return any(file.job for value in values for file in value.values())

    def to_json(self) -> str:
        """Write the job as JSON."""
        return json.dumps(vars(self), ensure_ascii=False, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a job; lists become tuples again."""
        read = cls(**json.loads(text))
        inputs = {name: _input(value) for name, value in read.inputs.items()}
        params = {name: _tuples(value) for name, value in read.params.items()}
        return replace(read, inputs=inputs, params=params)


def files_of(value: Input) -> Mapping[str, InputFile]:
    """Return the files of an input by name; a single one has none."""
    if value is None:
        return {}
    return {"": value} if isinstance(value, InputFile) else value


def unit_of(subject: str | None) -> str:
    """Return the unit of a subject label, or of the group.

    Examples
    --------
    >>> unit_of("07"), unit_of(None)
    ('sub-07', 'group')
    """
    return GROUP if subject is None else f"sub-{subject}"


def _plain(value: Any) -> Any:
    return vars(value) if isinstance(value, InputFile) else str(value)


def _input(value: Any) -> Input:
    if value is None:
        return None
    if isinstance(value.get("uri"), str):
        return InputFile(**value)
    return {label: InputFile(**file) for label, file in value.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
