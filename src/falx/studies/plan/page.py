"""The page of a laser plan: what is suggested, how sure it is, and what was left aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.report.page import Details, Figure, Notice, Section, Table, Text
from falx.report.slices import Layer, slices
from falx.studies.plan.records import (
    MadeRecord,
    OptionRecord,
    PlanDocument,
    PlanRecord,
    TradeOffRecord,
)
from falx.surgery.infeasible import BROKEN_WORDS, Relaxation
from falx.surgery.outcome.ablation import AblativeRate
from falx.surgery.robustness import Robustness, passes

__all__ = [
    "NEAR_MM",
    "compromise_rows",
    "made_words",
    "plan_picture",
    "plan_sections",
    "plan_words",
    "probability_rows",
    "score_rows",
    "signature_picture",
    "trade_off_lines",
    "trade_off_rows",
    "verdict_words",
]

SHOWN_OPTIONS = 12
NEAR_MM = 40.0
"""What the closer picture shows on each side of the burn."""

COMPROMISES = {
    "both": "keeps and reaches most often",
    "reaching": "safest that reaches the rate",
    "keeping": "reaches most of those that keep the limits",
}
"""The best compromises, in the order of the page."""

HEAT_WORDS = (
    "By the heat model thin CSF takes heat along, wide CSF and known vessels carry it away; "
    "it was not held against thermometry."
)

FRAMES = ("ras", "lps", "acpc", "mni")
"""Frames in which the ends of a plan are told, as a plan file calls them."""

OBSERVED_RATES = (0.247, 0.798)
"""Hippocampal ablative rates of the 30 patients of Mo 2025."""


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
    return f"{verdict_words(document)} {_way_words(document, option)}"


def verdict_words(document: PlanDocument) -> str:
    """Say in one or two sentences what placement error makes of the chosen plan."""
    option = document.chosen
    if option is None or option.robustness is None:
        return ""
    shaken = option.robustness
    said = (
        f"When it is misplaced as fibres are, this plan keeps every limit in "
        f"{_interval(shaken, 'holds')} of placements, reaches a rate of "
        f"{_percent(shaken.threshold)} in {_interval(shaken, 'reaches')} and touches nothing in "
        f"{_interval(shaken, 'harmless')}: probabilities of geometry, not of seizure freedom."
    )
    if not document.vessels_checked:
        said += " Vessels are not among these limits."
    if option.violations:
        said += f" As it is given it breaks: {'; '.join(option.violations)}."
    return said


def _way_words(document: PlanDocument, option: OptionRecord) -> str:
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
        f"{_percent(rate.rate)} of {_called(document)} "
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
        f"The ablation that was made took {_percent(made.rated.rate)} of "
        f"{_called(document)}, and {made.outside_mm3:.0f} mm³ outside {document.target.whole}."
    )


def plan_sections(
    document: PlanDocument,
    *,
    t1w: Image,
    signature: Image,
    ablation: Image | None,
    middle_mm: Sequence[float],
) -> list[Section]:
    """Return the page's sections in reading order.

    Parameters
    ----------
    document
        A plan file's content.
    t1w, signature, ablation
        Native T1w space; the ablation is that of the suggested plan.
    middle_mm
        Middle of the hippocampus, or of the focus, which is shown without a plan.
    """
    sections = [_result(document, t1w, signature, ablation), *_outcome(document)]
    if ablation is not None:
        sections.append(_pictures(document, t1w, signature, ablation))
    else:
        shown = document.target.shown
        picture = Figure(signature_picture(t1w, signature, middle_mm, shown),
                         f"{_capital(shown)}; left is shown on the left.")  # fmt: skip
        sections.append(Section(f"Where {_of_what(document)} lies", (picture,)))
    if document.options:
        sections.append(_options(document))
    sections += [_limits(document)]
    return sections


def _result(
    document: PlanDocument, t1w: Image, signature: Image, ablation: Image | None
) -> Section:
    blocks: list[Any] = []
    option = document.chosen
    if option is not None and option.robustness is not None:
        level = "note" if document.passes else "fail"
        blocks.append(Notice((verdict_words(document),), level=level))
        blocks.append(_probabilities(option, document))
    elif document.explanation:
        blocks.append(Notice((plan_words(document),), level="fail"))
        blocks += [*_compromise_table(document), *_trade_off_table(document)]
    blocks.append(Notice(tuple(document.notices)))
    if option is not None:
        blocks.append(Text(_way_words(document, option)))
    if ablation is not None:
        near = plan_picture(document, t1w, signature, ablation, near_mm=NEAR_MM)
        blocks.append(
            Figure(near, f"{_capital(document.target.shown)} (filled) and planned ablation "
                   "(outline) in the middle of the first burn; left is shown on the left.")
        )  # fmt: skip
    if option is not None:
        blocks.append(_scores(option, document))
        rate = option.hippocampus.rate  # none of a focus: no patients stand behind it
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
            (name, _percent(rate.rate),
             f"{rate.numerator_mm3:.0f} of {rate.denominator_mm3:.0f} mm³")
            for name, rate in _rates(made, document)
        ]  # fmt: skip
        rows += [
            ("ablated in all", f"{made.ablated_mm3:.0f} mm³", None),
            (f"outside {document.target.whole}", f"{made.outside_mm3:.0f} mm³", None),
            ("in protected tissue", f"{made.protected_heated_mm3:.0f} mm³", None),
        ]
        expected = made.expected
        why = made.rated.reason or "no outcome is predicted"
        why = "No outcome is stated." if made.focus else why
        said = " ".join(expected.sentences) if expected else why
        table = Table(("what", "value", f"of {_of_what(document)}"), rows)
        said = f"{made_words(document)} {said}".strip()
        sections.append(Section("The ablation that was made", (table, Text(said))))
    return sections


def _probabilities(option: OptionRecord, document: PlanDocument) -> Table:
    return Table(
        ("under placement error", "share of placements", "wanted"),
        probability_rows(option, document),
        f"{option.robustness.draws:,} misplaced copies, with 95 % Monte-Carlo intervals."
        if option.robustness else "",
        [level for _, level in _shares(option, document)],
    )  # fmt: skip


def _shares(option: OptionRecord, document: PlanDocument) -> list[tuple[str, str]]:
    """Return the goal's shares with their colours: by the probability, never by the plan."""
    goal, shaken = document.goal, option.robustness
    wanted = {"holds": goal.keep_probability, "reaches": goal.probability,
              "harmless": goal.harmless_probability}  # fmt: skip
    if shaken is None:
        return [(name, "") for name in wanted]
    return [
        (name, "ok" if shaken.surely(name, least) else "fail") for name, least in wanted.items()
    ]


