"""Which jobs a study makes of a dataset: every stage, every subject, every path and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from falx.bids.index import Index
from falx.bids.participants import Participants, read_participants
from falx.bids.query import Filter, Found, find_one
from falx.configuration import flatten
from falx.engine.digest import digest_value
from falx.engine.job import Input, InputFile, Job, unit_of
from falx.engine.provenance import Record, read_record
from falx.errors import FalxError, InputError
from falx.stage import Source, Stage
from falx.study import Column, Study

__all__ = ["Dataset", "Exclusion", "Plan", "plan_group", "plan_participants"]


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
    """

    study: Study
    level: str
    jobs: tuple[Job, ...]
    excluded: tuple[Exclusion, ...] = ()
    omitted: tuple[Exclusion, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Everything a plan reads: images, derivatives, participants, and the user's choices.

    Parameters
    ----------
    derivatives, own_derivatives
        Derivative datasets that the user names, and those in the dataset itself.
    columns
        Name of a study's column to the header that this dataset uses.
    """

    index: Index
    derivatives: tuple[Index, ...] = ()
    own_derivatives: tuple[Index, ...] = ()
    participants: Participants = field(default_factory=Participants)
    filters: tuple[Filter, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        root: Path | str,
        *,
        derivatives: Sequence[Path | str] = (),
        filters: Sequence[Filter] = (),
        columns: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Open a dataset with its own ``derivatives/*`` and further ones."""
        index = Index(root)
        own = sorted(p for p in (index.root / "derivatives").glob("*") if p.is_dir())
        return cls(
            index,
            tuple(Index(folder) for folder in derivatives),
            tuple(Index(folder) for folder in own),
            read_participants(index.root),
            tuple(filters),
            columns or {},
        )

    def column(self, name: str, column: Column) -> Column:
        """Return a study's column under the header that this dataset uses."""
        header = self.columns.get(name)
        return column if header is None else replace(column, names=(header,))


class _LackingError(FalxError):
    """A stage lacks something that is optional for the study."""


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
    for subject in subjects:
        try:
            own, left_out = _Subject(study, dataset, values, subject).plan()
        except FalxError as error:
            excluded.append(Exclusion(subject, str(error)))
        else:
            jobs += own
            omitted += left_out
    return Plan(study, "participant", tuple(jobs), tuple(excluded), tuple(omitted))


class _Subject:
    """The plan of one subject, grown stage by stage."""

    def __init__(
        self, study: Study, dataset: Dataset, values: Mapping[str, Any], subject: str
    ) -> None:
        self.study, self.dataset, self.values, self.subject = study, dataset, values, subject
        self.jobs: dict[str, Job] = {}
        self.raw: dict[str, Found | None] = {}
        for role, wanted in study.raw.items():
            self.raw[role] = find_one(
                role,
                wanted,
                subject,
                dataset=dataset.index,
                derivatives=dataset.derivatives,
                own_derivatives=dataset.own_derivatives,
                filters=dataset.filters,
            )
            if self.raw[role] is None and wanted.required:
                raise InputError(
                    f"there is no {wanted.what}",
                    where=f"sub-{subject}",
                    found=_names(dataset.index, subject),
                    do="add the image, or leave the subject out with --participant-label",
                )

    def plan(self) -> tuple[list[Job], list[Exclusion]]:
        omitted = []
        for stage in self.study.at("participant"):
            try:
                self.jobs[stage.name] = self._job(stage)
            except _LackingError as lack:
                omitted.append(Exclusion(self.subject, str(lack), stage.name))
        return list(self.jobs.values()), omitted

    def _job(self, stage: Stage) -> Job:
        inputs = {name: self._input(source) for name, source in stage.sources.items()}
        params = {name: self._value(where) for name, where in stage.params.items()}
        recipes = {job.id: job.recipe for job in self.jobs.values()}
        return make_job(self.study, stage, self.subject, inputs, params, recipes)

    def _input(self, source: Source) -> Input:
        if source.origin == "raw":
            found = self.raw[source.role]
            if found is not None:
                return InputFile(str(found.path), found.uri)
            lack = f"no {self.study.raw[source.role].what}"
        elif source.origin == "config":
            return config_file(self.values, source)
        elif source.origin == "provenance":
            return {
                job.stage: InputFile(job.record, job.record, job.id) for job in self.jobs.values()
            }
        else:
            job = self.jobs.get(source.origin)
            if job is not None:
                path = job.outputs[source.role]
                return InputFile(path, path, job.id, source.role)
            lack = f"no {source.origin}"
        if source.optional:
            return None
        raise _LackingError(lack)

    def _value(self, where: str) -> Any:
        optional = where.endswith("?")
        origin, _, name = where.rstrip("?").partition(".")
        if origin == "subject":
            return self.subject
        if origin == "participant":
            column = self.study.columns[name]
            value: Any = self.dataset.participants.value(
                self.subject, self.dataset.column(name, column)
            )
            lack = InputError(
                f"participants.tsv does not say the {column.what}",
                where=f"sub-{self.subject}",
                do=f"add a column {column.names[0]}, or name yours with --column {name}=HEADER",
            )
        elif origin == "raw":
            role, _, key = name.partition(":")
            value = self._sidecar_value(role, key)
            lack = InputError(
                f"the sidecar of the {self.study.raw[role].what} does not say {key}",
                where=f"sub-{self.subject}",
                do=f"add {key} to its JSON file",
            )
        else:
            return self.values[where]
        if value is None and not optional:
            raise lack
        return value

    def _sidecar_value(self, role: str, key: str) -> Any:
        found = self.raw[role]
        if found is None or found.index is None or found.file is None:
            return None
        return found.index.sidecar(found.file).get(key)


def plan_group(study: Study, dataset: Dataset, configuration: Any, out: Path) -> Plan:
    """Plan the group level: it takes what the participant level has finished.

    Raises
    ------
    InputError
        If no subject has an output that a stage gathers.
    """
    values = flatten(configuration)
    group = _Group(study, dataset, values, out)
    for stage in study.at("group"):
        group.add(stage)
    return Plan(study, "group", tuple(group.jobs.values()))


class _Group:
    """The plan of the group level, grown stage by stage."""

    def __init__(
        self, study: Study, dataset: Dataset, values: Mapping[str, Any], out: Path
    ) -> None:
        self.study, self.dataset, self.values, self.out = study, dataset, values, out
        self.jobs: dict[str, Job] = {}
        self.recipes: dict[str, str] = {}
        self.record = cache(self._record)

    def _record(self, subject: str, stage: str) -> Record | None:
        return read_record(self.out / "provenance" / unit_of(subject) / f"{stage}.json")

    def add(self, stage: Stage) -> None:
        inputs = {name: self._input(stage, source) for name, source in stage.sources.items()}
        params = {name: self.values[where] for name, where in stage.params.items()}
        self.jobs[stage.name] = job = make_job(
            self.study, stage, None, inputs, params, self.recipes
        )
        self.recipes[job.id] = job.recipe

    def _input(self, stage: Stage, source: Source) -> Input:
        if source.origin == "raw":
            wanted = self.study.raw[source.role]
            path = self.dataset.index.root / wanted.dataset_file
            if wanted.dataset_file and path.is_file():
                return InputFile(str(path), f"bids:raw:{wanted.dataset_file}")
            if source.optional:
                return None
            raise InputError(
                f"there is no {wanted.what}",
                where=self.dataset.index.root.name,
                do=f"add {wanted.dataset_file or 'it'} to the dataset",
            )
        if source.origin == "config":
            return config_file(self.values, source)
        if source.origin == "study":
            return InputFile(str(self.out / "exclusions.tsv"), "exclusions.tsv")
        if source.origin == "provenance":
            return {
                job.stage: InputFile(job.record, job.record, job.id) for job in self.jobs.values()
            }
        if source.gather:
            return self._gather(stage, source)
        job = self.jobs[source.origin]
        path_out = job.outputs[source.role]
        return InputFile(path_out, path_out, job.id, source.role)

    def _gather(self, stage: Stage, source: Source) -> dict[str, InputFile]:
        files = {}
        for subject in self.dataset.index.subjects:
            record = self.record(subject, source.origin)
            if record is None:
                continue
            self.recipes[record.id] = record.recipe
            path = record.outputs[source.role].uri
            files[subject] = InputFile(path, path, record.id, source.role)
        if not files:
            raise InputError(
                f"no subject has what the stage {stage.name} gathers",
                found=f"no finished stage {source.origin}",
                do="run the participant level first",
            )
        return files


def config_file(values: Mapping[str, Any], source: Source) -> InputFile | None:
    """Return a file that the configuration names."""
    path = values[source.role]
    if path is None:
        if source.optional:
            return None
        raise InputError(f"the configuration must name a file for {source.role}")
    if not Path(path).is_file():
        raise InputError(f"the file that {source.role} names does not exist", where=path)
    return InputFile(str(path), f"config:{source.role}:{Path(path).name}")


def make_job(
    study: Study,
    stage: Stage,
    subject: str | None,
    inputs: Mapping[str, Input],
    params: Mapping[str, Any],
    recipes: Mapping[str, str],
) -> Job:
    """Join a stage with its paths and values, and compute its recipe."""
    outputs = {name: path.format(subject=subject) for name, path in stage.outputs.items()}
    job = Job(
        study=study.reference,
        stage=stage.name,
        version=stage.version,
        unit=unit_of(subject),
        inputs=inputs,
        outputs=outputs,
        params=params,
        recipe="",
        threads=stage.threads,
        mem_mb=stage.mem_mb,
        disk_mb=stage.disk_mb,
    )
    taken = {name: [recipes.get(file.job, ""), file.role] for name, file in job.files()}
    parts = [stage.name, stage.version, outputs, dict(params), taken, sorted(inputs)]
    return replace(job, recipe=digest_value(parts))


def _names(index: Index, subject: str) -> str:
    names = [file.path.rpartition("/")[2] for file in index.files(subject)]
    images = [name for name in names if not name.endswith(".json")]
    return ", ".join(images[:6]) + (" …" if len(images) > 6 else "") or "no images"
