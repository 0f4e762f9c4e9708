"""Who is left out, and why: kept between runs, so that the group level can say it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from falx.core.files import write_table, write_text
from falx.core.study import Study
from falx.engine.job import unit_of
from falx.engine.runner import failure_of

__all__ = ["EXCLUSIONS", "excluded_subjects", "note_excluded", "write_exclusions"]

EXCLUSIONS = "exclusions.tsv"
_NOTED = ".falx/excluded.json"


def note_excluded(out: Path, planned: Iterable[str], excluded: Mapping[str, str]) -> None:
    """Remember which of the planned subjects cannot be studied, and why.

    Parameters
    ----------
    planned
        Labels of all subjects of this run; what was noted of others stays.
    excluded
        Label to reason.
    """
    kept = {k: v for k, v in excluded_subjects(out).items() if k not in set(planned)}
    write_text(out / _NOTED, json.dumps({**kept, **excluded}, ensure_ascii=False))


def excluded_subjects(out: Path) -> dict[str, str]:
    """Return the subjects that were left out before any stage, with the reason."""
    try:
        content = json.loads((out / _NOTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(label): str(reason) for label, reason in content.items()}


def write_exclusions(study: Study, subjects: Iterable[str], out: Path) -> None:
    """Write ``exclusions.tsv``: every subject that has not gone through all its stages."""
    noted = excluded_subjects(out)
    reasons = {s: noted.get(s) or _unfinished(study, out, s) for s in subjects}
    rows = [(f"sub-{subject}", reason) for subject, reason in reasons.items() if reason]
    write_table(out / EXCLUSIONS, ("participant_id", "reason"), rows)


def _unfinished(study: Study, out: Path, subject: str) -> str:
    unit = unit_of(subject)
    names = [stage.name for stage in study.at("participant")]
    for name in names:
        if reason := failure_of(out, f"{unit}/{name}"):
            return reason
    if any((out / "provenance" / unit / f"{name}.json").exists() for name in names):
        return ""
    return "was not run"
