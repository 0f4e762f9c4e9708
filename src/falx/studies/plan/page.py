"""The page of a laser plan: what is suggested, how sure it is, and what was left aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from falx.images.nifti import Image
from falx.report.page import Details, Figure, Notice, Section, Table, Text
from falx.report.slices import slices
from falx.studies.plan.pictures import NEAR_MM, middle_of_burn, plan_picture, signature_picture
from falx.studies.plan.records import OptionRecord, PlanDocument
from falx.studies.plan.words import (
    COMPROMISES,
    coordinates,
    enough,
    made_words,
    percent,
    plan_words,
    probability_rows,
    rates_of,
    score_rows,
    three_shares,
    verdict_words,
    way_words,
)
from falx.surgery.infeasible import BROKEN_WORDS, Relaxation
from falx.surgery.robustness import passes

__all__ = ["plan_sections"]

SHOWN_OPTIONS = 12

HEAT_WORDS = (
    "By the heat model thin CSF takes heat along, wide CSF and known vessels carry it away; "
    "it was not held against thermometry."
)

FRAMES = ("ras", "lps", "acpc", "mni")
"""Frames in which the ends of a plan are told, as a plan file calls them."""

OBSERVED_RATES = (0.247, 0.798)
"""Hippocampal ablative rates of the 30 patients of Mo 2025."""


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
        blocks.append(Text(way_words(document, option)))
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
            (name, percent(rate.rate),
             f"{rate.numerator_mm3:.0f} of {rate.denominator_mm3:.0f} mm³")
            for name, rate in rates_of(made, document)
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
        rows.append((place + 1, words, percent(shaken.holds), percent(shaken.reaches),
                     percent(shaken.harmless), f"{shaken.outside_mm3:.0f}",
                     None if option.heat is None else percent(option.heat.rate),
                     f"{BROKEN_WORDS[limit]} ({percent(share)})",
                     coordinates(option.plan.entry_ras_mm),
                     coordinates(option.plan.target_ras_mm)))  # fmt: skip
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
        rows.append((number, found.words, enough(found), percent(relaxed.holds),
                     percent(relaxed.reaches), percent(relaxed.harmless),
                     f"{relaxed.outside_mm3:.0f}",
                     None if option.heat is None else percent(option.heat.rate),
                     three_shares(now)))  # fmt: skip
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


def _scores(option: OptionRecord, document: PlanDocument) -> Table:
    caption = "The plan as drawn: what it would do if nothing were misplaced."
    return Table(("what", "value", "limit"), score_rows(option, document), caption)


def _pictures(document: PlanDocument, t1w: Image, signature: Image, ablation: Image) -> Section:
    return Section(
        "Where it lies",
        (
            Figure(plan_picture(document, t1w, signature, ablation),
                   f"{_capital(document.target.shown)} (filled) and planned ablation (outline) "
                   "in the head."),
            Figure(slices(t1w, (), centre_mm=middle_of_burn(document)),
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
                     *(percent(rate.rate) for _, rate in rates_of(option, document)),
                     f"{option.clearance_mm:.1f}", coordinates(option.plan.entry_ras_mm),
                     coordinates(option.plan.target_ras_mm)))  # fmt: skip
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
            None if point is None else coordinates(point)
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


def _shaken(option: OptionRecord, name: str) -> str | None:
    """Return a share of the misplaced copies of a plan; none where it was not misplaced."""
    return None if option.robustness is None else percent(getattr(option.robustness, name))


def _outside(option: OptionRecord) -> float:
    return option.robustness.outside_mm3 if option.robustness else float(option.outside_mm3)
