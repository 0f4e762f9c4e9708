"""The page of a laser plan: what is suggested, how sure it is, and what was left aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from falx.images.nifti import Image
from falx.report.figures import Layer, slices
from falx.report.page import Details, Figure, Notice, Section, Table, Text

__all__ = ["plan_sections", "plan_words"]

SHOWN_OPTIONS = 12
OBSERVED_RATES = (0.247, 0.798)
"""Hippocampal ablative rates of the 30 patients of Mo 2025."""

Record = Mapping[str, Any]


def plan_words(document: Record) -> str:
    """Return the plan in one paragraph, for the conference.

    Parameters
    ----------
    document
        A plan file's content.
    """
    if document["suggested"] is None:
        return f"No plan is suggested: {document['explanation']}"
    option = document["options"][document["suggested"]]
    plan, hippocampus = option["plan"], option["hippocampus"]
    burns = " and ".join(
        f"one burn of {b['radius_mm']:g} mm radius over {b['pull_back_mm']:g} mm of pull-back"
        + (f", {b['tip_offset_mm']:g} mm above the target" if b["tip_offset_mm"] else "")
        for b in plan["burns"]
    )
    text = (
        f"From the {document['side']} side, enter at {_point(plan['entry_ras_mm'])} and go "
        f"{option['length_mm']:.0f} mm to the target at {_point(plan['target_ras_mm'])}; {burns}. "
        f"This covers {_percent(hippocampus['rate'])} of the signature in the hippocampus "
        f"({hippocampus['numerator_mm3']:.0f} of {hippocampus['denominator_mm3']:.0f} mm³) and "
        f"heats {option['outside_mm3']:.0f} mm³ outside hippocampus and amygdala."
    )
    shaken = option["robustness"]
    if shaken:
        text += (
            f" With placement error the threshold is reached in {_percent(shaken['reaches'])} of "
            "cases: a probability of geometry, not of seizure freedom."
        )
    return text


def plan_sections(
    document: Record, *, t1w: Image, signature: Image, ablation: Image | None
) -> list[Section]:
    """Return the page's sections in reading order.

    Parameters
    ----------
    document
        A plan file's content.
    t1w, signature, ablation
        Native T1w space; the ablation is that of the suggested plan.
    """
    sections = [_result(document)]
    if ablation is not None:
        sections.append(_pictures(document, t1w, signature, ablation))
    if document["options"]:
        sections.append(_options(document))
    sections += [_limits(document)]
    return sections


def _result(document: Record) -> Section:
    notices = [Notice(tuple(document["notices"]))]
    if document["explanation"]:
        notices.append(Notice((str(document["explanation"]),), level="fail"))
    blocks: list[Any] = [*notices, Text(plan_words(document))]
    if document["suggested"] is not None:
        option = document["options"][document["suggested"]]
        blocks.append(_scores(option, document))
        rate = option["hippocampus"]["rate"]
        low, high = OBSERVED_RATES
        if rate is not None and not low <= rate <= high:
            range_text = f"{low:.3f} to {high:.3f}"
            blocks.append(
                Notice((f"The rate is outside the range of the 30 patients ({range_text}).",))
            )
    return Section("The plan", blocks)


def _scores(option: Record, document: Record) -> Table:
    limits, goal = document["limits"], document["goal"]
    wanted = goal["threshold"] + goal["margin"]
    shaken = option["robustness"] or {}
    rows = [
        ("ablative rate in the hippocampus", _percent(option["hippocampus"]["rate"]),
         f"at least {_percent(wanted)}"),
        ("ablative rate in the amygdala", _percent(option["amygdala"]["rate"]), None),
        ("heated in all", f"{option['ablated_mm3']:.0f} mm³", None),
        ("heated outside hippocampus and amygdala", f"{option['outside_mm3']:.0f} mm³", "least"),
        ("track length", f"{option['length_mm']:.1f} mm", f"at most {limits['max_length_mm']:g}"),
        ("angle to the skull", f"{option['angle_deg']:.1f}°",
         f"at most {limits['max_angle_deg']:g}°"),
        ("clearance of the track", f"{option['clearance_mm']:.1f} mm",
         f"at least {limits['min_clearance_mm']:g}"),
        ("heat to protected tissue", f"{option['protected_distance_mm']:.1f} mm",
         f"at least {limits['protect_margin_mm']:g}"),
        ("risk along the track", f"{option['risk_mm']:.1f} mm", None),
        ("threshold reached under placement error", _percent(shaken.get("reaches")),
         f"at least {_percent(goal['probability'])}"),
        ("5th percentile of the rate", _percent(shaken.get("low_rate")), None),
        ("every limit kept under placement error", _percent(shaken.get("holds")), None),
        ("nothing touched under placement error", _percent(shaken.get("harmless")), None),
    ]  # fmt: skip
    return Table(("what", "value", "limit"), rows)


def _pictures(document: Record, t1w: Image, signature: Image, ablation: Image) -> Section:
    plan = document["options"][document["suggested"]]["plan"]
    layers = (
        Layer(signature, kind="mask", colour="orange", label="signature"),
        Layer(ablation, kind="contour", colour="cyan", label="planned ablation"),
    )
    centre = tuple(plan["target_ras_mm"])
    return Section(
        "Where it lies",
        (
            Figure(slices(t1w, layers, centre_mm=centre), "Signature (filled) and planned "
                   "ablation (outline) at the target; left is shown on the left."),
            Figure(slices(t1w, (), centre_mm=centre), "The same planes without overlay."),
        ),
    )  # fmt: skip


def _options(document: Record) -> Section:
    options, suggested = document["options"], document["suggested"]
    step = max(1, len(options) // SHOWN_OPTIONS)
    shown = sorted({*range(0, len(options), step), *([] if suggested is None else [suggested])})
    rows, flags = [], []
    for n in shown:
        option = options[n]
        burns = ", ".join(
            f"{b['radius_mm']:g} mm × {b['pull_back_mm']:g} mm" for b in option["plan"]["burns"]
        )
        shaken = option["robustness"] or {}
        rows.append((burns, _percent(option["hippocampus"]["rate"]),
                     _percent(option["amygdala"]["rate"]), float(option["outside_mm3"]),
                     float(option["risk_mm"]), float(option["clearance_mm"]),
                     _percent(shaken.get("reaches"))))  # fmt: skip
        flags.append("ok" if n == suggested else "")
    columns = ("burn", "hippocampus", "amygdala", "outside, mm³", "risk, mm", "clearance, mm",
               "reaches threshold")  # fmt: skip
    caption = (
        f"{len(shown)} of {len(options)} plans that no other beats in rate, collateral and risk."
    )
    return Section("Other plans", (Table(columns, rows, caption, flags),))


def _limits(document: Record) -> Section:
    blocks: list[Any] = [
        Text(
            "The heated tissue is a capsule around the fibre. Cerebrospinal fluid cools one side "
            "of a real ablation, so its shape differs; a rate is a first estimate."
        )
    ]
    funnel = document["funnel"]
    if funnel:
        rows = [(name, f"{count:,}") for name, count in funnel.items()]
        blocks.append(Table(("pairs of entry and target", "count"), rows, "What removed them."))
    settings = [
        (f"{part}.{name}", str(value))
        for part in ("limits", "goal", "placement")
        for name, value in document[part].items()
    ]
    blocks.append(Details("Settings", (Table(("setting", "value"), settings),)))
    return Section("Limits and settings", blocks)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _point(point: Sequence[float]) -> str:
    x, y, z = point
    across = f"{abs(x):.0f} mm {'left' if x < 0 else 'right'}"
    along = f"{abs(y):.0f} mm {'behind' if y < 0 else 'before'}"
    height = f"{abs(z):.0f} mm {'below' if z < 0 else 'above'}"
    return f"{across}, {along} and {height} of the origin (RAS {x:.1f}, {y:.1f}, {z:.1f})"
