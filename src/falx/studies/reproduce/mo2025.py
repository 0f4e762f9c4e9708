"""Every statistic of Mo et al. 2025, recomputed from its 30 published patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from falx.data.mo2025 import MO2025_SOURCE, load_patients
from falx.report.page import render
from falx.studies.outcome.cohort import published_cohort
from falx.studies.outcome.outcome import OutcomeSettings, study_outcome
from falx.studies.outcome.page import outcome_sections
from falx.studies.reproduce.answer import item_sections, items_as_text
from falx.studies.reproduce.asymmetry import asymmetry_items
from falx.studies.reproduce.comparison import Item
from falx.studies.reproduce.demography import demography_items
from falx.studies.reproduce.increment import increment_items, reading_items
from falx.studies.reproduce.rate import rate_items
from falx.studies.reproduce.volumes import volume_items

__all__ = ["as_page", "as_text", "reproduce_mo2025"]


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


def as_text(items: Sequence[Item], *, published_only: bool = False) -> str:
    """Return the items as readable text; `published_only` leaves out the corrected values."""
    title = f"Mo et al. 2025, recomputed from {MO2025_SOURCE}"
    return items_as_text(title, items, published_only=published_only)


def as_page(items: Sequence[Item], settings: OutcomeSettings | None = None) -> str:
    """Return the page: the items, then the paper's figures drawn anew."""
    study = study_outcome(published_cohort(), settings)
    return render(
        "Mo et al. 2025, every published number recomputed",
        [*item_sections(items), *outcome_sections(study)],
        subtitle=MO2025_SOURCE,
    )