def probability_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what placement error makes of a plan and what is wanted, one row each."""
    goal, shaken = document.goal, option.robustness
    if shaken is None:
        return []
    limit, share = shaken.broken.most_often
    return [
        ("every limit kept with its margin", _interval(shaken, "holds"),
         f"at least {_percent(goal.keep_probability)}"),
        (f"rate of {_percent(shaken.threshold)} reached", _interval(shaken, "reaches"),
         f"at least {_percent(goal.probability)}"),
        ("nothing touched, no protected voxel heated", _interval(shaken, "harmless"),
         f"at least {_percent(goal.harmless_probability)}"),
        ("every limit kept and rate reached", _interval(shaken, "succeeds"), None),
        (f"breaks most often: {BROKEN_WORDS[limit] if share else 'no limit'}", _percent(share),
         None),
        (f"rate in {document.target.rated}, median and 5th percentile"
         if option.focus is None else
         f"ablated share of {document.target.rated}, median and 5th percentile",
         f"{_percent(shaken.median_rate)}, {_percent(shaken.low_rate)}", None),
        (f"heated outside {document.target.whole}, mean", f"{shaken.outside_mm3:.0f} mm³",
         "least"),
    ]  # fmt: skip


def _compromise_table(document: PlanDocument) -> list[Table]:
    """Return the best compromises where no plan passes, best first; none otherwise."""
    rows, seen = [], set()
    for name, words in COMPROMISES.items():
        place = document.compromises.get(name)
        if place is None or place in seen:
            continue
        seen.add(place)
        option = document.options[place]
        shaken = option.robustness
        if shaken is None:
            continue
        limit, share = shaken.broken.most_often
        rows.append((place + 1, words, _percent(shaken.holds), _percent(shaken.reaches),
                     _percent(shaken.harmless), f"{shaken.outside_mm3:.0f}",
                     None if option.heat is None else _percent(option.heat.rate),
                     f"{BROKEN_WORDS[limit]} ({_percent(share)})",
                     _coordinates(option.plan.entry_ras_mm),
                     _coordinates(option.plan.target_ras_mm)))  # fmt: skip
    columns = ("plan", "compromise", "every limit kept", "rate reached",
               "nothing touched", "outside, mm³", "rate by the heat model", "breaks most often",
               "entry, RAS mm", "target, RAS mm")  # fmt: skip
    caption = (
        "The best compromises; the live view starts with the first, and a click on a row loads "
        "it there. None of them passes. "
        f"{HEAT_WORDS}"
    )
    return [Table(columns, rows, caption, ["warn"] * len(rows))] if rows else []


def _trade_off_table(document: PlanDocument) -> list[Any]:
    """Return what each relaxation buys, and how one plans under it; nothing without any."""
    number, flags = len(document.options), []
    rows: list[tuple[object, ...]] = []
    for found in document.trade_offs:
        option, relaxed = found.option, found.relaxed
        flags.append("ok" if found.passes else "warn")
        if option is None or option.robustness is None or relaxed is None:
            rows.append((None, found.words, "no plan at all", *[None] * 6))
            continue
        number += 1
        now = option.robustness
        rows.append((number, found.words, _enough(found), _percent(relaxed.holds),
                     _percent(relaxed.reaches), _percent(relaxed.harmless),
                     f"{relaxed.outside_mm3:.0f}",
                     None if option.heat is None else _percent(option.heat.rate),
                     _three(now)))  # fmt: skip
    if not rows:
        return []
    columns = ("plan", "with", "enough", "every limit kept", "rate reached", "nothing touched",
               "outside, mm³", "rate by the heat model",
               "the same plan as things are: kept, reached, untouched")  # fmt: skip
    caption = (
        "What each way out buys: the best plan of a new search under it, and what placement "
        "error makes of that plan. A quarter of the tracks was searched, and all of them where "
        "that nearly gave a plan; asked for, a way out may give a better plan than this one. A "
        "click on a row loads the plan into the live view, which scores it by the limits and "
        "errors as they are and saves it as a plan file."
    )
    ways = Table(
        ("with", "options of falx plan"),
        [(found.words, _as_options(found.relaxation, document)) for found in document.trade_offs],
    )
    return [Table(columns, rows, caption, flags), Details("To plan under one of these", (ways,))]


def _three(shaken: Robustness) -> str:
    """Return the goal's shares of a plan."""
    return ", ".join(str(_percent(s)) for s in (shaken.holds, shaken.reaches, shaken.harmless))


