"""A laser plan in words and rows, as the page, the printed sheet and the terminal tell it."""

from __future__ import annotations

from collections.abc import Sequence

from falx.studies.plan.records import (
    MadeRecord,
    OptionRecord,
    PlanDocument,
    PlanRecord,
    TradeOffRecord,
)
from falx.surgery.infeasible import BROKEN_WORDS
from falx.surgery.outcome.ablation import AblativeRate
from falx.surgery.robustness import Robustness

__all__ = [
    "COMPROMISES",
    "compromise_rows",
    "coordinates",
    "enough",
    "made_words",
    "percent",
    "plan_words",
    "probability_rows",
    "rates_of",
    "score_rows",
    "share_interval",
    "three_shares",
    "trade_off_lines",
    "trade_off_rows",
    "verdict_words",
    "way_words",
]

COMPROMISES = {
    "both": "keeps and reaches most often",
    "reaching": "safest that reaches the rate",
    "keeping": "reaches most of those that keep the limits",
}
"""The best compromises, in the order of the page."""


def plan_words(document: PlanDocument) -> str:
    """Return the plan in one paragraph, for the conference: how sure it is, then what it is.

    Parameters
    ----------
    document
        A plan file's content.
    """
    option = document.chosen
    if option is None:
        return f"No plan is suggested. {document.explanation}"
    return f"{verdict_words(document)} {way_words(document, option)}"


def verdict_words(document: PlanDocument) -> str:
    """Say in one or two sentences what placement error makes of the chosen plan."""
    option = document.chosen
    if option is None or option.robustness is None:
        return ""
    shaken = option.robustness
    said = (
        f"When it is misplaced as fibres are, this plan keeps every limit in "
        f"{share_interval(shaken, 'holds')} of placements, reaches a rate of "
        f"{percent(shaken.threshold)} in {share_interval(shaken, 'reaches')} and touches nothing "
        f"in {share_interval(shaken, 'harmless')}: probabilities of geometry, not of seizure "
        "freedom."
    )
    if not document.vessels_checked:
        said += " Vessels are not among these limits."
    if option.violations:
        said += f" As it is given it breaks: {'; '.join(option.violations)}."
    return said


def way_words(document: PlanDocument, option: OptionRecord) -> str:
    """Return where to enter, how far to go, what to burn and what that would cover as drawn."""
    plan, rate, target = option.plan, option.rated, document.target
    burns = " and ".join(
        f"one burn of {b.radius_mm:g} mm radius over {b.pull_back_mm:g} mm of pull-back"
        + (f" from {b.tip_offset_mm:g} mm before the target" if b.tip_offset_mm else "")
        for b in plan.burns
    )
    return (
        f"From the {document.side} side, enter at {_point(plan, 'entry')} "
        f"and go {option.length_mm:.0f} mm to the target at "
        f"{_point(plan, 'target')}; {burns}. Exactly there it would cover "
        f"{percent(rate.rate)} of {_called(document)} "
        f"({rate.numerator_mm3:.0f} of {rate.denominator_mm3:.0f} mm³) and "
        f"heat {option.outside_mm3:.0f} mm³ outside {target.whole}."
    )


def _called(document: PlanDocument) -> str:
    """Return what the rate is a share of, a focus with the structure that holds most of it."""
    target = document.target
    return target.wanted if target.region is None else f"{target.wanted} ({target.region})"


def made_words(document: PlanDocument) -> str:
    """Return what an ablation that was made took, in one sentence; empty without one."""
    made = document.made
    if made is None or made.rated.rate is None:
        return ""
    return (
        f"The ablation that was made took {percent(made.rated.rate)} of "
        f"{_called(document)}, and {made.outside_mm3:.0f} mm³ outside {document.target.whole}."
    )


def probability_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what placement error makes of a plan and what is wanted, one row each."""
    goal, shaken = document.goal, option.robustness
    if shaken is None:
        return []
    limit, share = shaken.broken.most_often
    return [
        ("every limit kept with its margin", share_interval(shaken, "holds"),
         f"at least {percent(goal.keep_probability)}"),
        (f"rate of {percent(shaken.threshold)} reached", share_interval(shaken, "reaches"),
         f"at least {percent(goal.probability)}"),
        ("nothing touched, no protected voxel heated", share_interval(shaken, "harmless"),
         f"at least {percent(goal.harmless_probability)}"),
        ("every limit kept and rate reached", share_interval(shaken, "succeeds"), None),
        (f"breaks most often: {BROKEN_WORDS[limit] if share else 'no limit'}", percent(share),
         None),
        (f"rate in {document.target.rated}, median and 5th percentile"
         if option.focus is None else
         f"ablated share of {document.target.rated}, median and 5th percentile",
         f"{percent(shaken.median_rate)}, {percent(shaken.low_rate)}", None),
        (f"heated outside {document.target.whole}, mean", f"{shaken.outside_mm3:.0f} mm³",
         "least"),
    ]  # fmt: skip


def compromise_rows(document: PlanDocument) -> list[tuple[str, str | None, str | None]]:
    """Return the best compromises where no plan passes, with their places, for the sheet."""
    rows: list[tuple[str, str | None, str | None]] = []
    for name, words in COMPROMISES.items():
        place = document.compromises.get(name)
        option = None if place is None else document.options[place]
        if option is None or option.robustness is None:
            continue
        shaken, heat = option.robustness, option.heat
        rows.append((f"{words}: every limit kept", percent(shaken.holds), None))
        rows.append(("    rate reached", percent(shaken.reaches), None))
        rows.append(("    nothing touched", percent(shaken.harmless), None))
        rows.append(("    heated outside, mean", f"{shaken.outside_mm3:.0f} mm³", None))
        if heat is not None:
            rows.append(("    rate by the heat model (no thermometry)", percent(heat.rate), None))
        rows += _in_full(option)
    return rows


def trade_off_rows(document: PlanDocument) -> list[tuple[str, str, str]]:
    """Return what each relaxation buys, one row each: it, three shares, whether it is enough.

    A heading goes before; a plan that passes is told in full behind its row.
    """
    if not document.trade_offs:
        return []
    rows = [("What each way out buys", "kept, reached, untouched", "enough")]
    for found in document.trade_offs:
        shares = "no plan at all" if found.relaxed is None else three_shares(found.relaxed)
        rows.append((f"with {found.words}", shares, enough(found)))
        if found.passes and found.option is not None:
            rows += _in_full(found.option)
    return rows


def three_shares(shaken: Robustness) -> str:
    """Return the goal's shares of a plan."""
    return ", ".join(str(percent(s)) for s in (shaken.holds, shaken.reaches, shaken.harmless))


