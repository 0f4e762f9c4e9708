"""Every statistic of Mo et al. 2025, recomputed from its 30 published patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from falx.data.mo2025 import MO2025_SOURCE, load_patients
from falx.report.page import Notice, Section, render
from falx.studies.outcome.cohort import published_cohort
from falx.studies.outcome.fields import Field, page_table
from falx.studies.outcome.outcome import OutcomeSettings, study_outcome
from falx.studies.outcome.page import outcome_sections
from falx.studies.reproduce.asymmetry import asymmetry_items
from falx.studies.reproduce.demography import demography_items
from falx.studies.reproduce.increment import increment_items, reading_items
from falx.studies.reproduce.items import (
    CONTRADICTED,
    CONVENTION,
    EXTENSION,
    REPRODUCED,
    ROUNDING,
    UNAVAILABLE,
    Item,
)
from falx.studies.reproduce.rate import rate_items
from falx.studies.reproduce.volumes import volume_items

__all__ = ["FIELDS", "as_page", "as_text", "reproduce_mo2025"]

FLAGS = {REPRODUCED: "ok", ROUNDING: "ok", CONVENTION: "warn", CONTRADICTED: "fail",
         UNAVAILABLE: "", EXTENSION: "warn"}  # fmt: skip

FIELDS: Sequence[Field[Item]] = (
    Field("number", lambda i: i.number, "#", lambda i: str(i.number)),
    Field("section", lambda i: i.section),
    Field("name", lambda i: i.name, "statistic"),
    Field("published", lambda i: i.published, "published"),
    Field("as_published", lambda i: i.as_published, "as published, recomputed"),
    Field("corrected", lambda i: i.corrected, "corrected"),
    Field("verdict", lambda i: i.verdict, "verdict"),
    Field("reason", lambda i: i.reason, "reason"),
)


def reproduce_mo2025(
    *, n_resamples: int = 2000, n_iterations: int = 1000, seed: int = 2025
) -> tuple[Item, ...]:
    """Recompute every item; only the corrected column uses randomness, from `seed`."""
    patients = load_patients()
    streams = [np.random.default_rng([seed, part]) for part in (1, 2, 3)]
    return (
        *demography_items(patients),
        *asymmetry_items(patients),
        *rate_items(patients, streams[0], n_resamples),
        *volume_items(patients, streams[1], n_iterations),
        *increment_items(patients, streams[2], n_resamples),
        *reading_items(patients),
    )


def summary(items: Sequence[Item]) -> str:
    """Return how many items got which verdict, in one line."""
    counts = Counter(item.verdict for item in items)
    return "; ".join(f"{counts[v]} {v}" for v in FLAGS if counts[v])


def as_text(items: Sequence[Item], *, published_only: bool = False) -> str:
    """Return the items as readable text.

    Parameters
    ----------
    items
        From :func:`reproduce_mo2025`.
    published_only
        Leave out the corrected values.
    """
    lines = [f"Mo et al. 2025, recomputed from {MO2025_SOURCE}", summary(items), ""]
    for item in items:
        lines += [
            f"{item.number:2d}  {item.name}",
            f"      published     {item.published}",
            f"      as published  {item.as_published}",
            *([] if published_only else [f"      corrected     {item.corrected}"]),
            f"      verdict       {item.verdict}: {item.reason}",
        ]
    return "\n".join(lines)


def as_page(items: Sequence[Item], settings: OutcomeSettings | None = None) -> str:
    """Return the page: the items, then the paper's figures drawn anew."""
    sections = [Section("Verdicts", [Notice([summary(items)], "note")])]
    for name in dict.fromkeys(item.section for item in items):
        chosen = [item for item in items if item.section == name]
        flags = [FLAGS[item.verdict] for item in chosen]
        table = replace(page_table(FIELDS, chosen), flags=flags)
        sections.append(Section(f"Numbers: {name}", [table]))
    study = study_outcome(published_cohort(), settings)
    return render(
        "Mo et al. 2025, every published number recomputed",
        [*sections, *outcome_sections(study)],
        subtitle=MO2025_SOURCE,
    )
