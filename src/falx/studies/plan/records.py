"""The content of a plan file: a plan with everything that was asked and found, as typed records.

Coordinates stand in RAS+ and in LPS+ millimetres of the native T1w image. Vendors' own plan
formats are closed; none is written.

Scores are those of :class:`falx.surgery.assess.Assessment`, after Mo et al. 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from falx.core.errors import InputError
from falx.core.grid import Side, apply_affine
from falx.core.possible import Amount, Angle, HemisphereMm3, Share
from falx.core.tables import table_text
from falx.images.nifti import Image
from falx.surgery.assess import Assessment, Tissue
from falx.surgery.burns.heat import Cooling
from falx.surgery.frames import ToTemplate, acpc_of
from falx.surgery.heat_check import HeatCheck
from falx.surgery.infeasible import Relaxation, compromises
from falx.surgery.outcome.ablation import AblativeRate
from falx.surgery.outcome.prognosis import Prognosis
from falx.surgery.robustness import Robustness, passes
from falx.surgery.tracks.feasible import Funnel
from falx.surgery.tracks.geometry import Burn, LaserPlan, Trajectory
from falx.surgery.tracks.limits import Goal, Limits, Placement
from falx.surgery.tracks.scene import PLACES, Scene, Target

__all__ = [
    "FORMAT",
    "FunnelRecord",
    "MadeRecord",
    "OptionRecord",
    "PlanDocument",
    "PlanRecord",
    "Planned",
    "SeededPlacement",
    "ToTemplate",
    "TradeOffRecord",
    "compromises_of",
    "funnel_record",
    "head_points",
    "made_record",
    "option_record",
    "options_csv",
    "plan_of_record",
    "plan_of_words",
    "plan_record",
    "with_acpc",
]

FORMAT = 3
"""Raised when a reader of an older plan file would misunderstand a newer one: from 3 on a plan may
be for a focus, whose rate stands in ``focus``, and ``reaches`` is of that."""

HEATED_DICE = (0.67, 0.82)
"""Overlap of published heat models with measured heating; a capsule does no better."""


@dataclass(frozen=True)
class PlanRecord:
    """Entry, target and burns of a plan; the template's millimetres where there is a map to it."""

    entry_ras_mm: tuple[float, ...]
    target_ras_mm: tuple[float, ...]
    entry_lps_mm: tuple[float, ...]
    target_lps_mm: tuple[float, ...]
    burns: tuple[Burn, ...]
    entry_mni_mm: tuple[float, ...] | None = None
    target_mni_mm: tuple[float, ...] | None = None
    entry_acpc_mm: tuple[float, ...] | None = None
    target_acpc_mm: tuple[float, ...] | None = None


@dataclass(frozen=True)
class OptionRecord:
    """A plan with its scores; see :class:`falx.surgery.assess.Assessment`.

    Parameters
    ----------
    hippocampus, amygdala
        Ablative rates; without a rate in a plan for a focus.
    focus
        Ablated share of the focus that is planned for; ``None`` without one.
    """

    plan: PlanRecord
    hippocampus: AblativeRate
    amygdala: AblativeRate
    ablated_mm3: HemisphereMm3
    outside_mm3: HemisphereMm3
    protected_heated_mm3: HemisphereMm3
    parahippocampal_share: Share | None
    risk_mm: Amount
    length_mm: Amount
    angle_deg: Angle
    clearance_mm: float
    protected_distance_mm: float
    sinus_distance_mm: Amount | None
    violations: tuple[str, ...]
    robustness: Robustness | None
    heat: HeatCheck | None = None
    focus: AblativeRate | None = None

    @property
    def rated(self) -> AblativeRate:
        """The rate that the plan is judged by."""
        return self.hippocampus if self.focus is None else self.focus


@dataclass(frozen=True)
class TradeOffRecord:
    """What a relaxation buys; see :class:`falx.surgery.infeasible.TradeOff`.

    Parameters
    ----------
    words
        The relaxation.
    everywhere
        Whether all tracks were searched under it; else a quarter of them.
    passes
        Whether a plan passes under it.
    option
        The best plan, scored under the limits and errors as they are; None without any plan.
    relaxed
        What placement error makes of it under the relaxation.
    """

    words: str
    relaxation: Relaxation
    everywhere: bool
    passes: bool
    option: OptionRecord | None
    relaxed: Robustness | None


