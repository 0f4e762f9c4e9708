"""A laser plan for a signature: what would take enough of it at the least cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from falx.api.ablation import SignatureMap
from falx.api.inputs import mask_of, settings_of
from falx.api.results import Result, drawn, percent
from falx.core.errors import InputError, collect_notices
from falx.images.nifti import Image, as_stored
from falx.report.slices import Layer, slices_figure
from falx.studies.plan.focus import FOCUS_RATE, focus_mask, focus_notices
from falx.surgery.assess import Assessment
from falx.surgery.frames import ToTemplate
from falx.surgery.robustness import Robustness
from falx.surgery.search import SearchResult, search
from falx.surgery.tracks.geometry import LaserPlan, ablation_mask
from falx.surgery.tracks.head_scene import scene_from_labels, scene_of_focus, share_across
from falx.surgery.tracks.limits import Goal, Limits, Placement, Search
from falx.surgery.tracks.scene import Scene, Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LaserPlanning", "plan"]

RESEARCH = (
    "Research software: it must not decide a treatment. The planned ablation is a geometric "
    "estimate"
)
NOTICE = f"{RESEARCH}, and the threshold comes from 30 patients of one centre."


@dataclass(frozen=True, eq=False, repr=False)
class LaserPlanning(Result):
    """What a search for laser plans found.

    Parameters
    ----------
    found
        Every plan of the Pareto set, and what removed the others.
    image
        The suggested ablation on the T1w grid; empty where no plan is suggested.
    target
        What was planned for.
    """

    found: SearchResult
    image: Image
    of: SignatureMap
    notices: tuple[str, ...] = ()
    target: Target = field(default_factory=Target)
    title = "Laser plan"

    @property
    def suggested(self) -> LaserPlan | None:
        """Entry, target (RAS+ mm of the T1w) and burns; None if no plan keeps the rules."""
        best = self.assessment
        return None if best is None else best.plan

    @property
    def assessment(self) -> Assessment | None:
        """Scores of the suggested plan."""
        return None if self.found.suggested is None else self.found.suggested.assessment

    @property
    def robustness(self) -> Robustness | None:
        """What placement error does to it."""
        return None if self.found.suggested is None else self.found.suggested.robustness

    def _facts(self) -> Sequence[tuple[str, object]]:
        facts: list[tuple[str, object]] = [
            ("pairs of entry and target, that keep the rules",
             f"{self.found.funnel.pairs}, {self.found.funnel.feasible}"),
            ("plans to choose from", len(self.found.options)),
        ]  # fmt: skip
        best, shaken = self.assessment, self.robustness
        if best is None:
            return [*facts, ("suggested", f"none: {self.found.explanation}")]
        track = best.plan.trajectory
        facts += [
            ("entry, RAS+ mm", ", ".join(f"{v:.1f}" for v in track.entry_mm)),
            ("target, RAS+ mm", ", ".join(f"{v:.1f}" for v in track.target_mm)),
            ("burns, radius and pull-back, mm",
             "; ".join(f"{b.radius_mm:g}, {b.pull_back_mm:g}" for b in best.plan.burns)),
            (f"ablative rate, {self.target.rated.removeprefix('the ')}", percent(best.rate)),
            ("heated outside the targets, mm³", best.tissue.outside_mm3),
            ("length, mm", best.length_mm),
            ("clearance, mm", best.clearance_mm),
        ]  # fmt: skip
        if shaken is not None:
            facts += [
                ("keeps every limit when misplaced", percent(shaken.holds)),
                ("reaches the threshold when misplaced", percent(shaken.reaches)),
                ("touches nothing when misplaced", percent(shaken.harmless)),
            ]
        return facts

    def plot(self) -> Figure:
        """Draw the signature, or the focus, with the planned ablation outlined."""
        wanted = self.of.image
        if self.target.focus is not None and self.of.numbers is not None:
            wanted = Image(self.of.numbers.data == self.target.focus, wanted.affine)
        layers = [Layer(wanted, "mask", "cyan", label=self.target.shown)]
        centre = None
        if self.suggested is not None:
            layers.append(Layer(self.image, "contour", "orange", label="planned ablation"))
            centre = self.suggested.trajectory.target_mm
        return drawn(slices_figure(self.of.of.head.image, layers, centre_mm=centre))


def plan(
    found: SignatureMap,
    *,
    focus: int | None = None,
    vessels: Any = None,
    sinuses: Any = None,
    threads: int = 2,
    **choices: Any,
) -> LaserPlanning:
    """Search for a laser plan that takes enough of a signature at the least cost.

    Parameters
    ----------
    found
        From :func:`falx.signature`.
    focus
        Number of one of its foci, ``found.foci``, to plan for instead of the hippocampus, from the
        side on which it lies. The goal is half of it unless `threshold` says otherwise; no outcome
        study stands behind such a plan.
    vessels, sinuses
        Masks on the T1w grid that a track keeps away from; without vessels the result says
        that they were not checked.
    choices
        See :class:`falx.surgery.tracks.limits.Limits`, and ``Goal``, ``Placement`` and
        ``Search`` beside it: ``max_length_mm``, ``threshold``, ``keep_probability``,
        ``draws``, ``max_burns``, ``seed``, …
    """
    if not isinstance(found, SignatureMap):
        raise InputError(
            "a plan is made for a signature",
            found=type(found).__name__,
            do="give what falx.signature returned",
        )
    if focus is not None:
        choices = {"threshold": FOCUS_RATE} | choices
    limits, goal, placement, how = _rules(choices)
    head = found.of.head
    with collect_notices() as notices:
        scene = _scene(found, focus, limits, vessels, sinuses)
        result = search(
            scene,
            limits,
            goal,
            rng=np.random.default_rng(how.seed),
            placement=placement,
            max_burns=how.max_burns,
            threads=threads,
        )
    said = [
        *_first(scene, goal, head.to_template.at),
        *([] if vessels is not None else ["Vessels were not checked."]),
        *notices,
    ]
    best = result.suggested
    grid = head.structures.grid
    mask = np.zeros(grid.shape, bool)
    if best is not None:
        mask = ablation_mask(best.assessment.plan, grid)
    return LaserPlanning(result, as_stored(mask, grid.affine), found, tuple(said), scene.target)


def _scene(
    found: SignatureMap, number: int | None, limits: Limits, vessels: Any, sinuses: Any
) -> Scene:
    """Build the scene of a signature, or of one of its foci."""
    head, at = found.of.head, found.of.head.to_template.at
    avoided = None if vessels is None else mask_of(vessels, "vessels")
    kept_from = None if sinuses is None else mask_of(sinuses, "sinuses")
    if number is None:
        return scene_from_labels(
            head.structures, found.image, found.side, at, vessels=avoided, sinuses=kept_from,
            beside_mm=limits.beside_mm,
        )  # fmt: skip
    if found.numbers is None:
        raise InputError("this signature knows no foci", do="give what falx.signature returned")
    region = next((row.region for row in found.foci if row.number == number), None)
    mask = focus_mask(found.numbers, number, where="the signature")
    return scene_of_focus(
        head.structures, mask, Target.of_focus(number, region), at, vessels=avoided,
        sinuses=kept_from, limits=limits,
    )  # fmt: skip


def _first(scene: Scene, goal: Goal, to_template: ToTemplate) -> tuple[str, ...]:
    """Say what the plan may not be read without."""
    if scene.focus is None:
        return (NOTICE,)
    _, across = share_across(Image(scene.focus, scene.grid.affine), to_template)
    asked = goal.threshold != FOCUS_RATE
    return (f"{RESEARCH}.", *focus_notices(scene, goal, across, asked=asked))


def _rules(choices: Mapping[str, Any]) -> tuple[Limits, Goal, Placement, Search]:
    """Sort choices by the record that has them; what none has is refused by the first."""
    left = dict(choices)
    goal, placement, how = (
        {item.name: left.pop(item.name) for item in dataclasses.fields(kind) if item.name in left}
        for kind in (Goal, Placement, Search)
    )
    return settings_of(Limits, left), Goal(**goal), Placement(**placement), Search(**how)
