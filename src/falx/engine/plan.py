"""A plan: the jobs that a study makes of a dataset, with every path and value.

At the participant level every subject gets every stage that he has what it needs for; the group
level reads what that has finished, never raw images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from falx.bids.dataset import Dataset
from falx.bids.index import Index
from falx.bids.query import Found
from falx.core.errors import FalxError, InputError
from falx.core.settings import flag_of, flatten
from falx.core.stage import Source, Stage
from falx.core.study import Images, RawInput, Study
from falx.engine.digest import Values, digest_value
from falx.engine.failures import FAILURES
from falx.engine.job import Input, InputFile, Job, unit_of
from falx.engine.people import EXCLUSIONS, STATUS, excluded_people
from falx.engine.provenance import Record, read_record, record_path

__all__ = ["Plan", "config_file", "plan_group", "plan_participants"]

TABLES = {"exclusions": EXCLUSIONS, "failures": FAILURES, "people": STATUS}
"""Tables that the engine keeps, by the name that stages give them."""


class LackingError(InputError):
    """A stage lacks what it takes, or a stage that lacks it; the study can do without."""


@dataclass(frozen=True)
class Exclusion:
    """A subject, or a stage of a subject, that is left out, and why."""

    subject: str
    reason: str
    stage: str = ""


@dataclass(frozen=True)
class Plan:
    """The jobs of one level of a study, each after the jobs it takes from.

    Parameters
    ----------
    excluded
        Subjects that cannot be studied.
    omitted
        Stages that a subject does not get since it lacks an optional image.
    images
        Files found, by subject and role.
    """

    study: Study
    level: str
    jobs: tuple[Job, ...]
    excluded: tuple[Exclusion, ...] = ()
    omitted: tuple[Exclusion, ...] = ()
    images: Images = field(default_factory=dict)


class _Unit:
    """The plan of a person, or of the group, grown stage by stage.

    Parameters
    ----------
    values
        The configuration, by key.
    subject
        Label of the person, ``None`` for the group.
    """

    def __init__(
        self, study: Study, dataset: Dataset, values: Values, subject: str | None = None
    ) -> None:
        self.study, self.dataset, self.values, self.subject = study, dataset, values, subject
        self.jobs: dict[str, Job] = {}
        self.recipes: dict[str, str] = {}

    def add(self, stage: Stage) -> None:
        """Join a stage with its paths and values, and compute its recipe.

        Raises
        ------
        LackingError
            If there is not what it takes.
        """
        inputs = {name: self.input(stage, source) for name, source in stage.sources.items()}
        params = {name: self.value(where) for name, where in stage.params.items()}
        outputs = {name: path.format(subject=self.subject) for name, path in stage.outputs.items()}
        job = Job(
            study=self.study.reference, stage=stage.name, version=stage.version,
            unit=unit_of(self.subject), inputs=inputs, outputs=outputs, params=params, recipe="",
            threads=stage.threads, mem_mb=stage.mem_mb, disk_mb=stage.disk_mb,
        )  # fmt: skip
        taken = {name: [self.recipes.get(file.job, ""), file.role] for name, file in job.files()}
        parts = [stage.name, stage.version, outputs, params, taken, sorted(inputs)]
        self.jobs[stage.name] = replace(job, recipe=digest_value(parts))
        self.recipes[job.id] = self.jobs[stage.name].recipe

    def value(self, where: str) -> Any:
        """Return a parameter by where it is: here, a key of the configuration."""
        return self.values[where]

    def input(self, stage: Stage, source: Source) -> Input:
        """Return what a stage takes from the configuration, or from an earlier one of the unit."""
        if source.origin == "config":
            return config_file(self.values, source)
        if source.origin == "provenance":
            own = self.jobs.values()
            return {job.stage: InputFile(job.record, job.record, job.id) for job in own}
        if source.origin in self.jobs:
            job = self.jobs[source.origin]
            path = job.outputs[source.role]
            return InputFile(path, path, job.id, source.role)
        if source.optional:
            return None
        raise LackingError(f"the stage {stage.name} lacks an earlier", found=f"no {source.origin}")


def config_file(values: Values, source: Source) -> Input:
    """Return a file that the configuration names, or several of them by number."""
    named = values[source.role]
    if not named:
        if source.optional:
            return None
        do = f"give {flag_of(source.role)} FILE"
        raise InputError(f"the configuration must name a file for {source.role}", do=do)
    if isinstance(named, tuple):
        return {str(i): _named(source.role, path) for i, path in enumerate(named, 1)}
    return _named(source.role, named)


def _named(role: str, path: Path | str) -> InputFile:
    return InputFile(str(path), f"config:{role}:{Path(path).name}")


def plan_participants(
    study: Study, dataset: Dataset, configuration: Any, subjects: Iterable[str]
) -> Plan:
    """Plan the participant level.

    A subject that lacks a required image, or has several that could be it, is excluded; the
    others go on. A subject that lacks another image does not get the stages that need it.
    """
    values = flatten(configuration)
    jobs: list[Job] = []
    excluded: list[Exclusion] = []
    omitted: list[Exclusion] = []
    images: dict[str, Mapping[str, Found | None]] = {}
    for subject in subjects:
        images[subject] = {}
        try:
            person = _Person(study, dataset, values, subject)
            images[subject] = person.raw
            left_out = person.plan()
        except FalxError as error:
            excluded.append(Exclusion(subject, str(error)))
        else:
            jobs += person.jobs.values()
            omitted += left_out
    return Plan(study, "participant", tuple(jobs), tuple(excluded), tuple(omitted), images)


class _Person(_Unit):
    """The plan of one subject."""

    def __init__(self, study: Study, dataset: Dataset, values: Values, subject: str) -> None:
        super().__init__(study, dataset, values, subject)
        self.raw: dict[str, Found | None] = {}
        for role, wanted in study.raw.items():
            looked_for = not wanted.switch or values[wanted.switch]
            found = dataset.find(role, wanted, subject) if looked_for else None
            if looked_for and found is None and wanted.required:
                raise InputError(
                    f"there is no {wanted.what}",
                    where=f"sub-{subject}",
                    found=_names(dataset.index, subject),
                    do=dataset.nearly(wanted, subject)
                    + _other_session(dataset.index, subject, wanted)
                    + "add the image, or leave the subject out with --participant-label",
                )
            self.raw[role] = found

    def plan(self) -> list[Exclusion]:
        """Plan every stage; return those that the subject lacks something for."""
        omitted = []
        for stage in self.study.at("participant"):
            shunned = any(self.raw[n[1:]] is not None for n in stage.given if n.startswith("!"))
            if not stage.wanted(self.values) or shunned:
                continue
            try:
                for need in (n for n in stage.given if not n.startswith("!")):
                    self._require(*need.split("|"))
                self.add(stage)
            except LackingError as lack:
                omitted.append(Exclusion(str(self.subject), str(lack.found), stage.name))
        return omitted

    def _require(self, *roles: str) -> None:
        if all(self.raw[role] is None for role in roles):
            wanted = self.study.raw[roles[0]]
            advice = self.dataset.nearly(wanted, str(self.subject)).removesuffix(", or ")
            found = f"no {wanted.what} ({advice})" if advice else f"no {wanted.what}"
            raise LackingError("an image is missing", found=found)

    def input(self, stage: Stage, source: Source) -> Input:
        """Return an image of the subject, or what is not of the dataset."""
        if source.origin != "raw":
            return super().input(stage, source)
        if not source.optional:
            self._require(source.role)
        found = self.raw[source.role]
        return None if found is None else InputFile(str(found.path), found.uri)

    def value(self, where: str) -> Any:
        """Return a parameter, of the subject or of the configuration."""
        origin, _, name = where.rstrip("?").partition(".")
        if origin == "subject":
            return self.subject
        if origin == "participant":
            value, lacks, do = self._cell(name)
        elif origin == "raw":
            value, lacks, do = self._said_of_image(name)
        else:
            return super().value(where)
        if value is None and not where.endswith("?"):
            raise InputError(lacks, where=f"sub-{self.subject}", do=do)
        return value

    def _cell(self, name: str) -> tuple[Any, str, str]:
        """Return a cell of the subject's row, what is wrong without it, and what to do then."""
        column, key, table = self.study.columns[name], f"columns.{name}", self.dataset.participants
        column.header_of(table, self.values[key], key)
        do = f"add a column {column.names[0]}, or name yours with --column {name}=HEADER"
        value = column.of(table, str(self.subject), self.values[key])
        return value, f"participants.tsv does not say the {column.what}", do

    def _said_of_image(self, name: str) -> tuple[Any, str, str]:
        """Return what sidecars (``"pet:Units"``) or the name (``"ablation@ses"``) of an image say.

        With it comes what is wrong without it, and what to do then.
        """
        mark = "@" if "@" in name else ":"
        role, _, key = name.partition(mark)
        found, value = self.raw[role], None
        if found is not None and found.file is not None and found.index is not None:
            named = found.file.name.entities if mark == "@" else found.index.sidecar(found.file)
            value = named.get(key)
        place, do = ("name", "name") if mark == "@" else ("sidecar", "JSON file")
        lacks = f"the {place} of the {self.study.raw[role].what} does not say {key}"
        return value, lacks, f"add {key} to its {do}"


