"""A study on a dataset, from the first check to the last line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falx import __version__
from falx.bids.dataset import Dataset
from falx.bids.query import taken
from falx.core.errors import check_extra_library, check_option, collect_notices
from falx.core.files import remove_parts
from falx.core.settings import to_toml
from falx.core.study import Study
from falx.engine.command import mark_stale
from falx.engine.digest import DigestCache
from falx.engine.failures import rescued, write_failures
from falx.engine.folder import check_folder, check_space, keep_text, prepare_folder
from falx.engine.job import Job
from falx.engine.lock import hold, lease_of
from falx.engine.manifest import OWN_FILES, close_manifest, open_manifest
from falx.engine.methods import write_methods
from falx.engine.orders import Resources, run_here
from falx.engine.people import note_people, write_index, write_people
from falx.engine.plan import Exclusion, Plan, plan_group, plan_participants
from falx.engine.progress import Progress, Step, Watcher
from falx.engine.provenance import discard, read_record, record_path
from falx.engine.runner import Finished, run_sequentially
from falx.engine.snakemake import cancel_left, check_installed, run_with_snakemake
from falx.engine.state import outdated

__all__ = ["Outcome", "Request", "run_study"]

OTHERS = {
    "participant": ("configuration-group.toml", "failures.tsv"),
    "group": ("configuration.toml",),
}
"""Own files that a level does not write."""


def _ignore(_: Step) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Parameters
    ----------
    level
        ``"participant"`` or ``"group"``.
    subjects
        Labels; empty: all.
    configuration
        Of the study's configuration class, resolved.
    preset
        Name of the preset it was made with, for the record.
    resources
        What the run may use; ``None`` runs everything in this process.
    dry_run
        Only say what would run, and why.
    watch
        Called with every step that has ended.
    explain
        Also say why each step runs.
    """

    study: Study
    dataset: Dataset
    out: Path
    level: str
    configuration: Any
    subjects: tuple[str, ...] = ()
    preset: str = ""
    resources: Resources | None = None
    dry_run: bool = False
    watch: Watcher = _ignore
    explain: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    ran
        Number of jobs that ran and succeeded.
    failed
        Jobs that failed, with reason and log.
    excluded
        Subjects that could not be studied, with the reason.
    show
        Files to look at.
    """

    ran: int
    failed: tuple[Finished, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    show: tuple[Path, ...] = ()

    @property
    def code(self) -> int:
        """Exit code: 1 if any subject failed or was left out."""
        return 1 if self.failed or self.excluded else 0


def run_study(request: Request, say: Callable[[str], None]) -> Outcome:
    """Run one level of a study.

    Parameters
    ----------
    say
        Called with every line for the user.

    Raises
    ------
    InputError
        If the input or the output folder as a whole cannot be used.
    """
    out, study, dataset = request.out.absolute(), request.study, request.dataset
    check_option("level", request.level, ["participant", "group"])
    for library, (extra, does) in study.libraries.items():
        check_extra_library(library, extra=extra, does=does)
    if request.resources is not None:
        check_installed(request.resources)
    with collect_notices() as notices:
        check_folder(out, dataset.index.root, study.name)
    for notice in notices:
        say(f"notice: {notice}")
    if request.dry_run:
        plan = _plan(request, out, say)
        reasons = outdated(plan.jobs, out, DigestCache(out / ".falx" / "digests.json"))
        for job in plan.jobs:
            if job.id in reasons:
                say(f"{job.title}: {reasons[job.id]}")
        say(f"{len(reasons)} of {len(plan.jobs)} steps would run")
        return Outcome(0, excluded=plan.excluded)
    dataset.index.choose(request.subjects)  # a label that is not there leaves no folder
    prepare_folder(out, study.name, dataset)
    with hold(out) as lock:
        cancel_left(out)
        open_manifest(out)
        plan, finished = _hold_level(request, out, lock, say)
    failed = tuple(result for result in finished if result.failure is not None)
    show = _to_show(study, plan, finished, out)
    return Outcome(len(finished) - len(failed), failed, plan.excluded, show)


def _hold_level(
    request: Request, out: Path, lock: Path, say: Callable[[str], None]
) -> tuple[Plan, list[Finished]]:
    """Plan and run in the folder that is held, and leave it told of, however that ends."""
    study, dataset, work = request.study, request.dataset, out / ".falx" / "work"
    group, whole = request.level == "group", False
    shutil.rmtree(work, ignore_errors=True)
    try:
        _write_configuration(request, out)
        write_people(study, dataset, out)
        if group:
            write_failures(out, {})
        plan = _plan(request, out, say)
        if group:
            write_people(study, dataset, out, plan.jobs)
        else:
            note_people(out, plan)
            _remove_left_over(plan, out, say)
        finished = _run_rounds(request, plan, out, lock, say)
        whole = all(result.failure is None for result in finished)
        for sentence in _told(finished, out) if group else mark_stale(out):
            say(f"notice: {sentence}")
        write_methods(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if not whole:  # what was killed may have been writing
            remove_parts(out)
        if not group:
            write_people(study, dataset, out)
        write_index(out)
        close_manifest(out, [name for name in OWN_FILES if name not in OTHERS[request.level]])
    return plan, finished


def _told(finished: Sequence[Finished], out: Path) -> Iterator[str]:
    """Yield what the steps of a group level had to say, which concerns everybody."""
    for result in finished:
        record = None if result.failure else read_record(record_path(out, result.job))
        yield from record.notices if record is not None else ()


def _plan(request: Request, out: Path, say: Callable[[str], None]) -> Plan:
    """Plan, and say who and what is left out, and what the design of the study lacks."""
    study, dataset, configuration = request.study, request.dataset, request.configuration
    if request.level == "group":
        plan = plan_group(study, dataset, configuration, out)
    else:
        subjects = dataset.index.choose(request.subjects)
        plan = plan_participants(study, dataset, configuration, subjects)
    for exclusion in plan.excluded:
        say(f"left out: {exclusion.reason}")
    for omission in plan.omitted:
        who = f"sub-{omission.subject}: " if omission.subject else ""
        say(f"{who}{omission.reason}, so no {omission.stage}")
    for sentence in taken(study.raw, plan.images):
        say(sentence)
    if study.preflight is not None:
        for sentence in study.preflight(dataset.participants, plan.images, configuration):
            say(f"check: {sentence}")
    return plan


def _remove_left_over(plan: Plan, out: Path, say: Callable[[str], None]) -> None:
    """Delete outputs of stages that a subject no longer gets: its image is gone."""
    for omission in plan.omitted:
        job_id = f"sub-{omission.subject}/{omission.stage}"
        if record_path(out, job_id).exists():
            discard(out, job_id)
            say(f"sub-{omission.subject}: outputs of {omission.stage} removed, they are outdated")


def _run_rounds(
    request: Request, plan: Plan, out: Path, lock: Path, say: Callable[[str], None]
) -> list[Finished]:
    """Run what is outdated until nothing is.

    A second round is rare: a lost output that came back with another content. At the group
    level, what can do without a failed step runs after it.
    """
    digests = DigestCache(out / ".falx" / "digests.json")
    finished: list[Finished] = []
    broken: set[str] = set()
    for left in reversed(range(len(request.study.stages))):
        reasons = outdated(plan.jobs, out, digests)
        digests.save()
        todo = []
        for job in plan.jobs:
            if job.id in broken or job.needs & broken:
                broken.add(job.id)
            elif job.id in reasons:
                todo.append(job)
        if not todo:
            if not finished:
                say(f"everything is up to date ({len(plan.jobs)} steps)")
            break
        check_space(out, todo)
        say(f"{len(todo)} of {len(plan.jobs)} steps to do")
        if request.explain:
            for job in todo:
                say(f"  {job.title}: {reasons.get(job.id, 'not done yet')}")
        ended = _run(request, todo, out, lock, Progress(todo, out, say, request.watch))
        mending = _mending(todo, ended, out) if left else set()
        finished += [result for result in ended if result.job not in mending]
        failures = {r.job: r.failure for r in finished if r.failure is not None}
        broken |= failures.keys()
        if failures and request.level == "group":
            over = {result.job for result in finished}
            blocked = [job for job in todo if job.id not in over]
            if able := rescued(request.study, blocked, failures):
                write_failures(out, failures)
                finished += _run(request, able, out, lock, Progress(able, out, say, request.watch))
        if failures and not mending:
            break
    return finished


def _mending(jobs: list[Job], ended: list[Finished], out: Path) -> set[str]:
    """Jobs that failed since an input was rotten: its record is gone, so it is made again."""
    failed = {result.job for result in ended if result.failure is not None}
    return {
        job.id
        for job in jobs
        if job.id in failed and any(not record_path(out, need).exists() for need in job.needs)
    }


def _run(
    request: Request, jobs: list[Job], out: Path, lock: Path, progress: Progress
) -> list[Finished]:
    if request.resources is None:
        return run_sequentially(jobs, out, progress=progress, lease=lease_of(out))
    runner = run_with_snakemake if request.resources.elsewhere else run_here
    return runner(jobs, out, lock=lock, resources=request.resources, progress=progress)


def _write_configuration(request: Request, out: Path) -> None:
    preset = f", preset {request.preset}" if request.preset else ""
    heading = (
        f"Configuration of falx {request.study.name}, {request.level} level{preset}\n"
        f"Falx {__version__}; use again with --config"
    )
    name = "configuration.toml" if request.level == "participant" else "configuration-group.toml"
    text = to_toml(request.configuration, heading=heading)
    keep_text(out / name, text)


def _to_show(study: Study, plan: Plan, finished: list[Finished], out: Path) -> tuple[Path, ...]:
    """Pages that are of this run or still hold: next to a failure, another may be outdated."""
    broken = {end.job.partition("/")[0] for end in finished if end.failure is not None}
    made = {end.job for end in finished if end.failure is None}
    stage, _, role = study.show.get(plan.level, "").partition(".")
    return tuple(
        out / job.outputs[role]
        for job in plan.jobs
        if job.stage == stage
        and (job.unit not in broken or job.id in made)
        and read_record(out / job.record) is not None
    )
