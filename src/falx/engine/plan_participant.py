"""The participant level: every stage for every subject that has what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from falx.bids.dataset import Dataset
from falx.bids.index import Index
from falx.bids.query import Found
from falx.core.errors import FalxError, InputError
from falx.core.settings import flatten
from falx.core.stage import Source, Stage
from falx.core.study import Study
from falx.engine.digest import Values
from falx.engine.job import Input, InputFile, Job
from falx.engine.plan import Exclusion, LackingError, Plan, Unit

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


class _Person(Unit):
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
                    do="add the image, or leave the subject out with --participant-label",
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
            what = self.study.raw[roles[0]].what
            raise LackingError("an image is missing", found=f"no {what}")

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


def _names(index: Index, subject: str) -> str:
    names = [file.path.rpartition("/")[2] for file in index.files(subject)]
    images = [name for name in names if not name.endswith(".json")]
    return ", ".join(images[:6]) + (" …" if len(images) > 6 else "") or "no images"
