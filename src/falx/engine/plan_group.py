"""The group level: it reads what the participant level has finished, never raw images."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from falx.bids.dataset import Dataset
from falx.core.errors import InputError
from falx.core.settings import flatten
from falx.core.stage import Source, Stage
from falx.core.study import Images, Study
from falx.engine.digest import Values
from falx.engine.failures import FAILURES
from falx.engine.job import Input, InputFile, unit_of
from falx.engine.people import EXCLUSIONS, STATUS, excluded_people
from falx.engine.plan import Exclusion, LackingError, Plan, Unit
from falx.engine.provenance import Record, read_record, record_path

__all__ = ["plan_group"]


TABLES = {"exclusions": EXCLUSIONS, "failures": FAILURES, "people": STATUS}
"""Tables that the engine keeps, by the name that stages give them."""


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


class _Group(Unit):
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