@dataclass(frozen=True)
class MadeRecord:
    """What an ablation that was really made heated, and the outcome that this lets expect."""

    hippocampus: AblativeRate
    amygdala: AblativeRate
    ablated_mm3: HemisphereMm3
    outside_mm3: HemisphereMm3
    protected_heated_mm3: HemisphereMm3
    parahippocampal_share: Share | None
    expected: Prognosis | None
    focus: AblativeRate | None = None

    @property
    def rated(self) -> AblativeRate:
        """The rate in the hippocampus, or of the focus that is planned for."""
        return self.hippocampus if self.focus is None else self.focus


@dataclass(frozen=True)
class FunnelRecord:
    """How many pairs of entry and target there were, what removed them, and what was left."""

    pairs: int
    sinus: int
    length: int
    angle: int
    clearance: int
    feasible: int


@dataclass(frozen=True)
class SeededPlacement(Placement):
    """Placement errors, and the seed that they were drawn with."""

    seed: int = 0


@dataclass(frozen=True)
class PlanDocument:
    """A plan file.

    Parameters
    ----------
    label, side
        Patient and side of the focus.
    vessels_checked, sinuses_checked
        Whether masks of them were given.
    funnel, candidates
        Of the search; ``None`` for a plan that was given.
    suggested
        Place of the suggested or given plan in `options`.
    explanation
        What stands in the way of a plan, or what a given one breaks.
    expected
        Outcome that the published cohort lets expect of the suggested plan.
    cooling
        What the heat model took for fluid and vessels.
    trade_offs
        What each relaxation buys, where no plan is suggested.
    target
        What is planned for.
    """

    label: str
    side: Side
    vessels_checked: bool
    sinuses_checked: bool
    notices: tuple[str, ...]
    limits: Limits
    goal: Goal
    placement: SeededPlacement
    funnel: FunnelRecord | None
    candidates: int | None
    suggested: int | None
    explanation: str | None
    options: tuple[OptionRecord, ...]
    expected: Prognosis | None
    made: MadeRecord | None
    cooling: Cooling = field(default_factory=Cooling)
    trade_offs: tuple[TradeOffRecord, ...] = ()
    target: Target = field(default_factory=Target)

    @property
    def shown(self) -> tuple[OptionRecord, ...]:
        """Every plan of the page in the order of its numbers: the options, then trade-offs."""
        more = (found.option for found in self.trade_offs)
        return (*self.options, *(option for option in more if option is not None))

    @property
    def passes(self) -> bool:
        """Whether the chosen plan keeps its limits as planned and passes the goal misplaced."""
        chosen = self.chosen
        return (
            chosen is not None
            and not chosen.violations
            and chosen.robustness is not None
            and passes(chosen.robustness, self.goal)
        )

    @property
    def compromises(self) -> dict[str, int]:
        """Places of the best compromises among the options, where no plan is suggested."""
        return {} if self.suggested is not None else compromises_of(self.options, self.goal)

    @property
    def chosen(self) -> OptionRecord | None:
        """The suggested or given plan."""
        return None if self.suggested is None else self.options[self.suggested]


def compromises_of(options: Sequence[OptionRecord], goal: Goal) -> dict[str, int]:
    """Places of the best compromises; none where an option was not judged."""
    shares = [option.robustness for option in options]
    if None in shares:
        return {}
    return compromises([share for share in shares if share is not None], goal)


@dataclass(frozen=True, eq=False)
class Planned:
    """A planned patient.

    Parameters
    ----------
    document
        The content of the plan file.
    plan
        The suggested or given plan; None if none is suggested.
    scene, labels
        What it was planned on.
    to_template
        Maps native points of shape (N, 3), mm, to template mm.
    """

    document: PlanDocument
    plan: LaserPlan | None
    scene: Scene
    labels: Image
    to_template: ToTemplate


