"""The cohort's models of the outcome by an ablative rate, as a file that holds no patient.

A centre writes them, another centre predicts a new patient with them or holds them against its
own patients. A rate belongs to a model only if both are of one definition; outside the range of
the cohort that made it, a model says nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from falx.clinical.bayes import (
    LITERATURE,
    WEAK,
    Chance,
    Kept,
    Posterior,
    Prior,
    chances,
    draws_of,
    kept,
    posterior,
)
from falx.clinical.bayes_checks import (
    FixedTruth,
    PredictiveCheck,
    fixed_truths,
    predictive_checks,
    simulated_ranks,
)
from falx.clinical.external import ExternalValidation, validate_probabilities
from falx.clinical.logistic.firth import fit_firth
from falx.core.checks import Bools, Floats
from falx.core.errors import InputError, check_option
from falx.pet.metrics import Definition
from falx.studies.outcome.cohort import Cohort
from falx.studies.outcome.sound import DISTINCT, LEAST

__all__ = [
    "FORMAT",
    "MODELLED",
    "CohortModels",
    "Error",
    "Line",
    "Prognoses",
    "ScoreModel",
    "Validated",
    "check_format",
    "hold_against",
    "predict",
    "prognoses",
]

FORMAT = "falx outcome model 2"
MODELLED = ("rate_hippocampus", "rate_hippocampus_published", "rate_mesial_temporal")
PRIORS = {prior.name: prior for prior in (LITERATURE, WEAK)}
N_DRAWS = 2000
ODDS_RATIOS = (1.0, 1.6, 2.2, 3.3)
"""Per standard deviation: relations for which a model's error is simulated."""


@dataclass(frozen=True)
class Line:
    """Posterior draws of intercept and slope per standard deviation under one prior."""

    prior: Prior
    intercept: tuple[float, ...]
    slope: tuple[float, ...]


@dataclass(frozen=True)
class ScoreModel:
    """The model of one rate.

    Parameters
    ----------
    score, definition
        Which rate, and by which rule its signature was made.
    n, events
        Patients of the cohort, and those free of seizures.
    low, high
        Range of the rate, rounded outwards to whole per cent: no patient's own value.
    centre, scale
        Mean and standard deviation that the lines refer to.
    log_odds, log_odds_se
        Penalised slope per percentage point, for meta-analysis.
    lines
        By the name of the prior.
    fingerprint
        Digest of rates and outcomes, by which a cohort knows a model of its own.
    """

    score: str
    definition: Definition | None
    n: int
    events: int
    low: float
    high: float
    centre: float
    scale: float
    log_odds: float
    log_odds_se: float
    lines: Mapping[str, Line]
    fingerprint: str = ""


