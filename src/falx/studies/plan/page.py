"""The page of a laser plan: what is suggested, how sure it is, and what was left aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.report.live_page import middle_mm
from falx.report.page import Details, Figure, Notice, Section, Table, Text
from falx.report.slices import Layer, slices
from falx.studies.plan.records import OptionRecord, PlanDocument

__all__ = [
    "NEAR_MM",
    "made_words",
    "plan_picture",
    "plan_sections",
    "plan_words",
    "score_rows",
]

SHOWN_OPTIONS = 12
NEAR_MM = 40.0
"""What the closer picture shows on each side of the burn."""

OBSERVED_RATES = (0.247, 0.798)
"""Hippocampal ablative rates of the 30 patients of Mo 2025."""


def plan_words(document: PlanDocument) -> str:
    """Return the plan in one paragraph, for the conference.

    Parameters
    ----------
    document
        A plan file's content.
    """
    option = document.chosen
    if option is None:
        return f"No plan is suggested: {document.explanation}"
    plan, hippocampus = option.plan, option.hippocampus
    burns = " and ".join(
        f"one burn of {b.radius_mm:g} mm radius over {b.pull_back_mm:g} mm of pull-back"
        + (f" from {b.tip_offset_mm:g} mm before the target" if b.tip_offset_mm else "")
        for b in plan.burns
    )
    text = (
        f"From the {document.side} side, enter at {_point(plan.entry_ras_mm)} and go "
        f"{option.length_mm:.0f} mm to the target at {_point(plan.target_ras_mm)}; {burns}. "
        f"This covers {_percent(hippocampus.rate)} of the signature in the hippocampus "
        f"({hippocampus.numerator_mm3:.0f} of {hippocampus.denominator_mm3:.0f} mm³) and "
        f"heats {option.outside_mm3:.0f} mm³ outside hippocampus and amygdala."
    )
    shaken = option.robustness
    if shaken:
        text += (
            f" With placement error the threshold is reached in {_percent(shaken.reaches)} of "
            "cases: a probability of geometry, not of seizure freedom."
        )
    return text


def made_words(document: PlanDocument) -> str:
    """Return what an ablation that was made took, in one sentence; empty without one."""
    made = document.made
    if made is None or made.hippocampus.rate is None:
        return ""
    return (
        f"The ablation that was made took {_percent(made.hippocampus.rate)} of the "
        f"signature in the hippocampus, and {made.outside_mm3:.0f} mm³ outside hippocampus "
        "and amygdala."
    )


def plan_sections(
    document: PlanDocument, *, t1w: Image, signature: Image, ablation: Image | None
) -> list[Section]:
    """Return the page's sections in reading order.

    Parameters
    ----------
    document
        A plan file's content.
    t1w, signature, ablation
        Native T1w space; the ablation is that of the suggested plan.
    """
    sections = [_result(document, t1w, signature, ablation), *_outcome(document)]
    if ablation is not None:
        sections.append(_pictures(document, t1w, signature, ablation))
    else:
        layer = Layer(signature, kind="mask", colour="orange", label="signature")
        picture = Figure(slices(t1w, (layer,), centre_mm=middle_mm(signature)),
                         "Signature; left is shown on the left.")  # fmt: skip
        sections.append(Section("Where the signature lies", (picture,)))
    if document.options:
        sections.append(_options(document))
    sections += [_limits(document)]
    return sections


def _result(
    document: PlanDocument, t1w: Image, signature: Image, ablation: Image | None
) -> Section:
    notices = [Notice(tuple(document.notices))]
    if document.explanation:
        notices.append(Notice((str(document.explanation),), level="fail"))
    blocks: list[Any] = [*notices, Text(plan_words(document))]
    if ablation is not None:
        near = plan_picture(document, t1w, signature, ablation, near_mm=NEAR_MM)
        blocks.append(
            Figure(near, "Signature (filled) and planned ablation (outline) in the middle of the "
                   "first burn; left is shown on the left.")
        )  # fmt: skip
    option = document.chosen
    if option is not None:
        blocks.append(_scores(option, document))
        rate = option.hippocampus.rate
        low, high = OBSERVED_RATES
        if rate is not None and not low <= rate <= high:
            range_text = f"{low:.3f} to {high:.3f}"
            blocks.append(
                Notice((f"The rate is outside the range of the 30 patients ({range_text}).",))
            )
    return Section("The plan", blocks)


def _outcome(document: PlanDocument) -> list[Section]:
    """Say what the cohort lets expect, and what an ablation that was made took."""
    sections: list[Section] = []
    if document.expected:
        heading = "Expected outcome if the ablation falls as planned"
        sections.append(Section(heading, (Text(" ".join(document.expected.sentences)),)))
    made = document.made
    if made:
        rows: list[tuple[str, str | None, str | None]] = [
            (f"ablative rate in the {name}", _percent(rate.rate),
             f"{rate.numerator_mm3:.0f} of {rate.denominator_mm3:.0f} mm³")
            for name, rate in (("hippocampus", made.hippocampus), ("amygdala", made.amygdala))
        ]  # fmt: skip
        rows += [
            ("ablated in all", f"{made.ablated_mm3:.0f} mm³", None),
            ("outside hippocampus and amygdala", f"{made.outside_mm3:.0f} mm³", None),
            ("in protected tissue", f"{made.protected_heated_mm3:.0f} mm³", None),
        ]
        expected = made.expected
        why = made.hippocampus.reason or "no outcome is predicted"
        said = " ".join(expected.sentences) if expected else why
        table = Table(("what", "value", "of the signature"), rows)
        said = f"{made_words(document)} {said}".strip()
        sections.append(Section("The ablation that was made", (table, Text(said))))
    return sections


def _scores(option: OptionRecord, document: PlanDocument) -> Table:
    return Table(("what", "value", "limit"), score_rows(option, document))


def score_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what a plan reaches and the limit beside it, one row each."""
    limits, goal = document.limits, document.goal
    return [
        ("ablative rate in the hippocampus", _percent(option.hippocampus.rate),
         f"at least {_percent(goal.wanted)}"),
        ("ablative rate in the amygdala", _percent(option.amygdala.rate), None),
        ("heated in all", f"{option.ablated_mm3:.0f} mm³", None),
        ("heated outside hippocampus and amygdala", f"{option.outside_mm3:.0f} mm³", "least"),
        ("track length", f"{option.length_mm:.1f} mm", f"at most {limits.max_length_mm:g}"),
        ("angle to the skull", f"{option.angle_deg:.1f}°",
         f"at most {limits.max_angle_deg:g}°"),
        ("clearance of the track", f"{option.clearance_mm:.1f} mm",
         f"at least {limits.min_clearance_mm:g}"),
        ("heat to protected tissue", f"{option.protected_distance_mm:.1f} mm",
         f"at least {limits.protect_margin_mm:g}"),
        ("risk along the track", f"{option.risk_mm:.1f} mm", None),
        ("threshold reached under placement error", _shaken(option, "reaches"),
         f"at least {_percent(goal.probability)}"),
        ("5th percentile of the rate", _shaken(option, "low_rate"), None),
        ("every limit kept under placement error", _shaken(option, "holds"), None),
        ("nothing touched under placement error", _shaken(option, "harmless"), None),
    ]  # fmt: skip


