"""Plain names of the study's numbers, for figures and tables."""

from __future__ import annotations

from collections.abc import Mapping

from falx.studies.signature.modalities import MODALITIES

__all__ = ["LABELS", "chance_text", "counted", "label", "p_text", "shown_in"]

LABELS: Mapping[str, str] = {
    "sex": "sex (male)",
    "left_side": "focus on the left",
    "seeg": "SEEG implantation",
    "age_years": "age at surgery (years)",
    "onset_years": "age at onset (years)",
    "duration_years": "duration of epilepsy (years)",
    "follow_up_months": "follow-up (months)",
    "ablation_voxels": "ablation mask (voxels)",
    "ablation_mm3": "ablation volume (mm³)",
    "ablation_per_tiv": "ablation volume / intracranial volume",
    "ablation_per_volume": "ablation volume / volume of hippocampus and amygdala",
    "ablated_share_hippocampus": "ablated share of the hippocampus",
    **{f"ai_{modality.key}": f"asymmetry of {modality.label}" for modality in MODALITIES},
    "ai_pet_z5": "asymmetry of PET (z + 5 scale)",
    "rate_hippocampus": "ablative rate of the hippocampus",
    "rate_hippocampus_published": "ablative rate of the hippocampus (published threshold)",
    "rate_hippocampus_own": "ablative rate of the hippocampus (cohort's own threshold)",
    "rate_amygdala": "ablative rate of the amygdala",
    "rate_mesial_temporal": "ablative rate of hippocampus and amygdala",
    "hippocampus_mm3": "hippocampus volume (mm³)",
    "hippocampus_difference_mm3": "hippocampus, ipsilateral − contralateral (mm³)",
    "amygdala_mm3": "amygdala volume (mm³)",
    "amygdala_difference_mm3": "amygdala, ipsilateral − contralateral (mm³)",
    "both_mm3": "both volumes (mm³)",
    "both_difference_mm3": "both differences (mm³)",
    "tiv_mm3": "intracranial volume (mm³)",
}


def label(name: str) -> str:
    """Return the plain name; an unknown number keeps its own.

    Examples
    --------
    >>> label("seeg"), label("my_score")
    ('SEEG implantation', 'my score')
    """
    return LABELS.get(name, name.replace("_", " "))


def counted(n: int, what: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "patient"), counted(3, "patient")
    ('1 patient', '3 patients')
    """
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def p_text(p: float) -> str:
    """Return a P value as text.

    Examples
    --------
    >>> p_text(0.0151), p_text(0.0004)
    ('P = 0.015', 'P < 0.001')
    """
    return "P < 0.001" if p < 0.001 else f"P = {p:.3f}" if p < 0.1 else f"P = {p:.2f}"


def chance_text(p: float) -> str:
    """Return a chance in whole per cent; none is certain.

    Examples
    --------
    >>> chance_text(0.004), chance_text(0.58), chance_text(0.997)
    ('<1 %', '58 %', '>99 %')
    """
    shown = round(100 * p)
    return "<1 %" if shown < 1 else ">99 %" if shown > 99 else f"{shown} %"


def shown_in(name: str) -> tuple[float, str]:
    """Return by what a number is multiplied on a page, and its unit then.

    Volumes, years and yes/no numbers have their unit in :func:`label`.

    Examples
    --------
    >>> shown_in("rate_amygdala"), shown_in("tiv_mm3")
    ((100.0, '%'), (1.0, ''))
    """
    shares = ("ai_", "rate_", "ablated_share_", "ablation_per_")
    return (100.0, "%") if name.startswith(shares) else (1.0, "")