def plan_record(plan: LaserPlan, to_template: ToTemplate | None = None) -> PlanRecord:
    """Return entry, target and burns of a plan, in both frames and in the template's.

    Parameters
    ----------
    to_template
        Maps native points of shape (N, 3), mm, to template mm.
    """
    entry, target = plan.trajectory.entry_mm, plan.trajectory.target_mm
    there: list[tuple[float, ...] | None] = [None, None]
    if to_template is not None:
        places = np.asarray(to_template(np.array([entry, target])))
        there = [_rounded(place) if np.isfinite(place).all() else None for place in places]
    return PlanRecord(
        entry_ras_mm=_rounded(entry),
        target_ras_mm=_rounded(target),
        entry_lps_mm=_rounded((-entry[0], -entry[1], entry[2])),
        target_lps_mm=_rounded((-target[0], -target[1], target[2])),
        burns=plan.burns,
        entry_mni_mm=there[0],
        target_mni_mm=there[1],
    )


def with_acpc(
    options: Sequence[OptionRecord], scene: Scene, to_template: ToTemplate
) -> tuple[OptionRecord, ...]:
    """Return plans with their ends in AC–PC mm, too, where the template holds the commissures."""
    matrix = acpc_of(to_template, head_points(scene))
    if matrix is None:
        return tuple(options)

    def placed(option: OptionRecord) -> OptionRecord:
        ends = apply_affine(
            matrix, np.array([option.plan.entry_ras_mm, option.plan.target_ras_mm])
        )
        plan = replace(
            option.plan, entry_acpc_mm=_rounded(ends[0]), target_acpc_mm=_rounded(ends[1])
        )
        return replace(option, plan=plan)

    return tuple(placed(option) for option in options)