def plan_picture(
    document: PlanDocument,
    t1w: Image,
    signature: Image,
    ablation: Image,
    *,
    near_mm: float | None = None,
) -> bytes:
    """Three planes through the middle of the first burn, signature and ablation over them.

    With `near_mm` only so much on each side of it, several times larger.
    """
    layers = (
        Layer(signature, kind="mask", colour="orange", label="signature"),
        Layer(ablation, kind="contour", colour="cyan", label="planned ablation"),
    )
    centre = _middle(document)
    if near_mm is None:
        return slices(t1w, layers, centre_mm=centre)
    # What is cut off still sets black and white.
    low, high = np.percentile(t1w.data[t1w.data > 0], [2.0, 99.5])
    return slices(_around(t1w, centre, near_mm), layers, centre_mm=centre, spacing_mm=0.4,
                  window=(float(low), float(high)))  # fmt: skip


def _around(image: Image, centre: Sequence[float], near_mm: float) -> Image:
    middle = apply_affine(np.linalg.inv(image.affine), np.array(centre))
    reach = near_mm / image.grid.voxel_sizes_mm
    first = np.clip(np.floor(middle - reach).astype(int), 0, image.data.shape)
    last = np.clip(np.ceil(middle + reach).astype(int) + 1, 0, image.data.shape)
    affine = np.array(image.affine)
    affine[:3, 3] = apply_affine(affine, first)
    return Image(image.data[tuple(slice(a, b) for a, b in zip(first, last, strict=True))], affine)


