"""The group level of `signature`: what the participants' numbers say of seizure outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from falx.clinical.logistic.univariate import UnivariateModel, univariate_logistic
from falx.clinical.roc.cut_validation import HeldOut
from falx.core.errors import InputError
from falx.core.settings import check_settings, option
from falx.data.mo2025 import PUBLISHED_AI_THRESHOLD, PUBLISHED_RATE_CUT
from falx.pet.carried import carried_rate_words
from falx.studies.outcome.coding import CODINGS
from falx.studies.outcome.cohort import Cohort
from falx.studies.outcome.family import FAMILY, Member, adjust_family, check_family
from falx.studies.outcome.labels import label
from falx.studies.outcome.parts import (
    AdditivePart,
    CountComparison,
    CutPart,
    GroupComparison,
    IncrementPart,
    JointPart,
    SplinePart,
    additive_part,
    compare_counts,
    compare_groups,
    cut_part,
    increment_part,
    joint_part,
    spline_part,
)
from falx.studies.outcome.rates import CohortThreshold, RateCurves, cohort_threshold
from falx.studies.outcome.score_model import (
    FORMAT,
    MODELLED,
    CohortModels,
    Prognoses,
    Validated,
    hold_against,
    prognoses,
)
from falx.studies.outcome.sound import coarse, kept_numbers, too_few
from falx.studies.outcome.table_one import Described, check_table_one, describe
from falx.studies.signature.modalities import MODALITIES

__all__ = ["OutcomeSettings", "OutcomeStudy", "study_outcome"]

T = TypeVar("T")

SCALES: Mapping[str, tuple[float, str]] = {
    **{f"ai_{modality.key}": (100, "percentage point") for modality in MODALITIES},
    "ai_pet_z5": (100, "percentage point"),
    "rate_hippocampus": (100, "percentage point"),
    "rate_hippocampus_published": (100, "percentage point"),
    "rate_hippocampus_own": (100, "percentage point"),
    "rate_amygdala": (100, "percentage point"),
    "rate_mesial_temporal": (100, "percentage point"),
    "ablation_mm3": (0.001, "1000 mm³"),
    "ablation_voxels": (0.001, "1000 voxels"),
    "ablation_per_tiv": (1000, "thousandth of the intracranial volume"),
    "ablation_per_volume": (100, "percentage point"),
    **dict.fromkeys(("hippocampus_mm3", "amygdala_mm3"), (0.001, "1000 mm³")),
    **dict.fromkeys(("left_side", "seeg"), (1, "yes against no")),
    **dict.fromkeys(("age_years", "onset_years", "duration_years"), (1, "year")),
    "ablated_share_hippocampus": (100, "percentage point"),
}
"""Multiplier of a number in models, and what one unit is then; others stay as they are."""

CLINICAL = ("left_side", "seeg", "age_years", "onset_years", "duration_years")
MEASURED = ("age_years", "onset_years", "duration_years", "follow_up_months")
COUNTED = ("sex", "left_side", "seeg")
ABLATED = ("ablation_voxels", "ablation_mm3", "ablation_per_tiv", "ablation_per_volume")
ANATOMY = ("ablation_mm3", "ablation_voxels", "ablated_share_hippocampus")
"""What every surgeon knows without a signature; a score must say more than these."""
ASYMMETRIES = tuple(f"ai_{modality.key}" for modality in reversed(MODALITIES))
HIPPOCAMPAL = ("rate_hippocampus", "rate_hippocampus_published", "rate_hippocampus_own")
"""Rate at the run's threshold, at the published one, and at the cohort's own."""
RATES = (*HIPPOCAMPAL, "rate_amygdala", "rate_mesial_temporal")
VOLUMES = (
    "hippocampus_mm3",
    "hippocampus_difference_mm3",
    "amygdala_mm3",
    "amygdala_difference_mm3",
    "tiv_mm3",
)


@dataclass(frozen=True)
class OutcomeSettings:
    """Statistics of the outcome."""

    outcome_coding: str = option("auto", help="what the outcome column holds", choices=CODINGS)
    ilae_seizure_free: int = option(
        1, help="highest ILAE class that counts as free of seizures", low=1, high=5
    )
    adjust_for: tuple[str, ...] = option(
        ("left_side", "seeg", "onset_years"),
        help="numbers that the adjusted curves are adjusted for",
    )
    least_follow_up_months: float = option(
        12.0, help="who was followed for less is left out", unit="months", low=0, high=600
    )
    table_one: tuple[str, ...] = option(
        (), help="further columns of table one, as HEADER, HEADER:number or HEADER:category; all "
        "if empty",
    )  # fmt: skip
    validate: Path | None = option(
        None, help="model file of another centre, held against these patients"
    )
    family: tuple[str, ...] = option(
        FAMILY, help="tests that Holm's correction takes together, as kind:number"
    )
    resamples: int = option(2000, help="bootstrap resamples", low=20, high=100_000)
    permutations: int = option(5000, help="permutations", low=20, high=1_000_000)
    iterations: int = option(
        1000, help="repeats of the cross-validated additive model", low=5, high=100_000
    )
    boosting_rounds: int = option(3, help="rounds of the additive model", low=1, high=1000)
    seed: int = option(2025, help="seed of all resampling", low=0, high=2**31)

    def __post_init__(self) -> None:
        check_settings(self)
        check_family(self.family)
        check_table_one(self.table_one)


@dataclass(frozen=True, eq=False)
class OutcomeStudy:
    """Everything the group level found; `refused` names each part that could not be computed.

    `cohort` has the rate at its own threshold among its values, where there is one.
    """

    cohort: Cohort
    settings: OutcomeSettings
    counts: tuple[CountComparison, ...]
    clinical: tuple[GroupComparison, ...]
    modalities: tuple[GroupComparison, ...]
    thresholds: tuple[CohortThreshold, ...]
    rates: tuple[GroupComparison, ...]
    models: tuple[UnivariateModel, ...]
    splines: tuple[SplinePart, ...]
    cuts: tuple[CutPart, ...]
    additive: AdditivePart | None
    increments: tuple[IncrementPart, ...]
    family: tuple[Member, ...]
    refused: tuple[str, ...]
    described: tuple[Described, ...] = ()
    joint: JointPart | None = None
    prognoses: tuple[Prognoses, ...] = ()
    validated: tuple[Validated, ...] = ()

    @property
    def models_file(self) -> CohortModels:
        """What another centre may use, without any patient."""
        models = tuple(one.model for one in self.prognoses)
        remark = "" if models else "no model could be made; the warnings of the results say why"
        return CohortModels(FORMAT, self.cohort.source, models, remark)

    @property
    def compared(self) -> bool:
        """Whether the outcomes could be compared at all."""
        return not too_few(self.cohort)

    def held_out(self, part: CutPart) -> HeldOut:
        """Cross-validated figures of a cut; the cohort's own threshold is taken anew as well."""
        own = [t.nested for t in self.thresholds if t.rule == "default" and t.nested is not None]
        return own[0] if part.name == HIPPOCAMPAL[2] and own else part.nested

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before any figure."""
        if not self.compared:
            return self.refused
        free = int(self.cohort.seizure_free.sum())
        n = len(self.cohort.subjects)
        done = sum(member.p is not None for member in self.family)
        said = [
            (
                f"{n} patients, {free} seizure free and {n - free} not: the smaller group "
                "limits every model."
            ),
            (
                f"{len(self.models)} univariate models were tried; with so many tests a P below "
                f"0.05 can be chance. Holm's correction is given over the {done} tests of the "
                "declared family."
            ),
        ]
        rule = self.cohort.definition
        if rule is not None and not rule.published:
            said.append(
                f"Signatures and rates are {rule}; the published cut of "
                f"{PUBLISHED_RATE_CUT:.2%} is of another definition and is tried on the rates of "
                f"the published chain only. {carried_rate_words(rule)}"
            )
        sizes = [part.sizes for part in self.splines if part.sizes]
        needed = min((s.needed for s in sizes), default=0)
        if n < needed:
            said.append(
                f"Even the best-fitting spline would need about {needed} patients by Riley's "
                "criteria; all curves are exploratory."
            )
        if sizes and min(s.events_per_parameter for s in sizes) < 10:
            fewest = min(s.events_per_parameter for s in sizes)
            said.append(f"Only {fewest:.1f} events per parameter of the spline (10 are asked).")
        return (*said, *self.refused)


def study_outcome(
    cohort: Cohort,
    settings: OutcomeSettings | None = None,
    model: CohortModels | None = None,
) -> OutcomeStudy:
    """Run the whole group study on a cohort; hold another centre's `model` against it.

    A part whose numbers are absent is left out; a part that the data do not allow is named in
    :attr:`OutcomeStudy.refused` with its reason.
    """
    chosen = settings or OutcomeSettings()
    refused: list[str] = []
    few = too_few(cohort)
    if few:
        return OutcomeStudy(
            cohort, chosen, (), (), (), (), (), (), (), (), None, (), (), refused=few
        )
    thresholds = _thresholds(cohort, chosen, refused)
    whole = _with_own_rate(cohort, thresholds)
    cohort, left_out = kept_numbers(whole)
    refused.extend(left_out)
    refused.extend(coarse(cohort))
    modalities = _comparisons(cohort, ASYMMETRIES, refused, adjusted=True)
    rates = _comparisons(cohort, RATES, refused)
    cuts = _cuts(cohort, chosen, refused)
    increments = _increments(cohort, chosen, refused)
    described, not_described = describe(cohort, chosen.table_one)
    refused.extend(not_described)
    return OutcomeStudy(
        cohort=whole,
        settings=chosen,
        counts=_counts(cohort, refused),
        clinical=_comparisons(cohort, MEASURED, refused),
        modalities=modalities,
        thresholds=thresholds,
        rates=rates,
        models=tuple(_models(cohort)),
        splines=tuple(_splines(cohort, chosen)),
        cuts=cuts,
        additive=_additive(cohort, chosen, refused),
        increments=increments,
        family=adjust_family(chosen.family, (*modalities, *rates), cuts, increments),
        described=described,
        joint=_joint(cohort, refused),
        prognoses=_prognoses(cohort, chosen, refused),
        validated=_validated(cohort, model, refused),
        refused=tuple(refused),
    )


def _joint(cohort: Cohort, refused: list[str]) -> JointPart | None:
    """Ablation, ablated share, rate and asymmetry in one model, as far as they are there."""
    volume = [name for name in ANATOMY[:2] if cohort.has(name)][:1]
    anatomy = tuple(volume + [n for n in ANATOMY[2:] if cohort.has(n)])
    signature = tuple(name for name in ("rate_hippocampus", "ai_pet") if cohort.has(name))
    if not anatomy or len(signature) < 2:
        return None
    make = partial(joint_part, cohort, anatomy, signature, SCALES)
    said = "Anatomy and signature not put into one model"
    return next(iter(_made(refused, [(said, make)])), None)


def _prognoses(
    cohort: Cohort, settings: OutcomeSettings, refused: list[str]
) -> tuple[Prognoses, ...]:
    parts = (
        (
            f"No prognosis by the {label(name)}",
            partial(prognoses, cohort, name, _generator(settings, 80 + i)),
        )
        for i, name in enumerate(MODELLED)
        if cohort.has(name)
    )
    return _made(refused, parts)


def _validated(
    cohort: Cohort, model: CohortModels | None, refused: list[str]
) -> tuple[Validated, ...]:
    parts = (
        (
            f"Model of the {label(one.score)} not held against these patients",
            partial(hold_against, cohort, one),
        )
        for one in (() if model is None else model.models)
    )
    return _made(refused, parts)


def _generator(settings: OutcomeSettings, part: int) -> np.random.Generator:
    """Return a stream per part, so that one part's numbers do not depend on another's."""
    return np.random.default_rng([settings.seed, part])


def _made(refused: list[str], parts: Iterable[tuple[str, Callable[[], T]]]) -> tuple[T, ...]:
    """Make every part, or say why there is none behind the words that name it."""
    found = []
    for named, make in parts:
        try:
            found.append(make())
        except InputError as reason:
            refused.append(f"{named}: {reason}")
    return tuple(found)


def _thresholds(
    cohort: Cohort, settings: OutcomeSettings, refused: list[str]
) -> tuple[CohortThreshold, ...]:
    def one(rule: str, curves: RateCurves, i: int) -> CohortThreshold:
        return cohort_threshold(
            curves,
            cohort.seizure_free,
            rule=rule,
            n_resamples=settings.resamples,
            rng=_generator(settings, 40 + i),
        )

    parts = (
        (f"No threshold of this cohort ({rule} rule)", partial(one, rule, curves, i))
        for i, (rule, curves) in enumerate(cohort.curves.items())
    )
    return _made(refused, parts)


def _with_own_rate(cohort: Cohort, thresholds: tuple[CohortThreshold, ...]) -> Cohort:
    own = [found.rates for found in thresholds if found.rule == "default"]
    if not own:
        return cohort
    return replace(cohort, values={**cohort.values, "rate_hippocampus_own": own[0]})


def _covariates(cohort: Cohort, name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    sets = (
        ("intracranial volume", ("tiv_mm3",)),
        ("hippocampus and amygdala volume", ("hippocampus_mm3", "amygdala_mm3")),
        ("volume differences", ("hippocampus_difference_mm3", "amygdala_difference_mm3")),
    )
    return tuple((label, names) for label, names in sets if cohort.has(name, *names))


def _comparisons(
    cohort: Cohort, names: tuple[str, ...], refused: list[str], *, adjusted: bool = False
) -> tuple[GroupComparison, ...]:
    parts = (
        (
            f"Groups not compared on {label(name)}",
            partial(compare_groups, cohort, name, _covariates(cohort, name) if adjusted else ()),
        )
        for name in names
        if cohort.has(name)
    )
    return _made(refused, parts)


def _counts(cohort: Cohort, refused: list[str]) -> tuple[CountComparison, ...]:
    parts = (
        (f"{label(name)} not compared", partial(compare_counts, cohort, name))
        for name in COUNTED
        if cohort.has(name)
    )
    return _made(refused, parts)


def _models(cohort: Cohort) -> list[UnivariateModel]:
    found = []
    for name in (*CLINICAL, *ABLATED, *ASYMMETRIES, *RATES):
        if cohort.has(name):
            scale, unit = SCALES.get(name, (1, "unit"))
            outcome = cohort.seizure_free.astype(float)
            found.append(
                univariate_logistic(scale * cohort.values[name], outcome, name, unit=unit)
            )
    return found


def _splines(cohort: Cohort, settings: OutcomeSettings) -> list[SplinePart]:
    return [
        spline_part(
            cohort,
            name,
            scale=SCALES[name][0],
            unit=SCALES[name][1],
            adjust_for=settings.adjust_for,
            n_resamples=settings.resamples,
            rng=_generator(settings, 10 + i),
        )
        for i, name in enumerate((*ASYMMETRIES, *HIPPOCAMPAL))
        if cohort.has(name)
    ]


def _cuts(cohort: Cohort, settings: OutcomeSettings, refused: list[str]) -> tuple[CutPart, ...]:
    parts = (
        (
            f"No cut of the {label(name)}",
            partial(
                cut_part,
                cohort,
                name,
                published_cut=cut,
                n_resamples=settings.resamples,
                n_permutations=settings.permutations,
                rng=_generator(settings, 20 + i),
            ),
        )
        for i, (name, cut) in enumerate(_published_cuts(cohort).items())
        if cohort.has(name)
    )
    return _made(refused, parts)


def _increments(
    cohort: Cohort, settings: OutcomeSettings, refused: list[str]
) -> tuple[IncrementPart, ...]:
    scores = (*HIPPOCAMPAL, "rate_mesial_temporal", "ai_pet")
    pairs = [(s, m) for s in scores for m in ANATOMY if cohort.has(s, m)]
    parts = (
        (
            f"{label(name)} not set against the {label(measure)}",
            partial(
                increment_part,
                cohort,
                name,
                measure,
                scales=(SCALES[name], SCALES[measure]),
                n_resamples=settings.resamples,
                rng=_generator(settings, 60 + i),
            ),
        )
        for i, (name, measure) in enumerate(pairs)
    )
    return _made(refused, parts)


def _of_another_definition(cohort: Cohort) -> bool:
    """Whether rates of this cohort are known to be made by another rule than the published."""
    return cohort.definition is not None and not cohort.definition.published


def _published_cuts(cohort: Cohort) -> dict[str, float | None]:
    """Scores to cut, each with the published cut where it is of the published definition.

    That of the asymmetry is on the z + 5 scale.
    """
    other_scale = cohort.has("ai_pet_z5")
    other = _of_another_definition(cohort)
    own = None if other else PUBLISHED_RATE_CUT
    return {
        HIPPOCAMPAL[0]: own,
        HIPPOCAMPAL[1]: PUBLISHED_RATE_CUT,
        "ai_pet": None if other_scale or other else PUBLISHED_AI_THRESHOLD,
        HIPPOCAMPAL[2]: own,
        "ai_pet_z5": PUBLISHED_AI_THRESHOLD,
        "rate_mesial_temporal": None,
    }


def _additive(
    cohort: Cohort, settings: OutcomeSettings, refused: list[str]
) -> AdditivePart | None:
    predictors = tuple(name for name in VOLUMES if cohort.has(name))
    if not predictors or not cohort.has("ai_pet"):
        return None
    make = partial(
        additive_part,
        cohort,
        "ai_pet",
        predictors,
        rounds=settings.boosting_rounds,
        n_iterations=settings.iterations,
        n_permutations=min(1000, settings.permutations),
        rng=_generator(settings, 30),
    )
    return next(iter(_made(refused, [("No additive model", make)])), None)
