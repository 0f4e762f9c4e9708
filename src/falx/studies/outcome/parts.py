"""The parts of the group study of outcome; each is a function of a cohort and a generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from falx.clinical.additive import (
    AdditiveStudy,
    PartialDependence,
    PermutedFit,
    cross_validate_additive,
    cross_validate_linear,
    partial_dependence,
    permute_additive,
)
from falx.clinical.ancova import Ancova, ancova
from falx.clinical.contingency import ChiSquare, FisherTest, association, cross_table
from falx.clinical.group_tests import (
    LeveneTest,
    RankTest,
    Summary,
    TTest,
    levene,
    mann_whitney,
    student_t,
    summarise,
    welch_t,
)
from falx.clinical.increment import Increment, Slope, increment, slope_test
from falx.clinical.logistic.firth import fit_firth
from falx.clinical.logistic.fit import fit_logistic, likelihood_ratio
from falx.clinical.logistic.separation import SeparatedError
from falx.clinical.logistic.spline_model import (
    SplineFit,
    TurningPoint,
    fit_spline,
    runs_away,
    turning_points,
)
from falx.clinical.model_validation import (
    CurvePeak,
    ModelValidation,
    bootstrap_peak,
    leave_one_out_probabilities,
    validate_model,
)
from falx.clinical.roc.curve import Auc, RocCurve, YoudenCut, auc, roc_curve, youden_cut
from falx.clinical.roc.cut_validation import (
    CutOptimism,
    HeldOut,
    cut_optimism,
    leave_one_out_cut,
    nested_cut,
)
from falx.clinical.roc.cuts import CutPerformance, cut_performance
from falx.clinical.roc.decision import DecisionCurve, SampleSize, decision_curve, sample_size
from falx.clinical.roc.resampling import (
    AucBootstrap,
    CutStability,
    MaximalTest,
    bootstrap_auc,
    cut_stability,
    permute_auc,
    permute_youden,
)
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError
from falx.studies.outcome.cohort import Cohort

__all__ = [
    "AdditivePart",
    "CountComparison",
    "Criterion",
    "CutPart",
    "GroupComparison",
    "IncrementPart",
    "JointPart",
    "JointTerm",
    "SplinePart",
    "additive_part",
    "compare_counts",
    "compare_groups",
    "cut_part",
    "increment_part",
    "joint_part",
    "spline_part",
]


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """One number in both outcome groups (first: not seizure free)."""

    name: str
    not_free: Summary
    free: Summary
    student: TTest
    welch: TTest
    rank: RankTest
    spread: LeveneTest | None
    adjusted: tuple[tuple[str, Ancova], ...]
    values: Floats
    seizure_free: Bools


@dataclass(frozen=True)
class CountComparison:
    """A yes/no variable in both outcome groups."""

    name: str
    counts: tuple[tuple[int, ...], ...]
    test: ChiSquare | FisherTest


@dataclass(frozen=True)
class Criterion:
    """Bayesian information criterion of a curve; ``None`` where it runs to infinity."""

    knots: int
    bic: float | None
    remark: str = ""


@dataclass(frozen=True, eq=False)
class SplinePart:
    """The curve of one predictor: unadjusted and adjusted fit, or why there is none."""

    name: str
    unit: str
    plain: SplineFit | None
    adjusted: SplineFit | None
    adjusted_for: tuple[str, ...]
    turns: tuple[TurningPoint, ...]
    peak: CurvePeak | None
    linear_validation: ModelValidation | None
    spline_validation: ModelValidation | None
    sizes: SampleSize | None
    message: str = ""
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True, eq=False)
class CutPart:
    """A score cut in two: apparent figures, and those of patients not used for the cut."""

    name: str
    curve: RocCurve
    area: Auc
    resampled_area: AucBootstrap
    area_permutation: MaximalTest
    best: YoudenCut
    at_best: CutPerformance
    at_published: CutPerformance | None
    stability: CutStability
    permutation: MaximalTest
    nested: HeldOut
    leave_one_out: HeldOut
    optimism: CutOptimism
    decision: DecisionCurve
    values: Floats
    seizure_free: Bools

    @property
    def gap(self) -> tuple[float, float]:
        """Nearest patients on both sides of the best cut: any cut between them is as good."""
        below = self.values[self.values <= self.best.threshold]
        above = self.values[self.values > self.best.threshold]
        return float(below.max()), float(above.min())


@dataclass(frozen=True, eq=False)
class IncrementPart:
    """What a score adds to a measure of anatomy; odds ratios are per named unit of each."""

    name: str
    unit: str
    measure: str
    measure_unit: str
    found: Increment


@dataclass(frozen=True)
class JointTerm:
    """One number in the model that holds all of them; the odds ratio is penalised."""

    name: str
    unit: str
    slope: Slope


@dataclass(frozen=True)
class JointPart:
    """Anatomy and signature in one model.

    `p_signature` tests the numbers of the signature together beside those of anatomy (likelihood
    ratio), ``None`` where the outcomes are separated.
    """

    n: int
    events: int
    terms: tuple[JointTerm, ...]
    p_signature: float | None
    signature: tuple[str, ...]
    anatomy: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AdditivePart:
    """The additive model of metabolic asymmetry on volumes, beside one straight line."""

    study: AdditiveStudy
    dependence: PartialDependence
    permuted: PermutedFit
    baseline_name: str
    baseline_r: float
    baseline_r2: float
    subjects: tuple[str, ...]
    response: Floats
    predictors: Floats


def compare_groups(
    cohort: Cohort, name: str, adjust_for: tuple[tuple[str, tuple[str, ...]], ...] = ()
) -> GroupComparison:
    """Compare one number between the outcomes, plain and adjusted for covariates."""
    keep = cohort.complete(name)
    x, free = cohort.values[name][keep], cohort.seizure_free[keep]
    first, second = x[~free], x[free]
    adjusted = []
    for label, covariates in adjust_for:
        rows = cohort.complete(name, *covariates)
        matrix = np.column_stack([cohort.values[c][rows] for c in covariates])
        found = ancova(cohort.values[name][rows], cohort.seizure_free[rows], matrix)
        adjusted.append((label, found))
    return GroupComparison(
        name=name,
        not_free=summarise(first),
        free=summarise(second),
        student=student_t(first, second),
        welch=welch_t(first, second),
        rank=mann_whitney(first, second),
        spread=_spread(first, second),
        adjusted=tuple(adjusted),
        values=x,
        seizure_free=free,
    )


def _spread(first: Floats, second: Floats) -> LeveneTest | None:
    try:
        return levene(first, second)
    except InputError:
        return None


def compare_counts(cohort: Cohort, name: str) -> CountComparison:
    """Compare a coded variable between the outcomes."""
    keep = cohort.complete(name)
    table = cross_table(cohort.values[name][keep], cohort.seizure_free[keep])
    rows = tuple(tuple(int(c) for c in row) for row in table)
    return CountComparison(name, rows, association(table))


def spline_part(
    cohort: Cohort,
    name: str,
    *,
    scale: float,
    unit: str,
    adjust_for: tuple[str, ...],
    n_resamples: int,
    rng: np.random.Generator,
) -> SplinePart:
    """Fit and validate the curve of one predictor, in units of 1 / `scale`."""
    keep = cohort.complete(name)
    x, free = scale * cohort.values[name][keep], cohort.seizure_free[keep]
    try:
        plain = fit_spline(x, free, name=name)
    except SeparatedError:
        said = "the curve separates the outcomes and runs to infinity. "
        said += _penalised(x, free, unit)
        return SplinePart(name, unit, None, None, (), (), None, None, None, None, message=said)
    except InputError as reason:
        return SplinePart(
            name, unit, None, None, (), (), None, None, None, None, message=str(reason)
        )
    turns = turning_points(plain)
    peak = None
    if turns:
        peak = bootstrap_peak(x, free, kind=turns[0].kind, n_resamples=n_resamples, rng=rng)
    adjusted, message = _adjusted(cohort, name, scale, adjust_for)
    if runs_away(plain):
        message = (
            "Within the observed range the curve's odds ratios leave what can be estimated "
            f"(beyond a million to one). {_penalised(x, free, unit)} {message}"
        ).strip()
    validations, refused = _validations(x, free, n_resamples, rng)
    message = f"{message} {refused}".strip()
    ratio = likelihood_ratio(plain.model).statistic
    return SplinePart(
        name=name,
        unit=unit,
        plain=plain,
        adjusted=adjusted,
        adjusted_for=tuple(c for c in adjust_for if cohort.has(c)) if adjusted else (),
        turns=turns,
        peak=peak,
        linear_validation=validations.get(None),
        spline_validation=validations.get(3),
        sizes=sample_size(len(x), int(free.sum()), max(ratio, 1e-6), 2),
        message=message,
        criteria=(
            Criterion(0, plain.linear.bic),
            Criterion(3, plain.model.bic),
            *(_criterion(x, free, n_knots) for n_knots in (4, 5)),
        ),
    )


def _validations(
    x: Floats, free: Bools, n_resamples: int, rng: np.random.Generator
) -> tuple[dict[int | None, ModelValidation], str]:
    """Validate the straight line (None) and three knots; say why where it is not possible."""
    found, said = {}, []
    for n_knots in (None, 3):
        try:
            found[n_knots] = validate_model(
                x, free, n_knots=n_knots, n_resamples=max(20, n_resamples // 5), n_repeats=20,
                rng=rng,
            )  # fmt: skip
        except InputError as reason:
            said.append(f"Not validated: {reason}")
    return found, " ".join(said)


def _criterion(x: Floats, free: Bools, n_knots: int) -> Criterion:
    try:
        fit = fit_spline(x, free, n_knots=n_knots)
    except SeparatedError:
        return Criterion(n_knots, None, "separates the outcomes and runs to infinity")
    except InputError as reason:
        return Criterion(n_knots, None, str(reason))
    if runs_away(fit):
        return Criterion(n_knots, fit.model.bic, "odds ratios beyond a million to one")
    return Criterion(n_knots, fit.model.bic)


def _penalised(x: Floats, free: Bools, unit: str) -> str:
    """Say the penalised straight line through a predictor (n,) where no curve can be given."""
    found = slope_test(x, free)
    return (
        f"Penalised straight line: odds ratio {_firth_ratio(x, free):.4g} per {unit}, "
        f"P = {found.p_penalised:.3f}."
    )


def _firth_ratio(x: Floats, free: Bools) -> float:
    return float(np.exp(min(fit_firth(x, free).coefficients[1], 700.0)))


def _adjusted(
    cohort: Cohort, name: str, scale: float, adjust_for: tuple[str, ...]
) -> tuple[SplineFit | None, str]:
    present = tuple(c for c in adjust_for if cohort.has(c))
    if not present:
        return None, "no covariate to adjust for"
    keep = cohort.complete(name, *present)
    matrix = np.column_stack([cohort.values[c][keep] for c in present])
    try:
        fit = fit_spline(
            scale * cohort.values[name][keep],
            cohort.seizure_free[keep],
            name=name,
            covariates=matrix,
        )
    except InputError as reason:
        return None, f"the adjusted model is refused: {reason}"
    return fit, ""


def cut_part(
    cohort: Cohort,
    name: str,
    *,
    published_cut: float | None,
    n_resamples: int,
    n_permutations: int,
    rng: np.random.Generator,
) -> CutPart:
    """Score the best cut of one number; high values speak for seizure freedom."""
    keep = cohort.complete(name)
    x, free = cohort.values[name][keep], cohort.seizure_free[keep]
    if min(free.sum(), np.sum(~free)) < 2:
        raise InputError(
            "a cut cannot be judged with fewer than two patients of each outcome",
            found=f"{int(free.sum())} of {len(free)} free of seizures",
        )
    best = youden_cut(x, free)
    probability = leave_one_out_probabilities(x, free)
    usable = np.isfinite(probability)
    return CutPart(
        name=name,
        curve=roc_curve(x, free),
        area=auc(x, free),
        resampled_area=bootstrap_auc(x, free, n_resamples=n_resamples, rng=rng),
        area_permutation=permute_auc(x, free, n_permutations=n_permutations, rng=rng),
        best=best,
        at_best=cut_performance(x, free, best.threshold),
        at_published=None if published_cut is None else cut_performance(x, free, published_cut),
        stability=cut_stability(x, free, n_resamples=n_resamples, rng=rng),
        permutation=permute_youden(x, free, n_permutations=n_permutations, rng=rng),
        nested=nested_cut(x, free, rng=rng),
        leave_one_out=leave_one_out_cut(x, free),
        optimism=cut_optimism(x, free, n_resamples=n_resamples, rng=rng),
        decision=decision_curve(probability[usable], free[usable]),
        values=x,
        seizure_free=free,
    )


def increment_part(
    cohort: Cohort,
    name: str,
    measure: str,
    *,
    scales: tuple[tuple[float, str], tuple[float, str]],
    n_resamples: int,
    rng: np.random.Generator,
) -> IncrementPart:
    """Ask what one number adds to a measure of anatomy, each times its scale."""
    keep = cohort.complete(name, measure)
    (scale, unit), (other, other_unit) = scales
    found = increment(
        scale * cohort.values[name][keep],
        other * cohort.values[measure][keep],
        cohort.seizure_free[keep],
        n_resamples=n_resamples,
        rng=rng,
    )
    return IncrementPart(name, unit, measure, other_unit, found)


def joint_part(
    cohort: Cohort,
    anatomy: tuple[str, ...],
    signature: tuple[str, ...],
    scales: Mapping[str, tuple[float, str]],
) -> JointPart:
    """Put the numbers of anatomy and of the signature into one model, each times its scale."""
    names = (*anatomy, *signature)
    keep = cohort.complete(*names)
    free = cohort.seizure_free[keep]
    fewer = int(min(free.sum(), np.sum(~free)))
    if fewer < 2 * len(names):
        raise InputError(
            f"{len(names)} slopes need at least {2 * len(names)} patients of each outcome",
            found=f"{fewer} of the rarer outcome among {len(free)}",
        )
    x = np.column_stack([scales[name][0] * cohort.values[name][keep] for name in names])
    slopes = [slope_test(x, free, column) for column in range(len(names))]
    p = None
    if not slopes[0].penalised_only:
        larger, smaller = fit_logistic(x, free), fit_logistic(x[:, : len(anatomy)], free)
        p = likelihood_ratio(larger, smaller).p
    terms = [
        JointTerm(name, scales[name][1], slope) for name, slope in zip(names, slopes, strict=True)
    ]
    return JointPart(len(free), int(free.sum()), tuple(terms), p, signature, anatomy)


def additive_part(
    cohort: Cohort,
    response: str,
    predictors: tuple[str, ...],
    *,
    rounds: int,
    n_iterations: int,
    n_permutations: int,
    rng: np.random.Generator,
) -> AdditivePart:
    """Model an asymmetry on volumes; the first predictor alone is the straight-line baseline."""
    keep = cohort.complete(response, *predictors)
    x = np.column_stack([cohort.values[p][keep] for p in predictors])
    y = cohort.values[response][keep]
    study = cross_validate_additive(
        x, y, names=predictors, rounds=rounds, n_iterations=n_iterations, rng=rng
    )
    leading = int(np.argmax(study.mean_absolute_shapley))
    r, r2, _ = cross_validate_linear(x[:, 0], y, n_iterations=n_iterations, rng=rng)
    return AdditivePart(
        study=study,
        dependence=partial_dependence(x, y, leading, names=predictors, rounds=rounds, rng=rng),
        permuted=permute_additive(x, y, rounds=rounds, n_permutations=n_permutations, rng=rng),
        baseline_name=predictors[0],
        baseline_r=float(r.mean()),
        baseline_r2=r2,
        subjects=tuple(s for s, k in zip(cohort.subjects, keep, strict=True) if k),
        response=y,
        predictors=x,
    )
