"""What a cohort says of one new patient: seizure freedom at a given ablative rate.

The model is deliberately plain, one logistic slope: on the published patients it predicts held-out
patients better than the spline. Above the cohort's median rate no benefit of further coverage
is shown (the fitted curve bends down with a wide interval), so a plan must not be rewarded for
it: :attr:`Prognosis.planning_probability` stays at its value at the median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from falx.clinical.logistic.firth import fit_firth
from falx.clinical.logistic.fit import Z95, LogisticFit, fit_logistic
from falx.clinical.logistic.separation import SeparatedError
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
    """A cohort's model of outcome by ablative rate.

    `validation` holds the optimism-corrected discrimination; it is None when the outcomes are
    separated and the fit is Firth's.
    """

    source: str
    rate: Floats
    fit: LogisticFit
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
        Of seizure freedom, with the 95 % interval of the cohort's mean at this rate.
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
    probability: Probability
    ci_low: Probability
    ci_high: Probability
    planning_probability: Probability
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
    area = auc(x, event)
    try:
        fit = fit_logistic(x, event, ["rate"])
    except SeparatedError:
        return PrognosisModel(source, x, fit_firth(x, event, ["rate"]), area, None)
    validation = validate_model(x, event, n_resamples=n_resamples, n_repeats=20, rng=rng)
    return PrognosisModel(source, x, fit, area, validation)


def published_prognosis(*, rng: np.random.Generator) -> PrognosisModel:
    """Return the model of the 30 published patients."""
    patients = load_patients()
    return fit_prognosis(
        patients.rate_hippocampus, patients.seizure_free, source=MO2025_SOURCE, rng=rng
    )


def _probability(model: PrognosisModel, rate: float) -> tuple[float, float, float]:
    row = np.array([1.0, rate])
    eta = float(row @ model.fit.coefficients)
    half = Z95 * math.sqrt(float(row @ model.fit.covariance @ row))
    return float(expit(eta)), float(expit(eta - half)), float(expit(eta + half))


def prognosis(rate: float, model: PrognosisModel) -> Prognosis:
    """Return the probability of seizure freedom at one ablative rate, and its reservations.

    Examples
    --------
    >>> model = published_prognosis(rng=np.random.default_rng(1))
    >>> result = prognosis(0.9, model)
    >>> result.inside_range, result.planning_probability < result.probability
    (False, True)
    """
    check_range("ablative rate", rate, 0, 1)
    p, low, high = _probability(model, rate)
    planning = _probability(model, min(rate, model.median))[0]
    corrected = model.validation.auc_harrell if model.validation else None
    return Prognosis(
        rate=rate,
        probability=p,
        ci_low=low,
        ci_high=high,
        planning_probability=planning,
        n=model.fit.n,
        events=model.fit.events,
        cohort_low=float(model.rate.min()),
        cohort_high=float(model.rate.max()),
        source=model.source,
        auc=model.area.auc,
        auc_low=model.area.ci_low,
        auc_high=model.area.ci_high,
        auc_corrected=corrected,
        inside_range=bool(model.rate.min() <= rate <= model.rate.max()),
        sentences=_sentences(rate, (p, low, high), model),
    )


def _sentences(
    rate: float, chance: tuple[float, float, float], model: PrognosisModel
) -> tuple[str, ...]:
    p, low, high = chance
    said = [
        (
            f"In {model.source}, {model.fit.n} patients of whom {model.fit.events} became "
            f"seizure free, the model expects seizure freedom at an ablative rate of {rate:.0%} "
            f"in {p:.0%} (95 % interval {low:.0%} to {high:.0%})."
        )
    ]
    least, most = float(model.rate.min()), float(model.rate.max())
    if not least <= rate <= most:
        said.append(
            f"The rate lies outside the cohort ({least:.0%} to {most:.0%}): the number is an "
            "extrapolation and must not guide a plan."
        )
    if rate > model.median:
        said.append(
            f"Above the cohort's median of {model.median:.0%} more coverage has not been shown "
            "to help."
        )
    if model.area.ci_low is not None and model.area.ci_low < 0.5:
        said.append(
            f"The rate's area under the curve is {model.area.auc:.2f}, and its interval "
            f"({model.area.ci_low:.2f} to {model.area.ci_high:.2f}) includes chance."
        )
    if model.validation is None:
        said.append("The outcomes are separated by the rate; the estimate is Firth's.")
    return tuple(said)