def _enough(found: TradeOffRecord) -> str:
    if found.passes:
        return "yes"
    return "no, on all tracks" if found.everywhere else "no"


def _as_options(way: Relaxation, document: PlanDocument) -> str:
    """Return a relaxation as it is typed."""
    placement = document.placement
    words = [f"--{rule.replace('_', '-')} {to:g}" for rule, _, to in way.rules]
    if way.accuracy != 1.0:
        errors = ("entry_sd_mm", "angle_sd_deg", "depth_sd_mm", "shift_sd_mm")
        words += [
            f"--{name.replace('_', '-')} {getattr(placement, name) * way.accuracy:g}"
            for name in errors
        ]
    if way.rate is not None:
        words.append(f"--threshold {way.rate:g}")
    return " ".join(words)


def trade_off_rows(document: PlanDocument) -> list[tuple[str, str, str]]:
    """Return what each relaxation buys, one row each: it, three shares, whether it is enough.

    A heading goes before; a plan that passes is told in full behind its row.
    """
    if not document.trade_offs:
        return []
    rows = [("What each way out buys", "kept, reached, untouched", "enough")]
    for found in document.trade_offs:
        shares = "no plan at all" if found.relaxed is None else _three(found.relaxed)
        rows.append((f"with {found.words}", shares, _enough(found)))
        if found.passes and found.option is not None:
            rows += _in_full(found.option)
    return rows


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


