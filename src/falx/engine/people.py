"""Everybody is accounted for: who has gone through all stages, who has not, and why.

Before the first job it is written down what every person is to get. Who has not got all of it
failed, was left out, or was ended without a word; nobody drops out by a record that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from falx.bids.dataset import Dataset
from falx.core.files import read_table, write_table, write_text
from falx.core.study import Study
from falx.engine.digest import read_sealed, seal
from falx.engine.failures import failure_of
from falx.engine.folder import keep_text
from falx.engine.job import Job, files_of, unit_of
from falx.engine.provenance import record_path
from falx.report.index_page import INDEX, index_page

if TYPE_CHECKING:
    from falx.engine.plan import Plan

__all__ = [
    "EXCLUSIONS", "STATUS", "Standing", "excluded_people", "note_people", "write_index",
    "write_people",
]  # fmt: skip

EXCLUSIONS = "exclusions.tsv"
STATUS = "participants_status.tsv"
_NOTED = ".falx/people.json"


class Standing(NamedTuple):
    """How far one person has come.

    Parameters
    ----------
    status
        ``"finished"``, ``"excluded"`` before any stage, ``"failed"``, ``"not finished"`` for a
        step that was never begun or ended without a word, ``"not run"``, or ``"not known"`` where
        the note of what was planned is lost.
    stage
        The first stage that is not done.
    reason
        One sentence; empty if all is done.
    """

    status: str
    stage: str = ""
    reason: str = ""


def note_people(out: Path, plan: Plan) -> None:
    """Remember what each person of this run is to get; what was noted of others stays."""
    noted: dict[str, dict[str, Any]] = {**_noted(out), **{label: {} for label in plan.images}}
    for job in plan.jobs:
        noted[job.unit.removeprefix("sub-")].setdefault("stages", []).append(job.stage)
    for omission in plan.omitted:
        noted[omission.subject].setdefault("omitted", {})[omission.stage] = omission.reason
    for exclusion in plan.excluded:
        noted[exclusion.subject] = {"excluded": exclusion.reason}
    write_text(out / _NOTED, seal({"people": noted}), durable=True)


def excluded_people(out: Path) -> dict[str, str]:
    """Return those who were left out before any stage, with the reason."""
    return {k: str(v["excluded"]) for k, v in _noted(out).items() if "excluded" in v}


def write_people(study: Study, dataset: Dataset, out: Path, group: Iterable[Job] = ()) -> None:
    """Write what happened to everybody, and a table of those who are left out.

    Parameters
    ----------
    dataset
        Everybody who has a folder or a row of ``participants.tsv``; those who have left it since
        are added.
    group
        Jobs of the group level, once they are planned: who is in one is not left out of it,
        even where a later step of his own failed.
    """
    noted, jobs = _noted(out), list(group)
    here = set(dataset.index.subjects)
    everybody = sorted(here | noted.keys() | dataset.participants.rows.keys())
    gathered = _gathered(study, jobs)
    rows, left_out = [], []
    for label in everybody:
        now = _standing(study, out, label, noted.get(label), gone=label not in here)
        lacks = [origin for origin, labels in gathered.items() if label not in labels]
        place = _place(lacks, gathered) if jobs else "n/a"
        rows.append((f"sub-{label}", now.status, place, now.stage or "n/a", now.reason or "n/a"))
        reason = now.reason or _lack_reason(lacks, noted.get(label, {}))
        if (reason and lacks) if jobs else now.reason:
            left_out.append((f"sub-{label}", reason))
    write_table(out / STATUS, ("participant_id", "status", "group", "stage", "reason"), rows)
    write_table(out / EXCLUSIONS, ("participant_id", "reason"), left_out)


def write_index(out: Path) -> tuple[str, ...]:
    """Write the page that links to everybody's pages; return its name if there is anybody."""
    if not (out / STATUS).is_file():
        return ()
    pages = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.html"))
    shown = [page for page in pages if page != INDEX and not page.startswith(".")]
    people = read_table(out / STATUS)
    rows = [dict(zip(people.header, row, strict=True)) for row in people.rows]
    keep_text(out / INDEX, index_page(rows, shown))
    return (INDEX,)


def _standing(
    study: Study, out: Path, label: str, noted: Mapping[str, Any] | None, *, gone: bool
) -> Standing:
    if gone:
        known = "is no longer in the dataset"
        listed = "has a row in participants.tsv, but no folder of images"
        return Standing("excluded", "", f"sub-{label} {known if noted is not None else listed}")
    if noted is not None and "excluded" in noted:
        return Standing("excluded", "", str(noted["excluded"]))
    unit = unit_of(label)
    names = [stage.name for stage in study.at("participant")]
    done = [name for name in names if record_path(out, f"{unit}/{name}").exists()]
    planned = done if noted is None else noted.get("stages", [])
    missing = [name for name in names if name in planned and name not in done]
    for name in names:
        if name not in done and (reason := failure_of(out, f"{unit}/{name}")):
            return Standing("failed", name, reason)
    if missing:
        reason = f"{unit}: the step {missing[0]} was not run to its end; run the participant level"
        return Standing("not finished", missing[0], f"{reason} again.")
    if not done:
        return Standing("not run", "", "was not run")
    if noted is None and len(done) < len(names):
        reason = f"{unit}: the note of what was planned is lost; run the participant level again."
        return Standing("not known", "", reason)
    return Standing("finished")


def _gathered(study: Study, jobs: Iterable[Job]) -> dict[str, set[str]]:
    """Labels of the people whose outputs the group level takes, by the stage that wrote them."""
    found: dict[str, set[str]] = {}
    for job in jobs:
        for name, source in study.stage(job.stage).sources.items():
            if source.gather and job.inputs[name]:
                found.setdefault(source.origin, set()).update(files_of(job.inputs[name]))
    return found


def _place(lacks: list[str], gathered: Mapping[str, set[str]]) -> str:
    if not lacks:
        return "included"
    return "left out" if len(lacks) == len(gathered) else f"in part: no {', '.join(lacks)}"


def _lack_reason(lacks: list[str], noted: Mapping[str, Any]) -> str:
    reasons = [noted.get("omitted", {}).get(origin, f"no finished {origin}") for origin in lacks]
    return "; ".join(dict.fromkeys(reasons))


def _noted(out: Path) -> dict[str, dict[str, Any]]:
    """Return what is noted of each person; nothing if the note is lost or damaged."""
    return dict((read_sealed(out / _NOTED) or {}).get("people", {}))