@dataclass(frozen=True)
class CohortModels:
    """What the file holds; `format` names its layout."""

    format: str
    source: str
    models: tuple[ScoreModel, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Calibration:
    """Cohorts drawn from a prior at these patients' rates whose 95 % limits held the truth."""

    prior: str
    held: int
    cohorts: int


@dataclass(frozen=True)
class Error:
    """What a model of these patients' rates is worth under a prior where the truth is fixed."""

    prior: str
    found: FixedTruth


@dataclass(frozen=True, eq=False)
class Prognoses:
    """A model beside what it says of rates and how it was checked.

    `rates` (m,) run over the cohort's range, `weak` and `literature` are the chances there;
    `calibration` is simulation-based (Talts 2018), `errors` are those of cohorts of one fixed
    relation, and `kept` says whether the data contradict the literature.
    """

    model: ScoreModel
    rates: Floats
    weak: tuple[Chance, ...]
    literature: tuple[Chance, ...]
    checks: tuple[tuple[str, PredictiveCheck], ...]
    calibration: tuple[Calibration, ...]
    errors: tuple[Error, ...]
    kept: Kept


@dataclass(frozen=True, eq=False)
class Validated:
    """Another centre's model on these patients; `outside` were beyond its range and left out."""

    model: ScoreModel
    score: str
    outside: int
    found: ExternalValidation


def prognoses(cohort: Cohort, name: str, rng: np.random.Generator) -> Prognoses:
    """Model the outcome by one rate of a cohort, under both priors, and check the model."""
    keep = cohort.complete(name)
    x, free = cohort.values[name][keep], cohort.seizure_free[keep]
    if min(free.sum(), np.sum(~free)) < LEAST:
        raise InputError(
            f"a prognosis needs at least {LEAST} patients of each outcome with this rate",
            found=f"{int(free.sum())} seizure free of {len(free)}",
            do="add patients, or pool centres",
        )
    if len(np.unique(x)) < DISTINCT:
        raise InputError(
            f"a prognosis needs at least {DISTINCT} different rates, not to guess between them",
            found=f"{len(np.unique(x))} among {len(x)} patients",
            do="check that the rates are those of different patients",
        )
    penalised = fit_firth(100 * x, free)
    low, high = math.floor(100 * x.min()) / 100, math.ceil(100 * x.max()) / 100
    at = np.linspace(low, high, 9)
    found = {prior.name: posterior(x, free, prior) for prior in PRIORS.values()}
    model = ScoreModel(
        score=name,
        definition=cohort.definition_of(name),
        n=len(x),
        events=int(free.sum()),
        low=low,
        high=high,
        centre=float(x.mean()),
        scale=float(x.std(ddof=1)),
        log_odds=float(penalised.coefficients[1]),
        log_odds_se=float(penalised.se[1]),
        lines={prior: _line(one, rng) for prior, one in found.items()},
        fingerprint=_fingerprint(x, free),
    )
    checks = [
        (prior, check)
        for prior, one in found.items()
        for check in predictive_checks(one, x, free, rng)
    ]
    return Prognoses(
        model,
        at,
        chances(found[WEAK.name], at),
        chances(found[LITERATURE.name], at),
        tuple(checks),
        tuple(_calibration(x, prior, rng) for prior in PRIORS.values()),
        tuple(_errors(x, free, rng)),
        kept(found[LITERATURE.name]),
    )


def _line(found: Posterior, rng: np.random.Generator) -> Line:
    drawn = draws_of(found, N_DRAWS, rng).round(4)
    return Line(found.prior, tuple(drawn[:, 0].tolist()), tuple(drawn[:, 1].tolist()))


def _calibration(x: Floats, prior: Prior, rng: np.random.Generator) -> Calibration:
    _, drawn = simulated_ranks(x, prior, rng, n_cohorts=100, n_grid=41)
    true, low, high = drawn.T
    return Calibration(prior.name, int(np.sum((true >= low) & (true <= high))), len(true))


def _errors(x: Floats, free: Bools, rng: np.random.Generator) -> Iterator[Error]:
    """Errors in cohorts of these rates (n,) and of as many seizure-free patients (n,)."""
    for prior in PRIORS.values():
        for one in fixed_truths(x, float(free.mean()), prior, ODDS_RATIOS, rng):
            yield Error(prior.name, one)


def _fingerprint(x: Floats, free: Bools) -> str:
    """Digest of rates and outcomes (n,), whatever the order of the patients."""
    rows = sorted(zip(x.round(9).tolist(), free.tolist(), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def predict(
    model: ScoreModel, rate: float, definition: Definition | None, *, prior: str = LITERATURE.name
) -> Chance:
    """Chance that a new patient with this rate becomes free of seizures.

    Raises
    ------
    InputError
        If the rate is of another definition, or lies outside the cohort that made the model.
    """
    check_option("prior", prior, model.lines)
    check_definition(model, definition)
    if not model.low <= rate <= model.high:
        raise InputError(
            "the rate lies outside the cohort that made the model, which says nothing there",
            found=f"{rate:.1%}; the cohort's rates run from {model.low:.0%} to {model.high:.0%}",
            do="describe the patient without a prognosis",
        )
    p = _probabilities(model, np.array([rate]), prior)[:, 0]
    low, high = np.quantile(p, [0.025, 0.975])
    return Chance(float(p.mean()), float(low), float(high))


def check_definition(model: ScoreModel, definition: Definition | None) -> None:
    """Raise unless a rate of this definition may enter the model."""
    if definition is None or definition != model.definition:
        told = [str(one) if one else "not stated" for one in (model.definition, definition)]
        raise InputError(
            "the model belongs to rates of another definition",
            found=f"model: {told[0]}; rate: {told[1]}",
            do="use the rate that is made by the model's rule, or a model made of such rates",
        )


def _probabilities(model: ScoreModel, rates: Floats, prior: str) -> Floats:
    """Chances (B, m) of every draw at rates (m,)."""
    line = model.lines[prior]
    z = (rates - model.centre) / model.scale
    return np.asarray(expit(np.array(line.intercept)[:, None] + np.outer(line.slope, z)))


def hold_against(cohort: Cohort, model: ScoreModel) -> Validated:
    """Hold a model against this cohort's patients, on the rate of the model's definition.

    Raises
    ------
    InputError
        If no rate of the cohort has that definition, or its patients are too few.
    """
    for name in (model.score, "rate_hippocampus_published", "rate_hippocampus"):
        region = name.removesuffix("_published")
        if region != model.score.removesuffix("_published") or not cohort.has(name):
            continue
        if model.definition is not None and cohort.definition_of(name) == model.definition:
            break
    else:
        has = str(cohort.definition) if cohort.definition else "not stated"
        raise InputError(
            "no rate of these patients is of the model's definition",
            found=f"model: {model.definition or 'not stated'}; these patients: {has}",
            do="run the participant level with the configuration of the centre that made it",
        )
    keep = cohort.complete(name)
    x, free = cohort.values[name][keep], cohort.seizure_free[keep]
    if model.fingerprint and model.fingerprint == _fingerprint(x, free):
        raise InputError(
            "the model was made from these very patients, so that it validates nothing",
            do="hold it against patients of another centre or another time",
        )
    inside = (x >= model.low) & (x <= model.high)
    free = free[inside]
    if min(free.sum(), np.sum(~free)) < LEAST:
        raise InputError(
            f"at least {LEAST} patients of each outcome with a rate in the model's range are "
            "needed",
            found=f"{int(free.sum())} seizure free of {len(free)}; "
            f"{int(np.sum(~inside))} outside {model.low:.0%} to {model.high:.0%}",
            do="add patients, or validate where the model's range is reached",
        )
    p = _probabilities(model, x[inside], LITERATURE.name).mean(axis=0)
    return Validated(model, name, int(np.sum(~inside)), validate_probabilities(p, free))


def check_format(found: CohortModels, where: object) -> CohortModels:
    """Return the content of a model file, or raise if it is none."""
    if found.format != FORMAT:
        raise InputError(
            "the file is no outcome model of this version",
            where=where,
            found=found.format,
            do="fit the model again with this version",
        )
    if not found.models:
        raise InputError(
            "the file holds no model",
            where=where,
            found=found.remark or "an empty list",
            do="give the model file that the group level wrote",
        )
    return found