def head_points(scene: Scene) -> npt.NDArray[np.float64]:
    """Points of obstacles, targets and entries all over the head of a scene, (M, 3), mm."""
    inside = scene.obstacles | scene.targets
    # Of a focus, what lies beyond the skull is protected, too.
    voxels = np.argwhere(inside if scene.focus is not None else inside | scene.protected)
    some = voxels[:: max(1, len(voxels) // 2000)]
    return np.concatenate([apply_affine(scene.grid.affine, some), scene.entries_mm[::20]])


def plan_of_record(record: PlanRecord) -> LaserPlan:
    """Return the plan that :func:`plan_record` described."""
    (ex, ey, ez), (tx, ty, tz) = record.entry_ras_mm, record.target_ras_mm
    return LaserPlan(Trajectory((ex, ey, ez), (tx, ty, tz)), record.burns)


def plan_of_words(content: Mapping[str, Any]) -> LaserPlan:
    """Return the plan of a plan file, or of its part with entry, target and burns.

    Raises
    ------
    InputError
        For values that are no plan.
    ArithmeticError, AttributeError, LookupError, TypeError, ValueError
        Where a part of the plan is missing.
    """
    if isinstance(content.get("suggested"), int):
        content = content["options"][content["suggested"]]
    record = content.get("plan", content)
    _check_frames(record)
    burns = tuple(
        Burn(
            float(burn["radius_mm"]),
            float(burn.get("pull_back_mm", 0.0)),
            float(burn.get("tip_offset_mm", 0.0)),
        )
        for burn in record["burns"]
    )
    return LaserPlan(Trajectory(record["entry_ras_mm"], record["target_ras_mm"]), burns)


def _check_frames(record: Mapping[str, Any]) -> None:
    """Raise if a plan names two places: LPS is RAS with the first two signs turned."""
    for end in ("entry", "target"):
        ras, lps = record[f"{end}_ras_mm"], record.get(f"{end}_lps_mm")
        if lps is None:
            continue
        apart_mm = np.abs(np.array(lps, dtype=float) * (-1, -1, 1) - np.array(ras, dtype=float))
        if not apart_mm.max() <= 10.0**-PLACES:
            raise InputError(
                f"the {end} in LPS is another place than in RAS",
                found=f"{end}_lps_mm {list(lps)}, {end}_ras_mm {list(ras)}",
                do="give one of them, as entry_ras_mm and target_ras_mm, and burns",
            )


def option_record(
    assessment: Assessment,
    robustness: Robustness | None = None,
    to_template: ToTemplate | None = None,
) -> OptionRecord:
    """Return a plan with its scores."""
    tissue = assessment.tissue
    return OptionRecord(
        plan=plan_record(assessment.plan, to_template),
        hippocampus=tissue.hippocampus,
        amygdala=tissue.amygdala,
        ablated_mm3=tissue.ablated_mm3,
        outside_mm3=tissue.outside_mm3,
        protected_heated_mm3=tissue.protected_mm3,
        parahippocampal_share=tissue.parahippocampal,
        risk_mm=assessment.risk_mm,
        length_mm=assessment.length_mm,
        angle_deg=assessment.angle_deg,
        clearance_mm=assessment.clearance_mm,
        protected_distance_mm=assessment.protected_mm,
        sinus_distance_mm=assessment.sinus_mm,
        violations=tuple(str(violation) for violation in assessment.violations),
        robustness=robustness,
        focus=tissue.focus,
    )


def made_record(tissue: Tissue, expected: Prognosis | None) -> MadeRecord:
    """Return what an ablation heated and what it lets expect."""
    return MadeRecord(
        hippocampus=tissue.hippocampus,
        amygdala=tissue.amygdala,
        ablated_mm3=tissue.ablated_mm3,
        outside_mm3=tissue.outside_mm3,
        protected_heated_mm3=tissue.protected_mm3,
        parahippocampal_share=tissue.parahippocampal,
        expected=expected,
        focus=tissue.focus,
    )


def funnel_record(funnel: Funnel) -> FunnelRecord:
    """Return the counts of a search."""
    return FunnelRecord(
        funnel.pairs, funnel.sinus, funnel.length, funnel.angle, funnel.clearance, funnel.feasible
    )


SCORES = ("outside_mm3", "ablated_mm3", "risk_mm", "length_mm", "angle_deg", "clearance_mm",
          "protected_distance_mm")  # fmt: skip


SHARES = ("holds", "reaches", "succeeds", "harmless", "low_rate", "mean_outside_mm3", "draws")
"""What placement error makes of a plan; it comes first in the table."""


def options_csv(
    options: Sequence[OptionRecord],
    trade_offs: Sequence[TradeOffRecord] = (),
    *,
    of_focus: bool = False,
) -> str:
    """Return plans as a table, one row each, burns joined by semicolons.

    A plan that was found under a relaxation names it in the last column; its shares are those
    under the limits and errors as they are.
    """
    axes = [
        f"{end}_{axis}_{frame}_mm"
        for frame in ("ras", "lps")
        for end in ("entry", "target")
        for axis in "xyz"
    ]
    rates = ["rate_focus"] if of_focus else ["rate_hippocampus", "rate_amygdala"]
    scores = ["burns", *rates, *SCORES]
    rows = [[*_cells(option), ""] for option in options]
    rows += [
        [*_cells(found.option), found.words] for found in trade_offs if found.option is not None
    ]
    return table_text([*SHARES, *axes, *scores, "found_with"], rows, delimiter=",")


def _cells(option: OptionRecord) -> list[str]:
    plan, shaken = option.plan, option.robustness
    places = (*plan.entry_ras_mm, *plan.target_ras_mm, *plan.entry_lps_mm, *plan.target_lps_mm)
    burns = ";".join(
        f"r{b.radius_mm:g} b{b.pull_back_mm:g} s{b.tip_offset_mm:g}" for b in plan.burns
    )
    shares: list[float | None] = [None] * len(SHARES)
    if shaken is not None:
        shares = [
            *(getattr(shaken, name) for name in SHARES[:5]),
            shaken.outside_mm3,
            shaken.draws,
        ]
    rates = [option.hippocampus, option.amygdala] if option.focus is None else [option.focus]
    scores = [
        *(rate.rate for rate in rates),
        *(getattr(option, name) for name in SCORES),
    ]
    return [*map(_short, shares), *map(str, places), burns, *map(_short, scores)]


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _rounded(point: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.round(point, PLACES))