def _middle(document: PlanDocument) -> tuple[float, ...]:
    plan = document.options[document.suggested or 0].plan
    entry, target = np.array(plan.entry_ras_mm), np.array(plan.target_ras_mm)
    burn = plan.burns[0]
    back = burn.tip_offset_mm + burn.pull_back_mm / 2
    place = target + back * (entry - target) / np.linalg.norm(entry - target)
    return tuple(float(v) for v in place)


def _pictures(document: PlanDocument, t1w: Image, signature: Image, ablation: Image) -> Section:
    return Section(
        "Where it lies",
        (
            Figure(plan_picture(document, t1w, signature, ablation),
                   "Signature (filled) and planned ablation (outline) in the head."),
            Figure(slices(t1w, (), centre_mm=_middle(document)),
                   "The same planes without overlay."),
        ),
        appendix=True,
    )  # fmt: skip


def _options(document: PlanDocument) -> Section:
    options, suggested = document.options, document.suggested
    step = max(1, len(options) // SHOWN_OPTIONS)
    shown = sorted({*range(0, len(options), step), *([] if suggested is None else [suggested])})
    rows, flags = [], []
    for n in shown:
        option = options[n]
        burns = ", ".join(f"{b.radius_mm:g} mm × {b.pull_back_mm:g} mm" for b in option.plan.burns)
        rows.append((burns, _percent(option.hippocampus.rate),
                     _percent(option.amygdala.rate), float(option.outside_mm3),
                     float(option.risk_mm), float(option.clearance_mm),
                     _shaken(option, "reaches")))  # fmt: skip
        flags.append("ok" if n == suggested else "")
    columns = ("burn", "hippocampus", "amygdala", "outside, mm³", "risk, mm", "clearance, mm",
               "reaches threshold")  # fmt: skip
    caption = (
        f"{len(shown)} of {len(options)} plans that no other beats in rate, collateral and risk."
    )
    return Section("Other plans", (Table(columns, rows, caption, flags),))


def _limits(document: PlanDocument) -> Section:
    blocks: list[Any] = [
        Text(
            "The heated tissue is a capsule around the fibre. Cerebrospinal fluid cools one side "
            "of a real ablation, so its shape differs; a rate is a first estimate."
        )
    ]
    if document.funnel:
        rows = [(name, f"{count:,}") for name, count in asdict(document.funnel).items()]
        blocks.append(Table(("pairs of entry and target", "count"), rows, "What removed them."))
    settings = [
        (f"{part}.{name}", str(value))
        for part in ("limits", "goal", "placement")
        for name, value in asdict(getattr(document, part)).items()
    ]
    blocks.append(Details("Settings", (Table(("setting", "value"), settings),)))
    return Section("Limits and settings", blocks)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _shaken(option: OptionRecord, name: str) -> str | None:
    """Return a share of the misplaced copies of a plan; none where it was not misplaced."""
    return None if option.robustness is None else _percent(getattr(option.robustness, name))


def _point(point: Sequence[float]) -> str:
    x, y, z = point
    across = f"{abs(x):.0f} mm {'left' if x < 0 else 'right'}"
    along = f"{abs(y):.0f} mm {'behind' if y < 0 else 'before'}"
    height = f"{abs(z):.0f} mm {'below' if z < 0 else 'above'}"
    return f"{across}, {along} and {height} of the origin (RAS {x:.1f}, {y:.1f}, {z:.1f})"