def _other_session(index: Index, subject: str, wanted: RawInput) -> str:
    """Say how to name a session that the study does not know, if the image is there."""
    if not wanted.sessions or wanted.derivatives:
        return ""
    files = index.find(
        subject, suffix=wanted.suffix, datatype=wanted.datatype, entities=wanted.entities
    )
    there = sorted({f.name.entities["ses"] for f in files if "ses" in f.name.entities})
    if not there:
        return ""
    return f"name its session with --session-label {there[0]} (there: {', '.join(there)}), or "


def _names(index: Index, subject: str) -> str:
    names = [file.path.rpartition("/")[2] for file in index.files(subject)]
    images = [name for name in names if not name.endswith(".json")]
    return ", ".join(images[:6]) + (" …" if len(images) > 6 else "") or "no images"


def plan_group(study: Study, dataset: Dataset, configuration: Any, out: Path) -> Plan:
    """Plan the group level: it takes what the participant level has finished.

    A stage that finds nothing to gather is left out, and so are those that need it.

    Raises
    ------
    InputError
        If no stage finds anything.
    """
    values = flatten(configuration)
    group = _Group(study, dataset, values, out)
    lacks: dict[str, LackingError] = {}
    for stage in study.at("group"):
        if stage.wanted(values):
            try:
                group.add(stage)
            except LackingError as lack:
                lacks[stage.name] = lack
    if lacks and not any(job.gathers for job in group.jobs.values()):
        raise next(iter(lacks.values()))
    omitted = tuple(Exclusion("", str(lack.found), name) for name, lack in lacks.items())
    people: Images = {subject: {} for subject in dataset.index.subjects}
    return Plan(study, "group", tuple(group.jobs.values()), omitted=omitted, images=people)


