"""How long a run will still take, from how long its steps took for others in the same folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

from falx.engine.people import planned_stages
from falx.engine.provenance import read_records, record_path

__all__ = ["seconds_left", "usual_seconds"]


def usual_seconds(out: Path) -> dict[str, float]:
    """Return the median time of each stage over the people who have gone through it, seconds."""
    found: dict[str, list[float]] = {}
    for record in read_records(out):
        found.setdefault(record.stage, []).append(record.seconds)
    return {stage: median(seconds) for stage, seconds in found.items()}


def seconds_left(
    out: Path, subjects: Iterable[str], usual: Mapping[str, float], *, at_a_time: float
) -> float | None:
    """Return the expected rest of a run of the participant level, seconds.

    Parameters
    ----------
    subjects
        Labels of its people; empty: everybody.
    usual
        Of :func:`usual_seconds`.
    at_a_time
        Steps that run side by side: what the steps that have ended took in all, over the time
        that has passed.

    Returns
    -------
    float or None
        ``None`` where a step is to come that nobody has gone through yet.
    """
    chosen = set(subjects)
    rest = 0.0
    for label, stages in planned_stages(out).items():
        if chosen and label not in chosen:
            continue
        for stage in stages:
            if record_path(out, f"sub-{label}/{stage}").exists():
                continue
            if stage not in usual:
                return None
            rest += usual[stage]
    return rest / max(at_a_time, 1.0)
