"""What a cohort says of one new patient: seizure freedom at a given ablative rate.

A Bayesian logistic model of one slope (:mod:`falx.clinical.bayes`) under the robust prior of the
literature; the weak prior stands beside it. Its interval holds the chance of a new patient in 95 %
of simulated cohorts of thirty, where Wald's interval of the maximum-likelihood fit, and above all
its slope, are too sure. Outside the cohort's range it says nothing. Above the cohort's median rate
no benefit of further coverage is shown (the fitted curve bends down with a wide interval), so a
plan must not be rewarded for it: :attr:`Prognosis.planning_probability` stays at its value at the
median.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from falx.clinical.bayes import LITERATURE, WEAK, Chance, Posterior, chances, posterior
from falx.clinical.logistic.separation import is_separated
from falx.clinical.model_validation import ModelValidation, validate_model
from falx.clinical.roc.curve import Auc, auc
from falx.core.checks import Floats, binary_outcome, vector
from falx.core.errors import InputError, check_range
from falx.core.possible import Probability, Share
from falx.data.mo2025 import MO2025_SOURCE, load_patients

__all__ = ["Prognosis", "PrognosisModel", "fit_prognosis", "prognosis", "published_prognosis"]

MIN_PATIENTS = 10


@dataclass(frozen=True, eq=False)
class PrognosisModel:
    """A cohort's model of outcome by ablative rate, under both priors.

    `rate` (n,) are those of the cohort; `validation` holds the optimism-corrected discrimination,
    None where the rate separates the outcomes.
    """

    source: str
    rate: Floats
    events: int
    literature: Posterior
    weak: Posterior
    area: Auc
    validation: ModelValidation | None

    @property
    def median(self) -> float:
        """Median ablative rate of the cohort."""
        return float(np.median(self.rate))


@dataclass(frozen=True)
class Prognosis:
    """Expected outcome of one patient.

    Parameters
    ----------
    rate
        Ablative rate of the plan, 0…1.
    probability, ci_low, ci_high
        Of seizure freedom, with 95 % credible limits; ``None`` outside the cohort's range.
    planning_probability
        The same, held at the median rate for rates above it.
    n, events, cohort_low, cohort_high, source
        Cohort size, seizure-free patients, range of rates, and where they come from.
    auc, auc_low, auc_high, auc_corrected
        Discrimination: apparent with interval, and corrected for optimism.
    inside_range
        Whether the cohort has patients on both sides of this rate.
    sentences
        What must be said with the number.
    """

    rate: Share
    probability: Probability | None
    ci_low: Probability | None
    ci_high: Probability | None
    planning_probability: Probability | None
    n: int
    events: int
    cohort_low: float
    cohort_high: float
    source: str
    auc: Probability
    auc_low: Probability | None
    auc_high: Probability | None
    auc_corrected: float | None
    inside_range: bool
    sentences: tuple[str, ...]


def fit_prognosis(
    rate: ArrayLike,
    seizure_free: ArrayLike,
    *,
    source: str,
    rng: np.random.Generator,
    n_resamples: int = 400,
) -> PrognosisModel:
    """Fit and validate the model of a cohort.

    Parameters
    ----------
    rate
        Ablative rate of the hippocampus, 0…1, (n,).
    seizure_free
        0 or 1, (n,).
    source
        Named beside every prognosis.
    rng, n_resamples
        For the correction for optimism.
    """
    event = binary_outcome(seizure_free)
    x = vector(rate, "the ablative rate", at_least=len(event))
    if len(x) < MIN_PATIENTS:
        raise InputError(
            "the cohort is too small for a prognosis",
            found=f"{len(x)} patients",
            do=f"use at least {MIN_PATIENTS}, or the published cohort",
        )
    if x.min() < 0 or x.max() > 1:
        raise InputError(
            "ablative rates lie between 0 and 1",
            found=f"{x.min():g} to {x.max():g}",
            do="pass shares, not per cent",
        )
    validation = None
    if not is_separated(x, event):
        validation = validate_model(x, event, n_resamples=n_resamples, n_repeats=20, rng=rng)
    literature, weak = (posterior(x, event, prior) for prior in (LITERATURE, WEAK))
    return PrognosisModel(source, x, int(event.sum()), literature, weak, auc(x, event), validation)


def published_prognosis(*, rng: np.random.Generator) -> PrognosisModel:
    """Return the model of the 30 published patients."""
    patients = load_patients()
    return fit_prognosis(
        patients.rate_hippocampus, patients.seizure_free, source=MO2025_SOURCE, rng=rng
    )


def prognosis(rate: float, model: PrognosisModel) -> Prognosis:
    """Return the probability of seizure freedom at one ablative rate, and its reservations.

    Examples
    --------
    >>> model = published_prognosis(rng=np.random.default_rng(1))
    >>> result = prognosis(0.75, model)
    >>> result.inside_range, result.planning_probability < result.probability
    (True, True)
    >>> print(prognosis(0.9, model).probability)
    None
    """
    check_range("ablative rate", rate, 0, 1)
    least, most = float(model.rate.min()), float(model.rate.max())
    inside = least <= rate <= most
    said, planning = (
        chances(model.literature, [rate, min(rate, model.median)]) if inside else (None, None)
    )
    return Prognosis(
        rate=rate,
        probability=None if said is None else said.mean,
        ci_low=None if said is None else said.low,
        ci_high=None if said is None else said.high,
        planning_probability=None if planning is None else planning.mean,
        n=len(model.rate),
        events=model.events,
        cohort_low=least,
        cohort_high=most,
        source=model.source,
        auc=model.area.auc,
        auc_low=model.area.ci_low,
        auc_high=model.area.ci_high,
        auc_corrected=model.validation.auc_harrell if model.validation else None,
        inside_range=inside,
        sentences=_sentences(rate, said, model),
    )


def _sentences(rate: float, said: Chance | None, model: PrognosisModel) -> tuple[str, ...]:
    if said is None:
        known = f"{model.rate.min():.0%} to {model.rate.max():.0%}"
        told = f"No seizure freedom is predicted: an ablative rate of {rate:.0%} lies outside "
        return (f"{told}{model.source} ({known}), of whom nothing is known there.",)
    (weak,) = chances(model.weak, [rate])
    said_of = [
        (
            f"In {model.source}, {len(model.rate)} patients of whom {model.events} became "
            f"seizure free, the model expects seizure freedom at an ablative rate of {rate:.0%} "
            f"in {said.mean:.0%} (95 % interval {said.low:.0%} to {said.high:.0%}; under a prior "
            f"without the literature {weak.mean:.0%}, {weak.low:.0%} to {weak.high:.0%})."
        )
    ]
    if rate > model.median:
        said_of.append(
            f"Above the cohort's median of {model.median:.0%} more coverage has not been shown "
            "to help."
        )
    if model.area.ci_low is not None and model.area.ci_low < 0.5:
        said_of.append(
            f"The rate's area under the curve is {model.area.auc:.2f}, and its interval "
            f"({model.area.ci_low:.2f} to {model.area.ci_high:.2f}) includes chance."
        )
    return tuple(said_of)
