"""The participant level: every stage for every subject that has what it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from falx.bids.index import Index
from falx.bids.query import Found, find_one
from falx.core.errors import FalxError, InputError
from falx.core.settings import flatten
from falx.core.stage import Source, Stage
from falx.core.study import RawInput, Study
from falx.engine.dataset import Dataset
from falx.engine.digest import Values
from falx.engine.job import Input, InputFile, Job
from falx.engine.plan import Exclusion, LackingError, Plan, make_job, taken

__all__ = ["plan_participants"]


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
    images: dict[str, dict[str, Found | None]] = {}
    for subject in subjects:
        images[subject] = {}
        try:
            person = _Subject(study, dataset, values, subject)
            images[subject] = person.raw
            own, left_out = person.plan()
        except FalxError as error:
            excluded.append(Exclusion(subject, str(error)))
        else:
            jobs += own
            omitted += left_out
    return Plan(study, "participant", tuple(jobs), tuple(excluded), tuple(omitted), images)


class _Subject:
    """The plan of one subject, grown stage by stage."""

    def __init__(self, study: Study, dataset: Dataset, values: Values, subject: str) -> None:
        self.study, self.dataset, self.values, self.subject = study, dataset, values, subject
        self.jobs: dict[str, Job] = {}
        self.raw: dict[str, Found | None] = {}
        for role, wanted in study.raw.items():
            if wanted.switch and not values[wanted.switch]:
                self.raw[role] = None
                continue
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
                    do=_other_session(dataset.index, subject, wanted)
                    + "add the image, or leave the subject out with --participant-label",
                )

    def plan(self) -> tuple[list[Job], list[Exclusion]]:
        omitted = []
        for stage in self.study.at("participant"):
            if not stage.wanted(self.values) or self._shunned(stage):
                continue
            try:
                self.jobs[stage.name] = self._job(stage)
            except LackingError as lack:
                omitted.append(Exclusion(self.subject, str(lack.found), stage.name))
        return list(self.jobs.values()), omitted

    def _shunned(self, stage: Stage) -> bool:
        """Tell whether the subject has what makes the stage unnecessary."""
        return any(self.raw[n[1:]] is not None for n in stage.given if n.startswith("!"))

    def _job(self, stage: Stage) -> Job:
        for need in (n for n in stage.given if not n.startswith("!")):
            roles = need.split("|")
            if all(self.raw[role] is None for role in roles):
                what = self.study.raw[roles[0]].what
                raise LackingError("an image is missing", found=f"no {what}")
        inputs = {name: self._input(source) for name, source in stage.sources.items()}
        params = {name: self._value(where) for name, where in stage.params.items()}
        recipes = {job.id: job.recipe for job in self.jobs.values()}
        return make_job(self.study, stage, self.subject, inputs, params, recipes)

    def _input(self, source: Source) -> Input:
        if source.origin == "raw":
            found = self.raw[source.role]
            if found is not None:
                return InputFile(str(found.path), found.uri)
            if source.optional:
                return None
            what = self.study.raw[source.role].what
            raise LackingError("an image is missing", found=f"no {what}")
        return taken(source, self.values, self.jobs)

    def _value(self, where: str) -> Any:
        optional = where.endswith("?")
        origin, _, name = where.rstrip("?").partition(".")
        if origin == "subject":
            return self.subject
        if origin == "participant":
            column = self.study.columns[name]
            key, table = f"columns.{name}", self.dataset.participants
            column.header_of(table, self.values[key], key)
            value: Any = column.of(table, self.subject, self.values[key])
            lack = InputError(
                f"participants.tsv does not say the {column.what}",
                where=f"sub-{self.subject}",
                do=f"add a column {column.names[0]}, or name yours with --column {name}=HEADER",
            )
        elif origin == "raw":
            role, mark, key = _parted(name)
            value = self._entity(role, key) if mark == "@" else self._sidecar_value(role, key)
            lack = InputError(
                f"the {'name' if mark == '@' else 'sidecar'} of the "
                f"{self.study.raw[role].what} does not say {key}",
                where=f"sub-{self.subject}",
                do=f"add {key} to its {'name' if mark == '@' else 'JSON file'}",
            )
        else:
            return self.values[where]
        if value is None and not optional:
            raise lack
        return value

    def _entity(self, role: str, key: str) -> str | None:
        found = self.raw[role]
        if found is None or found.file is None:
            return None
        return found.file.name.entities.get(key)

    def _sidecar_value(self, role: str, key: str) -> Any:
        found = self.raw[role]
        if found is None or found.index is None or found.file is None:
            return None
        return found.index.sidecar(found.file).get(key)


def _parted(name: str) -> tuple[str, str, str]:
    """Part ``"pet:Units"`` or ``"ablation@ses"`` into role, mark and key."""
    mark = "@" if "@" in name else ":"
    role, _, key = name.partition(mark)
    return role, mark, key


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