def compromise_rows(document: PlanDocument) -> list[tuple[str, str | None, str | None]]:
    """Return the best compromises where no plan passes, with their places, for the sheet."""
    rows: list[tuple[str, str | None, str | None]] = []
    for name, words in COMPROMISES.items():
        place = document.compromises.get(name)
        option = None if place is None else document.options[place]
        if option is None or option.robustness is None:
            continue
        shaken, heat = option.robustness, option.heat
        rows.append((f"{words}: every limit kept", _percent(shaken.holds), None))
        rows.append(("    rate reached", _percent(shaken.reaches), None))
        rows.append(("    nothing touched", _percent(shaken.harmless), None))
        rows.append(("    heated outside, mean", f"{shaken.outside_mm3:.0f} mm³", None))
        if heat is not None:
            rows.append(("    rate by the heat model (no thermometry)", _percent(heat.rate), None))
        rows += _in_full(option)
    return rows


def _scores(option: OptionRecord, document: PlanDocument) -> Table:
    caption = "The plan as drawn: what it would do if nothing were misplaced."
    return Table(("what", "value", "limit"), score_rows(option, document), caption)


def score_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what a plan reaches as drawn and the limit beside it, one row each."""
    limits, goal = document.limits, document.goal
    sinus = option.sinus_distance_mm
    return [
        *((name, _percent(rate.rate), None if n else f"at least {_percent(goal.threshold)}")
          for n, (name, rate) in enumerate(_rates(option, document))),
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
        *heat_rows(option, document),
    ]  # fmt: skip


def _rates(
    found: OptionRecord | MadeRecord, document: PlanDocument
) -> list[tuple[str, AblativeRate]]:
    """Return the rates of a plan by what they are called, that which it is judged by first."""
    if found.focus is not None:
        return [(f"ablated share of {document.target.rated}", found.focus)]
    parts = (("hippocampus", found.hippocampus), ("amygdala", found.amygdala))
    return [(f"ablative rate in the {name}", rate) for name, rate in parts]


def heat_rows(
    option: OptionRecord, document: PlanDocument
) -> list[tuple[str, str | None, str | None]]:
    """Return what the heat model leaves of a plan, one row each; none where it was not asked."""
    heat = option.heat
    if heat is None:
        return []
    stops = "; ".join(f"{power:g} W for {seconds:.0f} s" for power, seconds in heat.stops)
    return [
        (f"rate in {document.target.rated} by the heat model", _percent(heat.rate), None),
        ("killed in all by the heat model", f"{heat.ablated_mm3:.0f} mm³",
         f"overlap with the drawn burns (Dice) {heat.overlap:.2f}"),
        ("of protected tissue by the heat model", f"{heat.protected_mm3:.0f} mm³", None),
        ("doses that it took for these radii, from the tip back", stops, "no advice"),
    ]  # fmt: skip


def signature_picture(
    t1w: Image, signature: Image, middle_mm: Sequence[float], shown: str = "signature"
) -> bytes:
    """Three planes through the middle of the target, the signature, or a focus, over them."""
    layer = Layer(signature, kind="mask", colour="orange", label=shown)
    return slices(t1w, (layer,), centre_mm=middle_mm)


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
        Layer(signature, kind="mask", colour="orange", label=document.target.shown),
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
                   f"{_capital(document.target.shown)} (filled) and planned ablation (outline) "
                   "in the head."),
            Figure(slices(t1w, (), centre_mm=_middle(document)),
                   "The same planes without overlay."),
        ),
        appendix=True,
    )  # fmt: skip


def _options(document: PlanDocument) -> Section:
    options, suggested, plans = document.options, document.suggested, document.shown
    step = max(1, len(options) // SHOWN_OPTIONS)
    named = [*document.compromises.values(), *([] if suggested is None else [suggested])]
    shown = sorted({*range(0, len(options), step), *named})
    rows, flags = [], []
    for n in shown:
        option = options[n]
        burns = ", ".join(f"{b.radius_mm:g} × {b.pull_back_mm:g}" for b in option.plan.burns)
        rows.append((n + 1, _shaken(option, "holds"), _shaken(option, "reaches"),
                     _shaken(option, "harmless"), _outside(option), burns,
                     *(_percent(rate.rate) for _, rate in _rates(option, document)),
                     f"{option.clearance_mm:.1f}", _coordinates(option.plan.entry_ras_mm),
                     _coordinates(option.plan.target_ras_mm)))  # fmt: skip
        shaken = option.robustness
        flags.append("ok" if shaken is not None and passes(shaken, document.goal) else "")
    focus = document.target.focus
    names = ("hippocampus", "amygdala") if focus is None else (document.target.rated,)
    columns = ("plan", "every limit kept", "rate reached", "nothing touched",
               "outside, mean mm³", "burns, mm", *names, "clearance, mm",
               "entry, RAS mm", "target, RAS mm")  # fmt: skip
    caption = (
        f"{len(shown)} of {len(options)} plans that no other beats in the probability of keeping "
        "every limit, that of reaching the rate, and the mean tissue outside. The probabilities "
        "are those under placement error; a plan in colour passes what is wanted."
    )
    places = [
        (n + 1, end, *(
            None if point is None else _coordinates(point)
            for point in (getattr(plans[n].plan, f"{end}_{frame}_mm") for frame in FRAMES)
        ))
        for n in (*shown, *range(len(options), len(plans)))
        for end in ("entry", "target")
    ]  # fmt: skip
    words = (
        "MNI and AC–PC come from the registration to the template: a millimetre or two. AC–PC has "
        "its origin halfway between the commissures."
    )
    frames = Table(
        ("plan no.", "end", "scanner RAS, mm", "scanner LPS, mm", "AC–PC, mm", "MNI, mm"), places,
        words,
    )  # fmt: skip
    table = Table(columns, rows, caption, flags)
    return Section("Other plans", (table, Details("Places in other frames", (frames,))))


def _limits(document: PlanDocument) -> Section:
    blocks: list[Any] = [
        Text(
            "The heated tissue is a capsule around the fibre. Cerebrospinal fluid cools one side "
            "of a real ablation, so its shape differs; a rate is a first estimate. "
            f"{HEAT_WORDS}"
        )
    ]
    if document.funnel:
        rows = [(name, f"{count:,}") for name, count in asdict(document.funnel).items()]
        blocks.append(Table(("pairs of entry and target", "count"), rows, "What removed them."))
    settings = [
        (f"{part}.{name}", str(value))
        for part in ("limits", "goal", "placement", "cooling")
        for name, value in asdict(getattr(document, part)).items()
    ]
    blocks.append(Details("Settings", (Table(("setting", "value"), settings),)))
    return Section("Limits and settings", blocks)


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _of_what(document: PlanDocument) -> str:
    return "the signature" if document.target.focus is None else document.target.rated


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f} %"


def _shaken(option: OptionRecord, name: str) -> str | None:
    """Return a share of the misplaced copies of a plan; none where it was not misplaced."""
    return None if option.robustness is None else _percent(getattr(option.robustness, name))


def _interval(shaken: Robustness, name: str) -> str:
    """Return a share of the misplaced copies with its Monte-Carlo interval."""
    low, high = shaken.interval(name)
    return f"{_percent(getattr(shaken, name))} ({100 * low:.1f} to {100 * high:.1f} %)"


def _outside(option: OptionRecord) -> float:
    return option.robustness.outside_mm3 if option.robustness else float(option.outside_mm3)


def _coordinates(point: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in point)


def _point(plan: PlanRecord, end: str) -> str:
    """Return an end of a plan in mm of the T1w image, of AC–PC and of the template."""
    known = {"AC–PC": getattr(plan, f"{end}_acpc_mm"), "MNI": getattr(plan, f"{end}_mni_mm")}
    there = "".join(
        f"; {name} {_coordinates(place)}" for name, place in known.items() if place is not None
    )
    return f"RAS {_coordinates(getattr(plan, f'{end}_ras_mm'))} mm of the T1w image{there}"
