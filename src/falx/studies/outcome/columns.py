"""The columns of ``participants.tsv`` that the outcome study reads, each declared once.

The configuration section ``columns``, the command line, the participant level and the group
level take names, usual headers and accepted entries from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from falx.core.participants import EXCLUDE
from falx.core.settings import check_settings
from falx.core.study import column

__all__ = ["NUMBERS", "Columns"]

YES_NO = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0}


@dataclass(frozen=True)
class Columns:
    """Headers of ``participants.tsv``; the usual ones need no entry."""

    outcome: str | None = column(
        "seizure outcome, an ILAE class or free or not",
        "outcome", "ilae", "ilae_outcome", "seizure_free", "sf",
    )  # fmt: skip
    side: str | None = column(
        "side of the epileptic focus",
        "side", "focus_side", "hemisphere", "lateralisation", "laterality",
        values={"l": "left", "lh": "left", "r": "right", "rh": "right"},
    )  # fmt: skip
    sex: str | None = column(
        "sex", "sex", "gender", kind="number",
        values={"f": 0.0, "female": 0.0, "m": 1.0, "male": 1.0},
    )  # fmt: skip
    age: str | None = column(
        "age at surgery", "age", "age_at_surgery", "age_surgery", kind="number"
    )
    onset: str | None = column(
        "age at onset of epilepsy", "age_onset", "onset_age", "age_at_onset", "onset",
        kind="number",
    )  # fmt: skip
    duration: str | None = column(
        "duration of epilepsy", "duration", "epilepsy_duration", "duration_years", kind="number"
    )
    seeg: str | None = column(
        "implantation of depth electrodes", "seeg", "ieeg", kind="number", values=YES_NO
    )

    follow_up: str | None = column(
        "follow-up after surgery in months",
        "follow_up_months", "follow_up", "followup_months", "followup", "fu_months",
        kind="number",
    )  # fmt: skip
    exclude: str | None = column("exclusion from the group: yes, no, or the reason", *EXCLUDE)

    def __post_init__(self) -> None:
        check_settings(self)


NUMBERS: Mapping[str, str] = {
    "side": "left_side",
    "sex": "sex",
    "age": "age_years",
    "onset": "onset_years",
    "duration": "duration_years",
    "seeg": "seeg",
    "follow_up": "follow_up_months",
}
"""Column to the name of its number in a cohort; a side counts as 1 where it is the left."""
