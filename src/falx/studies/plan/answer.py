"""What is answered: a search or a given plan, judged by heat, and what is said beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from falx.core.errors import InputError
from falx.core.grid import apply_affine
from falx.images.nifti import Image
from falx.pet.carried import carried_rate_words
from falx.pet.metrics import Definition
from falx.studies.plan.focus import too_large
from falx.studies.plan.judge import chosen_by_heat, with_heat
from falx.studies.plan.records import (
    HEATED_DICE,
    FunnelRecord,
    OptionRecord,
    ToTemplate,
    TradeOffRecord,
    compromises_of,
    funnel_record,
    option_record,
    with_acpc,
)
from falx.surgery.assess import assess
from falx.surgery.burns.heat import Cooling
from falx.surgery.infeasible import TradeOff
from falx.surgery.outcome.prognosis import Prognosis, prognosis, published_prognosis
from falx.surgery.robustness import shake
from falx.surgery.search import judging_draws, search
from falx.surgery.tracks.geometry import LaserPlan
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search
from falx.surgery.tracks.scene import Scene, fields_of

__all__ = [
    "GEOMETRIC",
    "NOTICE",
    "UNCONFIRMED",
    "Found",
    "PlanChoices",
    "expected",
    "expected_of_rate",
    "heated",
    "nothing",
    "of_another",
    "placed_in_acpc",
    "scored",
    "searched",
    "vessel_notices",
    "with_size",
]

PROGNOSIS_SEED = 0
"""The correction for optimism draws; every page shows the same one."""

GEOMETRIC = (
    "The planned ablation is a geometric "
    "estimate; comparable published heat models overlap with measured heating at a Dice of "
    f"{HEATED_DICE[0]} to {HEATED_DICE[1]}."
)

NOTICE = (
    "The 39.79 % threshold comes from 30 patients treated at one centre, 21 of them "
    "seizure-free, and has not been confirmed elsewhere. "
    f"{GEOMETRIC}"
)


UNCONFIRMED = (
    "The vessels are a program's proposal that nobody has confirmed: vessels may be missing among "
    "these limits."
)


@dataclass(frozen=True)
class PlanChoices:
    """What a plan must respect and reach, and how it is looked for."""

    limits: Limits = field(default_factory=Limits)
    goal: Goal = field(default_factory=Goal)
    placement: Placement = field(default_factory=Placement)
    search: Search = field(default_factory=Search)
    cooling: Cooling = field(default_factory=Cooling)


@dataclass(frozen=True)
class Found:
    """The part of a plan file that a search or a scoring fills."""

    options: tuple[OptionRecord, ...]
    suggested: int | None
    explanation: str | None
    funnel: FunnelRecord | None = None
    candidates: int | None = None
    heat_words: str | None = None
    trade_offs: tuple[TradeOffRecord, ...] = ()


def searched(
    scene: Scene, choices: PlanChoices, to_template: ToTemplate, threads: int
) -> tuple[Found, LaserPlan | None]:
    """Search for plans, and what each way out buys where none is suggested."""
    result = search(
        scene,
        choices.limits,
        choices.goal,
        rng=np.random.default_rng(choices.search.seed),
        placement=choices.placement,
        max_burns=choices.search.max_burns,
        threads=threads,
    )
    found = Found(
        options=tuple(
            option_record(o.assessment, o.robustness, to_template) for o in result.options
        ),
        suggested=result.options.index(result.suggested) if result.suggested else None,
        explanation=str(result.explanation) if result.explanation else None,
        funnel=funnel_record(result.funnel),
        candidates=result.candidates,
        trade_offs=_trade_offs(
            () if result.explanation is None else result.explanation.trade_offs, to_template
        ),
    )
    return found, result.suggested.assessment.plan if result.suggested else None


def _trade_offs(found: Sequence[TradeOff], to_template: ToTemplate) -> tuple[TradeOffRecord, ...]:
    return tuple(
        TradeOffRecord(
            words=str(one.relaxation),
            relaxation=one.relaxation,
            everywhere=one.everywhere,
            passes=one.passes,
            option=None if one.best is None
            else option_record(one.best.assessment, one.best.robustness, to_template),
            relaxed=None if one.best is None else one.best.relaxed,
        )
        for one in found
    )  # fmt: skip


def scored(
    plan: LaserPlan, scene: Scene, choices: PlanChoices, to_template: ToTemplate, threads: int
) -> Found:
    """Score a plan that is given, by the draws that would judge it in a search."""
    track, limits = plan.trajectory, choices.limits
    fields = fields_of(scene, [track.entry_mm, track.target_mm])
    assessment = assess(plan, scene, limits, fields=fields)
    _, draws = judging_draws(choices.placement, scene, np.random.default_rng(choices.search.seed))
    robustness = shake(
        plan, scene, fields, limits, threshold=choices.goal.threshold, draws=draws,
        threads=threads,
    )  # fmt: skip
    broken = "; ".join(str(violation) for violation in assessment.violations)
    return Found(
        options=(option_record(assessment, robustness, to_template),),
        suggested=0,
        explanation=f"The given plan breaks, as it is given: {broken}" if broken else None,
    )


def nothing(scene: Scene, signature: Image) -> str:
    """Say that there is nothing to plan for: an answer, unless the side is another one.

    Raises
    ------
    InputError
        If the whole signature lies in the other hemisphere.
    """
    places = apply_affine(signature.affine, np.argwhere(signature.data))
    if len(places) and np.all((places[:, 0] < 0) != (scene.side == "left")):
        raise InputError(
            f"no plan: there is no signature in the {scene.side} hippocampus, so nothing to "
            "ablate is certain",
            found=f"a signature in the other hemisphere, {len(places)} voxels",
            do="correct the side",
        )
    if not len(places):
        return (
            "The signature is empty: no voxel is certain enough to be called hypometabolic, so "
            "nothing to ablate is certain. That is no proof of health."
        )
    volume = len(places) * signature.grid.voxel_volume_mm3
    return (
        f"No voxel of the {scene.side} hippocampus is certain enough to be called hypometabolic; "
        f"the signature ({volume:.0f} mm³) lies elsewhere. falx plan --focus plans for one of the "
        "foci of the patient's page, by its number."
    )


def expected(found: Found) -> Prognosis | None:
    """Outcome that the published cohort lets expect of the shown plan."""
    if found.suggested is None:
        return None
    return expected_of_rate(found.options[found.suggested].hippocampus.rate)


def heated(found: Found, scene: Scene, choices: PlanChoices, *, given: bool) -> Found:
    """Judge the finalists by the heat model: plans that pass, or the best compromises."""
    options, suggested = found.options, found.suggested
    if suggested is None:
        judged = list(compromises_of(options, choices.goal).values())
        found = replace(found, options=with_heat(options, judged, scene, choices.cooling))
        return _of_trade_offs(
            found, lambda some: with_heat(some, range(len(some)), scene, choices.cooling),
            only_passing=True,
        )  # fmt: skip
    if given:
        return replace(found, options=with_heat(options, [suggested], scene, choices.cooling))
    options, suggested, words = chosen_by_heat(
        options, suggested, choices.goal, scene, choices.cooling
    )
    return replace(found, options=options, suggested=suggested, heat_words=words)


def with_size(found: Found, scene: Scene, choices: PlanChoices) -> Found:
    """Say first that a focus is too large for one track, where no plan is suggested for it."""
    if scene.focus is None or found.suggested is not None:
        return found
    large = too_large(scene, choices.goal, choices.limits, choices.search)
    if large is None:
        return found
    return replace(found, explanation=f"{large} {found.explanation}")


def placed_in_acpc(found: Found, scene: Scene, to_template: ToTemplate) -> Found:
    """Tell the ends of every plan in AC–PC mm, too."""
    placed = replace(found, options=with_acpc(found.options, scene, to_template))
    return _of_trade_offs(placed, lambda some: with_acpc(some, scene, to_template))


def _of_trade_offs(
    found: Found,
    change: Callable[[Sequence[OptionRecord]], tuple[OptionRecord, ...]],
    *,
    only_passing: bool = False,
) -> Found:
    """Return what was found with the plans of its trade-offs changed."""
    some = [
        n for n, one in enumerate(found.trade_offs)
        if one.option is not None and (one.passes or not only_passing)
    ]  # fmt: skip
    plans = [option for n in some if (option := found.trade_offs[n].option) is not None]
    if not plans:
        return found
    changed = dict(zip(some, change(plans), strict=True))
    return replace(
        found,
        trade_offs=tuple(
            replace(one, option=changed.get(n, one.option))
            for n, one in enumerate(found.trade_offs)
        ),
    )


def vessel_notices(vessels: Path | None) -> tuple[str, ...]:
    """Say on every page what is not known of the vessels."""
    if vessels is None:
        return ("Vessels were not checked.",)
    if "desc-proposed" in vessels.name:
        return (UNCONFIRMED,)
    return ()


def of_another(definition: Definition) -> str:
    """Say why no outcome is predicted for a signature of another definition."""
    return (
        f"The signature is {definition}. Outcomes were modelled on rates of another definition: "
        "none is predicted, and the goal of this plan is a convention, no threshold of outcome. "
        f"{carried_rate_words(definition)}"
    )


def expected_of_rate(rate: float | None) -> Prognosis | None:
    """Return the outcome that the published cohort lets expect of an ablative rate."""
    if rate is None:
        return None
    model = published_prognosis(rng=np.random.default_rng(PROGNOSIS_SEED))
    return prognosis(rate, model)