def enough(found: TradeOffRecord) -> str:
    """Return whether a way out gives a plan that passes, and whether all tracks were searched."""
    if found.passes:
        return "yes"
    return "no, on all tracks" if found.everywhere else "no"


def _in_full(option: OptionRecord) -> list[tuple[str, str, str]]:
    """Return the places and burns of a plan, one row each."""
    plan = option.plan
    burns = ", ".join(f"{b.radius_mm:g} × {b.pull_back_mm:g} mm" for b in plan.burns)
    ends = [(f"    {end}: {_point(plan, end)}", "", "") for end in ("entry", "target")]
    return [*ends, ("    burns, radius × pull-back", burns, "")]


def trade_off_lines(document: PlanDocument) -> list[str]:
    """Return the same as lines to print, under a heading; none where a plan is suggested."""
    rows = [tuple(filter(None, row)) for row in trade_off_rows(document)]
    return [f"{row[0]}: {'; '.join(row[1:])}" if row[1:] else row[0] for row in rows]


def score_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what a plan reaches as drawn and the limit beside it, one row each."""
    limits, goal = document.limits, document.goal
    sinus = option.sinus_distance_mm
    return [
        *((name, percent(rate.rate), None if n else f"at least {percent(goal.threshold)}")
          for n, (name, rate) in enumerate(rates_of(option, document))),
        ("heated in all", f"{option.ablated_mm3:.0f} mm³", None),
        (f"heated outside {document.target.whole}", f"{option.outside_mm3:.0f} mm³", None),
        ("track length", f"{option.length_mm:.1f} mm", f"at most {limits.max_length_mm:g} mm"),
        ("angle to the skull", f"{option.angle_deg:.1f}°",
         f"at most {limits.max_angle_deg:g}°"),
        ("clearance of the track", f"{option.clearance_mm:.1f} mm",
         f"at least {limits.min_clearance_mm:g} mm"),
        ("heat to protected tissue", f"{option.protected_distance_mm:.1f} mm",
         f"at least {limits.protect_margin_mm:g} mm"),
        ("entry to a dural sinus", None if sinus is None else f"{sinus:.1f} mm",
         f"at least {limits.min_sinus_mm:g} mm"),
        ("risk along the track", f"{option.risk_mm:.1f} mm", None),
        *_heat_rows(option, document),
    ]  # fmt: skip


def rates_of(
    found: OptionRecord | MadeRecord, document: PlanDocument
) -> list[tuple[str, AblativeRate]]:
    """Return the rates of a plan by what they are called, that which it is judged by first."""
    if found.focus is not None:
        return [(f"ablated share of {document.target.rated}", found.focus)]
    parts = (("hippocampus", found.hippocampus), ("amygdala", found.amygdala))
    return [(f"ablative rate in the {name}", rate) for name, rate in parts]


def _heat_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what the heat model leaves of a plan, one row each; none where it was not asked."""
    heat = option.heat
    if heat is None:
        return []
    stops = "; ".join(f"{power:g} W for {seconds:.0f} s" for power, seconds in heat.stops)
    return [
        (f"rate in {document.target.rated} by the heat model", percent(heat.rate), None),
        ("killed in all by the heat model", f"{heat.ablated_mm3:.0f} mm³",
         f"overlap with the drawn burns (Dice) {heat.overlap:.2f}"),
        ("of protected tissue by the heat model", f"{heat.protected_mm3:.0f} mm³", None),
        ("doses that it took for these radii, from the tip back", stops, "no advice"),
    ]  # fmt: skip


def percent(value: float | None) -> str | None:
    """Return a share as a percentage; none stays none."""
    return None if value is None else f"{100 * value:.1f} %"


def share_interval(shaken: Robustness, name: str) -> str:
    """Return a share of the misplaced copies with its Monte-Carlo interval."""
    low, high = shaken.interval(name)
    return f"{percent(getattr(shaken, name))} ({100 * low:.1f} to {100 * high:.1f} %)"


def coordinates(point: Sequence[float]) -> str:
    """Return a place in mm, to a tenth."""
    return ", ".join(f"{value:.1f}" for value in point)


def _point(plan: PlanRecord, end: str) -> str:
    """Return an end of a plan in mm of the T1w image, of AC–PC and of the template."""
    known = {"AC–PC": getattr(plan, f"{end}_acpc_mm"), "MNI": getattr(plan, f"{end}_mni_mm")}
    there = "".join(
        f"; {name} {coordinates(place)}" for name, place in known.items() if place is not None
    )
    return f"RAS {coordinates(getattr(plan, f'{end}_ras_mm'))} mm of the T1w image{there}"