class _Group(_Unit):
    """The plan of the group level."""

    def __init__(self, study: Study, dataset: Dataset, values: Values, out: Path) -> None:
        super().__init__(study, dataset, values)
        self.out, self.excluded = out, excluded_people(out)
        self.record = cache(self._record)

    def _record(self, subject: str, stage: str) -> Record | None:
        return read_record(record_path(self.out, f"{unit_of(subject)}/{stage}"))

    def input(self, stage: Stage, source: Source) -> Input:
        """Return what every subject has, a table, or what any unit may take."""
        if source.origin == "raw":
            return self._dataset_file(source)
        if source.origin == "study":
            name = TABLES[source.role]
            return InputFile(str(self.out / name), name)
        if source.gather:
            return self._gather(stage, source)
        return super().input(stage, source)

    def _dataset_file(self, source: Source) -> Input:
        wanted, root = self.study.raw[source.role], self.dataset.index.root
        path = root / wanted.dataset_file
        if wanted.dataset_file and path.is_file():
            return InputFile(str(path), f"bids:raw:{wanted.dataset_file}")
        if source.optional:
            return None
        do = f"add {wanted.dataset_file or 'it'} to the dataset"
        raise InputError(f"there is no {wanted.what}", where=root.name, do=do)

    def _gather(self, stage: Stage, source: Source) -> Input:
        files = {}
        for subject in self.dataset.index.subjects:
            record = self.record(subject, source.origin)
            if record is None or subject in self.excluded:
                continue
            self.recipes[record.id] = record.recipe
            path = record.outputs[source.role].uri
            files[subject] = InputFile(path, path, record.id, source.role)
        if not files and not source.optional:
            raise LackingError(
                f"no subject has what the stage {stage.name} gathers",
                found=f"no finished stage {source.origin}",
                do="run the participant level first",
            )
        return files or None
